//! What is taken out of the registry, or put into it, past the program: the log tells otherwise, and nothing that was made
//! from it is published.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

mod desk_support;
#[path = "desk_support/opened.rs"]
mod opened;

use std::collections::BTreeMap;
use std::path::PathBuf;

use desk_support::{Desk, files_below};
use issuer::ca::crl::{CrlHeader, RevokedCertificate};
use issuer::clock::{Clock, SystemClock};
use issuer::config::Home;
use issuer::desk::audit::notary;
use issuer::domain::AuthorityName;
use issuer::registry::SignedCrls;
use opened::Opened;
use sqlx::{AssertSqlSafe, SqlitePool};

/// A desk with partitions, deltas and OCSP whose directory is published, with Alice's and Bob's cards.
fn published() -> Desk {
    let desk = Desk::with_services(&["--crl-partitions", "3", "--delta-crls", "--ocsp"]);
    for person in ["alice", "bob"] {
        let locator = desk.yubikey(&format!("{person}.card"), &[]);
        desk.issue(&format!("{person}@example.org"), &locator, &[]);
    }
    desk.publish();
    desk
}

/// What readers have.
fn readers_have(desk: &Desk) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = ["crl", "ocsp"].map(|folder| desk.path("public").join(folder));
    let files = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| files_below(folder));
    files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

async fn behind_the_back(desk: &Desk, statements: &[&str]) {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    for statement in statements {
        let changed = sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&pool).await.unwrap();
        let is_of_rows = !(statement.starts_with("DROP") || statement.starts_with("CREATE"));
        assert!(!is_of_rows || changed.rows_affected() > 0, "{statement}");
    }
    pool.close().await;
}

/// One of the certificates that are revoked.
async fn a_serial(desk: &Desk) -> String {
    let url = format!("sqlite:{}", desk.home().join("registry.db").display());
    let pool = SqlitePool::connect(&url).await.unwrap();
    let found = sqlx::query_scalar("SELECT lower(hex(serial)) FROM revocations ORDER BY serial LIMIT 1");
    let serial = found.fetch_one(&pool).await.unwrap();
    pool.close().await;
    serial
}

const TAKE_OUT: [&str; 2] = ["CREATE TABLE kept AS SELECT * FROM revocations", "DELETE FROM revocations"];
const PUT_BACK: [&str; 2] = ["INSERT INTO revocations SELECT * FROM kept", "DROP TABLE kept"];

/// The rows are back before anybody looks: only while the CRL is made can it be noticed.
#[tokio::test]
async fn a_revocation_that_is_taken_out_while_something_is_published_is_missed() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let (serial, before) = (a_serial(&desk).await, readers_have(&desk));
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish"][..], &["publish", "--delta"]] {
        let words = [serial.as_str(), "key-compromise", "holds no revocation of it", "audit verify"];
        desk.issuer(run).refuses(1, &words);
        assert_eq!(readers_have(&desk), before);
    }
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["publish"]).expect(0);
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

/// An OCSP answer never says good of what a published CRL revokes.
#[tokio::test]
async fn a_published_revocation_that_is_taken_out_is_missed_also_by_a_delta() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "superseded"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let (serial, before) = (a_serial(&desk).await, readers_have(&desk));
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish", "--delta"][..], &["publish"]] {
        desk.issuer(run).refuses(1, &[&serial, "superseded", "holds no revocation of it"]);
        assert_eq!(readers_have(&desk), before);
    }
}

/// A hold may end, and only as the log tells it.
#[tokio::test]
async fn a_hold_ends_only_with_a_release_that_the_log_tells() {
    let desk = published();
    desk.issuer(&["hold", "bob@example.org"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let serial = a_serial(&desk).await;
    behind_the_back(&desk, &TAKE_OUT).await;
    for run in [&["publish"][..], &["publish", "--delta"]] {
        desk.issuer(run).refuses(1, &[&serial, "certificate-hold", "holds no revocation of it"]);
    }
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["release", "bob@example.org"]).expect(0);
    for run in [&["publish", "--delta"][..], &["publish"]] {
        desk.issuer(run).expect(0);
    }
}

/// The row says something, but not what was recorded, or it says so of a certificate that was released.
#[tokio::test]
async fn a_revocation_that_was_changed_or_invented_is_named() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let serial = a_serial(&desk).await;
    behind_the_back(&desk, &["UPDATE revocations SET reason = 'superseded'"]).await;
    desk.issuer(&["publish"]).refuses(1, &[&serial, "key-compromise", "another revocation"]);
    behind_the_back(&desk, &["UPDATE revocations SET reason = 'key-compromise'"]).await;
    desk.issuer(&["hold", "bob@example.org"]).expect(0);
    behind_the_back(
        &desk,
        &["CREATE TABLE kept AS SELECT * FROM revocations WHERE reason = 'certificate-hold'"],
    )
    .await;
    desk.issuer(&["release", "bob@example.org"]).expect(0);
    behind_the_back(&desk, &PUT_BACK).await;
    desk.issuer(&["publish"]).refuses(1, &["was released", "holds a revocation of it"]);
}

/// Who takes the event out too breaks the chain.
#[tokio::test]
async fn a_revocation_that_is_taken_out_of_the_log_too_is_missed() {
    let desk = published();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    behind_the_back(
        &desk,
        &["DELETE FROM events WHERE kind = 'certificate-revoked'", "DELETE FROM revocations"],
    )
    .await;
    desk.issuer(&["publish"]).refuses(1, &["missing"]);
}

/// Whoever puts files of an earlier publication back is told by the checkpoint beside them.
#[tokio::test]
async fn published_files_of_before_are_named() {
    let desk = published();
    let before = readers_have(&desk);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let verify = || desk.issuer(&["audit", "verify", "--published", "public"]);
    verify().expect(0);
    let (after, checkpoint) = (readers_have(&desk), desk.path("public/audit/checkpoint.txt"));
    // Cut off between its CRLs and its checkpoint, a publication is ahead of that, and nothing is wrong with it.
    let earlier = std::fs::read(&checkpoint).unwrap();
    desk.issuer(&["publish"]).expect(0);
    let newest = std::fs::read(&checkpoint).unwrap();
    std::fs::write(&checkpoint, earlier).unwrap();
    verify().expect(0);
    std::fs::write(&checkpoint, newest).unwrap();
    for (folder, words) in [
        ("crl", &["has the number 0x01", "number 0x03 of people was published there"][..]),
        ("ocsp", &["the OCSP answer about", "says good", "the CRLs beside it say otherwise"]),
    ] {
        for (file, contents) in before.iter().filter(|(file, _)| file.parent().unwrap().ends_with(folder)) {
            std::fs::write(file, contents).unwrap();
        }
        let found = verify();
        found.expect(4);
        for word in words {
            assert!(found.stdout.contains(word), "{word:?} is not in: {}", found.stdout);
        }
        // CRLs are there as they were signed; answers that agree with them nobody has.
        let pending = desk.issuer(&["publish", "--pending"]);
        pending.expect(if folder == "crl" { 0 } else { 3 });
        assert_eq!(pending.stderr.contains("without --pending"), folder == "ocsp", "{}", pending.stderr);
        desk.issuer(&["publish"]).expect(0);
        verify().expect(0);
        assert!(folder == "crl" || after.keys().eq(readers_have(&desk).keys()));
    }
}

/// Without OCSP nothing has to be signed: what waits, and what is behind, is written from the registry.
#[tokio::test]
async fn published_crls_of_before_are_replaced_by_those_that_were_signed() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    desk.publish();
    let crl = readers_have(&desk);
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    let newest = readers_have(&desk);
    for (file, contents) in &crl {
        std::fs::write(file, contents).unwrap();
    }
    desk.issuer(&["publish", "--pending"]).expect(0);
    assert_eq!(readers_have(&desk), newest);
    let first = newest.keys().next().unwrap();
    std::fs::remove_file(first).unwrap();
    desk.issuer(&["publish", "--pending"]).expect(0);
    assert_eq!(readers_have(&desk), newest);
}

/// The program refuses to sign it; an earlier one did not.
#[tokio::test]
async fn a_published_crl_without_a_revocation_that_the_log_tells_is_named() {
    let desk = Desk::new();
    let locator = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &locator, &[]);
    desk.publish();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let mut opened = Opened::at(&desk.home(), &opened::sqlite(&desk)).await;
    let log = opened.registry.newest_checkpoint().await.unwrap().unwrap().checkpoint.log;
    let notary = notary::of_home(&Home::new(desk.home()), log, notary::FirstKey::Lost).unwrap();
    opened.registry.set_known_notary(notary).await.unwrap();
    let (name, now) = (AuthorityName::People, SystemClock.now());
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap();
    let next_update = now + jiff::SignedDuration::from_hours(24);
    let number = opened.registry.reserve_crl_number(name, now, next_update).await.unwrap();
    let header = CrlHeader { number, this_update: now, next_update };
    let mut crl = Vec::new();
    let nothing = std::iter::empty::<Result<RevokedCertificate, std::convert::Infallible>>();
    opened.authority.sign_crl(header, nothing, &mut crl).unwrap();
    let key = hex::encode(opened.authority.certificate().subject_key_identifier());
    let signed =
        SignedCrls { number, key, is_complete: true, complete: Some(&crl), parts: Vec::new(), told: None };
    opened.registry.store_crls(name, &signed, now).await.unwrap();
    opened.registry.close().await;
    // It is published, and the revocation is still to be signed.
    desk.issuer(&["publish", "--pending"]).expect(3);
    let serial = a_serial(&desk).await;
    let found = desk.issuer(&["audit", "verify", "--published", "public"]);
    found.expect(4);
    assert!(found.stdout.contains(&format!("does not revoke {serial}")), "{}", found.stdout);
    // A copy of the checkpoint says nothing about CRLs.
    std::fs::create_dir_all(desk.path("copy/audit")).unwrap();
    std::fs::copy(desk.path("public/audit/checkpoint.txt"), desk.path("copy/audit/checkpoint.txt")).unwrap();
    desk.issuer(&["audit", "verify", "--published", "copy"]).expect(0);
    desk.issuer(&["publish"]).expect(0);
    desk.issuer(&["audit", "verify", "--published", "public"]).expect(0);
}

/// Who follows every revocation with another statement takes it back; nothing is done with such a registry.
#[tokio::test]
async fn a_trigger_in_the_registry_is_named_before_anything_is_done() {
    let desk = Desk::new();
    behind_the_back(
        &desk,
        &["CREATE TRIGGER follow AFTER INSERT ON revocations BEGIN DELETE FROM revocations; END"],
    )
    .await;
    for run in [&["audit", "verify"][..], &["revoke", "alice@example.org", "--reason", "superseded"]] {
        desk.issuer(run).refuses(4, &["trigger follow", "registry.db", "past this program"]);
    }
    behind_the_back(&desk, &["DROP TRIGGER follow"]).await;
    desk.issuer(&["audit", "verify"]).expect(0);
}
