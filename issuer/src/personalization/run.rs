//! Carries the plan out, step by journalled step: intent, act, confirm; then everything is read back.
//!
//! A run that is interrupted leaves the card "being personalised". The next run for the same person goes on with the same
//! plan under a new attempt number (whoever still works on the attempt before is refused from then on): every step is
//! taken again, and a step that was confirmed keeps what it made if the card still proves it. Where the plan has changed,
//! a run starts over with the same GUID, so that the secrets already set still derive. At the end, in the transaction
//! that makes the card its holder's, whatever was certified and is not on the card is revoked.

use jiff::Timestamp;
use middleware::{Card, CardIdentity, KeyReference, Pin, Transaction};
use rand_core::CryptoRng;

use super::attempt::Attempt;
use super::attestation::AttestationRoots;
use super::custody::MasterKey;
use super::error::PersonalizationError;
use super::objects::ContentSigner;
use super::plan::{CommandSet, Commission, KeyChoice, Part, Step, StoredPlan, plan};
use super::step::{self, certificate};
use super::transport_pin::transport_pin;
use super::{describe, presented, secrets};
use crate::ca::profile::{Assurance, Validity};
use crate::ca::{Authority, Organization};
use crate::clock::Clock;
use crate::domain::{CardCommand, CardId, CardKey, CardState, Cardholder, Guid, InitialPin, SerialNumber};
use crate::registry::{CardRecord, EmulatedCards, JournalLine, JournalPhase, OperationKind, Registry};

/// What the desk watches while a card is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The registry knows that this card is being made.
    Begun {
        /// The card's GUID.
        guid: Guid,
        /// 1, 2, ...
        attempt: u32,
        /// Whether what an earlier attempt confirmed is kept; otherwise an attempt above 1 starts over.
        resumes: bool,
        /// How many steps there are.
        steps: usize,
    },
    /// How far a step is.
    Step {
        /// Which.
        step: Step,
        /// How far.
        point: Point,
    },
    /// The desk's management key, PUK and transport PIN are set.
    SecretsSet,
    /// A key was made and has proven itself.
    KeyMade(CardKey),
    /// A key that was made before an interruption has proven itself again.
    KeyKept(CardKey),
    /// Its certificate was signed and written.
    Certified(CardKey, SerialNumber),
    /// Its certificate was signed before an interruption, and is on the card.
    CertificateKept(CardKey, SerialNumber),
    /// It was read back, and the key exercised against it.
    Verified(CardKey),
    /// The registry knows that the certificates of a card are renewed.
    RenewalBegun {
        /// Whether a run before this one had begun it.
        resumed: bool,
    },
    /// The old key 9D lies at this reference, with its certificate.
    Retired(KeyReference),
    /// How far what is done to an issued card is.
    Operation(OperationKind, Point),
}

/// How far a step is; each point is a moment at which everything can end, and the next run picks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// The journal has the intent.
    Intended,
    /// The bytes of a certificate that will be signed are stored.
    Reserved,
    /// The signed certificate is stored.
    Signed,
    /// It is done, and the journal does not know yet.
    Acted,
    /// The journal has it.
    Confirmed,
}

impl Point {
    /// Once the journal has a line.
    pub(super) const fn of(phase: JournalPhase) -> Self {
        match phase {
            JournalPhase::Intended => Self::Intended,
            JournalPhase::Confirmed => Self::Confirmed,
        }
    }
}

/// Everything a run works with.
pub struct Desk<'a> {
    /// Where everything is recorded.
    pub registry: &'a Registry,
    /// Who signs.
    pub authority: &'a mut Authority,
    /// For whom.
    pub organization: &'a Organization,
    /// Who signs what else is written on the card.
    pub content_signer: &'a mut ContentSigner,
    /// Whose word on where keys were made is believed.
    pub attestation_roots: &'a AttestationRoots,
    /// From which the card's secrets derive.
    pub master_key: &'a MasterKey,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where randomness comes from.
    pub random: &'a mut dyn CryptoRng,
    /// Who watches.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Hands the transport PIN over, once, after every check and before the card counts as issued.
    pub hand_over_pin: &'a mut dyn FnMut(&str) -> std::io::Result<()>,
    /// Asked before each step: whether to stop there.
    pub stop: &'a dyn Fn() -> bool,
}

/// A card that is somebody's now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personalized {
    /// The registry's number.
    pub card: CardId,
    /// Its GUID.
    pub guid: Guid,
    /// End of its certificates.
    pub not_after: Timestamp,
    /// Its certificates' serial numbers, in the order 9A 9C 9D 9E.
    pub serials: Vec<SerialNumber>,
}

/// What is known before anything is changed.
struct Prepared {
    record: CardRecord,
    identity: CardIdentity,
    assurance: Assurance,
    steps: Vec<Step>,
    validity: Validity,
}

impl Desk<'_> {
    /// Makes a card in stock into `holder`'s card, or goes on making it.
    ///
    /// # Errors
    /// Refusals change nothing. [`PersonalizationError::Interrupted`]: the card is half-made; run again for the same holder.
    pub async fn personalize(
        &mut self,
        card: &mut Card,
        holder: &Cardholder,
        commission: impl Into<Commission>,
    ) -> Result<Personalized, PersonalizationError> {
        let commission = commission.into();
        let prepared = self.prepare(card, holder, commission.keys).await?;
        let steps = prepared.steps.clone();
        let mut attempt = self.begin(prepared, holder, commission).await?;
        let written = self.write(card, &steps, &mut attempt).await;
        if let Some(fault) = written.as_ref().err().and_then(PersonalizationError::fault) {
            let record = CardCommand::RecordFault { attempt: attempt.number, fault };
            self.registry.command_card(attempt.record.id, record, self.clock.now()).await?;
        }
        written?;
        self.verify(card, &steps, &mut attempt).await?;
        self.hand_over(attempt).await
    }

    /// Everything that can be refused before the card or the registry changes.
    async fn prepare(
        &mut self,
        card: &mut Card,
        holder: &Cardholder,
        choice: KeyChoice,
    ) -> Result<Prepared, PersonalizationError> {
        let identity = card.transaction()?.identity_afresh()?;
        let assurance = assurance_of(&identity, self.registry.emulated_cards().await?)?;
        let presented = presented(&identity);
        let Some(record) = self.registry.card_presented(presented).await? else {
            return Err(PersonalizationError::UnknownCard(describe(presented)));
        };
        let commands = if identity.version.is_some() { CommandSet::YubiKey } else { CommandSet::Standard };
        let steps = plan(commands, choice)?;
        let has_stock_secrets = self.registry.sealed_secrets(record.id).await?.is_some();
        if commands == CommandSet::Standard && !has_stock_secrets {
            return Err(PersonalizationError::StockSecretsMissing);
        }
        let now = self.clock.now();
        let last_moment = holder.employed_until.and_then(end_of_day);
        if let (Some(day), Some(end)) = (holder.employed_until, last_moment)
            && end <= now
        {
            return Err(PersonalizationError::EmploymentOver(day));
        }
        let mut validity = self.longest_validity(holder, now);
        if let Some(end) = last_moment {
            validity.not_after = validity.not_after.min(end);
        }
        Ok(Prepared { record, identity, assurance, steps, validity })
    }

    /// As long as the profile allows, and not longer than the authority itself.
    pub(super) fn longest_validity(&self, holder: &Cardholder, now: Timestamp) -> Validity {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let profile = certificate::profile(CardKey::DigitalSignature, holder, Guid::new([0; 16]));
        let validity = Validity::for_days(now, profile.maximum_days());
        let not_after = validity.not_after.min(self.authority.certificate().not_after());
        Validity { not_after, ..validity }
    }

    /// Opens an attempt: one that goes on where the present plan was begun before, else one from the start.
    async fn begin<'p>(
        &mut self,
        prepared: Prepared,
        holder: &'p Cardholder,
        commission: Commission,
    ) -> Result<Attempt<'p>, PersonalizationError> {
        let Prepared { record, identity, assurance, steps, validity } = prepared;
        let Commission { keys: choice, chosen_pin, replaces } = commission;
        let now = self.clock.now();
        let wanted = StoredPlan::new(
            &steps,
            choice,
            holder,
            self.authority.certificate().subject_key_identifier(),
            (validity.not_before, validity.not_after),
            0,
        );
        let before = self.plan_before(&record, holder).await?;
        let from_stock = before.as_ref().map(|plan| plan.from_stock);
        let replaces = replaces.or(before.as_ref().and_then(|plan| plan.replaces).map(CardId));
        let begun = before.filter(|plan| plan.goes_on_as(&wanted, now));
        let command = match begun {
            Some(_) => CardCommand::ResumePersonalisation { holder: holder.id },
            None => {
                let mut guid = [0; 16];
                self.random.fill_bytes(&mut guid);
                CardCommand::BeginPersonalisation { holder: holder.id, fresh_guid: Guid::from_random(guid) }
            }
        };
        let card = self.registry.command_card(record.id, command, now).await?;
        let number = card.attempts();
        let resumes = begun.is_some();
        let mut plan = begun.unwrap_or(wanted);
        if !resumes {
            plan.since = number;
            plan.from_stock = from_stock.unwrap_or(number);
        }
        plan.replaces = replaces.map(|card| card.0);
        self.registry.store_plan(record.id, number, &plan.to_text()).await?;
        let (not_before, not_after) = plan.validity();
        let initial_pin =
            if chosen_pin.is_some() { InitialPin::ChosenByHolder } else { InitialPin::Transport };
        let digits = chosen_pin.unwrap_or_else(|| transport_pin(&mut *self.random));
        let attempt = Attempt {
            guid: card.guid().ok_or(PersonalizationError::GuidMissing)?,
            stock: secrets::of_stock(self.registry, self.master_key, &record).await?,
            earlier: secrets::since_stock(self.registry.journal(record.id).await?, plan.from_stock),
            left: if resumes { self.registry.certificates_of_card(record.id).await? } else { Vec::new() },
            pin: Pin::new(&digits)?,
            since: plan.since,
            validity: Validity { not_before, not_after },
            proven: Vec::new(),
            written: Vec::new(),
            record,
            identity,
            holder,
            number,
            assurance,
            choice,
            digits,
            initial_pin,
            replaces,
        };
        (self.progress)(Progress::Begun { guid: attempt.guid, attempt: number, resumes, steps: steps.len() });
        Ok(attempt)
    }

    /// The plan that an interrupted attempt at this card followed.
    async fn plan_before(
        &self,
        record: &CardRecord,
        holder: &Cardholder,
    ) -> Result<Option<StoredPlan>, PersonalizationError> {
        match record.card.state() {
            CardState::BeingPersonalised { holder: begun_for, .. } if *begun_for == holder.id => {}
            _ => return Ok(None),
        }
        let stored = self.registry.plan(record.id, record.card.attempts()).await?;
        Ok(stored.as_deref().and_then(StoredPlan::parse))
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
        let mut confirmed = None;
        if steps.contains(&Step::ManagementKey) {
            self.journal(attempt, None, Some(Step::ManagementKey)).await?;
            transaction
                .authenticate(&opening)
                .and_then(|mut administration| administration.set_management_key(&own.management_key))
                .map_err(|error| interrupted(Step::ManagementKey, error.into()))?;
            opening = own.management_key.clone();
            self.reached(Step::ManagementKey, Point::Acted);
            confirmed = Some((Step::ManagementKey, None));
        }
        // With the new key: that confirms it.
        let mut administration = transaction.authenticate(&opening)?;
        for step in steps.iter().filter(|step| step.writes()) {
            self.journal(attempt, confirmed.take(), Some(*step)).await?;
            let detail = step::carry_out(self, *step, &mut administration, attempt, &own)
                .await
                .map_err(|source| interrupted(*step, source))?;
            self.reached(*step, Point::Acted);
            confirmed = Some((*step, detail));
        }
        self.journal(attempt, confirmed, None).await?;
        if let Some(stock) = attempt.stock.take() {
            secrets::forget_stock_puk(self.registry, self.master_key, &attempt.record, stock, self.random)
                .await?;
        }
        Ok(())
    }

    /// Everything read back in new transactions, and every key exercised.
    async fn verify(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &mut Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        let mut confirmed = None;
        for step in steps {
            let Step::ReadBack(part) = *step else { continue };
            self.journal(attempt, confirmed.take(), Some(*step)).await?;
            let mut transaction = card.transaction()?;
            same_card(&mut transaction, attempt, part)?;
            step::read_back(self, part, &mut transaction, attempt)
                .map_err(|source| interrupted(*step, source))?;
            drop(transaction);
            self.reached(*step, Point::Acted);
            confirmed = Some((*step, None));
        }
        self.journal(attempt, confirmed, Some(Step::HandOver)).await
    }

    /// The PIN reaches its place, and the card is its holder's.
    async fn hand_over(&mut self, attempt: Attempt<'_>) -> Result<Personalized, PersonalizationError> {
        // Whoever chose the PIN knows it.
        if attempt.initial_pin == InitialPin::Transport {
            (self.hand_over_pin)(&attempt.digits).map_err(PersonalizationError::TransportPin)?;
        }
        self.reached(Step::HandOver, Point::Acted);
        let serials: Vec<_> = attempt.written.into_iter().map(|written| written.serial).collect();
        self.registry
            .complete_personalisation(
                (attempt.record.id, attempt.number),
                attempt.initial_pin,
                attempt.replaces,
                &serials,
                self.clock.now(),
            )
            .await?;
        Ok(Personalized {
            card: attempt.record.id,
            guid: attempt.guid,
            not_after: attempt.validity.not_after,
            serials,
        })
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

    /// Confirms the step before and says what comes next, in one line each and one commit.
    async fn journal(
        &mut self,
        attempt: &Attempt<'_>,
        confirmed: Option<(Step, Option<String>)>,
        intended: Option<Step>,
    ) -> Result<(), PersonalizationError> {
        let must_stop = intended.is_some() && (self.stop)();
        let intended = intended.filter(|_| !must_stop);
        let names =
            (confirmed.as_ref().map(|(step, _)| step.to_string()), intended.map(|step| step.to_string()));
        let detail = confirmed.as_ref().and_then(|(_, detail)| detail.as_deref());
        let line = |step, phase, detail| JournalLine {
            card: attempt.record.id,
            attempt: attempt.number,
            step,
            phase,
            detail,
        };
        let before = names.0.as_deref().map(|step| line(step, JournalPhase::Confirmed, detail));
        let after = names.1.as_deref().map(|step| line(step, JournalPhase::Intended, None));
        let lines: Vec<_> = before.into_iter().chain(after).collect();
        self.registry.write_journal(&lines, self.clock.now()).await?;
        if must_stop {
            return Err(PersonalizationError::Stopped);
        }
        if let Some(step) = intended {
            self.reached(step, Point::Intended);
        }
        Ok(())
    }

    /// Tells whoever watches.
    pub(super) fn reached(&mut self, step: Step, point: Point) {
        (self.progress)(Progress::Step { step, point });
    }
}

/// The card that was written to is still the one in the reader: by its serial number and by its new GUID.
fn same_card(
    transaction: &mut Transaction<'_>,
    attempt: &Attempt<'_>,
    part: Part,
) -> Result<(), PersonalizationError> {
    let identity = transaction.identity_afresh()?;
    let written = CardIdentity { guid: Some(*attempt.guid.as_bytes()), ..attempt.identity.clone() };
    // Where the serial number says which card it is, the read-back of the CHUID judges what that one says.
    let is_judged_later = part == Part::Identity && identity.serial.is_some();
    let is_same = identity.serial == written.serial && (is_judged_later || identity.guid == written.guid);
    if is_same { Ok(()) } else { Err(swapped(&written, &identity)) }
}

/// What a card may be certified as.
pub(super) fn assurance_of(
    identity: &CardIdentity,
    emulated: EmulatedCards,
) -> Result<Assurance, PersonalizationError> {
    match (identity.emulated, emulated) {
        (Some(_), EmulatedCards::Refused) => Err(PersonalizationError::EmulatedCard),
        (Some(_), EmulatedCards::Allowed) => Ok(Assurance::Emulated),
        (None, _) => Ok(Assurance::Production),
    }
}

fn swapped(expected: &CardIdentity, found: &CardIdentity) -> PersonalizationError {
    PersonalizationError::CardSwapped {
        expected: describe(presented(expected)),
        found: describe(presented(found)),
    }
}

/// The last second of a day.
pub(super) fn end_of_day(day: jiff::civil::Date) -> Option<Timestamp> {
    Some(day.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

fn interrupted(step: Step, source: PersonalizationError) -> PersonalizationError {
    PersonalizationError::Interrupted { step, source: Box::new(source) }
}
