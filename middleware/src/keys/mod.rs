//! What a private key can do, wherever it lives.
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use crate::piv::{CardError, KeyAlgorithm};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5, RFC 8017 section 8.2.
    RsaPkcs1(DigestAlgorithm),
    /// ECDSA, the signature as a DER `Ecdsa-Sig-Value` (RFC 5480 appendix A).
    Ecdsa(DigestAlgorithm),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RsaEncryption {
    /// RSAES-PKCS1-v1_5 of a key of `length` bytes; bad padding answers a random key of that length, never an error
    /// (RFC 3218: no oracle).
    Pkcs1v15 { length: usize },
    /// RSAES-OAEP with MGF1 of the same digest and an empty label.
    Oaep(DigestAlgorithm),
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error(transparent)]
    Card(#[from] CardError),
    #[error("the key cannot do this: {0}")]
    Unsupported(String),
    #[error("wrong passphrase, or the key file is damaged")]
    WrongPassphrase,
    #[error("the key file is not an encrypted PKCS#8 key: {0}")]
    MalformedKeyFile(String),
    #[error("the decryption failed")]
    DecryptionFailed,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

pub trait Signer {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    /// Signs an already computed digest; answers the signature as it stands in X.509 and CMS.
    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError>;
}

pub trait Decryptor {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    fn decrypt(&mut self, encryption: RsaEncryption, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

pub trait KeyAgreement {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned;
    /// ECDH with the peer's point (SEC 1 uncompressed, 65 bytes for P-256); answers the X coordinate.
    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// A private key in memory, from or to an encrypted PKCS#8 file (RFC 5958; PBES2 with scrypt and AES-256-CBC).
pub struct FileKey {
    _private: (),
}

impl FileKey {
    pub fn generate(_algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        todo!()
    }
    /// Reads `-----BEGIN ENCRYPTED PRIVATE KEY-----`.
    pub fn from_encrypted_pkcs8_pem(_pem: &str, _passphrase: &str) -> Result<Self, KeyError> {
        todo!()
    }
    pub fn to_encrypted_pkcs8_pem(&self, _passphrase: &str) -> Result<Zeroizing<String>, KeyError> {
        todo!()
    }
    /// Unencrypted PKCS#8 DER, for a server's key file; the caller keeps it 0600.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
    /// The key as the card's import wants it.
    pub fn to_private_key(&self) -> crate::piv::PrivateKey {
        todo!()
    }
}

impl Signer for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn sign(&mut self, _scheme: SignatureScheme, _digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        todo!()
    }
}
impl Decryptor for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn decrypt(&mut self, _encryption: RsaEncryption, _ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
}
impl KeyAgreement for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn agree(&mut self, _peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
}
