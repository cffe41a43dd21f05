//! VERIFY (SP 800-73-5 Part 2 section 3.2.1).

use zeroize::Zeroizing;

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::key_reference::PasswordReference;
use crate::piv::persistent::Persistent;
use crate::piv::pin;
use crate::piv::security_status::SecurityStatus;

/// What VERIFY asks for the PIN, key reference 80.
pub enum Verify {
    /// P1 = 00 without data: is it verified, and if not, how many tries are left?
    Status,
    /// P1 = 00 with data: compare.
    Compare(Zeroizing<Vec<u8>>),
    /// P1 = FF: log out.
    Logout,
}

impl Verify {
    /// Parses P1, P2 and the data field.
    pub(in crate::piv) fn parse(p1: u8, p2: u8, data: &[u8]) -> Result<Self, StatusWord> {
        let verify = match (p1, data) {
            (0x00, []) => Self::Status,
            (0x00, data) => Self::Compare(Zeroizing::new(data.to_vec())),
            (0xFF, []) => Self::Logout,
            _ => return Err(StatusWord::INCORRECT_P1_P2),
        };
        PasswordReference::require_pin(p2)?;
        Ok(verify)
    }

    /// Answers, compares or logs out.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &mut SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        match self {
            Self::Status if status.is_pin_verified() => {}
            Self::Status => return Err(tries_left(persistent.state().pin.tries_left)),
            Self::Compare(candidate) => compare(persistent, status, &candidate)?,
            Self::Logout => status.pin_lost(),
        }
        Ok(ResponseData::default())
    }
}

fn tries_left(tries: u8) -> StatusWord {
    if tries == 0 { StatusWord::AUTHENTICATION_METHOD_BLOCKED } else { StatusWord::tries_left(tries) }
}

fn compare(
    persistent: &mut Persistent,
    status: &mut SecurityStatus,
    candidate: &[u8],
) -> Result<(), StatusWord> {
    let state = persistent.state();
    if state.pin.tries_left == 0 {
        return Err(StatusWord::AUTHENTICATION_METHOD_BLOCKED);
    }
    // The standard lets the card choose between 6A80 and counting a malformed PIN. A YubiKey counts
    // any eight bytes: its tools block the PIN by presenting all-FF values.
    let is_well_formed = if state.personality.is_yubikey() {
        candidate.len() == pin::LENGTH
    } else {
        pin::is_well_formed(state.personality, PasswordReference::Pin, candidate)
    };
    if !is_well_formed {
        return Err(StatusWord::INCORRECT_DATA);
    }
    status.pin_lost();
    pin::present(persistent, PasswordReference::Pin, candidate)?.accept(persistent)?;
    status.pin_verified();
    Ok(())
}
