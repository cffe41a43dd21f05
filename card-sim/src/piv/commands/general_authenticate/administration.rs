//! GENERAL AUTHENTICATE with key 9B: single and mutual authentication of the administrator.

use super::{Bytes, CHALLENGE, RESPONSE, Request, WITNESS, answer};
use crate::crypto::SymmetricAlgorithm;
use crate::iso7816::StatusWord;
use crate::iso7816::apdu::ResponseData;
use crate::piv::access_rule;
use crate::piv::algorithm;
use crate::piv::applet::PivApplet;
use crate::piv::key_reference::ADMINISTRATION_KEY;
use crate::piv::security_status::Exchange;
use crate::secret::SecretBytes;

/// What a host gets that asks for a challenge of an algorithm the key does not have: it wants
/// random numbers, and never answers.
const RANDOM_NUMBERS: usize = 8;

pub(super) fn handle(
    applet: &mut PivApplet,
    identifier: u8,
    request: Request,
) -> Result<ResponseData, StatusWord> {
    access_rule::ADMINISTRATION_KEY_USE.require(&applet.status)?;
    let named = algorithm::symmetric(identifier).ok_or(StatusWord::INCORRECT_P1_P2)?;
    let is_of_the_key = named == applet.persistent.state().management_key.algorithm;
    match request {
        Request::Challenge if !is_of_the_key && named == SymmetricAlgorithm::TripleDes => {
            Ok(answer(CHALLENGE, &applet.randomness.bytes(RANDOM_NUMBERS)))
        }
        _ if !is_of_the_key => Err(StatusWord::INCORRECT_P1_P2),
        Request::Challenge => Ok(start_external(applet, named)),
        Request::Witness => start_mutual(applet, named),
        Request::Response(response) => finish(applet, |applet, exchange| match exchange {
            Some(Exchange::External { algorithm, challenge }) if algorithm == named => {
                check_external(applet, named, &challenge, &response)
            }
            _ => Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED),
        }),
        Request::MutualResponse { witness, challenge } => finish(applet, |applet, exchange| match exchange {
            Some(Exchange::Mutual { algorithm, witness: expected }) if algorithm == named => {
                check_mutual(applet, named, &expected, &witness, &challenge)
            }
            _ => Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED),
        }),
        Request::Operation(challenge) => {
            // Before that, encrypting what the host chose would let it answer the card's own challenge.
            access_rule::ADMINISTRATION.require(&applet.status)?;
            require_block(named, &challenge)?;
            Ok(answer(RESPONSE, &encrypt(applet, named, &challenge)?))
        }
        Request::Exponentiation(_) => Err(StatusWord::INCORRECT_DATA),
    }
}

fn start_external(applet: &mut PivApplet, algorithm: SymmetricAlgorithm) -> ResponseData {
    let challenge = SecretBytes::new(applet.randomness.bytes(algorithm.block_length()));
    let data = answer(CHALLENGE, challenge.expose());
    applet.status.start_exchange(Exchange::External { algorithm, challenge });
    data
}

fn start_mutual(applet: &mut PivApplet, algorithm: SymmetricAlgorithm) -> Result<ResponseData, StatusWord> {
    let witness = SecretBytes::new(applet.randomness.bytes(algorithm.block_length()));
    let encrypted = encrypt(applet, algorithm, witness.expose())?;
    applet.status.start_exchange(Exchange::Mutual { algorithm, witness });
    Ok(answer(WITNESS, &encrypted))
}

/// Runs a second step: its outcome is the security status of 9B, whatever that was before, and the
/// exchange is used up either way.
fn finish(
    applet: &mut PivApplet,
    check: impl FnOnce(&PivApplet, Option<Exchange>) -> Result<ResponseData, StatusWord>,
) -> Result<ResponseData, StatusWord> {
    let exchange = applet.status.take_exchange();
    let outcome = check(applet, exchange).and_then(|data| {
        let policy = applet.persistent.state().management_key.touch_policy;
        applet.touch.require(policy, ADMINISTRATION_KEY).map(|()| data)
    });
    applet.status.set_management_authenticated(outcome.is_ok());
    outcome
}

fn check_external(
    applet: &PivApplet,
    algorithm: SymmetricAlgorithm,
    challenge: &SecretBytes,
    response: &[u8],
) -> Result<ResponseData, StatusWord> {
    require_block(algorithm, response)?;
    let expected = SecretBytes::from(&**encrypt(applet, algorithm, challenge.expose())?);
    if expected.matches(response) {
        Ok(ResponseData::default())
    } else {
        Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED)
    }
}

fn check_mutual(
    applet: &PivApplet,
    algorithm: SymmetricAlgorithm,
    expected: &SecretBytes,
    witness: &[u8],
    challenge: &[u8],
) -> Result<ResponseData, StatusWord> {
    require_block(algorithm, witness)?;
    require_block(algorithm, challenge)?;
    if !expected.matches(witness) {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    Ok(answer(RESPONSE, &encrypt(applet, algorithm, challenge)?))
}

fn require_block(algorithm: SymmetricAlgorithm, bytes: &[u8]) -> Result<(), StatusWord> {
    if bytes.len() == algorithm.block_length() { Ok(()) } else { Err(StatusWord::INCORRECT_DATA) }
}

fn encrypt(applet: &PivApplet, algorithm: SymmetricAlgorithm, block: &[u8]) -> Result<Bytes, StatusWord> {
    let key = &applet.persistent.state().management_key.key;
    algorithm.encrypt_block(key, block).ok_or(StatusWord::UNKNOWN)
}
