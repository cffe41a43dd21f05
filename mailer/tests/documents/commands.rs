//! `mailer document` as a user runs it: cards in files, time-stamp servers on loopback.
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::accounts::{Office, Said};
use crate::material::{TSA, assemble, pdf};
use crate::openssl_pki::{Key, Pki, openssl};
use crate::time_stamp_server::{Answer, nobody, serve};

/// The reply of `openssl ts` with the authority that lies in the folder.
fn reply(folder: &std::path::Path, request: &[u8]) -> Vec<u8> {
    let scratch = tempfile::tempdir_in(folder).unwrap();
    std::fs::write(scratch.path().join("query.tsq"), request).unwrap();
    let config = "[tsa]\ndefault_tsa=this\n[this]\nserial=stamps\ncrypto_device=builtin\nsigner_cert=../Stamper.pem\n\
        signer_key=../Stamper.key\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha512\naccuracy=secs:1\n\
        ess_cert_id_chain=no\ness_cert_id_alg=sha256\n";
    std::fs::write(scratch.path().join("tsa.cnf"), config).unwrap();
    openssl(
        scratch.path(),
        &["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr"],
    );
    std::fs::read(scratch.path().join("reply.tsr")).unwrap()
}

/// An office with a time-stamp server that answers while `good` says so, by the number of the request.
struct Chancery {
    office: Office,
}

impl Chancery {
    fn new(good: impl Fn(usize) -> bool + Send + 'static) -> Self {
        let office = Office::new();
        office.pki.root.issue("Stamper", Key::P256, TSA);
        let folder = office.pki.path().to_owned();
        let asked = AtomicUsize::new(0);
        let (url, _) = serve(move |request| match good(asked.fetch_add(1, Ordering::Relaxed)) {
            true => Answer::Reply(reply(&folder, request)),
            false => Answer::Http("503 Service Unavailable".to_owned(), b"later".to_vec()),
        });
        let chancery = Self { office };
        chancery.person("alice", &["--time-stamp-server", url.as_str()]);
        chancery
    }

    fn person(&self, name: &str, more: &[&str]) {
        let person = self.office.issue(name, Key::P256);
        self.office.publish(&person);
        self.office.make_card(&person);
        self.office.setup(name, &[&["--maildir", "spool"], more].concat()).expect(0);
    }

    fn write(&self, name: &str, content: &[u8]) {
        self.office.pki.write(name, content);
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.office.run("alice", &[&["document"], arguments].concat(), b"")
    }

    fn exists(&self, name: &str) -> bool {
        self.office.path(name).exists()
    }

    fn verify(&self, name: &str, exit: i32) -> Value {
        let said = self.run(&["verify", name, "--json"]).expect(exit);
        serde_json::from_slice(&said.stdout).unwrap()
    }
}

#[test]
fn a_document_is_signed_beside_the_original_and_verified_by_anybody() {
    let chancery = Chancery::new(|_| true);
    let original = pdf(2);
    chancery.write("notice.pdf", &original);
    let said =
        chancery.run(&["sign", "notice.pdf", "--reason", "Issued", "--seal", "--at", "40,40"]).expect(0);
    assert_eq!(said.text(), "notice.pdf was signed as notice-signed.pdf.\n");
    assert_eq!(chancery.office.pki.read("notice.pdf"), original);
    let found = chancery.verify("notice-signed.pdf", 0);
    assert_eq!(found["standing"], "trusted");
    assert_eq!((&found["signatures"][0]["level"], &found["certified"]), (&"B-LT".into(), &1.into()));
    // Who has no account needs only the anchor, and no network.
    let mut alone = Command::new(env!("CARGO_BIN_EXE_mailer"));
    alone.current_dir(chancery.office.pki.path()).args(["--home", "none", "document", "verify"]);
    alone.args(["--anchor", "Root.pem", "notice-signed.pdf"]);
    let said = crate::accounts::run(&mut alone, b"").expect(0);
    assert!(
        said.text().starts_with("Trusted: the document is as it was signed.\nSignature1 (B-LT): "),
        "{}",
        said.text()
    );
    let mut tampered = chancery.office.pki.read("notice-signed.pdf");
    let at = tampered.windows(7).position(|window| window == b"fee is ").unwrap() + 7;
    tampered[at] = b'9';
    chancery.write("tampered.pdf", &tampered);
    assert_eq!(chancery.verify("tampered.pdf", 4)["standing"], "tampered");
    assert_eq!(chancery.verify("notice.pdf", 4)["standing"], "unsigned");
}

#[test]
fn any_file_gets_a_signature_beside_it() {
    let chancery = Chancery::new(|_| true);
    chancery.write("contract.docx", b"PK not really");
    chancery.run(&["sign", "contract.docx"]).expect(0);
    let found = chancery.verify("contract.docx.p7s", 0);
    assert!(found["signatures"][0]["verdict"]["proven_time"].is_string(), "{found}");
    let arguments = "cms -verify -cades -binary -inform DER -in contract.docx.p7s -content contract.docx -CAfile Root.pem -certfile People.pem -purpose any -out out";
    openssl(chancery.office.pki.path(), &arguments.split(' ').collect::<Vec<_>>());
    chancery.write("contract.docx", b"PK not really!");
    assert_eq!(chancery.verify("contract.docx.p7s", 4)["standing"], "content-changed");
    let said = chancery.run(&["verify", "contract.docx"]).expect(1);
    assert!(said.stderr.contains("neither a PDF file nor a signature"), "{}", said.stderr);
}

#[test]
fn a_dead_time_stamp_server_is_found_before_the_pin_is_asked() {
    let chancery = Chancery::new(|_| false);
    chancery.write("notice.pdf", &pdf(1));
    let said =
        chancery.office.run_with_pin("alice", "999999", &["document", "sign", "notice.pdf", "--json"], b"");
    let said = said.expect(1);
    assert_eq!(said.json()["error"]["code"], "no-time-stamp");
    assert!(!chancery.exists("notice-signed.pdf"));
    // The wrong PIN was not spent: the right one signs without a word about tries.
    chancery.run(&["sign", "notice.pdf", "--level", "b-b"]).expect(0);
}

#[test]
fn a_time_stamp_that_fails_after_the_signature_is_added_later_without_the_card() {
    // The rehearsal succeeds, the stamp of the signature fails; later everything works.
    let later = Arc::new(AtomicUsize::new(0));
    let is_later = Arc::clone(&later);
    let chancery = Chancery::new(move |asked| asked == 0 || is_later.load(Ordering::Relaxed) == 1);
    chancery.write("notice.pdf", &pdf(1));
    let said = chancery.run(&["sign", "notice.pdf", "--level", "b-t"]).expect(3);
    assert!(said.stderr.contains("mailer document stamp notice-signed.pdf"), "{}", said.stderr);
    assert_eq!(chancery.verify("notice-signed.pdf", 0)["signatures"][0]["level"], "B-B");
    let said = chancery.run(&["stamp", "notice-signed.pdf"]).expect(1);
    assert!(said.stderr.contains("503"), "{}", said.stderr);
    later.store(1, Ordering::Relaxed);
    chancery.run(&["stamp", "notice-signed.pdf"]).expect(0);
    assert_eq!(chancery.verify("notice-signed.pdf", 0)["signatures"][0]["level"], "B-T");
    let said = chancery.run(&["stamp", "notice-signed.pdf"]).expect(1);
    assert!(said.stderr.contains("has a time stamp already"), "{}", said.stderr);
}

#[test]
fn the_next_server_is_asked_when_one_is_dead_or_not_believed() {
    let chancery = Chancery::new(|_| true);
    let stranger = Pki::new();
    stranger.root.issue("Stamper", Key::P256, TSA);
    let folder = stranger.path().to_owned();
    let (strange, _) = serve(move |request| Answer::Reply(reply(&folder, request)));
    let good = chancery.office.path("home-alice/config.toml");
    let good = std::fs::read_to_string(good).unwrap();
    let good =
        good.lines().find(|line| line.starts_with("servers")).unwrap().split('"').nth(1).unwrap().to_owned();
    let (dead, strange) = (nobody(), strange.as_str().to_owned());
    let servers = [dead.as_str(), strange.as_str(), good.as_str()];
    let options: Vec<&str> = servers.iter().flat_map(|server| ["--time-stamp-server", *server]).collect();
    chancery.office.setup("alice", &[&["--maildir", "spool"], &options[..]].concat()).expect(0);
    chancery.write("notice.pdf", &pdf(1));
    let said = chancery.run(&["sign", "notice.pdf"]).expect(0);
    assert!(said.stderr.contains(dead.as_str()) && said.stderr.contains(&strange), "{}", said.stderr);
    assert_eq!(chancery.verify("notice-signed.pdf", 0)["signatures"][0]["level"], "B-LT");
}

#[test]
fn what_cannot_be_signed_is_refused_with_its_reason_and_nothing_is_written() {
    let chancery = Chancery::new(|_| true);
    chancery.write("notice.pdf", &pdf(1));
    chancery.run(&["sign", "notice.pdf", "--output", "certified.pdf"]).expect(0);
    openssl(chancery.office.pki.path(), &["version"]);
    let encrypted = Command::new("qpdf")
        .args(["--encrypt", "user", "owner", "256", "--", "notice.pdf", "encrypted.pdf"])
        .current_dir(chancery.office.pki.path())
        .status();
    assert!(encrypted.unwrap().success());
    let mut damaged = pdf(1);
    let at = damaged.windows(9).position(|window| window == b"startxref").unwrap();
    damaged.splice(at..at + 14, *b"startxref\n99\n%");
    chancery.write("damaged.pdf", &damaged);
    chancery.write(
        "recursive.pdf",
        &assemble(
            &[
                "<</Type /Catalog /Pages 2 0 R>>".to_owned(),
                "<</Type /Pages /Count 1 /Kids [2 0 R]>>".to_owned(),
            ],
            "",
        ),
    );
    for (file, code) in [
        ("certified.pdf", "document-certified"),
        ("encrypted.pdf", "document-encrypted"),
        ("damaged.pdf", "pdf-damaged"),
        ("recursive.pdf", "pdf-damaged"),
        ("absent.pdf", "file"),
    ] {
        let said = chancery.run(&["sign", file, "--output", "out.pdf", "--json"]).expect(1);
        assert_eq!(said.json()["error"]["code"], code, "{file}: {}", said.stderr);
        assert!(!chancery.exists("out.pdf"), "{file}");
    }
    chancery.run(&["normalise", "damaged.pdf"]).expect(0);
    chancery.run(&["sign", "damaged-normalised.pdf"]).expect(0);
    assert_eq!(chancery.verify("damaged-normalised-signed.pdf", 0)["standing"], "trusted");
    let said = chancery.run(&["normalise", "certified.pdf", "--json"]).expect(1);
    assert_eq!(said.json()["error"]["code"], "pdf-signed");
    for (arguments, code) in [
        (&["--output", "notice.pdf"][..], 2),
        (&["--field", "a.b"], 1),
        (&["--seal", "--page", "7"], 1),
        (&["--seal", "--at", "here"], 2),
        (&["--at", "1,1"], 2),
        (&["--certify", "fill-in", "--no-certify"], 2),
    ] {
        let said = chancery.run(&[&["sign", "notice.pdf"], arguments].concat());
        assert_eq!(said.code, code, "{arguments:?}: {}", said.stderr);
    }
}

#[test]
fn what_would_surprise_is_told_before_anything_is_done() {
    let chancery = Chancery::new(|_| true);
    chancery.write("notice.pdf", &pdf(1));
    chancery.run(&["sign", "notice.pdf"]).expect(0);
    let first = chancery.office.pki.read("notice-signed.pdf");
    let said = chancery.run(&["sign", "notice.pdf"]).expect(2);
    assert!(said.stderr.contains("notice-signed.pdf is there already"), "{}", said.stderr);
    assert_eq!(chancery.office.pki.read("notice-signed.pdf"), first);
    chancery.run(&["sign", "notice.pdf", "--output", "notice-signed.pdf"]).expect(0);
    assert_ne!(chancery.office.pki.read("notice-signed.pdf"), first);
    // The wrong PIN is not spent where there is no folder.
    let arguments = ["document", "sign", "notice.pdf", "--output", "absent/notice.pdf"];
    let said = chancery.office.run_with_pin("alice", "999999", &arguments, b"").expect(1);
    assert!(said.stderr.contains("there is no folder absent"), "{}", said.stderr);
    chancery.write("words.pdf", b"only words");
    let said = chancery.run(&["sign", "words.pdf", "--json"]).expect(1);
    assert_eq!(said.json()["error"]["code"], "not-a-pdf");
    chancery.run(&["sign", "words.pdf", "--detached"]).expect(0);
    assert_eq!(chancery.verify("words.pdf.p7s", 0)["trusted"], true);
    for (list, words) in [(&b"M\xFCller\n"[..], "UTF-8"), (b"name,mail\nBob\n", "line 2: 1 columns")] {
        chancery.write("list.csv", list);
        let said =
            chancery.run(&["distribute", "notice.pdf", "--to", "list.csv", "--subject", "Fees"]).expect(2);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
}

#[test]
fn a_sealed_document_says_how_it_is_opened() {
    let chancery = Chancery::new(|_| true);
    chancery.person("bob", &[]);
    chancery.write("notice.pdf", &pdf(1));
    chancery.run(&["encrypt", "notice.pdf", "--to", "bob@example.test"]).expect(0);
    let said = chancery.run(&["verify", "notice-sealed.pdf"]).expect(4);
    assert!(said.text().contains("mailer document decrypt"), "{}", said.text());
    let plain = chancery.run(&["verify", "notice.pdf"]).expect(4);
    assert!(!plain.text().contains("decrypt"), "{}", plain.text());
}
