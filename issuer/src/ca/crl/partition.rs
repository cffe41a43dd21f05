//! Partitions: several short CRLs in the place of a long one.
//!
//! Which partition speaks about a certificate follows from its serial number alone, and stands in the certificate
//! (cRLDistributionPoints). So the number of partitions belongs to a CA key for as long as its certificates live.
use std::fmt;
use std::num::NonZeroU16;

use super::RevokedCertificate;
use crate::ca::serial_number::SerialNumber;

/// Into how many partitions the certificates of an authority are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(NonZeroU16);

impl Partitions {
    /// 2 to 1024.
    pub fn new(count: u16) -> Option<Self> {
        NonZeroU16::new(count).filter(|_| (2..=1024).contains(&count)).map(Self)
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0.get()
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = Partition> {
        (0..self.0.get()).map(move |index| Partition { count: self.0, index })
    }

    /// Which of these each partition speaks about; the order stays.
    pub fn divide(self, revoked: &[RevokedCertificate]) -> Vec<(Partition, Vec<&RevokedCertificate>)> {
        let mut parts: Vec<_> = self.all().map(|partition| (partition, Vec::new())).collect();
        for entry in revoked {
            let index = usize::from(self.of(&entry.serial_number).index);
            if let Some((_, part)) = parts.get_mut(index) {
                part.push(entry);
            }
        }
        parts
    }

    /// The one that speaks about a certificate: serial number modulo count. Our serial numbers are random, so that the
    /// partitions are of about one length.
    pub fn of(self, serial_number: &SerialNumber) -> Partition {
        let count = u32::from(self.0.get());
        let remainder = serial_number
            .as_bytes()
            .iter()
            .fold(0_u32, |rest, octet| (rest * 256 + u32::from(*octet)) % count);
        Partition { count: self.0, index: u16::try_from(remainder).unwrap_or_default() }
    }
}

/// One of the partitions; shown as in file names: `16-3` is the fourth of sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    count: NonZeroU16,
    index: u16,
}

impl Partition {
    /// The set that it is one of.
    pub fn siblings(self) -> Partitions {
        Partitions(self.count)
    }

    /// Its number, from 0.
    pub fn index(self) -> u16 {
        self.index
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, index) = text.split_once('-')?;
        let count = Partitions::new(count.parse().ok()?)?;
        let partition = count.all().nth(index.parse().ok()?)?;
        (partition.to_string() == text).then_some(partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.count, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_the_remainder() {
        let number = |octets: &[u8]| SerialNumber::from_bytes(octets).unwrap();
        let partitions = Partitions::new(1000).unwrap();
        assert_eq!(partitions.of(&number(&[0x01, 0x00])).index(), 256);
        assert_eq!(partitions.of(&number(&[0x03, 0xE9])).index(), 1);
        // 2^152 - 1 modulo 1000, as python says.
        assert_eq!(partitions.of(&number(&[0xFF; 19])).index(), 495);
    }

    #[test]
    fn names_read_back_and_others_do_not() {
        let third = Partitions::new(16).unwrap().all().nth(3).unwrap();
        assert_eq!(third.to_string(), "16-3");
        assert_eq!(Partition::parse("16-3"), Some(third));
        for text in ["16-16", "1-0", "0-0", "16", "16-", "016-3", "16-+3", "-1-3", "70000-1", "16-3-1"] {
            assert_eq!(Partition::parse(text), None, "{text}");
        }
    }
}
