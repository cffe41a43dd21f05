//! Security status: volatile, and cleared whenever the card is reset or PIV is left.

use super::key_reference::PasswordReference;
use crate::crypto::SymmetricAlgorithm;
use crate::iso7816::Interface;
use crate::secret::SecretBytes;

/// The security status indicators and what must follow immediately (SP 800-73-5 Part 2 section 2.4.2), and the
/// interface they were earned over.
#[derive(Default)]
pub struct SecurityStatus {
    interface: Interface,
    /// The one global indicator: other applications of the card share it.
    is_global_pin_verified: bool,
    is_pin_verified: bool,
    is_pairing_code_verified: bool,
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
    /// Nothing is verified, over this interface.
    #[must_use]
    pub fn over(interface: Interface) -> Self {
        Self { interface, ..Self::default() }
    }

    /// The interface in use.
    #[must_use]
    pub fn interface(&self) -> Interface {
        self.interface
    }

    /// Another application is selected: all goes but the global indicator.
    pub fn deselect(&mut self) {
        *self = Self {
            interface: self.interface,
            is_global_pin_verified: self.is_global_pin_verified,
            ..Self::default()
        };
    }

    /// A command begins: what the one before it left for its successor becomes usable, once.
    pub fn begin_command(&mut self) {
        self.previous_command = std::mem::take(&mut self.this_command);
    }

    /// The PIN was right. The next command may use a "PIN always" key.
    pub fn verified(&mut self, reference: PasswordReference) {
        self.set(reference, true);
        self.this_command.is_pin_submitted = reference.is_pin();
    }

    /// The PIN was right, but not presented by VERIFY: that opens no "PIN always" key.
    pub fn changed(&mut self, reference: PasswordReference) {
        self.set(reference, true);
    }

    /// The PIN was wrong, or the host logs out.
    pub fn lost(&mut self, reference: PasswordReference) {
        self.set(reference, false);
    }

    /// The application PIN was wrong, or the host logs out.
    pub fn pin_lost(&mut self) {
        self.lost(PasswordReference::Pin);
    }

    fn set(&mut self, reference: PasswordReference, is_verified: bool) {
        match reference {
            PasswordReference::GlobalPin => self.is_global_pin_verified = is_verified,
            PasswordReference::Pin => self.is_pin_verified = is_verified,
            // A right PUK gives no right that lasts.
            PasswordReference::Puk => {}
        }
        self.this_command.is_pin_submitted = false;
    }

    /// The indicator of this reference.
    #[must_use]
    pub fn is_verified(&self, reference: PasswordReference) -> bool {
        match reference {
            PasswordReference::GlobalPin => self.is_global_pin_verified,
            PasswordReference::Pin => self.is_pin_verified,
            PasswordReference::Puk => false,
        }
    }

    /// Whether a PIN was verified and not lost since: the application PIN, or the Global PIN, which can be verified
    /// only while it counts here.
    #[must_use]
    pub fn is_pin_verified(&self) -> bool {
        self.is_pin_verified || self.is_global_pin_verified
    }

    /// Whether the command just before this one verified a PIN.
    #[must_use]
    pub fn is_pin_fresh(&self) -> bool {
        self.previous_command.is_pin_submitted
    }

    /// The outcome of VERIFY with the pairing code, or its loss.
    pub fn set_pairing_code_verified(&mut self, is_verified: bool) {
        self.is_pairing_code_verified = is_verified;
    }

    /// Whether the pairing code was verified.
    #[must_use]
    pub fn is_pairing_code_verified(&self) -> bool {
        self.is_pairing_code_verified
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Part 2 section 2.4.2: of all indicators only the Global PIN's outlives the selection of another application.
    #[test]
    fn another_application_keeps_the_global_pin_alone() {
        let mut status = SecurityStatus::over(Interface::Contact);
        status.verified(PasswordReference::Pin);
        status.set_pairing_code_verified(true);
        status.set_management_authenticated(true);
        status.verified(PasswordReference::GlobalPin);
        status.deselect();
        status.begin_command();
        assert!(status.is_verified(PasswordReference::GlobalPin) && status.is_pin_verified());
        assert!(!status.is_verified(PasswordReference::Pin) && !status.is_pin_fresh());
        assert!(!status.is_pairing_code_verified() && !status.is_management_authenticated());
    }

    #[test]
    fn each_pin_has_its_own_indicator() {
        let mut status = SecurityStatus::default();
        status.verified(PasswordReference::Pin);
        status.verified(PasswordReference::GlobalPin);
        status.lost(PasswordReference::GlobalPin);
        assert!(status.is_verified(PasswordReference::Pin) && status.is_pin_verified());
        status.pin_lost();
        assert!(!status.is_pin_verified());
    }

    #[test]
    fn only_the_next_command_finds_the_pin_fresh() {
        for reference in [PasswordReference::Pin, PasswordReference::GlobalPin] {
            let mut status = SecurityStatus::default();
            status.verified(reference);
            assert!(!status.is_pin_fresh());
            status.begin_command();
            assert!(status.is_pin_fresh());
            status.begin_command();
            assert!(!status.is_pin_fresh() && status.is_pin_verified());
        }
    }
}
