//! Signing (PKCS#11 Base 3.0 section 5.13).
use std::sync::Arc;

use middleware::KeyReference;
use zeroize::Zeroizing;

use crate::attribute::{self, AttributeType};
use crate::mechanism::{Request, Scheme, SignatureMechanism};
use crate::module::Call;
use crate::object::{Kind, Object};
use crate::output::{Output, Room, fits};
use crate::public_key::{PublicKey, filled};
use crate::return_value::ReturnValue;
use crate::session::Signing;
use crate::token::{Handle, Operation, Token};
use middleware::keys::rsa_padding;

/// C_SignInit; without a mechanism it ends what is going on.
pub(crate) fn init(session: Handle, request: Option<&Request>, key: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let Some(request) = request else {
        return operations.sign.take().map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD);
    };
    if operations.sign.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let mechanism = SignatureMechanism::of(request)?;
    let key = call.with_token(|token| private_key(token, key, attribute::SIGN))?;
    let Kind::PrivateKey { public_key, .. } = &key.kind else {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    };
    if !public_key.fits(mechanism.scheme) {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    }
    let public_key = public_key.clone();
    operations.sign = Some(Signing::new(key, public_key, &mechanism));
    Ok(())
}

/// A private key that may be used so by whoever is logged in.
pub(super) fn private_key(
    token: &mut Token,
    handle: Handle,
    usage: AttributeType,
) -> Result<Arc<Object>, ReturnValue> {
    let object = key_object(token, handle)?;
    if !matches!(object.kind, Kind::PrivateKey { .. }) {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    }
    if object.is_private() && !token.is_user() {
        return Err(ReturnValue::USER_NOT_LOGGED_IN);
    }
    if object.attributes.is_set(usage) { Ok(object) } else { Err(ReturnValue::KEY_FUNCTION_NOT_PERMITTED) }
}

/// The object of a handle that should be a key's.
pub(super) fn key_object(token: &mut Token, handle: Handle) -> Result<Arc<Object>, ReturnValue> {
    token.object(handle).map_err(|error| match error {
        ReturnValue::OBJECT_HANDLE_INVALID => ReturnValue::KEY_HANDLE_INVALID,
        error => error,
    })
}

/// C_Sign.
pub(crate) fn sign(session: Handle, data: &[u8], room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let signing = operations.sign.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if signing.data.has_begun {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let needed = signing.public_key.signature_length();
    if !fits(room, needed) {
        return Ok(Output::Needs(needed));
    }
    let mut signing = operations.sign.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    signing.data.add(data)?;
    finish(&call, signing)
}

/// C_SignUpdate.
pub(crate) fn update(session: Handle, part: &[u8]) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let signing = operations.sign.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    signing.data.has_begun = true;
    let added = signing.data.add(part);
    if added.is_err() {
        operations.sign = None;
    }
    added
}

/// C_SignFinal.
pub(crate) fn last(session: Handle, room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let signing = operations.sign.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    let needed = signing.public_key.signature_length();
    if !fits(room, needed) {
        return Ok(Output::Needs(needed));
    }
    finish(&call, operations.sign.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?)
}

fn finish(call: &Call, signing: Signing) -> Result<Output, ReturnValue> {
    let Signing { key, public_key, scheme, data, consent } = signing;
    let Kind::PrivateKey { reference, algorithm, .. } = key.kind else {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    };
    let input = input(scheme, &data.finish(), &public_key)?;
    let answer = call
        .with_token(|token| token.operate(reference, algorithm, consent.as_ref(), &Operation::Use(&input)))?;
    signature(&public_key, answer).map(Output::Bytes)
}

/// What the card works on.
fn input(scheme: Scheme, data: &[u8], key: &PublicKey) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let length = key.length();
    match scheme {
        Scheme::RsaPkcs => Ok(rsa_padding::pkcs1_signature_block(data, length)?),
        Scheme::RsaPkcsDigest(hash) => {
            Ok(rsa_padding::pkcs1_signature_block(&hash.digest_info(data), length)?)
        }
        Scheme::RsaX509 if data.len() > length => Err(ReturnValue::DATA_LEN_RANGE),
        Scheme::RsaX509 => Ok(Zeroizing::new(filled(data, length))),
        Scheme::RsaPss(pss) => {
            let block = rsa_padding::pss_block(pss, data, key.bits())?;
            Ok(Zeroizing::new(filled(&block, length)))
        }
        // A card takes an empty challenge for a question (SP 800-73-5 Part 2 section 3.2.4).
        Scheme::Ecdsa | Scheme::Eddsa if data.is_empty() => Err(ReturnValue::DATA_LEN_RANGE),
        Scheme::Ecdsa | Scheme::Eddsa => Ok(Zeroizing::new(data.to_vec())),
    }
}

/// The card's answer as PKCS#11 wants it: of ECDSA, r and s one after the other (Current Mechanisms 3.0 section 2.3.1).
fn signature(key: &PublicKey, answer: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let signature = match key {
        PublicKey::P256(_) => {
            p256::ecdsa::Signature::from_der(&answer).map(|signature| signature.to_bytes().to_vec())
        }
        PublicKey::P384(_) => {
            p384::ecdsa::Signature::from_der(&answer).map(|signature| signature.to_bytes().to_vec())
        }
        _ => return Ok(answer),
    };
    signature.map(Zeroizing::new).map_err(|_| ReturnValue::DEVICE_ERROR)
}

/// Whether a private key's use waits for C_Login(CKU_CONTEXT_SPECIFIC).
pub(super) fn asks_each_time(key: &Object) -> bool {
    matches!(key.kind, Kind::PrivateKey { reference: KeyReference::DigitalSignature, .. })
}
