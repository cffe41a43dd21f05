//! Verifying signatures (PKCS#11 Base 3.0 section 5.15), by computation here: the card has no such command.
use crate::attribute;
use crate::mechanism::{Request, SignatureMechanism};
use crate::module::Call;
use crate::object::Kind;
use crate::return_value::ReturnValue;
use crate::session::{Data, Verifying};
use crate::token::Handle;

/// C_VerifyInit; without a mechanism it ends what is going on.
pub(crate) fn init(session: Handle, request: Option<&Request>, key: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let Some(request) = request else {
        return operations.verify.take().map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD);
    };
    if operations.verify.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let mechanism = SignatureMechanism::of(request)?;
    let object = call.with_token(|token| super::sign::key_object(token, key))?;
    let Kind::PublicKey(key) = &object.kind else { return Err(ReturnValue::KEY_TYPE_INCONSISTENT) };
    if !object.attributes.is_set(attribute::VERIFY) {
        return Err(ReturnValue::KEY_FUNCTION_NOT_PERMITTED);
    }
    if !key.fits(mechanism.scheme) {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    }
    let data = Data::new(mechanism.hash);
    operations.verify = Some(Verifying { key: key.clone(), scheme: mechanism.scheme, data });
    Ok(())
}

/// C_Verify.
pub(crate) fn verify(session: Handle, data: &[u8], signature: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let verifying = operations.verify.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if verifying.data.has_begun {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let mut verifying = operations.verify.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    verifying.data.add(data)?;
    finish(verifying, signature)
}

/// C_VerifyUpdate.
pub(crate) fn update(session: Handle, part: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let verifying = operations.verify.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    verifying.data.has_begun = true;
    let added = verifying.data.add(part);
    if added.is_err() {
        operations.verify = None;
    }
    added
}

/// C_VerifyFinal.
pub(crate) fn last(session: Handle, signature: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let verifying = call.operations().verify.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    finish(verifying, signature)
}

fn finish(verifying: Verifying, signature: &[u8]) -> Result<(), ReturnValue> {
    verifying.key.verify(verifying.scheme, &verifying.data.finish(), signature)
}
