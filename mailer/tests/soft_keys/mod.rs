//! Private keys in memory, of every kind that mail knows: RSA from 2048 to 4096 bits, P-256, P-384, Ed25519, X25519.
//!
//! The emulated card knows RSA-2048 and P-256 only. RSA and the NIST curves are the middleware's own file keys; the keys on
//! Curve25519 are added here.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer as _, SigningKey};
use mailer::keys::{KeyRing, KeysError, RsaEncryption, SignatureScheme, Signer};
use mailer::trust::Certificate;
use middleware::{Decryptor, FileKey, KeyAgreement, KeyError};
use spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

/// A private key.
pub(crate) struct SoftKey {
    secret: Secret,
    public_key: SubjectPublicKeyInfoOwned,
}

enum Secret {
    File(Box<FileKey>),
    Ed25519(SigningKey),
    X25519(StaticSecret),
}

impl SoftKey {
    /// Reads unencrypted PKCS #8 DER (RFC 5958, RFC 8410).
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Self {
        if let Ok(key) = FileKey::from_pkcs8_der(der) {
            let public_key = Signer::public_key(&key).clone();
            return Self { secret: Secret::File(Box::new(key)), public_key };
        }
        if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            return Self::ed25519(key);
        }
        // CurvePrivateKey ::= OCTET STRING, at the end of what openssl writes.
        assert!(der.windows(5).any(|window| window == [0x06, 0x03, 0x2B, 0x65, 0x6E]), "no X25519 key");
        Self::x25519(<[u8; 32]>::try_from(der.last_chunk::<32>().unwrap().as_slice()).unwrap())
    }

    /// An Ed25519 key.
    pub(crate) fn ed25519(key: SigningKey) -> Self {
        let public_key = curve_25519(ED25519, &key.verifying_key().to_bytes());
        Self { secret: Secret::Ed25519(key), public_key }
    }

    /// An X25519 key from its 32 octets.
    pub(crate) fn x25519(secret: [u8; 32]) -> Self {
        let secret = StaticSecret::from(secret);
        let public_key = curve_25519(X25519, PublicKey::from(&secret).as_bytes());
        Self { secret: Secret::X25519(secret), public_key }
    }
}

fn curve_25519(oid: ObjectIdentifier, key: &[u8; 32]) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters: None },
        subject_public_key: der::asn1::BitString::from_bytes(key).unwrap(),
    }
}

impl Signer for SoftKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn sign(&mut self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match (&mut self.secret, scheme) {
            (Secret::File(key), scheme) => key.sign(scheme, message),
            (Secret::Ed25519(key), SignatureScheme::Ed25519) => Ok(key.sign(message).to_bytes().to_vec()),
            _ => Err(KeyError::Unsupported("sign in this scheme".to_owned())),
        }
    }
}

impl Decryptor for SoftKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &mut self.secret {
            Secret::File(key) => key.decrypt(encryption, ciphertext),
            _ => Err(KeyError::Unsupported("decrypt".to_owned())),
        }
    }
}

impl KeyAgreement for SoftKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &mut self.secret {
            Secret::File(key) => key.agree(peer),
            Secret::X25519(key) => {
                let peer = <[u8; 32]>::try_from(peer).map_err(|_| KeyError::MalformedPeerKey)?;
                let shared = key.diffie_hellman(&PublicKey::from(peer));
                // RFC 7748 section 6.1.
                if !shared.was_contributory() {
                    return Err(KeyError::MalformedPeerKey);
                }
                Ok(Zeroizing::new(shared.to_bytes().to_vec()))
            }
            Secret::Ed25519(_) => Err(KeyError::Unsupported("agree".to_owned())),
        }
    }
}

/// Keys in memory, each with its certificate.
#[derive(Default)]
pub(crate) struct SoftKeyRing {
    keys: Vec<SoftKey>,
    certificates: Vec<Certificate>,
}

impl SoftKeyRing {
    /// A ring of one key.
    pub(crate) fn of(key: SoftKey, certificate: Certificate) -> Self {
        Self { keys: vec![key], certificates: vec![certificate] }
    }

    /// Adds a key with its certificate.
    pub(crate) fn add(&mut self, key: SoftKey, certificate: Certificate) {
        self.keys.push(key);
        self.certificates.push(certificate);
    }

    /// The key of certificate `index` as a signer.
    pub(crate) fn signer(&mut self, index: usize) -> &mut dyn Signer {
        &mut self.keys[index]
    }
}

impl KeyRing for SoftKeyRing {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Ok(Decryptor::decrypt(self.keys.get_mut(index).ok_or(KeysError::NoSuchKey)?, encryption, ciphertext)?)
    }

    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Ok(KeyAgreement::agree(self.keys.get_mut(index).ok_or(KeysError::NoSuchKey)?, peer)?)
    }
}
