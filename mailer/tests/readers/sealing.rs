//! `mailer document encrypt` and `decrypt`.
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::material::{names, office, pdf};
use crate::openssl_pki::Key;

const WORDS: &str = "The fee is 100.";

#[test]
fn a_signed_document_is_sealed_and_its_readers_alone_open_it() {
    let office = office(&["alice", "bob", "mallory"]);
    office.pki.write("notice.pdf", &pdf(WORDS));
    office.run("alice", &["document", "sign", "notice.pdf", "--level", "b-b"], b"").expect(0);
    let signed = office.pki.read("notice-signed.pdf");
    let said =
        office.run("alice", &["document", "encrypt", "notice-signed.pdf", "--to", "bob@example.test"], b"");
    let said = said.expect(0).text();
    assert_eq!(
        said,
        "notice-signed.pdf was sealed to bob@example.test and yourself as notice-signed-sealed.pdf.\n"
    );
    assert_eq!(office.pki.read("notice-signed.pdf"), signed);
    let sealed = office.pki.read("notice-signed-sealed.pdf");
    assert!(memchr::memmem::find(&sealed, WORDS.as_bytes()).is_none());
    // Another program sees a good PDF file with one page, and a stranger to the keys gets nothing.
    std::fs::create_dir(office.path("desk")).unwrap();
    std::fs::rename(office.path("notice-signed-sealed.pdf"), office.path("desk/sealed.pdf")).unwrap();
    let said = office.run("mallory", &["document", "decrypt", "desk/sealed.pdf", "--json"], b"").expect(1);
    assert_eq!(said.json()["error"]["code"], "not-for-us");
    assert_eq!(names(&office.path("desk")), ["sealed.pdf"]);
    // A reader, and whoever sealed it; nothing that is there is replaced.
    for (reader, name) in [("bob", "notice-signed.pdf"), ("alice", "notice-signed (2).pdf")] {
        let said = office.run(reader, &["document", "decrypt", "desk/sealed.pdf"], b"").expect(0);
        assert!(said.text().starts_with("Trusted: the document is as it was signed.\n"), "{}", said.text());
        let path = office.path("desk").join(name);
        assert_eq!(std::fs::read(&path).unwrap(), signed, "{reader}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(office.pki.read("desk/sealed.pdf"), sealed);
}

#[test]
fn readers_who_cannot_be_are_named_together_and_nothing_is_written() {
    let office = office(&["alice", "bob", "carol"]);
    office.pki.write("notice.pdf", &pdf(WORDS));
    office.unpublish("carol");
    let bob = office.issue("bob2", Key::P256);
    office.publish(&bob);
    office.revoke(&bob.reader);
    let to = "bob@example.test, carol@example.test, bob2@example.test, dave@elsewhere.test";
    let arguments = ["document", "encrypt", "notice.pdf", "--to", to, "--json"];
    let said = office.run("alice", &arguments, b"").expect(1);
    let refused = said.json();
    assert_eq!(refused["error"]["code"], "recipients-refused");
    let addresses: Vec<&str> = refused["error"]["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refusal| refusal["address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses, ["carol@example.test", "bob2@example.test", "dave@elsewhere.test"]);
    assert!(said.stderr.contains("nothing was sealed"), "{}", said.stderr);
    assert!(!office.path("notice-sealed.pdf").exists());
    let said = office.run("alice", &["document", "encrypt", "notice.pdf"], b"").expect(2);
    assert!(said.stderr.contains("--to"), "{}", said.stderr);
}

#[test]
fn only_pdf_files_are_sealed_and_what_to_do_with_others_is_said() {
    let office = office(&["alice", "bob"]);
    office.pki.write("letter.txt", b"words");
    let arguments = ["document", "encrypt", "letter.txt", "--to", "bob@example.test", "--json"];
    let refused = office.run("alice", &arguments, b"").expect(1).json();
    assert_eq!(refused["error"]["code"], "not-a-pdf");
    assert!(refused["error"]["message"].as_str().unwrap().contains("mailer send --attach"));
    office.pki.write("notice.pdf", &pdf(WORDS));
    let arguments =
        ["document", "encrypt", "notice.pdf", "--to", "bob@example.test", "--output", "notice.pdf"];
    office.run("alice", &arguments, b"").expect(2);
    assert_eq!(office.pki.read("notice.pdf"), pdf(WORDS));
    let said = office.run("bob", &["document", "decrypt", "notice.pdf", "--json"], b"").expect(1);
    assert_eq!(said.json()["error"]["code"], "not-sealed");
}

/// Seals a file for bob and opens it with bob's card; answers the facts and the exit code.
fn through(office: &crate::accounts::Office, file: &str, more: &[&str], exit: i32) -> Value {
    let arguments = ["document", "encrypt", file, "--to", "bob@example.test", "--output", "sealed.pdf"];
    office.run("alice", &arguments, b"").expect(0);
    let _ = std::fs::remove_file(office.path("opened.pdf"));
    let arguments =
        [&["document", "decrypt", "sealed.pdf", "--output", "opened.pdf", "--json"], more].concat();
    serde_json::from_slice(&office.run("bob", &arguments, b"").expect(exit).stdout).unwrap()
}

#[test]
fn what_is_inside_is_judged_as_mail_is() {
    let office = office(&["alice", "bob", "mallory"]);
    office.pki.write("notice.pdf", &pdf(WORDS));
    let found = through(&office, "notice.pdf", &[], 0);
    assert_eq!((&found["standing"], &found["content"]), (&"unsigned".into(), &"written".into()));
    assert_eq!(found["seal_is_intact"], true);
    assert_eq!(office.pki.read("opened.pdf"), pdf(WORDS));
    let found = through(&office, "notice.pdf", &["--require-signed"], 4);
    assert_eq!(found["content"], "withheld");
    assert!(!office.path("opened.pdf").exists());
    office.run("mallory", &["document", "sign", "notice.pdf", "--level", "b-b"], b"").expect(0);
    let signed = office.pki.read("notice-signed.pdf");
    assert_eq!(through(&office, "notice-signed.pdf", &[], 0)["standing"], "trusted");
    let at = memchr::memmem::find(&signed, b"fee is ").unwrap() + 7;
    let mut tampered = signed.clone();
    tampered[at] = b'9';
    office.pki.write("tampered.pdf", &tampered);
    for more in [&[][..], &["--show-untrusted"]] {
        let found = through(&office, "tampered.pdf", more, 4);
        assert_eq!((&found["standing"], &found["content"]), (&"tampered".into(), &"withheld".into()));
        assert!(!office.path("opened.pdf").exists());
    }
    let mallory = crate::openssl_pki::Identity {
        folder: office.pki.path().to_owned(),
        name: "mallory-sign".to_owned(),
    };
    office.revoke(&mallory);
    let found = through(&office, "notice-signed.pdf", &[], 4);
    assert_eq!((&found["standing"], &found["content"]), (&"untrusted".into(), &"withheld".into()));
    let found = through(&office, "notice-signed.pdf", &["--show-untrusted"], 4);
    assert_eq!(found["content"], "written");
    assert_eq!(office.pki.read("opened.pdf"), signed);
}

#[test]
fn a_sealed_document_that_was_changed_gives_nothing() {
    let office = office(&["alice", "bob"]);
    office.pki.write("notice.pdf", &pdf(&"Words and words. ".repeat(500)));
    through(&office, "notice.pdf", &[], 0);
    std::fs::remove_file(office.path("opened.pdf")).unwrap();
    let sealed = office.pki.read("sealed.pdf");
    let middle = middle_of_longest_stream_inside(&sealed);
    let mut changed = sealed.clone();
    changed[middle] ^= 1;
    for file in [&changed, &sealed[..middle].to_vec()] {
        office.pki.write("changed.pdf", file);
        let arguments =
            ["document", "decrypt", "changed.pdf", "--output", "opened.pdf", "--show-untrusted", "--json"];
        let said = office.run("bob", &arguments, b"");
        let code = said.json()["error"]["code"].as_str().unwrap().to_owned();
        let expected = if file.len() == sealed.len() { (4, "sealed-damaged") } else { (1, "pdf-damaged") };
        assert_eq!((said.code, code.as_str()), expected, "{}", said.stderr);
        assert!(!office.path("opened.pdf").exists());
    }
    let wrong = office.run_with_pin("bob", "999999", &["document", "decrypt", "sealed.pdf", "--json"], b"");
    assert_eq!(wrong.expect(1).json()["error"]["code"], "wrong-pin");
}

/// In the file inside, that is the document.
fn middle_of_longest_stream_inside(sealed: &[u8]) -> usize {
    let payload = memchr::memmem::rfind(sealed, b"%PDF-2.0").unwrap();
    assert!(payload > 0);
    let starts = memchr::memmem::find_iter(&sealed[payload..], b">>stream")
        .chain(memchr::memmem::find_iter(&sealed[payload..], b"\nstream"));
    let length = |start: &usize| memchr::memmem::find(&sealed[payload + start..], b"endstream").unwrap();
    let longest = starts.max_by_key(length).unwrap();
    payload + longest + length(&longest) / 2
}

#[test]
fn a_document_that_cannot_be_judged_is_withheld_and_said_to_be_so() {
    let office = office(&["alice", "bob"]);
    let mut damaged = pdf(WORDS);
    let at = memchr::memmem::find(&damaged, b"startxref").unwrap();
    damaged.splice(at..at + 14, *b"startxref\n99\n%");
    office.pki.write("damaged.pdf", &damaged);
    let found = through(&office, "damaged.pdf", &[], 4);
    assert_eq!((&found["standing"], &found["content"]), (&"pdf-damaged".into(), &"withheld".into()));
    assert_eq!(through(&office, "damaged.pdf", &["--show-untrusted"], 4)["content"], "written");
    assert_eq!(office.pki.read("opened.pdf"), damaged);
}
