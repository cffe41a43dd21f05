//! Time stamps that prove how old a signature is (RFC 3161, RFC 5816).
//!
//! A time-stamp token is a SignedData over a TSTInfo, which names the digest of what was stamped: here the value of a
//! signature (RFC 3161 appendix A). It counts when its authority's certificate is made for nothing else and its path ends in
//! a configured anchor.
use jiff::Timestamp;

use crate::certificate::{Certificate, DigestAlgorithm};
use crate::time_stamping::{Token, TokenProblem};

/// Why a time stamp proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeStampError {
    /// Not a time-stamp token.
    #[error("the time stamp is malformed: {0}")]
    Malformed(String),
    /// The authority's signature does not verify, or not with the certificate that it names.
    #[error("the signature of the time stamp is wrong: {0}")]
    BadSignature(String),
    /// It is about something else.
    #[error("the time stamp belongs to another signature")]
    OtherImprint,
    /// The digest of what was stamped is broken or unknown.
    #[error("the time stamp uses {0}, which is not supported")]
    Unsupported(String),
    /// The authority's certificate is not believed.
    #[error("the time stamp is not believed: {0}")]
    Untrusted(String),
}

impl TimeStampError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "time-stamp-malformed",
            Self::BadSignature(_) => "time-stamp-signature-wrong",
            Self::OtherImprint => "time-stamp-of-other-signature",
            Self::Unsupported(_) => "time-stamp-unsupported",
            Self::Untrusted(_) => "time-stamp-untrusted",
        }
    }
}

impl From<TokenProblem> for TimeStampError {
    fn from(problem: TokenProblem) -> Self {
        match problem {
            TokenProblem::Malformed(problem) => Self::Malformed(problem),
            TokenProblem::BadSignature(problem) => Self::BadSignature(problem),
            TokenProblem::Unsupported(what) => Self::Unsupported(what),
        }
    }
}

/// A token whose signature and imprint are right; whether its authority is trusted is another question.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    /// The authority that signed it.
    pub(super) authority: Certificate,
    /// What came along.
    pub(super) certificates: Vec<Certificate>,
    /// The last moment at which the stamp can have been made: genTime and its accuracy.
    pub(super) at_latest: Timestamp,
}

/// Reads a token and checks that it stamps `value`. A token need not hold its authority's certificate: it may be `known`.
///
/// # Errors
/// See [`TimeStampError`].
pub(super) fn read(token: &[u8], value: &[u8], known: &[Certificate]) -> Result<Stamp, TimeStampError> {
    read_over(token, &|algorithm| Ok(algorithm.digest(value)), known)
}

/// The same for octets whose digest `digest` finds.
///
/// # Errors
/// See [`TimeStampError`].
pub(super) fn read_over(
    token: &[u8],
    digest: &dyn Fn(DigestAlgorithm) -> std::io::Result<Vec<u8>>,
    known: &[Certificate],
) -> Result<Stamp, TimeStampError> {
    let Token { info, authority, certificates, .. } = Token::read(token, known)?;
    let found =
        digest(info.imprint.algorithm()).map_err(|error| TimeStampError::Malformed(error.to_string()))?;
    if info.imprint.digest() != found {
        return Err(TimeStampError::OtherImprint);
    }
    Ok(Stamp { authority, certificates, at_latest: info.at_latest() })
}
