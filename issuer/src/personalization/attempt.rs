//! One attempt at one card: what its steps read and leave for each other.

use middleware::{CardIdentity, Pin};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::custody::StockSecrets;
use super::error::PersonalizationError;
use super::plan::Step;
use crate::ca::profile::{Assurance, Validity};
use crate::ca::{Certificate, ProvenKey};
use crate::domain::{
    CardId, CardKey, CardProfile, Cardholder, CertificateState, Guid, InitialPin, SerialNumber,
};
use crate::registry::{AttemptProgress, CardRecord, CertificateRecord, JournalEntry, JournalPhase};

/// One attempt at one card.
pub(super) struct Attempt<'p> {
    pub(super) record: CardRecord,
    /// What the card showed before anything was written.
    pub(super) identity: CardIdentity,
    pub(super) holder: &'p Cardholder,
    /// The GUID that the card gets.
    pub(super) guid: Guid,
    /// 1, 2, ...
    pub(super) number: u32,
    /// The attempt that began the plan: what was confirmed since may be kept.
    pub(super) since: u32,
    pub(super) assurance: Assurance,
    pub(super) profile: CardProfile,
    pub(super) validity: Validity,
    pub(super) stock: Option<StockSecrets>,
    /// A new one in each attempt, or as its holder typed it: the registry never holds it.
    pub(super) digits: Zeroizing<String>,
    /// Which of the two.
    pub(super) initial_pin: InitialPin,
    /// The card in whose place it is.
    pub(super) replaces: Option<CardId>,
    pub(super) pin: Pin,
    /// The journal of the attempts before this one.
    pub(super) earlier: Vec<JournalEntry>,
    /// What earlier attempts certified, as far as it was not taken over yet.
    pub(super) left: Vec<CertificateRecord>,
    /// Keys that were made in this attempt and have not proven themselves yet.
    pub(super) unproven: Vec<(CardKey, SubjectPublicKeyInfoOwned)>,
    /// Keys that proved themselves in this attempt.
    pub(super) proven: Vec<(CardKey, ProvenKey)>,
    /// Certificates for the card, signed and stored.
    pub(super) certificates: Vec<Signed>,
    /// What is done and not yet in the registry.
    pub(super) progress: AttemptProgress,
}

/// A certificate for the card.
pub(super) struct Signed {
    pub(super) key: CardKey,
    pub(super) serial: SerialNumber,
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// Whether an interrupted attempt had it signed.
    pub(super) is_kept: bool,
}

impl Attempt<'_> {
    /// What an earlier attempt at the same plan left in the journal for whoever takes `step` again: the detail of its last
    /// confirmation.
    pub(super) fn confirmed_before(&self, step: Step) -> Option<&str> {
        let name = step.to_string();
        let entry = self.earlier.iter().rev().find(|entry| {
            entry.attempt >= self.since && entry.phase == JournalPhase::Confirmed && entry.step == name
        })?;
        entry.detail.as_deref()
    }

    /// The key as it proved itself in this attempt.
    pub(super) fn proven(&self, key: CardKey) -> Result<&ProvenKey, PersonalizationError> {
        let found = self.proven.iter().find(|(proven, _)| *proven == key);
        found.map(|(_, proven)| proven).ok_or(PersonalizationError::NotProven(key))
    }

    /// Takes out of what is left a signed certificate that this attempt would make once more.
    pub(super) fn take_left(
        &mut self,
        key: CardKey,
        public_key: &SubjectPublicKeyInfoOwned,
    ) -> Option<Signed> {
        let validity = self.validity;
        let position = self.left.iter().position(|record| {
            let is_whole = matches!(
                record.state.state(),
                CertificateState::Signed { .. } | CertificateState::Delivered { .. }
            );
            let is_of_key = || {
                let der = record.certificate.clone().unwrap_or_default();
                Certificate::from_der(der).is_ok_and(|certificate| certificate.public_key() == public_key)
            };
            record.card_key == Some(key)
                && is_whole
                && record.card.is_some_and(|(_, attempt)| attempt >= self.since)
                && (record.not_before, record.not_after) == (validity.not_before, validity.not_after)
                && is_of_key()
        })?;
        let record = self.left.swap_remove(position);
        let certificate = record.certificate?;
        Some(Signed { key, serial: record.serial, certificate, is_kept: true })
    }

    /// The certificate of a key, which was signed and stored.
    pub(super) fn certificate(&self, key: CardKey) -> Result<&Signed, PersonalizationError> {
        let found = self.certificates.iter().find(|signed| signed.key == key);
        found.ok_or(PersonalizationError::NotProven(key))
    }

    /// A step is done; the next commit says so.
    pub(super) fn done(&mut self, step: Step, detail: Option<String>) {
        self.progress.confirmed.push((step.to_string(), detail));
    }
}
