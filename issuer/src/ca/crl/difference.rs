//! What a delta CRL says: what has changed since its base. RFC 5280 section 5.2.4.
use std::cmp::Ordering;
use std::iter::Peekable;

use super::entry::EntryEncoder;
use super::entry_view::EntryView;
use super::view::CrlView;
use super::{RevocationReason, RevokedCertificate};
use crate::ca::error::CaError;

/// Entries of the delta that turns a base into what is true now: new and changed ones, and removeFromCRL for those that
/// no longer hold. Both sides ascend by serial number; so does the answer.
pub(crate) struct Difference<'a, C: Iterator<Item = &'a RevokedCertificate>> {
    base: Peekable<Box<dyn Iterator<Item = Result<EntryView<'a>, CaError>> + 'a>>,
    current: Peekable<C>,
    encoder: EntryEncoder,
}

impl<'a, C: Iterator<Item = &'a RevokedCertificate>> Difference<'a, C> {
    pub(crate) fn new(base: &CrlView<'a>, current: C) -> Self {
        let entries: Box<dyn Iterator<Item = _>> = Box::new(base.entries());
        Self { base: entries.peekable(), current: current.peekable(), encoder: EntryEncoder::default() }
    }

    /// The next step of the merge; `None` where both say the same.
    fn step(&mut self) -> Result<Option<RevokedCertificate>, CaError> {
        let order = match (self.base.peek(), self.current.peek()) {
            (Some(Ok(old)), Some(new)) => old.cmp_serial_number(new.serial_number.as_bytes()),
            (Some(_), _) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.base.next().transpose()?.as_ref().map(removed).transpose(),
            Ordering::Greater => Ok(self.current.next().cloned()),
            Ordering::Equal => {
                let old = self.base.next().transpose()?;
                let Some(new) = self.current.next() else { return Ok(None) };
                let same = old.is_some_and(|old| self.encoder.encode(new).is_ok_and(|new| new == old.der));
                Ok((!same).then(|| new.clone()))
            }
        }
    }
}

impl<'a, C: Iterator<Item = &'a RevokedCertificate>> Iterator for Difference<'a, C> {
    type Item = Result<RevokedCertificate, CaError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.base.peek().is_some() || self.current.peek().is_some() {
            match self.step() {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// Section 5.3.1: removeFromCRL, for a hold that was lifted or a certificate that expired.
fn removed(entry: &EntryView<'_>) -> Result<RevokedCertificate, CaError> {
    let entry = entry.revoked()?;
    Ok(RevokedCertificate { reason: RevocationReason::RemoveFromCrl, invalidity_date: None, ..entry })
}
