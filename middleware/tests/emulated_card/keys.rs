//! Signing, decryption and key agreement: SP 800-73-5 Part 2 section 3.2.4.
use middleware::{
    CardError, Decryptor as _, DigestAlgorithm, Hash, KeyAgreement as _, KeyAlgorithm, KeyError,
    KeyReference, LastTry, RsaEncryption, SignatureScheme, Signer as _,
};
use sha2::Digest as _;
use zeroize::Zeroizing;

use crate::openssl::{openssl, openssl_verifies, openssl_verifies_pss, point_of, write_public_key};
use crate::support::{FACTORY_PIN, Kind, TestCard, certificate_for, pin, sha256, verify};

const RSA: SignatureScheme = SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256);
const ECDSA: SignatureScheme = SignatureScheme::Ecdsa(DigestAlgorithm::Sha256);

#[test]
fn every_key_signs_and_openssl_agrees() {
    for (kind, algorithm, scheme) in [
        (Kind::YubiKey57, KeyAlgorithm::P256, ECDSA),
        (Kind::Standard, KeyAlgorithm::P256, ECDSA),
        (Kind::Standard, KeyAlgorithm::Rsa2048, RSA),
    ] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        for key in KeyReference::PRIMARY {
            let public_key = test_card.issue(&mut card, key, algorithm);
            assert_eq!(KeyAlgorithm::of(&public_key), Some(algorithm));
            let pin = pin(FACTORY_PIN);
            let mut signer = card.key(key, &pin, LastTry::Refuse).unwrap();
            let digest = sha256(key.to_string().as_bytes());
            if key == KeyReference::KeyManagement
                && matches!((kind, algorithm), (Kind::Standard, KeyAlgorithm::P256))
            {
                // SP 800-73-5 Part 2 section 3.2.4: there, an elliptic-curve 9D agrees on keys and does not sign.
                let error = signer.sign(scheme, &digest).unwrap_err();
                assert!(matches!(error, KeyError::Card(CardError::KeyNotFound(_))), "{error}");
                continue;
            }
            let signature = signer.sign(scheme, &digest).unwrap();
            assert!(
                openssl_verifies(test_card.folder(), &public_key, &digest, &signature),
                "{key} {algorithm}"
            );
        }
    }
}

/// FIPS 186-5 section 6.4.1: a longer digest is cut to the field's length. RFC 8017 section 9.2: each has its own
/// DigestInfo.
#[test]
fn digests_of_every_length_are_signed() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let elliptic = test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
    let rsa = test_card.issue(&mut card, KeyReference::CardAuthentication, KeyAlgorithm::Rsa2048);
    let pin = pin(FACTORY_PIN);
    for (algorithm, digest) in [
        (DigestAlgorithm::Sha256, sha256(b"text")),
        (DigestAlgorithm::Sha384, sha2::Sha384::digest(b"text").to_vec()),
        (DigestAlgorithm::Sha512, sha2::Sha512::digest(b"text").to_vec()),
    ] {
        let mut signer = card.key(KeyReference::Authentication, &pin, LastTry::Refuse).unwrap();
        let signature = signer.sign(SignatureScheme::Ecdsa(algorithm), &digest).unwrap();
        assert!(openssl_verifies(test_card.folder(), &elliptic, &digest, &signature), "{algorithm}");
        let mut signer = card.key(KeyReference::CardAuthentication, &pin, LastTry::Refuse).unwrap();
        let signature = signer.sign(SignatureScheme::RsaPkcs1(algorithm), &digest).unwrap();
        assert!(openssl_verifies(test_card.folder(), &rsa, &digest, &signature), "{algorithm}");
        // RFC 8017 section 9.1.1, padded on the host.
        let signature = signer.sign(SignatureScheme::RsaPss(algorithm), &digest).unwrap();
        assert!(openssl_verifies_pss(test_card.folder(), &rsa, &digest, &signature), "{algorithm}");
        let error = signer.sign(SignatureScheme::Ed25519, &digest).unwrap_err();
        assert!(matches!(error, KeyError::Card(CardError::Unsupported(_))), "{error}");
        let error = signer.sign(SignatureScheme::Ecdsa(algorithm), &digest).unwrap_err();
        assert!(matches!(error, KeyError::Card(CardError::Unsupported(_))), "{error}");
        let error = signer.sign(SignatureScheme::RsaPkcs1(algorithm), &digest[1..]).unwrap_err();
        assert!(matches!(error, KeyError::Card(CardError::Unsupported(_))), "{error}");
    }
}

/// SP 800-73-5 Part 1 section 3.2.1: 9C wants the PIN immediately before each signature.
#[test]
fn the_signature_key_wants_a_fresh_pin_each_time() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let public_key = test_card.issue(&mut card, KeyReference::DigitalSignature, KeyAlgorithm::P256);
        let digest = sha256(b"text");
        let mut transaction = card.transaction().unwrap();
        let fresh = transaction
            .verify_pin(&pin(FACTORY_PIN), LastTry::Refuse)
            .unwrap_or_else(|error| panic!("{error}"));
        fresh.sign(KeyReference::DigitalSignature, &public_key, ECDSA, &digest).unwrap();
        let again =
            transaction.sign(KeyReference::DigitalSignature, &public_key, ECDSA, &digest).unwrap_err();
        assert!(matches!(again, CardError::PinRequired), "{again}");
        let fresh = transaction
            .verify_pin(&pin(FACTORY_PIN), LastTry::Refuse)
            .unwrap_or_else(|error| panic!("{error}"));
        fresh.sign(KeyReference::DigitalSignature, &public_key, ECDSA, &digest).unwrap();
    }
}

#[test]
fn without_the_pin_only_card_authentication_signs() {
    let test_card = TestCard::new(Kind::Standard);
    let mut card = test_card.open();
    let digest = sha256(b"text");
    let authentication = test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
    let card_authentication =
        test_card.issue(&mut card, KeyReference::CardAuthentication, KeyAlgorithm::P256);
    let mut transaction = card.transaction().unwrap();
    let error = transaction.sign(KeyReference::Authentication, &authentication, ECDSA, &digest).unwrap_err();
    assert!(matches!(error, CardError::PinRequired), "{error}");
    transaction.sign(KeyReference::CardAuthentication, &card_authentication, ECDSA, &digest).unwrap();
    drop(transaction);

    // The key that needs no PIN costs no try, even with a wrong one at hand.
    let wrong = pin("999999");
    let mut signer = card.key(KeyReference::CardAuthentication, &wrong, LastTry::Refuse).unwrap();
    signer.sign(ECDSA, &digest).unwrap();
    verify(&mut card, FACTORY_PIN, LastTry::Refuse).unwrap();
}

#[test]
fn rsa_decrypts_what_openssl_encrypted() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let public_key = test_card.issue(&mut card, KeyReference::KeyManagement, KeyAlgorithm::Rsa2048);
        write_public_key(test_card.folder(), "recipient.pem", &public_key);
        std::fs::write(test_card.folder().join("key"), [0x5A; 32]).unwrap();
        let encrypt = |options: &[&str]| {
            let command = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "key"];
            openssl(test_card.folder(), &[&command[..], options].concat())
        };
        let pin = pin(FACTORY_PIN);
        let mut key = card.key(KeyReference::KeyManagement, &pin, LastTry::Refuse).unwrap();

        let ciphertext = encrypt(&["-pkeyopt", "rsa_padding_mode:pkcs1"]);
        assert_eq!(*key.decrypt(RsaEncryption::Pkcs1v15 { length: 32 }, &ciphertext).unwrap(), [0x5A; 32]);
        // RFC 3218: a key of another length is a random key, not an error.
        assert_ne!(*key.decrypt(RsaEncryption::Pkcs1v15 { length: 16 }, &ciphertext).unwrap(), [0x5A; 16]);

        for (name, digest) in [("sha256", DigestAlgorithm::Sha256), ("sha512", DigestAlgorithm::Sha512)] {
            let (hash, mask) = (format!("rsa_oaep_md:{name}"), format!("rsa_mgf1_md:{name}"));
            let ciphertext =
                encrypt(&["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &hash, "-pkeyopt", &mask]);
            assert_eq!(*key.decrypt(RsaEncryption::oaep(digest), &ciphertext).unwrap(), [0x5A; 32]);
            let error = key.decrypt(RsaEncryption::oaep(DigestAlgorithm::Sha384), &ciphertext).unwrap_err();
            assert!(matches!(error, KeyError::DecryptionFailed), "{error}");
        }
        // Hash and mask are two things (RFC 8017 appendix A.2.1).
        for (name, digest) in [("sha1", Hash::Sha1), ("sha224", Hash::Sha224), ("sha384", Hash::Sha384)] {
            let hash = format!("rsa_oaep_md:{name}");
            let options =
                ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &hash, "-pkeyopt", "rsa_mgf1_md:sha256"];
            let encryption = RsaEncryption::Oaep { digest, mask: Hash::Sha256 };
            assert_eq!(*key.decrypt(encryption, &encrypt(&options)).unwrap(), [0x5A; 32]);
        }
        for ciphertext in [vec![0xFF; 256], vec![1; 255], vec![]] {
            let error = key.decrypt(RsaEncryption::oaep(DigestAlgorithm::Sha256), &ciphertext).unwrap_err();
            assert!(matches!(error, KeyError::DecryptionFailed), "{} bytes: {error}", ciphertext.len());
        }
    }
}

#[test]
fn key_agreement_gives_openssls_secret_and_refuses_points_off_the_curve() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let folder = test_card.folder();
        let mut card = test_card.open();
        let public_key = test_card.issue(&mut card, KeyReference::KeyManagement, KeyAlgorithm::P256);
        write_public_key(folder, "card.pem", &public_key);
        openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "peer.key"]);
        let peer = openssl(folder, &["ec", "-in", "peer.key", "-pubout", "-outform", "DER"]);
        let expected = openssl(folder, &["pkeyutl", "-derive", "-inkey", "peer.key", "-peerkey", "card.pem"]);
        let pin = pin(FACTORY_PIN);
        let mut key = card.key(KeyReference::KeyManagement, &pin, LastTry::Refuse).unwrap();
        assert_eq!(key.agree(&point_of(&peer)).unwrap(), Zeroizing::new(expected));

        let mut off_curve = point_of(&peer);
        off_curve[64] ^= 1;
        for point in [off_curve, point_of(&peer)[..33].to_vec(), vec![], vec![0x04; 97]] {
            let error = key.agree(&point).unwrap_err();
            assert!(matches!(error, KeyError::MalformedPeerKey), "{error}");
        }
    }
}

#[test]
fn a_key_that_is_not_there_is_named() {
    for kind in [Kind::YubiKey57, Kind::Standard] {
        let test_card = TestCard::new(kind);
        let mut card = test_card.open();
        let (some_pin, digest) = (pin(FACTORY_PIN), sha256(b"text"));
        let error = card.key(KeyReference::DigitalSignature, &some_pin, LastTry::Refuse).err().unwrap();
        assert!(matches!(error, CardError::KeyNotFound(KeyReference::DigitalSignature)), "{error}");

        let other = test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
        let mut transaction = card.transaction().unwrap();
        transaction.verify_pin(&some_pin, LastTry::Refuse).map(drop).unwrap();
        let error = transaction.sign(KeyReference::KeyManagement, &other, ECDSA, &digest).unwrap_err();
        assert!(matches!(error, CardError::KeyNotFound(KeyReference::KeyManagement)), "{error}");
        let error = transaction.agree(KeyReference::KeyManagement, &some_point(&other)).unwrap_err();
        assert!(
            matches!(error, KeyError::Card(CardError::KeyNotFound(KeyReference::KeyManagement))),
            "{error}"
        );
    }
}

fn some_point(public_key: &spki::SubjectPublicKeyInfoOwned) -> Vec<u8> {
    public_key.subject_public_key.raw_bytes().to_vec()
}

#[test]
fn a_certificate_that_does_not_belong_to_its_key_is_found_out() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let other = test_card.issue(&mut card, KeyReference::Authentication, KeyAlgorithm::P256);
    test_card.issue(&mut card, KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let foreign = certificate_for(test_card.folder(), &other);
    test_card
        .administer(&mut card, |administration| {
            administration.write_certificate(KeyReference::DigitalSignature, &foreign)
        })
        .unwrap();
    let pin = pin(FACTORY_PIN);
    let mut signer = card.key(KeyReference::DigitalSignature, &pin, LastTry::Refuse).unwrap();
    let error = signer.sign(ECDSA, &sha256(b"text")).unwrap_err();
    assert!(
        matches!(error, KeyError::Card(CardError::KeyMismatch(KeyReference::DigitalSignature))),
        "{error}"
    );
}

/// What PKCS#11 builds on: the card's operation alone, padding and hashing being the caller's.
#[test]
fn the_bare_operation_is_the_cards_alone() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let rsa = test_card.issue(&mut card, KeyReference::KeyManagement, KeyAlgorithm::Rsa2048);
    let elliptic = test_card.issue(&mut card, KeyReference::DigitalSignature, KeyAlgorithm::P256);
    let digest = sha256(b"text");
    let mut transaction = card.transaction().unwrap();
    let fresh = |transaction: &mut middleware::Transaction<'_>, key, algorithm, input: &[u8]| {
        transaction
            .verify_pin(&pin(FACTORY_PIN), LastTry::Refuse)
            .unwrap_or_else(|error| panic!("{error}"))
            .use_private_key(key, algorithm, input)
    };
    // A full-length RSA block, as CKM_RSA_X_509 gives it, is what openssl recovers with the public key.
    let mut block = vec![0x5A; 256];
    block[0] = 0;
    let answer = fresh(&mut transaction, KeyReference::KeyManagement, KeyAlgorithm::Rsa2048, &block).unwrap();
    std::fs::write(test_card.folder().join("answer"), &*answer).unwrap();
    write_public_key(test_card.folder(), "rsa.pem", &rsa);
    let command = ["pkeyutl", "-verifyrecover", "-pubin", "-inkey", "rsa.pem", "-in", "answer"];
    let options = ["-pkeyopt", "rsa_padding_mode:none"];
    assert_eq!(openssl(test_card.folder(), &[&command[..], &options].concat()), block);

    // 9C: only right after the PIN.
    let signature =
        fresh(&mut transaction, KeyReference::DigitalSignature, KeyAlgorithm::P256, &digest).unwrap();
    assert!(openssl_verifies(test_card.folder(), &elliptic, &digest, &signature));
    let error =
        transaction.use_private_key(KeyReference::DigitalSignature, KeyAlgorithm::P256, &digest).unwrap_err();
    assert!(matches!(error, CardError::PinRequired), "{error}");

    let mut bare = |key, algorithm, input: &[u8]| fresh(&mut transaction, key, algorithm, input).unwrap_err();
    let error = bare(KeyReference::KeyManagement, KeyAlgorithm::Rsa2048, &[0xFF; 256]);
    assert!(matches!(error, CardError::InputRejected), "{error}");
    let error = bare(KeyReference::KeyManagement, KeyAlgorithm::Rsa2048, &[0; 255]);
    assert!(matches!(error, CardError::Unsupported(_)), "{error}");
    let error = bare(KeyReference::Authentication, KeyAlgorithm::P256, &digest);
    assert!(matches!(error, CardError::KeyNotFound(KeyReference::Authentication)), "{error}");
    let error = bare(KeyReference::KeyManagement, KeyAlgorithm::X25519, &[9; 32]);
    assert!(matches!(error, CardError::Unsupported(_)), "{error}");
}
