//! DSA (FIPS 186-4), verified only, for what was signed long ago.
use der::Encode;
use dsa::{Components, VerifyingKey};
use rsa::BoxedUint;
use signature::hazmat::PrehashVerifier;
use spki::SubjectPublicKeyInfoOwned;

use super::public_key::{bit_length, numbers, unsigned};
use super::signature::SignatureProblem;
use super::tlv::{Element, tag};

/// Verifies a signature over a digest. The key must carry its domain parameters: whoever inherits them from an issuer
/// (RFC 3279 section 2.3.2) puts them in before.
///
/// ```text
/// Dss-Parms ::= SEQUENCE { p INTEGER, q INTEGER, g INTEGER }
/// DSAPublicKey ::= INTEGER -- y
/// Dss-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
/// ```
pub(super) fn verify(
    key: &SubjectPublicKeyInfoOwned,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), SignatureProblem> {
    let invalid = |_| SignatureProblem::Invalid;
    let parameters = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok());
    let Some(parameters) = parameters.filter(|found| found.first() == Some(&tag::SEQUENCE)) else {
        return Err(SignatureProblem::Unsupported("a DSA key without domain parameters".to_owned()));
    };
    let [p, q, g] = numbers(&parameters).map_err(invalid)?;
    let y = Element::only(key.subject_public_key.raw_bytes(), tag::INTEGER)
        .and_then(unsigned)
        .map_err(invalid)?;
    let [r, s] = numbers(signature).map_err(invalid)?;
    let sizes = (bit_length(p), bit_length(q));
    if !matches!(sizes, (1024, 160) | (2048, 224 | 256) | (3072, 256)) {
        return Err(SignatureProblem::Unsupported(format!("a DSA key of {} and {} bits", sizes.0, sizes.1)));
    }
    // y, g below p and r, s below q, compared as octets without leading zeros.
    let below = |number: &[u8], bound: &[u8]| (number.len(), number) < (bound.len(), bound);
    if !below(y, p) || !below(g, p) || !below(r, q) || !below(s, q) || r.is_empty() || s.is_empty() {
        return Err(SignatureProblem::Invalid);
    }
    let number = |octets: &[u8], like: &[u8]| {
        let bits = u32::try_from(like.len() * 8).unwrap_or_default();
        BoxedUint::from_be_slice(octets, bits).map_err(|_| SignatureProblem::Invalid)
    };
    let components = Components::from_components(number(p, p)?, number(q, q)?, number(g, p)?)
        .map_err(|_| SignatureProblem::Invalid)?;
    let key =
        VerifyingKey::from_components(components, number(y, p)?).map_err(|_| SignatureProblem::Invalid)?;
    let signature =
        dsa::Signature::from_components(number(r, q)?, number(s, q)?).ok_or(SignatureProblem::Invalid)?;
    key.verify_prehash(digest, &signature).map_err(|_| SignatureProblem::Invalid)
}
