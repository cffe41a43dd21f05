//! A CRL and its predecessor: numbers grow, and no revocation is forgotten.
use std::cmp::Ordering;

use jiff::Timestamp;

pub use super::crl_refusal::CrlRefusal;
use crate::ca::crl::RevocationReason;
use crate::ca::crl::entry_view::EntryView;
use crate::ca::crl::view::CrlView;
use crate::ca::{CaError, SerialNumber, lint};

/// The clock that a publication goes by.
#[derive(Clone, Copy, Debug)]
pub struct TrustedClock {
    /// What it says.
    pub now: Timestamp,
    /// Up to which time recorded things no longer speak against it, because somebody accepted it (`issuer clock accept`):
    /// it had been ahead.
    pub accepted: Option<Timestamp>,
}

impl From<Timestamp> for TrustedClock {
    fn from(now: Timestamp) -> Self {
        Self { now, accepted: None }
    }
}

/// Judges whether `successor` may be published after `predecessor` (both DER, of one authority and one scope; none for
/// the first).
///
/// An entry may be left out once its certificate, by `not_after`, had expired when the predecessor was made:
/// RFC 5280 section 3.3 keeps it until it appeared on one CRL beyond the expiry. One whose certificate is
/// unknown stays. RFC 5280 section 5.2.3 asks for a number that grows, not for a time that does: a predecessor of a clock
/// that was ahead, and that the accepted clock is known to be behind of, does not hold its successors up. Of a delta only number and times are compared: its entries start from a complete CRL.
///
/// # Errors
/// The refusal.
pub fn check_succession(
    predecessor: Option<&[u8]>,
    successor: &[u8],
    clock: impl Into<TrustedClock>,
    not_after: impl Fn(&SerialNumber) -> Option<Timestamp>,
) -> Result<(), CrlRefusal> {
    let findings = lint::lint_crl(successor)?;
    if !findings.is_empty() {
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Err(CrlRefusal::Lint(text.join("; ")));
    }
    let new = CrlView::from_der(successor)?;
    let clock = clock.into();
    check_times(&new, clock.now)?;
    let Some(predecessor) = predecessor.filter(|predecessor| *predecessor != successor) else {
        return Ok(());
    };
    let old = CrlView::from_der(predecessor).map_err(|error| {
        CrlRefusal::Malformed(format!("the published one cannot be compared with ({error})"))
    })?;
    let is_accepted = clock.accepted.is_some_and(|accepted| old.made() <= accepted);
    if new.made() < old.made() && !is_accepted {
        return Err(CrlRefusal::BeforePublished { this_update: new.made(), published: old.made() });
    }
    check_numbers(&old, &new)?;
    if new.is_delta() { Ok(()) } else { check_entries(&old, &new, not_after) }
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

/// Both lists ascend, so that one look at each is enough, however long they are.
fn check_entries(
    old: &CrlView<'_>,
    new: &CrlView<'_>,
    not_after: impl Fn(&SerialNumber) -> Option<Timestamp>,
) -> Result<(), CrlRefusal> {
    let mut kept = ascending(new).peekable();
    for entry in ascending(old) {
        let entry = entry?;
        let order = loop {
            match kept.peek() {
                Some(Ok(new)) => match new.cmp_serial_number(entry.magnitude()) {
                    Ordering::Less => drop(kept.next()),
                    order => break order,
                },
                Some(Err(error)) => return Err(error.clone()),
                None => break Ordering::Greater,
            }
        };
        if order != Ordering::Equal {
            let serial_number = serial_number(&entry)?;
            // A hold may end, and its entry with it (RFC 5280 section 5.3.1).
            let was_on_hold =
                || Ok::<_, CaError>(entry.revoked()?.reason == RevocationReason::CertificateHold);
            let made = old.made().min(new.made());
            if not_after(&serial_number).is_none_or(|end| end >= made) && !was_on_hold()? {
                return Err(CrlRefusal::EntryVanished { serial_number });
            }
        }
    }
    // What follows the last common entry must be in order too.
    kept.try_for_each(|entry| entry.map(drop))
}

/// The entries of a CRL, each above the one before.
pub(super) fn ascending<'a>(
    crl: &CrlView<'a>,
) -> impl Iterator<Item = Result<EntryView<'a>, CrlRefusal>> + use<'a> {
    let mut previous: Option<&'a [u8]> = None;
    crl.entries().map(move |entry| {
        let entry = entry.map_err(CrlRefusal::from)?;
        if previous.is_some_and(|previous| entry.cmp_serial_number(previous).is_le()) {
            return Err(CrlRefusal::NotInOrder);
        }
        previous = Some(entry.magnitude());
        Ok(entry)
    })
}

pub(super) fn serial_number(entry: &EntryView<'_>) -> Result<SerialNumber, CaError> {
    SerialNumber::from_bytes(entry.magnitude())
}
