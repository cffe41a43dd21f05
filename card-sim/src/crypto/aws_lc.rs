//! The fast implementation: private-key operations by AWS-LC, several times faster than portable code.
//!
//! Keys are still made by [`RustCrypto`], whose search for primes is the faster one. ECDSA draws its nonces from
//! AWS-LC's own generator, so signatures differ from run to run; a card that must repeat itself uses [`RustCrypto`].
//!
//! RSA needs `unsafe`: the safe crate `aws-lc-rs` has no raw private operation. All of it is in this file.
#![allow(unsafe_code, reason = "the raw RSA operation exists only in AWS-LC's C interface")]

mod curve;

use std::ptr::NonNull;

use aws_lc_sys::{ERR_clear_error, RSA, RSA_NO_PADDING, RSA_free, RSA_private_key_from_bytes, RSA_sign_raw};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use zeroize::Zeroizing;

use super::rsa_key::RsaNumbers;
use super::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, LoadedKey, PrivateKey, PrivateKeyMaterial, PublicKey,
    Randomness, RsaDerivedValues, RustCrypto,
};

/// AWS-LC's private-key operations: constant-time and blinded, RSA results checked with the public exponent.
#[derive(Clone, Copy, Default)]
pub struct AwsLc;

impl CryptoProvider for AwsLc {
    fn generate(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<PrivateKeyMaterial, CryptoError> {
        RustCrypto.generate(algorithm, randomness)
    }

    fn generate_loaded(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<LoadedKey, CryptoError> {
        if algorithm.is_rsa() {
            let numbers = RsaNumbers::generate(8 * algorithm.block_length(), randomness)?;
            return Ok((numbers.material()?, Box::new(RsaKey::new(numbers)?)));
        }
        let material = self.generate(algorithm, randomness)?;
        let loaded = self.load(&material)?;
        Ok((material, loaded))
    }

    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        Ok(match material {
            PrivateKeyMaterial::Rsa { p, q } => Box::new(RsaKey::load(p.expose(), q.expose())?),
            PrivateKeyMaterial::P256 { scalar } => Box::new(curve::NistKey::p256(scalar.expose())?),
            PrivateKeyMaterial::P384 { scalar } => Box::new(curve::NistKey::p384(scalar.expose())?),
            PrivateKeyMaterial::Ed25519 { seed } => Box::new(curve::Ed25519Key::load(seed.expose())?),
            PrivateKeyMaterial::X25519 { scalar } => Box::new(curve::X25519Key::load(scalar.expose())?),
        })
    }

    fn load_proven(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        match material {
            PrivateKeyMaterial::Rsa { p, q } => Ok(Box::new(RsaKey::load_proven(p.expose(), q.expose())?)),
            other => self.load(other),
        }
    }
}

/// An RSA key of AWS-LC's, freed and wiped when dropped.
struct Handle(NonNull<RSA>);

// SAFETY: an RSA object is tied to no thread; this is its only owner.
unsafe impl Send for Handle {}

impl Handle {
    /// Reads an `RSAPrivateKey` (RFC 8017 appendix A.1.2); AWS-LC checks that its numbers belong together.
    fn from_pkcs1(der: &[u8]) -> Option<Self> {
        // SAFETY: pointer and length are of one slice, which AWS-LC copies from and does not keep. What it returns
        // is null or a new object that belongs to us.
        let key = unsafe { RSA_private_key_from_bytes(der.as_ptr(), der.len()) };
        NonNull::new(key).map(Self)
    }

    /// `block` to the power of the private exponent. `None` when AWS-LC refuses the block, or when its check of the
    /// result with the public exponent, which guards against faults, fails.
    fn private_operation(&self, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut result = Zeroizing::new(vec![0; block.len()]);
        let mut written = 0;
        // SAFETY: the key is valid until it is dropped. AWS-LC reads `block.len()` bytes, writes at most
        // `result.len()`, and keeps neither pointer. It changes the key only under the key's own lock.
        let succeeded = unsafe {
            RSA_sign_raw(
                self.0.as_ptr(),
                &raw mut written,
                result.as_mut_ptr(),
                result.len(),
                block.as_ptr(),
                block.len(),
                RSA_NO_PADDING,
            )
        };
        if succeeded == 1 && written == result.len() {
            return Some(result);
        }
        // SAFETY: it takes nothing, and clears this thread's queue of errors, which nobody here reads.
        unsafe { ERR_clear_error() };
        None
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the object is ours, valid, and not used again. AWS-LC wipes what it frees.
        unsafe { RSA_free(self.0.as_ptr()) };
    }
}

struct RsaKey {
    handle: Handle,
    numbers: RsaNumbers,
    modulus: Vec<u8>,
}

impl RsaKey {
    /// Builds the key from its primes and proves with one operation that they are primes.
    fn load(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        let key = Self::load_proven(p, q)?;
        let test = [&[0], &vec![0x5A; key.numbers.block - 1][..]].concat();
        key.handle.private_operation(&test).ok_or(CryptoError::InvalidKey)?;
        Ok(key)
    }

    /// Builds the key from its primes.
    fn load_proven(p: &[u8], q: &[u8]) -> Result<Self, CryptoError> {
        Self::new(RsaNumbers::from_primes(p, q)?)
    }

    fn new(numbers: RsaNumbers) -> Result<Self, CryptoError> {
        let der = numbers.key.to_pkcs1_der().map_err(|_| CryptoError::InvalidKey)?;
        let handle = Handle::from_pkcs1(der.as_bytes()).ok_or(CryptoError::InvalidKey)?;
        let modulus = numbers.modulus();
        Ok(Self { handle, numbers, modulus })
    }

    /// Whether the number is 0, 1 or the modulus less 1, which are their own results; AWS-LC refuses them.
    fn is_its_own_result(&self, block: &[u8]) -> bool {
        let Some((last, rest)) = block.split_last() else { return false };
        let Some((modulus_last, modulus_rest)) = self.modulus.split_last() else { return false };
        // The modulus is odd, so 1 less changes its last byte alone.
        (*last <= 1 && rest.iter().all(|byte| *byte == 0))
            || (*last == modulus_last ^ 1 && rest == modulus_rest)
    }
}

impl PrivateKey for RsaKey {
    fn public_key(&self) -> PublicKey {
        self.numbers.public_key()
    }

    fn rsa_private_operation(
        &self,
        block: &[u8],
        _randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        // Both are big-endian and of one length, so their order is that of the numbers; the block is no secret.
        if block.len() != self.modulus.len() || block >= self.modulus.as_slice() {
            return Err(CryptoError::InvalidInput);
        }
        if self.is_its_own_result(block) {
            return Ok(Zeroizing::new(block.to_vec()));
        }
        self.handle.private_operation(block).ok_or(CryptoError::Failed)
    }

    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
        self.numbers.derived_values()
    }
}
