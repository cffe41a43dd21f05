//! What is done to the registry behind the desk's back is noticed and named, whoever does it and whatever keys they hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

#[path = "desk_support/chain.rs"]
mod chain;
mod desk_support;
mod witness_support;

use std::path::Path;

use desk_support::Desk;
use issuer::domain::{AuditRecord, SignedCheckpoint};
use witness_support::{copy_registry, database, is_named, name_witness, verify, witnessed};

#[test]
fn an_older_copy_is_named_also_after_it_was_worked_with() {
    let desk = witnessed();
    copy_registry(&desk.home(), &desk.path("old"));
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.publish();
    verify(&desk).expect(0);
    copy_registry(&desk.path("old"), &desk.home());
    // By itself the copy is whole.
    desk.issuer(&["audit", "verify"]).expect(0);
    is_named(
        &verify(&desk),
        &["an older copy of the registry was put back", "events are missing", "CRL number"],
    );
    is_named(&desk.issuer(&["audit", "verify", "--published", "public"]), &["an older copy"]);
    // What everybody has seen is not taken back.
    desk.issuer(&["publish", "--to", "public"])
        .refuses(1, &["older one than what was published from", "audit verify --published"]);
    for _ in 0..8 {
        desk.issuer(&["hold", "alice@example.org"]).expect(0);
        desk.issuer(&["release", "alice@example.org"]).expect(0);
    }
    desk.issuer(&["audit", "verify"]).expect(0);
    is_named(&verify(&desk), &["written anew after event", "put back and worked with"]);
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["written anew since it was published"]);
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_named() {
    let desk = witnessed();
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    verify(&desk).expect(0);
    let pool = database(&desk).await;
    for statement in [
        "DELETE FROM events WHERE kind IN ('card-held', 'certificate-held')",
        "DELETE FROM checkpoints WHERE size > (SELECT max(sequence) FROM events)",
        "UPDATE event_chain SET sequence = (SELECT max(sequence) FROM events), \
         hash = (SELECT hash FROM events ORDER BY sequence DESC LIMIT 1)",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    is_named(&verify(&desk), &["the end of the log was cut off"]);
}

/// Whoever has the database, but not the key.
#[tokio::test]
async fn a_log_that_was_hashed_anew_is_not_the_one_that_was_signed() {
    let desk = witnessed();
    rewrite(&desk, Keys::No, &|record| record.sequence == 1, &mallory).await;
    let found = desk.issuer(&["audit", "verify"]);
    is_named(&found, &["written anew since it was signed"]);
}

/// Whoever has both makes a registry that nothing in it tells from the true one; others have seen the true one.
#[tokio::test]
async fn a_log_that_was_written_and_signed_anew_is_named_by_the_witness() {
    let desk = witnessed();
    rewrite(&desk, Keys::Stolen, &|record| record.sequence == 1, &mallory).await;
    desk.issuer(&["audit", "verify"]).expect(0);
    is_named(&verify(&desk), &["written anew after event 0"]);
    is_named(&desk.issuer(&["audit", "verify", "--published", "public"]), &["written anew after event 0"]);
    let json = desk.issuer(&["--json", "audit", "verify", "--witness", "witness"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["whole"], false);
    assert_eq!(json["findings"][0]["code"], "rewritten");
}

/// Whoever has the database and the key, and takes one revocation back, in the tail alone and in the tables beside it.
#[tokio::test]
async fn a_tail_that_was_written_and_signed_anew_is_named_by_witness_and_publication() {
    let desk = witnessed();
    desk.issuer(&["mark", "alice@example.org", "lost"]).expect(0);
    desk.publish();
    verify(&desk).expect(0);
    let lost = |record: &AuditRecord| record.detail.contains("key-compromise");
    let nothing = |record: &AuditRecord| AuditRecord {
        detail: record.detail.replace("key-compromise", "superseded"),
        ..record.clone()
    };
    rewrite(&desk, Keys::Stolen, &lost, &nothing).await;
    // The tables say as the log does now: nothing here tells that it was otherwise.
    let pool = database(&desk).await;
    for statement in [
        "UPDATE revocations SET reason = 'superseded'",
        "UPDATE certificates SET snapshot = replace(snapshot, 'key-compromise', 'superseded')",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    pool.close().await;
    desk.issuer(&["audit", "verify"]).expect(0);
    let found = verify(&desk);
    is_named(&found, &["written anew after event"]);
    assert!(!found.stdout.contains("after event 0"), "what was not touched is vouched for: {}", found.stdout);
    is_named(&desk.issuer(&["audit", "verify", "--published", "public"]), &["written anew"]);
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["written anew since it was published"]);
}

/// Each by one SQL statement; named with what the log says and what the table says.
#[tokio::test]
async fn a_value_that_was_changed_in_a_table_is_named() {
    let desk = witnessed();
    desk.issuer(&["mark", "alice@example.org", "lost"]).expect(0);
    desk.issuer(&["class", "add", "board", "alice@example.org"]).expect(0);
    let pool = database(&desk).await;
    for (change, back, words) in [
        (
            "UPDATE revocations SET reason = 'superseded'",
            "UPDATE revocations SET reason = 'key-compromise'",
            ["table revocations", "reason is \"superseded\", and the log says \"key-compromise\""],
        ),
        (
            "UPDATE reader_class_members SET clearance = 5",
            "UPDATE reader_class_members SET clearance = 0",
            ["table reader_class_members, row board 1", "clearance is 5, and the log says 0"],
        ),
        (
            "UPDATE people SET mail = 'mallory@example.org' WHERE id = 1",
            "UPDATE people SET mail = 'alice@example.org' WHERE id = 1",
            ["table people, row 1", "and the log says \"alice@example.org\""],
        ),
        (
            "CREATE TABLE kept AS SELECT certificate FROM authorities WHERE name = 'people'; UPDATE authorities \
             SET certificate = (SELECT certificate FROM authorities WHERE name = 'servers') WHERE name = 'people'",
            "UPDATE authorities SET certificate = (SELECT certificate FROM kept) WHERE name = 'people'; DROP TABLE kept",
            ["table authorities, row people", "and the log says octets with SHA-256"],
        ),
        (
            "INSERT INTO audit_keys (id, public_key, since) SELECT 'mine', x'00', since FROM audit_keys",
            "DELETE FROM audit_keys WHERE id = 'mine'",
            ["table audit_keys, row mine", "it is there, and the log does not tell of it"],
        ),
    ] {
        sqlx::raw_sql(change).execute(&pool).await.unwrap();
        is_named(&desk.issuer(&["audit", "verify"]), &words);
        let json = desk.issuer(&["--json", "audit", "verify"]);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(json["findings"][0]["code"], "table-changed");
        let table = words[0].split([' ', ',']).nth(1).unwrap();
        assert_eq!(json["findings"][0]["difference"]["table"], table);
        sqlx::raw_sql(back).execute(&pool).await.unwrap();
        desk.issuer(&["audit", "verify"]).expect(0);
    }
    pool.close().await;
}

#[tokio::test]
async fn checkpoints_that_were_taken_out_or_forged_are_named() {
    let desk = witnessed();
    let pool = database(&desk).await;
    let (size, document): (i64, String) =
        sqlx::query_as("SELECT size, document FROM checkpoints ORDER BY size DESC LIMIT 1")
            .fetch_one(&pool)
            .await
            .unwrap();
    sqlx::query("DELETE FROM checkpoints WHERE size = ?").bind(size).execute(&pool).await.unwrap();
    is_named(&verify(&desk), &["no checkpoint is about the events after"]);
    let mut forged = SignedCheckpoint::parse(&document).unwrap();
    let last = forged.signature.len() - 1;
    forged.signature[last] ^= 1;
    sqlx::query("INSERT INTO checkpoints (size, document) VALUES (?, ?)")
        .bind(size)
        .bind(forged.document())
        .execute(&pool)
        .await
        .unwrap();
    is_named(&verify(&desk), &["is not signed by the audit key"]);
    sqlx::query("UPDATE checkpoints SET document = ? WHERE size = ?")
        .bind(&document)
        .bind(size)
        .execute(&pool)
        .await
        .unwrap();
    verify(&desk).expect(0);
    // Whoever takes the newest ones out and lets the next one cover what they were about.
    sqlx::query("DELETE FROM checkpoints WHERE size = ?").bind(size).execute(&pool).await.unwrap();
    desk.issuer(&["--operator", "Mallory", "hold", "alice@example.org"]).expect(0);
    let words = [format!("to {size} were taken out"), "is about several changes".to_owned()];
    is_named(&desk.issuer(&["audit", "verify"]), &words.each_ref().map(String::as_str));
    sqlx::query("INSERT INTO checkpoints (size, document) VALUES (?, ?)")
        .bind(size)
        .bind(&document)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("DELETE FROM checkpoints WHERE size > ?").bind(size).execute(&pool).await.unwrap();
    sqlx::query("DELETE FROM checkpoints WHERE size = (SELECT min(size) FROM checkpoints)")
        .execute(&pool)
        .await
        .unwrap();
    is_named(&verify(&desk), &["does not follow the one before it"]);
    pool.close().await;
}

/// The auditor's own witness need not be at hand: that of config.toml is asked before anything is signed or added to it.
#[test]
fn a_registry_that_its_witness_does_not_know_signs_and_publishes_nothing() {
    let desk = witnessed();
    name_witness(&desk, Some(&desk.text("witness")));
    copy_registry(&desk.home(), &desk.path("old"));
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let before = std::fs::read(desk.path("witness")).unwrap();
    copy_registry(&desk.path("old"), &desk.home());
    let said = ["speaks against the registry", "an older copy", "audit verify --witness"];
    for arguments in [
        &["publish", "--to", "elsewhere"][..],
        &["publish", "--to", "elsewhere", "--pending"],
        &["ca", "rollover", "people"],
        &["ca", "renew", "people"],
    ] {
        desk.issuer(arguments).refuses(1, &said);
    }
    // A revocation never waits; the witness is not told of it by this registry, whichever event it is.
    for _ in 0..6 {
        for act in ["hold", "release"] {
            let done = desk.issuer(&[act, "alice@example.org"]);
            done.expect(0);
            assert!(done.stderr.contains("speaks against the registry"), "{}", done.stderr);
        }
    }
    assert_eq!(std::fs::read(desk.path("witness")).unwrap(), before);
    desk.issuer(&["publish", "--to", "public"])
        .refuses(1, &["speaks against the registry", "is not the one that was seen"]);
    // The auditor keeps the file, and begins a new one.
    std::fs::rename(desk.path("witness"), desk.path("kept")).unwrap();
    desk.issuer(&["publish", "--to", "elsewhere"]).refuses(1, &["is missing", "--new-witness"]);
    assert!(!desk.path("witness").exists());
    desk.issuer(&["audit", "verify", "--new-witness"]).expect(0);
    desk.issuer(&["publish", "--to", "elsewhere"]).expect(0);
    assert!(desk.path("witness").exists());
    is_named(&desk.issuer(&["audit", "verify", "--witness", "kept"]), &["written anew after event"]);
    // The log says for good that this happened, and that the old witness had seen another one.
    let checked = desk.issuer(&["audit", "verify"]);
    checked.expect(0);
    for words in
        ["was begun anew on", "the one before had seen event", "an older registry took its place then"]
    {
        assert!(checked.stderr.contains(words), "{words}: {}", checked.stderr);
    }
}

/// Whoever can write the witness or the published directory, but has no key of the desk.
#[test]
fn a_checkpoint_that_somebody_made_up_speaks_for_nothing() {
    let desk = witnessed();
    let forge = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut all = SignedCheckpoint::parse_all(&text).unwrap().0;
        let last = all.last_mut().unwrap();
        last.checkpoint.crls.insert("people".to_owned(), 1);
        last.checkpoint.at = "2020-01-01T00:00:00Z".parse().unwrap();
        std::fs::write(path, all.iter().map(SignedCheckpoint::document).collect::<String>()).unwrap();
        text
    };
    let witness = desk.path("witness");
    let whole = forge(&witness);
    is_named(&verify(&desk), &["in witness is not signed by an audit key"]);
    name_witness(&desk, Some(&desk.text("witness")));
    desk.issuer(&["publish", "--to", "public"]).refuses(1, &["is not signed by an audit key"]);
    name_witness(&desk, None);
    std::fs::write(&witness, whole).unwrap();
    let published = desk.path("public/audit/checkpoint.txt");
    let whole = forge(&published);
    is_named(&desk.issuer(&["audit", "verify", "--published", "public"]), &["in public is not signed"]);
    desk.issuer(&["publish", "--to", "public"])
        .refuses(1, &["is not signed by an audit key", "nothing was published"]);
    std::fs::write(&published, whole).unwrap();
    desk.publish();
    // A genuine one of before is told by what is remembered.
    let older = std::fs::read(&published).unwrap();
    desk.import_staff("name,mail\nZoe Xu,zoe@example.org\n").expect(0);
    desk.publish();
    std::fs::write(&published, older).unwrap();
    let done = desk.issuer(&["publish", "--to", "public"]);
    done.expect(0);
    assert!(done.stderr.contains("an older checkpoint was put back"), "{}", done.stderr);
}

/// Whoever has the database and the published directory, and makes the one forget what was in the other.
#[tokio::test]
async fn a_published_checkpoint_that_was_made_forgotten_is_named() {
    let desk = witnessed();
    let checkpoint = desk.path("public/audit/checkpoint.txt");
    let kept = std::fs::read(&checkpoint).unwrap();
    let pool = database(&desk).await;
    for (change, back, words) in [
        (
            "CREATE TABLE kept AS SELECT id, checkpoint FROM publication_targets; \
             UPDATE publication_targets SET checkpoint = NULL",
            "UPDATE publication_targets SET checkpoint = (SELECT checkpoint FROM kept WHERE kept.id = publication_targets.id); \
             DROP TABLE kept",
            ["table publication_targets, row ", "checkpoint is empty, and the log says a number from "],
        ),
        (
            "CREATE TABLE kept AS SELECT * FROM publication_targets; DELETE FROM publication_targets",
            "DELETE FROM publication_targets; INSERT INTO publication_targets SELECT * FROM kept; DROP TABLE kept",
            ["table publication_targets, row ", "it is missing, and the log tells of it"],
        ),
    ] {
        sqlx::raw_sql(change).execute(&pool).await.unwrap();
        std::fs::remove_file(&checkpoint).unwrap();
        is_named(&desk.issuer(&["audit", "verify"]), &words);
        // Nor is anything published there before somebody says that it shall begin anew.
        desk.issuer(&["publish", "--to", "public"])
            .refuses(1, &["public/audit/checkpoint.txt is missing", "target forget"]);
        std::fs::write(&checkpoint, &kept).unwrap();
        sqlx::raw_sql(back).execute(&pool).await.unwrap();
        desk.issuer(&["audit", "verify"]).expect(0);
    }
    pool.close().await;
    desk.issuer(&["target", "forget", "public"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
    std::fs::write(&checkpoint, "something else\n").unwrap();
    is_named(
        &desk.issuer(&["audit", "verify", "--published", "public"]),
        &["public/audit/checkpoint.txt is damaged"],
    );
    std::fs::remove_file(&checkpoint).unwrap();
    desk.publish();
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

#[test]
fn an_audit_key_that_is_gone_is_not_made_anew_in_silence() {
    let desk = witnessed();
    let key = desk.home().join("keys/audit.pem");
    std::fs::rename(&key, desk.path("audit.pem")).unwrap();
    for arguments in [&["audit", "verify"][..], &["backup", "pki.backup"], &["hold", "alice@example.org"]] {
        desk.issuer(arguments)
            .refuses(1, &["keys/audit.pem is missing", "issuer restore", "openssl genpkey"]);
    }
    assert!(!key.exists() && !desk.path("pki.backup").exists());
    std::fs::rename(desk.path("audit.pem"), &key).unwrap();
    verify(&desk).expect(0);
    // Made knowingly, by the command that the message names.
    let refused = {
        std::fs::rename(&key, desk.path("audit.pem")).unwrap();
        desk.issuer(&["audit", "verify"])
    };
    let (_, command) = refused.stderr.split_once("knowingly: (").unwrap();
    let command = command.split_once("); the log").unwrap().0;
    let made = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(made.status.success(), "{command}: {made:?}");
    // A check makes no key known; whatever is done next does.
    desk.issuer(&["find", "alice"]).expect(0);
    let found = verify(&desk);
    found.expect(0);
    assert!(found.stderr.contains("which the witness has not seen before"), "{}", found.stderr);
}

#[test]
fn a_published_checkpoint_that_is_not_there_is_not_whole() {
    let desk = Desk::new();
    let nowhere = desk.issuer(&["audit", "verify", "--published", "nowhere"]);
    nowhere.refuses(1, &["nowhere does not exist", "nothing was compared", "publish --to"]);
    assert!(!nowhere.stdout.contains("whole"), "{}", nowhere.stdout);
    desk.publish();
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
    std::fs::remove_file(desk.path("public/audit/checkpoint.txt")).unwrap();
    desk.issuer(&["audit", "verify", "--published", "public"])
        .refuses(1, &["public/audit/checkpoint.txt is missing", "nothing was compared", "issuer publish"]);
    // Nor is anything published there: an older registry could not be told any more.
    let missed = desk.issuer(&["publish", "--to", "public"]);
    missed.refuses(1, &["public/audit/checkpoint.txt is missing", "nothing was published", "target forget"]);
    desk.issuer(&["target", "forget", "public"]).expect(0);
    desk.publish();
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
    // What is empty as a whole is filled, and that it is empty is said.
    std::fs::rename(desk.path("public"), desk.path("moved")).unwrap();
    let filled = desk.issuer(&["publish", "--to", "public"]);
    filled.expect(0);
    assert!(filled.stderr.contains("is empty, and a checkpoint up to event"), "{}", filled.stderr);
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.issuer(&["publish", "--to", "empty"]).expect(0);
}

/// `head`, `tail`, `base64`, `sha256sum` and `openssl` check what is published, as the format promises.
#[test]
fn a_published_checkpoint_is_checked_with_openssl_alone() {
    let desk = witnessed();
    let script = "set -e; cd public/audit; head -n 9 checkpoint.txt > ../../text; tail -n 1 checkpoint.txt | base64 -d > ../../signature; \
        openssl dgst -sha256 -verify keys.pem -signature ../../signature ../../text; \
        test \"$(openssl pkey -pubin -in keys.pem -outform DER | sha256sum | cut -d' ' -f1)\" = \"$(sed -n 's/^key //p' checkpoint.txt)\"";
    let check = || {
        let output = std::process::Command::new("bash")
            .args(["-c", script])
            .current_dir(desk.directory.path())
            .output()
            .unwrap();
        output.status.success()
    };
    assert!(check());
    let path = desk.path("public/audit/checkpoint.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\nsize ", "\nsize 9")).unwrap();
    assert!(!check());
}

/// Whether somebody has the audit key too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    No,
    Stolen,
}

fn mallory(record: &AuditRecord) -> AuditRecord {
    AuditRecord { actor: "mallory".to_owned(), ..record.clone() }
}

/// Writes events anew, with every hash after them, and, with the key, every checkpoint.
async fn rewrite(
    desk: &Desk,
    keys: Keys,
    which: &dyn Fn(&AuditRecord) -> bool,
    how: &dyn Fn(&AuditRecord) -> AuditRecord,
) {
    let written = |record: &AuditRecord| if which(record) { how(record) } else { record.clone() };
    let hashes = chain::write_anew(desk, &written).await;
    if keys == Keys::Stolen {
        chain::sign_anew(desk, &hashes).await;
    }
}
