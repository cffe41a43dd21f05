//! PINs that the module asks for itself, by pinentry, where the user has set that and the application gives none
//! (`CKF_PROTECTED_AUTHENTICATION_PATH`, PKCS#11 Base 3.0 section 5.6.8).
use std::ffi::c_ulong;
use std::io::ErrorKind;

use middleware::PinStatus;
use middleware::secret_source::SecretSource;
use zeroize::Zeroizing;

use super::session::user;
use crate::module::Call;
use crate::return_value::ReturnValue;
use crate::token::{Handle, Login};

/// Asks for what C_Login would be given.
///
/// # Errors
/// `CKR_ARGUMENTS_BAD` where the application is to ask; `CKR_FUNCTION_CANCELED` where no answer is given; that the user is
/// logged in already, before anybody is asked.
pub(crate) fn ask(session: Handle, kind: c_ulong) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let call = Call::on(session)?;
    let program = call.module.pinentry.clone().ok_or(ReturnValue::ARGUMENTS_BAD)?;
    // Nothing is held while somebody types.
    let question = call.with_token(|token| {
        match (kind, token.login()) {
            (user::USER | user::SO | user::CONTEXT_SPECIFIC, Login::Nobody) => {}
            (user::CONTEXT_SPECIFIC, Login::User(_)) => {}
            (user::USER, Login::User(_)) | (user::SO, Login::Puk(_) | Login::Management(_)) => {
                return Err(ReturnValue::USER_ALREADY_LOGGED_IN);
            }
            (user::USER | user::SO, _) => return Err(ReturnValue::USER_ANOTHER_ALREADY_LOGGED_IN),
            (user::CONTEXT_SPECIFIC, _) => return Err(ReturnValue::USER_NOT_LOGGED_IN),
            _ => return Err(ReturnValue::USER_TYPE_INVALID),
        }
        let card = format!("card {}", super::slot::serial_number(&token.identity()?));
        if kind == user::SO {
            return Ok(format!("PUK or management key of {card}"));
        }
        let tries = match token.pin_state()?.status {
            PinStatus::Blocked => return Err(ReturnValue::PIN_LOCKED),
            PinStatus::NotVerified { tries_left: 1 } => ", the last try".to_owned(),
            PinStatus::NotVerified { tries_left } => format!(", {tries_left} tries left"),
            PinStatus::Verified => String::new(),
        };
        let what = if kind == user::CONTEXT_SPECIFIC { " for one signature" } else { "" };
        Ok(format!("PIN of {card}{what}{tries}"))
    })?;
    match SecretSource::Pinentry(program).read(&question) {
        Ok(typed) => Ok(Zeroizing::new(typed.as_bytes().to_vec())),
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(ReturnValue::FUNCTION_CANCELED),
        Err(_) => Err(ReturnValue::FUNCTION_FAILED),
    }
}
