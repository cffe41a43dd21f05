//! Where the filters meet odd input, odd surroundings and lost cards.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use accounts::Office;
use mailer::content::Content;
use mailer::keys::Locator;
use mailer::message::parse::{self, Readable};
use mailer::message::shown_text::Reading;
use middleware::Card;
use openssl_pki::Key;

const PLAIN: &[u8] =
    b"From: alice@example.test\nTo: bob@example.test\nSubject: memo\nContent-Type: text/plain\n\nline one\n";

fn read(message: &[u8]) -> Readable {
    parse::read(&Content::from_vec(message.to_vec()), Reading::default()).unwrap()
}

fn first_attachment(message: &[u8]) -> Vec<u8> {
    read(message).attachments[0].to_vec(100_000).unwrap().unwrap()
}

fn office() -> Office {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    office
}

/// Protects as alice, opens as bob.
fn passed_on(office: &Office, options: &[&str], message: &[u8]) -> accounts::Said {
    let protected = office.run("alice", &[&["protect"][..], options].concat(), message).expect(0);
    assert!(
        protected.stdout.split(|&byte| byte == b'\n').all(|line| line.len() < 999),
        "lines that mail carries"
    );
    office.run("bob", &["open", "--json"], &protected.stdout).expect(0)
}

#[test]
fn binary_and_endless_lines_arrive_as_they_were() {
    let office = office();
    let binary = b"\x00\n\r\r\n\xFF\n";
    let message = [
        &b"From: alice@example.test\nTo: bob@example.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\n\
           Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary\n\n"[..],
        binary,
        b"\n--b--\n",
    ]
    .concat();
    let endless = [PLAIN, "x".repeat(5_000).as_bytes(), b"\n"].concat();
    for options in [&[][..], &["--no-encrypt"]] {
        let opened = passed_on(&office, options, &message);
        assert_eq!(first_attachment(&opened.stdout), binary);
        assert!(passed_on(&office, options, &endless).text().contains(&"x".repeat(5_000)));
    }
}

#[test]
fn a_message_passed_on_whole_stays_an_attachment() {
    let office = office();
    let inner = "From: carol@example.test\r\nSubject: inner\r\n\r\nhello\r\n";
    let message = format!(
        "From: alice@example.test\r\nTo: bob@example.test\r\nContent-Type: message/rfc822\r\n\r\n{inner}"
    );
    let opened = passed_on(&office, &[], message.as_bytes());
    assert_eq!(read(&opened.stdout).from[0].address, "alice@example.test");
    assert_eq!(first_attachment(&opened.stdout), inner.as_bytes());
}

#[test]
fn who_wrote_it_must_be_clear_before_it_is_protected() {
    let office = office();
    let body = "To: bob@example.test\n\nx\n";
    let said = office.run("alice", &["protect", "--json"], body.as_bytes()).expect(1);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["error"]["code"], "author-unclear");
    let opened = passed_on(&office, &["--from", "alice@example.test"], body.as_bytes());
    assert!(opened.text().contains("From: alice@example.test\r\n"), "{}", opened.text());
    for header in [
        "From: alice@example.test\nFrom: alice@example.test",
        "From: alice@example.test\nContent-Type: text/plain\nContent-Type: text/html",
    ] {
        let said = office.run("alice", &["protect"], format!("{header}\n{body}").as_bytes()).expect(1);
        assert!(said.stdout.is_empty() && said.stderr.contains("more than one"), "{}", said.stderr);
    }
}

#[test]
fn a_revoked_card_signs_nothing_and_keeps_its_tries() {
    let office = Office::new();
    let alice = office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    office.revoke(&alice.signer);
    let send = ["send", "--to", "bob@example.test", "--subject", "x", "--no-encrypt"];
    for arguments in [&["protect", "--no-encrypt"][..], &["protect"], &send] {
        let said = office.run_with_pin("alice", "999999", arguments, PLAIN).expect(1);
        assert!(said.stdout.is_empty() && said.stderr.contains("certificate was revoked"), "{}", said.stderr);
    }
    let said = office.run_with_pin("alice", "999999", &["protect", "--json"], PLAIN).expect(1);
    assert_eq!(said.json()["error"]["code"], "own-certificate-revoked");
}

#[test]
fn nobody_needs_to_listen_to_stderr() {
    let office = office();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (arguments, code) in
        [(&["open"][..], 0), (&["open", "--require-signed"], 4), (&["read", "9"], 1), (&["open", "--no"], 2)]
    {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailer"));
        command.arg("--home").arg(office.path("home-bob")).args(arguments).current_dir(office.pki.path());
        office.pki.write("message", PLAIN);
        command.stdin(std::fs::File::open(office.path("message")).unwrap());
        let status = command.stderr(full()).output().unwrap();
        assert_eq!(status.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_asked_is_told_and_hides_no_unsigned_mail() {
    let office = office();
    let protected = office.run("alice", &["protect"], PLAIN).expect(0).stdout;
    std::fs::rename(office.path("published"), office.path("elsewhere")).unwrap();
    let said = office.run("bob", &["open", "--json"], &protected).expect(4);
    assert_eq!(said.json()["verdict"]["code"], "revocation-unknown");
    let notes = said.json()["notes"].to_string();
    assert!(notes.contains("cannot be asked") && notes.contains("published"), "{notes}");
    let said = office.run("bob", &["open"], &protected).expect(4);
    assert!(said.stderr.contains("mailer: note: the directory file:"), "{}", said.stderr);
    assert_eq!(office.run("bob", &["open"], PLAIN).expect(0).stdout, PLAIN);
}

#[test]
fn an_object_that_is_none_is_damaged() {
    let office = office();
    for body in ["", "AAAA", "MIIB"] {
        let message = format!(
            "From: a@example.test\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n"
        );
        let said = office.run("bob", &["open", "--json", "--show-untrusted"], message.as_bytes()).expect(4);
        assert!(said.stdout.is_empty());
        assert_eq!(said.json()["verdict"]["trusted"], false, "{body}");
    }
    let mut protected = office.run("alice", &["protect"], PLAIN).expect(0).stdout;
    let at = protected.len() - 20;
    protected[at] = if protected[at] == b'A' { b'B' } else { b'A' };
    let said = office.run("bob", &["open", "--json"], &protected).expect(4);
    assert_eq!(said.json()["error"]["code"], said.json()["verdict"]["code"]);
}

#[test]
fn a_sender_who_did_not_sign_is_named() {
    let office = office();
    let signed =
        office.run("alice", &["protect", "--no-encrypt", "--headers", "unprotected"], PLAIN).expect(0).text();
    for (sender, remark) in [("boss@example.test", true), ("Alice@example.test", false)] {
        let message = signed.replace("Subject:", &format!("Sender: {sender}\r\nSubject:"));
        let said = office.run("bob", &["open"], message.as_bytes()).expect(0);
        assert_eq!(
            said.stderr.contains("Its Sender field names boss@example.test"),
            remark,
            "{}",
            said.stderr
        );
    }
}

#[test]
fn with_json_a_wrong_command_line_is_told_in_json() {
    let office = office();
    for arguments in [&["open", "--json", "--nonsense"][..], &["send", "--json"], &["read", "--json"]] {
        let said = office.run("bob", arguments, b"").expect(2);
        assert_eq!(said.json()["error"]["code"], "usage", "{}", said.stderr);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    assert!(office.run("bob", &["open", "--nonsense"], b"").expect(2).stderr.contains("Usage:"));
}

#[test]
fn filters_side_by_side_wait_for_the_card() {
    let office = office();
    let held = Card::open(&Locator::Emulated(office.path("alice.card"))).unwrap();
    office.pki.write("message", PLAIN);
    office.pki.write("pin", accounts::PIN.as_bytes());
    let start = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailer"));
        command.current_dir(office.pki.path()).env("XDG_STATE_HOME", office.path("state"));
        command.arg("--home").arg(office.path("home-alice")).args(["protect", "--pin-file", "pin"]);
        command.stdin(std::fs::File::open(office.path("message")).unwrap());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let filters: Vec<_> = (0..4).map(|_| start()).collect();
    drop(held);
    for filter in filters {
        let output = filter.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_folder_without_room_is_named_and_not_the_message() {
    let office = office();
    let message = [PLAIN, &b"one more line\n".repeat(40_000)].concat();
    for json in [&[][..], &["--json"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailer"));
        command.current_dir(office.pki.path()).env("TMPDIR", office.path("nowhere"));
        command.arg("--home").arg(office.path("home-alice")).arg("protect").args(json);
        let said = accounts::run(&mut command, &message).expect(1);
        assert!(said.stdout.is_empty());
        let nowhere = office.path("nowhere").display().to_string();
        assert!(said.stderr.contains(&nowhere) && said.stderr.contains("TMPDIR"), "{}", said.stderr);
        assert!(!said.stderr.contains("os error"), "{}", said.stderr);
    }
}
