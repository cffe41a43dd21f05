//! Two authorities that certified each other, in one value (RFC 4523 section 2.3, X.509).
use der::{Any, Decode, Encode, Sequence};

use crate::ca::{CaError, Certificate};

/// ```text
/// CertificatePair ::= SEQUENCE {
///   issuedToThisCA [0] Certificate OPTIONAL,
///   issuedByThisCA [1] Certificate OPTIONAL }
/// ```
/// Module of explicit tags; one of them is there.
#[derive(Sequence)]
struct CertificatePair {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    issued_to_this: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    issued_by_this: Option<Any>,
}

/// The value for certificates that others gave an authority and that it gave others.
///
/// # Errors
/// What cannot be encoded.
pub fn encode(to_this: Option<&Certificate>, by_this: Option<&Certificate>) -> Result<Vec<u8>, CaError> {
    let any = |one: Option<&Certificate>| one.map(|one| Any::from_der(one.as_der())).transpose();
    let encoded = || -> der::Result<Vec<u8>> {
        CertificatePair { issued_to_this: any(to_this)?, issued_by_this: any(by_this)? }.to_der()
    };
    encoded().map_err(|error| CaError::malformed("certificate pair", error))
}

/// The certificates in a value, first the one that was given to the authority.
///
/// # Errors
/// Not such a value.
pub fn decode(value: &[u8]) -> Result<[Option<Certificate>; 2], CaError> {
    let malformed = |error: der::Error| CaError::malformed("certificate pair", error);
    let pair = CertificatePair::from_der(value).map_err(malformed)?;
    let certificate =
        |any: Option<Any>| any.map(|any| Certificate::from_der(any.to_der().map_err(malformed)?)).transpose();
    Ok([certificate(pair.issued_to_this)?, certificate(pair.issued_by_this)?])
}
