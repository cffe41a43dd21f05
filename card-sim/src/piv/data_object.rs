//! Data objects: their tags and what the card itself says in some (SP 800-73-5 Part 1 section 3).

use crate::iso7816::ber_tlv::{Tlv, encode};

/// Card Capability Container.
pub const CAPABILITY_CONTAINER: u32 = 0x5F_C107;
/// Card Holder Unique Identifier.
pub const CHUID: u32 = 0x5F_C102;
/// Cardholder fingerprints.
pub const FINGERPRINTS: u32 = 0x5F_C103;
/// Security object: signed hashes of the others.
pub const SECURITY_OBJECT: u32 = 0x5F_C106;
/// Cardholder facial image.
pub const FACIAL_IMAGE: u32 = 0x5F_C108;
/// Printed information; a YubiKey keeps the PIN-protected management key in it.
pub const PRINTED_INFORMATION: u32 = 0x5F_C109;
/// Key history.
pub const KEY_HISTORY: u32 = 0x5F_C10C;
/// Retired certificates for key management 1 to 20.
pub const RETIRED_CERTIFICATES: std::ops::RangeInclusive<u32> = 0x5F_C10D..=0x5F_C120;
/// Cardholder iris images.
pub const IRIS_IMAGES: u32 = 0x5F_C121;
/// The certificate that signed the secure messaging key's.
pub const SIGNER_OF_SECURE_MESSAGING: u32 = 0x5F_C122;
/// Pairing code reference data.
pub const PAIRING_CODE: u32 = 0x5F_C123;
/// Discovery object; its template is the object, without a `53` around it.
pub const DISCOVERY: u32 = 0x7E;
/// Biometric information templates group template; it has no `53` around it either.
pub const BIOMETRIC_GROUP: u32 = 0x7F61;
/// By which every emulated card can be told from a real one. Read-only.
pub const EMULATED_MARK: u32 = 0x5F_FF53;

/// Tags under which a YubiKey stores whatever it is given.
pub const YUBIKEY_TAGS: std::ops::RangeInclusive<u32> = 0x5F_0000..=0x5F_FFFF;

/// FASC-N of a card outside the federal agencies: agency and system 9999, credential 999999,
/// individual zero; 25 bytes of five-bit characters (SP 800-73-5 Part 1 section 3.1.2).
const NON_FEDERAL_FASC_N: [u8; 25] = [
    0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42,
    0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
];

/// Expiry of the CHUID of a blank card: the issuer sets a real one.
const BLANK_EXPIRY: &[u8; 8] = b"20991231";

/// The contents of the CHUID of a blank card: FASC-N, GUID, expiry, no signature yet.
#[must_use]
pub fn blank_chuid(guid: &[u8; 16]) -> Vec<u8> {
    [
        encode(0x30, &NON_FEDERAL_FASC_N),
        encode(0x34, guid),
        encode(0x35, BLANK_EXPIRY),
        encode(0x3E, &[]),
        encode(0xFE, &[]),
    ]
    .iter()
    .flat_map(|part| part.iter().copied())
    .collect()
}

/// The contents of the capability container of a blank card (Part 1 appendix A): the card
/// identifier of manufacturer FF, and data model 10.
#[must_use]
pub fn blank_capability_container(identifier: &[u8; 14]) -> Vec<u8> {
    let mut card_identifier = vec![0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02];
    card_identifier.extend(identifier);
    let mut contents = encode(0xF0, &card_identifier).to_vec();
    for (tag, value) in [(0xF1, &[0x21][..]), (0xF2, &[0x21]), (0xF3, &[]), (0xF4, &[0x00]), (0xF5, &[0x10])]
    {
        contents.extend(encode(tag, value).iter());
    }
    for tag in [0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE] {
        contents.extend(encode(tag, &[]).iter());
    }
    contents
}

/// The contents of a certificate object (Part 1 table 10): certificate, not compressed, no error detection code.
#[must_use]
pub fn certificate(der: &[u8]) -> Vec<u8> {
    [encode(0x70, der), encode(0x71, &[0x00]), encode(0xFE, &[])]
        .iter()
        .flat_map(|part| part.iter().copied())
        .collect()
}

/// The pairing code that a pairing code reference data container holds: `99 08 digits FE 00` (Part 1 sections 3.3.8
/// and 5.1.3). `None` when it holds something else.
#[must_use]
pub fn pairing_code(contents: &[u8]) -> Option<&[u8]> {
    let parts = Tlv::parse_all(contents).ok()?;
    let code = parts.iter().find(|part| part.tag == 0x99)?.value;
    is_pairing_code(code).then_some(code)
}

/// Whether these bytes have the form of a pairing code: eight digits (Part 2 section 2.4.3).
#[must_use]
pub fn is_pairing_code(bytes: &[u8]) -> bool {
    bytes.len() == 8 && bytes.iter().all(u8::is_ascii_digit)
}

/// The contents of a key history object for `on_card` retired keys with certificates on the card.
#[must_use]
pub fn key_history(on_card: u8) -> Vec<u8> {
    vec![0xC1, 0x01, on_card, 0xC2, 0x01, 0x00, 0xFE, 0x00]
}

/// The contents of the emulated mark: `80 "card-sim"`, and `81 flags` when any flag is set.
#[must_use]
pub fn emulated_mark(flags: u8) -> Vec<u8> {
    let mut contents = encode(0x80, b"card-sim").to_vec();
    if flags != 0 {
        contents.extend(encode(0x81, &[flags]).iter());
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The five-bit characters of a FASC-N: four bits low first, then odd parity.
    fn characters(fasc_n: &[u8]) -> Vec<u8> {
        let bits: Vec<u8> = fasc_n.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1)).collect();
        bits.chunks(5).map(|bits| bits.iter().enumerate().map(|(i, bit)| bit << i).sum()).collect()
    }

    #[test]
    fn the_fasc_n_of_a_blank_card_is_well_formed() {
        let characters = characters(&NON_FEDERAL_FASC_N);
        assert_eq!(characters.len(), 40);
        let (last, others) = characters.split_last().unwrap();
        let sum = others.iter().fold(0, |sum, character| sum ^ (character & 0x0F));
        assert_eq!(last & 0x0F, sum, "longitudinal redundancy check");
        for character in &characters {
            assert_eq!(character.count_ones() % 2, 1, "odd parity of {character:05b}");
        }
        let digits: Vec<u8> = characters.iter().map(|character| character & 0x0F).collect();
        assert_eq!(&digits[..6], [0xB, 9, 9, 9, 9, 0xD], "start sentinel, agency 9999, field separator");
    }

    #[test]
    fn sizes_are_those_of_the_standard() {
        assert_eq!(blank_chuid(&[7; 16]).len(), 0x3B);
    }

    #[test]
    fn a_pairing_code_is_eight_digits() {
        let container = |value: &[u8]| [&encode(0x99, value)[..], &[0xFE, 0x00]].concat();
        assert_eq!(pairing_code(&container(b"12345678")), Some(&b"12345678"[..]));
        for wrong in [&b"1234567"[..], b"123456789", b"1234567a", b""] {
            assert_eq!(pairing_code(&container(wrong)), None, "{wrong:02X?}");
        }
        assert_eq!(pairing_code(b"12345678"), None);
    }
}
