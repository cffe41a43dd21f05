//! Public-key signatures over certificates, CRLs and messages (RFC 4055, RFC 5754, RFC 5758).
use const_oid::ObjectIdentifier;
use der::Encode;
use rsa::Pkcs1v15Sign;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256, Sha384, Sha512};
use signature::hazmat::PrehashVerifier;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::tlv::{Element, Malformed, tag};

pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The smallest RSA modulus that is believed, in bytes (SP 800-131A: 2048 bits).
const SMALLEST_RSA_MODULUS: usize = 256;

/// The digest algorithms that are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A signature algorithm with its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(DigestAlgorithm),
    /// ECDSA, the signature as a DER `Ecdsa-Sig-Value`.
    Ecdsa(DigestAlgorithm),
}

impl Scheme {
    /// The digest that is signed.
    pub(crate) fn digest(self) -> DigestAlgorithm {
        match self {
            Self::RsaPkcs1(digest) | Self::Ecdsa(digest) => digest,
        }
    }
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureProblem {
    #[error("{0} is not supported")]
    Unsupported(String),
    #[error("the signature is wrong")]
    Invalid,
}

/// What kind of key a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicKeyKind {
    Rsa,
    P256,
    P384,
}

/// The kind of a public key, or its algorithm in words.
pub(crate) fn public_key_kind(key: &SubjectPublicKeyInfoOwned) -> Result<PublicKeyKind, String> {
    match key.algorithm.oid {
        RSA_ENCRYPTION => Ok(PublicKeyKind::Rsa),
        EC_PUBLIC_KEY => {
            match key.algorithm.parameters.as_ref().map(|curve| curve.decode_as::<ObjectIdentifier>()) {
                Some(Ok(P256)) => Ok(PublicKeyKind::P256),
                Some(Ok(P384)) => Ok(PublicKeyKind::P384),
                Some(Ok(curve)) => Err(format!("the elliptic curve {curve}")),
                _ => Err("an elliptic curve without a name".to_owned()),
            }
        }
        other => Err(format!("the algorithm {other}")),
    }
}

/// The digest of some bytes.
pub(crate) fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    match algorithm {
        DigestAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
        DigestAlgorithm::Sha384 => Sha384::digest(bytes).to_vec(),
        DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
    }
}

/// The scheme that a signature AlgorithmIdentifier names; where it leaves the digest open, `digest` says it.
pub(crate) fn scheme(
    algorithm: &AlgorithmIdentifierOwned,
    digest: Option<DigestAlgorithm>,
) -> Result<Scheme, SignatureProblem> {
    use DigestAlgorithm::{Sha256, Sha384, Sha512};
    Ok(match (algorithm.oid, digest) {
        (SHA256_WITH_RSA, _) => Scheme::RsaPkcs1(Sha256),
        (SHA384_WITH_RSA, _) => Scheme::RsaPkcs1(Sha384),
        (SHA512_WITH_RSA, _) => Scheme::RsaPkcs1(Sha512),
        (ECDSA_WITH_SHA256, _) => Scheme::Ecdsa(Sha256),
        (ECDSA_WITH_SHA384, _) => Scheme::Ecdsa(Sha384),
        (ECDSA_WITH_SHA512, _) => Scheme::Ecdsa(Sha512),
        (RSA_ENCRYPTION, Some(digest)) => Scheme::RsaPkcs1(digest),
        (EC_PUBLIC_KEY, Some(digest)) => Scheme::Ecdsa(digest),
        (other, _) => return Err(SignatureProblem::Unsupported(format!("the signature algorithm {other}"))),
    })
}

/// Verifies a signature over a message.
pub(crate) fn verify(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let scheme = scheme(algorithm, None)?;
    verify_digest(key, scheme, &digest(scheme.digest(), message), signature)
}

/// Verifies a signature over an already computed digest.
pub(crate) fn verify_digest(
    key: &SubjectPublicKeyInfoOwned,
    scheme: Scheme,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    match (public_key_kind(key).map_err(SignatureProblem::Unsupported)?, scheme) {
        (PublicKeyKind::Rsa, Scheme::RsaPkcs1(algorithm)) => verify_rsa(key, algorithm, digest, signature),
        (PublicKeyKind::P256, Scheme::Ecdsa(_)) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.subject_public_key.raw_bytes());
            let signature = p256::ecdsa::Signature::from_der(signature);
            let (Ok(key), Ok(signature)) = (key, signature) else { return Err(SignatureProblem::Invalid) };
            key.verify_prehash(digest, &signature).map_err(|_| SignatureProblem::Invalid)
        }
        (PublicKeyKind::P384, Scheme::Ecdsa(_)) => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key.subject_public_key.raw_bytes());
            let signature = p384::ecdsa::Signature::from_der(signature);
            let (Ok(key), Ok(signature)) = (key, signature) else { return Err(SignatureProblem::Invalid) };
            key.verify_prehash(digest, &signature).map_err(|_| SignatureProblem::Invalid)
        }
        _ => Err(SignatureProblem::Invalid),
    }
}

fn verify_rsa(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: DigestAlgorithm,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let key = rsa_public_key(key)?;
    let scheme = match algorithm {
        DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    };
    key.verify(scheme, digest, signature).map_err(|_| SignatureProblem::Invalid)
}

/// The RSA key of a SubjectPublicKeyInfo, if it is long enough to be believed.
pub(crate) fn rsa_public_key(key: &SubjectPublicKeyInfoOwned) -> Result<rsa::RsaPublicKey, SignatureProblem> {
    let der = key.to_der().map_err(|_| SignatureProblem::Invalid)?;
    let key = rsa::RsaPublicKey::from_public_key_der(&der).map_err(|_| SignatureProblem::Invalid)?;
    if key.size() < SMALLEST_RSA_MODULUS {
        return Err(SignatureProblem::Unsupported(format!("an RSA key of only {} bits", key.size() * 8)));
    }
    Ok(key)
}

/// The three parts of a signed structure (RFC 5280 sections 4.1 and 5.1).
///
/// ```text
/// SIGNED ::= SEQUENCE { toBeSigned ANY, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
/// ```
pub(crate) struct Signed<'a> {
    pub(crate) to_be_signed: Element<'a>,
    pub(crate) algorithm: Element<'a>,
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = Element::only(der, tag::SEQUENCE)?.elements();
        let to_be_signed = parts.expect(tag::SEQUENCE)?;
        let algorithm = parts.expect(tag::SEQUENCE)?;
        let signature = parts.expect(tag::BIT_STRING)?;
        parts.finish()?;
        match signature.contents.split_first() {
            Some((0, signature)) => Ok(Self { to_be_signed, algorithm, signature }),
            _ => Err(Malformed::Length),
        }
    }
}
