//! Serial numbers of certificates, RFC 5280 section 4.1.2.2.
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;

use super::error::CaError;

/// A positive certificate serial number of at most 20 octets; shown as lower-case hexadecimal without
/// leading zero octets.
/// Its octets stand in it, followed by zeros: a CRL may have a million of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SerialNumber {
    octets: [u8; 20],
    length: usize,
}

impl SerialNumber {
    /// A random serial number of exactly 16 octets, 126 bits of them random; below 2^127, so it never needs
    /// a sign octet.
    pub fn random<R: CryptoRng + ?Sized>(random: &mut R) -> Self {
        let mut number = [0; 16];
        random.fill_bytes(&mut number);
        number[0] = number[0] & 0x3F | 0x40;
        let mut octets = [0; 20];
        octets.iter_mut().zip(number).for_each(|(octet, random)| *octet = random);
        Self { octets, length: 16 }
    }

    /// From the octets of a big-endian unsigned integer; leading zero octets are dropped.
    ///
    /// # Errors
    /// Zero, or more than 20 octets as an ASN.1 INTEGER.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, CaError> {
        let start = octets.iter().position(|octet| *octet != 0);
        let significant = start.and_then(|start| octets.get(start..)).unwrap_or_default();
        let sign = usize::from(significant.first().is_some_and(|octet| *octet >= 0x80));
        if significant.is_empty() {
            return Err(CaError::malformed("serial number", "it is zero"));
        }
        let mut octets = [0; 20];
        match octets.get_mut(..significant.len()).filter(|_| significant.len() + sign <= 20) {
            Some(place) => place.copy_from_slice(significant),
            None => return Err(CaError::malformed("serial number", "it is longer than 20 octets")),
        }
        Ok(Self { octets, length: significant.len() })
    }

    /// The octets, big-endian, without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

/// By value.
impl Ord for SerialNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.length, &self.octets).cmp(&(other.length, &other.octets))
    }
}

impl PartialOrd for SerialNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl FromStr for SerialNumber {
    type Err = CaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octets = hex::decode(text).map_err(|error| CaError::malformed("serial number", error))?;
        Self::from_bytes(&octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    #[test]
    fn random_serial_numbers_are_positive_of_sixteen_octets_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let serial_number = SerialNumber::random(&mut UnwrapErr(SysRng));
            assert_eq!(serial_number.as_bytes().len(), 16);
            assert!((0x40..0x80).contains(&serial_number.as_bytes()[0]));
            assert_eq!(serial_number.to_string().parse::<SerialNumber>().unwrap(), serial_number);
            assert!(seen.insert(serial_number));
        }
    }

    #[test]
    fn zero_and_more_than_twenty_octets_are_refused() {
        assert!(SerialNumber::from_bytes(&[0, 0]).is_err());
        assert!(SerialNumber::from_bytes(&[0x7F; 20]).is_ok());
        assert!(SerialNumber::from_bytes(&[0x80; 20]).is_err());
        assert!(SerialNumber::from_bytes(&[1; 21]).is_err());
        assert!("xyz".parse::<SerialNumber>().is_err());
    }

    #[test]
    fn they_are_ordered_by_value() {
        let number = |octets: &[u8]| SerialNumber::from_bytes(octets).unwrap();
        assert!(number(&[0xFF]) < number(&[0x01, 0x00]));
        assert_eq!(number(&[0x00, 0x05]), number(&[0x05]));
    }
}
