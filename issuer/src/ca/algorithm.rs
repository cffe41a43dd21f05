//! Key and signature algorithms of certificates and CRLs: RFC 4055, RFC 5480, RFC 5758.
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{Any, Null};
use middleware::{DigestAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::error::CaError;

/// The kinds of keys that are certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Rsa,
    P256,
    P384,
}

impl KeyKind {
    /// From the algorithm identifier alone; the key itself is not looked at.
    pub(crate) fn of(key: &SubjectPublicKeyInfoOwned) -> Result<Self, CaError> {
        let parameters = || key.algorithm.parameters.as_ref().and_then(|any| any.decode_as().ok());
        match key.algorithm.oid {
            rfc5912::RSA_ENCRYPTION => Ok(Self::Rsa),
            rfc5912::ID_EC_PUBLIC_KEY if parameters() == Some(rfc5912::SECP_256_R_1) => Ok(Self::P256),
            rfc5912::ID_EC_PUBLIC_KEY if parameters() == Some(rfc5912::SECP_384_R_1) => Ok(Self::P384),
            rfc5912::ID_EC_PUBLIC_KEY => {
                Err(CaError::Unsupported("an elliptic curve other than P-256 and P-384".into()))
            }
            rfc8410::ID_ED_25519 => Err(CaError::Unsupported("an Ed25519 key".into())),
            oid => Err(CaError::Unsupported(format!("a key of algorithm {oid}"))),
        }
    }

    /// The signature scheme that our authorities and challenges use with such a key.
    pub(crate) fn scheme(self) -> SignatureScheme {
        match self {
            Self::Rsa => SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256),
            Self::P256 => SignatureScheme::Ecdsa(DigestAlgorithm::Sha256),
            Self::P384 => SignatureScheme::Ecdsa(DigestAlgorithm::Sha384),
        }
    }
}

/// The algorithm identifier of a scheme: NULL parameters for RSA (RFC 4055 section 5), none for ECDSA (RFC
/// 5758 section 3.2).
pub(crate) fn identifier(scheme: SignatureScheme) -> Result<AlgorithmIdentifierOwned, CaError> {
    let (oid, _) = SCHEMES
        .iter()
        .find(|(_, candidate)| *candidate == scheme)
        .ok_or_else(|| CaError::Unsupported(format!("the signature scheme {scheme:?}")))?;
    let parameters = matches!(scheme, SignatureScheme::RsaPkcs1(_)).then(|| Any::from(Null));
    Ok(AlgorithmIdentifierOwned { oid: *oid, parameters })
}

/// The scheme that an algorithm identifier names, if it is one of ours with the parameters it must have.
pub(crate) fn scheme(algorithm: &AlgorithmIdentifierOwned) -> Option<SignatureScheme> {
    let (_, scheme) = SCHEMES.iter().find(|(oid, _)| *oid == algorithm.oid)?;
    (identifier(*scheme).ok()? == *algorithm).then_some(*scheme)
}

/// The digest that a scheme signs.
pub(crate) fn digest_of(scheme: SignatureScheme) -> Result<DigestAlgorithm, CaError> {
    match scheme {
        SignatureScheme::RsaPkcs1(digest) | SignatureScheme::Ecdsa(digest) => Ok(digest),
        other => Err(CaError::Unsupported(format!("the signature scheme {other:?}"))),
    }
}

/// The algorithm identifier of a digest in CMS: no parameters (RFC 5754 section 2).
pub(crate) fn digest_identifier(digest: DigestAlgorithm) -> AlgorithmIdentifierOwned {
    let oid = match digest {
        DigestAlgorithm::Sha256 => rfc5912::ID_SHA_256,
        DigestAlgorithm::Sha384 => rfc5912::ID_SHA_384,
        DigestAlgorithm::Sha512 => rfc5912::ID_SHA_512,
    };
    AlgorithmIdentifierOwned { oid, parameters: None }
}

/// The digest that an algorithm identifier names.
pub(crate) fn digest_named(algorithm: &AlgorithmIdentifierOwned) -> Result<DigestAlgorithm, CaError> {
    [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512]
        .into_iter()
        .find(|digest| digest_identifier(*digest).oid == algorithm.oid)
        .ok_or_else(|| CaError::Unsupported(format!("the digest {}", algorithm.oid)))
}

/// A digest under way.
pub(crate) enum Digester {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Digester {
    pub(crate) fn new(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Sha256 => Self::Sha256(Sha256::new()),
            DigestAlgorithm::Sha384 => Self::Sha384(Sha384::new()),
            DigestAlgorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn digest(algorithm: DigestAlgorithm, data: &[u8]) -> Vec<u8> {
        let mut digester = Self::new(algorithm);
        digester.update(data);
        digester.finish()
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(digest) => digest.update(data),
            Self::Sha384(digest) => digest.update(data),
            Self::Sha512(digest) => digest.update(data),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(digest) => digest.finalize().to_vec(),
            Self::Sha384(digest) => digest.finalize().to_vec(),
            Self::Sha512(digest) => digest.finalize().to_vec(),
        }
    }
}

const SCHEMES: [(ObjectIdentifier, SignatureScheme); 6] = [
    (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256)),
    (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha384)),
    (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha512)),
    (rfc5912::ECDSA_WITH_SHA_256, SignatureScheme::Ecdsa(DigestAlgorithm::Sha256)),
    (rfc5912::ECDSA_WITH_SHA_384, SignatureScheme::Ecdsa(DigestAlgorithm::Sha384)),
    (rfc5912::ECDSA_WITH_SHA_512, SignatureScheme::Ecdsa(DigestAlgorithm::Sha512)),
];
