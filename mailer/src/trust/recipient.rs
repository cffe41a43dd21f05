//! Recipients of encrypted mail: checked, or refused for a reason.
use super::inquiry::RevocationKnowledge;
use super::judge::Approval;
use super::problem::CertificateProblem;
use super::validate::ValidPath;
use crate::certificate::{Certificate, Clearance};
use crate::smime::Recipient;

/// A recipient whose certificate passed every check; only [`super::Judge`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedRecipient {
    recipient: Recipient,
    note: Option<String>,
    clearance: Option<Clearance>,
}

impl CheckedRecipient {
    pub(super) fn new(certificate: Certificate, approval: &Approval) -> Self {
        let note = match &approval.revocation {
            RevocationKnowledge::Good(_) | RevocationKnowledge::RevokedLater { .. } => None,
            RevocationKnowledge::Unknown { why } => {
                Some(format!("whether the certificate was revoked is unknown: {why}"))
            }
        };
        let clearance = effective_clearance(&certificate, &approval.path);
        Self { recipient: Recipient::unchecked(certificate, true), note, clearance }
    }

    /// For [`crate::smime::encrypt()`].
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// What the certificate clears its holder for, as far as every authority above it may (RFC 5913 section 4).
    pub fn clearance(&self) -> Option<Clearance> {
        self.clearance
    }

    /// What the checks could not cover, in a sentence (for example: revocation unknown).
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// A malformed clearance, or constraint of an authority, clears for nothing.
fn effective_clearance(certificate: &Certificate, path: &ValidPath) -> Option<Clearance> {
    let mut clearance = certificate.clearance().ok().flatten()?;
    for authority in path.intermediates().iter().chain([&path.anchor().certificate]) {
        if let Some(permitted) = authority.clearance_constraints().ok()? {
            clearance = clearance.within(&permitted)?;
        }
    }
    Some(clearance)
}

/// Why nobody's mail is encrypted to this address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipientProblem {
    /// There is no certificate.
    NoCertificate {
        /// Whom it was for.
        address: String,
    },
    /// The certificate is not believed.
    Certificate {
        /// Whom it was for.
        address: String,
        /// Why it is not believed.
        problem: CertificateProblem,
    },
}

impl RecipientProblem {
    /// Stable code for JSON: `no-certificate`, or the code of the [`CertificateProblem`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCertificate { .. } => "no-certificate",
            Self::Certificate { problem, .. } => problem.code(),
        }
    }

    /// Whom the mail was for.
    pub fn address(&self) -> &str {
        match self {
            Self::NoCertificate { address } | Self::Certificate { address, .. } => address,
        }
    }

    pub(super) fn is_wrong_usage(&self) -> bool {
        matches!(self, Self::Certificate { problem: CertificateProblem::WrongUsage { .. }, .. })
    }
}

impl std::fmt::Display for RecipientProblem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCertificate { address } => {
                write!(formatter, "{address}: no certificate found in the directory")
            }
            Self::Certificate { address, problem } => {
                write!(formatter, "{address}: {}", problem.in_words("the certificate"))
            }
        }
    }
}

impl std::error::Error for RecipientProblem {}
