//! Message digesting (PKCS#11 Base 3.0 section 5.12).
use zeroize::Zeroizing;

use crate::mechanism::{self, Request};
use crate::module::Call;
use crate::output::{Output, Room, fits};
use crate::return_value::ReturnValue;
use crate::session::Digesting;
use crate::token::Handle;

/// C_DigestInit; without a mechanism it ends what is going on.
pub(crate) fn init(session: Handle, request: Option<&Request>) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let Some(request) = request else {
        return operations.digest.take().map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD);
    };
    if operations.digest.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let hash = mechanism::digest(request.kind).ok_or(ReturnValue::MECHANISM_INVALID)?;
    operations.digest = Some(Digesting { digest: hash.start(), has_begun: false });
    Ok(())
}

/// C_Digest.
pub(crate) fn digest(session: Handle, data: &[u8], room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().digest;
    let digesting = operation.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if digesting.has_begun {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let needed = digesting.digest.output_size();
    if !fits(room, needed) {
        return Ok(Output::Needs(needed));
    }
    finish(operation.take(), data)
}

/// C_DigestUpdate.
pub(crate) fn update(session: Handle, data: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let digesting = operations.digest.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    digesting.has_begun = true;
    digesting.digest.update(data);
    Ok(())
}

/// C_DigestKey: the value of a secret key that may be seen anyway.
pub(crate) fn key(session: Handle, key: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let digesting = operations.digest.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    let object = call.with_token(|token| token.object(key)).map_err(|error| {
        if error == ReturnValue::OBJECT_HANDLE_INVALID { ReturnValue::KEY_HANDLE_INVALID } else { error }
    })?;
    let value = object.secret().ok_or(ReturnValue::KEY_INDIGESTIBLE)?;
    digesting.has_begun = true;
    digesting.digest.update(&value);
    Ok(())
}

/// C_DigestFinal.
pub(crate) fn last(session: Handle, room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().digest;
    let needed = operation.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?.digest.output_size();
    if !fits(room, needed) {
        return Ok(Output::Needs(needed));
    }
    finish(operation.take(), &[])
}

fn finish(digesting: Option<Digesting>, data: &[u8]) -> Result<Output, ReturnValue> {
    let mut digest = digesting.ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?.digest;
    digest.update(data);
    Ok(Output::Bytes(Zeroizing::new(digest.finalize().into_vec())))
}
