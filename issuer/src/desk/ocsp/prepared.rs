//! OCSP answers that are prepared when something is published: each is signed once and good for days.
use std::collections::HashMap;

use getrandom::SysRng;
use jiff::{SignedDuration, Timestamp};
use middleware::{FileKey, KeyAlgorithm, Signer};
use rand_core::UnwrapErr;

use super::super::failure::Failure;
use super::super::init::{CertificateRequest, certify};
use super::super::key_file;
use super::super::office::{Office, Passphrase};
use super::init::{replace, responder_algorithm};
use crate::ca::crl::RevokedCertificate;
use crate::ca::ocsp::cert_id::NAMED_BY;
use crate::ca::ocsp::responder::prepared_state;
use crate::ca::ocsp::{CertificateState, Responder, StateAt};
use crate::ca::profile::Assurance;
use crate::ca::{Authority, Certificate, Profile, ProvenKey, SerialNumber};
use crate::publication::ocsp_answers::{Prepared, PublishedAnswers};
use crate::publication::{NewAnswers, PublishedDirectory};
use crate::registry::AuthorityKey;

/// Who signs prepared answers: keys of the desk's, never an authority's own.
pub(in crate::desk) struct Preparation<'a> {
    office: &'a Office,
    /// Those that were needed so far, each with its algorithm.
    keys: Vec<(KeyAlgorithm, FileKey)>,
    now: Timestamp,
}

impl<'a> Preparation<'a> {
    /// No key is opened before it is needed; the first time it is made.
    pub(in crate::desk) fn new(office: &'a Office, now: Timestamp) -> Self {
        Self { office, keys: Vec::new(), now }
    }

    /// An answer about every certificate of an authority that has not expired. Answers that still hold and are young
    /// enough are taken as they were published.
    ///
    /// # Errors
    /// The registry, or a key.
    pub(in crate::desk) async fn answers(
        &mut self,
        key: &AuthorityKey,
        passphrase: &Passphrase,
        revoked: &[RevokedCertificate],
        published: Option<&PublishedDirectory>,
    ) -> Result<NewAnswers, Failure> {
        let certificate = Certificate::from_der(key.certificate.clone())?;
        let mut signer = self.take_key(&certificate, passphrase)?;
        let mut authority = self.office.authority_of(key.name, certificate, passphrase)?;
        let responder = self.responder(key, &mut authority, &mut signer.1).await?;
        let old = published
            .and_then(|published| published.answers(authority.certificate().subject_key_identifier()));
        let revoked: HashMap<&[u8], &RevokedCertificate> =
            revoked.iter().map(|entry| (entry.serial_number.as_bytes(), entry)).collect();
        let mut answers = NewAnswers::default();
        for serial in self.office.registry.unexpired_certificates(key.name, key.generation, self.now).await? {
            let serial = SerialNumber::from_bytes(serial.as_bytes())?;
            let state = match revoked.get(serial.as_bytes()) {
                None => CertificateState::Good,
                Some(entry) => CertificateState::Revoked { at: entry.revocation_date, reason: entry.reason },
            };
            let prepared = match self.still_good(old.as_ref(), &responder, &serial, state) {
                Some(prepared) => prepared,
                None => self.prepare(&responder, &mut signer.1, &serial, state)?,
            };
            answers.insert(&serial, prepared);
        }
        self.keys.push(signer);
        Ok(answers)
    }

    /// The key that signs for an authority; whoever is done with it puts it back.
    fn take_key(
        &mut self,
        authority: &Certificate,
        passphrase: &Passphrase,
    ) -> Result<(KeyAlgorithm, FileKey), Failure> {
        let algorithm = responder_algorithm([authority.public_key()]);
        if let Some(place) = self.keys.iter().position(|(known, _)| *known == algorithm) {
            return Ok(self.keys.swap_remove(place));
        }
        let home = &self.office.home;
        let path =
            if algorithm == KeyAlgorithm::P256 { home.ocsp_key_file() } else { home.ocsp_rsa_key_file() };
        Ok((algorithm, key_file::open_or_make(&path, algorithm, passphrase.as_str())?))
    }

    fn prepare(
        &self,
        responder: &Responder,
        key: &mut FileKey,
        serial: &SerialNumber,
        state: CertificateState,
    ) -> Result<Prepared, Failure> {
        let end = responder.certificate().not_after();
        let next_update = self.now.saturating_add(LIFETIME).unwrap_or(end).min(end);
        let state = StateAt { state, this_update: self.now, next_update };
        let responses = responder.prepare(key, serial, state, self.now)?.concat();
        Ok(Prepared { this_update: self.now, next_update, responses })
    }

    /// A published answer that says the same, is signed with the same certificate, and is in the first half of its life.
    fn still_good(
        &self,
        old: Option<&PublishedAnswers>,
        responder: &Responder,
        serial: &SerialNumber,
        state: CertificateState,
    ) -> Option<Prepared> {
        let prepared = old?.find(serial).ok()??;
        let refresh_at = prepared.this_update.saturating_add(LIFETIME / 2).ok()?;
        if self.now >= refresh_at || self.now < prepared.this_update {
            return None;
        }
        let is_good = |response: &[u8]| {
            let said = prepared_state(response);
            said.is_ok_and(|(said, signer)| said.state == state && signer == responder.certificate().as_der())
        };
        let is_complete = prepared.each().count() == NAMED_BY.len();
        (is_complete && prepared.each().all(is_good)).then_some(prepared)
    }

    /// The responder's certificate of this authority; a new one in the second half of its life.
    async fn responder(
        &self,
        key: &AuthorityKey,
        authority: &mut Authority,
        own: &mut FileKey,
    ) -> Result<Responder, Failure> {
        let name = key.name;
        let newest = self.office.home.ocsp_certificate_file(name);
        let path = if key.is_current {
            newest
        } else {
            newest.with_file_name(format!("ocsp-{name}-{}.pem", key.generation))
        };
        let known = std::fs::read_to_string(&path).ok().and_then(|pem| Certificate::from_pem(&pem).ok());
        if let Some(certificate) = known.filter(|known| self.is_young(known, own)) {
            // One of an earlier key of the authority is made anew.
            if let Ok(responder) = Responder::new(authority.certificate(), certificate) {
                return Ok(responder);
            }
        }
        let mut random = UnwrapErr(SysRng);
        let proven = ProvenKey::of_signer(own, &mut random)?;
        let request = CertificateRequest {
            organization: &self.office.config.organization,
            profile: Profile::OcspResponder,
            assurance: Assurance::Production,
            key: &proven,
        };
        let signer = (name, &mut *authority);
        let certificate = certify(&self.office.registry, signer, request, self.now, &mut random).await?;
        replace(&path, &certificate.to_pem()).map_err(|error| Failure::file(&path, &error))?;
        Ok(Responder::new(authority.certificate(), certificate)?)
    }

    fn is_young(&self, certificate: &Certificate, own: &FileKey) -> bool {
        let (begin, end) = (certificate.not_before().as_second(), certificate.not_after().as_second());
        let now = self.now.as_second();
        certificate.public_key() == own.public_key() && begin <= now && now - begin <= (end - begin) / 2
    }
}

/// How long a prepared answer stands: as long as a CRL (S/MIME Baseline Requirements section 4.9.10 allows ten days).
const LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
