//! Why there is no time stamp, or none that counts.
use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::response::FailureInfo;
use crate::certificate::tlv::Malformed;

/// Why a token cannot be read, or is not signed by the certificate that it names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenProblem {
    /// Not a time-stamp token.
    #[error("the time stamp is malformed: {0}")]
    Malformed(String),
    /// The authority's signature does not verify, or not with the certificate that it names.
    #[error("the signature of the time stamp is wrong: {0}")]
    BadSignature(String),
    /// A digest or an extension that is not supported.
    #[error("the time stamp uses {0}, which is not supported")]
    Unsupported(String),
}

impl TokenProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "time-stamp-malformed",
            Self::BadSignature(_) => "time-stamp-signature-wrong",
            Self::Unsupported(_) => "time-stamp-unsupported",
        }
    }
}

impl From<Malformed> for TokenProblem {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// Why an answer is not the time stamp that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerProblem {
    /// Not a TimeStampResp.
    #[error("the answer is no time-stamp response: {0}")]
    Malformed(String),
    /// The authority refused (RFC 3161 section 2.4.2).
    #[error("the authority refused: {}", refusal(failures, text))]
    Refused {
        /// Why, by the standard.
        failures: Vec<FailureInfo>,
        /// Why, in the authority's words, safe for a terminal.
        text: String,
    },
    /// The token in it cannot be read or is not signed rightly.
    #[error(transparent)]
    Token(#[from] TokenProblem),
    /// It stamps something else.
    #[error("the time stamp is of something else than was asked for")]
    OtherImprint,
    /// It does not say whose answer it is.
    #[error("the time stamp does not repeat our number, so it may be an old one")]
    NonceMissing,
    /// It is an answer to somebody else.
    #[error(
        "the time stamp repeats another number than ours, so it is the answer to somebody else, or an old one"
    )]
    OtherNonce,
    /// It is made under another policy.
    #[error("the time stamp is made under the policy {found}, not under {asked}")]
    OtherPolicy {
        /// What was asked for.
        asked: ObjectIdentifier,
        /// What it says.
        found: ObjectIdentifier,
    },
    /// The authority does not say which certificate it means (RFC 3161 section 2.4.2).
    #[error("the time stamp does not name the certificate of its authority")]
    CertificateNotNamed,
    /// The certificate is for something else, or for something else too (RFC 3161 section 2.3).
    #[error("the certificate of {0} is not for time stamps alone, by a critical extension")]
    WrongUsage(String),
    /// The certificate was not valid when the stamp was made.
    #[error("the certificate of {authority} is valid from {not_before} to {not_after}, not at {made}")]
    CertificateNotValid {
        /// The authority.
        authority: String,
        /// When the stamp was made.
        made: Timestamp,
        /// Start of validity.
        not_before: Timestamp,
        /// End of validity.
        not_after: Timestamp,
    },
    /// Its clock and ours differ.
    #[error("the time stamp says {made}, but here it is {now}; one of the two clocks is wrong")]
    WrongTime {
        /// When the stamp was made.
        made: Timestamp,
        /// What it is here.
        now: Timestamp,
    },
    /// It does not fit into the room kept for it.
    #[error("the time stamp has {octets} octets, where there is room for {most}")]
    TooLong {
        /// How long it is.
        octets: usize,
        /// How long it may be.
        most: usize,
    },
    /// The caller does not believe it.
    #[error("{0}")]
    NotBelieved(String),
}

impl AnswerProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "time-stamp-response-malformed",
            Self::Refused { .. } => "time-stamp-refused",
            Self::Token(problem) => problem.code(),
            Self::OtherImprint => "time-stamp-of-something-else",
            Self::NonceMissing => "time-stamp-nonce-missing",
            Self::OtherNonce => "time-stamp-nonce-wrong",
            Self::OtherPolicy { .. } => "time-stamp-policy-wrong",
            Self::CertificateNotNamed => "time-stamp-certificate-not-named",
            Self::WrongUsage(_) => "time-stamp-certificate-usage",
            Self::CertificateNotValid { .. } => "time-stamp-certificate-not-valid",
            Self::WrongTime { .. } => "time-stamp-time-wrong",
            Self::TooLong { .. } => "time-stamp-too-long",
            Self::NotBelieved(_) => "time-stamp-not-believed",
        }
    }
}

fn refusal(failures: &[FailureInfo], text: &str) -> String {
    let mut words: Vec<&str> = failures.iter().map(|failure| failure.in_words()).collect();
    if !text.is_empty() {
        words.push(text);
    }
    if words.is_empty() { "it does not say why".to_owned() } else { words.join("; ") }
}

/// Why one server gave no time stamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerProblem {
    /// The address is of no kind that we ask.
    #[error("its address begins with neither http: nor https:")]
    Scheme,
    /// Nobody vouches for the server.
    #[error("no CA is configured that could vouch for an https server")]
    NoTlsAnchor,
    /// No answer at all.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("it took longer than {0} s")]
    TooSlow(u64),
    /// A refusal by HTTP.
    #[error("it answered with HTTP status {0}")]
    HttpStatus(u16),
    /// An answer of another kind.
    #[error("its answer is no time-stamp reply but {0:?}")]
    ContentType(String),
    /// An answer without end.
    #[error("its answer has more than {0} octets")]
    TooLarge(usize),
    /// An answer that does not count.
    #[error(transparent)]
    Answer(#[from] AnswerProblem),
}

impl ServerProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scheme => "time-stamp-server-address",
            Self::NoTlsAnchor => "no-tls-anchor",
            Self::Unreachable(_) => "time-stamp-server-unreachable",
            Self::TooSlow(_) => "time-stamp-server-slow",
            Self::HttpStatus(_) => "time-stamp-server-status",
            Self::ContentType(_) => "time-stamp-server-content-type",
            Self::TooLarge(_) => "time-stamp-response-too-large",
            Self::Answer(problem) => problem.code(),
        }
    }
}

/// A server that gave no time stamp, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {problem}")]
pub struct ServerFailure {
    /// Its address, without user name and password.
    pub server: String,
    /// What is wrong.
    pub problem: ServerProblem,
}

/// Why there is no time stamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTimeStamp {
    /// No server is configured.
    #[error("no time-stamp server is configured")]
    NoServer,
    /// The imprint is not one of SHA-256, SHA-384 or SHA-512.
    #[error("time stamps are asked for with SHA-256, SHA-384 or SHA-512, not with {0}")]
    UnsupportedImprint(String),
    /// The request cannot be made.
    #[error("the time stamp cannot be asked for: {0}")]
    NotAsked(String),
    /// Every server failed.
    #[error("no time stamp could be had:{}", one_per_line(.0))]
    AllFailed(Vec<ServerFailure>),
}

impl NoTimeStamp {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoServer => "no-time-stamp-server",
            Self::UnsupportedImprint(_) => "time-stamp-unsupported",
            Self::NotAsked(_) => "time-stamp-not-asked",
            Self::AllFailed(_) => "no-time-stamp",
        }
    }
}

fn one_per_line(failures: &[ServerFailure]) -> String {
    failures.iter().map(|failure| format!("\n  {failure}")).collect()
}
