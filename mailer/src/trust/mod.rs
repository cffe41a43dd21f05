//! Anchors, paths, revocation, verdicts (RFC 5280).
//!
//! What is not done yet, and refused rather than passed: the processing of certificate policies, CRLs other than
//! complete ones of the issuer itself (delta, indirect, by reason), OCSP, time stamps.
pub mod anchors;
pub mod crl;
pub mod examination;
pub mod judge;
mod name_constraints;
mod path;
pub mod policies;
pub mod problem;
pub mod recipient;
pub mod revocation;
mod usage;
mod validate;
pub mod verdict;

pub use anchors::{Anchor, Anchors};
pub use crl::{CertificateList, Revocation, RevocationReason};
pub use judge::{Judge, Source};
pub use policies::PolicyInputs;
pub use problem::{CertificateProblem, Whose};
pub use recipient::{CheckedRecipient, RecipientProblem};
pub use revocation::UnknownRevocation;
pub use usage::Purpose;
pub use verdict::Verdict;

pub use crate::certificate::extensions::ANY_POLICY;
pub use crate::certificate::{Acceptance, Certificate, CertificateError};

/// A moment in words: to the minute, in UTC.
pub fn in_words(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
