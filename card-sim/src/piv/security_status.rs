//! Security status: volatile, and cleared whenever the card is reset or PIV is left.

use crate::crypto::SymmetricAlgorithm;
use crate::secret::SecretBytes;

/// The security status indicators and what must follow immediately (SP 800-73-5 Part 2 section 2.4.2).
#[derive(Default)]
pub struct SecurityStatus {
    is_pin_verified: bool,
    is_management_authenticated: bool,
    this_command: Immediate,
    previous_command: Immediate,
}

/// What only the very next command may use.
#[derive(Default)]
struct Immediate {
    is_pin_submitted: bool,
    exchange: Option<Exchange>,
}

/// An authentication exchange with the management key, waiting for its second step.
pub enum Exchange {
    /// The host must return this challenge encrypted.
    External {
        /// The algorithm of the first step.
        algorithm: SymmetricAlgorithm,
        /// The random challenge.
        challenge: SecretBytes,
    },
    /// The host must return this witness decrypted.
    Mutual {
        /// The algorithm of the first step.
        algorithm: SymmetricAlgorithm,
        /// The random witness in the clear.
        witness: SecretBytes,
    },
}

impl SecurityStatus {
    /// A command begins: what the one before it left for its successor becomes usable, once.
    pub fn begin_command(&mut self) {
        self.previous_command = std::mem::take(&mut self.this_command);
    }

    /// The PIN was right. The next command may use a "PIN always" key.
    pub fn pin_verified(&mut self) {
        self.is_pin_verified = true;
        self.this_command.is_pin_submitted = true;
    }

    /// The PIN was right, but not presented by VERIFY: that opens no "PIN always" key.
    pub fn pin_changed(&mut self) {
        self.is_pin_verified = true;
    }

    /// The PIN was wrong, or the host logs out.
    pub fn pin_lost(&mut self) {
        self.is_pin_verified = false;
        self.this_command.is_pin_submitted = false;
    }

    /// Whether the PIN was verified and not lost since.
    #[must_use]
    pub fn is_pin_verified(&self) -> bool {
        self.is_pin_verified
    }

    /// Whether the command just before this one verified the PIN.
    #[must_use]
    pub fn is_pin_fresh(&self) -> bool {
        self.is_pin_verified && self.previous_command.is_pin_submitted
    }

    /// Whether the management key was proven.
    #[must_use]
    pub fn is_management_authenticated(&self) -> bool {
        self.is_management_authenticated
    }

    /// The outcome of the second step of an exchange with key 9B.
    pub fn set_management_authenticated(&mut self, authenticated: bool) {
        self.is_management_authenticated = authenticated;
    }

    /// Starts an exchange that only the next command can finish.
    pub fn start_exchange(&mut self, exchange: Exchange) {
        self.this_command.exchange = Some(exchange);
    }

    /// The exchange that the command just before this one started. It can be taken once.
    pub fn take_exchange(&mut self) -> Option<Exchange> {
        self.previous_command.exchange.take()
    }
}
