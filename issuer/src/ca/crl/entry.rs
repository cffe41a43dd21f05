//! One entry of a CRL, octet by octet: lists of a million are made of it.
use der::DateTime;
use jiff::Timestamp;
use x509_cert::time::Time;

use super::{RevocationReason, RevokedCertificate};
use crate::ca::certificate::time;
use crate::ca::error::CaError;

/// Encodes entries into a buffer that is used again.
///
/// ```text
/// SEQUENCE  {
///      userCertificate         CertificateSerialNumber,
///      revocationDate          Time,
///      crlEntryExtensions      Extensions OPTIONAL }
/// ```
///
/// The longest entry, with a serial number of 20 octets and both extensions, has 81 octets: every length is one octet.
#[derive(Default)]
pub(crate) struct EntryEncoder {
    entry: Vec<u8>,
    extensions: Vec<u8>,
    /// Revocations come in groups of one time.
    last_date: Option<(Timestamp, Vec<u8>)>,
}

impl EntryEncoder {
    /// The DER of an entry, until the next is encoded.
    pub(crate) fn encode(&mut self, certificate: &RevokedCertificate) -> Result<&[u8], CaError> {
        self.extensions.clear();
        // RFC 5280 section 5.3.1: unspecified (0) is said by leaving the extension out.
        if certificate.reason != RevocationReason::Unspecified {
            self.extensions.extend_from_slice(&REASON_CODE);
            self.extensions.push(certificate.reason.code());
        }
        if let Some(since) = certificate.invalidity_date {
            // Section 5.3.2: GeneralizedTime whatever the year.
            self.extensions.extend_from_slice(&INVALIDITY_DATE);
            self.extensions.extend_from_slice(&generalized_time(date_time(since)?));
        }
        self.entry.clear();
        self.entry.extend_from_slice(&[SEQUENCE, 0]);
        self.append_serial_number(certificate.serial_number.as_bytes());
        self.append_date(certificate.revocation_date)?;
        if !self.extensions.is_empty() {
            self.entry.extend_from_slice(&[SEQUENCE, short(self.extensions.len())?]);
            self.entry.extend_from_slice(&self.extensions);
        }
        let length = short(self.entry.len().saturating_sub(2))?;
        if let Some(octet) = self.entry.get_mut(1) {
            *octet = length;
        }
        Ok(&self.entry)
    }

    /// An INTEGER of at most 20 octets: [`crate::ca::SerialNumber`] sees to that.
    fn append_serial_number(&mut self, number: &[u8]) {
        let sign = number.first().is_some_and(|octet| *octet >= 0x80);
        let length = u8::try_from(number.len()).unwrap_or(u8::MAX);
        self.entry.extend_from_slice(&[INTEGER, length.saturating_add(u8::from(sign))]);
        if sign {
            self.entry.push(0);
        }
        self.entry.extend_from_slice(number);
    }

    fn append_date(&mut self, date: Timestamp) -> Result<(), CaError> {
        let encoded = match self.last_date.take() {
            Some((last, encoded)) if last == date => encoded,
            _ => revocation_date(date)?,
        };
        self.entry.extend_from_slice(&encoded);
        self.last_date = Some((date, encoded));
        Ok(())
    }
}

/// UTCTime through 2049, GeneralizedTime from 2050 on.
fn revocation_date(date: Timestamp) -> Result<Vec<u8>, CaError> {
    Ok(match time(date)? {
        Time::UtcTime(utc) => {
            let digits = digits(utc.to_date_time());
            [&[UTC_TIME, 13][..], digits.get(2..).unwrap_or_default(), b"Z"].concat()
        }
        Time::GeneralTime(general) => {
            [&[GENERALIZED_TIME, 15][..], &generalized_time(general.to_date_time())].concat()
        }
    })
}

fn date_time(timestamp: Timestamp) -> Result<DateTime, CaError> {
    Ok(match time(timestamp)? {
        Time::UtcTime(time) => time.to_date_time(),
        Time::GeneralTime(time) => time.to_date_time(),
    })
}

/// `YYYYMMDDHHMMSSZ`
fn generalized_time(time: DateTime) -> [u8; 15] {
    let mut text = [b'Z'; 15];
    for (octet, digit) in text.iter_mut().zip(digits(time)) {
        *octet = digit;
    }
    text
}

/// `YYYYMMDDHHMMSS`
fn digits(time: DateTime) -> [u8; 14] {
    let digit = |number: u16| b'0' + u8::try_from(number % 10).unwrap_or_default();
    let [month, day] = [time.month(), time.day()].map(u16::from);
    let [hour, minute, second] = [time.hour(), time.minutes(), time.seconds()].map(u16::from);
    let year = time.year();
    [
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        digit(month / 10),
        digit(month),
        digit(day / 10),
        digit(day),
        digit(hour / 10),
        digit(hour),
        digit(minute / 10),
        digit(minute),
        digit(second / 10),
        digit(second),
    ]
}

/// A length of the short form, ITU-T X.690 section 8.1.3.4.
fn short(length: usize) -> Result<u8, CaError> {
    u8::try_from(length)
        .ok()
        .filter(|length| *length < 0x80)
        .ok_or_else(|| CaError::malformed("CRL entry", "it is longer than any entry can be"))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The extension reasonCode (2.5.29.21), not critical, up to the ENUMERATED's only octet.
const REASON_CODE: [u8; 11] = [0x30, 0x0A, 0x06, 0x03, 0x55, 0x1D, 0x15, 0x04, 0x03, 0x0A, 0x01];
/// The extension invalidityDate (2.5.29.24), not critical, up to the GeneralizedTime's 15 characters.
const INVALIDITY_DATE: [u8; 11] = [0x30, 0x18, 0x06, 0x03, 0x55, 0x1D, 0x18, 0x04, 0x11, 0x18, 0x0F];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::SerialNumber;
    use der::{Decode, Encode};
    use proptest::prelude::*;
    use x509_cert::crl::RevokedCert;

    proptest! {
        /// The crate x509-cert reads what is written, and writes the same.
        #[test]
        fn another_encoder_writes_the_same(
            serial in proptest::collection::vec(any::<u8>(), 1..=19),
            date in 0_i64..253_402_207_200,
            reason in 0_usize..8,
            since in proptest::option::of(0_i64..253_402_207_200),
        ) {
            prop_assume!(serial.iter().any(|octet| *octet != 0));
            let certificate = RevokedCertificate {
                serial_number: SerialNumber::from_bytes(&serial).unwrap(),
                revocation_date: Timestamp::from_second(date).unwrap(),
                reason: RevocationReason::ALL[reason],
                invalidity_date: since.map(|since| Timestamp::from_second(since).unwrap()),
            };
            let mut encoder = EntryEncoder::default();
            let first = encoder.encode(&certificate).unwrap().to_vec();
            let read = RevokedCert::<x509_cert::certificate::Rfc5280>::from_der(&first).unwrap();
            prop_assert_eq!(read.to_der().unwrap(), first.clone());
            let significant = serial.iter().position(|octet| *octet != 0).unwrap();
            prop_assert!(read.serial_number.as_bytes().ends_with(&serial[significant..]));
            prop_assert_eq!(read.revocation_date.to_unix_duration().as_secs(), u64::try_from(date).unwrap());
            prop_assert_eq!(encoder.encode(&certificate).unwrap(), first);
        }
    }

    #[test]
    fn the_longest_entry_has_81_octets() {
        let end: Timestamp = "9999-12-30T00:00:00Z".parse().unwrap();
        let longest = RevokedCertificate {
            serial_number: SerialNumber::from_bytes(&[0x7F; 20]).unwrap(),
            revocation_date: end,
            reason: RevocationReason::KeyCompromise,
            invalidity_date: Some(end),
        };
        assert_eq!(EntryEncoder::default().encode(&longest).unwrap().len(), 81);
    }
}
