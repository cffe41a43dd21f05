//! A CRL and its predecessor: numbers grow, and no revocation is forgotten.
use std::collections::HashSet;

use jiff::Timestamp;

use crate::ca::crl::view::CrlView;
use crate::ca::{CaError, SerialNumber, lint};

/// Why a CRL must not follow its predecessor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlRefusal {
    /// Its number does not grow.
    #[error("its number {new} is not above {old} of the published CRL")]
    NumberDoesNotGrow {
        /// Published, hexadecimal.
        old: String,
        /// Offered, hexadecimal.
        new: String,
    },
    /// A revocation would be forgotten.
    #[error("the revocation of {serial_number}, whose certificate has not expired, is missing")]
    EntryVanished {
        /// Which.
        serial_number: SerialNumber,
    },
    /// It is already stale.
    #[error("it expired {next_update}; make a new one")]
    Stale {
        /// Its nextUpdate.
        next_update: Timestamp,
    },
    /// It lies in the future, or before its predecessor.
    #[error("it says it was made {this_update}, which is {reason}; set the clock right and publish again")]
    MadeAtTheWrongTime {
        /// Its thisUpdate.
        this_update: Timestamp,
        /// `in the future` or `before the published one of TIME`.
        reason: String,
    },
    /// The lint found something.
    #[error("the lint found: {0}")]
    Lint(String),
    /// Not a CRL, or of no authority that is published, or its signature is wrong.
    #[error("{0}")]
    Malformed(String),
}

/// Judges whether `successor` may be published after `predecessor` (both DER; none for the first).
///
/// An entry may be left out once its certificate, by `not_after`, had expired when the predecessor was made:
/// RFC 5280 section 3.3 keeps it until it appeared on one CRL beyond the expiry. One whose certificate is
/// unknown stays.
///
/// # Errors
/// The refusal.
pub fn check_succession(
    predecessor: Option<&[u8]>,
    successor: &[u8],
    now: Timestamp,
    not_after: impl Fn(&SerialNumber) -> Option<Timestamp>,
) -> Result<(), CrlRefusal> {
    let findings = lint::lint_crl(successor).map_err(malformed)?;
    if !findings.is_empty() {
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Err(CrlRefusal::Lint(text.join("; ")));
    }
    let new = CrlView::from_der(successor).map_err(malformed)?;
    check_times(&new, now)?;
    let Some(predecessor) = predecessor.filter(|predecessor| *predecessor != successor) else {
        return Ok(());
    };
    let old = CrlView::from_der(predecessor).map_err(|error| {
        CrlRefusal::Malformed(format!("the published one cannot be compared with ({error})"))
    })?;
    if new.made() < old.made() {
        let reason = format!("before the published one of {}", old.made());
        return Err(CrlRefusal::MadeAtTheWrongTime { this_update: new.made(), reason });
    }
    check_numbers(&old, &new)?;
    check_entries(&old, &new, not_after)
}

fn check_times(new: &CrlView<'_>, now: Timestamp) -> Result<(), CrlRefusal> {
    if new.made() > now {
        return Err(CrlRefusal::MadeAtTheWrongTime {
            this_update: new.made(),
            reason: "in the future".to_owned(),
        });
    }
    match new.next() {
        Some(next_update) if next_update <= now => Err(CrlRefusal::Stale { next_update }),
        _ => Ok(()),
    }
}

fn check_numbers(old: &CrlView<'_>, new: &CrlView<'_>) -> Result<(), CrlRefusal> {
    let (old, new) = (old.number().unwrap_or_default(), new.number().unwrap_or_default());
    if (new.len(), &new) > (old.len(), &old) {
        return Ok(());
    }
    Err(CrlRefusal::NumberDoesNotGrow { old: hex::encode(old), new: hex::encode(new) })
}

fn check_entries(
    old: &CrlView<'_>,
    new: &CrlView<'_>,
    not_after: impl Fn(&SerialNumber) -> Option<Timestamp>,
) -> Result<(), CrlRefusal> {
    let kept = new.serial_numbers().collect::<Result<HashSet<_>, _>>().map_err(malformed)?;
    for serial_number in old.serial_numbers() {
        let serial_number = serial_number.map_err(malformed)?;
        let expired = || not_after(&serial_number).is_some_and(|end| end < old.made());
        if !kept.contains(&serial_number) && !expired() {
            return Err(CrlRefusal::EntryVanished { serial_number });
        }
    }
    Ok(())
}

fn malformed(error: CaError) -> CrlRefusal {
    CrlRefusal::Malformed(error.to_string())
}
