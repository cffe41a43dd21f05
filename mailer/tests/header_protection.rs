//! Header protection (RFC 9788) and parts, through the programs; OpenSSL and Python's email package are the second readers.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test may fail this way"
)]
mod accounts;
mod openssl_pki;

use std::io::Write;
use std::process::{Command, Stdio};

use accounts::{Office, Said};
use openssl_pki::{Key, openssl};

const PLAIN: &[u8] = b"From: Alice <alice@example.test>\nTo: Bob <bob@example.test>\nDate: Sat, 21 Nov 2026 22:15:00 +0100\n\
    Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from the\n harbour\nKeywords: crane\nContent-Type: text/plain; charset=utf-8\n\nline one\n";

fn office() -> Office {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::Rsa2048);
    office
}

fn protect(office: &Office, more: &[&str], message: &[u8]) -> String {
    office.run("alice", &[&["protect"][..], more].concat(), message).expect(0).text()
}

fn opened(office: &Office, more: &[&str], message: &str, code: i32) -> Said {
    office.run("bob", &[&["open", "--json"][..], more].concat(), message.as_bytes()).expect(code)
}

/// What Python's email package reads: a Python expression about `message`.
fn python(message: &[u8], expression: &str) -> String {
    let program = format!(
        "import sys, email, email.policy\nmessage = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)\n\
         sys.stdout.write(str({expression}))"
    );
    let mut python = Command::new("python3")
        .env("PYTHONIOENCODING", "utf-8")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(message).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{expression}");
    String::from_utf8(output.stdout).unwrap()
}

fn decrypted_by_openssl(office: &Office, message: &str) -> Vec<u8> {
    office.pki.write("protected.eml", message.as_bytes());
    let arguments =
        ["cms", "-decrypt", "-in", "protected.eml", "-recip", "bob-read.pem", "-inkey", "bob-read.key"];
    openssl(office.pki.path(), &arguments)
}

fn protection_of(said: &Said, name: &str) -> String {
    let json = said.json();
    let fields = json["header"]["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["name"] == name).unwrap();
    field["protection"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_sent_hides_its_subject_and_other_programs_find_it() {
    let office = office();
    let send = ["send", "--to", "bob@example.test", "--subject", "Grüße, Kran"];
    office.run("alice", &send, "the crane comes\n".as_bytes()).expect(0);
    let inbox = std::fs::read_dir(office.path("spool/bob@example.test/new")).unwrap();
    let message = String::from_utf8(std::fs::read(inbox.flatten().next().unwrap().path()).unwrap()).unwrap();
    assert_eq!(python(message.as_bytes(), "message['Subject']"), "[...]");
    let signed = decrypted_by_openssl(&office, &message);
    let payload = "message.get_payload(0)";
    assert_eq!(python(&signed, &format!("{payload}['Subject']")), "Grüße, Kran");
    assert_eq!(python(&signed, &format!("{payload}['Content-Type'].params['hp']")), "cipher");
    assert!(python(&signed, &format!("{payload}.get_all('HP-Outer')")).contains("Subject: [...]"));
    // A program that knows nothing of all that shows the subject in the text; ours leaves it out.
    let text = python(&signed, &format!("{payload}.get_content()"));
    assert_eq!(text.replace("\r\n", "\n"), "Subject: Grüße, Kran\n\nthe crane comes\n");
    office.run("bob", &["fetch"], b"").expect(0);
    let read = office.run("bob", &["read", "1"], b"").expect(0).text();
    assert!(read.contains("Subject: Grüße, Kran\n\nthe crane comes\n"), "{read}");

    let open = [&send[..], &["--no-header-protection"]].concat();
    office.run("alice", &open, b"x").expect(0);
    office.run("bob", &["fetch"], b"").expect(0);
    let list = office.run("bob", &["list"], b"").expect(0);
    assert!(list.text().contains("[...]") && list.text().contains("Grüße, Kran"), "{}", list.text());
    assert_eq!(list.stderr, "[...] is an encrypted subject; see it with: mailer read 1\n");
    assert_eq!(office.run("bob", &["list", "--json"], b"").expect(0).stderr, "");
    let read = office.run("bob", &["read", "2"], b"").expect(0).text();
    assert!(read.ends_with("Subject: Grüße, Kran\n\nx\n"), "{read}");
}

#[test]
fn each_field_tells_how_it_was_protected() {
    let office = office();
    for (options, subject, from) in [
        (&[][..], "signed-and-encrypted", "signed-only"),
        (&["--no-encrypt"], "signed-only", "signed-only"),
        (&["--no-sign"], "encrypted-only", "unprotected"),
        (&["--headers", "no-confidentiality"], "signed-only", "signed-only"),
        (&["--headers", "shy"], "signed-and-encrypted", "signed-and-encrypted"),
        (&["--headers", "unprotected"], "unprotected", "unprotected"),
    ] {
        let said = opened(&office, &[], &protect(&office, options, PLAIN), 0);
        assert_eq!(
            (&*protection_of(&said, "Subject"), &*protection_of(&said, "From")),
            (subject, from),
            "{options:?}"
        );
        let back = "[str(message[name]) for name in ('Subject', 'Keywords', 'From', 'Date')]";
        assert_eq!(python(&said.stdout, back), python(PLAIN, back), "{options:?}");
        assert_eq!(said.json()["header"]["disagreements"], serde_json::json!([]), "{options:?}");
    }
}

#[test]
fn what_is_forged_outside_is_told_and_not_believed() {
    let office = office();
    let protected = protect(&office, &[], PLAIN);
    let forged = protected
        .replace("Alice <alice@example.test>", "Boss <boss@example.test>")
        .replace("Date:", "Reply-To: eve@y.test\r\nHP-Outer: Subject: x\r\nDate:");
    let said = opened(&office, &[], &forged, 0);
    assert!(said.text().contains("From: Alice <alice@example.test>\r\n") && !said.text().contains("y.test"));
    assert!(!said.text().contains("HP-Outer"), "{}", said.text());
    let codes: Vec<_> = said.json()["header"]["disagreements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["code"].clone())
        .collect();
    assert_eq!(codes, ["from-differs", "only-outside"]);
    let said = office.run("bob", &["open"], forged.as_bytes()).expect(0);
    assert!(said.stderr.contains("boss@example.test"), "{}", said.stderr);
    // Without a signature, the author inside is only a claim.
    let unsigned = protect(&office, &["--no-sign"], PLAIN).replace("Alice <alice@", "Boss <boss@");
    let said = opened(&office, &[], &unsigned, 0);
    assert!(said.text().contains("From: Boss <boss@example.test>\r\n"), "{}", said.text());
    assert_eq!(said.json()["header"]["disagreements"][0]["code"], "from-differs");
}

#[test]
fn a_signed_message_passed_on_in_an_envelope_hides_its_subject_too() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt", "--headers", "unprotected"], PLAIN);
    let passed_on = protect(&office, &["--no-sign"], signed.as_bytes());
    assert_eq!(python(passed_on.as_bytes(), "message['Subject']"), "[...]");
    let said = opened(&office, &[], &passed_on, 0);
    assert_eq!(python(&said.stdout, "message['Subject']"), "Grüße from the harbour");
    assert_eq!(said.json()["verdict"]["code"], "trusted");
    assert_eq!(protection_of(&said, "Subject"), "encrypted-only");
}

#[test]
fn an_encrypted_part_is_opened_alone_or_not_at_all() {
    let office = office();
    let secret = protect(&office, &[], PLAIN);
    let entity = &secret[secret.find("Content-Type").unwrap()..];
    let message = format!(
        "From: eve@y.test\r\nSubject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
         <img src=\"http://y.test/\r\n--b\r\n{entity}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{secret}\r\n--b--\r\n"
    );
    let said = opened(&office, &[], &message, 0);
    assert!(!said.text().contains("line one"), "{}", said.text());
    let parts = said.json()["parts"].clone();
    assert_eq!((&parts[0]["is"], &parts[0]["position"]), (&"encrypted".into(), &"2".into()));
    assert_eq!((&parts[1]["is"], &parts[1]["position"]), (&"encrypted".into(), &"3.1".into()));
    assert_eq!(parts[1]["what"], "the forwarded message \"[...]\"");
    let said = office.run("bob", &["open"], message.as_bytes()).expect(0);
    assert!(said.stderr.contains("--part 2 opens it alone"), "{}", said.stderr);
    for position in ["2", "3.1"] {
        let said = opened(&office, &["--part", position], &message, 0);
        assert!(said.text().contains("line one") && !said.text().contains("y.test"), "{}", said.text());
        assert_eq!(said.json()["verdict"]["code"], "trusted", "{position}");
    }
    for position in ["4", "0", "2.1.1", "x", ""] {
        opened(&office, &["--part", position], &message, 1);
    }
}

#[test]
fn a_list_that_takes_over_the_author_leaves_the_signed_part_its_own() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt"], PLAIN);
    let entity = &signed[signed.find("Content-Type: multipart/signed").unwrap()..];
    let message = format!(
        "From: Alice via List <list@example.test>\r\nSubject: [list] x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{entity}\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nlist footer\r\n--b--\r\n"
    );
    let said = opened(&office, &[], &message, 0);
    assert_eq!(said.json()["verdict"]["code"], "unsigned");
    let part = &said.json()["parts"][0];
    assert_eq!((&part["verdict"]["code"], &part["what"]), (&"trusted".into(), &"the text".into()));
}
