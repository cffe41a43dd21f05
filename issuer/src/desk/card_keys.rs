//! The keys that a card has now: their certificates, and where each key came from.

use serde::Serialize;

use super::failure::Failure;
use super::office::Office;
use crate::ca::Certificate;
use crate::clock::Clock;
use crate::domain::CertificateState;
use crate::personalization::attestation;
use crate::registry::{AttestationRecord, CardRecord};

/// One key with its certificate.
#[derive(Serialize)]
pub(super) struct KeyView {
    pub(super) key: &'static str,
    pub(super) serial: String,
    /// As in the registry; `expired` for one that was delivered and has ended.
    pub(super) state: &'static str,
    pub(super) not_after: String,
    /// Attested, generated, injected; nothing of a key of before that was recorded.
    pub(super) origin: Option<&'static str>,
    attestation: Option<AttestationView>,
}

/// Certificates in DER, hex: what an auditor checks with openssl alone.
#[derive(Serialize)]
struct AttestationView {
    statement: String,
    issuer: String,
    root: Option<String>,
}

/// Every certificate that was signed for the card in its present life, the oldest first.
pub(super) async fn of(office: &Office, record: &CardRecord) -> Result<Vec<KeyView>, Failure> {
    let mut views = Vec::new();
    let now = office.clock.now();
    for certificate in office.registry.certificates_of_card(record.id).await? {
        let is_of_now = certificate.card.is_some_and(|(_, attempt)| attempt == record.card.attempts());
        let (Some(key), Some(der), true) = (certificate.card_key, certificate.certificate, is_of_now) else {
            continue;
        };
        let public_key = Certificate::from_der(der)?.public_key().clone();
        let origin = office.registry.key_origin(&attestation::hash_of(&public_key)?).await?;
        views.push(KeyView {
            key: key.as_str(),
            serial: certificate.serial.to_string(),
            state: match certificate.state.state() {
                CertificateState::Delivered { .. } if certificate.not_after < now => "expired",
                state => state.name(),
            },
            not_after: certificate.not_after.to_string(),
            attestation: origin.as_ref().and_then(|origin| origin.attestation()).map(attestation_view),
            origin: origin.as_ref().map(|origin| origin.as_str()),
        });
    }
    Ok(views)
}

fn attestation_view(record: &AttestationRecord) -> AttestationView {
    AttestationView {
        statement: hex::encode(&record.statement),
        issuer: hex::encode(&record.issuer),
        root: record.root.as_ref().map(hex::encode),
    }
}
