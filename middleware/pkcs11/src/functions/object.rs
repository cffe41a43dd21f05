//! Object management (PKCS#11 Base 3.0 section 5.7). Private keys come in by `import`.
use std::collections::VecDeque;
use std::sync::Arc;

use middleware::{CardError, KeyReference};

use crate::attribute::{self, Attributes};
use crate::module::Call;
use crate::object::{Kind, Object, class, key_of_id};
use crate::return_value::ReturnValue;
use crate::token::{Handle, Login, Token, public_key_of_certificate};

/// C_CreateObject: anything but private keys in the session; on the card, a certificate or a private key.
pub(crate) fn create(session: Handle, template: &Attributes) -> Result<Handle, ReturnValue> {
    let call = Call::on(session)?;
    if template.flag(attribute::TOKEN)? != Some(true) {
        let object = Object::of_template(template)?;
        return call.with_token(|token| token.add(session, object));
    }
    if !call.session.read_write {
        return Err(ReturnValue::SESSION_READ_ONLY);
    }
    match template.number(attribute::CLASS)? {
        None => Err(ReturnValue::TEMPLATE_INCOMPLETE),
        Some(class::CERTIFICATE) => call.with_token(|token| write_certificate(token, template)),
        Some(class::PRIVATE_KEY) => call.with_token(|token| super::import::private_key(token, template)),
        Some(_) => Err(ReturnValue::TEMPLATE_INCONSISTENT),
    }
}

/// CKA_ID says which key the certificate is of; without it, the key that has the certificate's public key.
fn write_certificate(token: &mut Token, template: &Attributes) -> Result<Handle, ReturnValue> {
    if !matches!(token.login(), Login::Management(_)) {
        return Err(ReturnValue::USER_NOT_LOGGED_IN);
    }
    let der = template.get(attribute::VALUE).ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
    let public_key = public_key_of_certificate(der).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)?;
    let key = match template.get(attribute::ID).filter(|id| !id.is_empty()) {
        Some(id) => key_of_id(id).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)?,
        None => token.key_with(&public_key)?.ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?,
    };
    token.administer(|administration| administration.write_certificate(key, der))?;
    token.forget_generated(key);
    token.handle_of(|object| object.kind == Kind::Certificate(Some(key)))
}

/// C_CopyObject: of public things, and into the session alone.
pub(crate) fn copy(session: Handle, from: Handle, template: &Attributes) -> Result<Handle, ReturnValue> {
    let call = Call::on(session)?;
    call.with_token(|token| {
        let object = token.object(from)?;
        if !object.attributes.is_set(attribute::COPYABLE) {
            return Err(ReturnValue::ACTION_PROHIBITED);
        }
        if template.flag(attribute::TOKEN)?.unwrap_or_else(|| object.is_of_token()) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
        let mut changes = template.clone();
        changes.remove(attribute::TOKEN);
        let mut copy = object.as_ref().clone();
        copy.attributes.set_flag(attribute::TOKEN, false);
        copy.attributes.set_flag(attribute::MODIFIABLE, true);
        copy.attributes.remove(attribute::UNIQUE_ID);
        if let Kind::Certificate(reference) = &mut copy.kind {
            *reference = None;
        }
        copy.change(&changes)?;
        token.add(session, copy)
    })
}

/// C_DestroyObject: an object of the session, or a certificate or key of the card.
pub(crate) fn destroy(session: Handle, handle: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    call.with_token(|token| {
        let object = token.object(handle)?;
        if token.remove(handle) {
            return Ok(());
        }
        if !call.session.read_write {
            return Err(ReturnValue::SESSION_READ_ONLY);
        }
        match object.kind {
            Kind::Certificate(Some(reference)) => {
                token.administer(|administration| {
                    administration.write_object(reference.certificate_object(), &[])
                })?;
                token.forget_contents();
                Ok(())
            }
            Kind::PrivateKey { reference, .. } => destroy_key(token, reference),
            // It goes with its private key, or with its certificate.
            _ => Err(ReturnValue::ACTION_PROHIBITED),
        }
    })
}

/// PIV has no command that erases a key; a vendor's card may have one.
fn destroy_key(token: &mut Token, reference: KeyReference) -> Result<(), ReturnValue> {
    let deleted = token.administer(|administration| match administration.delete_key(reference) {
        Err(CardError::Unsupported(_)) => Ok(Err(ReturnValue::ACTION_PROHIBITED)),
        result => result.map(Ok),
    })?;
    token.forget_generated(reference);
    deleted
}

/// C_GetObjectSize.
pub(crate) fn size(session: Handle, handle: Handle) -> Result<std::ffi::c_ulong, ReturnValue> {
    let object = object(session, handle)?;
    std::ffi::c_ulong::try_from(object.size()).map_err(|_| ReturnValue::GENERAL_ERROR)
}

/// The object whose attributes are asked for (C_GetAttributeValue).
pub(crate) fn object(session: Handle, handle: Handle) -> Result<Arc<Object>, ReturnValue> {
    let call = Call::on(session)?;
    call.with_token(|token| token.object(handle))
}

/// C_SetAttributeValue.
pub(crate) fn set_attributes(
    session: Handle,
    handle: Handle,
    template: &Attributes,
) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    call.with_token(|token| {
        let mut object = token.object(handle)?.as_ref().clone();
        object.change(template)?;
        token.replace(handle, object)
    })
}

/// C_FindObjectsInit.
pub(crate) fn find_init(session: Handle, template: &Attributes) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    if operations.find.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    operations.find = Some(VecDeque::from(call.with_token(|token| token.find(template))?));
    Ok(())
}

/// C_FindObjects: up to so many.
pub(crate) fn find(session: Handle, room: usize) -> Result<Vec<Handle>, ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let found = operations.find.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    let count = room.min(found.len());
    Ok(found.drain(..count).collect())
}

/// C_FindObjectsFinal.
pub(crate) fn find_final(session: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    call.operations().find.take().map(|_| ()).ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)
}
