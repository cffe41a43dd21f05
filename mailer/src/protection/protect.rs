//! An entity becomes a signed, then an encrypted one (RFC 8551 sections 3.3 to 3.5).
use jiff::Timestamp;

use crate::content::Content;
use crate::message::secured::{multipart_signed, pkcs7_mime};
use crate::message::transfer_encoding::is_seven_bit;
use crate::smime::{
    self, EncryptError, Enveloping, Form, Recipient, SignError, SigningAlgorithm, SigningIdentity,
};

/// Signs a canonical entity. Seven-bit content stays readable for everybody (`multipart/signed`); anything else would be
/// changed on the way (RFC 8551 section 3.1.3) and goes inside the signature object.
///
/// # Errors
/// See [`SignError`].
pub fn sign(
    entity: &[u8],
    identity: SigningIdentity<'_>,
    at: Timestamp,
    boundary: &str,
) -> Result<Vec<u8>, SignError> {
    let content = Content::from_vec(entity.to_vec());
    let whole =
        |object: Content| -> Result<_, SignError> { Ok(object.to_vec(usize::MAX)?.unwrap_or_default()) };
    if is_seven_bit(entity) {
        let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
        let signature = whole(smime::sign(&content, Form::Detached, identity, at)?)?;
        Ok(multipart_signed(entity, &signature, algorithm.micalg(), boundary))
    } else {
        let object = whole(smime::sign(&content, Form::Opaque, identity, at)?)?;
        Ok(pkcs7_mime(&object, "signed-data"))
    }
}

/// Encrypts a canonical entity to every recipient.
///
/// # Errors
/// See [`EncryptError`].
pub fn encrypt(
    entity: &[u8],
    recipients: &[Recipient],
    enveloping: Enveloping,
) -> Result<Vec<u8>, EncryptError> {
    let encrypted = smime::encrypt(&Content::from_vec(entity.to_vec()), recipients, enveloping)?;
    let mut der = Vec::new();
    encrypted.write_to(&mut der)?;
    Ok(pkcs7_mime(&der, encrypted.smime_type))
}
