//! Signatures with attributes of the caller's choice, signed and unsigned, judged by openssl.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use const_oid::ObjectIdentifier;
use mailer::smime::sign::make;
use mailer::smime::{
    MadeSignature, RsaPadding, SignError, Signature, SignedAttributesPlan, SigningAlgorithm, SigningIdentity,
    unsigned_time_stamp, verify,
};
use openssl_pki::{Identity, Key, Pki, bytes, content, now, openssl};

const DOCUMENT: &[u8] = b"%PDF-1.7\nnot one, but signed as one\n";
const VERIFY: [&str; 8] = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-CAfile", "Root.pem"];

fn made(identity: &Identity, plan: &SignedAttributesPlan) -> Result<MadeSignature, SignError> {
    let mut ring = identity.ring();
    let certificate = identity.certificate();
    let algorithm = SigningAlgorithm::of(certificate.public_key(), RsaPadding::default()).unwrap();
    let identity = SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    };
    make(&algorithm.digest().digest(DOCUMENT), identity, plan)
}

fn printed(pki: &Pki, object: &[u8]) -> String {
    pki.write("printed.der", object);
    let printed = openssl(pki.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "printed.der"]);
    String::from_utf8(printed).unwrap()
}

fn read(object: &[u8]) -> Signature {
    let signed = verify(&content(object), Some(&content(DOCUMENT)), &[]).unwrap();
    signed.signers[0].outcome.clone().unwrap()
}

#[test]
fn a_document_signature_tells_no_time_and_no_capabilities() {
    let pki = Pki::new();
    pki.write("document", DOCUMENT);
    for key in [Key::Rsa2048, Key::P256] {
        let alice = pki.signer("alice", key);
        let people = [pki.people.certificate()];
        let object = made(&alice, &SignedAttributesPlan::document()).unwrap().detached(&people, &[]).unwrap();
        pki.write("document.p7s", &object);
        let arguments = ["-in", "document.p7s", "-content", "document", "-out", "out"];
        openssl(pki.path(), &[&VERIFY[..], &arguments].concat());
        let text = printed(&pki, &object);
        for attribute in
            ["contentType", "messageDigest", "id-smime-aa-signingCertificateV2", "1.2.840.113549.1.9.52"]
        {
            assert!(text.contains(attribute), "{attribute} is missing in {text}");
        }
        assert!(!text.contains("signingTime") && !text.contains("S/MIME Capabilities"), "{text}");
        let signature = read(&object);
        assert_eq!((signature.signing_time, signature.capabilities.clone()), (None, None));
        assert!(signature.names_certificate);
        // What the value is over: openssl verifies it with the key alone.
        pki.write("attributes", signature.signed_attributes.as_ref().unwrap());
        pki.write("value", &signature.value);
        pki.write("key.pem", &openssl(pki.path(), &["x509", "-in", "alice.pem", "-noout", "-pubkey"]));
        openssl(pki.path(), &["dgst", "-sha256", "-verify", "key.pem", "-signature", "value", "attributes"]);
    }
}

#[test]
fn a_signature_beside_a_file_tells_its_time() {
    let pki = Pki::new();
    pki.write("document", DOCUMENT);
    let alice = pki.signer("alice", Key::P256);
    let plan = SignedAttributesPlan::detached_document(now());
    let object = made(&alice, &plan).unwrap().detached(&[pki.people.certificate()], &[]).unwrap();
    pki.write("document.p7s", &object);
    let arguments = ["-in", "document.p7s", "-content", "document", "-out", "out"];
    openssl(pki.path(), &[&VERIFY[..], &arguments].concat());
    let text = printed(&pki, &object);
    assert!(text.contains("UTCTIME:Jun  1 12:00:00 2026 GMT"), "{text}");
    assert!(!text.contains("S/MIME Capabilities"), "{text}");
    assert_eq!(read(&object).signing_time, Some(now()));
}

#[test]
fn a_time_stamp_is_put_in_after_the_key_has_signed() {
    let pki = Pki::new();
    pki.write("document", DOCUMENT);
    let alice = pki.signer("alice", Key::P256);
    let made = made(&alice, &SignedAttributesPlan::document()).unwrap();
    let people = [pki.people.certificate()];
    let bare = read(&made.detached(&people, &[]).unwrap());
    assert!(bare.time_stamp_tokens.is_empty());
    // Any ContentInfo stands for a token here: nothing looks into it.
    let token = made.detached(&[], &[]).unwrap();
    let stamped = made.detached(&people, &[unsigned_time_stamp(&token).unwrap()]).unwrap();
    pki.write("document.p7s", &stamped);
    openssl(
        pki.path(),
        &[&VERIFY[..], &["-in", "document.p7s", "-content", "document", "-out", "out"]].concat(),
    );
    assert!(printed(&pki, &stamped).contains("id-smime-aa-timeStampToken"));
    let signature = read(&stamped);
    assert_eq!(signature.time_stamp_tokens, [token]);
    assert_eq!((&signature.value[..], &bare.value[..]), (made.value(), made.value()));
    for nonsense in [&b""[..], b"0", b"\x04\x00", b"\x30\x00\x00"] {
        assert!(matches!(unsigned_time_stamp(nonsense), Err(SignError::MalformedAttribute)), "{nonsense:?}");
    }
    let nonsense = made.detached(&[], &[b"0\x00".to_vec()]).unwrap_err();
    assert_eq!(nonsense.code(), "attribute-malformed");
}

/// `Attribute` with a commitment type (RFC 5126 section 5.11.1): proof of approval.
const APPROVAL: &str = "301c060b2a864886f70d0109100210310d300b06092a864886f70d010106";

#[test]
fn further_attributes_are_signed_and_found_again() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let attribute = hex::decode(APPROVAL).unwrap();
    let plan = SignedAttributesPlan::document().with(attribute.clone());
    let object = made(&alice, &plan).unwrap().detached(&[], &[]).unwrap();
    let signature = read(&object);
    let commitment = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.16");
    assert_eq!(signature.signed_attribute(commitment).unwrap().unwrap(), attribute[17..]);
    let absent = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.1");
    assert_eq!(signature.signed_attribute(absent).unwrap(), None);

    let twice = made(&alice, &plan.clone().with(attribute)).map(|_| ()).unwrap_err();
    assert!(matches!(&twice, SignError::AttributeTwice(found) if *found == commitment), "{twice}");
    let own = hex::decode("301806092a864886f70d010903310b06092a864886f70d010701").unwrap();
    let twice = made(&alice, &SignedAttributesPlan::document().with(own)).map(|_| ()).unwrap_err();
    assert_eq!(twice.code(), "attribute-twice");
    let cut = made(&alice, &SignedAttributesPlan::document().with(vec![0x30, 5, 6])).map(|_| ()).unwrap_err();
    assert_eq!(cut.code(), "attribute-malformed");
}

#[test]
fn content_that_is_no_data_makes_a_version_3_and_never_passes_for_mail() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let receipt = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.1");
    let plan =
        SignedAttributesPlan { content_type: receipt, ..SignedAttributesPlan::detached_document(now()) };
    let made = made(&alice, &plan).unwrap();
    let object =
        bytes(&made.signed_data(Some(&content(DOCUMENT)), &[pki.people.certificate()], &[]).unwrap());
    pki.write("other.der", &object);
    openssl(pki.path(), &[&VERIFY[..], &["-in", "other.der", "-out", "out"]].concat());
    assert_eq!(pki.read("out"), DOCUMENT);
    let text = printed(&pki, &object);
    let fields: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(fields.contains(&"version: 3") && fields.contains(&"version: 1"), "{text}");
    let signed = verify(&content(&object), None, &[]).unwrap();
    let fault = signed.signers[0].outcome.as_ref().unwrap_err();
    assert_eq!(fault.code(), "signed-other-content");
    // Passed off as mail, which openssl does not notice: it does not compare the signed content type.
    let mut changed = object;
    let name = hex::decode("060b2a864886f70d0109100101").unwrap();
    let at = changed.windows(name.len()).position(|octets| octets == name).unwrap();
    changed[at + 12] = 4;
    let signed = verify(&content(&changed), None, &[]).unwrap();
    assert_eq!(signed.signers[0].outcome.as_ref().unwrap_err().code(), "signature-malformed");
}
