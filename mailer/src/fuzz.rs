//! Plain functions over bytes, for published test vectors and for fuzzing; no command calls them.
//!
//! Each takes whatever it is given: bad input ends in an answer, never in a panic.
use const_oid::ObjectIdentifier;
use der::Decode;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::certificate::Acceptance;
use crate::certificate::signature::{self, SignatureProblem};
use crate::smime::vectors;

/// What became of one published vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Accepted,
    /// It was refused as wrong.
    Refused,
    /// Its algorithm or key is not supported, and why.
    Unsupported(String),
}

/// Verifies a signature as that of a certificate, CRL or response: SubjectPublicKeyInfo and AlgorithmIdentifier in DER.
pub fn signature(
    public_key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
    acceptance: Acceptance,
) -> Answer {
    let key = SubjectPublicKeyInfoOwned::from_der(public_key);
    let algorithm = AlgorithmIdentifierOwned::from_der(algorithm);
    let (Ok(key), Ok(algorithm)) = (key, algorithm) else { return Answer::Refused };
    match signature::verify_signed(&key, &algorithm, message, signature, acceptance) {
        Ok(()) => Answer::Accepted,
        Err(SignatureProblem::Invalid) => Answer::Refused,
        Err(SignatureProblem::Unsupported(what)) => Answer::Unsupported(what),
    }
}

/// Opens content with the cipher of an envelope. `None` where key or nonce have a length that is not used; the inner one
/// where tag or padding are wrong.
pub fn content(
    algorithm: ObjectIdentifier,
    key: &[u8],
    iv: &[u8],
    associated_data: &[u8],
    encrypted: &[u8],
    tag: &[u8],
) -> Option<Option<Zeroizing<Vec<u8>>>> {
    vectors::open_content(algorithm, key, iv, associated_data, encrypted, tag)
}

/// Unwraps a content key with AES key wrap; `None` where it does not unwrap.
pub fn content_key(algorithm: ObjectIdentifier, key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    vectors::unwrap_key(algorithm, key, wrapped)
}
