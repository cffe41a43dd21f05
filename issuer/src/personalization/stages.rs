//! The stages of a run, and what is committed between them.
//!
//! ```text
//! (attempt, plan, intents: equip) commit ──> management key, PUK, PIN, data objects, keys; each new key proves itself
//!   ──> (equipped; where keys came from; certificates to be signed; intents: certify) commit ──> signed
//!   ──> (what was signed) commit ──> certificates and security object written; everything read back, each key exercised
//!   ──> (certified; intent: hand-over) commit ──> PIN to its place ──> (handed over; card issued) commit
//! ```
//!
//! Five commits make a card: a commit waits for the disk, so whatever need not be durable before the next act shares the
//! next one. A run that ends early by itself says what it has done before it goes; one that is killed says nothing, and
//! whoever resumes takes those steps again.

use middleware::{Card, CardIdentity, Transaction};

use super::attempt::Attempt;
use super::error::PersonalizationError;
use super::exercise::Verification;
use super::plan::{Stage, Step};
use super::run::{Desk, Personalized, Point, intents, interrupted};
use super::step::{self, certificate, key};
use super::{describe, presented, secrets};
use crate::domain::InitialPin;

impl Desk<'_> {
    /// Everything up to the hand-over.
    pub(super) async fn make(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &mut Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        self.write(card, steps, attempt).await?;
        self.verify(card, steps, attempt).await
    }

    /// Everything that changes the card, in one transaction with it.
    async fn write(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &mut Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        let mut transaction = card.transaction()?;
        let identity = transaction.identity_afresh()?;
        if identity != attempt.identity {
            return Err(swapped(&attempt.identity, &identity));
        }
        let own = self.own_secrets(&mut transaction, attempt)?;
        let mut opening = secrets::find_management_key(&mut transaction, attempt.stock.as_ref(), &own)?;
        if steps.contains(&Step::ManagementKey) {
            self.begin_step(Step::ManagementKey)?;
            transaction
                .authenticate(&opening)
                .and_then(|mut administration| administration.set_management_key(&own.management_key))
                .map_err(|error| interrupted(Step::ManagementKey, error.into()))?;
            opening = own.management_key.clone();
            self.end_step(attempt, Step::ManagementKey, None);
        }
        // With the new key: that confirms it.
        let mut administration = transaction.authenticate(&opening)?;
        for step in writes_of(steps, Stage::Equip) {
            self.take(step, &mut administration, attempt, &own).await?;
        }
        key::prove(self, administration.transaction(), attempt)?;
        self.refuse_to_stop()?;
        if let Some(stock) = attempt.stock.take() {
            // The PUK that it came with is not the card's any more.
            let sealed = secrets::without_stock_puk(self.master_key, &attempt.record, stock, self.random)?;
            attempt.progress.sealed_secrets = Some(sealed);
        }
        certificate::certify(self, attempt, intents(steps, Stage::Certify)).await?;
        for step in writes_of(steps, Stage::Certify) {
            self.take(step, &mut administration, attempt, &own).await?;
        }
        Ok(())
    }

    /// Everything read back in a new transaction, and every key exercised.
    async fn verify(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &mut Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        // Between the two transactions another desk may have taken the card: then its PIN is not the one known here.
        self.registry.require_present(attempt.record.id, attempt.number).await?;
        let mut transaction = card.transaction()?;
        same_card(&mut transaction, attempt)?;
        let pin = attempt.pin.clone();
        let mut verification = Verification::with(&pin);
        for step in steps {
            let Step::ReadBack(part) = *step else { continue };
            self.begin_step(*step)?;
            step::read_back(self, part, &mut transaction, &mut verification, attempt)
                .map_err(|source| interrupted(*step, source))?;
            self.end_step(attempt, *step, None);
        }
        drop(transaction);
        self.refuse_to_stop()?;
        attempt.progress.intended = intents(steps, Stage::HandOver);
        self.record(attempt).await?;
        self.reached(Step::HandOver, Point::Intended);
        Ok(())
    }

    /// The PIN reaches its place, and the card is its holder's.
    pub(super) async fn hand_over(
        &mut self,
        attempt: Attempt<'_>,
    ) -> Result<Personalized, PersonalizationError> {
        // Whoever chose the PIN knows it.
        if attempt.initial_pin == InitialPin::Transport {
            (self.hand_over_pin)(&attempt.digits).map_err(PersonalizationError::TransportPin)?;
        }
        self.reached(Step::HandOver, Point::Acted);
        let serials: Vec<_> = attempt.certificates.into_iter().map(|signed| signed.serial).collect();
        let handed_over = (Step::HandOver.to_string(), None);
        self.registry
            .complete_personalisation(
                (attempt.record.id, attempt.number),
                (attempt.initial_pin, &handed_over),
                attempt.replaces,
                &serials,
                self.clock.now(),
            )
            .await?;
        self.reached(Step::HandOver, Point::Confirmed);
        Ok(Personalized {
            card: attempt.record.id,
            guid: attempt.guid,
            not_after: attempt.validity.not_after,
            profile: attempt.profile.name,
            pin: attempt.initial_pin,
            serials,
        })
    }

    /// One step of those that change the card.
    async fn take(
        &mut self,
        step: Step,
        administration: &mut middleware::Administration<'_, '_>,
        attempt: &mut Attempt<'_>,
        own: &secrets::OwnSecrets,
    ) -> Result<(), PersonalizationError> {
        self.begin_step(step)?;
        let detail = step::carry_out(self, step, administration, attempt, own)
            .await
            .map_err(|source| interrupted(step, source))?;
        self.end_step(attempt, step, detail);
        Ok(())
    }

    /// A step whose intent is durable is about to be taken.
    fn begin_step(&mut self, step: Step) -> Result<(), PersonalizationError> {
        self.refuse_to_stop()?;
        self.reached(step, Point::Intended);
        Ok(())
    }

    fn end_step(&mut self, attempt: &mut Attempt<'_>, step: Step, detail: Option<String>) {
        self.reached(step, Point::Acted);
        attempt.done(step, detail);
    }

    fn refuse_to_stop(&self) -> Result<(), PersonalizationError> {
        if (self.stop)() { Err(PersonalizationError::Stopped) } else { Ok(()) }
    }

    /// Writes what the attempt has come to since its last commit.
    pub(super) async fn record(&self, attempt: &mut Attempt<'_>) -> Result<(), PersonalizationError> {
        let progress = &attempt.progress;
        self.registry.record_progress(attempt.record.id, attempt.number, progress, self.clock.now()).await?;
        attempt.progress = Default::default();
        Ok(())
    }

    /// Says what was done before the run ends early: whoever resumes need not do it again. If even that cannot be written, he
    /// does.
    pub(super) async fn leave(&self, attempt: &mut Attempt<'_>) {
        let confirmed = std::mem::take(&mut attempt.progress.confirmed);
        attempt.progress = crate::registry::AttemptProgress { confirmed, ..Default::default() };
        let _ = self.record(attempt).await;
    }

    fn own_secrets(
        &self,
        transaction: &mut Transaction<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<secrets::OwnSecrets, PersonalizationError> {
        let algorithm = transaction.management_key_algorithm()?;
        let version = attempt.record.secrets_version;
        Ok(secrets::OwnSecrets {
            puk: self.master_key.puk(attempt.guid, version)?,
            management_key: self.master_key.management_key(attempt.guid, version, algorithm)?,
        })
    }
}

fn writes_of(steps: &[Step], stage: Stage) -> impl Iterator<Item = Step> {
    steps.iter().copied().filter(move |step| step.writes() && step.stage() == stage)
}

/// The card that was written to is still the one in the reader: by its serial number, else by its new GUID.
fn same_card(transaction: &mut Transaction<'_>, attempt: &Attempt<'_>) -> Result<(), PersonalizationError> {
    let identity = transaction.identity_afresh()?;
    let written = CardIdentity { guid: Some(*attempt.guid.as_bytes()), ..attempt.identity.clone() };
    // Where the serial number says which card it is, the read-back of the CHUID judges what that one says.
    let is_judged_later = identity.serial.is_some();
    let is_same = identity.serial == written.serial && (is_judged_later || identity.guid == written.guid);
    if is_same { Ok(()) } else { Err(swapped(&written, &identity)) }
}

fn swapped(expected: &CardIdentity, found: &CardIdentity) -> PersonalizationError {
    PersonalizationError::CardSwapped {
        expected: describe(presented(expected)),
        found: describe(presented(found)),
    }
}
