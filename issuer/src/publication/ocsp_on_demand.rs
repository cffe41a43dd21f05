//! Answers that are signed when they are asked for: with a nonce, about several certificates, about none of ours, or about
//! one that is named by a hash algorithm that prepared answers do not use.
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use middleware::Signer;

use super::life::Life;
use super::ocsp_answers::PublishedAnswers;
use crate::ca::ocsp::responder::prepared_state;
use crate::ca::ocsp::{CertId, CertificateState, Responder, ResponseStatus, StateAt, StatusRequest};

/// A responder's key, and its certificates of the authorities that it speaks for.
pub struct OnDemand {
    /// By the authority's subjectKeyIdentifier.
    responders: Vec<(Vec<u8>, Responder)>,
    /// One for each answer that is signed at a time.
    signers: Vec<Mutex<Box<dyn Signer + Send>>>,
}

impl OnDemand {
    /// Takes the responder's certificates, by the authority's subjectKeyIdentifier, and copies of its key.
    pub fn new(responders: Vec<(Vec<u8>, Responder)>, signers: Vec<Box<dyn Signer + Send>>) -> Self {
        Self { responders, signers: signers.into_iter().map(Mutex::new).collect() }
    }

    /// How long its certificates stand, by the authority's subjectKeyIdentifier in hexadecimal.
    pub(super) fn lives(&self) -> impl Iterator<Item = (String, Life)> {
        self.responders.iter().map(|(authority, responder)| {
            let certificate = responder.certificate();
            let life = Life { this_update: certificate.not_before(), next_update: certificate.not_after() };
            (hex::encode(authority), life)
        })
    }

    /// Whether it may answer for this authority now.
    pub(super) fn speaks_for(&self, authority: &[u8], now: Timestamp) -> bool {
        self.responder(authority, now).is_some()
    }

    fn responder(&self, authority: &[u8], now: Timestamp) -> Option<&Responder> {
        let valid = |responder: &Responder| {
            let certificate = responder.certificate();
            certificate.not_before() <= now && now <= certificate.not_after()
        };
        let found = self.responders.iter().find(|(key, responder)| key == authority && valid(responder));
        found.map(|(_, responder)| responder)
    }

    /// Signs what the published answers say; a serial number that is in none of them was never issued.
    pub(super) fn answer(
        &self,
        authority: &[u8],
        answers: &PublishedAnswers,
        request: &StatusRequest,
        now: Timestamp,
    ) -> Result<Vec<u8>, ResponseStatus> {
        let responder = self.responder(authority, now).ok_or(ResponseStatus::Unauthorized)?;
        let states = request
            .certificates
            .iter()
            .map(|certificate| Ok((certificate.clone(), state(answers, certificate, now)?)))
            .collect::<Result<Vec<_>, ResponseStatus>>()?;
        let free = self.signers.iter().find_map(|signer| signer.try_lock().ok());
        let mut signer = match (free, self.signers.first()) {
            (Some(signer), _) => signer,
            (None, Some(first)) => first.lock().unwrap_or_else(PoisonError::into_inner),
            (None, None) => return Err(ResponseStatus::InternalError),
        };
        responder
            .answer(signer.as_mut(), states, request.nonce.as_ref(), now)
            .map_err(|_| ResponseStatus::InternalError)
    }
}

fn state(
    answers: &PublishedAnswers,
    certificate: &CertId,
    now: Timestamp,
) -> Result<StateAt, ResponseStatus> {
    let failed = ResponseStatus::InternalError;
    let prepared = match certificate.serial_number() {
        Some(serial_number) => answers.find(&serial_number).map_err(|_| failed)?,
        None => None,
    };
    let Some(prepared) = prepared else {
        let next_update = now.saturating_add(UNKNOWN_FOR).unwrap_or(now);
        return Ok(StateAt { state: CertificateState::Unknown, this_update: now, next_update });
    };
    if prepared.next_update <= now {
        return Err(ResponseStatus::TryLater);
    }
    let (state, _) = prepared_state(prepared.to_anybody()).map_err(|_| failed)?;
    Ok(state)
}

/// A certificate may be issued and published at any time.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(5);
