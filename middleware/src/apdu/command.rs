//! A command APDU: header, data field, whether an answer is expected (ISO 7816-4 section 5.1).
use zeroize::Zeroizing;

/// A command of class 00, before it is cut into what the line takes.
pub(crate) struct CommandApdu {
    /// The command's name in SP 800-73-5 Part 2, for error messages.
    pub(crate) name: &'static str,
    pub(crate) instruction: u8,
    pub(crate) p1: u8,
    pub(crate) p2: u8,
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) expects_data: bool,
    /// More than a short answer holds may come: worth an extended Le where there is one.
    pub(crate) expects_long_data: bool,
}

impl CommandApdu {
    /// Case 1: a header alone.
    pub(crate) fn new(name: &'static str, instruction: u8, p1: u8, p2: u8) -> Self {
        Self {
            name,
            instruction,
            p1,
            p2,
            data: Zeroizing::new(Vec::new()),
            expects_data: false,
            expects_long_data: false,
        }
    }

    /// Reads a command of class 00 in any of its forms (ISO 7816-4 section 5.1): four bytes; with Le; with Lc and data;
    /// with both; short or extended. The length that Le gives is not kept: the whole answer is wanted.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[0x00, instruction, p1, p2], body) = bytes.split_first_chunk::<4>()? else { return None };
        let command = Self::new("the command", instruction, p1, p2);
        let (length, rest, le_length) = match body {
            [] => return Some(command),
            [_] | [0, _, _] => return Some(command.expecting_data()),
            &[0, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest, 2),
            [length, rest @ ..] => (usize::from(*length), rest, 1),
        };
        let (data, le) = rest.split_at_checked(length)?;
        let command = command.with_data(data.to_vec());
        match le.len() {
            0 => Some(command),
            length if length == le_length => Some(command.expecting_data()),
            _ => None,
        }
    }

    /// Adds a data field.
    pub(crate) fn with_data(mut self, data: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        self.data = data.into();
        self
    }

    /// Asks for the whole answer (Le 00).
    pub(crate) fn expecting_data(mut self) -> Self {
        self.expects_data = true;
        self
    }

    /// Asks for the whole answer, which may be longer than 256 bytes.
    pub(crate) fn expecting_long_data(mut self) -> Self {
        self.expects_data = true;
        self.expects_long_data = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_command_is_read() {
        let read = |text: &str| {
            let command = CommandApdu::parse(&hex::decode(text.replace(' ', "")).unwrap())?;
            Some((command.instruction, command.data.to_vec(), command.expects_data))
        };
        assert_eq!(read("00 20 00 80"), Some((0x20, vec![], false)));
        assert_eq!(read("00 FD 00 00 00"), Some((0xFD, vec![], true)));
        assert_eq!(read("00 CB 3F FF 03 5C 01 7E"), Some((0xCB, vec![0x5C, 0x01, 0x7E], false)));
        assert_eq!(read("00 CB 3F FF 03 5C 01 7E 00"), Some((0xCB, vec![0x5C, 0x01, 0x7E], true)));
        assert_eq!(read("00 FD 00 00 00 01 00"), Some((0xFD, vec![], true)));
        assert_eq!(read("00 CB 3F FF 00 00 03 5C 01 7E"), Some((0xCB, vec![0x5C, 0x01, 0x7E], false)));
        assert_eq!(read("00 CB 3F FF 00 00 03 5C 01 7E 00 00"), Some((0xCB, vec![0x5C, 0x01, 0x7E], true)));
        for wrong in ["", "00 20 00", "10 20 00 80", "00 CB 3F FF 03 5C 01", "00 CB 3F FF 01 5C 00 00 00"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
