//! The contract of [`CryptoProvider`], run over every implementation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use card_sim::crypto::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, PrivateKey, PrivateKeyMaterial, PublicKey, Randomness,
    RustCrypto,
};
use card_sim::secret::SecretBytes;
use support::openssl::OpenSsl;

type Algorithm = AsymmetricAlgorithm;

fn providers() -> Vec<(&'static str, Box<dyn CryptoProvider>)> {
    vec![
        ("rust_crypto", Box::new(RustCrypto)),
        #[cfg(feature = "aws-lc")]
        ("aws_lc", Box::new(card_sim::crypto::AwsLc)),
    ]
}

fn randomness() -> Randomness {
    Randomness::from_seed(b"the contract of the card's cryptography", 0)
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn secret(hex: &str) -> SecretBytes {
    SecretBytes::new(bytes(hex))
}

fn point(key: &dyn PrivateKey) -> Vec<u8> {
    match key.public_key() {
        PublicKey::Rsa { .. } => panic!("an RSA key has no point"),
        PublicKey::P256 { point }
        | PublicKey::P384 { point }
        | PublicKey::Ed25519 { point }
        | PublicKey::X25519 { point } => point,
    }
}

/// The public key as DER, for OpenSSL.
fn write_public_key(openssl: &OpenSsl, key: &dyn PrivateKey) {
    let parts = match key.public_key() {
        PublicKey::Rsa { modulus, exponent } => {
            [support::tlv(0x81, &modulus), support::tlv(0x82, &exponent)].concat()
        }
        _ => support::tlv(0x86, &point(key)),
    };
    openssl.write_public_key("public.pem", &parts);
}

#[test]
fn openssl_verifies_what_rsa_keys_of_each_size_sign() {
    for (name, crypto) in providers() {
        for algorithm in [Algorithm::Rsa2048, Algorithm::Rsa3072, Algorithm::Rsa4096] {
            let openssl = OpenSsl::new();
            openssl.write("message", b"signed");
            let digest = openssl.run("dgst -sha256 -binary message");
            let material = crypto.generate(algorithm, &mut randomness()).unwrap();
            assert_eq!(material.algorithm(), algorithm);
            let key = crypto.load_proven(&material).unwrap();
            assert!(key.public_key() == crypto.load(&material).unwrap().public_key(), "{name}");
            write_public_key(&openssl, key.as_ref());
            let block = support::padded_digest(&digest, algorithm.block_length());
            openssl.write("signature", &key.rsa_private_operation(&block, &mut randomness()).unwrap());
            openssl.run("dgst -sha256 -verify public.pem -signature signature message");
            assert_eq!(key.ecdsa_sign(&digest), Err(CryptoError::InvalidInput), "{name}");
            assert_eq!(key.ed25519_sign(b"m"), Err(CryptoError::InvalidInput), "{name}");
        }
    }
}

#[test]
fn a_key_that_is_made_ready_at_once_is_the_one_that_is_stored() {
    for (name, crypto) in providers() {
        for algorithm in [Algorithm::Rsa2048, Algorithm::P256, Algorithm::Ed25519] {
            let (material, ready) = crypto.generate_loaded(algorithm, &mut randomness()).unwrap();
            let alone = crypto.generate(algorithm, &mut randomness()).unwrap();
            assert!(
                crypto.load(&alone).unwrap().public_key() == ready.public_key(),
                "{name}: one stream, one key"
            );
            let loaded = crypto.load(&material).unwrap();
            assert!(ready.public_key() == loaded.public_key(), "{name}");
            let derived = [ready.rsa_derived_values(), loaded.rsa_derived_values()]
                .map(|values| values.map(|values| [values.exponent1, values.exponent2, values.coefficient]));
            assert!(derived[0] == derived[1], "{name}");
            let operate = |key: &dyn PrivateKey| key.rsa_private_operation(&[0x42; 256], &mut randomness());
            assert_eq!(operate(ready.as_ref()), operate(loaded.as_ref()), "{name}");
        }
    }
}

#[test]
fn an_rsa_block_must_be_a_number_below_the_modulus_and_as_long() {
    for (name, crypto) in providers() {
        let material = crypto.generate(Algorithm::Rsa2048, &mut randomness()).unwrap();
        let key = crypto.load(&material).unwrap();
        let PublicKey::Rsa { modulus, .. } = key.public_key() else { panic!("not RSA") };
        let mut below = modulus.clone();
        below[255] -= 1;
        let operate = |block: &[u8]| key.rsa_private_operation(block, &mut randomness());
        for wrong in [&modulus[..], &[0xFF; 256], &[1; 255], &[1; 257], &[]] {
            assert_eq!(operate(wrong).unwrap_err(), CryptoError::InvalidInput, "{name}: {wrong:02X?}");
        }
        // (n - 1)^d = n - 1, 1^d = 1 and 0^d = 0, with all their leading zeros.
        assert_eq!(*operate(&below).unwrap(), below, "{name}");
        let mut one = [0; 256];
        one[255] = 1;
        assert_eq!(*operate(&one).unwrap(), one, "{name}");
        assert_eq!(*operate(&[0; 256]).unwrap(), [0; 256], "{name}");
    }
}

#[test]
fn an_rsa_operation_gives_the_same_whatever_blinds_it() {
    for (name, crypto) in providers() {
        let key = crypto.load(&crypto.generate(Algorithm::Rsa2048, &mut randomness()).unwrap()).unwrap();
        let first = key.rsa_private_operation(&[0x42; 256], &mut Randomness::from_seed(b"a", 1)).unwrap();
        let second = key.rsa_private_operation(&[0x42; 256], &mut Randomness::from_seed(b"b", 2)).unwrap();
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn numbers_that_make_no_rsa_key_are_refused() {
    for (name, crypto) in providers() {
        let material = crypto.generate(Algorithm::Rsa2048, &mut randomness()).unwrap();
        let PrivateKeyMaterial::Rsa { p, q } = material else { panic!("not RSA") };
        let mut composite = p.expose().to_vec();
        composite[127] = composite[127].wrapping_add(2);
        for (p, q) in [
            (p.expose(), p.expose()),
            (&composite[..], q.expose()),
            (&[0x80; 128], q.expose()),
            (&[0xFF; 128], q.expose()),
            (&p.expose()[1..], &q.expose()[1..]),
            (&[], &[]),
            (p.expose(), &[]),
            (&[0; 128], &[0; 128]),
            (&[0xFF; 1024], &[0xFF; 1024]),
        ] {
            let material = PrivateKeyMaterial::Rsa { p: SecretBytes::from(p), q: SecretBytes::from(q) };
            assert!(matches!(crypto.load(&material), Err(CryptoError::InvalidKey)), "{name}: {p:02X?}");
        }
    }
}

#[test]
fn openssl_verifies_what_keys_on_the_nist_curves_sign() {
    for (name, crypto) in providers() {
        for (algorithm, digests) in
            [(Algorithm::P256, &["sha1", "sha256"][..]), (Algorithm::P384, &["sha1", "sha256", "sha384"])]
        {
            let openssl = OpenSsl::new();
            openssl.write("message", b"signed");
            let key = crypto.load(&crypto.generate(algorithm, &mut randomness()).unwrap()).unwrap();
            write_public_key(&openssl, key.as_ref());
            for digest in digests {
                let value = openssl.run(&format!("dgst -{digest} -binary message"));
                openssl.write("signature", &key.ecdsa_sign(&value).unwrap());
                openssl.run(&format!("dgst -{digest} -verify public.pem -signature signature message"));
            }
            let field = algorithm.block_length();
            for wrong in [0, field + 1, 2 * field] {
                assert_eq!(key.ecdsa_sign(&vec![1; wrong]), Err(CryptoError::InvalidInput), "{name} {wrong}");
            }
            assert!(key.ecdsa_sign(&[1]).is_ok() && key.ecdsa_sign(&vec![0; field]).is_ok(), "{name}");
        }
    }
}

#[test]
fn both_sides_agree_on_a_key_and_points_off_the_curve_are_refused() {
    for (name, crypto) in providers() {
        for algorithm in [Algorithm::P256, Algorithm::P384] {
            let mut randomness = randomness();
            let [alice, bob] =
                [(); 2].map(|()| crypto.load(&crypto.generate(algorithm, &mut randomness).unwrap()).unwrap());
            let good = point(bob.as_ref());
            assert_eq!(alice.ecdh(&good).unwrap(), bob.ecdh(&point(alice.as_ref())).unwrap(), "{name}");
            assert_eq!(alice.ecdh(&good).unwrap().len(), algorithm.block_length());
            let mut off_curve = good.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            let field = algorithm.block_length();
            let parity = good.last().unwrap() & 1;
            let compressed = [&[0x02 + parity], &good[1..=field]].concat();
            let hybrid = [&[0x06 + parity], &good[1..]].concat();
            let longer = [&good[..], &[0]].concat();
            let above_the_field = [&[0x04], &vec![0xFF; 2 * field][..]].concat();
            let origin = [&[0x04], &vec![0; 2 * field][..]].concat();
            for wrong in [
                &off_curve[..],
                &compressed,
                &hybrid,
                &longer,
                &above_the_field,
                &origin,
                &good[1..],
                &[0],
                &[],
            ] {
                assert_eq!(alice.ecdh(wrong).unwrap_err(), CryptoError::InvalidInput, "{name} {wrong:02X?}");
            }
            assert_eq!(alice.x25519(&[9; 32]).unwrap_err(), CryptoError::InvalidInput);
        }
    }
}

#[test]
fn scalars_outside_the_group_are_refused() {
    for (name, crypto) in providers() {
        let order_256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let order_384 = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                         c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
        for wrong in [order_256, &"00".repeat(32), &"ff".repeat(32), &"01".repeat(31), &"01".repeat(33), ""] {
            let material = PrivateKeyMaterial::P256 { scalar: secret(wrong) };
            assert!(matches!(crypto.load(&material), Err(CryptoError::InvalidKey)), "{name}: {wrong}");
        }
        for wrong in [order_384, &"00".repeat(48), &"ff".repeat(48), &"01".repeat(47), &"01".repeat(49), ""] {
            let material = PrivateKeyMaterial::P384 { scalar: secret(wrong) };
            assert!(matches!(crypto.load(&material), Err(CryptoError::InvalidKey)), "{name}: {wrong}");
        }
        for wrong in ["", &"01".repeat(31), &"01".repeat(33)] {
            for material in [
                PrivateKeyMaterial::Ed25519 { seed: secret(wrong) },
                PrivateKeyMaterial::X25519 { scalar: secret(wrong) },
            ] {
                assert!(matches!(crypto.load(&material), Err(CryptoError::InvalidKey)), "{name}: {wrong}");
            }
        }
    }
}

/// RFC 8032 section 7.1, tests 1 to 3: private key, public key, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn the_signatures_of_rfc_8032_come_out() {
    for (name, crypto) in providers() {
        for [seed, public, message, signature] in RFC_8032 {
            let key = crypto.load(&PrivateKeyMaterial::Ed25519 { seed: secret(seed) }).unwrap();
            assert_eq!(point(key.as_ref()), bytes(public), "{name}");
            assert_eq!(key.ed25519_sign(&bytes(message)).unwrap(), bytes(signature), "{name}");
            assert_eq!(key.ecdsa_sign(&[1; 32]), Err(CryptoError::InvalidInput), "{name}");
        }
    }
}

/// RFC 7748 section 6.1: Alice's private key, both public keys, the shared secret.
const RFC_7748: [&str; 4] = [
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
];

/// The u-coordinates of points of order 1, 2, 4 and 8 (RFC 7748 section 6.1 asks for the zero check).
const SMALL_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
];

#[test]
fn the_agreement_of_rfc_7748_comes_out_and_points_of_small_order_are_refused() {
    let [scalar, own, other, shared] = RFC_7748;
    for (name, crypto) in providers() {
        let key = crypto.load(&PrivateKeyMaterial::X25519 { scalar: secret(scalar) }).unwrap();
        assert_eq!(point(key.as_ref()), bytes(own), "{name}");
        assert_eq!(*key.x25519(&bytes(other)).unwrap(), bytes(shared), "{name}");
        for wrong in SMALL_ORDER.iter().copied().chain(["", &other[2..]]) {
            assert_eq!(key.x25519(&bytes(wrong)).unwrap_err(), CryptoError::InvalidInput, "{name}: {wrong}");
        }
        assert_eq!(key.x25519(&[9; 33]).unwrap_err(), CryptoError::InvalidInput, "{name}");
        assert_eq!(key.ecdh(&bytes(other)).unwrap_err(), CryptoError::InvalidInput, "{name}");
    }
}

#[test]
fn a_generated_key_of_each_kind_survives_being_stored() {
    for (name, crypto) in providers() {
        for algorithm in Algorithm::ALL {
            let material = crypto.generate(algorithm, &mut randomness()).unwrap();
            let mut stored = Vec::new();
            ciborium::into_writer(&material, &mut stored).unwrap();
            let restored: PrivateKeyMaterial = ciborium::from_reader(&stored[..]).unwrap();
            assert_eq!(restored.algorithm(), algorithm, "{name}");
            let public = |material| crypto.load(material).unwrap().public_key();
            assert!(public(&material) == public(&restored), "{name} {algorithm:?}");
        }
    }
}

#[test]
fn all_implementations_compute_the_same() {
    let providers = providers();
    let ((_, first), others) = providers.split_first().unwrap();
    for algorithm in Algorithm::ALL {
        let [ours, theirs] =
            [0, 1].map(|seed| first.generate(algorithm, &mut Randomness::from_seed(b"same", seed)).unwrap());
        let reference = first.load(&ours).unwrap();
        for (name, crypto) in others {
            let key = crypto.load(&ours).unwrap();
            assert!(key.public_key() == reference.public_key(), "{name} {algorithm:?}");
            let peer = crypto.load(&theirs).unwrap();
            match algorithm {
                Algorithm::P256 | Algorithm::P384 => {
                    let point = point(peer.as_ref());
                    assert_eq!(key.ecdh(&point).unwrap(), reference.ecdh(&point).unwrap(), "{name}");
                }
                Algorithm::Ed25519 => assert_eq!(key.ed25519_sign(b"m"), reference.ed25519_sign(b"m")),
                Algorithm::X25519 => {
                    let point = point(peer.as_ref());
                    assert_eq!(key.x25519(&point).unwrap(), reference.x25519(&point).unwrap(), "{name}");
                }
                _ => {
                    let block = vec![0x42; algorithm.block_length()];
                    let operate =
                        |key: &dyn PrivateKey| key.rsa_private_operation(&block, &mut randomness()).unwrap();
                    assert_eq!(operate(key.as_ref()), operate(reference.as_ref()), "{name} {algorithm:?}");
                    let derived = |key: &dyn PrivateKey| key.rsa_derived_values().unwrap().coefficient;
                    assert_eq!(derived(key.as_ref()), derived(reference.as_ref()), "{name}");
                }
            }
        }
    }
}
