//! One entry of a CRL as its index holds it ([`super::crl_index`]).
use jiff::Timestamp;

use super::crl_entry::{Listing, Revocation, RevocationReason};

const REASON: u8 = 1;
const INVALID_SINCE: u8 = 2;
const ISSUER: u8 = 4;
const REMOVED: u8 = 8;

/// Dates count from the year 1, in 5 octets.
const YEAR_ONE: i64 = -62_135_596_800;

/// The longest serial number of a certificate that is read.
pub(super) const LONGEST_SERIAL_NUMBER: usize = 64;

/// An entry.
pub(super) struct Record<'a> {
    pub(super) serial_number: &'a [u8],
    pub(super) listing: Listing,
    /// 0: the CRL's issuer; otherwise the name with this number.
    pub(super) issuer: u16,
}

/// The serial number with which a record begins.
pub(super) fn serial_number(record: &[u8]) -> Option<&[u8]> {
    let (length, rest) = record.split_first()?;
    rest.get(..usize::from(*length))
}

impl<'a> Record<'a> {
    /// Appends the record.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let (revocation, removed) = match &self.listing {
            Listing::Revoked(revocation) => (Some(revocation), false),
            Listing::Removed | Listing::Absent => (None, true),
        };
        let reason = revocation.and_then(|found| found.reason);
        let invalid_since = revocation.and_then(|found| found.invalid_since);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        to.push(u8::try_from(self.serial_number.len()).unwrap_or(u8::MAX));
        to.extend_from_slice(self.serial_number);
        to.push(
            flag(reason.is_some(), REASON)
                | flag(invalid_since.is_some(), INVALID_SINCE)
                | flag(self.issuer != 0, ISSUER)
                | flag(removed, REMOVED),
        );
        to.extend_from_slice(&date(revocation.map_or(Timestamp::UNIX_EPOCH, |found| found.at)));
        to.extend(reason.map(RevocationReason::code));
        to.extend(invalid_since.map(date).into_iter().flatten());
        if self.issuer != 0 {
            to.extend_from_slice(&self.issuer.to_be_bytes());
        }
    }

    /// Reads a record and answers what follows it.
    pub(super) fn read(from: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let serial_number = serial_number(from)?;
        let (flags, rest) = from.get(1 + serial_number.len()..)?.split_first()?;
        let (at, mut rest) = rest.split_first_chunk::<5>()?;
        let mut revocation = Revocation { at: moment(*at)?, reason: None, invalid_since: None };
        if flags & REASON != 0 {
            let (reason, after) = rest.split_first()?;
            revocation.reason = RevocationReason::from_code(*reason);
            rest = after;
        }
        if flags & INVALID_SINCE != 0 {
            let (since, after) = rest.split_first_chunk::<5>()?;
            revocation.invalid_since = Some(moment(*since)?);
            rest = after;
        }
        let mut issuer = 0;
        if flags & ISSUER != 0 {
            let (ordinal, after) = rest.split_first_chunk::<2>()?;
            issuer = u16::from_be_bytes(*ordinal);
            rest = after;
        }
        let listing = if flags & REMOVED == 0 { Listing::Revoked(revocation) } else { Listing::Removed };
        Some((Self { serial_number, listing, issuer }, rest))
    }
}

fn date(moment: Timestamp) -> [u8; 5] {
    let seconds = u64::try_from(moment.as_second().saturating_sub(YEAR_ONE)).unwrap_or(0);
    let [_, _, _, date @ ..] = seconds.to_be_bytes();
    date
}

fn moment(date: [u8; 5]) -> Option<Timestamp> {
    let seconds = date.iter().fold(0_i64, |seconds, octet| (seconds << 8) | i64::from(*octet));
    Timestamp::from_second(seconds.saturating_add(YEAR_ONE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let at: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let since: Timestamp = "1949-01-01T00:00:00Z".parse().unwrap();
        let revoked = |reason, invalid_since| Listing::Revoked(Revocation { at, reason, invalid_since });
        let listings = [
            revoked(None, None),
            revoked(Some(RevocationReason::KeyCompromise), Some(since)),
            revoked(None, Some(since)),
            Listing::Removed,
        ];
        for listing in listings {
            for issuer in [0, 1, 700] {
                let mut bytes = Vec::new();
                Record { serial_number: &[0x7F, 1, 2], listing: listing.clone(), issuer }.write(&mut bytes);
                bytes.push(9);
                let (read, rest) = Record::read(&bytes).unwrap();
                assert_eq!((read.serial_number, read.issuer, rest), (&[0x7F, 1, 2][..], issuer, &[9][..]));
                assert_eq!(read.listing, listing);
                assert!(Record::read(&bytes[..bytes.len() - 2]).is_none());
            }
        }
    }
}
