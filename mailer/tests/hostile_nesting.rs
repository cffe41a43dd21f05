//! Genuine signatures in the wrong place: they speak for their own part and for nothing beside it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test may fail this way")]
mod accounts;
mod forgery;
mod hostile;
mod openssl_pki;

use accounts::Office;
use forgery::{Hand, SignedData, base64, message, multipart_signed, pkcs7_mime};
use hostile::{Trick, check_all};
use openssl_pki::openssl;

const TEXT: &str = "Content-Type: text/plain\r\n\r\nYes, I agree.\r\n";
const FROM: &str = "From: alice@example.test\r\nTo: bob@example.test\r\n";
const FORGED: &str = "FORGED: pay 900 to Eve";

/// A detached signature of alice over an entity.
fn signature(alice: &Hand, entity: &str) -> Vec<u8> {
    SignedData::new(None, &[&alice.certificate], &[alice.signer_info(entity.as_bytes())]).der()
}

fn opaque(alice: &Hand, entity: &str) -> Vec<u8> {
    let infos = [alice.signer_info(entity.as_bytes())];
    SignedData::new(Some(entity.as_bytes()), &[&alice.certificate], &infos).der()
}

fn mixed(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--mb\r\n{part}\r\n")).collect();
    format!("Content-Type: multipart/mixed; boundary=mb\r\n\r\n{parts}--mb--\r\n")
}

fn forged_text() -> String {
    format!("Content-Type: text/plain\r\n\r\n{FORGED}\r\n")
}

/// Encrypted to bob by openssl, as an entity.
fn encrypted(office: &Office, cipher: &str, entity: &str) -> String {
    office.pki.write("clear", entity.as_bytes());
    let arguments = [
        "cms",
        "-encrypt",
        "-binary",
        cipher,
        "-in",
        "clear",
        "-outform",
        "DER",
        "-out",
        "sealed.der",
        "bob-read.pem",
    ];
    openssl(office.pki.path(), &arguments);
    pkcs7_mime(&office.pki.read("sealed.der"))
}

#[test]
fn a_signed_part_does_not_speak_for_the_text_beside_it() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let signed = multipart_signed(TEXT, &signature(&alice, TEXT));
    let inside_opaque = pkcs7_mime(&opaque(&alice, TEXT));
    let whole = message(FROM, &signed);
    let attached = format!(
        "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=mail.eml\r\n\r\n{whole}"
    );
    let attached_object = format!(
        "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64(&opaque(&alice, TEXT))
    );
    let only_signature = format!(
        "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64(&signature(&alice, TEXT))
    );
    let forged = forged_text();
    let alternative = mixed(&[&forged, &signed]).replace("multipart/mixed", "multipart/alternative");
    let related = mixed(&[&forged, &signed]).replace("multipart/mixed", "multipart/related");
    let rows: Vec<(&str, String)> = vec![
        ("text before a signed part", mixed(&[&forged, &signed])),
        ("text behind a signed part", mixed(&[&signed, &forged])),
        ("text around a signed part", mixed(&[&forged, &signed, &forged])),
        ("text before an opaque part", mixed(&[&forged, &inside_opaque])),
        ("text behind an opaque part", mixed(&[&inside_opaque, &forged])),
        ("a signed alternative", alternative),
        ("a signed related part", related),
        ("a signed message inside", mixed(&[&forged, &attached])),
        ("a signed message alone inside", attached.replace("; filename=mail.eml", "")),
        ("a signed attachment", mixed(&[&forged, &attached_object])),
        ("a signature without what it signs", mixed(&[TEXT, &only_signature])),
        ("the signature stripped", signed.replace("multipart/signed", "multipart/mixed")),
        ("the signature of another protocol", signed.replace("pkcs7-signature\";", "pgp-signature\";")),
        ("two signed parts", mixed(&[&signed, &signed])),
        ("a digest instead", mixed(&[&attached]).replace("multipart/mixed", "multipart/digest")),
        ("signed text as plain text", format!("Content-Type: text/plain\r\n\r\n{signed}")),
    ];
    let tricks: Vec<Trick> =
        rows.iter().map(|(name, entity)| Trick::new(name, &message(FROM, entity), "unsigned")).collect();
    check_all(&office, &tricks);
}

#[test]
fn what_stands_outside_a_signed_part_is_not_shown_with_it() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let signed = multipart_signed(TEXT, &signature(&alice, TEXT));
    for (name, entity) in [
        ("a preamble", signed.replacen("--sb\r\n", &format!("{FORGED}\r\n--sb\r\n"), 1)),
        ("an epilogue", format!("{signed}{FORGED}\r\n")),
        (
            "text in the part of the signature",
            signed.replace(
                "name=smime.p7s\r\n",
                &format!("name=smime.p7s\r\nContent-Description: {FORGED}\r\n"),
            ),
        ),
        (
            "two boundaries",
            signed.replace("boundary=\"sb\"", "boundary=\"sb\"; boundary=\"xx\"")
                + &format!("--xx\r\n\r\n{FORGED}\r\n--xx--\r\n"),
        ),
        ("a comment in the type", signed.replace("micalg=", &format!("x-comment=\"{FORGED}\"; micalg="))),
    ] {
        let said = office.run("bob", &["open", "--json"], message(FROM, &entity).as_bytes());
        assert!(!said.text().contains(FORGED), "{name}: {}", said.text());
        assert!(said.code == 0 || said.stdout.is_empty(), "{name}: exit {}", said.code);
        if said.code == 0 {
            assert!(said.text().contains("Yes, I agree."), "{name}");
        }
    }
}

/// RFC 1847 section 2.1: exactly two parts, and the second is the signature.
#[test]
fn a_signed_multipart_has_exactly_two_parts() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let signed = multipart_signed(TEXT, &signature(&alice, TEXT));
    let forged = forged_text();
    let second = signed.find("--sb\r\nContent-Type: application/pkcs7-signature").unwrap();
    let (first, rest) = signed.split_at(second);
    let rows: Vec<(&str, String, &'static str)> = vec![
        (
            "a third part behind",
            signed.replace("--sb--", &format!("--sb\r\n{forged}\r\n--sb--")),
            "signature-malformed",
        ),
        ("a third part between", format!("{first}--sb\r\n{forged}\r\n{rest}"), "signature-malformed"),
        (
            "a third part before",
            signed.replacen("--sb\r\n", &format!("--sb\r\n{forged}\r\n--sb\r\n"), 1),
            "signature-malformed",
        ),
        ("the first part exchanged", signed.replace("Yes, I agree.", FORGED), "content-changed"),
        ("the parts in the other order", swapped(&signed), "signature-malformed"),
        ("only the first part", format!("{first}--sb--\r\n"), "signature-malformed"),
        ("cut off", signed.replace("--sb--\r\n", ""), "signature-malformed"),
        ("no boundary", signed.replace("; boundary=\"sb\"", ""), "signature-malformed"),
        ("an empty boundary", signed.replace("boundary=\"sb\"", "boundary=\"\""), "signature-malformed"),
        (
            "a boundary that never comes",
            signed.replace("boundary=\"sb\"", "boundary=\"xx\""),
            "signature-malformed",
        ),
        ("two Content-Type fields", format!("Content-Type: text/plain\r\n{signed}"), "signature-malformed"),
        (
            "the signature as something else",
            signed.replace("application/pkcs7-signature; name", "application/octet-stream; name"),
            "signature-malformed",
        ),
        ("the signature is no object", multipart_signed(TEXT, b"no object at all"), "signature-malformed"),
        ("the signature is empty", multipart_signed(TEXT, b""), "signature-malformed"),
        ("a trailing blank added", signed.replace("I agree.\r\n", "I agree. \r\n"), "content-changed"),
        ("an empty line added", signed.replace("I agree.\r\n", "I agree.\r\n\r\n"), "content-changed"),
        ("the header of the part changed", signed.replacen("text/plain", "text/html", 1), "content-changed"),
        (
            "a field added to the part",
            signed.replacen("text/plain", "text/plain\r\nContent-Disposition: attachment", 1),
            "content-changed",
        ),
    ];
    let tricks: Vec<Trick> =
        rows.iter().map(|(name, entity, code)| Trick::new(name, &message(FROM, entity), code)).collect();
    check_all(&office, &tricks);
}

fn swapped(signed: &str) -> String {
    let parts: Vec<&str> = signed.split("--sb").collect();
    format!("{}--sb{}--sb{}--sb{}", parts[0], parts[2], parts[1], parts[3])
}

/// `micalg` only helps a reader that wants to hash in one pass (RFC 8551 section 3.5.3.2): it decides nothing.
#[test]
fn a_lie_about_the_digest_changes_nothing() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let signed = multipart_signed(TEXT, &signature(&alice, TEXT));
    for micalg in ["", " micalg=md5;", " micalg=sha1;", " micalg=\"sha-512,unknown\";", " micalg=;"] {
        let entity = signed.replace(" micalg=sha-256;", micalg);
        let changed = entity.replace("I agree", "I disagree");
        let said = office.run("bob", &["open", "--json"], message(FROM, &entity).as_bytes());
        let json = said.json();
        assert!(
            (said.code == 0 && json["verdict"]["code"] == "trusted")
                || (said.code == 4 && said.stdout.is_empty()),
            "{micalg:?}: {}",
            said.stderr
        );
        let said = office.run("bob", &["open", "--json"], message(FROM, &changed).as_bytes()).expect(4);
        assert!(said.stdout.is_empty(), "{micalg:?}");
        assert_ne!(said.json()["verdict"]["trusted"], true);
    }
}

/// RFC 8551 section 3.2.2: the object says what it is; `smime-type`, the file name and the media type only claim.
#[test]
fn names_and_types_do_not_turn_one_object_into_another() {
    let office = hostile::office();
    let alice = Hand::of(&hostile::signer(&office, "alice"));
    let signed = opaque(&alice, TEXT);
    let changed = replace(&signed, b"I agree", b"I DISAG");
    let sealed = encrypted(&office, "-aes-256-cbc", TEXT);
    for header in [
        "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
        "application/pkcs7-mime; smime-type=certs-only; name=smime.p7c",
        "application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z",
        "application/pkcs7-mime; smime-type=authEnveloped-data",
        "application/x-pkcs7-mime; smime-type=\"\"; name=letter.txt",
        "application/octet-stream; name=smime.p7m",
    ] {
        let entity = |der: &[u8]| {
            format!("Content-Type: {header}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", base64(der))
        };
        let said = office.run("bob", &["open", "--json"], message(FROM, &entity(&signed)).as_bytes());
        assert_eq!(
            (said.code, &said.json()["verdict"]["code"]),
            (0, &"trusted".into()),
            "{header}: {}",
            said.stderr
        );
        let trick = Trick::new(header, &message(FROM, &entity(&changed)), "content-changed");
        check_all(&office, &[trick]);
        let relabelled = sealed.replace("application/pkcs7-mime; name=smime.p7m", header);
        check_all(&office, &[Trick::new(header, &message(FROM, &relabelled), "unauthenticated")]);
    }
    // A text that only bears the name of an object, and an object that is called a text.
    let text = "Content-Type: text/plain; name=smime.p7m\r\n\r\nSigned by alice.\r\n";
    let called_text = pkcs7_mime(&signed).replace("application/pkcs7-mime", "text/plain");
    check_all(
        &office,
        &[
            Trick::new("a text with the name of an object", &message(FROM, text), "unsigned"),
            Trick::new("an object that is called a text", &message(FROM, &called_text), "unsigned"),
        ],
    );
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Signed to eve, encrypted by eve to bob: the signature is alice's, the recipient was not bob. What was signed must not
/// be shown as if alice had written to bob with any protected recipient.
#[test]
fn forwarding_a_signed_mail_in_a_new_envelope_does_not_hide_to_whom_it_was_written() {
    let office = hostile::office();
    let alice = hostile::signer(&office, "alice");
    let hand = Hand::of(&alice);
    // RFC 9788: what alice signed names its recipient.
    let inner = "Content-Type: text/plain; hp=\"clear\"\r\nFrom: alice@example.test\r\nTo: eve@example.test\r\n\
                 Subject: answer\r\n\r\nThe deal is off.\r\n";
    let signed = multipart_signed(inner, &signature(&hand, inner));
    for (name, sealed) in [
        ("signed, then sealed by eve", encrypted(&office, "-aes-256-gcm", &signed)),
        ("signed only", signed.clone()),
    ] {
        let text =
            message("From: alice@example.test\r\nTo: bob@example.test\r\nSubject: answer\r\n", &sealed);
        let said = office.run("bob", &["open", "--json"], text.as_bytes());
        let tells = said.stderr.contains("eve@example.test") || said.text().contains("To: eve@example.test");
        assert!(
            tells || said.stdout.is_empty(),
            "{name}: nothing tells of eve: {}{}",
            said.stderr,
            said.text()
        );
        assert!(!said.text().contains("To: bob@example.test\r\nSubject"), "{name}: {}", said.text());
    }
}

#[test]
fn signatures_around_an_envelope_do_not_speak_for_what_is_inside() {
    let office = hostile::office();
    let (alice, eve) =
        (Hand::of(&hostile::signer(&office, "alice")), Hand::of(&hostile::signer(&office, "eve")));
    // Alice's envelope, which she never signed inside, re-signed by eve and by alice.
    for (cipher, code) in [("-aes-256-gcm", "unsigned"), ("-aes-256-cbc", "unauthenticated")] {
        let sealed = encrypted(&office, cipher, TEXT);
        for (name, hand) in [("alice around", &alice), ("eve around", &eve)] {
            let around = multipart_signed(&sealed, &signature(hand, &sealed));
            let opaque = pkcs7_mime(&opaque(hand, &sealed));
            check_all(
                &office,
                &[
                    Trick::new(&format!("{name} {cipher}"), &message(FROM, &around), code),
                    Trick::new(&format!("{name} {cipher}, opaque"), &message(FROM, &opaque), code),
                ],
            );
        }
    }
    // A forged signature inside an honest one, and the other way round.
    let inside = multipart_signed(TEXT, &signature(&alice, "something else"));
    let outside = pkcs7_mime(&opaque(&alice, &inside));
    let eves = pkcs7_mime(&opaque(&eve, &multipart_signed(TEXT, &signature(&alice, TEXT))));
    check_all(
        &office,
        &[
            Trick::new("a wrong signature inside a right one", &message(FROM, &outside), "content-changed"),
            Trick::new("alice's signed mail inside eve's", &message(FROM, &eves), "address-mismatch"),
        ],
    );
}
