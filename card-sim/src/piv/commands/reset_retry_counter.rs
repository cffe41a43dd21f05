//! RESET RETRY COUNTER (SP 800-73-5 Part 2 section 3.2.3).

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule::Refusal;
use crate::piv::command::OldAndNew;
use crate::piv::key_reference::PasswordReference;
use crate::piv::persistent::Persistent;
use crate::piv::pin;
use crate::piv::security_status::SecurityStatus;
use crate::secret::SecretBytes;

/// Unblocks the PIN: the PUK and a new PIN.
pub struct ResetRetryCounter {
    values: OldAndNew,
}

impl ResetRetryCounter {
    /// Parses P2 = 80 and `PUK(8) || new PIN(8)`.
    pub(in crate::piv) fn parse(p1: u8, p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        if p1 != 0x00 {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        // A Global PIN is unblocked by its platform, if at all (Part 1 table 4).
        if PasswordReference::from_byte(p2) != Some(PasswordReference::Pin) {
            return Err(StatusWord::REFERENCE_NOT_FOUND);
        }
        Ok(Self { values: OldAndNew::parse(data)? })
    }

    /// Compares the PUK and stores the new PIN. Success leaves the PIN's security status as it was.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &mut SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        let personality = persistent.state().personality;
        if persistent.state().puk.tries_left == 0 {
            return Err(StatusWord::AUTHENTICATION_METHOD_BLOCKED);
        }
        let is_new_well_formed = pin::is_well_formed(personality, PasswordReference::Pin, &self.values.new);
        // A standard card refuses a malformed PIN before it compares; a YubiKey counts the try, which
        // is how its tools block the PUK.
        if !personality.is_yubikey() && !is_new_well_formed {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let right = pin::present(persistent, PasswordReference::Puk, &self.values.old)
            .inspect_err(|_| status.pin_lost())?;
        if !is_new_well_formed {
            right.withdraw(persistent)?;
            return Err(Refusal::MalformedNewValue.status_word(personality));
        }
        right.reset_pin(persistent, SecretBytes::from(&**self.values.new))?;
        Ok(ResponseData::default())
    }
}
