//! Public-key signatures over certificates, CRLs and messages (RFC 4055, RFC 5754, RFC 5758, RFC 8410, RFC 8419).
use aws_lc_rs::signature::UnparsedPublicKey;
use const_oid::ObjectIdentifier;
use der::Encode;
use rsa::Pkcs1v15Sign;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use signature::hazmat::PrehashVerifier;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::digest::DigestAlgorithm;
use super::dsa;
use super::public_key::{
    DSA, EC_PUBLIC_KEY, ED25519, PublicKeyKind, RSA_ENCRYPTION, RSASSA_PSS, public_key_kind, rsa_public_key,
};
use super::rsa_pss::{self, PssParameters};
use super::tlv::{Element, Malformed, tag};

pub(crate) const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub(crate) const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
pub(crate) const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// Signature algorithms that name their digest (RFC 3279, RFC 4055, RFC 5758).
const SCHEMES: [(ObjectIdentifier, Scheme); 14] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"), Scheme::RsaPkcs1(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.29"), Scheme::RsaPkcs1(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.14"), Scheme::RsaPkcs1(DigestAlgorithm::Sha224)),
    (SHA256_WITH_RSA, Scheme::RsaPkcs1(DigestAlgorithm::Sha256)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Scheme::RsaPkcs1(DigestAlgorithm::Sha384)),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Scheme::RsaPkcs1(DigestAlgorithm::Sha512)),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"), Scheme::Ecdsa(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.1"), Scheme::Ecdsa(DigestAlgorithm::Sha224)),
    (ECDSA_WITH_SHA256, Scheme::Ecdsa(DigestAlgorithm::Sha256)),
    (ECDSA_WITH_SHA384, Scheme::Ecdsa(DigestAlgorithm::Sha384)),
    (ECDSA_WITH_SHA512, Scheme::Ecdsa(DigestAlgorithm::Sha512)),
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.3"), Scheme::Dsa(DigestAlgorithm::Sha1)),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.1"), Scheme::Dsa(DigestAlgorithm::Sha224)),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.2"), Scheme::Dsa(DigestAlgorithm::Sha256)),
];

/// Which algorithms count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acceptance {
    /// Those that are believed today: no SHA-1, no DSA, no RSA below 2048 bits.
    #[default]
    Current,
    /// Also SHA-1, DSA, and RSA from 1024 bits, for what was signed when they were believed.
    Historic,
}

/// A signature algorithm with its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(DigestAlgorithm),
    /// RSASSA-PSS.
    RsaPss(PssParameters),
    /// ECDSA, the signature as a DER `Ecdsa-Sig-Value`.
    Ecdsa(DigestAlgorithm),
    /// PureEdDSA over the message itself.
    Ed25519,
    /// DSA, the signature as a DER `Dss-Sig-Value`.
    Dsa(DigestAlgorithm),
}

impl Scheme {
    /// The digest that is signed; for Ed25519 the one that RFC 8419 section 3.1 pairs with it for content.
    pub(crate) fn digest(self) -> DigestAlgorithm {
        match self {
            Self::RsaPkcs1(digest) | Self::Ecdsa(digest) | Self::Dsa(digest) => digest,
            Self::RsaPss(parameters) => parameters.digest,
            Self::Ed25519 => DigestAlgorithm::Sha512,
        }
    }

    /// The scheme that an AlgorithmIdentifier names; where it leaves the digest open (CMS with a bare key algorithm),
    /// `digest` says it.
    pub(crate) fn of(
        algorithm: &AlgorithmIdentifierOwned,
        digest: Option<DigestAlgorithm>,
    ) -> Result<Self, SignatureProblem> {
        let unsupported = |what: String| Err(SignatureProblem::Unsupported(what));
        let parameters = algorithm.parameters.as_ref();
        match (algorithm.oid, digest) {
            (RSASSA_PSS, _) => {
                let parameters = parameters.and_then(|found| found.to_der().ok());
                PssParameters::read(&parameters.unwrap_or_default()).map(Self::RsaPss)
            }
            (ED25519, _) if parameters.is_none() => Ok(Self::Ed25519),
            (ED25519, _) => unsupported("Ed25519 with parameters".to_owned()),
            // CMS may repeat the key's algorithm; of its parameters only those of DSA could matter, and they are the key's.
            (RSA_ENCRYPTION, Some(digest)) => Ok(Self::RsaPkcs1(digest)),
            (EC_PUBLIC_KEY, Some(digest)) => Ok(Self::Ecdsa(digest)),
            (DSA, Some(digest)) => Ok(Self::Dsa(digest)),
            (other, _) => match SCHEMES.iter().find(|(known, _)| *known == other) {
                Some((_, scheme)) if parameters.is_none_or(|found| found.is_null()) => Ok(*scheme),
                Some(_) => unsupported(format!("the signature algorithm {other} with parameters")),
                None => unsupported(format!("the signature algorithm {other}")),
            },
        }
    }
}

/// What was signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// All of it; every scheme can be verified.
    Whole(&'a [u8]),
    /// Its digest, by the digest algorithm of the scheme; not for Ed25519.
    Digest(&'a [u8]),
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureProblem {
    #[error("{0} is not supported")]
    Unsupported(String),
    #[error("the signature is wrong")]
    Invalid,
}

/// The digest of some bytes.
pub(crate) fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    algorithm.digest(bytes)
}

/// Verifies the signature of a certificate, CRL or response, whose algorithm says everything.
pub(crate) fn verify_signed(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    to_be_signed: &[u8],
    signature: &[u8],
    acceptance: Acceptance,
) -> Result<(), SignatureProblem> {
    verify(key, Scheme::of(algorithm, None)?, Message::Whole(to_be_signed), signature, acceptance)
}

/// Verifies a signature.
pub(crate) fn verify(
    key: &SubjectPublicKeyInfoOwned,
    scheme: Scheme,
    message: Message<'_>,
    signature: &[u8],
    acceptance: Acceptance,
) -> Result<(), SignatureProblem> {
    check_acceptance(scheme, acceptance)?;
    let kind = public_key_kind(key).map_err(SignatureProblem::Unsupported)?;
    if scheme == Scheme::Ed25519 {
        return match (kind, message) {
            (PublicKeyKind::Ed25519, Message::Whole(message)) => verify_ed25519(key, message, signature),
            (PublicKeyKind::Ed25519, Message::Digest(_)) => {
                Err(SignatureProblem::Unsupported("Ed25519 over a digest".to_owned()))
            }
            _ => Err(SignatureProblem::Invalid),
        };
    }
    let computed;
    let digest = match message {
        Message::Digest(digest) if digest.len() != scheme.digest().length() => {
            return Err(SignatureProblem::Invalid);
        }
        Message::Digest(digest) => digest,
        Message::Whole(message) => {
            computed = scheme.digest().digest(message);
            &computed
        }
    };
    let point = key.subject_public_key.raw_bytes();
    match (kind, scheme) {
        (PublicKeyKind::Rsa, Scheme::RsaPkcs1(algorithm)) => rsa_public_key(key, acceptance)?
            .verify(pkcs1_v15(algorithm), digest, signature)
            .map_err(|_| SignatureProblem::Invalid),
        (PublicKeyKind::Rsa, Scheme::RsaPss(parameters)) => {
            rsa_pss::verify(&rsa_public_key(key, acceptance)?, parameters, digest, signature)
        }
        (PublicKeyKind::RsaPss, Scheme::RsaPss(parameters)) => {
            check_restriction(key, parameters)?;
            rsa_pss::verify(&rsa_public_key(key, acceptance)?, parameters, digest, signature)
        }
        // The usual case, with the faster library; it would read more encodings of a key than the point.
        (PublicKeyKind::P256, Scheme::Ecdsa(DigestAlgorithm::Sha256)) if is_uncompressed_p256(point) => {
            verify_ecdsa_p256(point, signature, digest)
        }
        (PublicKeyKind::P256, Scheme::Ecdsa(_)) => verify_ecdsa(
            p256::ecdsa::VerifyingKey::from_sec1_bytes(point),
            p256::ecdsa::Signature::from_der(signature),
            digest,
        ),
        (PublicKeyKind::P384, Scheme::Ecdsa(_)) => verify_ecdsa(
            p384::ecdsa::VerifyingKey::from_sec1_bytes(point),
            p384::ecdsa::Signature::from_der(signature),
            digest,
        ),
        (PublicKeyKind::P521, Scheme::Ecdsa(_)) => verify_ecdsa(
            p521::ecdsa::VerifyingKey::from_sec1_bytes(point),
            p521::ecdsa::Signature::from_der(signature),
            digest,
        ),
        (PublicKeyKind::Dsa, Scheme::Dsa(_)) => dsa::verify(key, digest, signature),
        _ => Err(SignatureProblem::Invalid),
    }
}

fn check_acceptance(scheme: Scheme, acceptance: Acceptance) -> Result<(), SignatureProblem> {
    let weak = match scheme {
        _ if acceptance == Acceptance::Historic => return Ok(()),
        Scheme::Dsa(_) => "DSA",
        Scheme::RsaPss(PssParameters { digest, mask, .. })
            if digest == DigestAlgorithm::Sha1 || mask == DigestAlgorithm::Sha1 =>
        {
            "SHA-1"
        }
        scheme if scheme.digest() == DigestAlgorithm::Sha1 => "SHA-1",
        _ => return Ok(()),
    };
    Err(SignatureProblem::Unsupported(format!("{weak}, which is no longer believed,")))
}

/// A key for RSASSA-PSS only may fix its parameters; the salt may be longer than they say (RFC 4055 section 3.3).
fn check_restriction(key: &SubjectPublicKeyInfoOwned, used: PssParameters) -> Result<(), SignatureProblem> {
    let Some(parameters) = &key.algorithm.parameters else { return Ok(()) };
    let allowed = PssParameters::read(&parameters.to_der().unwrap_or_default())?;
    let fits =
        allowed.digest == used.digest && allowed.mask == used.mask && allowed.salt_length <= used.salt_length;
    if fits { Ok(()) } else { Err(SignatureProblem::Invalid) }
}

/// SEC 1 section 2.3.3.
fn is_uncompressed_p256(point: &[u8]) -> bool {
    point.len() == 65 && point.first() == Some(&4)
}

fn verify_ecdsa_p256(point: &[u8], signature: &[u8], digest: &[u8]) -> Result<(), SignatureProblem> {
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1;
    aws_lc_rs::digest::Digest::import_less_safe(digest, &aws_lc_rs::digest::SHA256)
        .and_then(|digest| UnparsedPublicKey::new(algorithm, point).verify_digest(&digest, signature))
        .map_err(|_| SignatureProblem::Invalid)
}

fn verify_ecdsa<Key: PrehashVerifier<Signature>, Signature>(
    key: signature::Result<Key>,
    signature: signature::Result<Signature>,
    digest: &[u8],
) -> Result<(), SignatureProblem> {
    let (Ok(key), Ok(signature)) = (key, signature) else { return Err(SignatureProblem::Invalid) };
    key.verify_prehash(digest, &signature).map_err(|_| SignatureProblem::Invalid)
}

/// RFC 8032 section 5.1.7; keys and points of small order are refused.
fn verify_ed25519(
    key: &SubjectPublicKeyInfoOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let key =
        <[u8; 32]>::try_from(key.subject_public_key.raw_bytes()).map_err(|_| SignatureProblem::Invalid)?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).map_err(|_| SignatureProblem::Invalid)?;
    let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureProblem::Invalid)?;
    key.verify_strict(message, &signature).map_err(|_| SignatureProblem::Invalid)
}

fn pkcs1_v15(digest: DigestAlgorithm) -> Pkcs1v15Sign {
    match digest {
        DigestAlgorithm::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
        DigestAlgorithm::Sha224 => Pkcs1v15Sign::new::<Sha224>(),
        DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
        DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
        DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
    }
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
            // No algorithm makes a part of an octet: such a signature can be read, and is never right.
            Some((1..=7, [_, ..])) => Ok(Self { to_be_signed, algorithm, signature: &[] }),
            _ => Err(Malformed::Length),
        }
    }
}
