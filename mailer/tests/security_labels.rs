//! Security labels (RFC 2634 section 3) signed into messages, and read back from all their signers.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod forgery;
mod openssl_pki;

use const_oid::ObjectIdentifier;
use forgery::{Hand, Shape, SignedData, attribute, element};
use mailer::smime::sign::make;
use mailer::smime::{
    EssError, RsaPadding, SecurityCategory, SecurityClassification, SecurityLabel, SignedAttributesPlan,
    SigningIdentity, verify,
};
use openssl_pki::{Key, Pki, content, now, openssl};

const BODY: &[u8] = b"Content-Type: text/plain\r\n\r\nFor some eyes only.\r\n";
const SECURITY_LABEL: &str = "1.2.840.113549.1.9.16.2.2";

#[test]
fn a_label_that_we_sign_is_read_by_openssl_and_by_us() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let label = SecurityLabel {
        policy: ObjectIdentifier::new_unwrap("1.2.3.4.1"),
        classification: Some(SecurityClassification::RESTRICTED),
        privacy_mark: Some("staff only".to_owned()),
        categories: vec![SecurityCategory {
            category_type: ObjectIdentifier::new_unwrap("1.2.3.4.2"),
            value: element(0x0C, &[b"finance"]),
        }],
    };
    let (mut ring, certificate) = (alice.ring(), alice.certificate());
    let identity = SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    };
    let plan = SignedAttributesPlan::mail(now()).with(label.to_attribute().unwrap());
    let made = make(&forgery::sha256(BODY), identity, &plan).unwrap();
    let object = made.detached(&[pki.people.certificate()], &[]).unwrap();
    let message = verify(&content(&object), Some(&content(BODY)), &[]).unwrap();
    assert_eq!(SecurityLabel::of(&message).unwrap(), Some(label));
    pki.write("labelled.der", &object);
    pki.write("body", BODY);
    let verified = ["-inform", "DER", "-in", "labelled.der", "-content", "body", "-CAfile", "Root.pem"];
    openssl(pki.path(), &[&["cms", "-verify", "-binary", "-out", "out"][..], &verified].concat());
    let text = openssl(pki.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "labelled.der"]);
    let text = String::from_utf8(text).unwrap();
    let (_, text) = text.split_once("id-smime-aa-securityLabel").unwrap();
    let lines: Vec<&str> = text.lines().skip(2).map(str::trim).take(7).collect();
    for (line, said) in lines[2..].iter().zip([
        "INTEGER           :02",
        "OBJECT            :1.2.3.4.1",
        "UTF8STRING        :staff only",
    ]) {
        assert!(line.ends_with(said), "{said} is missing in {lines:?}");
    }
}

#[test]
fn every_signer_says_the_same_or_nothing_is_believed() {
    let pki = Pki::new();
    let hands = ["alice", "amy"].map(|name| Hand::of(&pki.signer(name, Key::P256)));
    let label = |classification: u8| Some(element(0x31, &[&[2, 1, classification], &[6, 3, 0x2A, 3, 4]]));
    let read = |labels: [Option<Vec<u8>>; 2], certificates: usize| {
        let infos: Vec<Vec<u8>> = hands
            .iter()
            .zip(labels)
            .map(|(hand, label)| {
                let mut shape = Shape::new(&hand.certificate, BODY);
                let values: Vec<Vec<u8>> = label.into_iter().collect();
                if !values.is_empty() {
                    shape.replace(SECURITY_LABEL, attribute(SECURITY_LABEL, &values));
                }
                shape.sign(hand)
            })
            .collect();
        let certificates: Vec<_> = hands.iter().map(|hand| &hand.certificate).take(certificates).collect();
        let object = SignedData::new(Some(BODY), &certificates, &infos).der();
        SecurityLabel::of(&verify(&content(&object), None, &[]).unwrap())
    };
    let secret = read([label(4), label(4)], 2).unwrap().unwrap();
    assert_eq!(secret.classification, Some(SecurityClassification::SECRET));
    assert_eq!(read([None, None], 2), Ok(None));
    assert_eq!(read([label(4), label(1)], 2), Err(EssError::Different("security label")));
    assert_eq!(read([label(4), None], 2), Err(EssError::Different("security label")));
    assert_eq!(read([None, label(4)], 2), Err(EssError::Different("security label")));
    // Who cannot be verified is not heard.
    let known = read([label(3), label(3)], 1).unwrap().unwrap();
    assert_eq!(known.classification, Some(SecurityClassification::CONFIDENTIAL));
    let malformed = read([Some(vec![0x31, 0]), Some(vec![0x31, 0])], 2).unwrap_err();
    assert_eq!(malformed.code(), "ess-attribute-malformed");
}
