//! Card holder unique identifier (SP 800-73-5 Part 1 section 3.1.2).
use crate::apdu::ber_tlv::{append, find};
use crate::piv::CardError;

/// Contents of a CHUID; its issuer signature (3E) is empty unless one is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chuid {
    /// Card UUID, tag 34.
    pub guid: [u8; 16],
    /// Tag 35, `YYYYMMDD`.
    pub expiration: [u8; 8],
}

impl Chuid {
    /// The contents of `53`: `30 FASC-N, 34 GUID, 35 expiration, 3E, FE`. The FASC-N is that of a non-federal issuer
    /// (agency 9999), so that hosts take the GUID as the card's identity.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_signed(&[])
    }

    /// Likewise, with the issuer's signature over [`Self::to_be_signed`].
    pub fn to_bytes_signed(&self, signature: &[u8]) -> Vec<u8> {
        let mut contents = self.identity();
        append(&mut contents, 0x3E, signature);
        append(&mut contents, 0xFE, &[]);
        contents
    }

    /// What the issuer signs: every element but the signature itself (Part 1 section 3.1.2.1).
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut contents = self.identity();
        append(&mut contents, 0xFE, &[]);
        contents
    }

    /// The issuer's signature in the contents of `53`; none where it is empty.
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`].
    pub fn signature(contents: &[u8]) -> Result<Option<&[u8]>, CardError> {
        Ok(find(contents, 0x3E)?.filter(|signature| !signature.is_empty()))
    }

    fn identity(&self) -> Vec<u8> {
        let mut contents = Vec::with_capacity(64);
        append(&mut contents, 0x30, &non_federal_fasc_n());
        append(&mut contents, 0x34, &self.guid);
        append(&mut contents, 0x35, &self.expiration);
        contents
    }

    /// Reads the contents of `53`; FASC-N, signature and elements of older editions are passed over.
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`] without a GUID of 16 or a date of 8 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CardError> {
        let guid = find(bytes, 0x34)?.and_then(|value| value.try_into().ok());
        let expiration = find(bytes, 0x35)?.and_then(|value| value.try_into().ok());
        match (guid, expiration) {
            (Some(guid), Some(expiration)) => Ok(Self { guid, expiration }),
            _ => Err(CardError::MalformedAnswer("a CHUID without GUID or expiration date".to_owned())),
        }
    }
}

/// Start sentinel, field separator and end sentinel of a FASC-N, already with parity.
const START: u8 = 0b11010;
const SEPARATOR: u8 = 0b10110;
const END: u8 = 0b11111;

/// Agency, system, credential, series, issue, person with category, organisation and association: 9999 for "not a
/// federal agency", the rest as a lone issuer fills it.
const FIELDS: [&str; 6] = ["9999", "9999", "999999", "0", "1", "0000000000300001"];

/// 40 characters of 5 bits: a digit's four bits, lowest first, and odd parity; the last is the check over all others.
fn non_federal_fasc_n() -> [u8; 25] {
    let mut characters = vec![START];
    for (number, field) in FIELDS.iter().enumerate() {
        if number > 0 {
            characters.push(SEPARATOR);
        }
        characters.extend(field.bytes().map(|digit| character(digit - b'0')));
    }
    characters.push(END);
    let check = characters.iter().fold(0, |check, character| check ^ character);
    characters.push(with_parity(check & 0b11110));

    let mut bytes = [0; 25];
    for (byte, eight) in bytes.iter_mut().enumerate() {
        for bit in 0..8 {
            let position = byte * 8 + bit;
            let character = characters.get(position / 5).copied().unwrap_or_default();
            *eight = *eight << 1 | (character >> (4 - position % 5) & 1);
        }
    }
    bytes
}

fn character(digit: u8) -> u8 {
    with_parity((digit & 1) << 4 | (digit & 2) << 2 | (digit & 4) | (digit & 8) >> 2)
}

fn with_parity(four_bits: u8) -> u8 {
    four_bits | u8::from(four_bits.count_ones().is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chuid_reads_back_and_is_59_bytes() {
        let chuid = Chuid { guid: [0x5A; 16], expiration: *b"20301231" };
        let contents = chuid.to_bytes();
        assert_eq!(contents.len(), 0x3B);
        assert_eq!(Chuid::from_bytes(&contents).unwrap(), chuid);
        assert!(Chuid::from_bytes(&contents[..40]).is_err());
        assert!(Chuid::from_bytes(&[]).is_err());
    }

    #[test]
    fn a_signed_chuid_holds_what_was_signed_around_its_signature() {
        let chuid = Chuid { guid: [0x5A; 16], expiration: *b"20301231" };
        let contents = chuid.to_bytes_signed(&[1, 2, 3]);
        assert_eq!(Chuid::from_bytes(&contents).unwrap(), chuid);
        assert_eq!(Chuid::signature(&contents).unwrap(), Some(&[1, 2, 3][..]));
        assert_eq!(Chuid::signature(&chuid.to_bytes()).unwrap(), None);
        let without: Vec<u8> = [&contents[..55], &contents[60..]].concat();
        assert_eq!(without, chuid.to_be_signed());
    }

    /// Every character has odd parity, the columns of all characters cancel out, and hosts recognise agency 9999 by
    /// the first three bytes.
    #[test]
    fn the_fasc_n_keeps_its_parities() {
        let bytes = non_federal_fasc_n();
        assert_eq!(hex::encode(bytes), "d4e739da739ced39ce739d836858210842108421c84210c3eb");
        let bits: Vec<u8> =
            bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
        let characters: Vec<&[u8]> = bits.chunks(5).collect();
        assert_eq!(characters.len(), 40);
        for character in &characters {
            assert_eq!(character.iter().sum::<u8>() % 2, 1, "{character:?}");
        }
        for column in 0..4 {
            assert_eq!(characters.iter().map(|character| character[column]).sum::<u8>() % 2, 0);
        }
    }
}
