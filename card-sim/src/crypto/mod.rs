//! The card's cryptography behind one trait, so that implementations can be exchanged.
//!
//! Nothing here knows PIV, APDUs or files. Randomness is handed in.

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod cipher;
pub mod key_pool;
pub mod random;
mod rsa_key;
pub mod rust_crypto;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
pub use cipher::SymmetricAlgorithm;
pub use key_pool::KeyPool;
pub use random::Randomness;
pub use rust_crypto::RustCrypto;

use crate::secret::SecretBytes;

/// The public exponent of every RSA key here (SP 800-78-5 section 3.1).
pub const RSA_PUBLIC_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

/// An asymmetric algorithm with its key size.
///
/// RSA-1024 is not among them: SP 800-78-5 has withdrawn it, and what it protected can be read by others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AsymmetricAlgorithm {
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// The curve P-256: ECDSA and ECDH.
    P256,
    /// The curve P-384: ECDSA and ECDH.
    P384,
    /// Signatures of RFC 8032.
    Ed25519,
    /// Key agreement of RFC 7748.
    X25519,
}

impl AsymmetricAlgorithm {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 7] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384, Self::Ed25519, Self::X25519];

    /// Bytes of an RSA block, of a coordinate on a NIST curve, or of a key of RFC 8032 or RFC 7748.
    #[must_use]
    pub fn block_length(self) -> usize {
        match self {
            Self::Rsa2048 => 256,
            Self::Rsa3072 => 384,
            Self::Rsa4096 => 512,
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
            Self::P384 => 48,
        }
    }

    /// Whether it is RSA of any size.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    /// The RSA algorithm whose modulus has this many bytes.
    #[must_use]
    pub fn rsa_with_block_length(length: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.is_rsa() && algorithm.block_length() == length)
    }
}

/// A private key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub enum PrivateKeyMaterial {
    /// The two primes, each half as long as the modulus; everything else is computed from them.
    #[serde(alias = "Rsa2048")]
    Rsa {
        /// The first prime.
        p: SecretBytes,
        /// The second prime, as long as the first.
        q: SecretBytes,
    },
    /// A scalar of 32 bytes.
    P256 {
        /// The scalar, big-endian.
        scalar: SecretBytes,
    },
    /// A scalar of 48 bytes.
    P384 {
        /// The scalar, big-endian.
        scalar: SecretBytes,
    },
    /// The 32 bytes that RFC 8032 section 5.1.5 calls the private key.
    Ed25519 {
        /// The private key, before it is hashed.
        seed: SecretBytes,
    },
    /// The 32 bytes that RFC 7748 section 5 decodes as a scalar.
    X25519 {
        /// The scalar, little-endian; clamped when it is used.
        scalar: SecretBytes,
    },
}

impl PrivateKeyMaterial {
    /// The algorithm this key is for. An RSA key whose size no algorithm has is RSA-2048 here, and
    /// [`CryptoProvider::load`] refuses it.
    #[must_use]
    pub fn algorithm(&self) -> AsymmetricAlgorithm {
        match self {
            Self::Rsa { p, .. } => AsymmetricAlgorithm::rsa_with_block_length(2 * p.expose().len())
                .unwrap_or(AsymmetricAlgorithm::Rsa2048),
            Self::P256 { .. } => AsymmetricAlgorithm::P256,
            Self::P384 { .. } => AsymmetricAlgorithm::P384,
            Self::Ed25519 { .. } => AsymmetricAlgorithm::Ed25519,
            Self::X25519 { .. } => AsymmetricAlgorithm::X25519,
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
    /// An uncompressed point, `04 || X || Y`.
    P384 {
        /// The point, 97 bytes.
        point: Vec<u8>,
    },
    /// An encoded point of RFC 8032 section 5.1.2.
    Ed25519 {
        /// The point, 32 bytes.
        point: Vec<u8>,
    },
    /// A u-coordinate of RFC 7748 section 5.
    X25519 {
        /// The coordinate, 32 bytes, little-endian.
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

/// The fastest implementation that this build has.
#[must_use]
pub fn fastest() -> Box<dyn CryptoProvider> {
    #[cfg(feature = "aws-lc")]
    return Box::new(AwsLc);
    #[cfg(not(feature = "aws-lc"))]
    Box::new(RustCrypto)
}

/// A private key as it is stored, and ready for use.
pub type LoadedKey = (PrivateKeyMaterial, Box<dyn PrivateKey>);

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

    /// Makes a new private key and has it ready for use at once.
    ///
    /// # Errors
    /// [`CryptoError::Failed`] when no key came out.
    fn generate_loaded(
        &self,
        algorithm: AsymmetricAlgorithm,
        randomness: &mut Randomness,
    ) -> Result<LoadedKey, CryptoError> {
        let material = self.generate(algorithm, randomness)?;
        let loaded = self.load_proven(&material)?;
        Ok((material, loaded))
    }

    /// Prepares a private key for use, checking that its parts belong together.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] when they do not.
    fn load(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError>;

    /// The same for a key that was made here, or that [`Self::load`] took before: its primes are not proven again.
    /// Every RSA result is checked in any case.
    ///
    /// # Errors
    /// [`CryptoError::InvalidKey`] when its parts do not even fit.
    fn load_proven(&self, material: &PrivateKeyMaterial) -> Result<Box<dyn PrivateKey>, CryptoError> {
        self.load(material)
    }
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
        _block: &[u8],
        _randomness: &mut Randomness,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    /// ECDSA over a digest of 1 byte to the length of a coordinate, read as a big-endian number (FIPS 186-5
    /// section 6.4). The signature is the DER `SEQUENCE { r INTEGER, s INTEGER }`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the digest is empty or longer, or the key is not on a NIST curve.
    fn ecdsa_sign(&self, _digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    /// ECDH with an uncompressed point; the result is the X coordinate (SP 800-56A section 5.7.1.2).
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the point is not an uncompressed point on the curve, or
    /// the key is not on a NIST curve.
    fn ecdh(&self, _point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    /// Ed25519 over a message (RFC 8032 section 5.1.6); the signature has 64 bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the key is not Ed25519.
    fn ed25519_sign(&self, _message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    /// X25519 with another's u-coordinate (RFC 7748 section 6.1); the result has 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidInput`] when the coordinate has another length than 32 bytes, is of a point of small
    /// order, so that the result would be all zeros, or the key is not X25519.
    fn x25519(&self, _point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Err(CryptoError::InvalidInput)
    }

    /// What an importing host may send along with the primes; `None` for keys that are not RSA.
    fn rsa_derived_values(&self) -> Option<RsaDerivedValues> {
        None
    }
}
