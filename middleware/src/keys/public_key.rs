//! The public half of a key: its algorithm, and whether a signature is its own.
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use const_oid::ObjectIdentifier;
use der::Encode;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Sha256, Sha384, Sha512};
use spki::SubjectPublicKeyInfoOwned;

use super::{DigestAlgorithm, SignatureScheme};
use crate::piv::KeyAlgorithm;

/// A public key of a kind that PIV has.
pub(crate) enum PublicKey {
    Rsa(rsa::RsaPublicKey),
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
    X25519,
}

/// RFC 8410 section 3.
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Bytes of a key on Curve25519.
const LENGTH_25519: usize = 32;

impl TryFrom<&SubjectPublicKeyInfoOwned> for PublicKey {
    type Error = spki::Error;

    fn try_from(public_key: &SubjectPublicKeyInfoOwned) -> Result<Self, Self::Error> {
        let raw = public_key.subject_public_key.raw_bytes();
        match public_key.algorithm.oid {
            ED25519 => {
                return <[u8; LENGTH_25519]>::try_from(raw)
                    .ok()
                    .and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(&key).ok())
                    .map(Self::Ed25519)
                    .ok_or(spki::Error::KeyMalformed);
            }
            X25519 if raw.len() == LENGTH_25519 => return Ok(Self::X25519),
            X25519 => return Err(spki::Error::KeyMalformed),
            _ => {}
        }
        let bytes = public_key.to_der()?;
        rsa::RsaPublicKey::from_public_key_der(&bytes)
            .map(Self::Rsa)
            .or_else(|_| p256::PublicKey::from_public_key_der(&bytes).map(Self::P256))
            .or_else(|_| p384::PublicKey::from_public_key_der(&bytes).map(Self::P384))
    }
}

impl PublicKey {
    /// `None` for RSA of a size that PIV does not have.
    pub(crate) fn algorithm(&self) -> Option<KeyAlgorithm> {
        match self {
            Self::Rsa(key) => match key.n().bits() {
                1024 => Some(KeyAlgorithm::Rsa1024),
                2048 => Some(KeyAlgorithm::Rsa2048),
                3072 => Some(KeyAlgorithm::Rsa3072),
                4096 => Some(KeyAlgorithm::Rsa4096),
                _ => None,
            },
            Self::P256(_) => Some(KeyAlgorithm::P256),
            Self::P384(_) => Some(KeyAlgorithm::P384),
            Self::Ed25519(_) => Some(KeyAlgorithm::Ed25519),
            Self::X25519 => Some(KeyAlgorithm::X25519),
        }
    }

    pub(crate) fn verifies(&self, scheme: SignatureScheme, digest: &[u8], signature: &[u8]) -> bool {
        match (self, scheme) {
            (Self::Rsa(key), SignatureScheme::RsaPkcs1(hash)) => {
                key.verify(pkcs1_v15(hash), digest, signature).is_ok()
            }
            (Self::Rsa(key), SignatureScheme::RsaPss(hash)) => {
                let verified = match hash {
                    DigestAlgorithm::Sha256 => key.verify(Pss::<Sha256>::new(), digest, signature),
                    DigestAlgorithm::Sha384 => key.verify(Pss::<Sha384>::new(), digest, signature),
                    DigestAlgorithm::Sha512 => key.verify(Pss::<Sha512>::new(), digest, signature),
                };
                verified.is_ok()
            }
            (Self::Ed25519(key), SignatureScheme::Ed25519) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(digest, &signature).is_ok()),
            // Every signature of a card is checked: several times faster.
            (Self::P256(key), SignatureScheme::Ecdsa(DigestAlgorithm::Sha256)) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.to_sec1_bytes());
                Digest::import_less_safe(digest, &SHA256)
                    .is_ok_and(|digest| key.verify_digest(&digest, signature).is_ok())
            }
            (Self::P256(key), SignatureScheme::Ecdsa(_)) => {
                let key = p256::ecdsa::VerifyingKey::from(key);
                p256::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
            }
            (Self::P384(key), SignatureScheme::Ecdsa(_)) => {
                let key = p384::ecdsa::VerifyingKey::from(key);
                p384::ecdsa::Signature::from_der(signature)
                    .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
            }
            _ => false,
        }
    }
}

/// RSASSA-PKCS1-v1_5 with the DigestInfo of the hash.
pub(super) fn pkcs1_v15(hash: DigestAlgorithm) -> Pkcs1v15Sign {
    match hash {
        DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    }
}

/// The curve of an uncompressed point that lies on it; 32 bytes are X25519's; `None` for anything else.
pub(crate) fn point_algorithm(point: &[u8]) -> Option<KeyAlgorithm> {
    match (point.first(), point.len()) {
        (Some(0x04), 65) => p256::PublicKey::from_sec1_bytes(point).ok().map(|_| KeyAlgorithm::P256),
        (Some(0x04), 97) => p384::PublicKey::from_sec1_bytes(point).ok().map(|_| KeyAlgorithm::P384),
        // Every 32 bytes are a point for X25519 (RFC 7748 section 5).
        (_, LENGTH_25519) => Some(KeyAlgorithm::X25519),
        _ => None,
    }
}

/// Whether key agreement on Curve25519 with that point gives zero, whatever the key (RFC 7748 section 6.1): every scalar
/// is a multiple of the cofactor.
pub(crate) fn is_of_small_order(point: &[u8; LENGTH_25519]) -> bool {
    x25519_dalek::x25519([1; LENGTH_25519], *point) == [0; LENGTH_25519]
}
