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

use jiff::{SignedDuration, Timestamp};
use middleware::piv::objects::{Chuid, key_history_to_bytes};
use middleware::{
    Administration, Card, CardIdentity, DataObject, FileKey, KeyReference, LastTry, Pin, Signer, Transaction,
};
use serde::{Deserialize, Serialize};
use spki::SubjectPublicKeyInfoOwned;

use super::attestation;
use super::error::PersonalizationError;
use super::exercise::{key_reference, prove_possession, read_back};
use super::objects::{chuid, security_object};
use super::plan::{KeyChoice, KeyOrigin, PlanRefusal};
use super::present::refuse_another;
use super::run::{Desk, Progress, assurance_of, end_of_day};
use super::secrets::{self, OwnSecrets};
use super::step::certificate;
use crate::ca::profile::{Assurance, Validity};
use crate::ca::{Certificate, ProvenKey};
use crate::domain::{CardKey, CardRefusal, CardState, Cardholder, CertificateState, Guid, SerialNumber};
use crate::registry::{
    CardRecord, CertificateRecord, JournalEntry, JournalPhase, Operation, OperationKind, RegistryError,
};

/// What shall be renewed, and with which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalOrder {
    /// Which keys' certificates.
    pub keys: Vec<CardKey>,
    /// New keys, if so: what kind.
    pub new_keys: Option<KeyChoice>,
}

impl RenewalOrder {
    /// Whether it renews whatever an open renewal has in hand: no key stays that has not its own certificate.
    fn ends(&self, steps: &[JournalEntry], plan: &RenewalPlan) -> bool {
        let in_hand = in_hand(steps);
        let makes_anew = plan.new_keys.is_none() || self.new_keys.is_some();
        in_hand.is_empty() || (makes_anew && in_hand.iter().all(|key| self.keys.contains(key)))
    }
}

/// What was ordered when a renewal was begun.
pub(super) fn order_of(renewal: &Operation) -> Result<RenewalOrder, PersonalizationError> {
    let plan = RenewalPlan::parse(&renewal.plan)?;
    let keys = plan.keys.iter().filter_map(|key| CardKey::parse(key)).collect();
    Ok(RenewalOrder { keys, new_keys: plan.new_keys()? })
}

/// The keys that a renewal has begun with and not finished, by its journal.
pub(super) fn in_hand(steps: &[JournalEntry]) -> Vec<CardKey> {
    let has = |step: &str, phase| steps.iter().any(|entry| entry.step == step && entry.phase == phase);
    let is_begun = |key| {
        has(&renewed(key), JournalPhase::Intended)
            || (key == CardKey::KeyManagement && has(RETIRED, JournalPhase::Intended))
    };
    let keys = CardKey::ALL.into_iter();
    keys.filter(|key| is_begun(*key) && !has(&renewed(*key), JournalPhase::Confirmed)).collect()
}

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

/// The plan as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RenewalPlan {
    keys: Vec<String>,
    /// `generated`, `injected`, or nothing for the same keys.
    new_keys: Option<String>,
    algorithm: Option<String>,
    /// How many retired keys there were before.
    retired_before: Option<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// How long a renewal is gone on with: its certificates begin when it began.
const RESUMABLE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The step that moves the old key 9D, in the journal.
const RETIRED: &str = "9D retired";

/// The step of one key, in the journal.
fn renewed(key: CardKey) -> String {
    format!("{key} renewed")
}

/// No card has more retired keys (SP 800-73-5 Part 1 section 3.3.3).
const MOST_RETIRED: u8 = 20;

/// One run of a renewal.
struct Run<'p> {
    operation: Operation,
    plan: RenewalPlan,
    new_keys: Option<KeyChoice>,
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
        let mut run = self.prepare_renewal(card, record, holder, order, pin).await?;
        self.registry.revoke_undelivered(&run.operation, self.clock.now()).await?;
        let mut serials = Vec::new();
        for name in run.plan.keys.clone() {
            let Some(key) = CardKey::parse(&name) else { continue };
            serials.push((key, self.renew_key(card, &mut run, key).await?));
        }
        self.renew_objects(card, &run).await?;
        let now = self.clock.now();
        self.registry.end_renewal(&run.operation, holder.id, now).await?;
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
        let validity = self.validity_of_renewal(holder)?;
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
    /// keys 9D. Another order takes its place only where it leaves no key half renewed.
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
        let is_same = plan.orders() == RenewalPlan::new(order, None, plan.validity()).orders();
        if !is_same && (is_between || !order.ends(&steps, &plan)) {
            return Err(PersonalizationError::RenewalOpen(open.begun_at));
        }
        let age = self.clock.now().duration_since(open.begun_at);
        Ok(is_between || (is_same && age < RESUMABLE))
    }

    fn validity_of_renewal(&self, holder: &Cardholder) -> Result<Validity, PersonalizationError> {
        let now = self.clock.now();
        let mut validity = self.longest_validity(holder, now);
        if let Some(day) = holder.employed_until {
            let end = end_of_day(day).unwrap_or(validity.not_after);
            if end <= now {
                return Err(PersonalizationError::EmploymentOver(day));
            }
            validity.not_after = validity.not_after.min(end);
        }
        Ok(validity)
    }

    /// One key: made if it shall be a new one, proven, certified, written, read back, delivered.
    async fn renew_key(
        &mut self,
        card: &mut Card,
        run: &mut Run<'_>,
        key: CardKey,
    ) -> Result<SerialNumber, PersonalizationError> {
        let step = renewed(key);
        if let Some(serial) = confirmed(&run.steps, &step).and_then(SerialNumber::from_hex) {
            return Ok(serial);
        }
        let before = self.delivered(run.record, key).await?;
        if key == CardKey::KeyManagement && run.new_keys.is_some() {
            self.retire(card, run, &before).await?;
        }
        self.note(run, &step, JournalPhase::Intended, None).await?;
        let (serial, der) = {
            let mut transaction = card.transaction()?;
            let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
            let mut administration = transaction.authenticate(&opening)?;
            let public_key = match run.new_keys {
                Some(choice) => make(&mut administration, key, choice)?,
                None => public_key_of(&before)?,
            };
            let proven =
                prove_possession(administration.transaction(), key, &public_key, run.pin, self.random)?;
            if let Some(choice) = run.new_keys {
                let source = (choice.origin, self.attestation_roots);
                let transaction = administration.transaction();
                let origin = attestation::origin_of(
                    transaction,
                    key_reference(key),
                    &public_key,
                    &run.identity,
                    source,
                )?;
                let hash = attestation::hash_of(&public_key)?;
                self.registry
                    .record_key_origin(&hash, (run.record.id, key), &origin, self.clock.now())
                    .await?;
                (self.progress)(Progress::KeyMade(key));
            }
            let (serial, der) = self.certify_renewal(run, key, &proven).await?;
            administration.write_certificate(key_reference(key), &der)?;
            (self.progress)(Progress::Certified(key, serial.clone()));
            (serial, der)
        };
        read_back(&mut card.transaction()?, key, &der, run.pin, self.random)?;
        self.registry.confirm_delivery(&serial, self.clock.now()).await?;
        if run.new_keys.is_some() && key != CardKey::DigitalSignature {
            self.registry.supersede(&run.operation, &before.serial, self.clock.now()).await?;
        }
        (self.progress)(Progress::Verified(key));
        self.note(run, &step, JournalPhase::Confirmed, Some(&serial.to_string())).await?;
        Ok(serial)
    }

    /// The newest certificate of a key that reached the card and is not revoked.
    async fn delivered(
        &self,
        record: &CardRecord,
        key: CardKey,
    ) -> Result<CertificateRecord, PersonalizationError> {
        let all = self.registry.certificates_of_card(record.id).await?;
        let is_of_now = |certificate: &CertificateRecord| {
            certificate.card_key == Some(key)
                && certificate.card.is_some_and(|(_, attempt)| attempt == record.card.attempts())
                && matches!(certificate.state.state(), CertificateState::Delivered { .. })
        };
        let newest = all.into_iter().filter(is_of_now).max_by_key(|certificate| certificate.not_before);
        newest.ok_or(PersonalizationError::NothingToRenew(key))
    }

    /// The old key 9D goes to its retired reference, with its certificate, and the key history says so.
    async fn retire(
        &mut self,
        card: &mut Card,
        run: &Run<'_>,
        before: &CertificateRecord,
    ) -> Result<(), PersonalizationError> {
        if confirmed(&run.steps, RETIRED).is_some() {
            return Ok(());
        }
        let Some(retired_before) = run.plan.retired_before else { return Ok(()) };
        let reference = retired_reference(retired_before)?;
        self.note(run, RETIRED, JournalPhase::Intended, None).await?;
        let old = public_key_of(before)?;
        let mut transaction = card.transaction()?;
        let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
        let mut administration = transaction.authenticate(&opening)?;
        let mut lies_at = |reference| -> Result<bool, PersonalizationError> {
            let metadata = administration.transaction().key_metadata(reference)?;
            Ok(metadata.and_then(|metadata| metadata.public_key).as_ref() == Some(&old))
        };
        // A move whose answer was lost may have been carried out.
        if !lies_at(reference)? {
            if !lies_at(KeyReference::KeyManagement)? {
                return Err(PersonalizationError::OldKeyGone);
            }
            administration.move_key(KeyReference::KeyManagement, reference)?;
        }
        administration.write_certificate(reference, before.certificate.as_deref().unwrap_or_default())?;
        let history = key_history_to_bytes(retired_before.saturating_add(1));
        administration.write_object(DataObject::KEY_HISTORY, &history)?;
        (self.progress)(Progress::Retired(reference));
        drop(transaction);
        self.note(run, RETIRED, JournalPhase::Confirmed, Some(&reference.to_string())).await
    }

    async fn certify_renewal(
        &mut self,
        run: &Run<'_>,
        key: CardKey,
        proven: &ProvenKey,
    ) -> Result<(SerialNumber, Vec<u8>), PersonalizationError> {
        let subject = certificate::Subject {
            holder: run.holder,
            guid: run.guid,
            on_card: (run.holder.id, run.record.id, run.record.card.attempts(), key),
            assurance: run.assurance,
            validity: Validity { not_before: run.plan.not_before, not_after: run.plan.not_after },
        };
        let (linted, reserved) = certificate::prepare(self, &subject, proven)?;
        self.registry.reserve_renewal(&run.operation, &reserved, self.clock.now()).await?;
        let signed = self.authority.sign(linted)?.as_der().to_vec();
        self.registry.record_signature(&reserved.serial, &signed, self.clock.now()).await?;
        Ok((reserved.serial, signed))
    }

    /// CHUID, where the card would end before its certificates, and the hashes of what is on the card now.
    async fn renew_objects(&mut self, card: &mut Card, run: &Run<'_>) -> Result<(), PersonalizationError> {
        const STEP: &str = "data objects";
        self.note(run, STEP, JournalPhase::Intended, None).await?;
        {
            let mut transaction = card.transaction()?;
            let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
            let mut administration = transaction.authenticate(&opening)?;
            let contents = administration.transaction().read_object(DataObject::CHUID)?;
            let end = self.authority.certificate().not_after();
            let latest = run.holder.employed_until.and_then(end_of_day).map_or(end, |day| day.min(end));
            let expiration = chuid::expiration(self.clock.now(), run.plan.not_after, latest);
            let needed = chuid::expiration(run.plan.not_after, run.plan.not_after, run.plan.not_after);
            if Chuid::from_bytes(&contents)?.expiration < needed || Chuid::signature(&contents)?.is_none() {
                let signed = chuid::signed(self.content_signer, run.guid, expiration)?;
                administration.write_object(DataObject::CHUID, &signed)?;
            }
            let hashes = security_object::over_card(self.content_signer, administration.transaction())?;
            administration.write_object(DataObject::SECURITY_OBJECT, &hashes)?;
        }
        if !security_object::fits_card(&mut card.transaction()?)? {
            return Err(PersonalizationError::ReadBackDiffers { what: "security object".to_owned() });
        }
        self.note(run, STEP, JournalPhase::Confirmed, None).await
    }

    async fn note(
        &self,
        run: &Run<'_>,
        step: &str,
        phase: JournalPhase,
        detail: Option<&str>,
    ) -> Result<(), PersonalizationError> {
        Ok(self.registry.note_step(&run.operation, step, phase, detail, self.clock.now()).await?)
    }
}

impl RenewalPlan {
    fn new(order: &RenewalOrder, retired_before: Option<u8>, validity: Validity) -> Self {
        Self {
            keys: order.keys.iter().map(|key| key.as_str().to_owned()).collect(),
            new_keys: order.new_keys.map(|choice| {
                match choice.origin {
                    KeyOrigin::GeneratedOnCard => "generated",
                    KeyOrigin::Injected => "injected",
                }
                .to_owned()
            }),
            algorithm: order.new_keys.map(|choice| choice.algorithm.to_string()),
            retired_before,
            not_before: validity.not_before,
            not_after: validity.not_after,
        }
    }

    /// What it does, whenever.
    fn orders(&self) -> (&[String], Option<&String>, Option<&String>) {
        (&self.keys, self.new_keys.as_ref(), self.algorithm.as_ref())
    }

    const fn validity(&self) -> Validity {
        Validity { not_before: self.not_before, not_after: self.not_after }
    }

    fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn parse(text: &str) -> Result<Self, PersonalizationError> {
        serde_json::from_str(text)
            .map_err(|error| RegistryError::Damaged(format!("a plan of a renewal: {error}")).into())
    }

    fn new_keys(&self) -> Result<Option<KeyChoice>, PersonalizationError> {
        let (Some(origin), Some(algorithm)) = (&self.new_keys, &self.algorithm) else { return Ok(None) };
        let unknown = || RegistryError::Damaged(format!("a plan with keys of the kind {algorithm:?}"));
        let algorithms = [middleware::KeyAlgorithm::P256, middleware::KeyAlgorithm::Rsa2048];
        Ok(Some(KeyChoice {
            algorithm: algorithms
                .into_iter()
                .find(|known| known.to_string() == *algorithm)
                .ok_or_else(unknown)?,
            origin: if origin == "injected" { KeyOrigin::Injected } else { KeyOrigin::GeneratedOnCard },
        }))
    }
}

/// The detail of a confirmed step.
fn confirmed<'s>(steps: &'s [JournalEntry], step: &str) -> Option<&'s str> {
    let entry = steps.iter().find(|entry| entry.phase == JournalPhase::Confirmed && entry.step == step)?;
    Some(entry.detail.as_deref().unwrap_or_default())
}

/// SP 800-73-5 has no command to import a key.
fn refuse_import(identity: &CardIdentity, order: &RenewalOrder) -> Result<(), PersonalizationError> {
    let imports = order.new_keys.is_some_and(|choice| choice.origin == KeyOrigin::Injected);
    if imports && identity.version.is_none() {
        return Err(PlanRefusal::CannotImport.into());
    }
    Ok(())
}

/// How many retired keys the card has, where its key 9D shall become the next.
fn retired_before(
    transaction: &mut Transaction<'_>,
    identity: &CardIdentity,
    order: &RenewalOrder,
) -> Result<Option<u8>, PersonalizationError> {
    if order.new_keys.is_none() || !order.keys.contains(&CardKey::KeyManagement) {
        return Ok(None);
    }
    if identity.version.is_none_or(|version| version < (5, 7, 0)) {
        return Err(PersonalizationError::CannotRetire);
    }
    let count = transaction.retired_with_certificates()?;
    let reference = retired_reference(count)?;
    if transaction.key_metadata(reference)?.is_some() {
        return Err(PersonalizationError::RetiredInTheWay(reference));
    }
    Ok(Some(count))
}

fn retired_reference(before: u8) -> Result<KeyReference, PersonalizationError> {
    let next = KeyReference::retired().nth(usize::from(before)).filter(|_| before < MOST_RETIRED);
    next.ok_or(PersonalizationError::NoRoomForRetired)
}

fn make(
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    choice: KeyChoice,
) -> Result<SubjectPublicKeyInfoOwned, PersonalizationError> {
    let reference = key_reference(key);
    match choice.origin {
        KeyOrigin::GeneratedOnCard => Ok(administration.generate(reference, choice.algorithm)?),
        KeyOrigin::Injected => {
            let made = FileKey::generate(choice.algorithm)?;
            administration.import(reference, &made.to_private_key())?;
            Ok(Signer::public_key(&made).clone())
        }
    }
}

fn public_key_of(record: &CertificateRecord) -> Result<SubjectPublicKeyInfoOwned, PersonalizationError> {
    let der = record.certificate.clone().unwrap_or_default();
    Ok(Certificate::from_der(der)?.public_key().clone())
}
