//! Certificate revocation lists, RFC 5280 section 5.
//!
//! - this file: what a CRL says; [`partition`]: which certificates one of several covers; [`name`]: its file;
//! - `encode`: writing one of any length in constant memory; `entry`: one entry; `extensions`: what it says of itself;
//! - `view`: reading one without unpacking its entries; `entry_view`: one of these;
//! - `difference`: what a delta CRL says.
pub(crate) mod difference;
pub(crate) mod encode;
pub(crate) mod entry;
pub(crate) mod entry_view;
pub(crate) mod extensions;
pub mod name;
pub mod partition;
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

/// Which certificates a CRL speaks about, and how it stands to others. The default is a complete CRL that covers all
/// certificates of its authority and has no delta.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrlScope {
    /// For a partition, its distribution point, byte for byte as its certificates name it (issuingDistributionPoint,
    /// section 5.2.5).
    pub distribution_point: Option<String>,
    /// For a delta CRL, the number of the complete CRL that it starts from (deltaCRLIndicator, section 5.2.4).
    pub base_number: Option<u64>,
    /// For a complete CRL, where its deltas lie (freshestCRL, section 5.2.6).
    pub freshest: Option<String>,
    /// From when on entries are kept although their certificates expired (expiredCertsOnCRL, X.509 section 9.5.2.8).
    pub keeps_expired_since: Option<Timestamp>,
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

/// CRLReason, RFC 5280 section 5.3.1. aACompromise (10) is for attribute authorities and not made here.
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
    /// 8; only in delta CRLs: the base's entry no longer holds.
    RemoveFromCrl,
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
            Self::RemoveFromCrl => "remove-from-crl",
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
            Self::RemoveFromCrl => 8,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason of that number; `None` also for [`Self::Unspecified`], which is never written.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            8 => Some(Self::RemoveFromCrl),
            0 => None,
            _ => Self::ALL.into_iter().find(|reason| reason.code() == code),
        }
    }

    /// Every reason for which a certificate is revoked, as numbered.
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
