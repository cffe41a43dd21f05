//! CHANGE REFERENCE DATA (SP 800-73-5 Part 2 section 3.2.2).

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule::{self, Refusal};
use crate::piv::command::OldAndNew;
use crate::piv::key_reference::PasswordReference;
use crate::piv::persistent::Persistent;
use crate::piv::personality::Personality;
use crate::piv::pin;
use crate::piv::security_status::SecurityStatus;
use crate::secret::SecretBytes;

/// A change of the Global PIN (00), the PIN (80) or the PUK (81).
pub struct ChangeReferenceData {
    reference: PasswordReference,
    values: OldAndNew,
}

impl ChangeReferenceData {
    /// Parses P2 and `old(8) || new(8)`.
    pub(in crate::piv) fn parse(
        p1: u8,
        p2: u8,
        data: &[u8],
        personality: Personality,
    ) -> Result<Self, StatusWord> {
        if p1 != 0x00 {
            return Err(Refusal::WrongP1OfChangeReferenceData.status_word(personality));
        }
        let reference = PasswordReference::from_byte(p2).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
        Ok(Self { reference, values: OldAndNew::parse(data)? })
    }

    /// Compares the old value and stores the new one.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &mut SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        let Self { reference, values } = self;
        let personality = persistent.state().personality;
        let password = persistent.state().password(reference).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
        access_rule::password(reference).require(status)?;
        if password.tries_left == 0 {
            return Err(StatusWord::AUTHENTICATION_METHOD_BLOCKED);
        }
        let is_new_well_formed = pin::is_well_formed(personality, reference, &values.new);
        let is_old_well_formed = pin::is_well_formed(personality, reference, &values.old);
        // Malformed values fail before the comparison and cost nothing on a standard card; a YubiKey
        // compares first.
        let are_well_formed = is_old_well_formed && is_new_well_formed;
        if !personality.is_yubikey() && !are_well_formed {
            return Err(StatusWord::INCORRECT_DATA);
        }
        let right =
            pin::present(persistent, reference, &values.old).inspect_err(|_| status.lost(reference))?;
        if !is_new_well_formed {
            right.withdraw(persistent)?;
            return Err(Refusal::MalformedNewValue.status_word(personality));
        }
        right.replace(persistent, SecretBytes::from(&**values.new))?;
        // The standard calls the PIN verified now. A YubiKey still wants VERIFY.
        if !personality.is_yubikey() {
            status.changed(reference);
        }
        Ok(ResponseData::default())
    }
}
