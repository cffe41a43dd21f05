//! What is ordered of a card: what was said now, and of what nothing was said as it was ordered before it was interrupted.

use std::path::PathBuf;

use middleware::secret_source::SecretSource;
use middleware::{KeyAlgorithm, Locator};

use crate::desk::card_profile::{Before, Wanted};
use crate::desk::failure::Failure;
use crate::desk::holder_pin::UNREADABLE;
use crate::desk::office::Office;
use crate::domain::{CardId, CardProfile, CardState, Cardholder, InitialPin, KeyOrigin};
use crate::personalization::plan::{Ordered, StoredPlan};
use crate::registry::{CardRecord, Ending};

/// What `issue` was told.
pub struct Order {
    /// Mail address or staff identifier.
    pub person: String,
    /// Which card.
    pub card: Locator,
    /// What was said of what it shall be like.
    pub wanted: Wanted,
    /// What was said of its PIN.
    pub pin: WantedPin,
}

/// What was said of a card's PIN; nothing of it need be said.
#[derive(Clone, Debug, Default)]
pub struct WantedPin {
    /// Whether its holder chooses it.
    pub by_holder: Option<bool>,
    /// Where the one that its holder chose comes from; the terminal if absent.
    pub source: Option<SecretSource>,
    /// Where the transport PIN goes; the terminal if absent.
    pub transport_file: Option<PathBuf>,
}

/// In whose place a card comes.
#[derive(Clone, Copy, Debug)]
pub(in crate::desk) enum Place {
    /// In no other's.
    Free,
    /// In that of a card that has ended.
    Ended(CardId),
    /// In that of a card that is in use until the new one is begun.
    InUse(Ending),
}

/// Everything that is to be known of a card before it is begun.
pub(in crate::desk) struct Settled {
    /// What it shall be like.
    pub profile: CardProfile,
    /// How its PIN is made.
    pub pin: PinSource,
}

/// How a card's PIN is made.
pub(in crate::desk) enum PinSource {
    /// Here, at random.
    Transport,
    /// As its holder gives it here.
    Holder {
        /// Where it comes from.
        source: SecretSource,
        /// Whether that was not said now, but when the card was ordered.
        as_ordered: bool,
    },
}

impl Place {
    pub(super) const fn parts(self) -> (Option<CardId>, Option<Ending>) {
        match self {
            Self::Free => (None, None),
            Self::Ended(card) => (Some(card), None),
            Self::InUse(ending) => (Some(ending.card), Some(ending)),
        }
    }
}

impl Order {
    /// Which card and what it shall be like, as commands take them; where a PIN comes from or goes to is said anew.
    pub(in crate::desk) fn options(&self) -> String {
        let locator = self.card.to_string();
        let mut options = format!("--card {}", shlex::try_quote(&locator).unwrap_or((&locator).into()));
        if let Some(profile) = &self.wanted.profile {
            options.push_str(&format!(" --profile {profile}"));
        }
        if self.wanted.algorithm == Some(KeyAlgorithm::Rsa2048) {
            options.push_str(" --algorithm rsa2048");
        }
        if self.wanted.origin == Some(KeyOrigin::Injected) {
            options.push_str(" --inject");
        }
        options
    }

    /// What is made: as was said; of what nothing was said as an interrupted attempt at the card was ordered; else, of what it
    /// shall be like, as the card in whose place it comes.
    ///
    /// # Errors
    /// There is no such profile, or what was said of the PIN is not what was ordered; nothing was changed.
    pub(in crate::desk) async fn settled(
        &self,
        office: &Office,
        holder: &Cardholder,
        replaces: Option<CardId>,
    ) -> Result<Settled, Failure> {
        let ordered = match office.registry.card_of(holder.id).await? {
            Some(record) => ordered(office, &record).await?,
            None => None,
        };
        let old = match replaces {
            Some(old) => Some(office.registry.card(old).await?),
            None => None,
        };
        let before = match &ordered {
            Some(ordered) => Before::Ordered(ordered),
            None => Before::MadeBy(old.as_ref().and_then(|old| old.card.profile())),
        };
        Ok(Settled {
            profile: self.wanted.profile(&office.config, before)?,
            pin: self.pin.source(ordered.as_ref().and_then(|ordered| ordered.pin))?,
        })
    }
}

/// What an interrupted attempt at a card was ordered to make; none where it is not half-made.
///
/// # Errors
/// The registry cannot be read.
pub(in crate::desk) async fn ordered(
    office: &Office,
    record: &CardRecord,
) -> Result<Option<Ordered>, Failure> {
    if !matches!(record.card.state(), CardState::BeingPersonalised { .. }) {
        return Ok(None);
    }
    let plan = office.registry.plan(record.id, record.card.attempts()).await?;
    Ok(plan.as_deref().and_then(StoredPlan::ordered))
}

impl WantedPin {
    /// How the PIN is made, for a card that was perhaps ordered before.
    fn source(&self, ordered: Option<InitialPin>) -> Result<PinSource, Failure> {
        let was_holders = ordered == Some(InitialPin::ChosenByHolder);
        if self.by_holder.is_none() && was_holders && self.transport_file.is_some() {
            return Err(Failure::new(
                "pin-by-holder",
                "the card was begun with a PIN that its holder chooses, and --transport-pin-file is for another kind; nothing was changed. Leave it out and the holder is asked again, or say --pin-by-holder=false too and the card gets a transport PIN",
            )
            .saying("failed-pin-was-by-holder", &[]));
        }
        Ok(if self.by_holder.unwrap_or(was_holders) {
            let source = self.source.clone().unwrap_or(SecretSource::Terminal);
            PinSource::Holder { source, as_ordered: self.by_holder.is_none() }
        } else {
            PinSource::Transport
        })
    }
}

/// Why the holder is asked, where nobody said so now and nobody answers.
pub(super) fn as_ordered(failure: Failure) -> Failure {
    if failure.code != UNREADABLE {
        return failure;
    }
    failure.and_saying(
        "the card was begun with a PIN that its holder chooses: let the holder type it, give it with --pin-by-holder --pin-file fd:N, or say --pin-by-holder=false and the card gets a transport PIN",
        "failed-ask-holder",
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(wanted: &WantedPin, ordered: Option<InitialPin>) -> &'static str {
        match wanted.source(ordered) {
            Ok(PinSource::Transport) => "transport",
            Ok(PinSource::Holder { as_ordered: true, source: SecretSource::Terminal }) => "asked again",
            Ok(PinSource::Holder { as_ordered: true, .. }) => "not at the terminal",
            Ok(PinSource::Holder { as_ordered: false, .. }) => "as was said",
            Err(_) => "refused",
        }
    }

    #[test]
    fn how_a_pin_is_made_was_ordered_unless_it_is_said() {
        let nothing = WantedPin::default();
        let by_holder = |is| WantedPin { by_holder: Some(is), ..WantedPin::default() };
        let to_file = WantedPin { transport_file: Some("pin".into()), ..WantedPin::default() };
        let (transport, holders) = (Some(InitialPin::Transport), Some(InitialPin::ChosenByHolder));
        for (wanted, ordered, expected) in [
            (&nothing, None, "transport"),
            (&nothing, transport, "transport"),
            (&nothing, holders, "asked again"),
            (&by_holder(true), None, "as was said"),
            (&by_holder(true), transport, "as was said"),
            (&by_holder(true), holders, "as was said"),
            (&by_holder(false), holders, "transport"),
            (&to_file, None, "transport"),
            (&to_file, transport, "transport"),
            (&to_file, holders, "refused"),
            (&WantedPin { by_holder: Some(false), ..to_file.clone() }, holders, "transport"),
        ] {
            assert_eq!(kind(wanted, ordered), expected, "{wanted:?} after {ordered:?}");
        }
    }
}
