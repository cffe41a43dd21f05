//! Every algorithm through the card's commands: who has it, what it takes, and OpenSSL's judgement of the result
//! (SP 800-78-5 tables 9 and 10; SP 800-73-5 Part 1 table 6, Part 2 sections 3.2.4 and 3.3.2).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;

use card_sim::crypto::{Randomness, SymmetricAlgorithm};
use card_sim::secret::SecretBytes;
use support::openssl::OpenSsl;
use support::{Hand, KINDS, PIN, blank, padded_digest};

/// Identifier and bytes of a block, coordinate or key.
const RSA_3072: (u8, usize) = (0x05, 384);
const RSA_2048: (u8, usize) = (0x07, 256);
const RSA_4096: (u8, usize) = (0x16, 512);
const P256: (u8, usize) = (0x11, 32);
const P384: (u8, usize) = (0x14, 48);
const ED25519: (u8, usize) = (0xE0, 32);
const X25519: (u8, usize) = (0xE1, 32);

const ALL: [(u8, usize); 7] = [RSA_2048, RSA_3072, RSA_4096, P256, P384, ED25519, X25519];

fn algorithms_of(kind: &str) -> &'static [(u8, usize)] {
    match kind {
        "standard" => &[RSA_3072, RSA_2048, P256, P384],
        "yubikey5 5.4" => &[RSA_2048, P256, P384],
        _ => &ALL,
    }
}

/// GENERATE makes what the card has, in the form that hosts parse, and refuses every other identifier by 6A80: those of
/// other algorithms, symmetric ones, suites of secure messaging, and the private numbers of other cards' Ed25519.
#[test]
fn each_card_makes_its_algorithms_and_no_others() {
    for kind in KINDS {
        let mut hand = Hand::blank(kind);
        hand.authenticate();
        for identifier in 0..=255 {
            let (answer, status) = hand.command(0x47, 0x00, 0x9A, &[0xAC, 0x03, 0x80, 0x01, identifier]);
            match algorithms_of(kind).iter().find(|(named, _)| *named == identifier) {
                None => assert_eq!(status, 0x6A80, "{kind} {identifier:02X}"),
                Some((_, length)) => {
                    assert_eq!(status, 0x9000, "{kind} {identifier:02X}");
                    let (begins, ends) = form_of_public_key(identifier, *length);
                    assert!(
                        answer.starts_with(&begins) && answer.ends_with(&ends),
                        "{kind} {identifier:02X}"
                    );
                }
            }
        }
    }
}

fn form_of_public_key(identifier: u8, length: usize) -> (Vec<u8>, Vec<u8>) {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    let [all_high, all_low] = u16::try_from(length + 9).unwrap().to_be_bytes();
    let short = |length: usize| u8::try_from(length).unwrap();
    match identifier {
        0x11 | 0x14 => (vec![0x7F, 0x49, short(2 * length + 3), 0x86, short(2 * length + 1), 0x04], vec![]),
        0xE0 | 0xE1 => (vec![0x7F, 0x49, 0x22, 0x86, 0x20], vec![]),
        _ => (
            vec![0x7F, 0x49, 0x82, all_high, all_low, 0x81, 0x82, high, low],
            vec![0x82, 0x03, 0x01, 0x00, 0x01],
        ),
    }
}

#[test]
fn openssl_verifies_what_each_algorithm_signs() {
    for kind in KINDS {
        let openssl = OpenSsl::new();
        openssl.write("message", b"signed on a card");
        let mut hand = Hand::blank(kind);
        for (identifier, length) in algorithms_of(kind).iter().copied().filter(|each| *each != X25519) {
            openssl.write_public_key("public.pem", &hand.generate(0x9C, identifier));
            assert_eq!(hand.verify(PIN), 0x9000);
            let hash = if identifier == 0x14 { "sha384" } else { "sha256" };
            let digest = openssl.run(&format!("dgst -{hash} -binary message"));
            let input = match identifier {
                0x11 | 0x14 => digest,
                0xE0 => openssl.read("message"),
                _ => padded_digest(&digest, length),
            };
            openssl.write("signature", &hand.use_key(identifier, 0x9C, 0x81, &input));
            openssl.run(&match identifier {
                0xE0 => "pkeyutl -verify -rawin -pubin -inkey public.pem -in message -sigfile signature"
                    .to_owned(),
                _ => format!("dgst -{hash} -verify public.pem -signature signature message"),
            });
        }
    }
}

#[test]
fn each_algorithm_agrees_on_a_key_with_openssl() {
    for kind in KINDS {
        for (identifier, name) in [
            (0x11, "EC -pkeyopt ec_paramgen_curve:P-256"),
            (0x14, "EC -pkeyopt ec_paramgen_curve:P-384"),
            (0xE1, "X25519"),
        ] {
            let Some((_, length)) = algorithms_of(kind).iter().find(|(named, _)| *named == identifier) else {
                continue;
            };
            let openssl = OpenSsl::new();
            let mut hand = Hand::blank(kind);
            openssl.run(&format!("genpkey -algorithm {name} -out peer.pem"));
            let peer = openssl.run("pkey -in peer.pem -pubout -outform DER");
            let point = if identifier == 0xE1 { 32 } else { 2 * length + 1 };
            let key = hand.generate(0x9D, identifier);
            if identifier == 0xE1 {
                let header = hex::decode("302a300506032b656e032100").unwrap();
                openssl.write("public.der", &[&header, &key[2..]].concat());
                openssl.run("pkey -pubin -inform DER -in public.der -out public.pem");
            } else {
                openssl.write_public_key("public.pem", &key);
            }
            openssl.run("pkeyutl -derive -inkey peer.pem -peerkey public.pem -out secret");
            assert_eq!(hand.verify(PIN), 0x9000);
            let agreed = hand.use_key(identifier, 0x9D, 0x85, &peer[peer.len() - point..]);
            assert_eq!(agreed, openssl.read("secret"), "{kind} {identifier:02X}");
        }
    }
}

/// Blocks, digests and points that do not fit: 6A80 each time, and the key works on.
#[test]
fn input_that_does_not_fit_the_key_is_refused() {
    let mut hand = Hand::blank("yubikey5 5.7");
    for (identifier, length) in ALL.into_iter().filter(|each| *each != RSA_4096) {
        let key = hand.generate(0x9E, identifier);
        let (good, wrong) = inputs(identifier, length, &key);
        for (why, tag, input) in wrong {
            assert_eq!(
                hand.try_key(identifier, 0x9E, tag, &input),
                (vec![], 0x6A80),
                "{identifier:02X} {why}"
            );
        }
        let (tag, input) = good;
        assert_eq!(hand.try_key(identifier, 0x9E, tag, &input).1, 0x9000, "{identifier:02X}");
    }
}

type Input = (u8, Vec<u8>);
type WrongInput = (&'static str, u8, Vec<u8>);

/// An input that the key takes, and some that it must not.
fn inputs(identifier: u8, length: usize, key: &[u8]) -> (Input, Vec<WrongInput>) {
    match identifier {
        0x11 | 0x14 => {
            let point = key[2..].to_vec();
            let mut off_curve = point.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            let compressed = [&[0x02 + (point[2 * length] & 1)], &point[1..=length]].concat();
            let wrong = vec![
                ("a digest of another length", 0x81, vec![1; length + 1]),
                ("a point off the curve", 0x85, off_curve),
                ("a compressed point", 0x85, compressed),
                ("the point at infinity", 0x85, vec![0]),
                ("coordinates beyond the field", 0x85, [&[4][..], &vec![0xFF; 2 * length]].concat()),
                ("a point cut short", 0x85, point[..2 * length].to_vec()),
                ("a point of the other curve", 0x85, vec![4; if length == 32 { 97 } else { 65 }]),
                ("a bare coordinate", 0x85, vec![1; length]),
            ];
            ((0x85, point), wrong)
        }
        0xE0 => ((0x81, vec![1; 300]), vec![("a point", 0x85, vec![9; 32])]),
        0xE1 => {
            let wrong = vec![
                ("the point of order one", 0x85, vec![0; 32]),
                ("a short coordinate", 0x85, vec![9; 31]),
                ("a long coordinate", 0x85, vec![9; 33]),
                ("a digest", 0x81, vec![1; 32]),
            ];
            ((0x85, vec![9; 32]), wrong)
        }
        _ => {
            let wrong = vec![
                ("a short block", 0x81, vec![1; length - 1]),
                ("a long block", 0x81, vec![1; length + 1]),
                ("a block beyond the modulus", 0x81, vec![0xFF; length]),
                ("the block of another size", 0x81, vec![1; if length == 256 { 384 } else { 256 }]),
                ("a point", 0x85, vec![1; length]),
            ];
            ((0x81, vec![1; length]), wrong)
        }
    }
}

/// SP 800-73-5 Part 2 section 3.2.4: the key's own algorithm in P1, or 6A86.
#[test]
fn p1_must_be_the_algorithm_of_the_key() {
    let mut hand = Hand::blank("yubikey5 5.7");
    hand.generate(0x9E, 0x14);
    for identifier in (0..=255).filter(|identifier| *identifier != 0x14) {
        assert_eq!(hand.try_key(identifier, 0x9E, 0x81, &[1; 32]).1, 0x6A86, "{identifier:02X}");
    }
    assert_eq!(hand.try_key(0x14, 0x9E, 0x81, &[1; 32]).1, 0x9000);
}

/// SP 800-78-5 section 5: the management key may be of four algorithms; P1 names it, blocks are as long as its own.
#[test]
fn the_management_key_may_be_of_each_algorithm() {
    for (algorithm, length, identifier) in [
        (SymmetricAlgorithm::TripleDes, 24, 0x03),
        (SymmetricAlgorithm::Aes128, 16, 0x08),
        (SymmetricAlgorithm::Aes192, 24, 0x0A),
        (SymmetricAlgorithm::Aes256, 32, 0x0C),
    ] {
        let mut state = blank("standard");
        state.management_key.algorithm = algorithm;
        state.management_key.key = SecretBytes::new(Randomness::from_seed(b"9B", 0).bytes(length));
        let mut hand = Hand::holding(&state);
        hand.authenticate();
        hand.succeed(0xDB, 0x3F, 0xFF, &[0x5C, 0x03, 0x5F, 0xC1, 0x05, 0x53, 0x01, 0x00]);
        for other in [0x00, 0x03, 0x08, 0x0A, 0x0C, 0x07, 0x11, 0xFF] {
            let is_its_own = other == identifier || (other == 0x00 && identifier == 0x03);
            let expected = if is_its_own { 0x9000 } else { 0x6A86 };
            assert_eq!(hand.command(0x87, other, 0x9B, &[0x7C, 0x02, 0x80, 0x00]).1, expected, "{other:02X}");
        }
        // SELECT lists it.
        let template = hand.succeed(0xA4, 0x04, 0x00, &[0xA0, 0x00, 0x00, 0x03, 0x08]);
        assert!(template.windows(3).any(|part| part == [0x80, 0x01, identifier]), "{identifier:02X}");
    }
}

/// A key of each algorithm keeps working after the card was switched off: its stored form is complete.
#[test]
fn keys_of_each_algorithm_outlive_the_power() {
    let mut hand = Hand::blank("yubikey5 5.7");
    let mut answers = BTreeMap::new();
    for (reference, (identifier, length)) in (0x82..).zip([RSA_2048, P256, P384, ED25519, X25519]) {
        let key = hand.generate(reference, identifier);
        assert_eq!(hand.verify(PIN), 0x9000);
        let (tag, input) = inputs(identifier, length, &key).0;
        let answer = hand.use_key(identifier, reference, tag, &input);
        answers.insert(reference, (identifier, tag, input, answer));
    }
    hand.card.power_off();
    hand.card.power_on();
    assert_eq!(hand.verify(PIN), 0x9000);
    for (reference, (identifier, tag, input, answer)) in answers {
        assert_eq!(hand.use_key(identifier, reference, tag, &input), answer, "{identifier:02X}");
    }
}
