//! The numbers of an RSA key, all computed from its primes (RFC 8017 section 3.2).

use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey};
use zeroize::Zeroizing;

use super::{
    AsymmetricAlgorithm, CryptoError, PrivateKeyMaterial, PublicKey, RSA_PUBLIC_EXPONENT, Randomness,
    RsaDerivedValues,
};
use crate::secret::SecretBytes;

/// A key whose numbers follow from two odd numbers of the right size; whether these are primes shows in its use.
pub(super) struct RsaNumbers {
    pub(super) key: RsaPrivateKey,
    /// Bytes of the modulus.
    pub(super) block: usize,
}

impl RsaNumbers {
    /// Makes a key with a modulus of this many bits.
    pub(super) fn generate(bits: usize, randomness: &mut Randomness) -> Result<Self, CryptoError> {
        let key = RsaPrivateKey::new(randomness, bits).map_err(|_| CryptoError::Failed)?;
        Ok(Self { key, block: bits / 8 })
    }

    /// The primes, from which everything follows.
    pub(super) fn material(&self) -> Result<PrivateKeyMaterial, CryptoError> {
        let [p, q] = self.key.primes() else { return Err(CryptoError::Failed) };
        let prime = |number: &BoxedUint| {
            let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
            last_bytes(&bytes, self.block / 2).map(SecretBytes::from)
        };
        Ok(PrivateKeyMaterial::Rsa { p: prime(p)?, q: prime(q)? })
    }

    /// Computes everything from the primes, which must be exactly half as long as a modulus of
    /// [`AsymmetricAlgorithm`].
    pub(super) fn from_primes(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        let block = 2 * p.len();
        AsymmetricAlgorithm::rsa_with_block_length(block).ok_or(CryptoError::InvalidKey)?;
        let is_prime_sized = |prime: &[u8]| {
            prime.len() == block / 2
                && prime.first().is_some_and(|b| b & 0x80 != 0)
                && prime.last().is_some_and(|b| b & 1 != 0)
        };
        if !is_prime_sized(p) || !is_prime_sized(q) {
            return Err(CryptoError::InvalidKey);
        }
        let bits = |bytes: usize| u32::try_from(8 * bytes).map_err(|_| CryptoError::InvalidKey);
        let prime_bits = bits(p.len())?;
        let number = |bytes: &[u8]| BoxedUint::from_be_slice_truncated(bytes, prime_bits);
        let key = RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(65_537_u64))
            .map_err(|_| CryptoError::InvalidKey)?;
        if key.n().bits_vartime() != bits(block)? {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Self { key, block })
    }

    /// The modulus, big-endian, exactly as long as the block.
    pub(super) fn modulus(&self) -> Vec<u8> {
        self.key.n_bytes().into_vec()
    }

    pub(super) fn public_key(&self) -> PublicKey {
        PublicKey::Rsa { modulus: self.modulus(), exponent: RSA_PUBLIC_EXPONENT.to_vec() }
    }

    pub(super) fn derived_values(&self) -> Option<RsaDerivedValues> {
        let bytes = |number: &BoxedUint| {
            let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
            last_bytes(&bytes, self.block / 2).ok().map(|bytes| Zeroizing::new(bytes.to_vec()))
        };
        Some(RsaDerivedValues {
            exponent1: bytes(self.key.dp()?)?,
            exponent2: bytes(self.key.dq()?)?,
            coefficient: bytes(&self.key.qinv()?.retrieve())?,
        })
    }
}

/// The last `count` bytes of a big-endian number whose other bytes are zero.
pub(super) fn last_bytes(bytes: &[u8], count: usize) -> Result<&[u8], CryptoError> {
    let split = bytes.len().checked_sub(count).ok_or(CryptoError::Failed)?;
    match bytes.split_at_checked(split) {
        Some((zeros, last)) if zeros.iter().all(|byte| *byte == 0) => Ok(last),
        _ => Err(CryptoError::Failed),
    }
}
