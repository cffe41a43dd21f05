//! A backup is restored anywhere, and never takes back what everybody has seen since.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod operator_support;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use std::path::Path;

use desk_support::{Desk, files_below, openssl, openssl_verify, run};
use operator_support::Staffed;
use postgres_server::Server;

fn crl_number(public: &Path) -> u64 {
    let authority = desk_support::files_below(&public.join("crl"));
    authority
        .iter()
        .map(|file| {
            let said =
                openssl(&["crl", "-inform", "DER", "-in", file.to_str().unwrap(), "-noout", "-crlnumber"]);
            let text = String::from_utf8(said.stdout).unwrap();
            let digits = text.trim().rsplit('=').next().unwrap().trim_start_matches("0x").to_owned();
            u64::from_str_radix(&digits, 16).unwrap()
        })
        .max()
        .expect("there are CRLs")
}

fn lose_home(desk: &Desk) {
    std::fs::rename(desk.home(), desk.path("lost")).unwrap();
}

#[test]
fn an_older_backup_takes_nothing_back_that_everybody_has_seen() {
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &alice, &[]);
    let public = desk.publish();
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    // Since then: Alice's card is lost, and Bob's was made and revoked.
    let bob = desk.yubikey("bob.card", &[]);
    desk.issue("bob@example.org", &bob, &[]);
    for person in ["alice@example.org", "bob@example.org"] {
        desk.issuer(&["revoke", person, "--reason", "key-compromise"]).expect(0);
    }
    desk.publish();
    let number = crl_number(&public);
    lose_home(&desk);
    let restored = desk.issuer(&["restore", "pki.backup", "--published", "public"]);
    restored.expect(0);
    assert!(
        restored.stdout.contains("8 revocations were taken from what is published, 4 of them"),
        "{}",
        restored.stdout
    );
    desk.issuer(&["audit", "verify"]).expect(0);
    desk.publish();
    assert!(crl_number(&public) > number, "a CRL number was used twice");
    for (locator, name) in [(&alice, "alice"), (&bob, "bob")] {
        desk_support::extract_certificates(locator, &desk.path(name));
        for (key, _) in desk_support::KEYS {
            let (is_good, said) = openssl_verify(&public, &desk.path(&format!("{name}/{key}.pem")), &[]);
            assert!(!is_good && said.contains("certificate revoked"), "{name} {key}: {said}");
        }
    }
    // The desk goes on.
    let next = desk.yubikey("next.card", &[]);
    std::fs::remove_file(desk.path("bob-example.org.pin")).unwrap();
    desk.issue("bob@example.org", &next, &[]);
}

#[test]
fn without_what_is_published_numbers_are_skipped_and_publication_waits() {
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    desk.publish();
    desk.publish();
    lose_home(&desk);
    let restored = desk.issuer(&["restore", "pki.backup"]);
    restored.expect(0);
    assert!(restored.stdout.contains("CRL numbers skip 1000"), "{}", restored.stdout);
    assert!(restored.stdout.contains("restore again with --published DIR"), "{}", restored.stdout);
    let cure = format!("issuer restore FILE --published {}", public.display());
    desk.issuer(&["publish", "--to", "public"])
        .refuses(1, &["older one than what was published from", &cure]);
    desk.issuer(&["publish", "--to", "elsewhere"]).expect(0);
    assert!(crl_number(&desk.path("elsewhere")) > 1000);
    assert!(crl_number(&public) < 1000);
    // The cure that was named is one.
    std::fs::remove_dir_all(desk.home()).unwrap();
    desk.issuer(&["restore", "pki.backup", "--published", public.to_str().unwrap()]).expect(0);
    desk.issuer(&["publish", "--to", "public"]).expect(0);
}

/// Put on hold since the backup: on hold again, for the desk to release or revoke.
#[test]
fn a_hold_is_not_lost_in_a_restore() {
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &alice, &[]);
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    desk.publish();
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    desk.issuer(&["hold", "alice@example.org"]).expect(0);
    let public = desk.publish();
    lose_home(&desk);
    let restored = desk.issuer(&["restore", "pki.backup", "--published", "public"]);
    restored.expect(0);
    assert!(restored.stdout.contains("4 certificates are on hold"), "{}", restored.stdout);
    let shown = desk.issuer(&["show", "alice@example.org"]);
    assert!(shown.stdout.contains("on hold"), "{}", shown.stdout);
    desk.publish();
    desk_support::extract_certificates(&alice, &desk.path("alice"));
    let judged = |word: bool| {
        let (is_good, said) = openssl_verify(&public, &desk.path("alice/9C.pem"), &[]);
        assert_eq!(is_good, word, "{said}");
    };
    judged(false);
    desk.issuer(&["release", "alice@example.org"]).expect(0);
    desk.publish();
    judged(true);
    desk.issuer(&["audit", "verify"]).expect(0);
}

/// Whoever is refused leaves no table behind, and what was killed half-way does not stand in the way of the next restore.
#[test]
fn a_restore_that_was_refused_or_killed_leaves_the_database_as_it_was() {
    let server = Server::start();
    let desk = Staffed::new();
    desk.as_operator("adam", &["backup", "pki.backup"]).expect(0);
    lose_home(&desk.desk);
    let tables =
        || server.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").trim().to_owned();
    let restore = |who: &str| {
        let mut command = desk.command_of(who, &["restore", "pki.backup"]);
        run(command.env("ISSUER_REGISTRY", server.url()))
    };
    restore("rita").refuses(1, &["may not take a backup"]);
    assert_eq!(tables(), "0");
    assert!(!desk.desk.home().exists());
    // Killed at many moments: another restore is never told that something is there.
    let mut killed = 0;
    for wait in 1..=12 {
        let mut command = desk.command_of("adam", &["restore", "pki.backup"]);
        command.env("ISSUER_REGISTRY", server.url());
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        // After so many tables there are, or once it is done.
        while child.try_wait().unwrap().is_none() && tables().parse::<u32>().unwrap() < wait * 3 {}
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        if desk.desk.home().exists() {
            break;
        }
    }
    assert!(killed > 0, "no restore was killed");
    if !desk.desk.home().exists() {
        restore("adam").expect(0);
    }
    run(desk.desk.command(&["audit", "verify"]).env("ISSUER_REGISTRY", server.url())).expect(0);
    let unfinished = server.psql("SELECT count(*) FROM pg_tables WHERE tablename = 'restoring'");
    assert_eq!(unfinished.trim(), "0");
    lose_again(&desk.desk);
    restore("adam").refuses(1, &["there is a registry at"]);
}

fn lose_again(desk: &Desk) {
    std::fs::rename(desk.home(), desk.path("lost again")).unwrap();
}

#[test]
fn what_is_no_backup_is_refused_before_it_is_read() {
    let desk = Desk::empty();
    desk.issuer(&["restore", "/dev/zero"]).refuses(1, &["/dev/zero is not a file"]);
    let long = std::fs::File::create(desk.path("long")).unwrap();
    long.set_len(1 << 40).unwrap();
    desk.issuer(&["restore", "long"]).refuses(1, &["longer than any backup"]);
    long.set_len(1 << 33).unwrap();
    desk.issuer(&["restore", "long"]).refuses(1, &["is not a backup of an issuer"]);
    desk.issuer(&["restore", "."]).refuses(1, &["is not a file"]);
    let made = std::process::Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap();
    assert!(made.success());
    desk.issuer(&["restore", "pipe"]).refuses(1, &["pipe is not a file"]);
}

#[test]
fn nothing_is_restored_beside_a_directory_that_is_not_this_issuers() {
    let other = Desk::new();
    let foreign = other.publish();
    let desk = Desk::new();
    let public = desk.publish();
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    lose_home(&desk);
    let restore = |published: &Path| {
        desk.issuer(&["restore", "pki.backup", "--published", published.to_str().unwrap()])
    };
    let refuses = |published: &Path, what: &str| {
        restore(published).refuses(1, &[what, "nothing was restored"]);
        assert!(!desk.home().exists(), "{what}");
    };
    refuses(&desk.path("nowhere"), "there is no such directory");
    refuses(&foreign, "its checkpoint is of another issuer's log");
    std::fs::remove_file(foreign.join("audit/checkpoint.txt")).unwrap();
    refuses(&foreign, "the root in its anchor.pem is another issuer's");
    std::fs::create_dir(desk.path("empty")).unwrap();
    refuses(&desk.path("empty"), "neither audit/checkpoint.txt nor anchor.pem");
    std::fs::rename(public.join("crl"), desk.path("lists")).unwrap();
    refuses(&public, "it holds no CRL of this issuer");
    std::fs::rename(desk.path("lists"), public.join("crl")).unwrap();
    // What was published before there were checkpoints is this issuer's by its anchor.
    std::fs::remove_file(public.join("audit/checkpoint.txt")).unwrap();
    restore(&public).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
}

#[test]
fn a_backup_goes_from_one_database_to_the_other_and_back() {
    let server = Server::start();
    let desk = Desk::new();
    let alice = desk.yubikey("alice.card", &[]);
    desk.issue("alice@example.org", &alice, &[]);
    desk.issuer(&["backup", "first.backup"]).expect(0);
    let report = |registry: Option<&str>, what: &str| {
        let mut command = desk.command(&["--json", "report", what]);
        if let Some(url) = registry {
            command.env("ISSUER_REGISTRY", url);
        }
        let done = run(&mut command);
        done.expect(0);
        done.stdout
    };
    let kinds = ["people", "cards", "certificates"];
    let before: Vec<_> = kinds.iter().map(|what| report(None, what)).collect();
    lose_home(&desk);
    run(desk.command(&["restore", "first.backup"]).env("ISSUER_REGISTRY", server.url())).expect(0);
    let at_server: Vec<_> = kinds.iter().map(|what| report(Some(&server.url()), what)).collect();
    assert_eq!(at_server, before);
    run(desk.command(&["audit", "verify"]).env("ISSUER_REGISTRY", server.url())).expect(0);
    // New numbers follow the restored ones, and searches find.
    std::fs::write(desk.path("more.csv"), "name,mail\nZoe Xu,zoe@example.org\n").unwrap();
    run(desk.command(&["staff", "import", "more.csv"]).env("ISSUER_REGISTRY", server.url())).expect(0);
    let found = run(desk.command(&["find", "Ng"]).env("ISSUER_REGISTRY", server.url()));
    assert!(found.stdout.contains("alice@example.org"), "{}", found.stdout);
    run(desk.command(&["backup", "second.backup"]).env("ISSUER_REGISTRY", server.url())).expect(0);
    std::fs::remove_dir_all(desk.home()).unwrap();
    desk.issuer(&["restore", "second.backup"]).expect(0);
    desk.issuer(&["audit", "verify"]).expect(0);
    assert!(report(None, "people").contains("zoe@example.org"));
    let found = desk.issuer(&["find", "Ng"]);
    assert!(found.stdout.contains("alice@example.org"), "{}", found.stdout);
    // A database that holds one already is left alone.
    std::fs::remove_dir_all(desk.home()).unwrap();
    run(desk.command(&["restore", "first.backup"]).env("ISSUER_REGISTRY", server.url()))
        .refuses(1, &["there is a registry at"]);
    assert!(!desk.home().exists());
}

#[test]
fn a_damaged_backup_restores_nothing_and_tells_nothing() {
    let desk = Desk::new();
    desk.issuer(&["backup", "pki.backup"]).expect(0);
    desk.issuer(&["backup", "pki.backup"]).refuses(1, &["exists already"]);
    desk.issuer(&["restore", "pki.backup"]).refuses(1, &["there is an issuer already"]);
    let sealed = std::fs::read(desk.path("pki.backup")).unwrap();
    for word in ["alice@example.org", "PRIVATE KEY", "Example Org", "certificates"] {
        assert!(
            !sealed.windows(word.len()).any(|window| window == word.as_bytes()),
            "{word} is in the backup"
        );
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(desk.path("pki.backup")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    lose_home(&desk);
    let entries = || std::fs::read_dir(desk.directory.path()).unwrap().count();
    let count = entries();
    for (name, bytes) in [
        ("cut", sealed[..sealed.len() - 1].to_vec()),
        (
            "flipped",
            sealed
                .iter()
                .enumerate()
                .map(|(place, octet)| if place == sealed.len() / 2 { octet ^ 1 } else { *octet })
                .collect(),
        ),
        ("empty", Vec::new()),
        ("other", b"something else\n".to_vec()),
    ] {
        std::fs::write(desk.path("pki.backup"), bytes).unwrap();
        desk.issuer(&["restore", "pki.backup"]).expect(1);
        assert!(!desk.home().exists(), "{name}");
        assert_eq!(entries(), count, "{name}: something was left");
    }
    std::fs::write(desk.path("pki.backup"), &sealed).unwrap();
    std::fs::write(desk.path("wrong"), "another passphrase\n").unwrap();
    run(std::process::Command::new(env!("CARGO_BIN_EXE_issuer"))
        .env_remove("ISSUER_HOME")
        .current_dir(desk.directory.path())
        .args(["--home", "home", "--passphrase-file", "wrong", "restore", "pki.backup"]))
    .refuses(1, &["wrong passphrase"]);
    desk.issuer(&["restore", "pki.backup"]).expect(0);
    // The audit key is not in it: a new one was made.
    let key = |home: &Path| std::fs::read(home.join("keys/audit.pem")).unwrap();
    assert_ne!(key(&desk.home()), key(&desk.path("lost")));
    assert!(files_below(&desk.home()).len() >= 6);
}

#[test]
fn a_restore_needs_two_operators_where_the_restored_registry_demands_it() {
    let desk = Staffed::new();
    desk.as_operator("adam", &["approval", "demand", "restore"]).expect(0);
    desk.as_operator("rita", &["backup", "pki.backup"]).refuses(1, &["may not take a backup"]);
    desk.as_operator("adam", &["backup", "pki.backup"]).expect(0);
    lose_home(&desk.desk);
    let restore = ["restore", "pki.backup"];
    desk.plain(&restore).refuses(1, &["this desk has operators"]);
    desk.as_operator("rita", &restore).refuses(1, &["may not take a backup"]);
    desk.as_operator("adam", &restore).refuses(1, &["--second-operator"]);
    desk.as_two("adam", "adam", &restore).refuses(1, &["may not approve"]);
    assert!(!desk.desk.home().exists());
    desk.as_two("adam", "vera", &restore).expect(0);
    let log = desk.log();
    for kind in ["registry-restored", "approval-granted", "approval-used"] {
        assert!(log.iter().any(|event| event["kind"] == kind), "{kind} is not in the log");
    }
    desk.plain(&["audit", "verify"]).expect(0);
}
