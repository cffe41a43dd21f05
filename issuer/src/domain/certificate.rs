//! One certificate, from the bytes that will be signed to its revocation.

mod reserved;

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use reserved::{OnCard, ReservedCertificate, ToldKey, ToldKeyOrigin};

/// A certificate's serial number, RFC 5280 section 4.1.2.2: the content octets of the INTEGER, shown in lower-case hex.
/// There may be millions of them: its octets stand in it, followed by zeros.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialNumber {
    octets: [u8; 20],
    length: usize,
}

impl SerialNumber {
    /// Takes a positive number of 1 to 20 octets, most significant first; leading zero octets do not count.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let start = bytes.iter().position(|byte| *byte != 0)?;
        let significant = bytes.get(start..)?;
        let mut octets = [0; 20];
        octets.get_mut(..significant.len())?.copy_from_slice(significant);
        Some(Self { octets, length: significant.len() })
    }

    /// Reads hex digits in either case; colons between them are ignored.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|character| *character != ':').collect();
        let even = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
        Self::from_bytes(&hex::decode(even).ok()?)
    }

    /// Without leading zero octets.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// The order of the numbers: a CRL lists them ascending.
    pub fn cmp_as_number(&self, other: &Self) -> Ordering {
        (self.length, &self.octets).cmp(&(other.length, &other.octets))
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 40];
        let digits = digits.get_mut(..2 * self.length).ok_or(fmt::Error)?;
        hex::encode_to_slice(self.as_bytes(), digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

/// Which of the organisation's certification authorities signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthorityName {
    /// The trust anchor; signs the others.
    Root,
    /// Signs what is on people's cards.
    People,
    /// Signs the certificates of the organisation's servers.
    Servers,
    /// Signs the certificates of services around documents; made when the first of them is.
    Documents,
}

impl AuthorityName {
    /// All of them, the anchor first.
    pub const ALL: [Self; 4] = [Self::Root, Self::People, Self::Servers, Self::Documents];

    /// The name in the registry and of the key file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::People => "people",
            Self::Servers => "servers",
            Self::Documents => "documents",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl fmt::Display for AuthorityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a certificate is revoked, RFC 5280 section 5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason given; the extension is left out.
    Unspecified,
    /// Somebody else has or may have the private key: a lost or stolen card.
    KeyCompromise,
    /// Somebody else has or may have the private key of an authority.
    CaCompromise,
    /// The holder's name, mail address or employer changed.
    AffiliationChanged,
    /// A newer certificate stands in its place.
    Superseded,
    /// No longer needed: the holder left.
    CessationOfOperation,
    /// The holder may no longer do what the certificate says.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All of them, in the order of RFC 5280.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// Those for which the certificates of a person can be revoked.
    pub fn of_people() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|reason| *reason != Self::CaCompromise)
    }

    /// The name on the command line and in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a certificate had come when it was put on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Signed, not known to have reached its card.
    Signed,
    /// Read back from the card and exercised.
    Delivered,
}

/// Where a certificate stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CertificateState {
    /// Nothing is stored under this serial number.
    #[default]
    Unknown,
    /// The exact bytes to be signed are stored; a signature may exist after a crash.
    ToBeSigned {
        /// Since when.
        since: Timestamp,
    },
    /// Signed and stored; not known to have reached its card or server.
    Signed {
        /// Since when.
        since: Timestamp,
    },
    /// Read back from the card and exercised, or handed to the server's administrator.
    Delivered {
        /// Since when.
        since: Timestamp,
    },
    /// On the CRLs with certificateHold, until it is released or revoked (RFC 5280 section 5.3.1).
    OnHold {
        /// Since when: the CRL's revocation date.
        since: Timestamp,
        /// What it goes back to.
        reach: Reach,
    },
    /// On the next CRL and every one after.
    Revoked {
        /// When it was recorded: the CRL's revocation date.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
        /// Since when the key was not its holder's alone, where known (invalidity date, RFC 5280 section 5.3.2).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_since: Option<Timestamp>,
    },
}

impl CertificateState {
    /// The state's name, as listings show it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::ToBeSigned { .. } => "to be signed",
            Self::Signed { .. } => "signed",
            Self::Delivered { .. } => "delivered",
            Self::OnHold { .. } => "on hold",
            Self::Revoked { .. } => "revoked",
        }
    }
}

/// A certificate as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Certificate {
    state: CertificateState,
}

/// What is to be done with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateCommand {
    /// Store the bytes to be signed under a new serial number.
    Reserve,
    /// Record the signature.
    RecordSignature,
    /// Record that it was read back and exercised.
    ConfirmDelivery,
    /// Suspend it.
    Hold,
    /// End the suspension.
    Release,
    /// Revoke it; or, where that was done without a reason, give the reason.
    Revoke {
        /// Why.
        reason: RevocationReason,
        /// Since when the key was not its holder's alone, where known; from 1970 on, not in the future.
        invalid_since: Option<Timestamp>,
    },
}

/// What happened to a certificate, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum CertificateEvent {
    /// The bytes to be signed were stored.
    CertificateReserved {
        /// When.
        at: Timestamp,
        /// What; earlier programs did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<Box<ReservedCertificate>>,
    },
    /// It was signed.
    CertificateSigned {
        /// When.
        at: Timestamp,
        /// SHA-256 of the certificate, hex; earlier programs did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
    },
    /// A later attempt at the same card took it over.
    CertificateAdopted {
        /// When.
        at: Timestamp,
        /// Which attempt.
        attempt: u32,
    },
    /// It was read back and exercised.
    CertificateDelivered {
        /// When.
        at: Timestamp,
    },
    /// It was put on hold.
    CertificateHeld {
        /// When.
        at: Timestamp,
    },
    /// It was released from hold.
    CertificateReleased {
        /// When.
        at: Timestamp,
    },
    /// It was revoked.
    CertificateRevoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
        /// Since when the key was not its holder's alone, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_since: Option<Timestamp>,
    },
    /// More became known about its revocation, whose date stays.
    RevocationExplained {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
        /// Since when the key was not its holder's alone, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invalid_since: Option<Timestamp>,
    },
}

impl CertificateEvent {
    /// The same, with what was stored.
    #[must_use]
    pub fn of_reserved(self, what: ReservedCertificate) -> Self {
        match self {
            Self::CertificateReserved { at, .. } => {
                Self::CertificateReserved { at, certificate: Some(Box::new(what)) }
            }
            other => other,
        }
    }

    /// The same, with the SHA-256 of what was signed, hex.
    #[must_use]
    pub fn of_signed(self, digest: String) -> Self {
        match self {
            Self::CertificateSigned { at, .. } => Self::CertificateSigned { at, certificate: Some(digest) },
            other => other,
        }
    }
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateRefusal {
    /// No such serial number.
    #[error("there is no such certificate")]
    Unknown,
    /// Serial numbers are never used again (RFC 5280 section 4.1.2.2).
    #[error("the serial number is taken")]
    SerialNumberTaken,
    /// The step does not follow the state.
    #[error("the certificate is {0}")]
    OutOfOrder(&'static str),
    /// Revoked already, with a reason: that one stands.
    #[error("the certificate was already revoked at {since} ({reason})")]
    AlreadyRevoked {
        /// When.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// An invalidity date after the revocation.
    #[error("the key cannot have become invalid in the future ({invalid_since} is after {now})")]
    InvalidSinceInTheFuture {
        /// As asked.
        invalid_since: Timestamp,
        /// The time of asking.
        now: Timestamp,
    },
    /// An invalidity date that no CRL of ours can say.
    #[error(
        "the key cannot have become invalid before 1970 ({invalid_since}); give a later date, or leave it out"
    )]
    InvalidSinceTooEarly {
        /// As asked.
        invalid_since: Timestamp,
    },
}

/// Whether an invalidity date can stand in a CRL: not before 1970.
pub fn is_sayable(invalid_since: Timestamp) -> bool {
    invalid_since >= Timestamp::UNIX_EPOCH
}

impl Certificate {
    /// Where the certificate stands.
    pub const fn state(&self) -> &CertificateState {
        &self.state
    }

    /// The certificate after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = CertificateEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit the state the certificate is in.
    pub fn decide(
        &self,
        command: CertificateCommand,
        now: Timestamp,
    ) -> Result<CertificateEvent, CertificateRefusal> {
        let out_of_order = || match self.state {
            CertificateState::Unknown => CertificateRefusal::Unknown,
            CertificateState::Revoked { since, reason, .. } => {
                CertificateRefusal::AlreadyRevoked { since, reason }
            }
            _ => CertificateRefusal::OutOfOrder(self.state.name()),
        };
        match (command, &self.state) {
            (CertificateCommand::Reserve, CertificateState::Unknown) => {
                Ok(CertificateEvent::CertificateReserved { at: now, certificate: None })
            }
            (CertificateCommand::Reserve, _) => Err(CertificateRefusal::SerialNumberTaken),
            (CertificateCommand::RecordSignature, CertificateState::ToBeSigned { .. }) => {
                Ok(CertificateEvent::CertificateSigned { at: now, certificate: None })
            }
            (CertificateCommand::ConfirmDelivery, CertificateState::Signed { .. }) => {
                Ok(CertificateEvent::CertificateDelivered { at: now })
            }
            (
                CertificateCommand::Hold,
                CertificateState::Signed { .. } | CertificateState::Delivered { .. },
            ) => Ok(CertificateEvent::CertificateHeld { at: now }),
            (CertificateCommand::Release, CertificateState::OnHold { .. }) => {
                Ok(CertificateEvent::CertificateReleased { at: now })
            }
            (
                CertificateCommand::RecordSignature
                | CertificateCommand::ConfirmDelivery
                | CertificateCommand::Hold
                | CertificateCommand::Release,
                _,
            )
            | (CertificateCommand::Revoke { .. }, CertificateState::Unknown) => Err(out_of_order()),
            (CertificateCommand::Revoke { reason, invalid_since }, _) => {
                self.decide_revocation(reason, invalid_since, now)
            }
        }
    }

    fn decide_revocation(
        &self,
        reason: RevocationReason,
        invalid_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CertificateEvent, CertificateRefusal> {
        match invalid_since {
            Some(invalid_since) if invalid_since > now => {
                return Err(CertificateRefusal::InvalidSinceInTheFuture { invalid_since, now });
            }
            Some(invalid_since) if !is_sayable(invalid_since) => {
                return Err(CertificateRefusal::InvalidSinceTooEarly { invalid_since });
            }
            _ => {}
        }
        let CertificateState::Revoked { since, reason: known_reason, invalid_since: known_since } =
            self.state
        else {
            return Ok(CertificateEvent::CertificateRevoked { at: now, reason, invalid_since });
        };
        let is_open = known_reason == RevocationReason::Unspecified;
        let is_wrong = known_since.is_some_and(|known| !is_sayable(known));
        let invalid_since = invalid_since.or(known_since.filter(|known| is_sayable(*known)));
        if !(is_open || is_wrong) || (reason, invalid_since) == (known_reason, known_since) {
            return Err(CertificateRefusal::AlreadyRevoked { since, reason: known_reason });
        }
        Ok(CertificateEvent::RevocationExplained { at: now, reason, invalid_since })
    }

    /// The certificate after `event`.
    #[must_use]
    pub fn apply(self, event: CertificateEvent) -> Self {
        let state = match (event, self.state) {
            (CertificateEvent::CertificateReserved { at, .. }, _) => {
                CertificateState::ToBeSigned { since: at }
            }
            (CertificateEvent::CertificateSigned { at, .. }, _) => CertificateState::Signed { since: at },
            (CertificateEvent::CertificateAdopted { .. }, state) => state,
            (CertificateEvent::CertificateDelivered { at }, _) => CertificateState::Delivered { since: at },
            (CertificateEvent::CertificateHeld { at }, CertificateState::Signed { .. }) => {
                CertificateState::OnHold { since: at, reach: Reach::Signed }
            }
            (CertificateEvent::CertificateHeld { at }, _) => {
                CertificateState::OnHold { since: at, reach: Reach::Delivered }
            }
            (CertificateEvent::CertificateReleased { at }, state) => match state {
                CertificateState::OnHold { reach: Reach::Signed, .. } => {
                    CertificateState::Signed { since: at }
                }
                _ => CertificateState::Delivered { since: at },
            },
            // Who is revoked out of a hold was not to be believed since the hold: that date stays.
            (
                CertificateEvent::CertificateRevoked { reason, invalid_since, .. },
                CertificateState::OnHold { since, .. },
            ) => CertificateState::Revoked { since, reason, invalid_since },
            (CertificateEvent::CertificateRevoked { at, reason, invalid_since }, _) => {
                CertificateState::Revoked { since: at, reason, invalid_since }
            }
            (
                CertificateEvent::RevocationExplained { reason, invalid_since, .. },
                CertificateState::Revoked { since, .. },
            ) => CertificateState::Revoked { since, reason, invalid_since },
            (CertificateEvent::RevocationExplained { .. }, other) => other,
        };
        Self { state }
    }
}

#[cfg(test)]
mod tests;
