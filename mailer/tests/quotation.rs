//! What may be quoted in a reply: nothing that was not shown, and nothing decrypted to people who neither wrote nor got it.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail this way"
)]
mod accounts;
mod openssl_pki;

use accounts::Office;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::directory::Directory;
use mailer::keys::KeyRing;
use mailer::message::address::Address;
use mailer::protection::open::{ReleasePolicy, open};
use mailer::protection::quotation::{NotQuotable, Shown};
use mailer::trust::{Anchor, Anchors, Judge, UnknownRevocation};
use openssl_pki::{FileKeyRing, Key, openssl};

const PLAIN: &[u8] =
    b"From: alice@example.test\nTo: bob@example.test\nCc: carol@example.test\nSubject: memo\n\nthe secret\n";

/// Bob's card opens the message, and Bob sees it.
fn shown(office: &Office, message: &str, show_untrusted: bool) -> Option<Shown> {
    let at = SystemClock.now();
    let anchors = Anchors(vec![Anchor {
        certificate: office.pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let location = format!("file:{}", office.path("published").display()).parse().unwrap();
    let mut directory = Directory::open(&location, &office.path("quotation-cache"), at).unwrap();
    let unknown_revocation = UnknownRevocation::Reject;
    let mut judge = Judge { anchors: &anchors, source: &mut directory, at, unknown_revocation };
    let certificate = openssl(office.pki.path(), &["x509", "-in", "bob-read.pem"]);
    let certificate = mailer::certificate::Certificate::from_file_contents(&certificate).unwrap().remove(0);
    let key = openssl(
        office.pki.path(),
        &["pkcs8", "-topk8", "-nocrypt", "-in", "bob-read.key", "-outform", "DER"],
    );
    let mut keys = || {
        let mut ring = FileKeyRing::default();
        ring.add(&key, certificate.clone())?;
        Ok(Box::new(ring) as Box<dyn KeyRing>)
    };
    let opened = open(&Content::from_vec(message.as_bytes().to_vec()), &mut keys, &mut judge).unwrap();
    Shown::new(opened, ReleasePolicy { require_signed: false, show_untrusted }).unwrap()
}

fn addresses(text: &str) -> Vec<Address> {
    text.split(' ').map(|address| address.parse().unwrap()).collect()
}

#[test]
fn a_reply_quotes_only_what_its_readers_may_know() {
    let office = Office::new();
    for name in ["alice", "bob", "carol"] {
        office.person(name, Key::P256);
    }
    let protect =
        |more: &[&str]| office.run("alice", &[&["protect"][..], more].concat(), PLAIN).expect(0).text();
    let stranger = || Err(NotQuotable::Stranger("eve@y.test".to_owned()));

    let message = protect(&[]);
    let all = shown(&office, &message, false).unwrap().quotation().unwrap();
    assert_eq!(all.for_recipients(&addresses("alice@example.test carol@example.test")), Ok("> the secret\n"));
    assert_eq!(all.for_recipients(&addresses("alice@example.test eve@y.test")), stranger());
    // Eve sends Alice's envelope on under her own name, and adds herself: the names outside count for nothing.
    let eve = message
        .replace("From: alice@example.test", "From: eve@y.test\r\nReply-To: eve@y.test")
        .replace("Cc: carol@example.test", "Cc: carol@example.test, eve@y.test");
    let quotation = shown(&office, &eve, false).unwrap().quotation().unwrap();
    assert_eq!(quotation.for_recipients(&addresses("eve@y.test")), stranger());
    // Without a protected header, the author alone is proven.
    let message = protect(&["--headers", "unprotected"]);
    let quotation = shown(&office, &message, false).unwrap().quotation().unwrap();
    assert!(quotation.for_recipients(&addresses("alice@example.test")).is_ok());
    assert!(quotation.for_recipients(&addresses("carol@example.test")).is_err());

    let unsigned = shown(&office, &protect(&["--no-sign"]), false).unwrap();
    assert!(unsigned.readable().text.contains("the secret"));
    assert_eq!(unsigned.quotation(), Err(NotQuotable::NobodyProven));
    let forged = protect(&["--headers", "unprotected"]).replace("From: alice@", "From: carol@");
    assert!(shown(&office, &forged, false).is_none());
    assert_eq!(shown(&office, &forged, true).unwrap().quotation(), Err(NotQuotable::NotTrusted));
    let signed = shown(&office, &protect(&["--no-encrypt"]), false).unwrap().quotation().unwrap();
    assert_eq!(signed.for_recipients(&addresses("eve@y.test")), Ok("> the secret\n"));
}

#[test]
fn a_sealed_part_between_others_is_not_quoted() {
    let office = Office::new();
    for name in ["alice", "bob"] {
        office.person(name, Key::P256);
    }
    let sealed = office.run("alice", &["protect", "--to", "bob@example.test"], PLAIN).expect(0).text();
    let entity = &sealed[sealed.find("Content-Type").unwrap()..];
    let message = format!(
        "From: eve@y.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwhat do you say to this?\r\n--b\r\n{entity}\r\n\
         --b\r\nContent-Type: text/html\r\n\r\n<p style='display:none'>hidden</p>end\r\n--b--\r\n"
    );
    let shown = shown(&office, &message, false).unwrap();
    let quotation = shown.quotation().unwrap();
    let quoted = quotation.for_recipients(&addresses("eve@y.test")).unwrap();
    assert_eq!(quoted, "> what do you say to this?\n> end\n");
}
