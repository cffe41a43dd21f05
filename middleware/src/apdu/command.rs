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
