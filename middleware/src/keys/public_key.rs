//! The public half of a key: its algorithm, and whether a signature is its own.
use der::Encode;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::Pkcs1v15Sign;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use sha2::{Sha256, Sha384, Sha512};
use spki::SubjectPublicKeyInfoOwned;

use super::{DigestAlgorithm, SignatureScheme};
use crate::piv::KeyAlgorithm;

/// A public key of a kind that PIV has.
pub(crate) enum PublicKey {
    Rsa(rsa::RsaPublicKey),
    P256(p256::PublicKey),
    P384(p384::PublicKey),
}

impl TryFrom<&SubjectPublicKeyInfoOwned> for PublicKey {
    type Error = spki::Error;

    fn try_from(public_key: &SubjectPublicKeyInfoOwned) -> Result<Self, Self::Error> {
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
                2048 => Some(KeyAlgorithm::Rsa2048),
                3072 => Some(KeyAlgorithm::Rsa3072),
                _ => None,
            },
            Self::P256(_) => Some(KeyAlgorithm::P256),
            Self::P384(_) => Some(KeyAlgorithm::P384),
        }
    }

    pub(crate) fn verifies(&self, scheme: SignatureScheme, digest: &[u8], signature: &[u8]) -> bool {
        match (self, scheme) {
            (Self::Rsa(key), SignatureScheme::RsaPkcs1(hash)) => {
                key.verify(pkcs1_v15(hash), digest, signature).is_ok()
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

/// The curve of an uncompressed point that lies on it; `None` for anything else.
pub(crate) fn point_algorithm(point: &[u8]) -> Option<KeyAlgorithm> {
    match (point.first(), point.len()) {
        (Some(0x04), 65) => p256::PublicKey::from_sec1_bytes(point).ok().map(|_| KeyAlgorithm::P256),
        (Some(0x04), 97) => p384::PublicKey::from_sec1_bytes(point).ok().map(|_| KeyAlgorithm::P384),
        _ => None,
    }
}
