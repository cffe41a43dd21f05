//! Recipients of encrypted mail: checked, or refused for a reason.
use super::inquiry::RevocationKnowledge;
use super::judge::Approval;
use super::problem::CertificateProblem;
use crate::certificate::Certificate;
use crate::smime::Recipient;

/// A recipient whose certificate passed every check; only [`super::Judge`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedRecipient {
    recipient: Recipient,
    note: Option<String>,
}

impl CheckedRecipient {
    pub(super) fn new(certificate: Certificate, approval: &Approval) -> Self {
        let note = match &approval.revocation {
            RevocationKnowledge::Good(_) | RevocationKnowledge::RevokedLater { .. } => None,
            RevocationKnowledge::Unknown { why } => {
                Some(format!("whether the certificate was revoked is unknown: {why}"))
            }
        };
        Self { recipient: Recipient::unchecked(certificate, true), note }
    }

    /// For [`crate::smime::encrypt()`].
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// What the checks could not cover, in a sentence (for example: revocation unknown).
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
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
