//! SW1 SW2 of a response (ISO 7816-4 section 5.6; SP 800-73-5 Part 1 section 5.6).

/// Two status bytes as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusWord(pub(crate) u16);

impl StatusWord {
    pub(crate) const OK: Self = Self(0x9000);
    pub(crate) const SECURITY_STATUS_NOT_SATISFIED: Self = Self(0x6982);
    pub(crate) const AUTHENTICATION_METHOD_BLOCKED: Self = Self(0x6983);
    pub(crate) const CONDITIONS_NOT_SATISFIED: Self = Self(0x6985);
    pub(crate) const INCORRECT_PARAMETER: Self = Self(0x6A80);
    pub(crate) const FUNCTION_NOT_SUPPORTED: Self = Self(0x6A81);
    pub(crate) const FILE_NOT_FOUND: Self = Self(0x6A82);
    pub(crate) const NOT_ENOUGH_MEMORY: Self = Self(0x6A84);
    pub(crate) const INCORRECT_P1_P2: Self = Self(0x6A86);
    pub(crate) const REFERENCED_DATA_NOT_FOUND: Self = Self(0x6A88);
    pub(crate) const WRONG_P1_P2: Self = Self(0x6B00);
    pub(crate) const INSTRUCTION_NOT_SUPPORTED: Self = Self(0x6D00);

    pub(crate) fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// Whether the answer to a question for an object says that there is none, or that the card knows no such tag,
    /// reference or command.
    pub(crate) fn means_unknown_object(self) -> bool {
        matches!(
            self,
            Self::FILE_NOT_FOUND
                | Self::INCORRECT_PARAMETER
                | Self::INCORRECT_P1_P2
                | Self::REFERENCED_DATA_NOT_FOUND
                | Self::INSTRUCTION_NOT_SUPPORTED
        )
    }

    /// `63CX`: the comparison failed and X tries are left.
    pub(crate) fn tries_left(self) -> Option<u8> {
        let [first, second] = self.0.to_be_bytes();
        (first == 0x63 && second & 0xF0 == 0xC0).then_some(second & 0x0F)
    }

    /// `61XX`: more data waits for GET RESPONSE. The byte is that command's Le (00 = 256 or more).
    pub(crate) fn more_data(self) -> Option<u8> {
        let [first, second] = self.0.to_be_bytes();
        (first == 0x61).then_some(second)
    }

    /// `6CXX`: repeat the command with this Le.
    pub(crate) fn corrected_length(self) -> Option<u8> {
        let [first, second] = self.0.to_be_bytes();
        (first == 0x6C).then_some(second)
    }
}
