//! The portable implementation: crates `rsa` and `p256`.

use elliptic_curve::Generate;
use p256::ecdsa::{DerSignature, SigningKey};
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey};
use signature::hazmat::PrehashSigner;
use zeroize::Zeroizing;

use super::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, PrivateKey, PrivateKeyMaterial, PublicKey,
    RSA_PUBLIC_EXPONENT, Randomness, RsaDerivedValues,
};
use crate::secret::SecretBytes;

const RSA_BITS: usize = 2048;
const RSA_BLOCK: usize = RSA_BITS / 8;
const RSA_PRIME: usize = RSA_BLOCK / 2;
const FIELD: usize = 32;

/// Pure-Rust cryptography: constant-time exponentiation and blinding, checked results.
#[derive(Clone, Copy, Default)]
pub struct RustCrypto;

impl CryptoProvider for RustCrypto {
    fn generate(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<PrivateKeyMaterial, CryptoError> {
        match algorithm {
            AsymmetricAlgorithm::Rsa2048 => {
                let key = RsaPrivateKey::new(randomness, RSA_BITS).map_err(|_| CryptoError::Failed)?;
                let [p, q] = key.primes() else { return Err(CryptoError::Failed) };
                Ok(PrivateKeyMaterial::Rsa2048 { p: prime_bytes(p)?, q: prime_bytes(q)? })
            }
            AsymmetricAlgorithm::P256 => {
                let key = p256::SecretKey::generate_from_rng(randomness);
                Ok(PrivateKeyMaterial::P256 { scalar: SecretBytes::new(key.to_bytes().to_vec()) })
            }
        }
    }

    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        match material {
            PrivateKeyMaterial::Rsa2048 { p, q } => Ok(Box::new(load_rsa(p.expose(), q.expose())?)),
            PrivateKeyMaterial::P256 { scalar } => {
                let key =
                    p256::SecretKey::from_slice(scalar.expose()).map_err(|_| CryptoError::InvalidKey)?;
                Ok(Box::new(P256Key(key)))
            }
        }
    }
}

fn prime_bytes(prime: &BoxedUint) -> Result<SecretBytes, CryptoError> {
    let bytes = Zeroizing::new(prime.to_be_bytes().into_vec());
    Ok(SecretBytes::from(last_bytes(&bytes, RSA_PRIME)?))
}

/// The last `count` bytes of a big-endian number whose other bytes are zero.
fn last_bytes(bytes: &[u8], count: usize) -> Result<&[u8], CryptoError> {
    let split = bytes.len().checked_sub(count).ok_or(CryptoError::Failed)?;
    match bytes.split_at_checked(split) {
        Some((zeros, last)) if zeros.iter().all(|byte| *byte == 0) => Ok(last),
        _ => Err(CryptoError::Failed),
    }
}

/// Builds the key from its primes and proves with one operation that they are primes.
fn load_rsa(p: &[u8], q: &[u8]) -> Result<RsaKey, CryptoError> {
    let is_prime_sized = |prime: &[u8]| {
        prime.len() == RSA_PRIME
            && prime.first().is_some_and(|b| b & 0x80 != 0)
            && prime.last().is_some_and(|b| b & 1 != 0)
    };
    if !is_prime_sized(p) || !is_prime_sized(q) {
        return Err(CryptoError::InvalidKey);
    }
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_truncated(bytes, RSA_PRIME_BITS);
    let key = RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(65_537_u64))
        .map_err(|_| CryptoError::InvalidKey)?;
    let has_right_size = key.n().bits_vartime() == RSA_MODULUS_BITS;
    let test = BoxedUint::from_be_slice_truncated(&[0x5A; RSA_BLOCK - 1], key.n_bits_precision());
    let works = rsa_decrypt_and_check(&key, None::<&mut Randomness>, &test).is_ok();
    if has_right_size && works { Ok(RsaKey(key)) } else { Err(CryptoError::InvalidKey) }
}

const RSA_PRIME_BITS: u32 = 1024;
const RSA_MODULUS_BITS: u32 = 2048;

struct RsaKey(RsaPrivateKey);

impl PrivateKey for RsaKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::Rsa { modulus: self.0.n_bytes().into_vec(), exponent: RSA_PUBLIC_EXPONENT.to_vec() }
    }

    fn rsa_private_operation(
        &self,
        block: &[u8],
        randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if block.len() != RSA_BLOCK {
            return Err(CryptoError::InvalidInput);
        }
        let number = BoxedUint::from_be_slice_truncated(block, self.0.n_bits_precision());
        if number >= *self.0.n().as_ref() {
            return Err(CryptoError::InvalidInput);
        }
        let result =
            rsa_decrypt_and_check(&self.0, Some(randomness), &number).map_err(|_| CryptoError::Failed)?;
        let bytes = Zeroizing::new(result.to_be_bytes().into_vec());
        Ok(Zeroizing::new(last_bytes(&bytes, RSA_BLOCK)?.to_vec()))
    }

    fn ecdsa_sign(&self, _digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    fn ecdh(&self, _point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
        let bytes = |number: &BoxedUint| {
            let bytes = Zeroizing::new(number.to_be_bytes().into_vec());
            last_bytes(&bytes, RSA_PRIME).ok().map(|bytes| Zeroizing::new(bytes.to_vec()))
        };
        Some(RsaDerivedValues {
            exponent1: bytes(self.0.dp()?)?,
            exponent2: bytes(self.0.dq()?)?,
            coefficient: bytes(&self.0.qinv()?.retrieve())?,
        })
    }
}

struct P256Key(p256::SecretKey);

impl PrivateKey for P256Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::P256 { point: self.0.public_key().to_sec1_bytes().into_vec() }
    }

    fn rsa_private_operation(
        &self,
        _block: &[u8],
        _randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    fn ecdsa_sign(&self, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if digest.is_empty() || digest.len() > FIELD {
            return Err(CryptoError::InvalidInput);
        }
        let mut padded = vec![0; FIELD - digest.len()];
        padded.extend_from_slice(digest);
        let signature: DerSignature =
            SigningKey::from(&self.0).sign_prehash(&padded).map_err(|_| CryptoError::Failed)?;
        Ok(signature.as_bytes().to_vec())
    }

    fn ecdh(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if point.len() != 1 + 2 * FIELD || point.first() != Some(&0x04) {
            return Err(CryptoError::InvalidInput);
        }
        let point = p256::PublicKey::from_sec1_bytes(point).map_err(|_| CryptoError::InvalidInput)?;
        let shared = self.0.diffie_hellman(&point);
        Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
    }

    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
        None
    }
}
