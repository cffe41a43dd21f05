//! Authorities whose keys are away or damaged: each fails alone, and whoever looks is told what is overdue.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
#[path = "desk_support/server.rs"]
mod server;

use std::collections::BTreeSet;

use desk_support::{Desk, files_below, openssl_verify};
use server::Server;

fn is_trusted(desk: &Desk) -> bool {
    openssl_verify(&desk.path("public"), &desk.path("alice/9C.pem"), &[]).0
}

/// Puts something else where the key of an authority is, and back again.
struct Away<'a>(&'a Desk, &'static str, Vec<u8>);

impl<'a> Away<'a> {
    fn new(desk: &'a Desk, file: &'static str) -> Self {
        let path = desk.home().join("keys").join(file);
        let key = std::fs::read(&path).unwrap();
        std::fs::write(path, "nothing of the kind").unwrap();
        Self(desk, file, key)
    }

    fn back(self) {
        std::fs::write(self.0.home().join("keys").join(self.1), self.2).unwrap();
    }
}

fn due(desk: &Desk) -> Vec<String> {
    let targets = desk.json(&["target", "list"]);
    let due = targets[0]["crls_due"].as_array().unwrap();
    due.iter().map(|due| due["authority"].as_str().unwrap().to_owned()).collect()
}

fn serve(desk: &Desk) -> Server {
    Server::of(&desk.path("public"), &[])
}

#[test]
fn a_revocation_is_published_while_the_keys_of_other_authorities_are_away() {
    let desk = Desk::with_ocsp();
    let away = [Away::new(&desk, "root.pem"), Away::new(&desk, "servers.pem")];
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    assert_eq!(due(&desk), ["people"]);
    assert!(is_trusted(&desk));
    let run = desk.issuer(&["publish"]);
    run.expect(3);
    for word in ["authority root were not signed", "authority servers were not signed", "root.pem"] {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("authority people"), "{}", run.stderr);
    assert!(!is_trusted(&desk));
    // Of the others nothing is revoked that is not on their CRLs.
    assert!(due(&desk).is_empty());
    serve(&desk).expect("ok");
    for key in away {
        key.back();
    }
    desk.issuer(&["publish"]).expect(0);
}

#[test]
fn a_revocation_that_cannot_be_signed_is_overdue_for_everybody_who_looks() {
    let desk = Desk::with_ocsp();
    let server = serve(&desk);
    server.expect("ok");
    let away = Away::new(&desk, "people.pem");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    for run in [&["publish"][..], &["publish", "--pending"]] {
        let run = desk.issuer(run);
        run.expect(3);
        assert!(run.stderr.contains("authority people do not say what was revoked"), "{}", run.stderr);
        assert!(is_trusted(&desk));
        assert_eq!(due(&desk), ["people"]);
        let said = server.expect("overdue");
        assert_eq!(said["overdue"].as_array().map(Vec::len), Some(1), "{said}");
    }
    let listed = desk.issuer(&["target", "list"]);
    assert!(
        listed.stdout.contains("issuer publish") && listed.stdout.contains("people"),
        "{}",
        listed.stdout
    );
    away.back();
    desk.issuer(&["publish"]).expect(0);
    assert!(!is_trusted(&desk) && due(&desk).is_empty());
    server.expect("ok");
}

/// Ten years on: one was rolled over, one was forgotten, and the root goes on.
#[test]
fn an_authority_that_has_ended_holds_nothing_up() {
    let desk = Desk::with_ocsp();
    let at = |later: &str, arguments: &[&str]| desk.on_another_day(later, arguments);
    at("+3645d", &["clock", "accept", "--why", "a test"]).expect(0);
    at("+3645d", &["ca", "rollover", "people"]).expect(0);
    at("+3645d", &["publish"]).expect(0);
    Server::on_another_day("+3645d", &desk.path("public"), &[]).expect("ok");
    let crls = || {
        let files = files_below(&desk.path("public/crl")).into_iter();
        files.map(|file| std::fs::read(file).unwrap()).collect::<BTreeSet<_>>()
    };
    let before = crls();
    let late = at("+3655d", &["publish"]);
    late.expect(0);
    assert!(late.stderr.contains("the certificate of the authority servers ended"), "{}", late.stderr);
    // That of the root and of the new key.
    assert_eq!((before.len(), crls().difference(&before).count()), (4, 2));
    at("+3655d", &["publish", "--pending"]).expect(0);
    // What the key before said is of the past; that nobody gave the other a new certificate is told.
    let said = Server::on_another_day("+3655d", &desk.path("public"), &[]).expect("expired");
    let of = |file: &serde_json::Value| file.as_str().unwrap().trim_start_matches("ocsp/")[..40].to_owned();
    let keys: BTreeSet<_> = said["expired"].as_array().unwrap().iter().map(of).collect();
    assert_eq!(keys.len(), 1, "{said}");
    at("+3655d", &["ca", "renew", "servers"]).expect(0);
    at("+3655d", &["publish"]).expect(0);
    Server::on_another_day("+3655d", &desk.path("public"), &[]).expect("ok");
}

#[test]
fn where_no_authority_can_sign_what_was_revoked_is_overdue() {
    let desk = Desk::with_ocsp();
    let server = serve(&desk);
    let away = ["root.pem", "people.pem", "servers.pem"].map(|file| Away::new(&desk, file));
    // Nothing waits for them yet.
    desk.issuer(&["publish"]).refuses(1, &["root.pem"]);
    server.expect("ok");
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let run = desk.issuer(&["publish"]);
    run.expect(3);
    assert_eq!(run.stderr.matches("were not signed").count(), 3, "{}", run.stderr);
    server.expect("overdue");
    away.into_iter().for_each(Away::back);
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");
    assert!(!is_trusted(&desk));
}

#[test]
fn where_no_authority_can_sign_nothing_is_published() {
    let desk = Desk::with_ocsp();
    std::fs::write(desk.path("passphrase"), "not the one\n").unwrap();
    let before: Vec<_> =
        files_below(&desk.path("public")).iter().map(|file| std::fs::read(file).unwrap()).collect();
    desk.issuer(&["publish"]).refuses(1, &["passphrase"]);
    let after: Vec<_> =
        files_below(&desk.path("public")).iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn health_misses_answers_that_are_gone_damaged_or_over() {
    let desk = Desk::with_ocsp();
    let server = serve(&desk);
    let said = server.expect("ok");
    assert!(said["ocsp"].as_array().unwrap().iter().all(|one| one["next_update"].is_string()), "{said}");
    let file = files_below(&desk.path("public/ocsp")).remove(0);
    let name = format!("ocsp/{}", file.file_name().unwrap().to_str().unwrap());
    let good = std::fs::read(&file).unwrap();
    // Up to its middle: the index promises answers that are not there.
    for bytes in [&b"garbage"[..], b"", &good[..good.len() / 2]] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(server.expect("damaged")["damaged"], serde_json::json!([name]));
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(server.expect("missing")["missing"], serde_json::json!([name]));
    // Also by a server that never saw it, and after a run that signs nothing, which says so.
    let pending = desk.issuer(&["publish", "--pending"]);
    pending.expect(3);
    assert!(pending.stderr.contains("have to be signed"), "{pending:?}");
    assert_eq!(serve(&desk).expect("missing")["missing"], serde_json::json!([name]));
    std::fs::write(&file, &good).unwrap();
    server.expect("ok");
    std::fs::remove_dir_all(desk.path("public/ocsp")).unwrap();
    server.expect("missing");
    desk.issuer(&["publish"]).expect(0);
    server.expect("ok");
}
