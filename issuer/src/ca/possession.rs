//! Proof of possession: before a key is certified, and after its certificate was written, it shows itself.
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::UnparsedPublicKey;
use elliptic_curve::Generate;
use elliptic_curve::sec1::ToSec1Point;
use middleware::{DigestAlgorithm, RsaEncryption, SignatureScheme, Signer};
use rand_core::CryptoRng;
use rsa::{Pkcs1v15Encrypt, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};
use signature::hazmat::PrehashVerifier;
use spki::SubjectPublicKeyInfoOwned;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::algorithm::{Digester, KeyKind, digest_of};
use super::error::CaError;

/// A public key whose private half has just been used. Only a proof makes one, and only such a key is
/// certified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey(SubjectPublicKeyInfoOwned);

impl ProvenKey {
    /// The key.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.0
    }

    /// Lets a signer prove itself (a CA key of our own).
    ///
    /// # Errors
    /// The signer fails, or signs with another key than it says.
    pub fn of_signer<R: CryptoRng + ?Sized>(
        signer: &mut dyn Signer,
        random: &mut R,
    ) -> Result<Self, CaError> {
        let challenge = SigningChallenge::fresh(signer.public_key(), random)?;
        let signature = signer.sign(challenge.scheme(), challenge.digest())?;
        challenge.verify(&signature)
    }

    /// The key of something signed with itself: a certificate request whose signature has just been
    /// verified, or a root, whose signature is verified before it leaves the authority.
    pub(super) fn of_self_signed(key: SubjectPublicKeyInfoOwned) -> Self {
        Self(key)
    }
}

/// A fresh value to be signed: 9A, 9C, 9E.
#[derive(Debug)]
pub struct SigningChallenge {
    key: SubjectPublicKeyInfoOwned,
    scheme: SignatureScheme,
    digest: Vec<u8>,
}

impl SigningChallenge {
    /// A challenge for this public key (RSA: PKCS#1 v1.5 with SHA-256; P-256: ECDSA with SHA-256; P-384:
    /// with SHA-384).
    ///
    /// # Errors
    /// A key that is none of these.
    pub fn fresh<R: CryptoRng + ?Sized>(
        key: &SubjectPublicKeyInfoOwned,
        random: &mut R,
    ) -> Result<Self, CaError> {
        let scheme = KeyKind::of(key)?.scheme();
        let mut challenge = CHALLENGE_PREFIX.to_vec();
        let mut fresh = [0; 32];
        random.fill_bytes(&mut fresh);
        challenge.extend_from_slice(&fresh);
        Ok(Self { key: key.clone(), scheme, digest: Digester::digest(digest_of(scheme)?, &challenge) })
    }

    /// How the card shall sign.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// What the card shall sign: a digest of the scheme's algorithm.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`CaError::NotProven`].
    pub fn verify(self, signature: &[u8]) -> Result<ProvenKey, CaError> {
        verify_signature(&self.key, self.scheme, &self.digest, signature)?;
        Ok(ProvenKey(self.key))
    }
}

/// A fresh value that only the holder of a key-management key (9D) can find.
pub enum KeyManagementChallenge {
    /// RSA: decrypt.
    Decryption(DecryptionChallenge),
    /// EC: agree.
    Agreement(AgreementChallenge),
}

impl KeyManagementChallenge {
    /// A challenge for this public key.
    ///
    /// # Errors
    /// A key that is neither RSA nor P-256 nor P-384.
    pub fn fresh<R: CryptoRng + ?Sized>(
        key: &SubjectPublicKeyInfoOwned,
        random: &mut R,
    ) -> Result<Self, CaError> {
        match KeyKind::of(key)? {
            KeyKind::Rsa => DecryptionChallenge::fresh(key, random).map(Self::Decryption),
            KeyKind::P256 => AgreementChallenge::fresh::<p256::NistP256, R>(key, random).map(Self::Agreement),
            KeyKind::P384 => AgreementChallenge::fresh::<p384::NistP384, R>(key, random).map(Self::Agreement),
        }
    }
}

/// A fresh value encrypted to an RSA key.
pub struct DecryptionChallenge {
    key: SubjectPublicKeyInfoOwned,
    value: Zeroizing<[u8; 32]>,
    ciphertext: Vec<u8>,
}

impl DecryptionChallenge {
    fn fresh<R: CryptoRng + ?Sized>(
        key: &SubjectPublicKeyInfoOwned,
        random: &mut R,
    ) -> Result<Self, CaError> {
        let mut value = Zeroizing::new([0; 32]);
        random.fill_bytes(value.as_mut_slice());
        let ciphertext = rsa_public_key(key)?
            .encrypt(random, Pkcs1v15Encrypt, value.as_slice())
            .map_err(|error| CaError::malformed("RSA public key", error))?;
        Ok(Self { key: key.clone(), value, ciphertext })
    }

    /// How the card shall decrypt.
    pub fn encryption(&self) -> RsaEncryption {
        RsaEncryption::Pkcs1v15 { length: self.value.len() }
    }

    /// What the card shall decrypt.
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    /// Checks what came out.
    ///
    /// # Errors
    /// [`CaError::NotProven`].
    pub fn verify(self, decrypted: &[u8]) -> Result<ProvenKey, CaError> {
        prove(self.key, self.value.as_slice(), decrypted, "the card did not decrypt what was encrypted to it")
    }
}

/// A fresh ephemeral key for ECDH.
pub struct AgreementChallenge {
    key: SubjectPublicKeyInfoOwned,
    peer: Vec<u8>,
    shared: Zeroizing<Vec<u8>>,
}

impl AgreementChallenge {
    fn fresh<C, R>(key: &SubjectPublicKeyInfoOwned, random: &mut R) -> Result<Self, CaError>
    where
        C: elliptic_curve::CurveArithmetic,
        elliptic_curve::AffinePoint<C>: elliptic_curve::sec1::FromSec1Point<C> + ToSec1Point<C>,
        elliptic_curve::FieldBytesSize<C>: elliptic_curve::sec1::ModulusSize,
        R: CryptoRng + ?Sized,
    {
        let public = elliptic_curve::PublicKey::<C>::from_sec1_bytes(key.subject_public_key.raw_bytes())
            .map_err(|_| CaError::malformed("EC public key", "the point is not on the curve"))?;
        let ephemeral = elliptic_curve::ecdh::EphemeralSecret::<C>::generate_from_rng(random);
        let shared = ephemeral.diffie_hellman(&public);
        Ok(Self {
            key: key.clone(),
            peer: ephemeral.public_key().to_sec1_point(false).as_bytes().to_vec(),
            shared: Zeroizing::new(shared.raw_secret_bytes().to_vec()),
        })
    }

    /// The ephemeral public key, SEC 1 uncompressed (65 octets for P-256).
    pub fn peer(&self) -> &[u8] {
        &self.peer
    }

    /// Checks the X coordinate that the card found.
    ///
    /// # Errors
    /// [`CaError::NotProven`].
    pub fn verify(self, shared: &[u8]) -> Result<ProvenKey, CaError> {
        prove(self.key, &self.shared, shared, "the card did not agree on the same secret")
    }
}

/// Verifies a signature over a digest with a public key.
///
/// # Errors
/// [`CaError::NotProven`] when it does not verify, [`CaError::Unsupported`] for other keys than RSA, P-256
/// and P-384.
pub fn verify_signature(
    key: &SubjectPublicKeyInfoOwned,
    scheme: SignatureScheme,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), CaError> {
    let verified = match (KeyKind::of(key)?, scheme) {
        (KeyKind::Rsa, SignatureScheme::RsaPkcs1(algorithm)) => {
            let padding = match algorithm {
                DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
            };
            rsa_public_key(key)?.verify(padding, digest, signature).is_ok()
        }
        // What an authority checks of each of its own signatures: several times faster.
        (KeyKind::P256, SignatureScheme::Ecdsa(DigestAlgorithm::Sha256)) => {
            let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
            let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
            Digest::import_less_safe(digest, &SHA256)
                .is_ok_and(|digest| key.verify_digest(&digest, signature).is_ok())
        }
        (KeyKind::P256, SignatureScheme::Ecdsa(_)) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.subject_public_key.raw_bytes());
            let signature = p256::ecdsa::DerSignature::try_from(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
        }
        (KeyKind::P384, SignatureScheme::Ecdsa(_)) => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key.subject_public_key.raw_bytes());
            let signature = p384::ecdsa::DerSignature::try_from(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
        }
        _ => return Err(CaError::NotProven("the signature scheme does not fit the key")),
    };
    if verified {
        Ok(())
    } else {
        Err(CaError::NotProven("the signature does not verify with the public key"))
    }
}

fn prove(
    key: SubjectPublicKeyInfoOwned,
    ours: &[u8],
    theirs: &[u8],
    refusal: &'static str,
) -> Result<ProvenKey, CaError> {
    if bool::from(ours.ct_eq(theirs)) { Ok(ProvenKey(key)) } else { Err(CaError::NotProven(refusal)) }
}

fn rsa_public_key(key: &SubjectPublicKeyInfoOwned) -> Result<RsaPublicKey, CaError> {
    use der::referenced::OwnedToRef;
    RsaPublicKey::try_from(key.owned_to_ref()).map_err(|error| CaError::malformed("RSA public key", error))
}

/// So that a challenge is never a digest of something that means anything elsewhere.
const CHALLENGE_PREFIX: &[u8] = b"proof of possession\0";
