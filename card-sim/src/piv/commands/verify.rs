//! VERIFY (SP 800-73-5 Part 2 section 3.2.1).

use zeroize::Zeroizing;

use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::data_object;
use crate::piv::key_reference::{PAIRING_CODE, PasswordReference};
use crate::piv::persistent::Persistent;
use crate::piv::pin;
use crate::piv::security_status::SecurityStatus;
use crate::piv::state::CardState;

/// A question about a reference, or an attempt at it.
pub struct Verify {
    reference: Reference,
    request: Request,
}

/// What can be verified. Fingers (96, 97) would need on-card comparison, and the PUK never is.
#[derive(Clone, Copy)]
enum Reference {
    Pin(PasswordReference),
    PairingCode,
}

enum Request {
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
        let request = match (p1, data) {
            (0x00, []) => Request::Status,
            (0x00, data) => Request::Compare(Zeroizing::new(data.to_vec())),
            (0xFF, []) => Request::Logout,
            _ => return Err(StatusWord::INCORRECT_P1_P2),
        };
        let reference = match (p2, PasswordReference::from_byte(p2)) {
            (PAIRING_CODE, _) => Reference::PairingCode,
            (_, Some(reference)) if reference.is_pin() => Reference::Pin(reference),
            _ => return Err(StatusWord::REFERENCE_NOT_FOUND),
        };
        Ok(Self { reference, request })
    }

    /// Answers, compares or logs out: for a reference that the discovery object enables, over an interface that it
    /// may be submitted over.
    pub(in crate::piv) fn handle(
        self,
        persistent: &mut Persistent,
        status: &mut SecurityStatus,
    ) -> Result<ResponseData, StatusWord> {
        self.reference.require(persistent.state(), status)?;
        match (self.reference, self.request) {
            (Reference::Pin(reference), Request::Status) => {
                let state = persistent.state();
                answer_status(status.is_verified(reference), tries_left(state, reference))
            }
            (Reference::PairingCode, Request::Status) => {
                answer_status(status.is_pairing_code_verified(), StatusWord::VERIFICATION_FAILED)
            }
            (Reference::Pin(reference), Request::Compare(candidate)) => {
                compare(persistent, status, reference, &candidate)
            }
            (Reference::PairingCode, Request::Compare(candidate)) => {
                compare_pairing_code(persistent.state(), status, &candidate)
            }
            (reference, Request::Logout) => {
                reference.lose(status);
                Ok(())
            }
        }?;
        Ok(ResponseData::default())
    }
}

impl Reference {
    /// Fails with 6A88 unless the card has this reference, with 6982 unless it may come over this interface.
    fn require(self, state: &CardState, status: &SecurityStatus) -> Result<(), StatusWord> {
        let (exists, rule) = match self {
            Self::Pin(reference) => (state.password(reference).is_some(), access_rule::password(reference)),
            Self::PairingCode => (state.pairing_code().is_some(), access_rule::PAIRING_CODE_SUBMISSION),
        };
        if exists { rule.require(status) } else { Err(StatusWord::REFERENCE_NOT_FOUND) }
    }

    fn lose(self, status: &mut SecurityStatus) {
        match self {
            Self::Pin(reference) => status.lost(reference),
            Self::PairingCode => status.set_pairing_code_verified(false),
        }
    }
}

fn answer_status(is_verified: bool, otherwise: StatusWord) -> Result<(), StatusWord> {
    if is_verified { Ok(()) } else { Err(otherwise) }
}

/// 63CX, or 6983 when no try is left.
fn tries_left(state: &CardState, reference: PasswordReference) -> StatusWord {
    match state.password(reference) {
        None => StatusWord::REFERENCE_NOT_FOUND,
        Some(password) if password.tries_left == 0 => StatusWord::AUTHENTICATION_METHOD_BLOCKED,
        Some(password) => StatusWord::tries_left(password.tries_left),
    }
}

fn compare(
    persistent: &mut Persistent,
    status: &mut SecurityStatus,
    reference: PasswordReference,
    candidate: &[u8],
) -> Result<(), StatusWord> {
    let state = persistent.state();
    if tries_left(state, reference) == StatusWord::AUTHENTICATION_METHOD_BLOCKED {
        return Err(StatusWord::AUTHENTICATION_METHOD_BLOCKED);
    }
    // The standard lets the card choose between 6A80 and counting a malformed PIN. A YubiKey counts
    // any eight bytes: its tools block the PIN by presenting all-FF values.
    let is_well_formed = if state.personality.is_yubikey() {
        candidate.len() == pin::LENGTH
    } else {
        pin::is_well_formed(state.personality, reference, candidate)
    };
    if !is_well_formed {
        return Err(StatusWord::INCORRECT_DATA);
    }
    status.lost(reference);
    pin::present(persistent, reference, candidate)?.accept(persistent)?;
    status.verified(reference);
    Ok(())
}

/// The pairing code has no retry counter: a mismatch is 6300, and costs nothing.
fn compare_pairing_code(
    state: &CardState,
    status: &mut SecurityStatus,
    candidate: &[u8],
) -> Result<(), StatusWord> {
    if !data_object::is_pairing_code(candidate) {
        return Err(StatusWord::INCORRECT_DATA);
    }
    let is_right = state.pairing_code().is_some_and(|code| code.matches(candidate));
    status.set_pairing_code_verified(is_right);
    answer_status(is_right, StatusWord::VERIFICATION_FAILED)
}
