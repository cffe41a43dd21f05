//! Slot and token management (PKCS#11 Base 2.40 section 5.5).
use std::ffi::c_ulong;

use middleware::{Card, CardIdentity, PinStatus};

use crate::module::{Module, Place};
use crate::return_value::ReturnValue;
use crate::structures::{SlotInfo, TokenInfo, UNAVAILABLE, Version, padded, slot_flag, token_flag};

const NO_VERSION: Version = Version { major: 0, minor: 0 };

/// A card that does not tell how many tries it gives is taken to give three.
const USUAL_PIN_TRIES: u8 = 3;

/// The numbers of the slots. `refresh` is set where the application asks how many there are: only then may the list
/// change (C_GetSlotList).
pub(crate) fn slot_list(only_with_token: bool, refresh: bool) -> Result<Vec<c_ulong>, ReturnValue> {
    Module::with(|module| {
        if refresh || module.slots().next().is_none() {
            module.refresh();
        }
        let listed = module.slots().filter(|(_, slot)| slot.has_token || !only_with_token);
        Ok(listed.filter_map(|(number, _)| c_ulong::try_from(number).ok()).collect())
    })
}

/// C_GetSlotInfo.
pub(crate) fn slot_info(slot: c_ulong) -> Result<SlotInfo, ReturnValue> {
    Module::with(|module| {
        let slot = module.slot(number(slot)?)?;
        let (description, kind) = match &slot.place {
            Place::Reader(name) => (name.clone(), slot_flag::HW_SLOT),
            Place::Emulated(file) => (format!("Emulated card {}", file.display()), 0),
        };
        let token = if slot.has_token { slot_flag::TOKEN_PRESENT } else { 0 };
        Ok(SlotInfo {
            slot_description: padded(&description),
            manufacturer_id: padded("PC/SC"),
            flags: slot_flag::REMOVABLE_DEVICE | kind | token,
            hardware_version: NO_VERSION,
            firmware_version: NO_VERSION,
        })
    })
}

/// C_GetTokenInfo. The PIN flags come from an empty VERIFY, which costs no try.
pub(crate) fn token_info(slot: c_ulong) -> Result<TokenInfo, ReturnValue> {
    Module::with(|module| {
        let slot = module.slot(number(slot)?)?;
        if !slot.has_token {
            return Err(ReturnValue::TOKEN_NOT_PRESENT);
        }
        let mut card = Card::open(&slot.place.locator())?;
        let identity = card.identity()?;
        let mut transaction = card.transaction()?;
        let status = transaction.pin_status()?;
        let in_total = transaction.pin_tries_in_total()?.unwrap_or(USUAL_PIN_TRIES);
        Ok(describe(&identity, status, in_total))
    })
}

fn describe(identity: &CardIdentity, status: PinStatus, pin_tries_in_total: u8) -> TokenInfo {
    let serial_number = serial_number(identity);
    let label = format!("PIV card {serial_number}");
    // A card without CHUID was never issued.
    let initialized = if identity.guid.is_some() { token_flag::TOKEN_INITIALIZED } else { 0 };
    let firmware_version = identity.version.map_or(NO_VERSION, |(major, minor, _)| Version { major, minor });
    TokenInfo {
        label: padded(label.trim_end()),
        manufacturer_id: padded("unknown"),
        model: padded(if identity.emulated.is_some() { "PIV (emulated)" } else { "PIV" }),
        serial_number: padded(&serial_number),
        flags: initialized
            | token_flag::LOGIN_REQUIRED
            | token_flag::USER_PIN_INITIALIZED
            | token_flag::WRITE_PROTECTED
            | pin_flags(status, pin_tries_in_total),
        max_session_count: UNAVAILABLE,
        session_count: 0,
        max_rw_session_count: UNAVAILABLE,
        rw_session_count: 0,
        max_pin_len: 8,
        min_pin_len: 6,
        total_public_memory: UNAVAILABLE,
        free_public_memory: UNAVAILABLE,
        total_private_memory: UNAVAILABLE,
        free_private_memory: UNAVAILABLE,
        hardware_version: NO_VERSION,
        firmware_version,
        utc_time: padded(""),
    }
}

/// The second half of the GUID: half is all that fits, and OpenSC shows that one. Without a GUID, the vendor's number.
fn serial_number(identity: &CardIdentity) -> String {
    match (identity.guid, identity.serial) {
        (Some(guid), _) => guid.iter().skip(8).map(|byte| format!("{byte:02x}")).collect(),
        (None, Some(serial)) => serial.to_string(),
        (None, None) => String::new(),
    }
}

fn pin_flags(status: PinStatus, in_total: u8) -> c_ulong {
    match status {
        PinStatus::Blocked => token_flag::USER_PIN_COUNT_LOW | token_flag::USER_PIN_LOCKED,
        PinStatus::NotVerified { tries_left: 1 } if in_total > 1 => {
            token_flag::USER_PIN_COUNT_LOW | token_flag::USER_PIN_FINAL_TRY
        }
        PinStatus::NotVerified { tries_left: 1 } => token_flag::USER_PIN_FINAL_TRY,
        PinStatus::NotVerified { tries_left } if tries_left < in_total => token_flag::USER_PIN_COUNT_LOW,
        PinStatus::NotVerified { .. } | PinStatus::Verified => 0,
    }
}

fn number(slot: c_ulong) -> Result<usize, ReturnValue> {
    usize::try_from(slot).map_err(|_| ReturnValue::SLOT_ID_INVALID)
}

#[cfg(test)]
mod tests {
    use middleware::EmulatedMark;

    use super::*;

    fn identity() -> CardIdentity {
        CardIdentity {
            guid: Some([0, 0, 0, 0, 0, 0, 0, 0, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5]),
            serial: Some(1234),
            version: Some((5, 7, 2)),
            emulated: None,
        }
    }

    #[test]
    fn the_pins_state_is_told_truthfully() {
        use token_flag::{USER_PIN_COUNT_LOW as LOW, USER_PIN_FINAL_TRY as FINAL, USER_PIN_LOCKED as LOCKED};
        let left = |tries_left| PinStatus::NotVerified { tries_left };
        assert_eq!(pin_flags(left(3), 3), 0);
        assert_eq!(pin_flags(left(2), 3), LOW);
        assert_eq!(pin_flags(left(1), 3), LOW | FINAL);
        assert_eq!(pin_flags(left(1), 1), FINAL);
        assert_eq!(pin_flags(left(5), 5), 0);
        assert_eq!(pin_flags(PinStatus::Blocked, 3), LOW | LOCKED);
        assert_eq!(pin_flags(PinStatus::Verified, 3), 0);
    }

    #[test]
    fn a_token_is_named_by_its_guid() {
        let info = describe(&identity(), PinStatus::Verified, 3);
        assert_eq!(&info.serial_number, b"a5a5a5a5a5a5a5a5");
        assert_eq!(&info.label, b"PIV card a5a5a5a5a5a5a5a5       ");
        assert_eq!(info.firmware_version, Version { major: 5, minor: 7 });
        assert!(info.flags & token_flag::TOKEN_INITIALIZED != 0);
    }

    #[test]
    fn a_blank_card_is_not_initialized() {
        let blank = CardIdentity { guid: None, serial: None, version: None, ..identity() };
        let info = describe(&blank, PinStatus::NotVerified { tries_left: 3 }, 3);
        assert_eq!(
            (info.flags & token_flag::TOKEN_INITIALIZED, &info.serial_number),
            (0, b"                ")
        );
        assert!(info.label.starts_with(b"PIV card  "));
        let numbered = CardIdentity { serial: Some(1234), ..blank };
        assert_eq!(serial_number(&numbered), "1234");
    }

    #[test]
    fn an_emulated_card_says_so() {
        let mark = Some(EmulatedMark { seeded: false, cloned: false });
        let info = describe(&CardIdentity { emulated: mark, ..identity() }, PinStatus::Verified, 3);
        assert_eq!(&info.model, b"PIV (emulated)  ");
    }
}
