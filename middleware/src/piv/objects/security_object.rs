//! Security object: the hashes of other data objects, signed by who issued the card (SP 800-73-5 Part 1 section 3.1.7).
use crate::apdu::ber_tlv::{append, find};
use crate::piv::{CardError, DataObject};

/// The parts of a security object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityObject {
    /// Tag BA: which data group of the signed list is which container.
    pub containers: Vec<(u8, u16)>,
    /// Tag BB: CMS `SignedData` over the list of hashes.
    pub signed: Vec<u8>,
}

impl SecurityObject {
    /// The contents of `53`: `BA mapping, BB signed list, FE`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mapping: Vec<u8> = self
            .containers
            .iter()
            .flat_map(|(group, container)| {
                let [high, low] = container.to_be_bytes();
                [*group, high, low]
            })
            .collect();
        let mut contents = Vec::with_capacity(self.signed.len() + mapping.len() + 16);
        append(&mut contents, 0xBA, &mapping);
        append(&mut contents, 0xBB, &self.signed);
        append(&mut contents, 0xFE, &[]);
        contents
    }

    /// Reads the contents of `53`.
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CardError> {
        let malformed = || CardError::MalformedAnswer("a security object without its parts".to_owned());
        let mapping = find(bytes, 0xBA)?.ok_or_else(malformed)?;
        let (triples, rest) = mapping.as_chunks::<3>();
        if !rest.is_empty() {
            return Err(malformed());
        }
        Ok(Self {
            containers: triples
                .iter()
                .map(|[group, high, low]| (*group, u16::from_be_bytes([*high, *low])))
                .collect(),
            signed: find(bytes, 0xBB)?.ok_or_else(malformed)?.to_vec(),
        })
    }
}

impl DataObject {
    /// The container identifier that a security object knows a data object by (Part 1 table 8), for those that it covers
    /// here.
    pub const fn container(self) -> Option<u16> {
        match self {
            Self::CARD_CAPABILITY_CONTAINER => Some(0xDB00),
            Self::CHUID => Some(0x3000),
            Self::KEY_HISTORY => Some(0x6060),
            Self::DISCOVERY => Some(0x6050),
            Self::PRINTED_INFORMATION => Some(0x3001),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_security_object_reads_back() {
        let object = SecurityObject { containers: vec![(1, 0xDB00), (2, 0x3000)], signed: vec![0x30, 0] };
        let contents = object.to_bytes();
        assert_eq!(contents, [0xBA, 6, 1, 0xDB, 0, 2, 0x30, 0, 0xBB, 2, 0x30, 0, 0xFE, 0]);
        assert_eq!(SecurityObject::from_bytes(&contents).unwrap(), object);
        assert!(SecurityObject::from_bytes(&contents[8..]).is_err());
        assert!(SecurityObject::from_bytes(&[0xBA, 2, 1, 0xDB, 0xBB, 0]).is_err());
    }
}
