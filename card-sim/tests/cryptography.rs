//! What the card computes, judged by OpenSSL (SP 800-73-5 Part 2 section 3.2.4, SP 800-78-5).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;

use card_sim::crypto::KeyPool;

use support::openssl::OpenSsl;
use support::{Hand, KINDS, PIN, padded_digest, tlv, unseeded};

const RSA: u8 = 0x07;
const P256: u8 = 0x11;

fn padded(digest: &[u8]) -> Vec<u8> {
    padded_digest(digest, 256)
}

fn message(openssl: &OpenSsl) -> Vec<u8> {
    openssl.write("message", b"sealed and delivered");
    openssl.run("dgst -sha256 -binary message")
}

#[test]
fn an_rsa_signature_verifies() {
    for kind in KINDS {
        let openssl = OpenSsl::new();
        let digest = message(&openssl);
        for mut hand in Hand::blank_with_each_implementation(kind) {
            let public_key = hand.generate(0x9A, RSA);
            assert_eq!(hand.verify(PIN), 0x9000);
            let signature = hand.use_key(RSA, 0x9A, 0x81, &padded(&digest));
            openssl.write_public_key("public.pem", &public_key);
            openssl.write("signature", &signature);
            openssl.run("dgst -sha256 -verify public.pem -signature signature message");
        }
    }
}

#[test]
fn an_ecdsa_signature_verifies_also_over_a_short_digest() {
    for kind in KINDS {
        let openssl = OpenSsl::new();
        message(&openssl);
        for mut hand in Hand::blank_with_each_implementation(kind) {
            let public_key = hand.generate(0x9C, P256);
            openssl.write_public_key("public.pem", &public_key);
            for name in ["sha256", "sha1"] {
                let digest = openssl.run(&format!("dgst -{name} -binary message"));
                assert_eq!(hand.verify(PIN), 0x9000);
                openssl.write("signature", &hand.use_key(P256, 0x9C, 0x81, &digest));
                openssl.run(&format!("dgst -{name} -verify public.pem -signature signature message"));
            }
        }
    }
}

#[test]
fn a_seeded_card_repeats_its_keys_and_signatures_and_no_other_card_does() {
    let run = |mut hand: Hand| {
        let public_key = hand.generate(0x9E, P256);
        (public_key, hand.use_key(P256, 0x9E, 0x81, &[7; 32]))
    };
    for kind in KINDS {
        assert_eq!(run(Hand::blank(kind)), run(Hand::blank(kind)));
        let fresh = || run(Hand::holding(&unseeded(kind)));
        assert_ne!(fresh().0, fresh().0);
    }
}

#[test]
fn a_seeded_card_takes_no_ready_key() {
    let pool = Arc::new(KeyPool::start(1).unwrap());
    pool.wait_until_full();
    let mut with_pool = Hand::blank("standard");
    with_pool.card = with_pool.card.with_key_pool(Arc::clone(&pool));
    with_pool.card.power_on();
    assert_eq!(with_pool.generate(0x9A, RSA), Hand::blank("standard").generate(0x9A, RSA));
    // Another card gets the key that waits, and signs with it.
    let mut other = Hand::holding(&unseeded("standard"));
    other.card = other.card.with_key_pool(pool);
    other.card.power_on();
    let openssl = OpenSsl::new();
    let digest = message(&openssl);
    openssl.write_public_key("public.pem", &other.generate(0x9A, RSA));
    assert_eq!(other.verify(PIN), 0x9000);
    openssl.write("signature", &other.use_key(RSA, 0x9A, 0x81, &padded(&digest)));
    openssl.run("dgst -sha256 -verify public.pem -signature signature message");
}

#[test]
fn a_digest_longer_than_the_field_is_refused() {
    let mut hand = Hand::blank("standard");
    hand.generate(0x9E, P256);
    assert_eq!(hand.try_key(P256, 0x9E, 0x81, &[7; 32]).1, 0x9000);
    assert_eq!(hand.try_key(P256, 0x9E, 0x81, &[7; 33]).1, 0x6A80);
}

#[test]
fn what_openssl_encrypts_the_card_decrypts() {
    let openssl = OpenSsl::new();
    message(&openssl);
    for reference in [0x9D, 0x82, 0x95] {
        for mut hand in Hand::blank_with_each_implementation("yubikey5 5.7") {
            openssl.write_public_key("public.pem", &hand.generate(reference, RSA));
            openssl.run("pkeyutl -encrypt -pubin -inkey public.pem -in message -out sealed");
            assert_eq!(hand.verify(PIN), 0x9000);
            let block = hand.use_key(RSA, reference, 0x81, &openssl.read("sealed"));
            assert_eq!(block[..2], [0, 2]);
            assert!(block.ends_with(b"\0sealed and delivered"));
        }
    }
}

#[test]
fn an_rsa_block_must_fit_the_modulus() {
    let mut hand = Hand::blank("standard");
    hand.generate(0x9E, RSA);
    assert_eq!(hand.try_key(RSA, 0x9E, 0x81, &[0xFF; 256]).1, 0x6A80, "not below the modulus");
    assert_eq!(hand.try_key(RSA, 0x9E, 0x81, &[0x01; 255]).1, 0x6A80);
    assert_eq!(hand.try_key(RSA, 0x9E, 0x81, &[0x01; 256]).1, 0x9000);
    // Leading zeros of a result are kept: the block is exactly as long as the modulus.
    assert_eq!(hand.use_key(RSA, 0x9E, 0x81, &[0; 256]), [0; 256]);
}

/// A P-256 key of openssl's, and its uncompressed point.
fn peer(openssl: &OpenSsl) -> Vec<u8> {
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.pem");
    let der = openssl.run("pkey -in peer.pem -pubout -outform DER");
    der[der.len() - 65..].to_vec()
}

#[test]
fn the_card_and_openssl_agree_on_a_key() {
    for (kind, reference) in [("standard", 0x9D), ("yubikey5 5.7", 0x9D), ("yubikey5 5.7", 0x85)] {
        let openssl = OpenSsl::new();
        let point = peer(&openssl);
        for mut hand in Hand::blank_with_each_implementation(kind) {
            openssl.write_public_key("public.pem", &hand.generate(reference, P256));
            openssl.run("pkeyutl -derive -inkey peer.pem -peerkey public.pem -out secret");
            assert_eq!(hand.verify(PIN), 0x9000);
            assert_eq!(hand.use_key(P256, reference, 0x85, &point), openssl.read("secret"));
        }
    }
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    let openssl = OpenSsl::new();
    let point = peer(&openssl);
    let mut hand = Hand::blank("standard");
    hand.generate(0x9D, P256);
    assert_eq!(hand.verify(PIN), 0x9000);
    let off_curve = {
        let mut point = point.clone();
        point[64] ^= 1;
        point
    };
    let above_the_field = [&[0x04], &[0xFF; 64][..]].concat();
    let compressed = [&[0x02 + (point[64] & 1)], &point[1..33]].concat();
    let other_form = [&[0x06 + (point[64] & 1)], &point[1..]].concat();
    for wrong in [
        &off_curve[..],
        &above_the_field,
        &compressed,
        &other_form,
        &[0x04; 1],
        &[0x00; 1],
        &[0x00; 65],
        &point[..64],
    ] {
        assert_eq!(hand.try_key(P256, 0x9D, 0x85, wrong), (vec![], 0x6A80), "{wrong:02X?}");
    }
    assert_eq!(hand.try_key(P256, 0x9D, 0x85, &point).1, 0x9000, "the card goes on");
}

#[test]
fn an_imported_key_is_the_one_that_was_sent() {
    let openssl = OpenSsl::new();
    let digest = message(&openssl);
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem");
    openssl.run("pkey -in rsa.pem -pubout -out rsa.pub");
    peer(&openssl);
    openssl.run("pkey -in peer.pem -pubout -out peer.pub");
    let mut hand = Hand::blank("yubikey5 5.7");
    hand.authenticate();
    assert!(hand.succeed(0xFE, RSA, 0x9A, &rsa_import(&openssl, "rsa.pem")).is_empty());
    let scalar = openssl.number(&openssl.path("peer.pem"), "priv");
    hand.succeed(0xFE, P256, 0x9E, &tlv(0x06, &scalar));
    assert_eq!(hand.verify(PIN), 0x9000);
    openssl.write("signature", &hand.use_key(RSA, 0x9A, 0x81, &padded(&digest)));
    openssl.run("dgst -sha256 -verify rsa.pub -signature signature message");
    openssl.write("signature", &hand.use_key(P256, 0x9E, 0x81, &digest));
    openssl.run("dgst -sha256 -verify peer.pub -signature signature message");
}

/// The data of IMPORT for an RSA key, all five numbers.
fn rsa_import(openssl: &OpenSsl, key: &str) -> Vec<u8> {
    let path = openssl.path(key);
    let labels = ["prime1", "prime2", "exponent1", "exponent2", "coefficient"];
    (1..).zip(labels).flat_map(|(tag, label)| tlv(tag, &openssl.number(&path, label))).collect()
}

#[test]
fn an_import_whose_numbers_do_not_belong_together_is_refused() {
    let openssl = OpenSsl::new();
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem");
    openssl.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out small.pem");
    let path = openssl.path("rsa.pem");
    let [p, q] = ["prime1", "prime2"].map(|label| openssl.number(&path, label));
    let half = |number: &[u8]| number[number.len() - 128..].to_vec();
    let (p, q) = (half(&p), half(&q));
    let mut composite = p.clone();
    composite[127] = composite[127].wrapping_add(2);
    let mut hand = Hand::blank("yubikey5 5.7");
    hand.authenticate();
    for (why, data) in [
        ("one prime", tlv(1, &p)),
        ("the same prime twice", [tlv(1, &p), tlv(2, &p)].concat()),
        ("not a prime", [tlv(1, &composite), tlv(2, &q)].concat()),
        ("even", [tlv(1, &[0x80; 128]), tlv(2, &q)].concat()),
        ("too small", rsa_import(&openssl, "small.pem")),
        ("a wrong coefficient", [tlv(1, &p), tlv(2, &q), tlv(5, &[1; 128])].concat()),
        ("a scalar", [tlv(1, &p), tlv(2, &q), tlv(6, &[1; 32])].concat()),
        ("an unknown part", [tlv(1, &p), tlv(2, &q), tlv(9, &[1])].concat()),
    ] {
        assert_eq!(hand.command(0xFE, RSA, 0x9A, &data), (vec![], 0x6A80), "{why}");
    }
    for scalar in [&[0; 32][..], &[0xFF; 32], &[1; 33]] {
        assert_eq!(hand.command(0xFE, P256, 0x9A, &tlv(6, scalar)).1, 0x6A80);
    }
    assert_eq!(hand.command(0xF7, 0, 0x9A, &[]).1, 0x6A88, "nothing was stored");
    hand.succeed(0xFE, RSA, 0x9A, &[tlv(1, &p), tlv(2, &q)].concat());
}
