//! The card's cryptography behind one trait, so that implementations can be exchanged.
//!
//! Nothing here knows PIV, APDUs or files. Randomness is handed in.

pub mod cipher;
pub mod random;
pub mod rust_crypto;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use cipher::SymmetricAlgorithm;
pub use random::Randomness;
pub use rust_crypto::RustCrypto;

use crate::secret::SecretBytes;

/// The public exponent of every RSA key here (SP 800-78-5 section 3.1).
pub const RSA_PUBLIC_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

/// An asymmetric algorithm with its key size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AsymmetricAlgorithm {
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// The curve P-256: ECDSA and ECDH.
    P256,
}

impl AsymmetricAlgorithm {
    /// Bytes of an RSA block, or of a coordinate on the curve.
    #[must_use]
    pub fn block_length(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::P256 => 32,
        }
    }
}

/// A private key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub enum PrivateKeyMaterial {
    /// The two primes; everything else is computed from them.
    Rsa2048 {
        /// The first prime, 128 bytes.
        p: SecretBytes,
        /// The second prime, 128 bytes.
        q: SecretBytes,
    },
    /// A scalar of 32 bytes.
    P256 {
        /// The scalar, big-endian.
        scalar: SecretBytes,
    },
}

impl PrivateKeyMaterial {
    /// The algorithm this key is for.
    #[must_use]
    pub fn algorithm(&self) -> AsymmetricAlgorithm {
        match self {
            Self::Rsa2048 { .. } => AsymmetricAlgorithm::Rsa2048,
            Self::P256 { .. } => AsymmetricAlgorithm::P256,
        }
    }
}

/// A public key in the parts that a card returns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PublicKey {
    /// Modulus and public exponent, big-endian without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
    /// An uncompressed point, `04 || X || Y`.
    P256 {
        /// The point, 65 bytes.
        point: Vec<u8>,
    },
}

/// The values of RFC 8017 section 3.2 that follow from the primes.
pub struct RsaDerivedValues {
    /// d mod (p - 1).
    pub exponent1: Zeroizing<Vec<u8>>,
    /// d mod (q - 1).
    pub exponent2: Zeroizing<Vec<u8>>,
    /// q^-1 mod p.
    pub coefficient: Zeroizing<Vec<u8>>,
}

/// Why an operation gave no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CryptoError {
    /// The stored or imported key is not a valid key of its algorithm.
    #[error("the key is not a valid key of its algorithm")]
    InvalidKey,
    /// The block, digest or point does not fit the key.
    #[error("the input does not fit the key")]
    InvalidInput,
    /// The computation failed its own check.
    #[error("the computation failed its own check")]
    Failed,
}

/// Makes keys and loads them for use.
pub trait CryptoProvider: Send {
    /// Makes a new private key.
    ///
    /// # Errors
    /// [`CryptoError::Failed`] when no key came out.
    fn generate(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<PrivateKeyMaterial, CryptoError>;

    /// Prepares a private key for use, checking that its parts belong together.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] when they do not.
    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError>;
}

/// A private key ready for use.
pub trait PrivateKey: Send {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// The raw RSA private operation (RFC 8017 sections 5.1.2 and 5.2.1): block in, block out.
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the block has another length than the modulus, is not
    /// below it, or the key is not RSA.
    fn rsa_private_operation(
        &self,
        block: &[u8],
        randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// ECDSA over a digest of 1 to 32 bytes, read as a big-endian number (FIPS 186-5 section 6.4).
    /// The signature is the DER `SEQUENCE { r INTEGER, s INTEGER }`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the digest is empty or longer, or the key is RSA.
    fn ecdsa_sign(&self, digest: &[u8]) -> Result<Vec<u8>, CryptoError>;

    /// ECDH with an uncompressed point; the result is the X coordinate (SP 800-56A section 5.7.1.2).
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the point is not an uncompressed point on the curve, or
    /// the key is RSA.
    fn ecdh(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>;

    /// What an importing host may send along with the primes; `None` for other keys.
    fn rsa_derived_values(&self) -> Option<RsaDerivedValues>;
}
