//! What a private key can do, wherever it lives.
//!
//! Three traits, each implemented by a key of a card ([`CardKey`](crate::CardKey)), by a key in an encrypted file
//! ([`FileKey`]) and, with the feature `pkcs11-client`, by a key behind a PKCS#11 module (`Pkcs11Key`). Hashing is the
//! caller's; padding is done here for all, in [`rsa_padding`].
mod file_key;
mod hash;
#[cfg(feature = "pkcs11-client")]
mod pkcs11_key;
#[cfg(feature = "pkcs11-client")]
mod pkcs11_uri;
pub(crate) mod public_key;
pub mod rsa_padding;

use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

pub use file_key::FileKey;
pub use hash::Hash;
#[cfg(feature = "pkcs11-client")]
pub use pkcs11_key::Pkcs11Key;
#[cfg(feature = "pkcs11-client")]
pub use pkcs11_uri::Pkcs11Uri;

use crate::piv::CardError;

/// The hash of a signature (FIPS 180-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl DigestAlgorithm {
    /// Bytes of a digest.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl std::fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// How a digest is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5, RFC 8017 section 8.2.
    RsaPkcs1(DigestAlgorithm),
    /// RSASSA-PSS with MGF1 of the same digest and a salt as long as the digest, RFC 8017 section 8.1.
    RsaPss(DigestAlgorithm),
    /// ECDSA, the signature as a DER `Ecdsa-Sig-Value` (RFC 5480 appendix A).
    Ecdsa(DigestAlgorithm),
    /// PureEdDSA on Ed25519, RFC 8032: what is signed is the message itself, not a digest of it.
    Ed25519,
}

impl SignatureScheme {
    /// The digest that is signed; `None` where it is the message itself.
    pub fn digest(self) -> Option<DigestAlgorithm> {
        match self {
            Self::RsaPkcs1(digest) | Self::RsaPss(digest) | Self::Ecdsa(digest) => Some(digest),
            Self::Ed25519 => None,
        }
    }
}

/// How a content-encryption key was encrypted to an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RsaEncryption {
    /// RSAES-PKCS1-v1_5 of a key of `length` bytes; bad padding answers a random key of that length, never an error
    /// (RFC 3218: no oracle).
    Pkcs1v15 {
        /// Bytes of the key that was encrypted.
        length: usize,
    },
    /// RSAES-OAEP with an empty label.
    Oaep {
        /// The hash.
        digest: Hash,
        /// The hash of MGF1.
        mask: Hash,
    },
}

impl RsaEncryption {
    /// RSAES-OAEP with MGF1 of the same digest.
    pub fn oaep(digest: impl Into<Hash>) -> Self {
        let digest = digest.into();
        Self::Oaep { digest, mask: digest }
    }
}

/// What can go wrong with a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The card that holds the key.
    #[error(transparent)]
    Card(#[from] CardError),
    /// Wrong kind of key, size or scheme.
    #[error("the key cannot do this: {0}")]
    Unsupported(String),
    /// The key file did not open.
    #[error("wrong passphrase, or the key file is damaged")]
    WrongPassphrase,
    /// The key file is something else.
    #[error("the key file is not an encrypted PKCS#8 key: {0}")]
    MalformedKeyFile(String),
    /// OAEP did not fit, or the ciphertext is not for this key.
    #[error("the decryption failed: the message was not encrypted to this key, or was changed")]
    DecryptionFailed,
    /// Key agreement with something that is no point of the curve (SP 800-56A section 5.6.2.3).
    #[error("the peer's public key is no good point of the key's curve")]
    MalformedPeerKey,
    /// What names a key behind a PKCS#11 module leads to none, or to several.
    #[error("{0}")]
    NoSuchKey(String),
    /// The token went while its key was in use (CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT).
    #[error(
        "the token was taken away while its key was in use; put it back, and give the same command again"
    )]
    TokenRemoved,
    /// The PKCS#11 module refused or failed; its own code.
    #[error("the PKCS#11 module failed in {function}: {code}")]
    Module {
        /// The function, as in C_Sign.
        function: String,
        /// The return value, as in PinIncorrect for CKR_PIN_INCORRECT.
        code: String,
    },
    /// Randomness or a file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Signs digests.
pub trait Signer {
    /// The public key that verifies the signatures.
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    /// Signs an already computed digest (for Ed25519, the message); answers the signature as it stands in X.509 and CMS.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when scheme, digest and key do not fit together; those of the card.
    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Decrypts content-encryption keys (RSA).
pub trait Decryptor {
    /// The public key to which is encrypted.
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    /// Decrypts one RSA ciphertext, as long as the modulus.
    ///
    /// # Errors
    /// [`KeyError::DecryptionFailed`] (never for PKCS #1 v1.5 padding), [`KeyError::Unsupported`]; those of the card.
    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// Agrees on secrets (elliptic-curve Diffie-Hellman).
pub trait KeyAgreement {
    /// The public key that peers use.
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    /// ECDH with the peer's point (SEC 1 uncompressed, 65 bytes for P-256; 32 bytes for X25519); answers the X coordinate.
    ///
    /// # Errors
    /// [`KeyError::MalformedPeerKey`], [`KeyError::Unsupported`]; those of the card.
    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}
