//! New certificates on a card that somebody has: for the same keys, or for new ones.
//!
//! ```text
//! refuse what can be refused, the PIN verified ──> operation opened, with its plan (keys, validity, where 9D goes)
//!   9D anew:   old key moved to the next retired reference, its certificate and the key history written
//!   each key:  [made] ──> proven ──> certified (stored, signed, stored) ──> written ──> read back, exercised ──> delivered
//!   CHUID (where the card must last longer) and security object ──> operation ended, the request fulfilled
//! ```
//!
//! Wherever this stops, the next run of the same command goes on: what it finds certified and never delivered is revoked, a
//! key that is not known to be delivered is made anew (nothing was ever encrypted to it), a move that may have been carried
//! out is looked for on the card. Until the old 9D lies at its retired reference, 9D is not touched: old mail stays readable.
//! Of what a new key replaced, 9D, 9A and 9E are revoked as superseded; 9C is not, so that old signatures stay good.
//!
//! - `order`: what shall be renewed, and as the registry keeps it. `key`: one key. `retired`: the old key 9D. `objects`: what
//!   else is written.

mod key;
mod objects;
mod order;
mod retired;

use jiff::{SignedDuration, Timestamp};
use middleware::{Card, CardIdentity, KeyReference, LastTry, Pin};

pub use self::order::RenewalOrder;
use self::order::{RenewalPlan, refuse_import};
pub(super) use self::order::{in_hand, order_of};
pub use self::retired::can_retire;
use self::retired::retired_before;
pub(super) use self::retired::retired_in_journal;
use super::error::PersonalizationError;
use super::present::refuse_another;
use super::run::{Desk, Point, Progress, assurance_of, end_of_day};
use super::secrets::{self, OwnSecrets};
use crate::ca::profile::{Assurance, Validity};
use crate::domain::{
    CardKey, CardRefusal, CardState, Cardholder, Guid, KeyChoices, PersonRefusal, SerialNumber,
};
use crate::registry::{CardRecord, JournalEntry, JournalPhase, Operation, OperationKind, RegistryError};

/// A card with new certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The card's GUID, as before.
    pub guid: Guid,
    /// End of the new certificates.
    pub not_after: Timestamp,
    /// The new certificates.
    pub serials: Vec<(CardKey, SerialNumber)>,
    /// Where the old key 9D lies now, if it was replaced.
    pub retired: Option<KeyReference>,
    /// Whether a run before this one had begun it.
    pub was_resumed: bool,
}

/// How long a renewal is gone on with: its certificates begin when it began.
const RESUMABLE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The step that moves the old key 9D, in the journal.
const RETIRED: &str = "9D retired";

/// The step of one key, in the journal.
fn renewed(key: CardKey) -> String {
    format!("{key} renewed")
}

/// One run of a renewal.
struct Run<'p> {
    operation: Operation,
    plan: RenewalPlan,
    new_keys: Option<KeyChoices>,
    record: &'p CardRecord,
    holder: &'p Cardholder,
    guid: Guid,
    identity: CardIdentity,
    assurance: Assurance,
    pin: &'p Pin,
    own: OwnSecrets,
    stock: Option<super::custody::StockSecrets>,
    steps: Vec<JournalEntry>,
}

impl Desk<'_> {
    /// Renews the certificates of a card that its holder has.
    ///
    /// # Errors
    /// Refusals change nothing. Once begun, an interruption leaves the card usable with what it had or has; run again.
    pub async fn renew(
        &mut self,
        card: &mut Card,
        record: &CardRecord,
        holder: &Cardholder,
        order: &RenewalOrder,
        pin: &Pin,
    ) -> Result<Renewed, PersonalizationError> {
        let renewed = self.renew_in_use(card, record, holder, order, pin).await;
        if !matches!(record.card.state(), CardState::Issued { .. }) {
            return renewed;
        }
        let Ok(now) = self.registry.card(record.id).await else { return renewed };
        match (renewed, now.card.state()) {
            (renewed, CardState::Issued { .. }) => renewed,
            // The hold has come after the end, and what is new is held with the card.
            (Ok(renewed), CardState::OnHold { .. }) => Ok(renewed),
            (_, state) => {
                let since = state.since().unwrap_or_else(|| self.clock.now());
                let error = PersonalizationError::OutOfUse { state: state.name(), since };
                self.withdraw_undelivered(record).await?;
                Err(error)
            }
        }
    }

    /// What was certified of a card that is out of use, and never reached it, is not left good.
    async fn withdraw_undelivered(&mut self, record: &CardRecord) -> Result<(), PersonalizationError> {
        if let Some(open) = self.registry.open_operation(record.id).await?
            && open.kind == OperationKind::Renewal
        {
            self.registry.revoke_undelivered(&open, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn renew_in_use(
        &mut self,
        card: &mut Card,
        record: &CardRecord,
        holder: &Cardholder,
        order: &RenewalOrder,
        pin: &Pin,
    ) -> Result<Renewed, PersonalizationError> {
        let mut run = self.prepare_renewal(card, record, holder, order, pin).await?;
        self.registry.revoke_undelivered(&run.operation, self.clock.now()).await?;
        let mut serials = Vec::new();
        for name in run.plan.keys.clone() {
            let Some(key) = CardKey::parse(&name) else { continue };
            serials.push((key, self.renew_key(card, &mut run, key).await?));
        }
        self.renew_objects(card, &run).await?;
        let now = self.clock.now();
        let done = (run.new_keys.is_some(), run.plan.profile.as_deref());
        self.registry.end_renewal(&run.operation, holder.id, done, now).await?;
        Ok(Renewed {
            guid: run.guid,
            not_after: run.plan.not_after,
            serials,
            retired: run
                .plan
                .retired_before
                .and_then(|before| KeyReference::retired().nth(usize::from(before))),
            was_resumed: run.operation.is_resumed(),
        })
    }

    /// Everything that can be refused, and the PIN, before anything changes; then the operation is opened.
    async fn prepare_renewal<'p>(
        &mut self,
        card: &mut Card,
        record: &'p CardRecord,
        holder: &'p Cardholder,
        order: &RenewalOrder,
        pin: &'p Pin,
    ) -> Result<Run<'p>, PersonalizationError> {
        let (CardState::Issued { .. }, Some(guid)) = (record.card.state(), record.card.guid()) else {
            return Err(RegistryError::from(CardRefusal::NotIssued(record.card.state().name())).into());
        };
        let identity = card.transaction()?.identity_afresh()?;
        let assurance = assurance_of(&identity, self.registry.emulated_cards().await?)?;
        refuse_another(record, guid, &identity)?;
        if let Some(since) = holder.left {
            return Err(RegistryError::from(PersonRefusal::HasLeft(since)).into());
        }
        let validity = self.validity_of_renewal(holder, order.days)?;
        let goes_on = self.goes_on(record, order).await?;
        let mut transaction = card.transaction()?;
        let wanted = if goes_on {
            String::new()
        } else {
            refuse_import(&identity, order)?;
            let retired_before = retired_before(&mut transaction, &identity, order)?;
            RenewalPlan::new(order, retired_before, validity).to_text()
        };
        let own = OwnSecrets {
            puk: self.master_key.puk(guid, record.secrets_version)?,
            management_key: self.master_key.management_key(
                guid,
                record.secrets_version,
                transaction.management_key_algorithm()?,
            )?,
        };
        let stock = secrets::of_stock(self.registry, self.master_key, record).await?;
        secrets::find_management_key(&mut transaction, stock.as_ref(), &own)?;
        drop(transaction.verify_pin(pin, LastTry::Refuse)?);
        drop(transaction);
        let now = self.clock.now();
        if !goes_on && self.registry.open_operation(record.id).await?.is_some() {
            let given_up = self.registry.begin_operation(record.id, OperationKind::Renewal, "", now).await?;
            self.registry.revoke_undelivered(&given_up, now).await?;
            self.registry.end_operation(&given_up, now).await?;
        }
        let operation =
            self.registry.begin_operation(record.id, OperationKind::Renewal, &wanted, now).await?;
        let plan = RenewalPlan::parse(&operation.plan)?;
        let steps = self.registry.steps(&operation).await?;
        let new_keys = plan.new_keys()?;
        (self.progress)(Progress::RenewalBegun { resumed: operation.is_resumed() });
        Ok(Run {
            operation,
            plan,
            new_keys,
            record,
            holder,
            guid,
            identity,
            assurance,
            pin,
            own,
            stock,
            steps,
        })
    }

    /// Whether an open renewal is gone on with as it was begun: it is the same, and not old, or the card is between two
    /// keys 9D. Another order (other keys, or keys that are made elsewhere or of another algorithm) takes its place only
    /// where no key has its new certificate yet, and where it leaves no key half renewed.
    async fn goes_on(&self, record: &CardRecord, order: &RenewalOrder) -> Result<bool, PersonalizationError> {
        let Some(open) = self.registry.open_operation(record.id).await? else { return Ok(false) };
        if open.kind != OperationKind::Renewal {
            return Err(RegistryError::OperationOpen(open.kind).into());
        }
        let steps = self.registry.steps(&open).await?;
        let has = |step: &str, phase| steps.iter().any(|entry| entry.step == step && entry.phase == phase);
        let is_between = has(RETIRED, JournalPhase::Intended)
            && !has(&renewed(CardKey::KeyManagement), JournalPhase::Confirmed);
        let plan = RenewalPlan::parse(&open.plan)?;
        let has_renewed = CardKey::ALL.into_iter().any(|key| has(&renewed(key), JournalPhase::Confirmed));
        let is_same = plan.orders() == RenewalPlan::new(order, None, plan.validity()).orders();
        if !is_same && (is_between || has_renewed || !order.ends(&steps, &plan)) {
            return Err(PersonalizationError::RenewalOpen(open.begun_at));
        }
        let age = self.clock.now().duration_since(open.begun_at);
        Ok(is_between || (is_same && age < RESUMABLE))
    }

    fn validity_of_renewal(
        &self,
        holder: &Cardholder,
        days: Option<u32>,
    ) -> Result<Validity, PersonalizationError> {
        let now = self.clock.now();
        let mut validity = self.longest_validity(holder, days, now);
        if let Some(day) = holder.employed_until {
            let end = end_of_day(day).unwrap_or(validity.not_after);
            if end <= now {
                return Err(PersonalizationError::EmploymentOver(day));
            }
            validity.not_after = validity.not_after.min(end);
        }
        Ok(validity)
    }

    async fn note(
        &mut self,
        run: &Run<'_>,
        step: &str,
        phase: JournalPhase,
        detail: Option<&str>,
    ) -> Result<(), PersonalizationError> {
        self.registry.note_step(&run.operation, step, phase, detail, self.clock.now()).await?;
        (self.progress)(Progress::Operation(OperationKind::Renewal, Point::of(phase)));
        Ok(())
    }
}

/// The detail of a confirmed step.
fn confirmed<'s>(steps: &'s [JournalEntry], step: &str) -> Option<&'s str> {
    let entry = steps.iter().find(|entry| entry.phase == JournalPhase::Confirmed && entry.step == step)?;
    Some(entry.detail.as_deref().unwrap_or_default())
}
