//! Key references (SP 800-73-5 Part 1 tables 4 and 5).

/// The card application administration key: the management key.
pub const ADMINISTRATION_KEY: u8 = 0x9B;

/// The reference of a YubiKey's attestation key.
pub const ATTESTATION_KEY: u8 = 0xF9;

/// References 82 to 95, the retired key management keys 1 to 20.
pub const RETIRED: std::ops::RangeInclusive<u8> = 0x82..=0x95;

/// A key reference that names an asymmetric private key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AsymmetricKeyReference {
    /// 9A.
    PivAuthentication,
    /// 9C.
    DigitalSignature,
    /// 9D.
    KeyManagement,
    /// 9E.
    CardAuthentication,
    /// 82 to 95; the number is 1 to 20.
    RetiredKeyManagement(RetiredKeyNumber),
    /// F9, on a YubiKey: signs attestations and nothing else.
    Attestation,
}

/// Which of the twenty retired key management keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RetiredKeyNumber(u8);

impl AsymmetricKeyReference {
    /// The reference behind a P2 byte, if it names an asymmetric key of the standard.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x9A => Some(Self::PivAuthentication),
            0x9C => Some(Self::DigitalSignature),
            0x9D => Some(Self::KeyManagement),
            0x9E => Some(Self::CardAuthentication),
            0x82..=0x95 => Some(Self::RetiredKeyManagement(RetiredKeyNumber(byte - 0x81))),
            _ => None,
        }
    }

    /// The same with F9, for the instructions by which a YubiKey makes, brings and describes that key.
    #[must_use]
    pub fn from_yubikey_byte(byte: u8) -> Option<Self> {
        if byte == ATTESTATION_KEY { Some(Self::Attestation) } else { Self::from_byte(byte) }
    }

    /// The P2 byte.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::PivAuthentication => 0x9A,
            Self::DigitalSignature => 0x9C,
            Self::KeyManagement => 0x9D,
            Self::CardAuthentication => 0x9E,
            Self::RetiredKeyManagement(number) => 0x81 + number.0,
            Self::Attestation => ATTESTATION_KEY,
        }
    }

    /// Whether the standard calls this a key management key: it agrees on keys and unwraps them.
    #[must_use]
    pub fn is_key_management(self) -> bool {
        matches!(self, Self::KeyManagement | Self::RetiredKeyManagement(_))
    }

    /// The tag of the data object that holds this key's certificate (Part 1 table 3; Yubico for F9).
    #[must_use]
    pub const fn certificate_tag(self) -> u32 {
        match self {
            Self::PivAuthentication => 0x5F_C105,
            Self::DigitalSignature => 0x5F_C10A,
            Self::KeyManagement => 0x5F_C10B,
            Self::CardAuthentication => 0x5F_C101,
            Self::RetiredKeyManagement(number) => 0x5F_C10C + number.0 as u32,
            Self::Attestation => 0x5F_FF01,
        }
    }
}

/// A key reference that names a PIN-like secret with a retry counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordReference {
    /// 00: the Global PIN, which all applications of the card share.
    GlobalPin,
    /// 80: the PIV card application PIN.
    Pin,
    /// 81: the PIN unblocking key.
    Puk,
}

impl PasswordReference {
    /// The reference behind a P2 byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::GlobalPin),
            0x80 => Some(Self::Pin),
            0x81 => Some(Self::Puk),
            _ => None,
        }
    }

    /// Whether it is a PIN, rather than the key that unblocks one.
    #[must_use]
    pub fn is_pin(self) -> bool {
        matches!(self, Self::GlobalPin | Self::Pin)
    }
}

/// Key reference 98: the pairing code, which has no retry counter.
pub const PAIRING_CODE: u8 = 0x98;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_its_own_byte() {
        let named: Vec<u8> =
            (0..=255).filter(|byte| AsymmetricKeyReference::from_byte(*byte).is_some()).collect();
        let expected: Vec<u8> = RETIRED.chain([0x9A, 0x9C, 0x9D, 0x9E]).collect();
        assert_eq!(named, expected);
        for byte in named.into_iter().chain([ATTESTATION_KEY]) {
            assert_eq!(AsymmetricKeyReference::from_yubikey_byte(byte).unwrap().byte(), byte);
        }
    }

    #[test]
    fn retired_certificates_follow_the_key_history_object() {
        let tag = |byte| AsymmetricKeyReference::from_byte(byte).unwrap().certificate_tag();
        assert_eq!(tag(0x82), 0x5F_C10D);
        assert_eq!(tag(0x95), 0x5F_C120);
    }
}
