//! Carries the plan out, step by journalled step: intent, act, confirm; then everything is read back. `stages` does the
//! steps and says what is committed between them.
//!
//! A run that is interrupted leaves the card "being personalised". The next run for the same person goes on with the same
//! plan under a new attempt number (whoever still works on the attempt before is refused from then on): every step is
//! taken again, and a step that was confirmed keeps what it made if the card still proves it. Where the plan has changed,
//! a run starts over with the same GUID, so that the secrets already set still derive. At the end, in the transaction
//! that makes the card its holder's, whatever was certified and is not on the card is revoked.

use jiff::Timestamp;
use middleware::{Card, CardIdentity, KeyReference, Pin};
use rand_core::CryptoRng;

use super::attempt::Attempt;
use super::attestation::AttestationRoots;
use super::blank;
use super::custody::MasterKey;
use super::error::PersonalizationError;
use super::objects::ContentSigner;
use super::plan::{CommandSet, Commission, Stage, Step, StoredPlan, plan};
use super::step::certificate;
use super::transport_pin::transport_pin;
use super::{describe, presented, secrets};
use crate::ca::profile::{Assurance, Validity};
use crate::ca::{Authority, Organization};
use crate::clock::Clock;
use crate::domain::{
    CardCommand, CardId, CardKey, CardProfile, CardState, Cardholder, Guid, InitialPin, SerialNumber,
};
use crate::registry::{AttemptProgress, CardRecord, EmulatedCards, JournalPhase, OperationKind, Registry};

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
        /// Whether something that an earlier attempt left may be on the card, or certified; nothing is on one that was wiped.
        has_leftovers: bool,
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
    /// What became of a card stands in the registry: it is lost, it came back, it has its new PIN.
    Recorded(CardId),
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
    /// The name of its profile, if that has one.
    pub profile: Option<String>,
    /// With which PIN it leaves the desk.
    pub pin: InitialPin,
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
        let prepared = self.prepare(card, holder, &commission.profile).await?;
        let steps = prepared.steps.clone();
        let mut attempt = self.begin(prepared, holder, commission).await?;
        if let Err(error) = self.make(card, &steps, &mut attempt).await {
            self.leave(&mut attempt).await;
            if let Some(fault) = error.fault() {
                let record = CardCommand::RecordFault { attempt: attempt.number, fault };
                self.registry.command_card(attempt.record.id, record, self.clock.now()).await?;
            }
            return Err(error);
        }
        self.hand_over(attempt).await
    }

    /// Everything that can be refused before the card or the registry changes.
    async fn prepare(
        &mut self,
        card: &mut Card,
        holder: &Cardholder,
        profile: &CardProfile,
    ) -> Result<Prepared, PersonalizationError> {
        let identity = card.transaction()?.identity_afresh()?;
        let assurance = assurance_of(&identity, self.registry.emulated_cards().await?)?;
        let presented = presented(&identity);
        let Some(record) = self.registry.card_presented(presented).await? else {
            return Err(PersonalizationError::UnknownCard(describe(presented)));
        };
        if matches!(record.card.state(), CardState::InStock { .. }) {
            blank::refuse_foreign(self.registry, Some(&record), card).await?;
        }
        let commands = if identity.version.is_some() { CommandSet::YubiKey } else { CommandSet::Standard };
        let steps = plan(commands, profile.keys)?;
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
        let mut validity = self.longest_validity(holder, profile.days, now);
        if let Some(end) = last_moment {
            validity.not_after = validity.not_after.min(end);
        }
        Ok(Prepared { record, identity, assurance, steps, validity })
    }

    /// As long as the card's profile and those of its certificates allow, and not longer than the authority itself.
    pub(super) fn longest_validity(
        &self,
        holder: &Cardholder,
        days: Option<u32>,
        now: Timestamp,
    ) -> Validity {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let profile = certificate::profile(CardKey::DigitalSignature, holder, Guid::new([0; 16]));
        let most = profile.maximum_days();
        let validity = Validity::for_days(now, days.map_or(most, |days| days.min(most)));
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
        let Commission { profile, chosen_pin, replaces, ends } = commission;
        let now = self.clock.now();
        let wanted = StoredPlan::new(
            &steps,
            &profile,
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
        let resumes = begun.is_some();
        let mut plan = begun.unwrap_or(wanted);
        plan.replaces = replaces.map(|card| card.0);
        let initial_pin =
            if chosen_pin.is_some() { InitialPin::ChosenByHolder } else { InitialPin::Transport };
        plan.pin = Some(initial_pin);
        let (not_before, not_after) = plan.validity();
        let plan_of = |number| {
            if !resumes {
                plan.since = number;
                plan.from_stock = from_stock.unwrap_or(number);
            }
            plan.to_text()
        };
        let first = intents(&steps, Stage::Equip);
        let named = (command, profile.name.as_deref());
        let card = self.registry.begin_attempt((record.id, ends), named, plan_of, &first, now).await?;
        let number = card.attempts();
        let mut earlier = self.registry.journal(record.id).await?;
        earlier.retain(|entry| entry.attempt < number);
        let digits = chosen_pin.unwrap_or_else(|| transport_pin(&mut *self.random));
        let attempt = Attempt {
            guid: card.guid().ok_or(PersonalizationError::GuidMissing)?,
            stock: secrets::of_stock(self.registry, self.master_key, &record).await?,
            earlier: secrets::since_stock(earlier, plan.from_stock),
            left: if resumes { self.registry.certificates_of_card(record.id).await? } else { Vec::new() },
            pin: Pin::new(&digits)?,
            since: plan.since,
            validity: Validity { not_before, not_after },
            unproven: Vec::new(),
            proven: Vec::new(),
            certificates: Vec::new(),
            progress: AttemptProgress::default(),
            record,
            identity,
            holder,
            number,
            assurance,
            profile,
            digits,
            initial_pin,
            replaces,
        };
        (self.progress)(Progress::Begun {
            guid: attempt.guid,
            attempt: number,
            resumes,
            has_leftovers: attempt.record.card.guid().is_some(),
            steps: steps.len(),
        });
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

    /// Tells whoever watches.
    pub(super) fn reached(&mut self, step: Step, point: Point) {
        (self.progress)(Progress::Step { step, point });
    }
}

/// The names of the steps of a stage, in order.
pub(super) fn intents(steps: &[Step], stage: Stage) -> Vec<String> {
    steps.iter().filter(|step| step.stage() == stage).map(ToString::to_string).collect()
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

/// The last second of a day.
pub(super) fn end_of_day(day: jiff::civil::Date) -> Option<Timestamp> {
    Some(day.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// An error, with the step that it ended.
pub(super) fn interrupted(step: Step, source: PersonalizationError) -> PersonalizationError {
    PersonalizationError::Interrupted { step, source: Box::new(source) }
}
