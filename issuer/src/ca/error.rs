//! What the certification authority refuses, and why.
use jiff::Timestamp;
use middleware::KeyError;

use super::lint::Finding;
use super::serial_number::SerialNumber;

/// A refusal of the certification authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A field of the certificate's subject cannot be certified.
    #[error("{field} {value:?} cannot be certified: {reason}")]
    Field {
        /// Which field: `name`, `mail address`, `DNS name`...
        field: &'static str,
        /// What it holds.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The lint found something; nothing was signed.
    #[error("the certificate was not signed, because the lint found: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Lint(Vec<Finding>),
    /// The external lint refused it; nothing was signed.
    #[error("the certificate was not signed, because the external lint refused it: {0}")]
    ExternalLint(String),
    /// The certificate names another issuer, key or signature algorithm than this authority's.
    #[error("the certificate was prepared for another authority: {0}")]
    NotOurs(&'static str),
    /// The authority's certificate does not belong to the key it was opened with.
    #[error("the CA certificate {subject} does not belong to the CA key; check which key file was given")]
    KeyMismatch {
        /// Distinguished name of the certificate.
        subject: String,
    },
    /// The validity asked for lies outside the authority's own.
    #[error("the CA certificate ends {not_after}, before the certificate could begin ({not_before})")]
    AuthorityExpired {
        /// End of the authority's certificate.
        not_after: Timestamp,
        /// Begin asked for.
        not_before: Timestamp,
    },
    /// The authority's own certificate does not list a policy that the certificate would carry.
    #[error(
        "{authority} does not certify under policy {policy}; certificates of emulated cards need a registry made with --allow-emulated"
    )]
    PolicyNotAllowed {
        /// The policy.
        policy: const_oid::ObjectIdentifier,
        /// Subject of the authority.
        authority: String,
    },
    /// The holder of the public key could not show the private one.
    #[error("the key did not prove itself: {0}")]
    NotProven(&'static str),
    /// The kind of key or signature is not supported.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Bytes that are not what they should be.
    #[error("not a {what}: {reason}")]
    Malformed {
        /// `certificate`, `certificate request`, `CRL`...
        what: &'static str,
        /// Where decoding stopped.
        reason: String,
    },
    /// A CRL entry came twice or out of order.
    #[error("the revoked certificate {0} came twice, or out of order; the CRL was not made")]
    RevokedTwice(SerialNumber),
    /// The source of CRL entries failed.
    #[error("the revoked certificates could not be read: {0}")]
    Entries(Box<dyn std::error::Error + Send + Sync>),
    /// Writing the CRL failed.
    #[error("the CRL could not be written: {0}")]
    Io(#[from] std::io::Error),
    /// The CA key failed.
    #[error("the CA key could not sign: {0}")]
    Key(#[from] KeyError),
}

impl CaError {
    /// A stable word for programs (`--json`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field { .. } => "field-not-certifiable",
            Self::Lint(_) => "lint",
            Self::ExternalLint(_) => "external-lint",
            Self::NotOurs(_) => "not-ours",
            Self::KeyMismatch { .. } => "ca-key-mismatch",
            Self::AuthorityExpired { .. } => "ca-expired",
            Self::PolicyNotAllowed { .. } => "policy-not-allowed",
            Self::NotProven(_) => "key-not-proven",
            Self::Unsupported(_) => "unsupported",
            Self::Malformed { .. } => "malformed",
            Self::RevokedTwice(_) => "revoked-twice",
            Self::Entries(_) => "registry",
            Self::Io(_) => "io",
            Self::Key(_) => "ca-key",
        }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }
}
