//! Slot and token management (PKCS#11 Base 3.0 section 5.5).
use std::ffi::c_ulong;
use std::time::Duration;

use middleware::{CardIdentity, PinStatus};

use crate::attribute::UNAVAILABLE;
use crate::mechanism;
use crate::module::{Module, lock};
use crate::return_value::ReturnValue;
use crate::slot::Place;
use crate::structures::{MechanismInfo, SlotInfo, TokenInfo, Version, padded, slot_flag, token_flag};
use crate::token::PinState;

const NO_VERSION: Version = Version { major: 0, minor: 0 };

/// A card that does not tell how many tries it gives is taken to give three.
const USUAL_PIN_TRIES: u8 = 3;

/// CKF_DONT_BLOCK.
const DONT_BLOCK: c_ulong = 1;

/// How long a wait for events goes on before it looks by itself: for emulated cards, and for a PC/SC service that
/// comes back, there is nothing that would wake it.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The numbers of the slots. `refresh` is set where the application asks how many there are: only then may the list
/// change (C_GetSlotList).
pub(crate) fn slot_list(only_with_token: bool, refresh: bool) -> Result<Vec<c_ulong>, ReturnValue> {
    let module = Module::current()?;
    if refresh {
        module.refresh();
    }
    let mut slots = module.slots();
    slots.retain(|slot| !only_with_token || lock(&slot.presence).has_token);
    Ok(slots.iter().map(|slot| slot.number).collect())
}

/// C_GetSlotInfo.
pub(crate) fn slot_info(slot: c_ulong) -> Result<SlotInfo, ReturnValue> {
    let module = Module::current()?;
    let slot = module.slot(slot)?;
    module.refresh();
    let (description, kind) = match &slot.place {
        Place::Reader(name) => (name.clone(), slot_flag::HW_SLOT),
        Place::Emulated(file) => (format!("Emulated card {}", file.display()), 0),
    };
    let token = if lock(&slot.presence).has_token { slot_flag::TOKEN_PRESENT } else { 0 };
    Ok(SlotInfo {
        slot_description: padded(&description),
        manufacturer_id: padded("PC/SC"),
        flags: slot_flag::REMOVABLE_DEVICE | kind | token,
        hardware_version: NO_VERSION,
        firmware_version: NO_VERSION,
    })
}

/// C_GetTokenInfo. The PIN flags come from an empty VERIFY, which costs no try.
pub(crate) fn token_info(slot: c_ulong) -> Result<TokenInfo, ReturnValue> {
    let module = Module::current()?;
    let slot = module.slot(slot)?;
    if !module.has_token(&slot) {
        return Err(ReturnValue::TOKEN_NOT_PRESENT);
    }
    let (sessions, writing) = module.sessions().count(&slot);
    module.with_token(&slot, |token| {
        let pin = token.pin_state()?;
        let identity = token.identity()?;
        let mut info = describe(&identity, pin);
        if module.pinentry.is_some() {
            info.flags |= token_flag::PROTECTED_AUTHENTICATION_PATH;
        }
        info.session_count = c_ulong::try_from(sessions).unwrap_or(UNAVAILABLE);
        info.rw_session_count = c_ulong::try_from(writing).unwrap_or(UNAVAILABLE);
        Ok(info)
    })
}

/// C_GetMechanismList: the same for every card.
pub(crate) fn mechanism_list(slot: c_ulong) -> Result<Vec<c_ulong>, ReturnValue> {
    token_present(slot)?;
    Ok(mechanism::all().into_iter().map(|(kind, _)| kind).collect())
}

/// C_GetMechanismInfo.
pub(crate) fn mechanism_info(slot: c_ulong, kind: c_ulong) -> Result<MechanismInfo, ReturnValue> {
    token_present(slot)?;
    let found = mechanism::all().into_iter().find(|(known, _)| *known == kind);
    found.map(|(_, info)| info).ok_or(ReturnValue::MECHANISM_INVALID)
}

fn token_present(slot: c_ulong) -> Result<(), ReturnValue> {
    let module = Module::current()?;
    let slot = module.slot(slot)?;
    if module.has_token(&slot) { Ok(()) } else { Err(ReturnValue::TOKEN_NOT_PRESENT) }
}

/// C_WaitForSlotEvent: the slot where a card was put in or taken out since the last answer. C_Finalize ends the wait.
pub(crate) fn wait_for_event(flags: c_ulong) -> Result<c_ulong, ReturnValue> {
    let module = Module::current()?;
    let mut watch = middleware::ReaderWatch::default();
    let mut waiting = None;
    loop {
        if waiting.is_none() && flags & DONT_BLOCK == 0 {
            // Looked at first, so that what happens from now on ends the wait. Without a service there is nothing to see.
            let _ = watch.readers();
            waiting = Some(module.wakes(watch.end()));
        }
        module.refresh();
        if let Some(slot) = module.take_event() {
            return Ok(slot);
        }
        if flags & DONT_BLOCK != 0 {
            return Err(ReturnValue::NO_EVENT);
        }
        if module.has_ended() {
            return Err(ReturnValue::CRYPTOKI_NOT_INITIALIZED);
        }
        if watch.wait(LONGEST_WAIT).is_err() {
            module.wait_for_end(LONGEST_WAIT);
        }
    }
}

fn describe(identity: &CardIdentity, pin: PinState) -> TokenInfo {
    let serial_number = serial_number(identity);
    let label = format!("PIV card {serial_number}");
    let firmware_version = identity.version.map_or(NO_VERSION, |(major, minor, _)| Version { major, minor });
    TokenInfo {
        label: padded(label.trim_end()),
        manufacturer_id: padded("unknown"),
        model: padded(if identity.emulated.is_some() { "PIV (emulated)" } else { "PIV" }),
        serial_number: padded(&serial_number),
        // A PIV card comes with its PIN; C_InitToken makes none of it. Clients use no token without this flag, and cards
        // that hold keys but no CHUID are met.
        flags: token_flag::TOKEN_INITIALIZED
            | token_flag::LOGIN_REQUIRED
            | token_flag::USER_PIN_INITIALIZED
            | token_flag::RNG
            | pin_flags(pin.status, pin.in_total.unwrap_or(USUAL_PIN_TRIES))
            | puk_flags(pin.puk_tries_left),
        max_session_count: 0,
        session_count: 0,
        max_rw_session_count: 0,
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
pub(super) fn serial_number(identity: &CardIdentity) -> String {
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

/// CKF_SO_PIN_COUNT_LOW says less than the card does: how many tries the PUK had is not told.
fn puk_flags(tries_left: Option<u8>) -> c_ulong {
    match tries_left {
        Some(0) => token_flag::SO_PIN_LOCKED,
        Some(1) => token_flag::SO_PIN_FINAL_TRY,
        _ => 0,
    }
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

    fn pin(status: PinStatus) -> PinState {
        PinState { status, in_total: Some(3), puk_tries_left: None }
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
        let info = describe(&identity(), pin(PinStatus::Verified));
        assert_eq!(&info.serial_number, b"a5a5a5a5a5a5a5a5");
        assert_eq!(&info.label, b"PIV card a5a5a5a5a5a5a5a5       ");
        assert_eq!(info.firmware_version, Version { major: 5, minor: 7 });
        assert!(info.flags & token_flag::TOKEN_INITIALIZED != 0);
    }

    #[test]
    fn a_card_without_chuid_may_be_used_too() {
        let blank = CardIdentity { guid: None, serial: None, version: None, ..identity() };
        let info = describe(&blank, pin(PinStatus::NotVerified { tries_left: 3 }));
        assert!(info.flags & token_flag::TOKEN_INITIALIZED != 0);
        assert_eq!(&info.serial_number, b"                ");
        assert!(info.label.starts_with(b"PIV card  "));
        let numbered = CardIdentity { serial: Some(1234), ..blank };
        assert_eq!(serial_number(&numbered), "1234");
    }

    #[test]
    fn an_emulated_card_says_so() {
        let mark = Some(EmulatedMark { seeded: false, cloned: false });
        let info = describe(&CardIdentity { emulated: mark, ..identity() }, pin(PinStatus::Verified));
        assert_eq!(&info.model, b"PIV (emulated)  ");
    }
}
