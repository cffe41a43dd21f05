//! Decryption with RSA keys (PKCS#11 Base 3.0 section 5.10).
use zeroize::Zeroizing;

use crate::attribute;
use crate::mechanism::{Encryption, Request};
use crate::module::Call;
use crate::object::{Kind, Object};
use crate::output::{Output, Room, fits};
use crate::return_value::ReturnValue;
use crate::session::{Data, Decrypting};
use crate::token::{Consent, Handle, Operation, Token};
use middleware::keys::rsa_padding::{self, PKCS1_OVERHEAD, PaddingError};

/// C_DecryptInit; without a mechanism it ends what is going on.
pub(crate) fn init(session: Handle, request: Option<&Request>, key: Handle) -> Result<(), ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let Some(request) = request else {
        return operations.decrypt.take().map(|_| ()).ok_or(ReturnValue::ARGUMENTS_BAD);
    };
    if operations.decrypt.is_some() {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    let encryption = Encryption::of(request)?;
    let key = call.with_token(|token| {
        super::sign::private_key(token, key, attribute::DECRYPT).map_err(|error| match error {
            // An elliptic curve's key is of the wrong type, not forbidden.
            ReturnValue::KEY_FUNCTION_NOT_PERMITTED => ReturnValue::KEY_TYPE_INCONSISTENT,
            error => error,
        })
    })?;
    let data = Data::new(None);
    operations.decrypt = Some(Decrypting { key, encryption, data, consent: None, plaintext: None });
    Ok(())
}

/// C_Decrypt.
pub(crate) fn decrypt(session: Handle, ciphertext: &[u8], room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().decrypt;
    let decrypting = operation.as_ref().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if decrypting.data.has_begun {
        return Err(ReturnValue::OPERATION_ACTIVE);
    }
    finish(&call, operation, ciphertext, room)
}

/// C_DecryptUpdate: RSA decrypts at the end.
pub(crate) fn update(session: Handle, part: &[u8]) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let mut operations = call.operations();
    let decrypting = operations.decrypt.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    decrypting.data.has_begun = true;
    if let Err(error) = decrypting.data.add(part) {
        operations.decrypt = None;
        return Err(error);
    }
    Ok(Output::Bytes(Zeroizing::default()))
}

/// C_DecryptFinal.
pub(crate) fn last(session: Handle, room: Room) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let operation = &mut call.operations().decrypt;
    finish(&call, operation, &[], room)
}

/// How long the message is shows only when it is decrypted: until then, the most is told. A message that does not fit
/// waits for its room, so that the card, and the user, are asked once.
fn finish(
    call: &Call,
    operation: &mut Option<Decrypting>,
    rest: &[u8],
    room: Room,
) -> Result<Output, ReturnValue> {
    let decrypting = operation.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    if decrypting.plaintext.is_none() {
        if room.is_none() {
            return Ok(Output::Needs(longest(&decrypting.key, &decrypting.encryption)));
        }
        let mut active = operation.take().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
        active.data.add(rest)?;
        let ciphertext = std::mem::replace(&mut active.data, Data::new(None)).finish();
        let consent = active.consent.take();
        active.plaintext = Some(call.with_token(|token| {
            let block = raise(token, &active.key, consent.as_ref(), &ciphertext)?;
            open(&active.encryption, block)
        })?);
        *operation = Some(active);
    }
    let decrypting = operation.as_mut().ok_or(ReturnValue::OPERATION_NOT_INITIALIZED)?;
    let length = decrypting.plaintext.as_ref().map_or(0, |plaintext| plaintext.len());
    if !fits(room, length) {
        return Ok(Output::Needs(length));
    }
    let plaintext = operation.take().and_then(|decrypting| decrypting.plaintext);
    plaintext.map(Output::Bytes).ok_or(ReturnValue::GENERAL_ERROR)
}

fn longest(key: &Object, encryption: &Encryption) -> usize {
    let Kind::PrivateKey { algorithm, .. } = &key.kind else { return 0 };
    let overhead = match encryption {
        Encryption::RsaPkcs => PKCS1_OVERHEAD,
        Encryption::RsaOaep(oaep) => 2 * oaep.hash.length() + 2,
        Encryption::RsaX509 => 0,
    };
    algorithm.length().saturating_sub(overhead)
}

/// The card's part: one exponentiation.
pub(super) fn raise(
    token: &mut Token,
    key: &Object,
    consent: Option<&Consent>,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let Kind::PrivateKey { reference, algorithm, .. } = key.kind else {
        return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
    };
    if ciphertext.len() != algorithm.length() {
        return Err(ReturnValue::ENCRYPTED_DATA_LEN_RANGE);
    }
    let raised = token.operate(reference, algorithm, consent, &Operation::Use(ciphertext));
    raised.map_err(|error| match error {
        ReturnValue::DATA_INVALID => ReturnValue::ENCRYPTED_DATA_INVALID,
        error => error,
    })
}

/// The host's part: the padding comes off.
fn open(encryption: &Encryption, block: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let message = match encryption {
        Encryption::RsaPkcs => rsa_padding::open_pkcs1(&block),
        Encryption::RsaOaep(oaep) => rsa_padding::open_oaep(oaep, &block),
        Encryption::RsaX509 => Some(block),
    };
    message.ok_or(ReturnValue::ENCRYPTED_DATA_INVALID)
}

/// Opens what wraps a key; where the length of the key is known, PKCS #1 v1.5 padding that does not fit shows only in
/// what the key does not decrypt.
pub(super) fn open_key(
    encryption: &Encryption,
    block: Zeroizing<Vec<u8>>,
    length: Option<usize>,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    match (encryption, length) {
        (Encryption::RsaPkcs, Some(length)) => {
            rsa_padding::open_pkcs1_key(&block, length).map_err(|error| match error {
                PaddingError::WrongLength { .. } => ReturnValue::TEMPLATE_INCONSISTENT,
                error => error.into(),
            })
        }
        (Encryption::RsaX509, Some(length)) => {
            // Of a bare number the key is the end (Current Mechanisms 3.0 section 2.1.7).
            let start = block.len().checked_sub(length).ok_or(ReturnValue::TEMPLATE_INCONSISTENT)?;
            Ok(Zeroizing::new(block.get(start..).unwrap_or_default().to_vec()))
        }
        _ => open(encryption, block).map_err(|_| ReturnValue::WRAPPED_KEY_INVALID),
    }
}
