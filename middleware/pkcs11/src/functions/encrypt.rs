//! Encryption to RSA keys (PKCS#11 Base 3.0 section 5.8), by computation here: the card has no such command.
use crate::attribute;
use crate::mechanism::{Encryption, Request};
use crate::module::Call;
use crate::object::Kind;
use crate::output::{Output, Room, fits};
use crate::public_key::PublicKey;
use crate::return_value::ReturnValue;
use crate::session::{Data, Encrypting};
use crate::token::Handle;

/// C_EncryptInit; without a mechanism it ends what is going on.
pub(crate) fn init(session: Handle, request: Option<&Request>, key: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let Some(request) = request else {
        return operations.encrypt.take().map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD);
    };
    if operations.encrypt.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let encryption = Encryption::of(request)?;
    let object = call.with_token(|token| super::sign::key_object(token, key))?;
    let Kind::PublicKey(key @ PublicKey::Rsa(_)) = &object.kind else {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    };
    if !object.attributes.is_set(attribute::ENCRYPT) {
        return Err(ReturnValue::KEY_FUNCTION_NOT_PERMITTED);
    }
    operations.encrypt = Some(Encrypting { key: key.clone(), encryption, data: Data::new(None) });
    Ok(())
}

/// C_Encrypt.
pub(crate) fn encrypt(session: Handle, data: &[u8], room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().encrypt;
    let encrypting = operation.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if encrypting.data.has_begun {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    finish(operation, data, room)
}

/// C_EncryptUpdate: RSA encrypts at the end.
pub(crate) fn update(session: Handle, part: &[u8]) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let encrypting = operations.encrypt.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    encrypting.data.has_begun = true;
    if let Err(error) = encrypting.data.add(part) {
        operations.encrypt = None;
        return Err(error);
    }
    Ok(Output::Bytes(Default::default()))
}

/// C_EncryptFinal.
pub(crate) fn last(session: Handle, room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().encrypt;
    finish(operation, &[], room)
}

fn finish(operation: &mut Option<Encrypting>, data: &[u8], room: Room) -> Result<Output, ReturnValue> {
    let encrypting = operation.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    let needed = encrypting.key.length();
    if !fits(room, needed) {
        return Ok(Output::Needs(needed));
    }
    let Encrypting { key, encryption, data: mut collected } =
        operation.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    collected.add(data)?;
    key.encrypt(&encryption, &collected.finish()).map(Output::Bytes)
}
