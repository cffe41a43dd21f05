//! Signatures that openssl writes, read by us; and what must not pass.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use mailer::certificate::DigestAlgorithm;
use mailer::content::Content;
use mailer::smime::{SignatureFault, SignedMessage, VerifyError, verify};
use openssl_pki::{Identity, Key, Pki, openssl};

const CONTENT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello.\r\n";

/// Signs with openssl into `signed.der`.
fn sign(pki: &Pki, signer: &Identity, options: &[&str]) -> Vec<u8> {
    pki.write("content", CONTENT);
    let (certificate, key) = (signer.pem(), signer.key());
    let arguments = [
        "cms",
        "-sign",
        "-binary",
        "-in",
        "content",
        "-outform",
        "DER",
        "-out",
        "signed.der",
        "-signer",
        &certificate,
        "-inkey",
        &key,
    ];
    openssl(pki.path(), &[&arguments[..], options].concat());
    pki.read("signed.der")
}

fn content(bytes: &[u8]) -> Content {
    Content::from_vec(bytes.to_vec())
}

fn whole(content: &Content) -> Vec<u8> {
    content.to_vec(usize::MAX).unwrap().unwrap().to_vec()
}

fn only_fault(message: &SignedMessage) -> SignatureFault {
    assert_eq!(message.signers.len(), 1);
    message.signers[0].outcome.clone().expect_err("the signature must not count")
}

/// Replaces bytes that occur exactly once.
fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let positions: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert_eq!(positions.len(), 1, "{positions:?}");
    let mut changed = bytes.to_vec();
    changed[positions[0]..positions[0] + new.len()].copy_from_slice(new);
    changed
}

#[test]
fn every_digest_key_and_form_of_openssl_verifies() {
    let pki = Pki::new();
    for key in [Key::Rsa2048, Key::P256, Key::P384] {
        let alice = pki.signer("alice", key);
        for (digest, expected) in [
            ("sha256", DigestAlgorithm::Sha256),
            ("sha384", DigestAlgorithm::Sha384),
            ("sha512", DigestAlgorithm::Sha512),
        ] {
            for form in [
                &["-nodetach"][..],
                &["-nodetach", "-stream"],
                &["-nodetach", "-keyid"],
                &["-nodetach", "-nosmimecap", "-cades"],
                &["-nodetach", "-noattr"],
            ] {
                let message =
                    verify(&sign(&pki, &alice, &[form, &["-md", digest]].concat()), None, &[]).unwrap();
                let signature = message.signers[0]
                    .outcome
                    .as_ref()
                    .unwrap_or_else(|fault| panic!("{key:?} {digest} {form:?}: {fault}"));
                assert_eq!(signature.certificate, alice.certificate());
                assert_eq!(signature.digest, expected);
                assert_eq!(whole(message.content.as_ref().unwrap()), CONTENT);
            }
            let detached = sign(&pki, &alice, &["-md", digest]);
            let message = verify(&detached, Some(&content(CONTENT)), &[]).unwrap();
            assert!(message.signers[0].outcome.is_ok());
            assert!(message.content.is_none());
        }
    }
}

#[test]
fn signing_time_and_capabilities_are_read() {
    let pki = Pki::new();
    let message = verify(&sign(&pki, &pki.signer("alice", Key::P256), &["-nodetach"]), None, &[]).unwrap();
    let signature = message.signers[0].outcome.as_ref().unwrap();
    assert!(signature.signing_time.is_some());
    assert!(signature.capabilities.is_some());
}

#[test]
fn changed_content_is_noticed_inside_and_beside() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let opaque = sign(&pki, &alice, &["-nodetach"]);
    let changed = verify(&replace(&opaque, b"Hello.", b"Hallo!"), None, &[]).unwrap();
    assert_eq!(only_fault(&changed), SignatureFault::ContentChanged);
    let detached = sign(&pki, &alice, &[]);
    let changed =
        verify(&detached, Some(&content(b"Content-Type: text/plain\r\n\r\nHallo!\r\n")), &[]).unwrap();
    assert_eq!(only_fault(&changed), SignatureFault::ContentChanged);
    assert!(only_fault(&changed).breaks_integrity());
    let bare = sign(&pki, &alice, &["-nodetach", "-noattr"]);
    let changed = verify(&replace(&bare, b"Hello.", b"Hallo!"), None, &[]).unwrap();
    assert_eq!(only_fault(&changed), SignatureFault::SignatureWrong);
}

#[test]
fn a_changed_signature_value_or_attribute_is_noticed() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::Rsa2048);
    let mut signed = sign(&pki, &alice, &["-nodetach"]);
    *signed.last_mut().unwrap() ^= 1;
    assert_eq!(only_fault(&verify(&signed, None, &[]).unwrap()), SignatureFault::SignatureWrong);
    *signed.last_mut().unwrap() ^= 1;
    // The signing time is one of the signed attributes: UTCTime, 13 characters, "Z" at its end.
    let time_at = signed.windows(2).rposition(|window| window == [0x17, 0x0D]).unwrap();
    signed[time_at + 3] ^= 1;
    assert_eq!(only_fault(&verify(&signed, None, &[]).unwrap()), SignatureFault::SignatureWrong);
}

#[test]
fn each_of_several_signers_is_reported() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::Rsa2048));
    let signed = sign(&pki, &alice, &["-nodetach", "-signer", &bob.pem(), "-inkey", &bob.key()]);
    let message = verify(&signed, None, &[]).unwrap();
    let mut names: Vec<String> =
        message.signers.iter().map(|signer| signer.outcome.as_ref().unwrap().certificate.subject()).collect();
    names.sort();
    assert_eq!(names, ["alice", "bob"]);
}

#[test]
fn the_signer_is_found_by_name_and_never_by_place() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    // Bob's certificate travels along, and alone.
    let signed = sign(&pki, &alice, &["-nodetach", "-nocerts", "-certfile", &bob.pem()]);
    let missing = verify(&signed, None, &[]).unwrap();
    assert_eq!(only_fault(&missing), SignatureFault::CertificateMissing);
    assert!(!only_fault(&missing).breaks_integrity());
    let known = verify(&signed, None, &[bob.certificate(), alice.certificate()]).unwrap();
    assert_eq!(known.signers[0].outcome.as_ref().unwrap().certificate, alice.certificate());
}

#[test]
fn a_signature_is_bound_to_the_certificate_that_the_signer_meant() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    // The same key and key identifier, another certificate: only the signing-certificate attribute tells them apart.
    let other = pki.people.certify_again(
        "alice",
        "mallory",
        &openssl_pki::signing("mallory@example.test"),
        openssl_pki::VALID,
    );
    let signed = sign(&pki, &alice, &["-nodetach", "-nocerts", "-keyid", "-cades"]);
    let message = verify(&signed, None, &[other.certificate()]).unwrap();
    assert_eq!(only_fault(&message), SignatureFault::OtherCertificate);
    let message = verify(&signed, None, &[other.certificate(), alice.certificate()]).unwrap();
    assert_eq!(message.signers[0].outcome.as_ref().unwrap().certificate, alice.certificate());
}

#[test]
fn sha1_is_not_believed() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::Rsa2048);
    let message = verify(&sign(&pki, &alice, &["-nodetach", "-md", "sha1"]), None, &[]).unwrap();
    assert!(matches!(only_fault(&message), SignatureFault::Unsupported(_)));
}

#[test]
fn a_message_of_certificates_only_has_no_signer() {
    let pki = Pki::new();
    openssl(
        pki.path(),
        &["crl2pkcs7", "-nocrl", "-certfile", "chain.pem", "-outform", "DER", "-out", "certs.p7c"],
    );
    let message = verify(&pki.read("certs.p7c"), None, &[]).unwrap();
    assert!(message.signers.is_empty());
    assert_eq!(message.certificates.len(), 2);
}

#[test]
fn content_must_be_there_exactly_once() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let opaque = sign(&pki, &alice, &["-nodetach"]);
    assert!(matches!(verify(&opaque, Some(&content(CONTENT)), &[]), Err(VerifyError::ContentAmbiguous)));
    let detached = sign(&pki, &alice, &[]);
    assert!(matches!(verify(&detached, None, &[]), Err(VerifyError::ContentAmbiguous)));
}

#[test]
fn a_signature_over_something_else_is_none_over_a_mail() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    // id-ct-TSTInfo (RFC 3161), id-signedData and id-envelopedData: what RFC 8551 nests, it nests as MIME entities.
    for content_type in ["1.2.840.113549.1.9.16.1.4", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3"] {
        let der = sign(&pki, &alice, &["-nodetach", "-econtent_type", content_type]);
        let fault = only_fault(&verify(&der, None, &[]).unwrap());
        assert_eq!((fault.code(), fault.breaks_integrity()), ("signed-other-content", false), "{fault}");
        assert!(fault.to_string().contains(content_type), "{fault}");
    }
}

#[test]
fn signed_attributes_cannot_be_passed_off_as_content() {
    // RFC 5652 section 5.4: a signature with attributes is one over the DER of their SET. Shown as a message without
    // attributes whose content is that SET, it would verify: so such content is refused, its signature right or not.
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    pki.write("set", &[0x31, 0x03, 0x02, 0x01, 0x05]);
    let (certificate, key) = (alice.pem(), alice.key());
    let arguments = [
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-noattr",
        "-in",
        "set",
        "-outform",
        "DER",
        "-out",
        "set.der",
    ];
    openssl(pki.path(), &[&arguments[..], &["-signer", &certificate, "-inkey", &key]].concat());
    let message = verify(&pki.read("set.der"), None, &[]).unwrap();
    assert!(matches!(only_fault(&message), SignatureFault::Malformed(_)));
}

#[test]
fn other_cms_objects_are_named() {
    let pki = Pki::new();
    pki.write("content", CONTENT);
    openssl(pki.path(), &["cms", "-data_create", "-in", "content", "-outform", "DER", "-out", "data.der"]);
    assert!(matches!(
        verify(&pki.read("data.der"), None, &[]),
        Err(VerifyError::Malformed(_) | VerifyError::NotSignedData(_))
    ));
    assert!(matches!(verify(&b"no CMS at all".as_slice(), None, &[]), Err(VerifyError::Malformed(_))));
}
