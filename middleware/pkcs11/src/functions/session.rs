//! Sessions and login (PKCS#11 Base 3.0 section 5.6).
use std::ffi::c_ulong;

use middleware::{Pin, Puk};
use zeroize::Zeroizing;

use crate::module::{Call, Module, lock};
use crate::object::Object;
use crate::return_value::ReturnValue;
use crate::structures::{SessionInfo, session_flag};
use crate::token::{Handle, Login};

/// `CK_USER_TYPE`.
pub(super) mod user {
    use std::ffi::c_ulong;
    pub(in crate::functions) const SO: c_ulong = 0;
    pub(in crate::functions) const USER: c_ulong = 1;
    pub(in crate::functions) const CONTEXT_SPECIFIC: c_ulong = 2;
}

/// Bits that C_SessionCancel takes (`CKF_FIND_OBJECTS` and those of mechanisms).
mod cancel {
    use std::ffi::c_ulong;
    pub(super) const FIND_OBJECTS: c_ulong = 0x0000_0040;
    pub(super) const ENCRYPT: c_ulong = 0x0000_0100;
    pub(super) const DECRYPT: c_ulong = 0x0000_0200;
    pub(super) const DIGEST: c_ulong = 0x0000_0400;
    pub(super) const SIGN: c_ulong = 0x0000_0800;
    pub(super) const VERIFY: c_ulong = 0x0000_2000;
}

/// C_OpenSession.
pub(crate) fn open(slot: c_ulong, flags: c_ulong) -> Result<Handle, ReturnValue> {
    let module = Module::current()?;
    let slot = module.slot(slot)?;
    if flags & session_flag::SERIAL_SESSION == 0 {
        return Err(ReturnValue::SESSION_PARALLEL_NOT_SUPPORTED);
    }
    if !module.has_token(&slot) {
        return Err(ReturnValue::TOKEN_NOT_PRESENT);
    }
    let read_write = flags & session_flag::RW_SESSION != 0;
    module.with_token(&slot, |token| {
        if token.is_officer() && !read_write {
            return Err(ReturnValue::SESSION_READ_WRITE_SO_EXISTS);
        }
        Ok(module.sessions().open(slot.clone(), read_write))
    })
}

/// C_CloseSession. The last one ends the login.
pub(crate) fn close(handle: Handle) -> Result<(), ReturnValue> {
    let module = Module::current()?;
    let (session, is_last) = {
        let mut sessions = module.sessions();
        let session = sessions.close(handle)?;
        let is_last = sessions.count(&session.slot).0 == 0;
        (session, is_last)
    };
    if let Some(token) = lock(&session.slot.token).as_mut() {
        token.forget_session(handle);
        if is_last {
            token.logout();
        }
    }
    Ok(())
}

/// C_CloseAllSessions.
pub(crate) fn close_all(slot: c_ulong) -> Result<(), ReturnValue> {
    let module = Module::current()?;
    let slot = module.slot(slot)?;
    module.sessions().close_all(&slot);
    if let Some(token) = lock(&slot.token).as_mut() {
        token.forget_sessions();
        token.logout();
    }
    Ok(())
}

/// C_GetSessionInfo.
pub(crate) fn info(handle: Handle) -> Result<SessionInfo, ReturnValue> {
    let call = Call::on(handle)?;
    let read_write = call.session.read_write;
    // The state of a login is kept here: the card is not asked.
    let state = match lock(&call.session.slot.token).as_ref().map(|token| token.login()) {
        Some(Login::User(_)) if read_write => 3,
        Some(Login::User(_)) => 1,
        Some(Login::Puk(_) | Login::Management(_)) => 4,
        _ if read_write => 2,
        _ => 0,
    };
    let writes = if read_write { session_flag::RW_SESSION } else { 0 };
    Ok(SessionInfo {
        slot_id: call.session.slot.number,
        state,
        flags: session_flag::SERIAL_SESSION | writes,
        device_error: 0,
    })
}

/// C_Login. The security officer's PIN is the PUK (6 to 8 bytes) or the management key in hexadecimal.
pub(crate) fn login(
    handle: Handle,
    user: c_ulong,
    pin: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, ReturnValue>,
) -> Result<(), ReturnValue> {
    let call = Call::on(handle)?;
    match user {
        user::USER => {
            let pin = pin()?;
            call.with_token(|token| match token.login() {
                Login::User(_) => Err(ReturnValue::USER_ALREADY_LOGGED_IN),
                Login::Puk(_) | Login::Management(_) => Err(ReturnValue::USER_ANOTHER_ALREADY_LOGGED_IN),
                Login::Nobody => token.login_user(to_pin(&pin)?),
            })
        }
        user::SO => login_officer(&call, &pin()?),
        user::CONTEXT_SPECIFIC => consent(&call, &pin()?),
        _ => Err(ReturnValue::USER_TYPE_INVALID),
    }
}

fn login_officer(call: &Call, pin: &[u8]) -> Result<(), ReturnValue> {
    call.with_token(|token| {
        match token.login() {
            Login::User(_) => return Err(ReturnValue::USER_ANOTHER_ALREADY_LOGGED_IN),
            Login::Puk(_) | Login::Management(_) => return Err(ReturnValue::USER_ALREADY_LOGGED_IN),
            Login::Nobody => {}
        }
        let (all, writing) = call.module.sessions().count(&call.session.slot);
        if all > writing {
            return Err(ReturnValue::SESSION_READ_ONLY_EXISTS);
        }
        match pin.len() {
            6..=8 => token.login_puk(Puk::new(pin)?),
            32 | 48 | 64 => {
                let mut key = Zeroizing::new(vec![0; pin.len() / 2]);
                hex::decode_to_slice(pin, &mut key).map_err(|_| ReturnValue::PIN_INCORRECT)?;
                token.login_management(&key)
            }
            _ => Err(ReturnValue::PIN_INCORRECT),
        }
    })
}

/// The user agrees to the one use of a key that has been begun in this session.
fn consent(call: &Call, pin: &[u8]) -> Result<(), ReturnValue> {
    let mut operations = call.operations();
    let asks = |key: &Object| super::sign::asks_each_time(key);
    let place = match &mut *operations {
        operations if operations.sign.as_ref().is_some_and(|signing| asks(&signing.key)) => {
            operations.sign.as_mut().map(|signing| &mut signing.consent)
        }
        operations if operations.decrypt.as_ref().is_some_and(|decrypting| asks(&decrypting.key)) => {
            operations.decrypt.as_mut().map(|decrypting| &mut decrypting.consent)
        }
        _ => None,
    };
    let place = place.ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    // No PIN at all is no wrong one: NSS asks again for ever after a wrong one, also a program that has none to give.
    if pin.is_empty() {
        return Err(ReturnValue::ARGUMENTS_BAD);
    }
    let pin = to_pin(pin)?;
    *place = Some(call.with_token(|token| {
        if token.is_user() { token.consent(pin) } else { Err(ReturnValue::USER_NOT_LOGGED_IN) }
    })?);
    Ok(())
}

/// A PIN that no card could have is wrong without asking the card.
fn to_pin(bytes: &[u8]) -> Result<Pin, ReturnValue> {
    let text = std::str::from_utf8(bytes).map_err(|_| ReturnValue::PIN_INCORRECT)?;
    Ok(Pin::new(text)?)
}

/// C_Logout.
pub(crate) fn logout(handle: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(handle)?;
    call.with_token(|token| {
        if matches!(token.login(), Login::Nobody) {
            return Err(ReturnValue::USER_NOT_LOGGED_IN);
        }
        token.logout();
        Ok(())
    })
}

/// C_SessionCancel: ends the operations that the bits name.
pub(crate) fn cancel(handle: Handle, flags: c_ulong) -> Result<(), ReturnValue> {
    let call = Call::on(handle)?;
    let mut operations = call.operations();
    let is_named = |bit| flags & bit != 0;
    if is_named(cancel::FIND_OBJECTS) {
        operations.find = None;
    }
    if is_named(cancel::ENCRYPT) {
        operations.encrypt = None;
    }
    if is_named(cancel::DECRYPT) {
        operations.decrypt = None;
    }
    if is_named(cancel::DIGEST) {
        operations.digest = None;
    }
    if is_named(cancel::SIGN) {
        operations.sign = None;
    }
    if is_named(cancel::VERIFY) {
        operations.verify = None;
    }
    Ok(())
}

/// C_InitPIN: the security officer who has the PUK unblocks the PIN.
pub(crate) fn init_pin(handle: Handle, pin: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(handle)?;
    call.with_token(|token| {
        if !matches!(token.login(), Login::Puk(_)) {
            return Err(ReturnValue::USER_NOT_LOGGED_IN);
        }
        token.unblock(&to_new_pin(pin)?)
    })
}

/// C_SetPIN: of the user, or of the security officer who has the PUK.
pub(crate) fn set_pin(handle: Handle, old: &[u8], new: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(handle)?;
    if !call.session.read_write {
        return Err(ReturnValue::SESSION_READ_ONLY);
    }
    call.with_token(|token| match token.login() {
        Login::Management(_) => Err(ReturnValue::USER_NOT_LOGGED_IN),
        Login::Puk(_) => {
            let new = Puk::new(new).map_err(|_| ReturnValue::PIN_LEN_RANGE)?;
            token.change_puk(&Puk::new(old)?, new)
        }
        Login::User(_) | Login::Nobody => {
            let new = to_new_pin(new)?;
            token.change_pin(&to_pin(old)?, new)
        }
    })
}

fn to_new_pin(bytes: &[u8]) -> Result<Pin, ReturnValue> {
    if !(6..=8).contains(&bytes.len()) {
        return Err(ReturnValue::PIN_LEN_RANGE);
    }
    to_pin(bytes).map_err(|_| ReturnValue::PIN_INVALID)
}
