//! The portable implementation: RustCrypto's `rsa`, `p256` and `p384`, and the dalek curves.

mod curve25519;
mod nist_curve;
mod rsa;

use super::rsa_key::RsaNumbers;
use super::{
    AsymmetricAlgorithm, CryptoError, CryptoProvider, LoadedKey, PrivateKey, PrivateKeyMaterial, Randomness,
};

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
            AsymmetricAlgorithm::Rsa2048 | AsymmetricAlgorithm::Rsa3072 | AsymmetricAlgorithm::Rsa4096 => {
                RsaNumbers::generate(8 * algorithm.block_length(), randomness)?.material()
            }
            AsymmetricAlgorithm::P256 => Ok(nist_curve::P256Key::generate(randomness)),
            AsymmetricAlgorithm::P384 => Ok(nist_curve::P384Key::generate(randomness)),
            AsymmetricAlgorithm::Ed25519 => Ok(curve25519::generate_ed25519(randomness)),
            AsymmetricAlgorithm::X25519 => Ok(curve25519::generate_x25519(randomness)),
        }
    }

    /// An RSA key keeps the numbers that were computed when it was made: computing them anew costs a twentieth of it.
    fn generate_loaded(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<LoadedKey, CryptoError> {
        if algorithm.is_rsa() {
            let numbers = RsaNumbers::generate(8 * algorithm.block_length(), randomness)?;
            return Ok((numbers.material()?, Box::new(rsa::RsaKey(numbers))));
        }
        let material = self.generate(algorithm, randomness)?;
        let loaded = self.load(&material)?;
        Ok((material, loaded))
    }

    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        Ok(match material {
            PrivateKeyMaterial::Rsa { p, q } => Box::new(rsa::RsaKey::load(p.expose(), q.expose())?),
            PrivateKeyMaterial::P256 { scalar } => Box::new(nist_curve::P256Key::load(scalar.expose())?),
            PrivateKeyMaterial::P384 { scalar } => Box::new(nist_curve::P384Key::load(scalar.expose())?),
            PrivateKeyMaterial::Ed25519 { seed } => Box::new(curve25519::Ed25519Key::load(seed.expose())?),
            PrivateKeyMaterial::X25519 { scalar } => Box::new(curve25519::X25519Key::load(scalar.expose())?),
        })
    }

    fn load_proven(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        match material {
            PrivateKeyMaterial::Rsa { p, q } => {
                Ok(Box::new(rsa::RsaKey::load_proven(p.expose(), q.expose())?))
            }
            other => self.load(other),
        }
    }
}
