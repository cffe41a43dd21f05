//! Proof of possession: by challenge, and by certificate request.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use issuer::ca::CaError;
use issuer::ca::possession::{KeyManagementChallenge, ProvenKey, SigningChallenge};
use issuer::ca::profile::MailServer;
use issuer::ca::request::CertificationRequest;
use middleware::Signer;
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

const KINDS: [fn() -> TestKey; 3] = [TestKey::p256, TestKey::p384, TestKey::rsa2048];

#[test]
fn a_signature_over_a_fresh_challenge_proves_a_key() {
    for new_key in KINDS {
        let mut key = new_key();
        let challenge = SigningChallenge::fresh(key.public_key(), &mut random()).unwrap();
        let signature = key.sign(challenge.scheme(), challenge.digest()).unwrap();
        assert_eq!(challenge.verify(&signature).unwrap().public_key(), key.public_key());
    }
}

#[test]
fn another_key_another_challenge_or_a_spoilt_signature_prove_nothing() {
    for new_key in KINDS {
        let (mut key, mut other) = (new_key(), new_key());
        let challenge = || SigningChallenge::fresh(key.public_key(), &mut random()).unwrap();
        let [by_other, replayed, spoilt, empty] = [(); 4].map(|()| challenge());
        let foreign = other.sign(by_other.scheme(), by_other.digest()).unwrap();
        let earlier = key.sign(spoilt.scheme(), spoilt.digest()).unwrap();
        let mut broken = earlier.clone();
        *broken.last_mut().unwrap() ^= 1;
        for (challenge, signature) in
            [(by_other, foreign), (replayed, earlier), (spoilt, broken), (empty, Vec::new())]
        {
            let refused = challenge.verify(&signature);
            assert!(matches!(refused, Err(CaError::NotProven(_))), "{refused:?}");
        }
    }
}

#[test]
fn decryption_and_agreement_prove_a_key_management_key() {
    for new_key in KINDS {
        let (key, other) = (new_key(), new_key());
        let fresh = || KeyManagementChallenge::fresh(key.public_key(), &mut random()).unwrap();
        match fresh() {
            KeyManagementChallenge::Decryption(challenge) => {
                let value = key.decrypt(challenge.ciphertext());
                assert_eq!(value.len(), 32);
                assert_eq!(challenge.verify(&value).unwrap().public_key(), key.public_key());
            }
            KeyManagementChallenge::Agreement(challenge) => {
                let shared = key.agree(challenge.peer());
                assert_eq!(challenge.verify(&shared).unwrap().public_key(), key.public_key());
            }
        }
        let refused = match fresh() {
            KeyManagementChallenge::Decryption(challenge) => challenge.verify(&[0; 32]),
            KeyManagementChallenge::Agreement(challenge) => {
                let foreign = other.agree(challenge.peer());
                challenge.verify(&foreign)
            }
        };
        assert!(matches!(refused, Err(CaError::NotProven(_))), "{refused:?}");
    }
}

#[test]
fn a_signer_that_shows_another_public_key_is_found_out() {
    struct Liar(TestKey, TestKey);
    impl Signer for Liar {
        fn public_key(&self) -> &spki::SubjectPublicKeyInfoOwned {
            self.0.public_key()
        }
        fn sign(
            &mut self,
            scheme: middleware::SignatureScheme,
            digest: &[u8],
        ) -> Result<Vec<u8>, middleware::KeyError> {
            self.1.sign(scheme, digest)
        }
    }
    let refused = ProvenKey::of_signer(&mut Liar(TestKey::p256(), TestKey::p256()), &mut random());
    assert!(matches!(refused, Err(CaError::NotProven(_))), "{refused:?}");
}

#[test]
fn requests_made_by_openssl_are_read() {
    let directory = TempDir::new().unwrap();
    for algorithm in [
        &["rsa:2048"][..],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ] {
        let names = "subjectAltName=DNS:mail.example.com,DNS:imap.example.com,IP:192.0.2.25,IP:2001:db8::25";
        let file = request(directory.path(), algorithm, &["-subj", "/CN=mail.example.com", "-addext", names]);
        let parsed = CertificationRequest::parse(&std::fs::read(&file).unwrap()).unwrap();
        let expected = MailServer {
            dns_names: vec!["mail.example.com".into(), "imap.example.com".into()],
            ip_addresses: vec!["192.0.2.25".parse().unwrap(), "2001:db8::25".parse().unwrap()],
        };
        assert_eq!(parsed.server, expected);
    }
}

#[test]
fn a_request_without_names_is_for_its_common_name_and_der_is_read_too() {
    let directory = TempDir::new().unwrap();
    let file = request(
        directory.path(),
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-subj", "/O=X/CN=mail.example.com"],
    );
    let der = directory.path().join("request.der");
    openssl(["req", "-in", file.to_str().unwrap(), "-outform", "DER", "-out", der.to_str().unwrap()]);
    let parsed = CertificationRequest::parse(&std::fs::read(&der).unwrap()).unwrap();
    assert_eq!(parsed.server.dns_names, ["mail.example.com"]);
}

#[test]
fn a_request_with_a_spoilt_signature_or_strange_names_is_refused() {
    let directory = TempDir::new().unwrap();
    let curve = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let file = request(directory.path(), &curve, &["-subj", "/CN=mail.example.com"]);
    let der = directory.path().join("request.der");
    openssl(["req", "-in", file.to_str().unwrap(), "-outform", "DER", "-out", der.to_str().unwrap()]);
    let mut spoilt = std::fs::read(&der).unwrap();
    let place = spoilt.windows(4).position(|octets| octets == b"mail").unwrap();
    spoilt[place] = b'n';
    assert!(matches!(CertificationRequest::parse(&spoilt), Err(CaError::NotProven(_))));
    for truncated in [&spoilt[..spoilt.len() - 1], &b"hello"[..], &[]] {
        assert!(matches!(CertificationRequest::parse(truncated), Err(CaError::Malformed { .. })));
    }
    let mail = request(
        directory.path(),
        &curve,
        &["-subj", "/CN=x", "-addext", "subjectAltName=email:a@example.com"],
    );
    assert!(matches!(
        CertificationRequest::parse(&std::fs::read(mail).unwrap()),
        Err(CaError::Malformed { .. })
    ));
    let edwards = request(directory.path(), &["ed25519"], &["-subj", "/CN=x"]);
    assert!(matches!(
        CertificationRequest::parse(&std::fs::read(edwards).unwrap()),
        Err(CaError::Unsupported(_))
    ));
}

fn request(directory: &Path, algorithm: &[&str], options: &[&str]) -> std::path::PathBuf {
    let (key, file) = (directory.join("key.pem"), directory.join("request.pem"));
    let mut arguments = vec!["req", "-new", "-nodes", "-newkey"];
    arguments.extend(algorithm);
    arguments.extend(options);
    arguments.extend(["-keyout", key.to_str().unwrap(), "-out", file.to_str().unwrap()]);
    openssl(arguments);
    file
}
