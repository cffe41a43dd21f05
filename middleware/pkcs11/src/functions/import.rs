//! Private keys from outside (C_CreateObject, PKCS#11 Base 3.0 section 5.7.1), for cards with a command for that.
//!
//! SP 800-73-5 has none; a vendor's card does. The key is never an object here: it goes to the card at once and is wiped.
use middleware::{CardError, FileKey, KeyAlgorithm, KeyError, Signer as _};

use crate::attribute::{self, Attributes};
use crate::object::{Kind, key_of_id, key_type};
use crate::public_key::Curve;
use crate::return_value::ReturnValue;
use crate::token::{Handle, Login, Token};

/// Writes a private key into the card; CKA_ID says where. One that was there before is gone, and its certificate with it
/// unless it is that of the new key.
pub(super) fn private_key(token: &mut Token, template: &Attributes) -> Result<Handle, ReturnValue> {
    if !matches!(token.login(), Login::Management(_)) {
        return Err(ReturnValue::USER_NOT_LOGGED_IN);
    }
    let id =
        template.get(attribute::ID).filter(|id| !id.is_empty()).ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
    let reference = key_of_id(id).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)?;
    // What goes in never comes out again.
    if template.flag(attribute::EXTRACTABLE)? == Some(true)
        || template.flag(attribute::SENSITIVE)? == Some(false)
    {
        return Err(ReturnValue::TEMPLATE_INCONSISTENT);
    }
    let key = key_of(template)?;
    let public_key = key.public_key().clone();
    let contents = token.contents()?;
    let before = contents.key(reference);
    let has_another_certificate = before
        .is_some_and(|entry| entry.certificate.is_some() && entry.public_key.as_ref() != Some(&public_key));
    let imported = token.administer(|administration| {
        match administration.import(reference, &key.to_private_key()) {
            Err(CardError::Unsupported(_)) => return Ok(Err(ReturnValue::TEMPLATE_INCONSISTENT)),
            result => result?,
        }
        if has_another_certificate {
            administration.write_object(reference.certificate_object(), &[])?;
        }
        Ok(Ok(()))
    })?;
    imported?;
    token.remember_generated(reference, public_key);
    token.handle_of(|object| matches!(object.kind, Kind::PrivateKey { reference: of, .. } if of == reference))
}

/// The key of a template: an RSA key by its primes, a curve's by its value (Current Mechanisms 3.0 sections 2.1.3 and
/// 2.3.4).
fn key_of(template: &Attributes) -> Result<FileKey, ReturnValue> {
    let value = |kind| template.get(kind).ok_or(ReturnValue::TEMPLATE_INCOMPLETE);
    let kind = template.number(attribute::KEY_TYPE)?.ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
    let key = match kind {
        key_type::RSA => {
            // The card is told no other exponent.
            if template.get(attribute::PUBLIC_EXPONENT).is_some_and(|exponent| exponent != [1, 0, 1]) {
                return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID);
            }
            FileKey::from_rsa_primes(value(attribute::PRIME_1)?, value(attribute::PRIME_2)?)
        }
        key_type::EC | key_type::EC_EDWARDS | key_type::EC_MONTGOMERY => {
            let curve = Curve::of_parameters(value(attribute::EC_PARAMS)?);
            let algorithm = match (kind, curve) {
                (key_type::EC, Some(Curve::P256)) => KeyAlgorithm::P256,
                (key_type::EC, Some(Curve::P384)) => KeyAlgorithm::P384,
                (key_type::EC_EDWARDS, Some(Curve::Ed25519)) => KeyAlgorithm::Ed25519,
                (key_type::EC_MONTGOMERY, Some(Curve::X25519)) => KeyAlgorithm::X25519,
                _ => return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
            };
            FileKey::from_scalar(algorithm, value(attribute::VALUE)?)
        }
        _ => return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
    };
    let key = key.map_err(|error| match error {
        KeyError::Unsupported(_) => ReturnValue::ATTRIBUTE_VALUE_INVALID,
        error => error.into(),
    })?;
    agrees(template, &key)?;
    Ok(key)
}

/// A modulus that the template names besides must be the primes' product.
fn agrees(template: &Attributes, key: &FileKey) -> Result<(), ReturnValue> {
    let Some(modulus) = template.get(attribute::MODULUS) else { return Ok(()) };
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let modulus = modulus.get(zeros..).unwrap_or_default();
    let public_key = crate::public_key::PublicKey::of(key.public_key()).ok_or(ReturnValue::GENERAL_ERROR)?;
    let mut shown = Attributes::default();
    public_key.describe(&mut shown);
    let is_same = shown.get(attribute::MODULUS).is_none_or(|own| own == modulus);
    if is_same { Ok(()) } else { Err(ReturnValue::ATTRIBUTE_VALUE_INVALID) }
}
