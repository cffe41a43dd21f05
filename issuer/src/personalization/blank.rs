//! Whether a card that nobody has carries somebody's certificates.
//!
//! What an attempt of this desk left on it, given up half-way, is the desk's own, and the next attempt writes over it. Any
//! other certificate is somebody's whose keys nobody overwrites unasked.

use middleware::{Card, CardError, KeyReference};

use super::error::PersonalizationError;
use crate::ca::Certificate;
use crate::registry::{CardRecord, Registry};

/// How much of a subject is shown: whoever made the certificate wrote it.
const LONGEST_SUBJECT: usize = 100;

/// Refuses a card that carries certificates which were not made for it here; `record` is the card in the registry, if it
/// is there. Nothing is written.
///
/// # Errors
/// [`PersonalizationError::NotBlank`]; the card or the registry cannot be read.
pub async fn refuse_foreign(
    registry: &Registry,
    record: Option<&CardRecord>,
    card: &mut Card,
) -> Result<(), PersonalizationError> {
    let registered = match record {
        Some(record) => registry.certificates_of_card(record.id).await?,
        None => Vec::new(),
    };
    let mut foreign = Vec::new();
    for reference in KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()) {
        let der = match card.certificate(reference) {
            Ok(None) => continue,
            Ok(Some(der)) => der,
            Err(CardError::MalformedAnswer(_)) => {
                foreign.push(format!("{reference}: what is no certificate"));
                continue;
            }
            // A card may not know the containers of retired keys.
            Err(CardError::Refused { .. }) if !KeyReference::PRIMARY.contains(&reference) => continue,
            Err(error) => return Err(error.into()),
        };
        if registered.iter().all(|known| known.certificate.as_deref() != Some(der.as_slice())) {
            foreign.push(format!("{reference}: {}", subject(der)));
        }
    }
    if foreign.is_empty() { Ok(()) } else { Err(PersonalizationError::NotBlank(foreign.join("; "))) }
}

fn subject(der: Vec<u8>) -> String {
    match Certificate::from_der(der) {
        Ok(certificate) => {
            certificate.subject().escape_debug().to_string().chars().take(LONGEST_SUBJECT).collect()
        }
        Err(_) => "what is no certificate".to_owned(),
    }
}
