//! The plan: which steps a card needs. Pure; [`super::run`] carries it out.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{CardId, CardKey, CardProfile, Cardholder, InitialPin, KeyChoices};
use crate::registry::Ending;

pub use crate::domain::{KeyChoice, KeyOrigin};

/// What the card can do beyond SP 800-73-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandSet {
    /// SP 800-73-5 alone: no import, no other management key.
    Standard,
    /// The vendor commands too.
    YubiKey,
}

/// What is ordered of a card; it may hold a PIN, and is never shown.
pub struct Commission {
    /// What it shall be like.
    pub profile: CardProfile,
    /// The PIN that its holder chose; otherwise a transport PIN is made, and handed over.
    pub chosen_pin: Option<Zeroizing<String>>,
    /// The card in whose place it is.
    pub replaces: Option<CardId>,
    /// How that one ends, where it is in use until this one is begun.
    pub ends: Option<Ending>,
}

impl From<CardProfile> for Commission {
    fn from(profile: CardProfile) -> Self {
        Self { profile, chosen_pin: None, replaces: None, ends: None }
    }
}

impl From<KeyChoice> for Commission {
    fn from(choice: KeyChoice) -> Self {
        CardProfile::from(choice).into()
    }
}

/// One act. Each is journalled as intended before and as confirmed after, those of a [`Stage`] together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The desk's management key in the place of the factory's.
    ManagementKey,
    /// The desk's PUK in the place of the manufacturer's.
    Puk,
    /// A random PIN, set with the PUK: whatever PIN there was does not matter.
    TransportPin,
    /// Card capability container, CHUID with the card's own GUID, and an empty key history.
    Identity,
    /// The hashes of these, signed.
    SecurityObject,
    /// A new key, which proves itself.
    MakeKey(CardKey),
    /// Its certificate: prepared, linted, stored, signed, written.
    WriteCertificate(CardKey),
    /// What was written is read back from the card, in a transaction of its own.
    ReadBack(Part),
    /// The transport PIN reaches its place; after every check, and before the card counts as issued.
    HandOver,
}

/// Steps between two commits: all of them are intended in the one before the first, and confirmed in the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The card gets secrets, data objects and keys.
    Equip,
    /// It gets the certificates, which were stored before, and is read back.
    Certify,
    /// The PIN goes to its place.
    HandOver,
}

impl Step {
    /// Which stage it is of.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::ManagementKey | Self::Puk | Self::TransportPin | Self::Identity | Self::MakeKey(_) => {
                Stage::Equip
            }
            Self::SecurityObject | Self::WriteCertificate(_) | Self::ReadBack(_) => Stage::Certify,
            Self::HandOver => Stage::HandOver,
        }
    }
}

/// What is read back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Whose card it is: CHUID.
    Identity,
    /// The hashes of the data objects, compared with the objects themselves.
    SecurityObject,
    /// A certificate; its key is exercised against it.
    Key(CardKey),
}

/// Why no plan can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// SP 800-73-5 has no command to import a key.
    #[error(
        "this card cannot import keys: it knows the commands of SP 800-73-5 only; leave --inject out and the card makes its keys itself"
    )]
    CannotImport,
}

/// The steps, in order: secrets first, so that a card that is left half-way is already in the desk's hands.
///
/// # Errors
/// [`PlanRefusal::CannotImport`].
pub fn plan(commands: CommandSet, keys: impl Into<KeyChoices>) -> Result<Vec<Step>, PlanRefusal> {
    let keys = keys.into();
    let is_injected = |key| keys.of(key).origin == KeyOrigin::Injected;
    if commands == CommandSet::Standard && CardKey::ALL.into_iter().any(is_injected) {
        return Err(PlanRefusal::CannotImport);
    }
    let mut steps = Vec::new();
    if commands == CommandSet::YubiKey {
        steps.push(Step::ManagementKey);
    }
    steps.extend([Step::Puk, Step::TransportPin, Step::Identity]);
    steps.extend(CardKey::ALL.map(Step::MakeKey));
    steps.extend(CardKey::ALL.map(Step::WriteCertificate));
    steps.push(Step::SecurityObject);
    steps.extend([Step::ReadBack(Part::Identity), Step::ReadBack(Part::SecurityObject)]);
    steps.extend(AS_EXERCISED.map(|key| Step::ReadBack(Part::Key(key))));
    steps.push(Step::HandOver);
    Ok(steps)
}

/// The keys in the order in which they are exercised: the PIN that 9C wants fresh does for the others too.
pub(super) const AS_EXERCISED: [CardKey; 4] =
    [CardKey::DigitalSignature, CardKey::Authentication, CardKey::KeyManagement, CardKey::CardAuthentication];

/// How long an interrupted attempt can be gone on with: its certificates begin when it began.
const RESUMABLE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A plan as the registry keeps it. Whoever resumes goes on only where everything is still as it was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// The name of the card's profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    algorithm: String,
    keys: String,
    /// The steps, by the names that the journal has.
    steps: Vec<String>,
    /// For whom: name, mail address, staff identifier, as the certificates say them.
    holder: (String, String, Option<String>),
    /// Key identifier of the authority that signs, hex.
    authority: String,
    /// The validity of the certificates.
    not_before: Timestamp,
    not_after: Timestamp,
    /// The attempt that began it; what was confirmed since may still hold.
    pub(super) since: u32,
    /// The first attempt after the card was taken from stock; what was found out about it before may be over.
    #[serde(default)]
    pub(super) from_stock: u32,
    /// The registry's number of the card in whose place it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<i64>,
    /// How its PIN is made; what an older program wrote does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pin: Option<InitialPin>,
}

/// What a card was ordered to be when it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The name of its profile; none where its keys were spelled out.
    pub profile: Option<String>,
    /// Its keys.
    pub keys: KeyChoices,
    /// How its PIN is made; what an older program wrote does not say.
    pub pin: Option<InitialPin>,
}

impl StoredPlan {
    /// What is about to be done for the first time.
    pub(super) fn new(
        steps: &[Step],
        profile: &CardProfile,
        holder: &Cardholder,
        authority: &[u8],
        validity: (Timestamp, Timestamp),
        since: u32,
    ) -> Self {
        Self {
            profile: profile.name.clone(),
            algorithm: algorithms(profile),
            keys: origins(profile),
            steps: steps.iter().map(ToString::to_string).collect(),
            holder: (
                holder.name.as_str().to_owned(),
                holder.mail.as_str().to_owned(),
                holder.staff_id.as_ref().map(|id| id.as_str().to_owned()),
            ),
            authority: hex::encode(authority),
            not_before: validity.0,
            not_after: validity.1,
            since,
            from_stock: since,
            replaces: None,
            pin: None,
        }
    }

    /// Whether what the registry has is the plan of a card with other keys than these, or by a profile of another name.
    pub fn makes_another(text: &str, profile: &CardProfile) -> bool {
        Self::parse(text).is_some_and(|plan| {
            (&plan.profile, plan.algorithm, plan.keys)
                != (&profile.name, algorithms(profile), origins(profile))
        })
    }

    /// What the registry's plan of a card makes; none where an older program wrote something else.
    pub fn ordered(text: &str) -> Option<Ordered> {
        let plan = Self::parse(text)?;
        let keys = KeyChoices::read(&plan.algorithm, &plan.keys, KeyOrigin::as_str)?;
        Some(Ordered { profile: plan.profile, keys, pin: plan.pin })
    }

    /// The validity of the certificates.
    pub(super) const fn validity(&self) -> (Timestamp, Timestamp) {
        (self.not_before, self.not_after)
    }

    /// Whether what this plan began can become what `wanted` asks for, without a difference to the certificates.
    pub(super) fn goes_on_as(&self, wanted: &Self, now: Timestamp) -> bool {
        let same = Self {
            not_before: self.not_before,
            not_after: self.not_after,
            since: self.since,
            from_stock: self.from_stock,
            replaces: self.replaces,
            pin: self.pin,
            ..wanted.clone()
        };
        let age = now.duration_since(self.not_before);
        *self == same
            && age >= SignedDuration::ZERO
            && age <= RESUMABLE
            && self.not_after <= wanted.not_after
            && self.not_after > now
    }

    /// Reads what the registry has; a plan that an older program wrote is none that can be gone on with.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As the registry keeps it.
    pub(super) fn to_text(&self) -> String {
        // Strings, numbers and times: nothing of it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn algorithms(profile: &CardProfile) -> String {
    profile.keys.said(|choice| choice.algorithm)
}

fn origins(profile: &CardProfile) -> String {
    profile.keys.said(|choice| choice.origin.as_str())
}

impl fmt::Display for Step {
    /// The name in the journal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagementKey => f.write_str("management key"),
            Self::Puk => f.write_str("PUK"),
            Self::TransportPin => f.write_str("transport PIN"),
            Self::Identity => f.write_str("CCC and CHUID"),
            Self::SecurityObject => f.write_str("security object"),
            Self::MakeKey(key) => write!(f, "{key} key"),
            Self::WriteCertificate(key) => write!(f, "{key} certificate"),
            Self::ReadBack(Part::Identity) => f.write_str("CHUID read-back"),
            Self::ReadBack(Part::SecurityObject) => f.write_str("security object read-back"),
            Self::ReadBack(Part::Key(key)) => write!(f, "{key} read-back"),
            Self::HandOver => f.write_str("hand-over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use middleware::KeyAlgorithm;

    use super::*;
    use crate::domain::{CardholderId, MailAddress, Name};

    fn choice(origin: KeyOrigin) -> KeyChoice {
        KeyChoice { algorithm: KeyAlgorithm::P256, origin }
    }

    #[test]
    fn a_key_is_made_before_it_is_certified_and_certified_before_it_is_read_back() {
        for commands in [CommandSet::Standard, CommandSet::YubiKey] {
            let steps = plan(commands, choice(KeyOrigin::GeneratedOnCard)).unwrap();
            let position = |step| steps.iter().position(|candidate| *candidate == step).unwrap();
            for key in CardKey::ALL {
                assert!(position(Step::TransportPin) < position(Step::MakeKey(key)));
                assert!(position(Step::MakeKey(key)) < position(Step::WriteCertificate(key)));
                assert!(position(Step::WriteCertificate(key)) < position(Step::ReadBack(Part::Key(key))));
            }
            assert!(position(Step::Puk) < position(Step::TransportPin), "the PIN is set with the new PUK");
            assert_eq!(steps.last(), Some(&Step::HandOver), "nothing is left to do once the PIN is out");
        }
    }

    #[test]
    fn what_a_card_cannot_do_is_refused_by_name() {
        assert_eq!(plan(CommandSet::Standard, choice(KeyOrigin::Injected)), Err(PlanRefusal::CannotImport));
        let standard = plan(CommandSet::Standard, choice(KeyOrigin::GeneratedOnCard)).unwrap();
        assert!(!standard.contains(&Step::ManagementKey));
        assert!(
            plan(CommandSet::YubiKey, choice(KeyOrigin::Injected)).unwrap().contains(&Step::ManagementKey)
        );
    }

    #[test]
    fn only_the_very_same_plan_goes_on_and_not_for_ever() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let holder = |name: &str| Cardholder {
            id: CardholderId(1),
            name: Name::recorded(name.to_owned()),
            mail: MailAddress::recorded("alice@example.org".to_owned()),
            staff_id: None,
            employed_until: None,
            left: None,
        };
        let steps = plan(CommandSet::YubiKey, choice(KeyOrigin::GeneratedOnCard)).unwrap();
        let planned = |name: &str, origin, from: i64, until: i64, since| {
            StoredPlan::new(&steps, &choice(origin).into(), &holder(name), &[7], (at(from), at(until)), since)
        };
        let on_card = KeyOrigin::GeneratedOnCard;
        let begun = planned("Alice", on_card, 0, 1_000_000, 1);
        assert_eq!(StoredPlan::parse(&begun.to_text()).unwrap(), begun);
        let ordered = StoredPlan::ordered(&begun.to_text()).unwrap();
        assert_eq!(ordered, Ordered { profile: None, keys: choice(on_card).into(), pin: None });
        let by_holder = StoredPlan { pin: Some(InitialPin::ChosenByHolder), ..begun.clone() };
        assert_eq!(StoredPlan::ordered(&by_holder.to_text()).unwrap().pin, Some(InitialPin::ChosenByHolder));
        assert!(!StoredPlan::makes_another(&begun.to_text(), &choice(on_card).into()));
        assert!(StoredPlan::makes_another(&begun.to_text(), &choice(KeyOrigin::Injected).into()));
        let named = CardProfile { name: Some("mail".to_owned()), ..choice(on_card).into() };
        assert!(StoredPlan::makes_another(&begun.to_text(), &named));
        let wanted = planned("Alice", on_card, 5, 1_000_005, 2);
        assert!(begun.goes_on_as(&wanted, at(5)));
        assert!(by_holder.goes_on_as(&wanted, at(5)), "another PIN is set in any case");
        assert!(!begun.goes_on_as(&planned("Alicia", on_card, 5, 1_000_005, 2), at(5)), "another name");
        assert!(!begun.goes_on_as(&planned("Alice", KeyOrigin::Injected, 5, 1_000_005, 2), at(5)));
        assert!(!begun.goes_on_as(&planned("Alice", on_card, 5, 900_000, 2), at(5)), "leaves earlier now");
        assert!(!begun.goes_on_as(&wanted, at(8 * 24 * 3600)), "a week is over");
        assert!(!begun.goes_on_as(&wanted, at(-1)), "the clock went back");
        assert_eq!(StoredPlan::parse("[\"PUK\"]"), None);
    }
}
