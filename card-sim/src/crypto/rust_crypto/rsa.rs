//! RSA (RFC 8017): keys from their primes, and the raw private operation.

use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey};
use zeroize::Zeroizing;

use crate::crypto::{
    AsymmetricAlgorithm, CryptoError, PrivateKey, PrivateKeyMaterial, PublicKey, RSA_PUBLIC_EXPONENT,
    Randomness, RsaDerivedValues,
};
use crate::secret::SecretBytes;

/// Makes a key with a modulus of this many bits.
pub(super) fn generate(bits: usize, randomness: &mut Randomness) -> Result<PrivateKeyMaterial, CryptoError> {
    let key = RsaPrivateKey::new(randomness, bits).map_err(|_| CryptoError::Failed)?;
    let [p, q] = key.primes() else { return Err(CryptoError::Failed) };
    let prime = |number: &BoxedUint| {
        let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
        last_bytes(&bytes, bits / 16).map(SecretBytes::from)
    };
    Ok(PrivateKeyMaterial::Rsa { p: prime(p)?, q: prime(q)? })
}

/// The last `count` bytes of a big-endian number whose other bytes are zero.
fn last_bytes(bytes: &[u8], count: usize) -> Result<&[u8], CryptoError> {
    let split = bytes.len().checked_sub(count).ok_or(CryptoError::Failed)?;
    match bytes.split_at_checked(split) {
        Some((zeros, last)) if zeros.iter().all(|byte| *byte == 0) => Ok(last),
        _ => Err(CryptoError::Failed),
    }
}

/// A key whose parts belong together.
pub(super) struct RsaKey {
    key: RsaPrivateKey,
    /// Bytes of the modulus.
    block: usize,
}

impl RsaKey {
    /// Builds the key from its primes and proves with one operation that they are primes.
    pub(super) fn load(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
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
        let has_right_size = key.n().bits_vartime() == bits(block)?;
        let test = BoxedUint::from_be_slice_truncated(&vec![0x5A; block - 1], key.n_bits_precision());
        let works = rsa_decrypt_and_check(&key, None::<&mut Randomness>, &test).is_ok();
        if has_right_size && works { Ok(Self { key, block }) } else { Err(CryptoError::InvalidKey) }
    }
}

impl PrivateKey for RsaKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::Rsa { modulus: self.key.n_bytes().into_vec(), exponent: RSA_PUBLIC_EXPONENT.to_vec() }
    }

    fn rsa_private_operation(
        &self,
        block: &[u8],
        randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if block.len() != self.block {
            return Err(CryptoError::InvalidInput);
        }
        let number = BoxedUint::from_be_slice_truncated(block, self.key.n_bits_precision());
        if number >= *self.key.n().as_ref() {
            return Err(CryptoError::InvalidInput);
        }
        let result =
            rsa_decrypt_and_check(&self.key, Some(randomness), &number).map_err(|_| CryptoError::Failed)?;
        let result = Zeroizing::new(result);
        let bytes = Zeroizing::new(result.to_be_bytes().into_vec());
        Ok(Zeroizing::new(last_bytes(&bytes, self.block)?.to_vec()))
    }

    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
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
