//! `mailer protect` and `mailer open` as filters: what comes out, and with which exit code.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use accounts::Office;
use openssl_pki::{Key, openssl};

const PLAIN: &[u8] = b"From: alice@example.test\nTo: bob@example.test\nSubject: memo\nContent-Type: text/plain; charset=utf-8\n\nline one\nline two\n";

fn office() -> Office {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    office
}

fn protect(office: &Office, more: &[&str], message: &[u8]) -> Vec<u8> {
    office.run("alice", &[&["protect"][..], more].concat(), message).expect(0).stdout
}

#[test]
fn what_goes_in_comes_out_with_a_verdict() {
    let office = office();
    let arguments = ["protect", "--from", "alice@example.test", "--to", "bob@example.test", "--json"];
    let protected = office.run("alice", &arguments, PLAIN).expect(0);
    assert_eq!(protected.json()["encrypted"], true);
    assert!(!protected.text().contains("line one"));
    for message in [protected.stdout.clone(), protected.text().replace('\r', "").into_bytes()] {
        let opened = office.run("bob", &["open", "--json"], &message).expect(0);
        assert_eq!(
            opened.text(),
            "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: memo\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nline one\r\nline two\r\n"
        );
        let verdict = opened.json();
        assert_eq!((&verdict["verdict"]["code"], &verdict["encrypted"]), (&"trusted".into(), &true.into()));
        assert_eq!(verdict["verdict"]["signer"]["addresses"][0], "alice@example.test");
    }
}

#[test]
fn every_changed_byte_of_a_signed_message_is_noticed_or_harmless() {
    let office = office();
    let signed = protect(&office, &["--no-encrypt"], PLAIN);
    let body = signed.windows(8).position(|window| window == b"line one").unwrap();
    let mut changed = signed.clone();
    changed[body] = b'L';
    let said = office.run("bob", &["open", "--json", "--show-untrusted"], &changed).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["verdict"]["code"], "content-changed");
    // The signature part taken away, or the structure broken: never "just an unsigned message".
    let text = String::from_utf8(signed).unwrap();
    let boundary = text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    for broken in [
        text.replace(&format!("--{boundary}--"), ""),
        text.replace("application/pkcs7-signature; name", "text/plain; name"),
        text.replace("boundary=", "bound="),
        text.replace("Content-Type: multipart", "Content-Type: text/plain\r\nContent-Type: multipart"),
    ] {
        let said = office.run("bob", &["open", "--json", "--show-untrusted"], broken.as_bytes()).expect(4);
        assert!(said.stdout.is_empty(), "{broken}");
    }
}

#[test]
fn a_changed_envelope_gives_nothing_at_all() {
    let office = office();
    let protected = protect(&office, &[], PLAIN);
    let text = String::from_utf8(protected).unwrap();
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    for share in [3, 2] {
        let mut body = body.as_bytes().to_vec();
        let at = body.len() - body.len() / share;
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        let said = office
            .run("bob", &["open", "--json"], &[header.as_bytes(), b"\r\n\r\n", &body].concat())
            .expect(4);
        assert!(said.stdout.is_empty());
        assert_eq!(said.json()["exit"], 4);
    }
}

#[test]
fn unsigned_mail_passes_untouched_unless_signatures_are_required() {
    let office = office();
    let said = office.run("bob", &["open"], PLAIN).expect(0);
    assert_eq!(said.stdout, PLAIN);
    assert!(said.stderr.contains("not signed"), "{}", said.stderr);
    let said = office.run("bob", &["open", "--require-signed", "--json"], PLAIN).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["verdict"]["code"], "unsigned");
    let encrypted = protect(&office, &["--no-sign"], PLAIN);
    let said = office.run("bob", &["open", "--json"], &encrypted).expect(0);
    assert!(said.text().contains("line one"));
    assert_eq!(said.json()["layers"][0]["authenticated"], true);
}

#[test]
fn a_signer_of_an_unknown_ca_is_shown_only_on_request() {
    let office = office();
    let other = openssl_pki::Authority::root(office.pki.path(), "Other", openssl_pki::CA);
    let eve = other.issue("eve", Key::P256, &openssl_pki::signing("alice@example.test"));
    office.pki.write("text", b"Content-Type: text/plain\r\n\r\nbelieve me\r\n");
    let (signer, key) = (eve.pem(), eve.key());
    let arguments =
        ["cms", "-sign", "-in", "text", "-signer", &signer, "-inkey", &key, "-from", "alice@example.test"];
    let signed = openssl(office.pki.path(), &arguments);
    let said = office.run("bob", &["open", "--json"], &signed).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["verdict"]["code"], "unknown-issuer");
    let said = office.run("bob", &["open", "--show-untrusted"], &signed).expect(4);
    assert!(said.text().contains("believe me"));
}

#[test]
fn a_signature_speaks_only_for_the_author_that_is_shown() {
    let office = office();
    let signed =
        String::from_utf8(protect(&office, &["--no-encrypt", "--headers", "unprotected"], PLAIN)).unwrap();
    for (from, code) in [
        ("From: Boss <bob@example.test>", "address-mismatch"),
        ("From: alice@example.test, bob@example.test", "address-mismatch"),
        ("From: Alice", "author-unclear"),
        ("From: bob@example.test\r\nFrom: alice@example.test", "author-unclear"),
        ("From: Boss:;\r\nFrom: alice@example.test", "author-unclear"),
        ("From: \"Boss <bob@example.test>\":;\r\nFrom: alice@example.test", "author-unclear"),
        ("Sender: Boss <bob@example.test>", "author-unclear"),
        ("Resent-From: bob@example.test", "author-unclear"),
        ("From : bob@example.test", "author-unclear"),
        ("X: y\rFrom: bob@example.test", "author-unclear"),
        ("From: alice@example.test\r\nX: y\rFrom: bob@example.test", "author-unclear"),
        ("From: bob@example.test\nFrom: alice@example.test", "author-unclear"),
    ] {
        let spoofed = signed.replace("From: alice@example.test", from);
        let said = office.run("bob", &["open", "--json"], spoofed.as_bytes()).expect(4);
        assert_eq!(said.json()["verdict"]["code"], code, "{from:?}");
        assert!(said.stdout.is_empty());
    }
    // The header of what is trusted reads the same for every program.
    let odd = signed.replace("Subject: memo\r\n", "Subject: memo\n\t\r\n more\r\nno field\r\n");
    let said = office.run("bob", &["open"], odd.as_bytes()).expect(0);
    assert!(said.text().contains("\r\nSubject: memo\r\n more\r\nMIME-Version"), "{}", said.text());
}

#[test]
fn a_bare_entity_is_judged_by_the_signers_own_address() {
    let office = office();
    let signed = String::from_utf8(protect(&office, &["--no-encrypt"], PLAIN)).unwrap();
    let bare: String = signed.split_inclusive("\r\n").skip(3).collect();
    assert!(bare.starts_with("MIME-Version"), "{bare}");
    office.run("bob", &["open"], bare.as_bytes()).expect(0);
}

#[test]
fn what_anybody_may_have_changed_is_shown_only_on_request() {
    let office = office();
    office.pki.write("text", b"Content-Type: text/plain\r\n\r\npay 100\r\n");
    let arguments =
        ["cms", "-encrypt", "-aes-256-cbc", "-in", "text", "-from", "alice@example.test", "bob-read.pem"];
    let encrypted = openssl(office.pki.path(), &arguments);
    let said = office.run("bob", &["open", "--json"], &encrypted).expect(4);
    assert!(said.stdout.is_empty());
    let verdict = &said.json()["verdict"];
    assert_eq!((&verdict["code"], &verdict["signed"]), (&"unauthenticated".into(), &false.into()));
    assert!(
        verdict["sentence"].as_str().unwrap().contains("anybody on the way may have changed it"),
        "{verdict}"
    );
    let said = office.run("bob", &["open", "--show-untrusted"], &encrypted).expect(4);
    assert!(said.text().contains("pay 100"));
    // A signature around the envelope does not make it better, one inside does.
    let wrapped = protect(&office, &["--no-encrypt"], &encrypted);
    let said = office.run("bob", &["open", "--json"], &wrapped).expect(4);
    assert_eq!(said.json()["verdict"]["code"], "unauthenticated");
    office.pki.write("signed", &protect(&office, &["--no-encrypt"], PLAIN));
    let arguments =
        ["cms", "-encrypt", "-aes-256-cbc", "-in", "signed", "-from", "alice@example.test", "bob-read.pem"];
    let said = office.run("bob", &["open", "--json"], &openssl(office.pki.path(), &arguments)).expect(0);
    assert_eq!(said.json()["verdict"]["code"], "trusted");
}

#[test]
fn a_signature_around_an_envelope_does_not_speak_for_what_is_inside() {
    let office = office();
    let encrypted = protect(&office, &["--no-sign"], PLAIN);
    let wrapped = protect(&office, &["--no-encrypt"], &encrypted);
    let said = office.run("bob", &["open", "--json"], &wrapped).expect(0);
    assert_eq!(said.json()["verdict"]["code"], "unsigned");
    assert_eq!(said.json()["layers"][0]["verdict"]["code"], "trusted");
    // Triple wrapping (RFC 2634 section 1.1): signed, encrypted, signed again.
    let wrapped = protect(&office, &["--no-encrypt"], &protect(&office, &[], PLAIN));
    let said = office.run("bob", &["open", "--json"], &wrapped).expect(0);
    assert_eq!(
        (&said.json()["verdict"]["code"], said.json()["layers"].as_array().unwrap().len()),
        (&"trusted".into(), 3)
    );
}

#[test]
fn what_is_already_signed_stays_byte_for_byte() {
    let office = office();
    // A lone line feed in a message with CRLF is what a careless program would repair, and so break the signature.
    let content = b"Content-Type: text/plain\r\n\r\none\ntwo\r\n";
    office.pki.write("content", content);
    let arguments = "cms -sign -binary -crlfeol -in content -signer alice-sign.pem -inkey alice-sign.key -certfile People.pem \
                     -from alice@example.test -to bob@example.test";
    let signed = openssl(office.pki.path(), &arguments.split_whitespace().collect::<Vec<_>>());
    let opened = office.run("bob", &["open"], &signed).expect(0);
    assert!(opened.stdout.ends_with(content), "{}", opened.text());
    let protected = protect(&office, &[], &signed);
    let opened = office.run("bob", &["open", "--json"], &protected).expect(0);
    assert_eq!(opened.json()["layers"].as_array().unwrap().len(), 3);
    assert!(opened.stdout.ends_with(content), "{}", opened.text());
}

#[test]
fn eight_bit_content_is_signed_where_transport_cannot_change_it() {
    let office = office();
    let plain = [PLAIN, "Grüße\n".as_bytes()].concat();
    let signed = protect(&office, &["--no-encrypt"], &plain);
    assert!(
        signed.is_ascii() && String::from_utf8(signed.clone()).unwrap().contains("smime-type=signed-data")
    );
    assert!(office.run("bob", &["open"], &signed).expect(0).text().ends_with("Grüße\r\n"));
}

#[test]
fn protect_never_gives_half_a_message() {
    let office = office();
    let with_bcc = [b"Bcc: hidden@example.test\n", PLAIN].concat();
    let no_recipient = b"From: alice@example.test\n\nx\n";
    for (arguments, message, code) in [
        (&["--to", "nobody@example.test"][..], PLAIN, 1),
        (&["--from", "bob@example.test"], PLAIN, 1),
        (
            &[],
            &PLAIN
                .to_ascii_lowercase()
                .split(|&b| b == b'\n')
                .skip(1)
                .fold(b"From: bob@example.test\n".to_vec(), |m, l| [&m[..], l, b"\n"].concat()),
            1,
        ),
        (&[], &with_bcc, 2),
        (&[], no_recipient, 2),
        (&["--to", "group: a@example.test;"], PLAIN, 2),
        (&["--no-sign", "--no-encrypt"], PLAIN, 2),
    ] {
        let said = office.run("alice", &[&["protect"][..], arguments].concat(), message);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.stderr);
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{arguments:?}");
    }
    let said = office.run_with_pin("alice", "000000", &["protect"], PLAIN).expect(1);
    assert!(said.stdout.is_empty());
    // Told whom it is for, the Bcc field stays inside.
    let protected = protect(&office, &["--to", "bob@example.test"], &with_bcc);
    assert!(!String::from_utf8(protected).unwrap().contains("hidden"));
}

#[test]
fn a_message_for_somebody_else_is_no_forgery() {
    let office = office();
    office.person("carol", Key::P256);
    let protected = protect(&office, &[], PLAIN);
    let said = office.run("carol", &["open", "--json"], &protected).expect(1);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["error"]["code"], "not-for-us");
}

#[test]
fn a_message_of_certificates_only_signs_nothing() {
    let office = office();
    let der =
        openssl(office.pki.path(), &["crl2pkcs7", "-nocrl", "-certfile", "chain.pem", "-outform", "DER"]);
    let entity = mailer::message::secured::pkcs7_mime(&der, "certs-only");
    let message = [b"From: alice@example.test\r\nMIME-Version: 1.0\r\n", &entity[..]].concat();
    let said = office.run("bob", &["open", "--json"], &message).expect(0);
    assert_eq!(said.json()["verdict"]["code"], "unsigned");
    assert_eq!(said.stdout, message);
}
