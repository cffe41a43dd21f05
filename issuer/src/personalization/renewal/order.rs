//! What shall be renewed, and as the registry keeps it.

use jiff::Timestamp;
use middleware::CardIdentity;
use serde::{Deserialize, Serialize};

use super::{RETIRED, renewed};
use crate::ca::profile::Validity;
use crate::domain::{CardKey, KeyChoices, KeyOrigin};
use crate::personalization::error::PersonalizationError;
use crate::personalization::plan::PlanRefusal;
use crate::registry::{JournalEntry, JournalPhase, Operation, RegistryError};

/// What shall be renewed, and with which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalOrder {
    /// Which keys' certificates.
    pub keys: Vec<CardKey>,
    /// New keys, if so: what kind.
    pub new_keys: Option<KeyChoices>,
    /// The name of the profile by which that is, if it has one.
    pub profile: Option<String>,
    /// For how many days the new certificates are valid at most, where that is less than they could be.
    pub days: Option<u32>,
}

impl RenewalOrder {
    /// Whether it renews whatever an open renewal has in hand: no key stays that has not its own certificate.
    pub(super) fn ends(&self, steps: &[JournalEntry], plan: &RenewalPlan) -> bool {
        let in_hand = in_hand(steps);
        let makes_anew = plan.new_keys.is_none() || self.new_keys.is_some();
        in_hand.is_empty() || (makes_anew && in_hand.iter().all(|key| self.keys.contains(key)))
    }
}

/// What was ordered when a renewal was begun.
pub(in super::super) fn order_of(renewal: &Operation) -> Result<RenewalOrder, PersonalizationError> {
    let plan = RenewalPlan::parse(&renewal.plan)?;
    let keys = plan.keys.iter().filter_map(|key| CardKey::parse(key)).collect();
    Ok(RenewalOrder { keys, new_keys: plan.new_keys()?, profile: plan.profile, days: None })
}

/// The keys that a renewal has begun with and not finished, by its journal.
pub(in super::super) fn in_hand(steps: &[JournalEntry]) -> Vec<CardKey> {
    let has = |step: &str, phase| steps.iter().any(|entry| entry.step == step && entry.phase == phase);
    let is_begun = |key| {
        has(&renewed(key), JournalPhase::Intended)
            || (key == CardKey::KeyManagement && has(RETIRED, JournalPhase::Intended))
    };
    let keys = CardKey::ALL.into_iter();
    keys.filter(|key| is_begun(*key) && !has(&renewed(*key), JournalPhase::Confirmed)).collect()
}

/// The plan as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RenewalPlan {
    pub(super) keys: Vec<String>,
    /// `generated`, `injected`, for each key where they differ; or nothing for the same keys.
    new_keys: Option<String>,
    algorithm: Option<String>,
    /// The name of the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<String>,
    /// How many retired keys there were before.
    pub(super) retired_before: Option<u8>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl RenewalPlan {
    pub(super) fn new(order: &RenewalOrder, retired_before: Option<u8>, validity: Validity) -> Self {
        Self {
            keys: order.keys.iter().map(|key| key.as_str().to_owned()).collect(),
            new_keys: order.new_keys.map(|keys| keys.said(|choice| word(choice.origin))),
            algorithm: order.new_keys.map(|keys| keys.said(|choice| choice.algorithm)),
            profile: order.profile.clone(),
            retired_before,
            not_before: validity.not_before,
            not_after: validity.not_after,
        }
    }

    /// What it does, whenever.
    pub(super) fn orders(&self) -> (&[String], [Option<&String>; 3]) {
        (&self.keys, [&self.new_keys, &self.algorithm, &self.profile].map(Option::as_ref))
    }

    pub(super) const fn validity(&self) -> Validity {
        Validity { not_before: self.not_before, not_after: self.not_after }
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn parse(text: &str) -> Result<Self, PersonalizationError> {
        serde_json::from_str(text)
            .map_err(|error| RegistryError::Damaged(format!("a plan of a renewal: {error}")).into())
    }

    pub(super) fn new_keys(&self) -> Result<Option<KeyChoices>, PersonalizationError> {
        let (Some(origins), Some(algorithms)) = (&self.new_keys, &self.algorithm) else { return Ok(None) };
        let keys = KeyChoices::read(algorithms, origins, word).ok_or_else(|| {
            RegistryError::Damaged(format!("a plan with keys of the kind {algorithms:?}, {origins:?}"))
        })?;
        Ok(Some(keys))
    }
}

/// Where new keys come from, as a renewal's plan says it.
const fn word(origin: KeyOrigin) -> &'static str {
    match origin {
        KeyOrigin::GeneratedOnCard => "generated",
        KeyOrigin::Injected => "injected",
    }
}

/// SP 800-73-5 has no command to import a key.
pub(super) fn refuse_import(
    identity: &CardIdentity,
    order: &RenewalOrder,
) -> Result<(), PersonalizationError> {
    let is_injected =
        |key: &CardKey| order.new_keys.is_some_and(|keys| keys.of(*key).origin == KeyOrigin::Injected);
    let imports = order.keys.iter().any(is_injected);
    if imports && identity.version.is_none() {
        return Err(PlanRefusal::CannotImport.into());
    }
    Ok(())
}
