//! When a CRL says that something was revoked: not after the CRL was made, and of what is final never later than was
//! published before.
//!
//! While the clock was doubted, a revocation was recorded as of the newest thing known (`Office::time_to_revoke`). If that
//! had a time of a clock that was ahead, and the clock is accepted now, this time is still to come; readers that compare it
//! with their clock would believe the certificate until then. RFC 5280 section 5.1.2.6 has the date on which the revocation
//! occurred, which is past.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::super::failure::Failure;
use crate::ca::crl::view::CrlView;
use crate::ca::crl::{RevocationReason, RevokedCertificate};

/// Sets the dates of a CRL that is made `now`; entries ascend by serial number, here and in the `predecessor`, DER: that is
/// none where all its dates are those of the registry.
///
/// # Errors
/// An entry of the predecessor is none.
pub(super) fn settle(
    revoked: &mut [RevokedCertificate],
    predecessor: Option<&[u8]>,
    now: Timestamp,
) -> Result<(), Failure> {
    if let Some(predecessor) = predecessor {
        keep_published(revoked, predecessor)?;
    }
    not_after(revoked, now);
    Ok(())
}

fn not_after(revoked: &mut [RevokedCertificate], now: Timestamp) {
    for entry in revoked {
        entry.revocation_date = entry.revocation_date.min(now);
    }
}

/// What is revoked for good was revoked when it was first published to be. A hold may have ended in between, and this be
/// another one. A predecessor that is damaged is refused when the new CRL is compared with it.
fn keep_published(revoked: &mut [RevokedCertificate], predecessor: &[u8]) -> Result<(), Failure> {
    let Ok(predecessor) = CrlView::from_der(predecessor) else { return Ok(()) };
    let mut rest = revoked.iter_mut().peekable();
    for published in predecessor.entries() {
        let published = published?;
        let order = |entry: &RevokedCertificate| published.cmp_serial_number(entry.serial_number.as_bytes());
        while rest.next_if(|entry| order(entry) == Ordering::Greater).is_some() {}
        let Some(entry) = rest.next_if(|entry| order(entry).is_eq()) else { continue };
        let said = published.revoked()?;
        if said.reason != RevocationReason::CertificateHold {
            entry.revocation_date = entry.revocation_date.min(said.revocation_date);
        }
    }
    Ok(())
}
