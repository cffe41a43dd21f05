//! The curves, by the safe crate `aws-lc-rs`.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{self, Digest, SHA256, SHA384};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPublicKeyUncompressedBin};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _,
};
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, PrivateKey, PublicKey};

/// A key on P-256 or P-384.
pub(super) struct NistKey {
    curve: &'static Curve,
    agreement: agreement::PrivateKey,
    signing: EcdsaKeyPair,
    point: Vec<u8>,
}

struct Curve {
    agreement: &'static agreement::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    /// The digest as long as the curve's order, as which any shorter one is signed.
    digest: &'static digest::Algorithm,
    public_key: fn(Vec<u8>) -> PublicKey,
    field: usize,
}

static P256: Curve = Curve {
    agreement: &ECDH_P256,
    signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
    digest: &SHA256,
    public_key: |point| PublicKey::P256 { point },
    field: 32,
};

static P384: Curve = Curve {
    agreement: &ECDH_P384,
    signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
    digest: &SHA384,
    public_key: |point| PublicKey::P384 { point },
    field: 48,
};

impl NistKey {
    /// A scalar from 1 to the order of P-256 less 1.
    pub(super) fn p256(scalar: &[u8]) -> Result<Self, CryptoError> {
        p256::SecretKey::from_slice(scalar).map_err(|_| CryptoError::InvalidKey)?;
        Self::load(&P256, scalar)
    }

    /// A scalar from 1 to the order of P-384 less 1.
    pub(super) fn p384(scalar: &[u8]) -> Result<Self, CryptoError> {
        p384::SecretKey::from_slice(scalar).map_err(|_| CryptoError::InvalidKey)?;
        Self::load(&P384, scalar)
    }

    fn load(curve: &'static Curve, scalar: &[u8]) -> Result<Self, CryptoError> {
        if scalar.len() != curve.field {
            return Err(CryptoError::InvalidKey);
        }
        let agreement = agreement::PrivateKey::from_private_key(curve.agreement, scalar)
            .map_err(|_| CryptoError::InvalidKey)?;
        let public = agreement.compute_public_key().map_err(|_| CryptoError::InvalidKey)?;
        let point: EcPublicKeyUncompressedBin<'_> =
            public.as_be_bytes().map_err(|_| CryptoError::InvalidKey)?;
        let point = point.as_ref().to_vec();
        let signing = EcdsaKeyPair::from_private_key_and_public_key(curve.signing, scalar, &point)
            .map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self { curve, agreement, signing, point })
    }
}

impl PrivateKey for NistKey {
    fn public_key(&self) -> PublicKey {
        (self.curve.public_key)(self.point.clone())
    }

    fn ecdsa_sign(&self, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut number = [0; 48];
        let number = number.get_mut(..self.curve.field).ok_or(CryptoError::Failed)?;
        if digest.is_empty() || digest.len() > number.len() {
            return Err(CryptoError::InvalidInput);
        }
        let (_, low) = number.split_at_mut(number.len() - digest.len());
        low.copy_from_slice(digest);
        let digest = Digest::import_less_safe(number, self.curve.digest).map_err(|_| CryptoError::Failed)?;
        let signature = self.signing.sign_digest(&digest).map_err(|_| CryptoError::Failed)?;
        Ok(signature.as_ref().to_vec())
    }

    fn ecdh(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if point.len() != self.point.len() || point.first() != Some(&0x04) {
            return Err(CryptoError::InvalidInput);
        }
        agree(&self.agreement, self.curve.agreement, point)
    }
}

/// The shared secret; AWS-LC refuses points off the curve, and of small order.
fn agree(
    key: &agreement::PrivateKey,
    algorithm: &'static agreement::Algorithm,
    point: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    agreement::agree(key, UnparsedPublicKey::new(algorithm, point), CryptoError::InvalidInput, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

/// A signing key of RFC 8032.
pub(super) struct Ed25519Key(Ed25519KeyPair);

impl Ed25519Key {
    /// Any 32 bytes are a key.
    pub(super) fn load(seed: &[u8]) -> Result<Self, CryptoError> {
        if seed.len() != 32 {
            return Err(CryptoError::InvalidKey);
        }
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| CryptoError::InvalidKey)
    }
}

impl PrivateKey for Ed25519Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519 { point: self.0.public_key().as_ref().to_vec() }
    }

    fn ed25519_sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// A key agreement key of RFC 7748.
pub(super) struct X25519Key {
    key: agreement::PrivateKey,
    point: Vec<u8>,
}

impl X25519Key {
    /// Any 32 bytes are a key; they are clamped when they are used.
    pub(super) fn load(scalar: &[u8]) -> Result<Self, CryptoError> {
        let key =
            agreement::PrivateKey::from_private_key(&X25519, scalar).map_err(|_| CryptoError::InvalidKey)?;
        let point = key.compute_public_key().map_err(|_| CryptoError::InvalidKey)?.as_ref().to_vec();
        Ok(Self { key, point })
    }
}

impl PrivateKey for X25519Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::X25519 { point: self.point.clone() }
    }

    fn x25519(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if point.len() != self.point.len() {
            return Err(CryptoError::InvalidInput);
        }
        agree(&self.key, &X25519, point)
    }
}
