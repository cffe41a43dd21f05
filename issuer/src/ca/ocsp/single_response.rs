//! The state of one certificate: RFC 6960 section 4.2.1.
use der::asn1::{GeneralizedTime, Null};
use der::{Choice, Sequence};
use jiff::Timestamp;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::time::Time;

use super::cert_id::CertId;
use crate::ca::certificate::{time, timestamp};
use crate::ca::crl::RevocationReason;
use crate::ca::error::CaError;

/// What is known of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateState {
    /// It was issued and is not revoked.
    Good,
    /// It is revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// No such certificate was issued.
    Unknown,
}

/// A state and when it was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateAt {
    /// The state.
    pub state: CertificateState,
    /// thisUpdate: when this was known to be so.
    pub this_update: Timestamp,
    /// nextUpdate: when there will be newer information.
    pub next_update: Timestamp,
}

/// ```text
/// SingleResponse ::= SEQUENCE {
///    certID                       CertID,
///    certStatus                   CertStatus,
///    thisUpdate                   GeneralizedTime,
///    nextUpdate         [0]       EXPLICIT GeneralizedTime OPTIONAL,
///    singleExtensions   [1]       EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(crate) struct SingleResponse {
    pub(crate) cert_id: CertId,
    cert_status: CertStatus,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    single_extensions: Option<Vec<Extension>>,
}

impl SingleResponse {
    pub(crate) fn new(cert_id: CertId, state: StateAt) -> Result<Self, CaError> {
        let cert_status = match state.state {
            CertificateState::Good => CertStatus::Good(Null),
            CertificateState::Unknown => CertStatus::Unknown(Null),
            CertificateState::Revoked { at, reason } => CertStatus::Revoked(RevokedInfo {
                revocation_time: generalized_time(at)?,
                revocation_reason: crl_reason(reason),
            }),
        };
        Ok(Self {
            cert_id,
            cert_status,
            this_update: generalized_time(state.this_update)?,
            next_update: Some(generalized_time(state.next_update)?),
            single_extensions: None,
        })
    }

    /// What it says; `None` for a reason or form that is not ours.
    pub(crate) fn state(&self) -> Option<StateAt> {
        let at = |time: GeneralizedTime| timestamp(Time::GeneralTime(time));
        let state = match self.cert_status {
            CertStatus::Good(_) => CertificateState::Good,
            CertStatus::Unknown(_) => CertificateState::Unknown,
            CertStatus::Revoked(info) => CertificateState::Revoked {
                at: at(info.revocation_time),
                reason: match info.revocation_reason {
                    None => RevocationReason::Unspecified,
                    Some(reason) => RevocationReason::from_code(u8::try_from(reason as u32).ok()?)?,
                },
            },
        };
        Some(StateAt { state, this_update: at(self.this_update), next_update: at(self.next_update?) })
    }
}

/// ```text
/// CertStatus ::= CHOICE {
///    good        [0]     IMPLICIT NULL,
///    revoked     [1]     IMPLICIT RevokedInfo,
///    unknown     [2]     IMPLICIT UnknownInfo }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
enum CertStatus {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

/// ```text
/// RevokedInfo ::= SEQUENCE {
///    revocationTime              GeneralizedTime,
///    revocationReason    [0]     EXPLICIT CRLReason OPTIONAL }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
struct RevokedInfo {
    revocation_time: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    revocation_reason: Option<CrlReason>,
}

/// The same words as in a CRL: unspecified is said by leaving it out.
fn crl_reason(reason: RevocationReason) -> Option<CrlReason> {
    Some(match reason {
        RevocationReason::Unspecified => return None,
        RevocationReason::KeyCompromise => CrlReason::KeyCompromise,
        RevocationReason::CaCompromise => CrlReason::CaCompromise,
        RevocationReason::AffiliationChanged => CrlReason::AffiliationChanged,
        RevocationReason::Superseded => CrlReason::Superseded,
        RevocationReason::CessationOfOperation => CrlReason::CessationOfOperation,
        RevocationReason::CertificateHold => CrlReason::CertificateHold,
        RevocationReason::RemoveFromCrl => CrlReason::RemoveFromCRL,
        RevocationReason::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
    })
}

pub(crate) fn generalized_time(timestamp: Timestamp) -> Result<GeneralizedTime, CaError> {
    Ok(match time(timestamp)? {
        Time::UtcTime(time) => GeneralizedTime::from_date_time(time.to_date_time()),
        Time::GeneralTime(time) => time,
    })
}
