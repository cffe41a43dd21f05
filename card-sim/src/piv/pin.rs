//! PIN and PUK: format and retry counters (SP 800-73-5 Part 2 section 2.4.3).

use super::key_reference::PasswordReference;
use super::persistent::Persistent;
use super::personality::{Firmware, Personality};
use super::state::Password;
use crate::iso7816::StatusWord;
use crate::secret::SecretBytes;

/// Every PIN and PUK has eight bytes on the wire, padding included.
pub const LENGTH: usize = 8;

const PADDING: u8 = 0xFF;
const SHORTEST: usize = 6;

/// Whether a value may be stored as PIN or PUK.
///
/// Standard: a PIN is 6 to 8 digits padded with FF, a PUK any eight bytes. YubiKey: both are 6 to 8
/// bytes padded with FF; from firmware 5.7 those bytes are ASCII.
#[must_use]
pub fn is_well_formed(personality: Personality, reference: PasswordReference, value: &[u8]) -> bool {
    if value.len() != LENGTH {
        return false;
    }
    let allowed: fn(u8) -> bool = match (personality, reference) {
        (Personality::Standard, PasswordReference::Puk) => return true,
        (Personality::Standard, _) => |byte| byte.is_ascii_digit(),
        (Personality::YubiKey5 { firmware: Firmware::V5_7, .. }, _) => |byte| byte.is_ascii(),
        (Personality::YubiKey5 { firmware: Firmware::V5_4, .. }, _) => |byte| byte != PADDING,
    };
    let used = value.iter().take_while(|byte| **byte != PADDING).count();
    let (significant, padding) = value.split_at_checked(used).unwrap_or_default();
    used >= SHORTEST
        && significant.iter().all(|byte| allowed(*byte))
        && padding.iter().all(|byte| *byte == PADDING)
}

/// Pads a PIN or PUK of at most eight bytes.
#[must_use]
pub fn padded(value: &[u8]) -> SecretBytes {
    let mut bytes = vec![PADDING; LENGTH];
    for (byte, significant) in bytes.iter_mut().zip(value) {
        *byte = *significant;
    }
    SecretBytes::new(bytes)
}

/// Proof that the right value was presented. The try it cost is not given back yet: [`Self::accept`],
/// [`Self::replace`] or [`Self::withdraw`] settles it.
#[must_use]
pub struct RightValue {
    reference: PasswordReference,
    tries_before: u8,
}

/// Compares a value with the PIN or PUK. The try is spent durably *before* the comparison, so that
/// cutting the power between the two gains nothing.
///
/// # Errors
/// 6A88 for a reference that does not exist; 6983 when blocked, without comparison; 63CX when wrong; 6581 when the
/// counter cannot be written.
pub fn present(
    persistent: &mut Persistent,
    reference: PasswordReference,
    candidate: &[u8],
) -> Result<RightValue, StatusWord> {
    let password = persistent.state().password(reference).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let tries_before = password.tries_left;
    let Some(tries_left) = tries_before.checked_sub(1) else {
        return Err(StatusWord::AUTHENTICATION_METHOD_BLOCKED);
    };
    change(persistent, reference, |password| password.tries_left = tries_left)?;
    let password = persistent.state().password(reference);
    if password.is_some_and(|password| password.value.matches(candidate)) {
        Ok(RightValue { reference, tries_before })
    } else {
        Err(StatusWord::tries_left(tries_left))
    }
}

fn change(
    persistent: &mut Persistent,
    reference: PasswordReference,
    change: impl FnOnce(&mut Password),
) -> Result<(), StatusWord> {
    persistent.transaction(|state| {
        if let Some(password) = state.password_mut(reference) {
            change(password);
        }
    })
}

impl RightValue {
    /// Sets the retry counter to its full value.
    ///
    /// # Errors
    /// 6581 when it cannot be written.
    pub fn accept(self, persistent: &mut Persistent) -> Result<(), StatusWord> {
        change(persistent, self.reference, |password| password.tries_left = password.tries)
    }

    /// Stores a new value and sets the retry counter to its full value, in one step.
    ///
    /// # Errors
    /// 6581 when it cannot be written.
    pub fn replace(self, persistent: &mut Persistent, value: SecretBytes) -> Result<(), StatusWord> {
        change(persistent, self.reference, |password| {
            password.tries_left = password.tries;
            password.value = value;
        })
    }

    /// Stores a new PIN and sets both counters to their full values, in one step; for a right PUK.
    ///
    /// # Errors
    /// 6581 when it cannot be written.
    pub fn reset_pin(self, persistent: &mut Persistent, value: SecretBytes) -> Result<(), StatusWord> {
        persistent.transaction(|state| {
            state.puk.tries_left = state.puk.tries;
            state.pin.tries_left = state.pin.tries;
            state.pin.value = value;
        })
    }

    /// Puts the retry counter back where it was: the command failed for another reason.
    ///
    /// # Errors
    /// 6581 when it cannot be written.
    pub fn withdraw(self, persistent: &mut Persistent) -> Result<(), StatusWord> {
        change(persistent, self.reference, |password| password.tries_left = self.tries_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YUBIKEY: Personality = Personality::YubiKey5 { firmware: Firmware::V5_7, serial: 1 };

    #[test]
    fn a_standard_pin_is_six_to_eight_digits_and_padding() {
        let is_pin = |value: &[u8]| is_well_formed(Personality::Standard, PasswordReference::Pin, value);
        assert!(is_pin(b"123456\xFF\xFF") && is_pin(b"12345678"));
        for wrong in [
            &b"12345\xFF\xFF\xFF"[..],
            b"123456\xFF7",
            b"12345a\xFF\xFF",
            &[0xFF; 8],
            b"123456",
            b"123456789",
        ] {
            assert!(!is_pin(wrong), "{wrong:02X?}");
        }
    }

    #[test]
    fn a_standard_puk_is_any_eight_bytes() {
        let is_puk = |value: &[u8]| is_well_formed(Personality::Standard, PasswordReference::Puk, value);
        assert!(is_puk(&[0xFF; 8]) && is_puk(&[0; 8]) && !is_puk(&[0; 7]));
    }

    #[test]
    fn a_yubikey_takes_letters_but_nothing_beyond_ascii() {
        let is_pin = |value: &[u8]| is_well_formed(YUBIKEY, PasswordReference::Pin, value);
        assert!(is_pin(b"abcdef\xFF\xFF") && !is_pin(b"abcde\xE4\xFF\xFF") && !is_pin(&[0xFF; 8]));
    }
}
