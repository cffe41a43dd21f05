//! A private key in memory, from and to an encrypted PKCS#8 file (RFC 5958).
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc8410::{ID_ED_25519, ID_X_25519};
use der::asn1::{BitStringRef, OctetStringRef};
use der::{Decode, Document};
use ed25519_dalek::Signer as _;
use elliptic_curve::sec1::ToSec1Point;
use getrandom::SysRng;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{
    DecodePrivateKey, EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef,
    SecretDocument,
};
use rand_core::{TryRng, UnwrapErr};
use rsa::BoxedUint;
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::pkcs8::EncodePublicKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use zeroize::{Zeroize, Zeroizing};

use super::public_key::{PublicKey, pkcs1_v15, point_algorithm};
use super::rsa_padding;
use super::{Decryptor, DigestAlgorithm, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer};
use crate::piv::{KeyAlgorithm, PrivateKey};

/// scrypt cost: N = 2^14, r = 8, p = 1, 16 MiB. The most that the openssl command opens without being told.
const SCRYPT: (u8, u32, u32) = (14, 8, 1);
const SALT_LENGTH: usize = 16;

/// A private key in memory, from or to an encrypted PKCS#8 file (RFC 5958; PBES2 with scrypt and AES-256-CBC).
pub struct FileKey {
    secret: Secret,
    public_key: SubjectPublicKeyInfoOwned,
    algorithm: KeyAlgorithm,
    /// The same key where a host signs thousands of times with it: P-256, several times faster.
    quick: Option<EcdsaKeyPair>,
}

enum Secret {
    Rsa(Box<rsa::RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519(ed25519_dalek::SigningKey),
    X25519(x25519_dalek::StaticSecret),
}

impl FileKey {
    /// A new key pair from the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Io`] when the system gives no randomness; [`KeyError::Unsupported`] for RSA-1024, with which nothing
    /// new is made.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        // Asked once before, so that the generators below cannot fail for want of it.
        SysRng.try_next_u64().map_err(|error| std::io::Error::other(error.to_string()))?;
        let mut rng = UnwrapErr(SysRng);
        Self::from_secret(match algorithm {
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
                let key = rsa::RsaPrivateKey::new(&mut rng, algorithm.length() * 8);
                Secret::Rsa(Box::new(key.map_err(|error| KeyError::Unsupported(error.to_string()))?))
            }
            KeyAlgorithm::P256 => Secret::P256(elliptic_curve::Generate::generate_from_rng(&mut rng)),
            KeyAlgorithm::P384 => Secret::P384(elliptic_curve::Generate::generate_from_rng(&mut rng)),
            KeyAlgorithm::Ed25519 => Secret::Ed25519((&*random_seed()?).into()),
            KeyAlgorithm::X25519 => Secret::X25519((*random_seed()?).into()),
            KeyAlgorithm::Rsa1024 => return Err(too_short()),
        })
    }

    /// Reads `-----BEGIN ENCRYPTED PRIVATE KEY-----`: PBES2 with scrypt or PBKDF2 and AES-CBC.
    ///
    /// # Errors
    /// [`KeyError::WrongPassphrase`]; [`KeyError::MalformedKeyFile`] for anything that is not such a file;
    /// [`KeyError::Unsupported`] for a key other than RSA-2048 to 4096, P-256, P-384, Ed25519 and X25519.
    pub fn from_encrypted_pkcs8_pem(pem: &str, passphrase: &str) -> Result<Self, KeyError> {
        let malformed = |error: &dyn std::fmt::Display| KeyError::MalformedKeyFile(error.to_string());
        let (label, document) = SecretDocument::from_pem(pem.trim()).map_err(|error| malformed(&error))?;
        if label != "ENCRYPTED PRIVATE KEY" {
            return Err(malformed(&format_args!("it holds a {label}")));
        }
        let encrypted =
            EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| malformed(&error))?;
        let decrypted = encrypted.decrypt(passphrase).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(
                pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }
                | pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. }
                | pkcs8::pkcs5::Error::NoPbes1CryptSupport,
            ) => malformed(&error),
            _ => KeyError::WrongPassphrase,
        })?;
        Self::from_pkcs8_der(decrypted.as_bytes())
    }

    /// Reads unencrypted PKCS#8 DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for a key other than RSA-2048 to 4096, P-256, P-384, Ed25519 and X25519.
    pub fn from_pkcs8_der(bytes: &[u8]) -> Result<Self, KeyError> {
        let secret = rsa::RsaPrivateKey::from_pkcs8_der(bytes)
            .map(|key| Secret::Rsa(Box::new(key)))
            .or_else(|_| p256::SecretKey::from_pkcs8_der(bytes).map(Secret::P256))
            .or_else(|_| p384::SecretKey::from_pkcs8_der(bytes).map(Secret::P384))
            .or_else(|_| curve25519_from_pkcs8(bytes))
            .map_err(|_| {
                KeyError::Unsupported(
                    "only RSA-2048, RSA-3072, RSA-4096, P-256, P-384, Ed25519 and X25519 keys are read"
                        .into(),
                )
            })?;
        Self::from_secret(secret)
    }

    /// An RSA key of two primes, each as a big-endian number, and the public exponent 65537 (SP 800-78-5 section 3.1).
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for numbers that make no RSA key, or one that has not 2048, 3072 or 4096 bits.
    pub fn from_rsa_primes(p: &[u8], q: &[u8]) -> Result<Self, KeyError> {
        let (p, q) = (without_zeros(p), without_zeros(q));
        // Judged here: what divides by it takes its numbers for primes. Half as long as the modulus, so the top bit is set.
        let may_be_prime = |number: &[u8]| matches!((number.len(), number), (128 | 192 | 256, [0x80..=0xFF, .., last]) if last & 1 == 1);
        if !may_be_prime(p) || !may_be_prime(q) || p.len() != q.len() || p == q {
            return Err(too_short());
        }
        let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
        let key = rsa::RsaPrivateKey::from_p_q(number(p), number(q), BoxedUint::from(65_537_u32));
        let key = key.map_err(|error| KeyError::Unsupported(format!("numbers that make no key: {error}")))?;
        Self::from_secret(Secret::Rsa(Box::new(key)))
    }

    /// A key of a curve: the scalar of P-256 or P-384 as a big-endian number of any length, or the 32 bytes of Ed25519
    /// or X25519.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for an algorithm that is none of these, or a value out of range.
    pub fn from_scalar(algorithm: KeyAlgorithm, value: &[u8]) -> Result<Self, KeyError> {
        let bad = || KeyError::Unsupported(format!("a value that makes no {algorithm} key"));
        let number = without_zeros(value);
        let start = algorithm.length().checked_sub(number.len()).ok_or_else(bad)?;
        let mut scalar = Zeroizing::new(vec![0; algorithm.length()]);
        scalar.get_mut(start..).ok_or_else(bad)?.copy_from_slice(number);
        let bytes = || <[u8; 32]>::try_from(value).map(Zeroizing::new).map_err(|_| bad());
        Self::from_secret(match algorithm {
            KeyAlgorithm::P256 => Secret::P256(p256::SecretKey::from_slice(&scalar).map_err(|_| bad())?),
            KeyAlgorithm::P384 => Secret::P384(p384::SecretKey::from_slice(&scalar).map_err(|_| bad())?),
            KeyAlgorithm::Ed25519 => Secret::Ed25519((&*bytes()?).into()),
            KeyAlgorithm::X25519 => Secret::X25519((*bytes()?).into()),
            _ => return Err(bad()),
        })
    }

    /// Writes what [`Self::from_encrypted_pkcs8_pem`] and `openssl pkey` read.
    ///
    /// # Errors
    /// [`KeyError::Io`] when the system gives no randomness.
    pub fn to_encrypted_pkcs8_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, KeyError> {
        let mut salt = [0; SALT_LENGTH];
        let mut initialization_vector = [0; 16];
        for bytes in [&mut salt, &mut initialization_vector] {
            SysRng.try_fill_bytes(bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        }
        let (log_n, r, p) = SCRYPT;
        let parameters = scrypt::Params::new(log_n, r, p)
            .map_err(|error| error.to_string())
            .and_then(|cost| {
                pbes2::Parameters::generate_scrypt_aes256cbc(cost, &salt, initialization_vector)
                    .map_err(|error| error.to_string())
            })
            .map_err(std::io::Error::other)?;
        let document = self.to_pkcs8_der()?;
        let encrypted = parameters
            .encrypt(passphrase, &document)
            .map_err(|error| KeyError::Unsupported(format!("encrypt the key file: {error}")))?;
        let encrypted_data = der::asn1::OctetStringRef::new(&encrypted)
            .map_err(|error| KeyError::Unsupported(error.to_string()))?;
        let info = EncryptedPrivateKeyInfoRef { encryption_algorithm: parameters.into(), encrypted_data };
        SecretDocument::try_from(info)
            .and_then(|document| Ok(document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)?))
            .map_err(|error| KeyError::Unsupported(error.to_string()))
    }

    /// Unencrypted PKCS#8 DER, for a server's key file; the caller keeps it 0600.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when the key cannot be encoded.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = match &self.secret {
            Secret::Rsa(key) => key.to_pkcs8_der(),
            Secret::P256(key) => key.to_pkcs8_der(),
            Secret::P384(key) => key.to_pkcs8_der(),
            Secret::Ed25519(key) => curve25519_to_pkcs8(ID_ED_25519, key.as_bytes()),
            Secret::X25519(key) => curve25519_to_pkcs8(ID_X_25519, key.as_bytes()),
        };
        Ok(document.map_err(|error| KeyError::Unsupported(error.to_string()))?.to_bytes())
    }

    /// The same key once more, for somebody who signs at the same time.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn duplicate(&self) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(&self.to_pkcs8_der()?)
    }

    /// The key as the card's import wants it.
    pub fn to_private_key(&self) -> PrivateKey {
        match &self.secret {
            Secret::Rsa(key) => PrivateKey::rsa(self.algorithm, crt_parts(key)),
            Secret::P256(key) => {
                PrivateKey::elliptic_curve(self.algorithm, Zeroizing::new(key.to_bytes().to_vec()))
            }
            Secret::P384(key) => {
                PrivateKey::elliptic_curve(self.algorithm, Zeroizing::new(key.to_bytes().to_vec()))
            }
            Secret::Ed25519(key) => {
                PrivateKey::elliptic_curve(self.algorithm, Zeroizing::new(key.as_bytes().to_vec()))
            }
            Secret::X25519(key) => {
                PrivateKey::elliptic_curve(self.algorithm, Zeroizing::new(key.as_bytes().to_vec()))
            }
        }
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn from_secret(secret: Secret) -> Result<Self, KeyError> {
        let document = match &secret {
            Secret::Rsa(key) if key.primes().len() != 2 => {
                return Err(KeyError::Unsupported("an RSA key of more than two primes".to_owned()));
            }
            Secret::Rsa(key) => key.to_public_key().to_public_key_der(),
            Secret::P256(key) => key.public_key().to_public_key_der(),
            Secret::P384(key) => key.public_key().to_public_key_der(),
            Secret::Ed25519(key) => curve25519_public_key(ID_ED_25519, key.verifying_key().as_bytes()),
            Secret::X25519(key) => {
                curve25519_public_key(ID_X_25519, x25519_dalek::PublicKey::from(key).as_bytes())
            }
        };
        let public_key: SubjectPublicKeyInfoOwned = document
            .and_then(|document| Ok(document.decode_msg()?))
            .map_err(|error: spki::Error| KeyError::Unsupported(error.to_string()))?;
        let algorithm = PublicKey::try_from(&public_key).ok().and_then(|key| key.algorithm());
        let algorithm =
            algorithm.filter(|&algorithm| algorithm != KeyAlgorithm::Rsa1024).ok_or_else(too_short)?;
        Ok(Self { quick: quick(&secret), secret, public_key, algorithm })
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn too_short() -> KeyError {
    KeyError::Unsupported("an RSA key that has not 2048, 3072 or 4096 bits".to_owned())
}

fn random_seed() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(seed.as_mut_slice()).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(seed)
}

/// RFC 8410 section 7: the key is an OCTET STRING within the OCTET STRING.
fn curve25519_from_pkcs8(bytes: &[u8]) -> Result<Secret, pkcs8::Error> {
    let info = PrivateKeyInfoRef::try_from(bytes)?;
    let key = <&OctetStringRef>::from_der(info.private_key.as_bytes())?;
    let key = Zeroizing::new(<[u8; 32]>::try_from(key.as_bytes()).map_err(|_| pkcs8::KeyError::Invalid)?);
    match info.algorithm.oid {
        ID_ED_25519 => Ok(Secret::Ed25519((&*key).into())),
        ID_X_25519 => Ok(Secret::X25519((*key).into())),
        oid => Err(spki::Error::OidUnknown { oid }.into()),
    }
}

fn curve25519_to_pkcs8(oid: ObjectIdentifier, key: &[u8; 32]) -> pkcs8::Result<SecretDocument> {
    let mut octets = Zeroizing::new(Vec::with_capacity(34));
    octets.extend_from_slice(&[0x04, 32]);
    octets.extend_from_slice(key);
    let algorithm = AlgorithmIdentifierRef { oid, parameters: None };
    PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&octets)?).try_into()
}

/// RFC 8410 section 4.
fn curve25519_public_key(oid: ObjectIdentifier, key: &[u8; 32]) -> spki::Result<Document> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: None };
    let subject_public_key = BitStringRef::from_bytes(key)?;
    (&SubjectPublicKeyInfoRef { algorithm, subject_public_key }).try_into()
}

/// p, q, dP, dQ, qInv (RFC 8017 section 3.2).
fn crt_parts(key: &rsa::RsaPrivateKey) -> [Zeroizing<Vec<u8>>; 5] {
    let bytes = |number: Option<&BoxedUint>| {
        Zeroizing::new(number.map(|number| number.to_be_bytes_trimmed_vartime().to_vec()).unwrap_or_default())
    };
    let mut primes = key.primes().iter().map(|prime| prime.as_ref());
    let (p, q) = (primes.next(), primes.next());
    let mut inverse = key.crt_coefficient();
    let parts = [bytes(p), bytes(q), bytes(key.dp()), bytes(key.dq()), bytes(inverse.as_ref())];
    inverse.zeroize();
    parts
}

impl FileKey {
    fn sign_quickly(&self, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = || KeyError::Unsupported("sign: the computation failed".into());
        let pair = self.quick.as_ref().ok_or_else(failed)?;
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(|_| failed())?;
        Ok(pair.sign_digest(&digest).map_err(|_| failed())?.as_ref().to_vec())
    }
}

/// `None` for what is not a P-256 key.
fn quick(secret: &Secret) -> Option<EcdsaKeyPair> {
    let Secret::P256(key) = secret else { return None };
    let (scalar, point) = (Zeroizing::new(key.to_bytes()), key.public_key().to_sec1_point(false));
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar.as_slice(), point.as_bytes()).ok()
}

impl Signer for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        if let Some(hash) = scheme.digest()
            && digest.len() != hash.length()
        {
            return Err(KeyError::Unsupported(format!("sign {} bytes as a digest of {hash}", digest.len())));
        }
        let failed = |error: &dyn std::fmt::Display| KeyError::Unsupported(format!("sign: {error}"));
        match (&self.secret, scheme) {
            (Secret::Rsa(key), SignatureScheme::RsaPkcs1(hash)) => key
                .sign_with_rng(&mut UnwrapErr(SysRng), pkcs1_v15(hash), digest)
                .map_err(|error| failed(&error)),
            (Secret::Rsa(key), SignatureScheme::RsaPss(hash)) => {
                let block = rsa_padding::usual_pss_block(hash, digest, self.algorithm.length())?;
                private_operation(key, &block).map(|signature| signature.to_vec())
            }
            (Secret::P256(_), SignatureScheme::Ecdsa(DigestAlgorithm::Sha256)) if self.quick.is_some() => {
                self.sign_quickly(digest)
            }
            (Secret::P256(key), SignatureScheme::Ecdsa(_)) => {
                let signature: Result<p256::ecdsa::DerSignature, _> =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(digest);
                signature.map(|signature| signature.as_bytes().to_vec()).map_err(|error| failed(&error))
            }
            (Secret::P384(key), SignatureScheme::Ecdsa(_)) => {
                let signature: Result<p384::ecdsa::DerSignature, _> =
                    p384::ecdsa::SigningKey::from(key).sign_prehash(digest);
                signature.map(|signature| signature.as_bytes().to_vec()).map_err(|error| failed(&error))
            }
            (Secret::Ed25519(key), SignatureScheme::Ed25519) => Ok(key.sign(digest).to_bytes().to_vec()),
            _ => Err(KeyError::Unsupported(format!("sign with {} in this scheme", self.algorithm))),
        }
    }
}

impl Decryptor for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Secret::Rsa(key) = &self.secret else {
            return Err(KeyError::Unsupported(format!("decrypt with {}", self.algorithm)));
        };
        rsa_padding::check(encryption, self.algorithm.length())?;
        rsa_padding::open(encryption, &private_operation(key, ciphertext)?)
    }
}

/// RSADP and RSASP1 (RFC 8017 sections 5.1.2 and 5.2.1), blinded and checked; the answer is as long as the modulus.
fn private_operation(key: &rsa::RsaPrivateKey, block: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let length = key.size();
    let block = BoxedUint::from_be_slice(block, key.n_bits_precision())
        .ok()
        .filter(|_| block.len() == length)
        .ok_or(KeyError::DecryptionFailed)?;
    let mut number =
        rsa_decrypt_and_check(key, Some(&mut SysRng), &block).map_err(|_| KeyError::DecryptionFailed)?;
    let mut octets = Zeroizing::new(number.to_be_bytes().to_vec());
    number.zeroize();
    let excess = octets.len().saturating_sub(length);
    octets.drain(..excess);
    Ok(octets)
}

impl KeyAgreement for FileKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if self.algorithm.is_rsa() || self.algorithm == KeyAlgorithm::Ed25519 {
            return Err(KeyError::Unsupported(format!("agree with {}", self.algorithm)));
        }
        if point_algorithm(peer) != Some(self.algorithm) {
            return Err(KeyError::MalformedPeerKey);
        }
        match &self.secret {
            Secret::P256(key) => {
                let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| KeyError::MalformedPeerKey)?;
                Ok(Zeroizing::new(key.diffie_hellman(&peer).raw_secret_bytes().to_vec()))
            }
            Secret::P384(key) => {
                let peer = p384::PublicKey::from_sec1_bytes(peer).map_err(|_| KeyError::MalformedPeerKey)?;
                Ok(Zeroizing::new(key.diffie_hellman(&peer).raw_secret_bytes().to_vec()))
            }
            Secret::X25519(key) => {
                let peer = <[u8; 32]>::try_from(peer).map_err(|_| KeyError::MalformedPeerKey)?;
                let secret = key.diffie_hellman(&peer.into());
                // RFC 7748 section 6.1: a point of small order gives zero, whatever the key.
                if secret.was_contributory() {
                    Ok(Zeroizing::new(secret.as_bytes().to_vec()))
                } else {
                    Err(KeyError::MalformedPeerKey)
                }
            }
            Secret::Rsa(_) | Secret::Ed25519(_) => Err(KeyError::MalformedPeerKey),
        }
    }
}
