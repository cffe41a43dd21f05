//! Ed25519 (RFC 8032) and X25519 (RFC 7748).

use ed25519_dalek::SigningKey;
use signature::Signer;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::crypto::{CryptoError, PrivateKey, PrivateKeyMaterial, PublicKey, Randomness};
use crate::secret::SecretBytes;

const LENGTH: usize = 32;

pub(super) fn generate_ed25519(randomness: &mut Randomness) -> PrivateKeyMaterial {
    PrivateKeyMaterial::Ed25519 { seed: SecretBytes::new(randomness.bytes(LENGTH)) }
}

pub(super) fn generate_x25519(randomness: &mut Randomness) -> PrivateKeyMaterial {
    PrivateKeyMaterial::X25519 { scalar: SecretBytes::new(randomness.bytes(LENGTH)) }
}

fn key_bytes(bytes: &[u8]) -> Result<Zeroizing<[u8; LENGTH]>, CryptoError> {
    bytes.try_into().map(Zeroizing::new).map_err(|_| CryptoError::InvalidKey)
}

/// A signing key.
pub(super) struct Ed25519Key(SigningKey);

impl Ed25519Key {
    /// Any 32 bytes are a key.
    pub(super) fn load(seed: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(SigningKey::from_bytes(&*key_bytes(seed)?)))
    }
}

impl PrivateKey for Ed25519Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519 { point: self.0.verifying_key().as_bytes().to_vec() }
    }

    fn ed25519_sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

/// A key agreement key.
pub(super) struct X25519Key(StaticSecret);

impl X25519Key {
    /// Any 32 bytes are a key; they are clamped when they are used.
    pub(super) fn load(scalar: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self(StaticSecret::from(*key_bytes(scalar)?)))
    }
}

impl PrivateKey for X25519Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::X25519 { point: x25519_dalek::PublicKey::from(&self.0).as_bytes().to_vec() }
    }

    fn x25519(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let point: [u8; LENGTH] = point.try_into().map_err(|_| CryptoError::InvalidInput)?;
        let shared = self.0.diffie_hellman(&point.into());
        // RFC 7748 section 6.1: an all-zero result tells that the other side's point adds nothing.
        if !shared.was_contributory() {
            return Err(CryptoError::InvalidInput);
        }
        Ok(Zeroizing::new(shared.as_bytes().to_vec()))
    }
}
