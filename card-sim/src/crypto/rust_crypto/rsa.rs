//! RSA (RFC 8017): making keys, and the raw private operation.

use rsa::BoxedUint;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use crate::crypto::rsa_key::{RsaNumbers, last_bytes};
use crate::crypto::{CryptoError, PrivateKey, PublicKey, Randomness, RsaDerivedValues};

/// A key whose parts belong together.
pub(super) struct RsaKey(pub(super) RsaNumbers);

impl RsaKey {
    /// Builds the key from its primes and proves with one operation that they are primes.
    pub(super) fn load(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        let Self(numbers) = Self::load_proven(p, q)?;
        let precision = numbers.key.n_bits_precision();
        let test = BoxedUint::from_be_slice_truncated(&vec![0x5A; numbers.block - 1], precision);
        rsa_decrypt_and_check(&numbers.key, None::<&mut Randomness>, &test)
            .map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self(numbers))
    }

    /// Builds the key from its primes.
    pub(super) fn load_proven(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        RsaNumbers::from_primes(p, q).map(Self)
    }
}

impl PrivateKey for RsaKey {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn rsa_private_operation(
        &self,
        block: &[u8],
        randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let RsaNumbers { key, block: length } = &self.0;
        if block.len() != *length {
            return Err(CryptoError::InvalidInput);
        }
        let number = BoxedUint::from_be_slice_truncated(block, key.n_bits_precision());
        if number >= *key.n().as_ref() {
            return Err(CryptoError::InvalidInput);
        }
        let result =
            rsa_decrypt_and_check(key, Some(randomness), &number).map_err(|_| CryptoError::Failed)?;
        let result = Zeroizing::new(result);
        let bytes = Zeroizing::new(result.to_be_bytes().into_vec());
        Ok(Zeroizing::new(last_bytes(&bytes, *length)?.to_vec()))
    }

    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
        self.0.derived_values()
    }
}
