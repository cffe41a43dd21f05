//! Since when a key was not its holder's alone (invalidity date, RFC 5280 section 5.3.2): not before there was a key.

use jiff::Timestamp;

use super::failure::Failure;
use crate::domain::{CertificateState, RevocationReason};
use crate::registry::CertificateRecord;

/// Refuses a date before the first of these certificates begins that a revocation would be about.
///
/// # Errors
/// `invalidity-date`; the message says which date is the earliest.
pub(super) fn refuse_before_there_was_a_key(
    certificates: &[CertificateRecord],
    since: Option<Timestamp>,
) -> Result<(), Failure> {
    let begin = certificates.iter().filter(|known| can_be_told(known)).map(|known| known.not_before).min();
    let (Some(since), Some(begin)) = (since, begin) else { return Ok(()) };
    // No CRL can say a date before 1970: the domain refuses it, whatever there was.
    if since >= begin || !crate::domain::is_sayable(since) {
        return Ok(());
    }
    let message = format!(
        "{since} is before there was a key whose certificate this could be about: the first begins at {begin}. Nothing was changed; the earliest date is --invalid-since {begin}, or leave it out"
    );
    Err(Failure::new("invalidity-date", message)
        .saying("failed-invalidity-date", &[("since", &since.to_string()), ("begin", &begin.to_string())]))
}

/// Whether a revocation with a date would still change it.
fn can_be_told(certificate: &CertificateRecord) -> bool {
    match certificate.state.state() {
        CertificateState::Revoked { reason, .. } => *reason == RevocationReason::Unspecified,
        _ => true,
    }
}
