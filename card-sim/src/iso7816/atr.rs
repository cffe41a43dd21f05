//! Answers to reset (ISO 7816-3 section 8).

/// The YubiKey 5 over its USB interface. Yubico's tools compare the whole string.
pub const YUBIKEY5: [u8; 23] = [
    0x3B, 0xFD, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, 0x59, 0x75,
    0x62, 0x69, 0x4B, 0x65, 0x79, 0x40,
];

/// A neutral contact card with T=1 and 15 historical bytes in compact-TLV form:
/// `F9` the PIV AID without its version, which makes hosts treat it as a plain PIV card, and
/// `73 C0 21 C0` the card capabilities: selection by name, command chaining, extended lengths.
pub const STANDARD: [u8; 22] = [
    0x3B, 0x8F, 0x81, 0x31, 0xFE, 0x45, 0x80, 0xF9, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00,
    0x73, 0xC0, 0x21, 0xC0, 0x14,
];

/// The YubiKey 5 over NFC, as Yubico's tools compare it.
pub const YUBIKEY5_CONTACTLESS: [u8; 18] = [
    0x3B, 0x8D, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, 0x59, 0x75, 0x62, 0x69, 0x4B, 0x65, 0x79,
    0xF9,
];

/// The neutral card without contacts: `3B 8F 80 01` says so, then the same historical bytes (PC/SC Part 3
/// section 3.1.3.2.3.1).
pub const STANDARD_CONTACTLESS: [u8; 20] = [
    0x3B, 0x8F, 0x80, 0x01, 0x80, 0xF9, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x73, 0xC0,
    0x21, 0xC0, 0x9E,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of interface bytes that T0 and each TDi announce, then the historical bytes and TCK.
    fn expected_length(atr: &[u8]) -> usize {
        let mut at = 1;
        let historical = usize::from(atr[1] & 0x0F);
        loop {
            let announced = atr[at] >> 4;
            let has_next = announced & 8 != 0;
            at += usize::try_from(announced.count_ones()).unwrap();
            if !has_next {
                return at + 1 + historical + 1;
            }
        }
    }

    #[test]
    fn lengths_and_check_bytes_are_right() {
        for atr in [&YUBIKEY5[..], &STANDARD, &YUBIKEY5_CONTACTLESS, &STANDARD_CONTACTLESS] {
            assert_eq!(expected_length(atr), atr.len());
            assert_eq!(atr[1..].iter().fold(0, |sum, byte| sum ^ byte), 0, "TCK of {atr:02X?}");
        }
    }
}
