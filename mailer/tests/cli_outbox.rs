//! The outbox from outside: what is not delivered is kept, and can be tried again or given up.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use std::os::unix::fs::PermissionsExt;

use accounts::{Office, files_below, is_written_below};
use openssl_pki::Key;

/// An account whose server nobody listens at.
fn office_without_server() -> Office {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    office.setup("alice", &["--smtp", &format!("smtp://127.0.0.1:{free}")]).expect(0);
    office
}

const SEND: [&str; 5] = ["send", "--to", "bob@example.test", "--subject", "later"];

#[test]
fn an_outage_keeps_the_protected_message_until_it_can_go() {
    let office = office_without_server();
    let said = office.run("alice", &SEND, b"the eagle lands at noon").expect(1);
    assert!(
        said.stderr.contains("waits in the outbox") && said.stderr.contains("cannot be reached"),
        "{}",
        said.stderr
    );
    let outbox = office.path("home-alice/outbox");
    assert!(!is_written_below(&office.path("home-alice"), b"the eagle lands at noon"));
    for file in files_below(&outbox) {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{}", file.display());
    }
    let list = office.run("alice", &["outbox", "list", "--json"], b"").expect(0).text();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["entries"][0]["recipients"][0]["state"], "waiting");
    office.run("alice", &["outbox", "flush"], b"").expect(1);
    let sent = || office.run("alice", &["list", "--sent"], b"").expect(0).text();
    assert_eq!(sent(), "No messages.\n", "what never left was not sent");
    // Another way out appears; the same bytes go, without the card.
    office.setup("alice", &["--maildir", "spool"]).expect(0);
    std::fs::remove_file(office.path("alice.card")).unwrap();
    let said = office.run("alice", &["outbox", "flush"], b"").expect(0);
    assert!(said.text().contains("bob@example.test: delivered"), "{}", said.text());
    assert_eq!(sent().lines().count(), 2, "{}", sent());
    office.run("bob", &["fetch"], b"").expect(0);
    assert!(office.run("bob", &["read", "1"], b"").expect(0).text().contains("the eagle lands at noon"));
    assert!(office.run("alice", &["outbox"], b"").expect(0).text().contains("empty"));
}

#[test]
fn a_message_can_be_given_up() {
    let office = office_without_server();
    let said = office.run("alice", &[&SEND[..], &["--json"]].concat(), b"x").expect(1);
    let sent: serde_json::Value = serde_json::from_str(&said.text()).unwrap();
    let id = sent["id"].as_str().unwrap();
    office.run("alice", &["outbox", "remove", "another"], b"").expect(1);
    office.run("alice", &["outbox", "remove", id], b"").expect(0);
    assert!(office.run("alice", &["outbox"], b"").expect(0).text().contains("empty"));
    assert!(files_below(&office.path("home-alice/outbox")).iter().all(|file| file.ends_with(".lock")));
}

#[test]
fn a_damaged_entry_is_named_and_the_others_go() {
    let office = office_without_server();
    office.run("alice", &SEND, b"x").expect(1);
    office.run("alice", &SEND, b"y").expect(1);
    let lost = files_below(&office.path("home-alice/outbox"))
        .into_iter()
        .find(|file| file.extension().is_some_and(|e| e == "eml"));
    std::fs::remove_file(lost.unwrap()).unwrap();
    std::fs::write(office.path("home-alice/outbox/00000000.json"), "{").unwrap();
    office.setup("alice", &["--maildir", "spool"]).expect(0);
    let said = office.run("alice", &["outbox", "flush"], b"").expect(3);
    assert!(
        said.text().contains("delivered") && said.stderr.contains("00000000.json is damaged"),
        "{}",
        said.stderr
    );
}

#[test]
fn without_a_way_out_nothing_is_signed() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.setup("alice", &[]).expect(0);
    let said = office.run_with_pin("alice", "000000", &SEND, b"x").expect(1);
    assert!(said.stderr.contains("--smtp or --maildir"), "{}", said.stderr);
    assert!(office.run("alice", &["fetch"], b"").expect(1).stderr.contains("--imap or --maildir"));
}

#[test]
fn while_another_process_sends_a_message_waits_and_is_not_lost() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let outbox = mailer::transport::outbox::Outbox::open(&office.path("home-alice/outbox")).unwrap();
    let lock = outbox.lock().unwrap();
    let said = office.run("alice", &SEND, b"x").expect(1);
    assert!(said.stderr.contains("bob@example.test: waiting"), "{}", said.stderr);
    let said = office.run("alice", &["outbox", "flush"], b"").expect(1);
    assert!(said.stderr.contains("another mailer"), "{}", said.stderr);
    drop(lock);
    office.run("alice", &["outbox", "flush"], b"").expect(0);
}
