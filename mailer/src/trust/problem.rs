//! Why a certificate is not believed: typed, with a stable code and words for people.
use jiff::Timestamp;

use super::crl::Revocation;
use super::in_words;
use crate::certificate::names::harmless;

/// The certificate of a path that has the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The certificate that is judged.
    EndEntity,
    /// A CA certificate above it, by its subject in words.
    Authority(String),
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It, or a certificate above it, could not be read.
    Malformed {
        /// Which certificate.
        whose: Whose,
        /// What is wrong with it.
        problem: String,
    },
    /// No path ends in a configured anchor.
    UnknownIssuer {
        /// The last issuer that was looked for, in words.
        issuer: String,
    },
    /// There were too many paths to try.
    TooManyPaths,
    /// The issuer's signature does not verify.
    BadSignature {
        /// Which certificate.
        whose: Whose,
    },
    /// Algorithm or key are not supported.
    Unsupported {
        /// Which certificate.
        whose: Whose,
        /// What is not supported.
        what: String,
    },
    /// Past its end of validity.
    Expired {
        /// Which certificate.
        whose: Whose,
        /// The end of its validity.
        not_after: Timestamp,
    },
    /// Before its start of validity.
    NotYetValid {
        /// Which certificate.
        whose: Whose,
        /// The start of its validity.
        not_before: Timestamp,
    },
    /// A certificate that may not issue others, or not so deep, stands above it.
    NotAnAuthority {
        /// Which certificate.
        whose: Whose,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// Key usage or extended key usage forbid the purpose.
    WrongUsage {
        /// Which certificate.
        whose: Whose,
        /// What it is not for.
        purpose: &'static str,
    },
    /// A CA above it may not certify this name.
    NameNotPermitted {
        /// The name.
        name: String,
    },
    /// A critical extension that is not understood.
    UnknownCriticalExtension {
        /// Which certificate.
        whose: Whose,
        /// The extension's object identifier.
        extension: String,
    },
    /// A certificate policy is required, by a CA or by us, and none that is acceptable is valid for the path.
    PolicyRequired {
        /// Which certificate.
        whose: Whose,
    },
    /// Revoked.
    Revoked {
        /// Which certificate.
        whose: Whose,
        /// When, why, since when.
        revocation: Revocation,
    },
    /// No usable CRL speaks about it.
    RevocationUnknown {
        /// Which certificate.
        whose: Whose,
        /// What is missing.
        why: String,
    },
    /// The anchor may not speak for the mail address.
    OutsideDomain {
        /// The address.
        address: String,
        /// The anchor in words.
        anchor: String,
    },
    /// The certificate is for other mail addresses.
    AddressMismatch {
        /// The address that was wanted.
        address: String,
        /// The addresses in the certificate.
        certified: Vec<String>,
    },
}

impl CertificateProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "certificate-malformed",
            Self::UnknownIssuer { .. } => "unknown-issuer",
            Self::TooManyPaths => "too-many-paths",
            Self::BadSignature { .. } => "certificate-signature-wrong",
            Self::Unsupported { .. } => "unsupported-algorithm",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::NotAnAuthority { .. } => "not-an-authority",
            Self::WrongUsage { .. } => "wrong-usage",
            Self::NameNotPermitted { .. } => "name-not-permitted",
            Self::UnknownCriticalExtension { .. } => "unknown-critical-extension",
            Self::PolicyRequired { .. } => "policy-required",
            Self::Revoked { .. } => "revoked",
            Self::RevocationUnknown { .. } => "revocation-unknown",
            Self::OutsideDomain { .. } => "outside-domain",
            Self::AddressMismatch { .. } => "address-mismatch",
        }
    }

    /// The problem in words; `end_entity` names the judged certificate, for example "the signer's certificate".
    pub fn in_words(&self, end_entity: &str) -> String {
        let name = |whose: &Whose| match whose {
            Whose::EndEntity => end_entity.to_owned(),
            Whose::Authority(name) => format!("the CA certificate of {name}"),
        };
        match self {
            Self::Malformed { whose, problem } => format!("{} cannot be read: {problem}", name(whose)),
            Self::UnknownIssuer { issuer } => {
                format!("{end_entity} was issued by {issuer}, for whom no configured trust anchor vouches")
            }
            Self::TooManyPaths => format!("there are too many possible issuers of {end_entity}"),
            Self::BadSignature { whose } => format!("the issuer's signature on {} is wrong", name(whose)),
            Self::Unsupported { whose, what } => {
                format!("{} uses {what}, which is not supported", name(whose))
            }
            Self::Expired { whose, not_after } => {
                format!("{} expired on {}", name(whose), in_words(*not_after))
            }
            Self::NotYetValid { whose, not_before } => {
                format!("{} is valid only from {}", name(whose), in_words(*not_before))
            }
            Self::NotAnAuthority { whose, problem } => format!("{} {problem}", name(whose)),
            Self::WrongUsage { whose, purpose } => format!("{} is not for {purpose}", name(whose)),
            Self::NameNotPermitted { name } => format!("a CA above {end_entity} may not certify {name}"),
            Self::UnknownCriticalExtension { whose, extension } => {
                format!("{} has the critical extension {extension}, which is not supported", name(whose))
            }
            Self::PolicyRequired { whose } => {
                format!("{} is not certified for a policy that is required", name(whose))
            }
            Self::Revoked { whose, revocation } => revoked_in_words(&name(whose), revocation),
            Self::RevocationUnknown { whose, why } => {
                format!("whether {} was revoked is unknown: {why}", name(whose))
            }
            Self::OutsideDomain { address, anchor } => {
                format!("{anchor} is not trusted for addresses like {}", harmless(address))
            }
            Self::AddressMismatch { address, certified } if certified.is_empty() => {
                format!("{end_entity} holds no mail address, so it is not one for {}", harmless(address))
            }
            Self::AddressMismatch { address, certified } => {
                let certified = harmless(&certified.join(", "));
                format!("{end_entity} is for {certified}, not for {}", harmless(address))
            }
        }
    }
}

fn revoked_in_words(name: &str, revocation: &Revocation) -> String {
    let reason = revocation.reason.map(|reason| reason.to_string());
    let since = revocation.invalid_since.map(|since| format!("invalid since {}", in_words(since)));
    let details: Vec<String> = reason.into_iter().chain(since).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    format!("{name} was revoked on {}{details}", in_words(revocation.at))
}
