//! Certificate revocation lists, RFC 5280 section 5.
//!
//! - this file: what a CRL says;
//! - `encode`: writing one of any length in constant memory;
//! - `view`: reading one without unpacking its entries.
pub(crate) mod encode;
pub(crate) mod view;

use std::fmt;

use jiff::Timestamp;

use super::serial_number::SerialNumber;

/// What a CRL says about itself.
#[derive(Clone, Copy, Debug)]
pub struct CrlHeader {
    /// cRLNumber; grows with each CRL of an authority.
    pub number: u64,
    /// When it is made.
    pub this_update: Timestamp,
    /// When the next will be out at the latest.
    pub next_update: Timestamp,
}

/// One revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Which.
    pub serial_number: SerialNumber,
    /// When it was revoked.
    pub revocation_date: Timestamp,
    /// Why.
    pub reason: RevocationReason,
    /// Since when it is not to be trusted, where that is known to be earlier.
    pub invalidity_date: Option<Timestamp>,
}

/// CRLReason, RFC 5280 section 5.3.1. removeFromCRL (8) is for delta CRLs, aACompromise (10) for attribute
/// authorities; neither is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// 0; never written into a CRL: absence says it.
    Unspecified,
    /// 1
    KeyCompromise,
    /// 2
    CaCompromise,
    /// 3
    AffiliationChanged,
    /// 4
    Superseded,
    /// 5
    CessationOfOperation,
    /// 6
    CertificateHold,
    /// 9
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// The word of the command line: `key-compromise`, `cessation-of-operation`...
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::CaCompromise => "ca-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::CertificateHold => "certificate-hold",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }

    /// The reason of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The number in the CRL.
    pub fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// Every reason, as numbered.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
    ];
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
