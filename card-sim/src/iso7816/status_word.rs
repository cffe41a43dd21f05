//! Status words SW1-SW2: in this card, the error type.

/// A status word (ISO 7816-4 section 5.6; SP 800-73-5 Part 1 table 7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StatusWord(u16);

impl StatusWord {
    /// 9000: successful execution.
    pub const SUCCESS: Self = Self(0x9000);
    /// 6300: verification failed, of what has no retry counter.
    pub const VERIFICATION_FAILED: Self = Self(0x6300);
    /// 6581: the state could not be written durably.
    pub const MEMORY_FAILURE: Self = Self(0x6581);
    /// 6700: the lengths in the APDU disagree with the bytes received.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// 6881: logical channels are not supported.
    pub const LOGICAL_CHANNEL_NOT_SUPPORTED: Self = Self(0x6881);
    /// 6882: secure messaging is not supported.
    pub const SECURE_MESSAGING_NOT_SUPPORTED: Self = Self(0x6882);
    /// 6884: this command cannot be chained.
    pub const COMMAND_CHAINING_NOT_SUPPORTED: Self = Self(0x6884);
    /// 6982: security status not satisfied.
    pub const SECURITY_STATUS_NOT_SATISFIED: Self = Self(0x6982);
    /// 6983: the authentication method is blocked.
    pub const AUTHENTICATION_METHOD_BLOCKED: Self = Self(0x6983);
    /// 6985: conditions of use not satisfied.
    pub const CONDITIONS_OF_USE_NOT_SATISFIED: Self = Self(0x6985);
    /// 6A80: incorrect parameter in the command data field.
    pub const INCORRECT_DATA: Self = Self(0x6A80);
    /// 6A81: function not supported over this interface.
    pub const FUNCTION_NOT_SUPPORTED: Self = Self(0x6A81);
    /// 6A82: data object or application not found.
    pub const NOT_FOUND: Self = Self(0x6A82);
    /// 6A84: not enough memory.
    pub const NOT_ENOUGH_MEMORY: Self = Self(0x6A84);
    /// 6A86: incorrect parameter in P1 or P2.
    pub const INCORRECT_P1_P2: Self = Self(0x6A86);
    /// 6A88: key reference not found.
    pub const REFERENCE_NOT_FOUND: Self = Self(0x6A88);
    /// 6D00: instruction not supported.
    pub const INSTRUCTION_NOT_SUPPORTED: Self = Self(0x6D00);
    /// 6E00: class not supported.
    pub const CLASS_NOT_SUPPORTED: Self = Self(0x6E00);
    /// 6F00: no precise diagnosis.
    pub const UNKNOWN: Self = Self(0x6F00);

    /// 63CX: a comparison failed and X tries are left; a larger counter shows as F.
    #[must_use]
    pub fn tries_left(tries: u8) -> Self {
        Self(0x63C0 | u16::from(tries.min(0x0F)))
    }

    /// 61XX: XX more bytes are waiting, 00 standing for 256 or more (Part 2 appendix A).
    #[must_use]
    pub fn bytes_available(count: usize) -> Self {
        Self(0x6100 | u16::from(u8::try_from(count).unwrap_or(0)))
    }

    /// The two bytes SW1 and SW2.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

impl From<u16> for StatusWord {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl std::fmt::Debug for StatusWord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04X}", self.0)
    }
}
