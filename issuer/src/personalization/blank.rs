//! Whether a card that nobody has carries somebody's keys or certificates.
//!
//! What an attempt of this desk left on it, given up half-way, is the desk's own, and the next attempt writes over it. Any
//! other key or certificate is somebody's, and nobody overwrites it unasked. A card of SP 800-73-5 does not tell which
//! keys it has: there certificates count, and a CHUID that somebody signed, which makes a card somebody's card (Part 1
//! section 3.1.2.1). A CHUID without signature is no more than a number: tools write one into blank cards.

use middleware::piv::objects::Chuid;
use middleware::{Card, CardError, DataObject, KeyReference};

use super::error::PersonalizationError;
use crate::ca::Certificate;
use crate::ca::signed_data::enclosed_certificates;
use crate::registry::{CardRecord, Registry};

/// How much of a subject is shown: whoever made the certificate wrote it.
const LONGEST_SUBJECT: usize = 100;

/// Refuses a card with what was not made for it here; `record` is the card in the registry, if it is there. Nothing is
/// written.
///
/// # Errors
/// [`PersonalizationError::NotBlank`]; the card or the registry cannot be read.
pub async fn refuse_foreign(
    registry: &Registry,
    record: Option<&CardRecord>,
    card: &mut Card,
) -> Result<(), PersonalizationError> {
    let foreign = foreign(registry, record, card).await?;
    if foreign.is_empty() { Ok(()) } else { Err(PersonalizationError::NotBlank(foreign.join("; "))) }
}

/// What is on a card and was not made for it here: the key references with the subjects of their certificates.
///
/// # Errors
/// The card or the registry cannot be read.
pub async fn foreign(
    registry: &Registry,
    record: Option<&CardRecord>,
    card: &mut Card,
) -> Result<Vec<String>, PersonalizationError> {
    let registered = match record {
        Some(record) => registry.certificates_of_card(record.id).await?,
        None => Vec::new(),
    };
    let is_ours = |der: &[u8]| registered.iter().any(|known| known.certificate.as_deref() == Some(der));
    let was_begun = record.is_some_and(was_begun);
    let mut foreign = Vec::new();
    for reference in KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()) {
        let of_attempt = was_begun && KeyReference::PRIMARY.contains(&reference);
        match certificate(card, reference)? {
            Found::Certificate(der) if is_ours(&der) => {}
            Found::Certificate(der) => foreign.push(format!("{reference}: {}", subject(der))),
            Found::SomethingElse => foreign.push(format!("{reference}: what is no certificate")),
            Found::Nothing if of_attempt => {}
            Found::Nothing => {
                if card.transaction()?.key_metadata(reference)?.is_some() {
                    foreign.push(format!("{reference}: a key without certificate"));
                }
            }
        }
    }
    if !was_begun && let Some(signer) = signer_of_chuid(card)? {
        foreign.push(format!("a CHUID signed by {signer}"));
    }
    Ok(foreign)
}

/// Whether an attempt was made at a card since it was blank: its first act gave the card the desk's secrets, and its four keys
/// are the desk's.
pub(super) fn was_begun(record: &CardRecord) -> bool {
    record.card.guid().is_some()
}

/// What lies in the container of a certificate.
enum Found {
    Nothing,
    Certificate(Vec<u8>),
    SomethingElse,
}

fn certificate(card: &mut Card, reference: KeyReference) -> Result<Found, PersonalizationError> {
    Ok(match card.certificate(reference) {
        Ok(None) => Found::Nothing,
        Ok(Some(der)) => Found::Certificate(der),
        Err(CardError::MalformedAnswer(_)) => Found::SomethingElse,
        // A card may not know the containers of retired keys.
        Err(CardError::Refused { .. }) if !KeyReference::PRIMARY.contains(&reference) => Found::Nothing,
        Err(error) => return Err(error.into()),
    })
}

/// Who signed the CHUID, if anybody did.
pub(super) fn signer_of_chuid(card: &mut Card) -> Result<Option<String>, PersonalizationError> {
    let contents = card.transaction()?.read_if_present(DataObject::CHUID)?;
    let Some(contents) = contents else { return Ok(None) };
    let signature = match Chuid::signature(&contents) {
        Ok(Some(signature)) => signature,
        // What cannot be read is nobody's signature.
        Ok(None) | Err(CardError::MalformedAnswer(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let signer = enclosed_certificates(signature).ok().and_then(|all| all.into_iter().next());
    Ok(Some(signer.map_or_else(|| "somebody".to_owned(), subject)))
}

fn subject(der: Vec<u8>) -> String {
    match Certificate::from_der(der) {
        Ok(certificate) => {
            certificate.subject().escape_debug().to_string().chars().take(LONGEST_SUBJECT).collect()
        }
        Err(_) => "what is no certificate".to_owned(),
    }
}
