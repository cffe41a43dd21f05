//! Signatures that verify, under a header that claims somebody else: none is shown as that person's.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test may fail this way")]
mod accounts;
mod forgery;
mod hostile;
mod openssl_pki;

use accounts::Office;
use forgery::{Hand, SignedData, message, multipart_signed, pkcs7_mime};
use hostile::{Trick, check_all};
use openssl_pki::{Authority, CA, Identity, Key, encryption, mail, signing};

const TEXT: &str = "Content-Type: text/plain\r\n\r\nThe meeting is on Tuesday.\r\n";

fn signed_by(signer: &Hand) -> String {
    let der = SignedData::new(None, &[&signer.certificate], &[signer.signer_info(TEXT.as_bytes())]).der();
    multipart_signed(TEXT, &der)
}

fn opaque_by(signer: &Hand) -> String {
    let infos = [signer.signer_info(TEXT.as_bytes())];
    pkcs7_mime(&SignedData::new(Some(TEXT.as_bytes()), &[&signer.certificate], &infos).der())
}

#[test]
fn a_genuine_signature_does_not_speak_for_another_author() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let mut tricks = Vec::new();
    for (name, from, code) in FORGED_AUTHORS {
        for (form, entity) in [("multipart", signed_by(&alice)), ("opaque", opaque_by(&alice))] {
            let text = message(&format!("{from}\r\nTo: bob@example.test\r\n"), &entity);
            tricks.push(Trick::new(&format!("{name} ({form})"), &text, code));
        }
    }
    check_all(&office, &tricks);
}

#[test]
fn fields_inside_the_signed_part_name_nobody() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    // From inside the signed entity, without RFC 9788's mark, is no protected header: the outer field counts.
    let entity = format!("From: boss@example.test\r\nSubject: pay\r\n{TEXT}");
    let der = SignedData::new(None, &[&alice.certificate], &[alice.signer_info(entity.as_bytes())]).der();
    let outer_is_another = message("From: boss@example.test\r\n", &multipart_signed(&entity, &der));
    let outer_is_missing = message("Subject: x\r\n", &multipart_signed(&entity, &der));
    check_all(
        &office,
        &[
            Trick::new("From inside agrees with a forged one outside", &outer_is_another, "address-mismatch"),
            Trick::new("From stands only inside", &outer_is_missing, "author-unclear"),
        ],
    );
}

#[test]
fn a_protected_header_names_the_author_whatever_stands_outside() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let boss = "From: boss@example.test\r\nSubject: pay\r\n";
    let message_of_boss = format!("{boss}Content-Type: text/plain\r\n\r\nPay.\r\n");
    let outside = "From: alice@example.test\r\nSubject: lunch\r\n";
    let mut tricks = Vec::new();
    for (name, entity) in [
        ("hp=clear", format!("{boss}Content-Type: text/plain; hp=\"clear\"\r\n\r\nPay.\r\n")),
        ("hp=cipher", format!("{boss}Content-Type: text/plain; hp=\"cipher\"\r\n\r\nPay.\r\n")),
        ("v1", format!("{boss}Content-Type: text/plain; protected-headers=\"v1\"\r\n\r\nPay.\r\n")),
        ("wrapped", format!("Content-Type: message/rfc822; forwarded=no\r\n\r\n{message_of_boss}")),
    ] {
        let der = SignedData::new(None, &[&alice.certificate], &[alice.signer_info(entity.as_bytes())]).der();
        let signed = multipart_signed(&entity, &der);
        for (place, text) in [
            ("outside alice", message(outside, &signed)),
            ("outside boss", message("From: boss@example.test\r\nSubject: lunch\r\n", &signed)),
        ] {
            tricks.push(Trick::new(&format!("{name}, {place}"), &text, "address-mismatch"));
        }
        // Where the content is asked for all the same, nothing of the inside passes for proven.
        let said =
            office.run("bob", &["open", "--json", "--show-untrusted"], message(outside, &signed).as_bytes());
        let header = said.json()["header"].clone();
        let disagreements = header["disagreements"].as_array().unwrap();
        assert!(disagreements.iter().any(|found| found["code"] == "from-differs"), "{name}: {header}");
        let fields = header["fields"].as_array().unwrap();
        assert!(fields.iter().all(|field| field["protection"] == "unprotected"), "{name}: {header}");
        assert!(said.text().contains("From: alice@example.test\r\n"), "{name}: {}", said.text());
        // The same inside a message that somebody passes on.
        let list = format!("--b\r\n{signed}\r\n--b--\r\n");
        let list = message(outside, &format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{list}"));
        let said = office.run("bob", &["open", "--json"], list.as_bytes()).expect(0);
        if name != "wrapped" {
            assert_eq!(said.json()["parts"][0]["verdict"]["code"], "address-mismatch", "{name}");
        }
    }
    check_all(&office, &tricks);
}

#[test]
fn a_type_that_can_be_read_in_two_ways_is_refused() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let from = "From: alice@example.test\r\n";
    let (signed, opaque) = (signed_by(&alice), opaque_by(&alice));
    let other = signed.replacen("boundary=", "boundary=other; boundary=", 1);
    let hidden = signed.replacen("boundary=", "boundary*0=other; boundary=", 1);
    let kind = opaque.replacen("application/pkcs7-mime", "application/pkcs7-mime; name=x; name=smime.p7m", 1);
    assert!(other != signed && hidden != signed && kind != opaque);
    check_all(
        &office,
        &[
            Trick::new("two boundaries", &message(from, &other), "signature-malformed"),
            Trick::new("a boundary in two forms", &message(from, &hidden), "signature-malformed"),
            Trick::new("two names of an object", &message(from, &kind), "signature-malformed"),
        ],
    );
    // Twice the same says one thing.
    let twice = opaque.replacen("application/pkcs7-mime", "application/pkcs7-mime; x=y; x=y", 1);
    office.run("bob", &["open"], message(from, &twice).as_bytes()).expect(0);
}

#[test]
fn a_sender_who_did_not_sign_is_named() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let text = message("From: alice@example.test\r\nSender: boss@example.test\r\n", &signed_by(&alice));
    let said = office.run("bob", &["open", "--json"], text.as_bytes()).expect(0);
    let verdict = said.json()["verdict"].clone();
    assert_eq!(verdict["code"], "trusted");
    let sentence = verdict["sentence"].as_str().unwrap();
    assert!(sentence.contains("Signed by") && sentence.contains("alice@example.test"), "{sentence}");
    assert!(sentence.contains("boss@example.test, who did not sign it"), "{sentence}");
}

#[test]
fn a_colleague_with_a_certificate_does_not_become_somebody_else() {
    let office = hostile::office();
    let eve = Hand::of(&hostile::signer(&office, "eve"));
    // Her own address, in whatever words: the verdict names hers and nobody else's.
    for from in [
        "From: \"alice@example.test\" <eve@example.test>",
        "From: =?utf-8?B?QWxpY2UgPGFsaWNlQGV4YW1wbGUudGVzdD4=?= <eve@example.test>",
        "From: alice (alice@example.test) <eve@example.test>",
    ] {
        let text = message(&format!("{from}\r\n"), &signed_by(&eve));
        let said = office.run("bob", &["open", "--json"], text.as_bytes());
        let verdict = said.json()["verdict"].clone();
        let sentence = verdict["sentence"].as_str().unwrap().to_owned();
        match said.code {
            0 => assert!(sentence.contains("<eve@example.test>"), "{from}: {sentence}"),
            _ => assert_eq!(said.code, 4, "{from}: {sentence}"),
        }
        assert!(!sentence.contains("alice"), "{from}: {sentence}");
    }
}

/// A person's certificate with these extensions and subject, signed by an authority of ours.
fn certified(authority: &Authority, name: &str, subject: &str, extensions: &str) -> Identity {
    let first = format!("{name}-first");
    let identity = authority.issue(&first, Key::P256, extensions);
    let (key, request) = (identity.key(), format!("{first}.csr"));
    openssl_pki::openssl(
        &authority.folder,
        &["req", "-new", "-config", "req.cnf", "-key", &key, "-out", &request, "-subj", subject],
    );
    authority.certify_again(&first, name, extensions, openssl_pki::VALID)
}

#[test]
fn chains_that_only_look_right_are_not_believed() {
    let office = hostile::office();
    let folder = office.pki.path();
    let people = &office.pki.people;
    // A stranger's chain under the very same names, and the same with the real CA's key identifiers.
    let twin = folder.join("twin");
    std::fs::create_dir_all(&twin).unwrap();
    let twin_root = Authority::root(&twin, "Root", CA);
    let twin_people = twin_root.subordinate("People", CA);
    let twin_alice = twin_people.issue("alice-sign", Key::P256, &signing("alice@example.test"));
    let real = hex::encode(people.certificate().subject_key_identifier().unwrap());
    let copied = CA.replace("subjectKeyIdentifier=hash", &format!("subjectKeyIdentifier={real}"));
    let mirror = folder.join("mirror");
    std::fs::create_dir_all(&mirror).unwrap();
    let mirror_root = Authority::root(&mirror, "Root", CA);
    let mirror_people = mirror_root.subordinate("People", &copied);
    let mirror_alice = mirror_people.issue("alice-sign", Key::P256, &signing("alice@example.test"));
    let alice = hostile::signer(&office, "alice");
    let below_alice = Authority { folder: folder.to_owned(), name: "alice-sign".to_owned() };
    let boss = hostile::issued_by_a_leaf(&below_alice, "boss", &signing("alice@example.test"));
    let certificates =
        |identities: &[&Authority]| identities.iter().map(|known| known.certificate()).collect();
    let rows: Vec<Row> = vec![
        (
            "the same names from strangers",
            twin_alice,
            certificates(&[&twin_people, &twin_root]),
            "unknown-issuer",
        ),
        (
            "the same names and key identifiers from strangers",
            mirror_alice,
            certificates(&[&mirror_people, &mirror_root]),
            "certificate-signature-wrong",
        ),
        ("issued by a person", boss, vec![alice.certificate()], "not-an-authority"),
    ];
    check_certificates(&office, &rows);
}

#[test]
fn certificates_of_our_own_authority_do_not_stretch() {
    let office = hostile::office();
    let people = &office.pki.people;
    let usage = "keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    let rows: Vec<Row> = vec![
        (
            "the address of another person",
            people.issue("other", Key::P256, &signing("other@example.test")),
            vec![],
            "address-mismatch",
        ),
        (
            "the address in the subject only",
            certified(people, "legacy", "/CN=alice/emailAddress=alice@example.test", usage),
            vec![],
            "address-mismatch",
        ),
        (
            "the address as a URI, not as an rfc822Name",
            people.issue("uri", Key::P256, &format!("subjectAltName=URI:mailto:alice@example.test\n{usage}")),
            vec![],
            "address-mismatch",
        ),
        (
            "the address as a DNS name",
            people.issue("dns", Key::P256, &format!("subjectAltName=DNS:alice@example.test\n{usage}")),
            vec![],
            "address-mismatch",
        ),
        (
            "a certificate for encryption",
            people.issue("encrypts", Key::P256, &encryption("alice@example.test", Key::P256)),
            vec![],
            "wrong-usage",
        ),
        (
            "a certificate for web servers",
            people.issue(
                "server",
                Key::P256,
                &mail("alice@example.test").replace("emailProtection", "serverAuth"),
            ),
            vec![],
            "wrong-usage",
        ),
    ];
    check_certificates(&office, &rows);
    let outside = people.issue("outside", Key::P256, &signing("alice@other.test"));
    let text = message("From: alice@other.test\r\n", &signed_by(&Hand::of(&outside)));
    check_all(&office, &[Trick::new("an address outside the anchor's domains", &text, "outside-domain")]);
}

/// What it is, the signer, the certificates along, the verdict.
type Row = (&'static str, Identity, Vec<mailer::trust::Certificate>, &'static str);

fn check_certificates(office: &Office, rows: &[Row]) {
    let mut tricks = Vec::new();
    for (name, identity, along, code) in rows {
        let hand = Hand::of(identity);
        let mut certificates: Vec<_> = along.iter().collect();
        certificates.push(&hand.certificate);
        let der = SignedData::new(None, &certificates, &[hand.signer_info(TEXT.as_bytes())]).der();
        let text = message("From: alice@example.test\r\n", &multipart_signed(TEXT, &der));
        tricks.push(Trick::new(name, &text, code));
    }
    check_all(office, &tricks);
}

/// Header fields around a signature of alice, and the verdict about each.
const FORGED_AUTHORS: &[(&str, &str, &str)] = &[
    ("another author", "From: boss@example.test", "address-mismatch"),
    (
        "the signer in the display name",
        "From: \"alice@example.test\" <boss@example.test>",
        "address-mismatch",
    ),
    (
        "the signer in an encoded word",
        "From: =?utf-8?Q?alice=40example.test?= <boss@example.test>",
        "address-mismatch",
    ),
    ("the signer in a comment", "From: boss@example.test (alice@example.test)", "address-mismatch"),
    (
        "the signer in a nested comment",
        "From: (a (alice@example.test)) boss@example.test",
        "address-mismatch",
    ),
    ("a second author who did not sign", "From: alice@example.test, boss@example.test", "address-mismatch"),
    (
        "the author first, the signer second",
        "From: boss@example.test, alice@example.test",
        "address-mismatch",
    ),
    ("two From fields", "From: alice@example.test\r\nFrom: boss@example.test", "author-unclear"),
    (
        "two From fields, far apart",
        "From: boss@example.test\r\nX: y\r\nfrom: alice@example.test",
        "author-unclear",
    ),
    (
        "From with a blank before the colon",
        "From : alice@example.test\r\nFrom: boss@example.test",
        "author-unclear",
    ),
    (
        "a From hidden behind a bare carriage return",
        "From: alice@example.test\r\nX: y\rFrom: boss@example.test",
        "author-unclear",
    ),
    (
        "a From hidden behind a NUL",
        "From: alice@example.test\r\nX: y\0\r\nFrom: boss@example.test",
        "author-unclear",
    ),
    ("a NUL inside the address", "From: alice@example.test\0.evil.test", "author-unclear"),
    (
        "a group that is named after the author",
        "From: boss@example.test: alice@example.test;",
        "author-unclear",
    ),
    ("an empty group before the signer", "From: boss:;, alice@example.test", "author-unclear"),
    ("two addresses in a row", "From: <boss@example.test> <alice@example.test>", "author-unclear"),
    ("an address that ends early", "From: <alice@example.test", "author-unclear"),
    ("a source route", "From: <@boss.example.test:alice@example.test>", "author-unclear"),
    ("a quoted local part with an at sign", "From: \"alice@example.test\"@boss.test", "author-unclear"),
    ("no From at all", "Subject: x", "author-unclear"),
    ("only Sender", "Sender: alice@example.test", "author-unclear"),
    ("only Resent-From", "Resent-From: alice@example.test\r\nSubject: x", "author-unclear"),
    (
        "the signer is only Sender",
        "From: boss@example.test\r\nSender: alice@example.test",
        "address-mismatch",
    ),
    (
        "the signer is only Reply-To",
        "From: boss@example.test\r\nReply-To: alice@example.test",
        "address-mismatch",
    ),
    ("a Cyrillic a in the local part", "From: \u{430}lice@example.test", "address-mismatch"),
    ("a Cyrillic a in the domain", "From: alice@ex\u{430}mple.test", "address-mismatch"),
    ("an address with a joiner", "From: al\u{200d}ice@example.test", "address-mismatch"),
    ("the signer's address as a subdomain", "From: alice@example.test.evil.test", "address-mismatch"),
    ("a domain that only ends like the signer's", "From: alice@evil-example.test", "address-mismatch"),
    ("a local part with a tag", "From: alice+boss@example.test", "address-mismatch"),
    ("a percent-encoded address", "From: alice%40example.test@evil.test", "address-mismatch"),
];
