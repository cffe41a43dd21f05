//! Public keys of certificates: their kind, and the numbers inside (RFC 3279, RFC 4055, RFC 5480, RFC 8410).
use const_oid::ObjectIdentifier;
use rsa::BoxedUint;
use spki::SubjectPublicKeyInfoOwned;

use super::signature::{Acceptance, SignatureProblem};
use super::tlv::{Element, Malformed, tag};

pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
pub(crate) const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
pub(crate) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(crate) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(crate) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The smallest RSA modulus that is believed today (SP 800-131A), and that was believed once; the largest that is worth
/// the time.
const SMALLEST_CURRENT: usize = 2048;
const SMALLEST_HISTORIC: usize = 1024;
const LARGEST: usize = 8192;

/// What kind of key a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicKeyKind {
    Rsa,
    /// RSA for RSASSA-PSS only (RFC 4055 section 1.2).
    RsaPss,
    P256,
    P384,
    P521,
    Ed25519,
    X25519,
    Dsa,
}

impl PublicKeyKind {
    /// The kind as people say it.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::RsaPss => "RSA for signatures with PSS only",
            Self::P256 => "on the elliptic curve P-256",
            Self::P384 => "on the elliptic curve P-384",
            Self::P521 => "on the elliptic curve P-521",
            Self::Ed25519 => "Ed25519, which only signs",
            Self::X25519 => "X25519, which only agrees on keys",
            Self::Dsa => "DSA, which only signs",
        }
    }
}

/// The kind of a public key, or its algorithm in words.
pub(crate) fn public_key_kind(key: &SubjectPublicKeyInfoOwned) -> Result<PublicKeyKind, String> {
    let without_parameters = |kind, name: &str| match key.algorithm.parameters {
        None => Ok(kind),
        Some(_) => Err(format!("{name} with parameters")),
    };
    match key.algorithm.oid {
        RSA_ENCRYPTION => Ok(PublicKeyKind::Rsa),
        RSASSA_PSS => Ok(PublicKeyKind::RsaPss),
        DSA => Ok(PublicKeyKind::Dsa),
        // RFC 8410 section 3.
        ED25519 => without_parameters(PublicKeyKind::Ed25519, "Ed25519"),
        X25519 => without_parameters(PublicKeyKind::X25519, "X25519"),
        EC_PUBLIC_KEY => {
            match key.algorithm.parameters.as_ref().map(|curve| curve.decode_as::<ObjectIdentifier>()) {
                Some(Ok(P256)) => Ok(PublicKeyKind::P256),
                Some(Ok(P384)) => Ok(PublicKeyKind::P384),
                Some(Ok(P521)) => Ok(PublicKeyKind::P521),
                Some(Ok(curve)) => Err(format!("the elliptic curve {curve}")),
                _ => Err("an elliptic curve without a name".to_owned()),
            }
        }
        other => Err(format!("the algorithm {other}")),
    }
}

/// The RSA key of a SubjectPublicKeyInfo, if it is long enough to be believed and short enough to be used.
///
/// ```text
/// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
/// ```
pub(crate) fn rsa_public_key(
    key: &SubjectPublicKeyInfoOwned,
    acceptance: Acceptance,
) -> Result<rsa::RsaPublicKey, SignatureProblem> {
    let [modulus, exponent] =
        numbers(key.subject_public_key.raw_bytes()).map_err(|_| SignatureProblem::Invalid)?;
    let smallest = match acceptance {
        Acceptance::Current => SMALLEST_CURRENT,
        Acceptance::Historic => SMALLEST_HISTORIC,
    };
    let bits = bit_length(modulus);
    if bits < smallest {
        return Err(SignatureProblem::Unsupported(format!("an RSA key of only {bits} bits")));
    }
    if bits > LARGEST {
        return Err(SignatureProblem::Unsupported(format!("an RSA key of {bits} bits")));
    }
    let [modulus, exponent] = [modulus, exponent].map(BoxedUint::from_be_slice_vartime);
    rsa::RsaPublicKey::new_with_size_limits(modulus, exponent, SMALLEST_HISTORIC..=LARGEST)
        .map_err(|_| SignatureProblem::Invalid)
}

/// A SEQUENCE of so many non-negative INTEGERs, each without its leading zero.
pub(super) fn numbers<const COUNT: usize>(der: &[u8]) -> Result<[&[u8]; COUNT], Malformed> {
    let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
    let mut numbers = [&[][..]; COUNT];
    for number in &mut numbers {
        *number = unsigned(fields.expect(tag::INTEGER)?)?;
    }
    fields.finish()?;
    Ok(numbers)
}

/// The octets of a non-negative INTEGER in DER (X.690 section 8.3), without the leading zero; zero has none.
pub(super) fn unsigned(number: Element<'_>) -> Result<&[u8], Malformed> {
    match number.contents {
        [0, rest @ ..] if rest.first().is_none_or(|first| first & 0x80 != 0) => Ok(rest),
        [0x01..=0x7F, ..] => Ok(number.contents),
        _ => Err(Malformed::Length),
    }
}

pub(super) fn bit_length(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or_default())
}
