//! Signature objects that break a rule of RFC 5652, RFC 5035, RFC 6211 or RFC 8551: none counts.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod forgery;
mod hostile;
mod openssl_pki;

use accounts::Office;
use forgery::{
    ALGORITHM_PROTECTION, CONTENT_TYPE, ECDSA_WITH_SHA512, Hand, ID_DATA, ID_SIGNED_DATA, MESSAGE_DIGEST,
    SHA1, SHA512, SIGNING_CERTIFICATE_V2, SIGNING_TIME, Shape, SignedData, algorithm, attribute,
    content_info, element, issuer_and_serial, message, multipart_signed, object_identifier, octets,
    pkcs7_mime, sequence, set, sha256,
};
use hostile::{Trick, check_all};
use openssl_pki::{Key, openssl};

const TEXT: &str = "Content-Type: text/plain\r\n\r\nPay 100 to Carol.\r\n";
const OTHER: &str = "Content-Type: text/plain\r\n\r\nPay 900 to Eve.\r\n";
const FROM: &str = "From: alice@example.test\r\nTo: bob@example.test\r\n";

struct Workshop {
    office: Office,
    alice: Hand,
    eve: Hand,
    tricks: Vec<Trick>,
}

impl Workshop {
    fn new() -> Self {
        let office = hostile::office();
        let alice = Hand::of(&hostile::signer(&office, "alice"));
        let eve = Hand::of(&hostile::signer(&office, "eve"));
        Self { office, alice, eve, tricks: Vec::new() }
    }

    /// A message whose one SignerInfo, honest but for `change`, alice has signed; both forms.
    fn shape(&mut self, name: &str, code: &'static str, change: impl Fn(&mut Shape, &Hand)) {
        let mut shape = Shape::new(&self.alice.certificate, TEXT.as_bytes());
        change(&mut shape, &self.eve);
        let info = shape.sign(&self.alice);
        self.infos(name, code, &[info]);
    }

    /// A message with these SignerInfos over [`TEXT`]; both forms.
    fn infos(&mut self, name: &str, code: &'static str, infos: &[Vec<u8>]) {
        let certificates = [&self.alice.certificate, &self.eve.certificate];
        let detached = SignedData::new(None, &certificates, infos).der();
        let opaque = SignedData::new(Some(TEXT.as_bytes()), &certificates, infos).der();
        self.entity(&format!("{name} (multipart)"), code, &multipart_signed(TEXT, &detached));
        self.entity(&format!("{name} (opaque)"), code, &pkcs7_mime(&opaque));
    }

    fn entity(&mut self, name: &str, code: &'static str, entity: &str) {
        self.tricks.push(Trick::new(name, &message(FROM, entity), code));
    }

    fn check(&self) {
        check_all(&self.office, &self.tricks);
    }

    /// The same check, turned round: an honest message must come out as trusted, or the tricks prove nothing.
    fn expect_trusted(&self, name: &str, infos: &[Vec<u8>]) {
        let certificates = [&self.alice.certificate, &self.eve.certificate];
        let der = SignedData::new(None, &certificates, infos).der();
        let text = message(FROM, &multipart_signed(TEXT, &der));
        let said = self.office.run("bob", &["open", "--json"], text.as_bytes());
        assert_eq!(
            (said.code, &said.json()["verdict"]["code"]),
            (0, &"trusted".into()),
            "{name}: {}",
            said.stderr
        );
    }
}

fn message_digest(content: &[u8]) -> Vec<u8> {
    attribute(MESSAGE_DIGEST, &[octets(&sha256(content))])
}

fn content_type(kind: &str) -> Vec<u8> {
    attribute(CONTENT_TYPE, &[object_identifier(kind)])
}

/// SigningCertificateV2 (RFC 5035 section 4) that names this digest of a certificate.
fn signing_certificate(digest: &[u8]) -> Vec<u8> {
    attribute(SIGNING_CERTIFICATE_V2, &[sequence(&[&sequence(&[&sequence(&[&octets(digest)])])])])
}

fn protection(digest: &str, signature: &str) -> Vec<u8> {
    let signature = element(0xA1, &[&object_identifier(signature)]);
    attribute(ALGORITHM_PROTECTION, &[sequence(&[&algorithm(digest), &signature])])
}

#[test]
fn honest_objects_of_the_same_making_are_trusted() {
    let workshop = Workshop::new();
    let alice = &workshop.alice;
    workshop.expect_trusted("plain", &[alice.signer_info(TEXT.as_bytes())]);
    let mut shape = Shape::new(&alice.certificate, TEXT.as_bytes());
    shape.attributes.push(signing_certificate(&sha256(alice.certificate.der())));
    shape.attributes.push(protection(forgery::SHA256, forgery::ECDSA_WITH_SHA256));
    workshop.expect_trusted("with every protection", &[shape.sign(alice)]);
    // RFC 5652 section 5.4: the DER of the SET is what is signed, in whatever order it is written.
    let mut shape = Shape::new(&alice.certificate, TEXT.as_bytes());
    shape.attributes.sort();
    shape.attributes.reverse();
    shape.sorted = false;
    workshop.expect_trusted("attributes written in another order", &[shape.sign(alice)]);
    let mut shape = Shape::new(&alice.certificate, TEXT.as_bytes());
    shape.unsigned.push(attribute("1.3.6.1.4.1.32473.9", &[octets(b"anything")]));
    workshop.expect_trusted("an unsigned attribute that nobody knows", &[shape.sign(alice)]);
    workshop.expect_trusted(
        "another signer beside",
        &[workshop.eve.signer_info(TEXT.as_bytes()), alice.signer_info(TEXT.as_bytes())],
    );
}

#[test]
fn signed_attributes_are_taken_at_their_word() {
    let mut workshop = Workshop::new();
    let text = TEXT.as_bytes();
    workshop.shape("two message digests", "signature-malformed", |shape, _| {
        shape.attributes.push(message_digest(OTHER.as_bytes()));
    });
    workshop.shape("the same message digest twice", "signature-malformed", |shape, _| {
        shape.attributes.push(message_digest(text));
    });
    workshop.shape("a message digest with two values", "signature-malformed", |shape, _| {
        let values = [octets(&sha256(text)), octets(&sha256(OTHER.as_bytes()))];
        shape.replace(MESSAGE_DIGEST, attribute(MESSAGE_DIGEST, &values));
    });
    workshop.shape("a message digest without value", "signature-malformed", |shape, _| {
        shape.replace(MESSAGE_DIGEST, attribute(MESSAGE_DIGEST, &[]));
    });
    workshop.shape("no message digest", "signature-malformed", |shape, _| {
        shape.attributes.truncate(1);
    });
    workshop.shape("a message digest of another length", "content-changed", |shape, _| {
        shape.replace(MESSAGE_DIGEST, attribute(MESSAGE_DIGEST, &[octets(&sha256(text)[..16])]));
    });
    workshop.shape("an empty message digest", "content-changed", |shape, _| {
        shape.replace(MESSAGE_DIGEST, attribute(MESSAGE_DIGEST, &[octets(&[])]));
    });
    workshop.shape("the digest of other content", "content-changed", |shape, _| {
        shape.replace(MESSAGE_DIGEST, message_digest(OTHER.as_bytes()));
    });
    workshop.shape("no content type", "signature-malformed", |shape, _| {
        shape.attributes.remove(0);
    });
    workshop.shape("two content types", "signature-malformed", |shape, _| {
        shape.attributes.push(content_type(ID_SIGNED_DATA));
    });
    workshop.shape("another content type", "signature-malformed", |shape, _| {
        shape.replace(CONTENT_TYPE, content_type(ID_SIGNED_DATA));
    });
    workshop.shape("two signing times", "signature-malformed", |shape, _| {
        for time in ["260101000000Z", "250101000000Z"] {
            shape.attributes.push(attribute(SIGNING_TIME, &[element(0x17, &[time.as_bytes()])]));
        }
    });
    workshop.shape("a signing time that is none", "signature-malformed", |shape, _| {
        shape.attributes.push(attribute(SIGNING_TIME, &[octets(b"yesterday")]));
    });
    workshop.shape("attributes signed in the order in which they stand", "signature-wrong", |shape, _| {
        shape.attributes.sort();
        shape.attributes.reverse();
        shape.sorted = false;
        let references: Vec<&[u8]> = shape.attributes.iter().map(Vec::as_slice).collect();
        shape.signed = Some(element(0x31, &references));
    });
    workshop.shape("attributes signed with their implicit tag", "signature-wrong", |shape, _| {
        shape.signed = Some(set(0xA0, &shape.attributes));
    });
    workshop.shape("the content signed beside attributes", "signature-wrong", |shape, _| {
        shape.signed = Some(text.to_vec());
    });
    workshop.check();
}

#[test]
fn unsigned_attributes_are_worth_nothing() {
    let mut workshop = Workshop::new();
    workshop.shape("the message digest is not signed", "signature-malformed", |shape, _| {
        shape.attributes.truncate(1);
        shape.unsigned.push(message_digest(TEXT.as_bytes()));
    });
    workshop.shape("the content type is not signed", "signature-malformed", |shape, _| {
        shape.attributes.remove(0);
        shape.unsigned.push(content_type(ID_DATA));
    });
    workshop.shape("a better digest, unsigned", "content-changed", |shape, _| {
        shape.replace(MESSAGE_DIGEST, message_digest(OTHER.as_bytes()));
        shape.unsigned.push(message_digest(TEXT.as_bytes()));
    });
    // All attributes moved out of the signature: what is signed is no content.
    workshop.shape("every attribute is unsigned", "signature-wrong", |shape, _| {
        shape.signed = Some(set(0x31, &shape.attributes));
        shape.unsigned = std::mem::take(&mut shape.attributes);
    });
    workshop.check();
}

/// A signature over attributes is a signature over some octets; those octets must not pass as the content.
#[test]
fn signed_attributes_do_not_become_content() {
    let mut workshop = Workshop::new();
    let shape = Shape::new(&workshop.alice.certificate, TEXT.as_bytes());
    let attributes = set(0x31, &shape.attributes);
    let mut bare = Shape::new(&workshop.alice.certificate, &attributes);
    bare.attributes.clear();
    let info = bare.sign(&workshop.alice);
    let der = SignedData::new(Some(&attributes), &[&workshop.alice.certificate], &[info]).der();
    workshop.entity("attributes as content", "signature-malformed", &pkcs7_mime(&der));
    workshop.check();
}

#[test]
fn a_signer_info_names_its_own_signer_and_algorithms() {
    let mut workshop = Workshop::new();
    let text = TEXT.as_bytes();
    workshop.shape("alice's signature under eve's name", "signature-wrong", |shape, eve| {
        shape.identifier = issuer_and_serial(&eve.certificate);
    });
    workshop.shape("a serial number that nobody has", "signer-certificate-missing", |shape, eve| {
        let issuer = der::Encode::to_der(eve.certificate.issuer_name()).unwrap();
        shape.identifier = sequence(&[&issuer, &element(0x02, &[&[0x01, 0x02, 0x03]])]);
    });
    workshop.shape("a key identifier that nobody has", "signer-certificate-missing", |shape, _| {
        shape.identifier = element(0x80, &[&[7; 20]]);
        shape.version = 3;
    });
    workshop.shape("SHA-1", "unsupported-algorithm", |shape, _| shape.digest_algorithm = algorithm(SHA1));
    workshop.shape("a digest that the signature does not use", "signature-malformed", |shape, _| {
        shape.digest_algorithm = algorithm(SHA512);
    });
    workshop.shape("a signature algorithm of another digest", "signature-malformed", |shape, _| {
        shape.signature_algorithm = algorithm(ECDSA_WITH_SHA512);
    });
    workshop.shape("a signature algorithm of another key", "signature-wrong", |shape, _| {
        shape.signature_algorithm = algorithm("1.2.840.113549.1.1.11");
    });
    workshop.shape("algorithm protection names others", "signature-malformed", |shape, _| {
        shape.attributes.push(protection(SHA512, ECDSA_WITH_SHA512));
    });
    workshop.shape("two algorithm protections", "signature-malformed", |shape, _| {
        shape.attributes.push(protection(forgery::SHA256, forgery::ECDSA_WITH_SHA256));
        shape.attributes.push(protection(SHA512, ECDSA_WITH_SHA512));
    });
    workshop.shape("ESS names eve's certificate", "signature-of-other-certificate", |shape, eve| {
        shape.attributes.push(signing_certificate(&sha256(eve.certificate.der())));
    });
    workshop.shape("ESS names nothing", "signature-malformed", |shape, _| {
        shape.attributes.push(attribute(SIGNING_CERTIFICATE_V2, &[sequence(&[&sequence(&[])])]));
    });
    // A second certificate of alice's key, which she did not mean when she signed.
    let again = workshop.office.pki.people.certify_again(
        "alice-sign",
        "alice-again",
        &openssl_pki::signing("alice@example.test"),
        openssl_pki::VALID,
    );
    let mut shape = Shape::new(&again.certificate(), text);
    shape.attributes.push(signing_certificate(&sha256(workshop.alice.certificate.der())));
    let der = SignedData::new(None, &[&again.certificate()], &[shape.sign(&workshop.alice)]).der();
    workshop.entity(
        "another certificate of the same key",
        "signature-of-other-certificate",
        &multipart_signed(TEXT, &der),
    );
    workshop.check();
}

#[test]
fn a_signature_of_eve_does_not_repair_one_of_alice() {
    let mut workshop = Workshop::new();
    let (text, other) = (TEXT.as_bytes(), OTHER.as_bytes());
    let (alice, eve) = (workshop.alice.signer_info(other), workshop.eve.signer_info(text));
    workshop.infos(
        "alice's signature of other content beside eve's",
        "content-changed",
        &[alice.clone(), eve.clone()],
    );
    workshop.infos("eve's signature first", "content-changed", &[eve.clone(), alice]);
    workshop.infos("only eve's signature", "address-mismatch", std::slice::from_ref(&eve));
    let alice = Hand::of(&hostile::signer(&workshop.office, "alice"));
    let mut torn = alice.signer_info(text);
    let last = torn.len() - 1;
    torn[last] ^= 1;
    workshop.infos("a torn signature of alice beside eve's", "signature-wrong", &[torn, eve.clone()]);
    let broken = sequence(&[&element(0x02, &[&[1]])]);
    workshop.infos("an unreadable signer beside eve's", "signature-malformed", &[eve, broken]);
    workshop.infos("no signer at all", "unsigned", &[]);
    workshop.check();
}

#[test]
fn content_stands_in_one_place_only() {
    let mut workshop = Workshop::new();
    let alice = Hand::of(&hostile::signer(&workshop.office, "alice"));
    let (text, certificates) = (TEXT.as_bytes(), [&alice.certificate]);
    let infos = [alice.signer_info(text)];
    let with_content = SignedData::new(Some(text), &certificates, &infos).der();
    let without = SignedData::new(None, &certificates, &infos).der();
    workshop.entity(
        "eContent in a detached signature",
        "content-ambiguous",
        &multipart_signed(OTHER, &with_content),
    );
    workshop.entity(
        "the same content in both places",
        "content-ambiguous",
        &multipart_signed(TEXT, &with_content),
    );
    workshop.entity("a detached signature as a message", "content-ambiguous", &pkcs7_mime(&without));
    let empty = SignedData::new(Some(b""), &certificates, &infos).der();
    workshop.entity(
        "empty eContent in a detached signature",
        "content-ambiguous",
        &multipart_signed(TEXT, &empty),
    );
    workshop.entity("empty eContent", "content-changed", &pkcs7_mime(&empty));
    workshop.entity("the signature of other content", "content-changed", &multipart_signed(OTHER, &without));
    // Two ContentInfos one after the other, and octets after the end.
    workshop.entity(
        "a second object behind the first",
        "signature-malformed",
        &multipart_signed(TEXT, &[&without[..], &with_content].concat()),
    );
    workshop.entity(
        "octets behind the object",
        "signature-malformed",
        &pkcs7_mime(&[&with_content[..], b"tail"].concat()),
    );
    for cut in [1, 40, with_content.len() / 2] {
        let short = &with_content[..with_content.len() - cut];
        workshop.entity(&format!("{cut} octets short"), "signature-malformed", &pkcs7_mime(short));
    }
    workshop.check();
}

/// A signature made for something else (a time stamp, a certificate) is no signature of a mail.
#[test]
fn what_was_signed_as_something_else_is_no_mail() {
    let mut workshop = Workshop::new();
    let alice = Hand::of(&hostile::signer(&workshop.office, "alice"));
    for (name, kind, code) in [
        ("a time stamp", "1.2.840.113549.1.9.16.1.4", "signed-other-content"),
        ("a SignedData directly inside", ID_SIGNED_DATA, "signed-other-content"),
        ("a receipt", "1.2.840.113549.1.9.16.1.1", "signed-other-content"),
    ] {
        let mut shape = Shape::new(&alice.certificate, TEXT.as_bytes());
        shape.replace(CONTENT_TYPE, content_type(kind));
        let infos = [shape.sign(&alice)];
        let mut data = SignedData::new(Some(TEXT.as_bytes()), &[&alice.certificate], &infos);
        data.content_type = kind;
        workshop.entity(name, code, &pkcs7_mime(&data.der()));
        // The same under the name of mail: the attribute says otherwise.
        let data = SignedData::new(Some(TEXT.as_bytes()), &[&alice.certificate], &infos);
        workshop.entity(&format!("{name}, renamed"), "signature-malformed", &pkcs7_mime(&data.der()));
    }
    let nothing = content_info(ID_DATA, &octets(TEXT.as_bytes()));
    workshop.entity("plain data as a signed message", "unsupported", &pkcs7_mime(&nothing));
    workshop.check();
}

/// CRLs that travel along are hints: only the authority's own, and the newest, speak.
#[test]
fn revocation_is_not_undone_from_inside_the_message() {
    let mut workshop = Workshop::new();
    let office = &workshop.office;
    let folder = office.pki.path().to_owned();
    let people = &office.pki.people;
    let read_list = |name: &str| openssl(&folder, &["crl", "-in", name, "-outform", "DER"]);
    // While alice was good: a genuine CRL that does not list her, now old.
    people.crl_with("", ("20240101000000Z", "20480101000000Z"));
    let before = read_list("People.crl");
    // A stranger's CRL under the authority's name, newer than any.
    let twin_folder = folder.join("twin");
    std::fs::create_dir_all(&twin_folder).unwrap();
    let twin = openssl_pki::Authority::root(&twin_folder, "People", openssl_pki::CA);
    twin.crl_with("", ("20260101000000Z", "20480101000000Z"));
    let forged = openssl(&twin_folder, &["crl", "-in", "People.crl", "-outform", "DER"]);
    people.revoke("alice-sign", &["-crl_compromise", "20250501000000Z"]);
    people.crl_with("", ("20250601000000Z", "20480101000000Z"));
    publish(office, &read_list("People.crl"));
    let alice = Hand::of(&hostile::signer(office, "alice"));
    for (name, lists) in [
        ("no CRL along", vec![]),
        ("the CRL of the time before along", vec![before.clone()]),
        ("a stranger's CRL along", vec![forged.clone()]),
        ("all of them along", vec![before, forged, b"\x30\x03\x02\x01\x00".to_vec()]),
    ] {
        let infos = [alice.signer_info(TEXT.as_bytes())];
        let mut data = SignedData::new(None, &[&alice.certificate], &infos);
        data.revocation_lists = lists;
        workshop.tricks.push(Trick::new(
            name,
            &message(FROM, &multipart_signed(TEXT, &data.der())),
            "revoked",
        ));
    }
    workshop.check();
}

fn publish(office: &Office, list: &[u8]) {
    let identifier = hex::encode(office.pki.people.certificate().subject_key_identifier().unwrap());
    std::fs::write(office.path(&format!("published/crl/{identifier}.crl")), list).unwrap();
    let _ = std::fs::remove_dir_all(office.path("home-bob/cache"));
}

#[test]
fn a_certificate_with_the_signers_key_identifier_is_not_the_signers() {
    let mut workshop = Workshop::new();
    let office = &workshop.office;
    let alice = Hand::of(&hostile::signer(office, "alice"));
    let identifier = alice.certificate.subject_key_identifier().unwrap();
    let extensions = openssl_pki::signing("eve@example.test")
        .replace("subjectKeyIdentifier=hash", &format!("subjectKeyIdentifier={}", hex::encode(&identifier)));
    let double = Hand::of(&office.pki.people.issue("double", Key::P256, &extensions));
    // Eve signs; the message names "the key of alice", and both certificates come along.
    let mut shape = Shape::new(&double.certificate, TEXT.as_bytes());
    shape.identifier = element(0x80, &[&identifier]);
    shape.version = 3;
    let infos = [shape.sign(&double)];
    for (name, certificates, code) in [
        ("both certificates along", vec![&alice.certificate, &double.certificate], "address-mismatch"),
        ("the other way round", vec![&double.certificate, &alice.certificate], "address-mismatch"),
        ("only alice's along", vec![&alice.certificate], "signature-wrong"),
    ] {
        let der = SignedData::new(None, &certificates, &infos).der();
        workshop.tricks.push(Trick::new(name, &message(FROM, &multipart_signed(TEXT, &der)), code));
    }
    workshop.check();
}
