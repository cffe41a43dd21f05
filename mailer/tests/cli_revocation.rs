//! Who is asked about revocation, and what unknown revocation means, as `--offline` and the table `[revocation]` say.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use accounts::Office;
use jiff::{SignedDuration, Timestamp};
use mailer::clock::{Clock, SystemClock};
use openssl_pki::{Key, openssl};

const PLAIN: &[u8] = b"From: alice@example.test\nTo: bob@example.test\nSubject: memo\n\nline\n";

/// Alice's signed message, and the configuration of Bob, who reads it.
struct World {
    office: Office,
    signed: Vec<u8>,
    config: String,
}

impl World {
    fn new() -> Self {
        let office = Office::new();
        for name in ["alice", "bob"] {
            office.person(name, Key::P256);
        }
        let signed = office.run("alice", &["protect", "--no-encrypt"], PLAIN).expect(0).stdout;
        let config = std::fs::read_to_string(office.path("home-bob/config.toml")).unwrap();
        Self { office, signed, config }
    }

    fn configure(&self, directory: &str, revocation: &str) {
        let config = self.config.lines().map(|line| match line.starts_with("directory = ") {
            true => format!("directory = {directory:?}\n"),
            false => format!("{line}\n"),
        });
        let config: String = config.collect();
        std::fs::write(
            self.office.path("home-bob/config.toml"),
            format!("{config}\n[revocation]\n{revocation}\n"),
        )
        .unwrap();
    }

    /// Exit code and verdict.
    fn verify(&self, options: &[&str]) -> (i32, serde_json::Value) {
        let said = self.office.run("bob", &[&["verify", "--json"], options].concat(), &self.signed);
        (said.code, serde_json::from_slice(&said.stdout).unwrap_or_else(|_| said.json()))
    }
}

/// Somebody who counts those who knock, and tells them nothing.
fn listen() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let knocks = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            knocks.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (address, count)
}

#[test]
fn offline_asks_neither_directory_nor_responder() {
    let world = World::new();
    let (address, knocks) = listen();
    let responder = format!("ocsp_responder = \"{address}/ocsp\"");
    for directory in [address.as_str(), "file:published"] {
        world.configure(directory, &responder);
        for (options, offline) in [(&["--offline"][..], ""), (&[][..], "offline = true")] {
            world.configure(directory, &format!("{responder}\n{offline}"));
            knocks.store(0, Ordering::SeqCst);
            let (code, found) = world.verify(options);
            // The published lists in a folder are no network.
            let expected = if directory == address { (4, "revocation-unknown") } else { (0, "trusted") };
            assert_eq!((code, found["verdict"]["code"].as_str().unwrap()), expected, "{found}");
            assert_eq!(knocks.load(Ordering::SeqCst), 0, "{directory} {options:?}");
        }
        world.configure(directory, &responder);
        world.verify(&[]);
        assert!(knocks.load(Ordering::SeqCst) > 0, "{directory}: otherwise both are asked");
    }
}

#[test]
fn what_is_unknown_or_stale_is_judged_as_configured() {
    let world = World::new();
    let code = |directory: &str, revocation: &str| {
        world.configure(directory, revocation);
        let (code, found) = world.verify(&[]);
        (code, found["verdict"]["code"].as_str().unwrap_or_default().to_owned(), found.to_string())
    };
    // A newer list was due two hours ago.
    let asn1 = |moment: Timestamp| moment.strftime("%Y%m%d%H%M%SZ").to_string();
    let due = asn1(SystemClock.now() - SignedDuration::from_hours(2));
    for authority in [&world.office.pki.root, &world.office.pki.people] {
        let identifier = hex::encode(authority.certificate().subject_key_identifier().unwrap());
        let list = authority.crl_with("", ("20240101000000Z", &due));
        std::fs::write(world.office.path(&format!("published/crl/{identifier}.crl")), list.der()).unwrap();
    }
    let stale = |hours: u32| format!("when_unknown = \"accept-stale\"\nstale_hours = {hours}");
    let cases = [
        (String::new(), 4, "revocation-unknown"),
        ("when_unknown = \"reject\"".to_owned(), 4, "revocation-unknown"),
        (stale(1), 4, "revocation-unknown"),
        (stale(3), 0, "trusted"),
        ("when_unknown = \"accept-stale\"".to_owned(), 0, "trusted"),
        ("when_unknown = \"accept\"".to_owned(), 0, "trusted"),
    ];
    for (revocation, expected, verdict) in cases {
        let (found, name, whole) = code("file:published", &revocation);
        assert_eq!((found, name.as_str()), (expected, verdict), "{revocation}: {whole}");
        let told = whole.contains("a newer one has been due for");
        assert_eq!(told, revocation.contains("stale") && expected == 0, "{revocation}: {whole}");
    }
    let (_, _, whole) = code("file:published", "ocsp_responder = \"ldap://nobody\"");
    assert!(whole.contains("ocsp_responder must be written as"), "{whole}");
    let (_, _, whole) = code("file:published", "when_unknown = \"whatever\"");
    assert!(whole.contains("cannot be read"), "{whole}");
}

#[test]
fn published_lists_may_be_pem_and_differences() {
    let world = World::new();
    let people = &world.office.pki.people;
    let identifier = hex::encode(people.certificate().subject_key_identifier().unwrap());
    let published = |ending: &str| world.office.path(&format!("published/crl/{identifier}{ending}.crl"));
    people.crl_with("", ("20240101000000Z", "20480101000000Z"));
    let pem = std::fs::read(world.office.path("People.crl")).unwrap();
    assert!(pem.starts_with(b"-----BEGIN X509 CRL-----"));
    std::fs::write(published(""), &pem).unwrap();
    assert_eq!(world.verify(&[]).0, 0);
    let base = openssl(world.office.pki.path(), &["crl", "-in", "People.crl", "-noout", "-crlnumber"]);
    let base = String::from_utf8(base).unwrap().trim().trim_start_matches("crlNumber=").to_owned();
    let digits = base.trim_start_matches("0x");
    people.revoke("alice-sign", &["-crl_reason", "keyCompromise"]);
    let delta = people
        .crl_with(&format!("2.5.29.27=critical,DER:0201{digits}"), ("20240102000000Z", "20480101000000Z"));
    std::fs::write(published("-delta"), delta.der()).unwrap();
    assert_eq!(world.verify(&[]).1["verdict"]["code"], "revoked");
    // Without the list that it continues it says nothing; and what cannot be read is told.
    std::fs::write(published(""), b"-----BEGIN X509 CRL-----\nno\n").unwrap();
    let (code, found) = world.verify(&[]);
    assert_eq!((code, &found["verdict"]["code"]), (4, &"revocation-unknown".into()), "{found}");
    assert!(found.to_string().contains("only a difference to another"), "{found}");
    assert!(found["notes"].to_string().contains(&identifier), "{found}");
}
