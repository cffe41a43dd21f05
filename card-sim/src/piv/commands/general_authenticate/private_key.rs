//! GENERAL AUTHENTICATE with an asymmetric key: sign, decrypt, agree.

use super::{RESPONSE, Request, answer};
use crate::crypto::{AsymmetricAlgorithm, CryptoError};
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule::{self, Refusal};
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::AsymmetricKeyReference;

pub(super) fn handle(
    applet: &mut PivApplet,
    reference: AsymmetricKeyReference,
    identifier: u8,
    request: Request,
) -> Result<ResponseData, StatusWord> {
    let state = applet.persistent.state();
    let personality = state.personality;
    let key = state.key(reference).ok_or_else(|| Refusal::NoSuchKey.status_word(personality))?;
    let key_algorithm = key.material.algorithm();
    if algorithm::asymmetric(personality, identifier) != Some(key_algorithm) {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    access_rule::key(reference, key.pin_policy).require(&applet.status)?;
    applet.touch.require(key.touch_policy, reference.byte())?;
    // "Exponentiation SHALL NOT be allowed on keys 9A, 9C, and 9E", and a key management key on a curve agrees, it
    // does not sign. A YubiKey lets every key do both.
    let may_sign = personality.is_yubikey() || !reference.is_key_management();
    let may_agree = personality.is_yubikey() || reference.is_key_management();
    let (key, randomness) = applet.loaded_key(reference)?;
    let result = match (request, key_algorithm) {
        // The same raw operation signs a padded digest and decrypts a transported key.
        (Request::Operation(block), algorithm) if algorithm.is_rsa() => {
            key.rsa_private_operation(&block, randomness)
        }
        (Request::Operation(digest), AsymmetricAlgorithm::P256 | AsymmetricAlgorithm::P384) if may_sign => {
            key.ecdsa_sign(&digest).map(ResponseData::new)
        }
        (Request::Operation(message), AsymmetricAlgorithm::Ed25519) => {
            key.ed25519_sign(&message).map(ResponseData::new)
        }
        (Request::Exponentiation(point), AsymmetricAlgorithm::P256 | AsymmetricAlgorithm::P384)
            if may_agree =>
        {
            key.ecdh(&point)
        }
        (Request::Exponentiation(point), AsymmetricAlgorithm::X25519) => key.x25519(&point),
        _ => Err(CryptoError::InvalidInput),
    };
    match result {
        Ok(value) => Ok(answer(RESPONSE, &value)),
        Err(CryptoError::InvalidInput) => Err(StatusWord::INCORRECT_DATA),
        Err(_) => Err(StatusWord::UNKNOWN),
    }
}
