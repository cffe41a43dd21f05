//! One entry of somebody's CRL, where it stands.
use std::cmp::Ordering;

use der::Decode;
use der::asn1::GeneralizedTime;
use jiff::Timestamp;
use x509_cert::ext::Extension;
use x509_cert::time::Time;

use super::{RevocationReason, RevokedCertificate};
use crate::ca::certificate::timestamp;
use crate::ca::error::CaError;
use crate::ca::serial_number::SerialNumber;

/// One parsed entry; its parts are slices of the CRL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryView<'a> {
    /// The whole entry, its header included.
    pub(crate) der: &'a [u8],
    /// The content octets of the INTEGER.
    pub(crate) serial_number: &'a [u8],
    /// `revocationDate` with its header, of the form of a UTCTime or GeneralizedTime of DER.
    pub(crate) date: &'a [u8],
    /// The content octets of `crlEntryExtensions`.
    extensions: Option<&'a [u8]>,
}

impl<'a> EntryView<'a> {
    /// Takes the first entry of a list; answers it and what follows.
    pub(super) fn split(list: &'a [u8]) -> Result<(Self, &'a [u8]), CaError> {
        let (tag, fields, rest) = element(list).ok_or_else(broken)?;
        let der = list.get(..list.len() - rest.len()).ok_or_else(broken)?;
        let (number_tag, serial_number, after_number) = element(fields).ok_or_else(broken)?;
        if tag != SEQUENCE || number_tag != INTEGER || !is_shortest(serial_number) {
            return Err(broken());
        }
        let (date_tag, digits, after_date) = element(after_number).ok_or_else(broken)?;
        let date = after_number.get(..after_number.len() - after_date.len()).ok_or_else(broken)?;
        if !matches!((date_tag, digits.len()), (UTC_TIME, 13) | (GENERALIZED_TIME, 15)) {
            return Err(broken());
        }
        let extensions = match after_date {
            [] => None,
            _ => match element(after_date) {
                Some((SEQUENCE, content, [])) => Some(content),
                _ => return Err(broken()),
            },
        };
        Ok((Self { der, serial_number, date, extensions }, rest))
    }

    /// `revocationDate`, decoded.
    pub(crate) fn revocation_date(&self) -> Result<Time, CaError> {
        Time::from_der(self.date).map_err(malformed)
    }

    /// crlEntryExtensions as they stand there; entries with the same octets have the same ones.
    pub(crate) fn raw_extensions(&self) -> Option<&'a [u8]> {
        self.extensions
    }

    /// crlEntryExtensions, decoded.
    pub(crate) fn extensions(&self) -> Result<Vec<Extension>, CaError> {
        let mut rest = self.extensions.unwrap_or_default();
        let mut extensions = Vec::new();
        while !rest.is_empty() {
            let (_, _, after) = element(rest).ok_or_else(broken)?;
            let one = rest.get(..rest.len() - after.len()).ok_or_else(broken)?;
            extensions.push(Extension::from_der(one).map_err(malformed)?);
            rest = after;
        }
        Ok(extensions)
    }

    /// Whether it takes an entry of the base back (removeFromCRL).
    pub(crate) fn removes(&self) -> Result<bool, CaError> {
        match self.extensions {
            None => Ok(false),
            Some(_) => Ok(self.revoked()?.reason == RevocationReason::RemoveFromCrl),
        }
    }

    /// The serial number by value: without the sign octet.
    pub(crate) fn magnitude(&self) -> &'a [u8] {
        match self.serial_number {
            [0, magnitude @ ..] if !magnitude.is_empty() => magnitude,
            number => number,
        }
    }

    /// Compares serial numbers by value.
    pub(crate) fn cmp_serial_number(&self, magnitude: &[u8]) -> Ordering {
        let own = self.magnitude();
        (own.len(), own).cmp(&(magnitude.len(), magnitude))
    }

    /// What the entry says, in our own words.
    pub(crate) fn revoked(&self) -> Result<RevokedCertificate, CaError> {
        let mut revoked = RevokedCertificate {
            serial_number: SerialNumber::from_bytes(self.magnitude())?,
            revocation_date: timestamp(self.revocation_date()?),
            reason: RevocationReason::Unspecified,
            invalidity_date: None,
        };
        for extension in self.extensions()? {
            match (extension.extn_id, extension.extn_value.as_bytes()) {
                (const_oid::db::rfc5280::ID_CE_CRL_REASONS, [ENUMERATED, 1, code]) => {
                    revoked.reason = RevocationReason::from_code(*code).ok_or_else(broken)?;
                }
                (const_oid::db::rfc5280::ID_CE_INVALIDITY_DATE, der) => {
                    revoked.invalidity_date = Some(invalidity_date(der)?);
                }
                _ => return Err(broken()),
            }
        }
        Ok(revoked)
    }
}

fn invalidity_date(der: &[u8]) -> Result<Timestamp, CaError> {
    let time = GeneralizedTime::from_der(der).map_err(malformed)?;
    Ok(timestamp(Time::GeneralTime(time)))
}

/// ITU-T X.690 section 8.3.2: nine bits alike at the beginning are one octet too many.
fn is_shortest(integer: &[u8]) -> bool {
    match integer {
        [] => false,
        [0, second, ..] => *second >= 0x80,
        [0xFF, second, ..] => *second < 0x80,
        _ => true,
    }
}

/// Splits off the first element: identifier octet, contents, what follows. DER: definite lengths, as short as can be;
/// no tag number above 30 occurs in a CRL.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let length = octets.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
            let is_shortest = octets.first()? != &0 && length >= 0x80;
            is_shortest.then_some((length, rest))?
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    (tag & 0x1F != 0x1F).then_some((*tag, contents, rest))
}

fn broken() -> CaError {
    CaError::malformed("CRL", "an entry is not of the form of one")
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("CRL", error)
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0A;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
