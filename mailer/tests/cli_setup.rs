//! `mailer setup`, and how the program behaves around it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use std::os::unix::fs::PermissionsExt;

use accounts::Office;
use openssl_pki::Key;

#[test]
fn an_account_is_private_and_holds_no_secret() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.pki.write("password", b"hunter2\n");
    let servers = [
        "--smtp",
        "smtp://mail.example.test",
        "--imap",
        "imaps://mail.example.test",
        "--user",
        "alice",
        "--password-file",
        "password",
    ];
    let said = office.setup("alice", &servers).expect(0);
    assert!(said.stderr.contains("other users can read the password"), "{}", said.stderr);
    let path = office.path("home-alice/config.toml");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("BEGIN CERTIFICATE") && !text.contains("hunter2"), "{text}");
    assert!(text.contains(office.pki.path().to_str().unwrap()), "paths are absolute: {text}");
}

#[test]
fn what_cannot_work_is_refused_and_what_may_work_later_is_noted() {
    let office = Office::new();
    for (more, code, word) in [
        (&["--smtp", "http://mail.test"][..], 2, "smtp://HOST"),
        (&["--smtp", "smtp://user:secret@mail.test"], 2, "--user"),
        (&["--imap", "imap://mail.test"], 2, "--user"),
        (&["--anchor-domain", "."], 2, "not a domain name"),
        (&["--anchor-domain", "..example.test"], 2, "not a domain name"),
        (&["--anchor-domain", "a..b"], 2, "not a domain name"),
        (&["--password-file", "fd:3"], 2, "cannot be remembered"),
        (&["--tls-anchor", "missing.pem"], 1, "missing.pem"),
        (&["--tls-anchor", "Root.key"], 1, "Root.key"),
    ] {
        let said = office.setup("alice", more).expect(code);
        assert!(said.stderr.contains(word), "{more:?}: {}", said.stderr);
        assert!(!office.path("home-alice/config.toml").exists());
    }
    let said = office.setup("alice", &[]).expect(0);
    assert!(
        said.stderr.contains("the card cannot be read now")
            && said.stderr.contains("no certificate for this address"),
        "{}",
        said.stderr
    );
}

#[test]
fn an_anchor_may_speak_for_everything_below_a_domain() {
    let office = Office::new();
    office.setup("alice", &["--anchor-domain", ".Bücher.example, @other.test"]).expect(0);
    let text = std::fs::read_to_string(office.path("home-alice/config.toml")).unwrap();
    for domain in ["\"example.test\"", "\".xn--bcher-kva.example\"", "\"other.test\""] {
        assert!(text.contains(domain), "{text}");
    }
}

#[test]
fn before_setup_every_command_says_what_to_do() {
    let office = Office::new();
    for arguments in [
        &["list"][..],
        &["fetch"],
        &["read", "1"],
        &["outbox"],
        &["open"],
        &["protect"],
        &["send", "--to", "a@b.test", "--subject", "x"],
    ] {
        let said = office.run("nobody", arguments, b"").expect(1);
        assert!(
            said.stderr.contains("mailer setup") && said.stdout.is_empty(),
            "{arguments:?}: {}",
            said.stderr
        );
    }
    let said = office.run("nobody", &["open", "--json"], b"").expect(1);
    assert_eq!(said.json()["error"]["code"], "not-set-up");
}

#[test]
fn every_command_has_help_with_an_example_and_a_manual_page() {
    let office = Office::new();
    for command in
        ["setup", "send", "outbox", "fetch", "list", "read", "protect", "open", "completions", "man"]
    {
        let help = office.run("nobody", &["help", command], b"").expect(0).text();
        assert!(help.contains("Example:"), "{command}: {help}");
    }
    std::fs::create_dir(office.path("man")).unwrap();
    office.run("nobody", &["man", "man"], b"").expect(0);
    assert!(std::fs::read_to_string(office.path("man/mailer-send.1")).unwrap().contains("Bcc"));
    assert!(office.run("nobody", &["completions", "bash"], b"").expect(0).text().contains("mailer"));
    office.run("nobody", &["send"], b"").expect(2);
}

#[test]
fn a_card_for_another_address_is_noted_at_once_and_refused_later() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    std::fs::copy(office.path("alice.card"), office.path("bob.card")).unwrap();
    let said = office.setup("bob", &["--maildir", "spool"]).expect(0);
    assert!(said.stderr.contains("the card signs for alice@example.test"), "{}", said.stderr);
    let said = office.run("bob", &["send", "--to", "alice@example.test", "--subject", "x"], b"hi").expect(1);
    assert!(said.stderr.contains("alice@example.test"), "{}", said.stderr);
}
