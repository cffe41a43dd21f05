//! A private key in memory that signs, decrypts and agrees: as a CA key and as a card's.
use elliptic_curve::Generate;
use getrandom::SysRng;
use middleware::{DigestAlgorithm, KeyError, SignatureScheme, Signer};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use rand_core::UnwrapErr;
use rsa::{Pkcs1v15Encrypt, Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Sha256, Sha384, Sha512};
use spki::{EncodePublicKey, SubjectPublicKeyInfoOwned};

/// See the module.
pub(crate) struct TestKey {
    private: Private,
    public: SubjectPublicKeyInfoOwned,
}

enum Private {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
}

#[allow(dead_code)]
impl TestKey {
    pub(crate) fn rsa2048() -> Self {
        let key = RsaPrivateKey::new(&mut UnwrapErr(SysRng), 2048).unwrap();
        let public = info(&key.to_public_key());
        Self { private: Private::Rsa(Box::new(key)), public }
    }

    pub(crate) fn p256() -> Self {
        let key = p256::SecretKey::generate_from_rng(&mut UnwrapErr(SysRng));
        let public = info(&key.public_key());
        Self { private: Private::P256(key), public }
    }

    pub(crate) fn p384() -> Self {
        let key = p384::SecretKey::generate_from_rng(&mut UnwrapErr(SysRng));
        let public = info(&key.public_key());
        Self { private: Private::P384(key), public }
    }

    /// RSAES-PKCS1-v1_5.
    pub(crate) fn decrypt(&self, ciphertext: &[u8]) -> Vec<u8> {
        let Private::Rsa(key) = &self.private else { panic!("not an RSA key") };
        key.decrypt(Pkcs1v15Encrypt, ciphertext).unwrap()
    }

    /// ECDH; answers the X coordinate.
    pub(crate) fn agree(&self, peer: &[u8]) -> Vec<u8> {
        match &self.private {
            Private::Rsa(_) => panic!("not an elliptic-curve key"),
            Private::P256(key) => {
                let peer = p256::PublicKey::from_sec1_bytes(peer).unwrap();
                let shared = elliptic_curve::ecdh::diffie_hellman(key.to_nonzero_scalar(), peer.as_affine());
                shared.raw_secret_bytes().to_vec()
            }
            Private::P384(key) => {
                let peer = p384::PublicKey::from_sec1_bytes(peer).unwrap();
                let shared = elliptic_curve::ecdh::diffie_hellman(key.to_nonzero_scalar(), peer.as_affine());
                shared.raw_secret_bytes().to_vec()
            }
        }
    }
}

impl Clone for TestKey {
    fn clone(&self) -> Self {
        let private = match &self.private {
            Private::Rsa(key) => Private::Rsa(key.clone()),
            Private::P256(key) => Private::P256(key.clone()),
            Private::P384(key) => Private::P384(key.clone()),
        };
        Self { private, public: self.public.clone() }
    }
}

impl Signer for TestKey {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(match (&self.private, scheme) {
            (Private::Rsa(key), SignatureScheme::RsaPkcs1(algorithm)) => {
                let padding = match algorithm {
                    DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                    DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                    DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                };
                key.sign(padding, digest).unwrap()
            }
            (Private::P256(key), SignatureScheme::Ecdsa(_)) => {
                let signature: p256::ecdsa::DerSignature =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(digest).unwrap();
                signature.as_bytes().to_vec()
            }
            (Private::P384(key), SignatureScheme::Ecdsa(_)) => {
                let signature: p384::ecdsa::DerSignature =
                    p384::ecdsa::SigningKey::from(key).sign_prehash(digest).unwrap();
                signature.as_bytes().to_vec()
            }
            _ => return Err(KeyError::Unsupported("this scheme with this key".into())),
        })
    }
}

fn info(key: &impl EncodePublicKey) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned::from_key(key).unwrap()
}
