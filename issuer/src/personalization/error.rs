//! Why a card was not personalised.

use middleware::{CardError, KeyError, KeyReference};

use super::attestation::AttestationRefusal;
use super::custody::CustodyError;
use super::plan::{PlanRefusal, Step};
use crate::ca::CaError;
use crate::domain::{CardFault, CardKey};
use crate::registry::RegistryError;
use crate::system_error::in_words;

/// A refusal or failure of personalisation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonalizationError {
    /// The card is not in the registry.
    #[error("the card ({0}) is not in stock; take it in first: issuer stock add")]
    UnknownCard(String),
    /// An emulated card in a registry for real ones.
    #[error(
        "this is an emulated card, and this registry refuses those; one for tests is made with: issuer init --allow-emulated"
    )]
    EmulatedCard,
    /// Somebody's keys or certificates are on it, which were not made for it here.
    #[error(
        "the card is not blank: it carries what this desk knows nothing of ({0}); nothing was changed. If nobody needs that, reset the card (card reset, or its maker's tool) and run the same command again"
    )]
    NotBlank(String),
    /// Certificates would begin after the end.
    #[error("the person is employed until {0} only, and that day is over")]
    EmploymentOver(jiff::civil::Date),
    /// The card cannot do what the plan needs.
    #[error(transparent)]
    Plan(#[from] PlanRefusal),
    /// Neither the factory's nor the desk's management key opens the card.
    #[error(
        "the card accepts neither the management key it came with nor the desk's: its stock entry is wrong, or somebody changed the key"
    )]
    ManagementKeyUnknown,
    /// Neither the manufacturer's nor the desk's PUK is the card's.
    #[error("the card accepts neither the PUK it came with nor the desk's{}: its stock entry is wrong, or somebody changed the PUK", tries(*.tries_left))]
    PukUnknown {
        /// What the card said, where it says so without spending a try.
        tries_left: Option<u8>,
    },
    /// A guess could block the PUK.
    #[error("the card's PUK has one try left, and a wrong one would block it for good; it was not tried")]
    LastPukTry,
    /// A card without vendor commands needs its stock file.
    #[error(
        "the registry has no management key for this card; take it in with its stock file: issuer stock add --file"
    )]
    StockSecretsMissing,
    /// Another card is in the reader than the one that the plan is for.
    #[error(
        "the card was changed for another in the middle: this is {found}, the plan is for {expected}; put that one back"
    )]
    CardSwapped {
        /// Which card it should be.
        expected: String,
        /// Which it is.
        found: String,
    },
    /// Another card is in the reader than the one that was named.
    #[error(
        "the card in the reader is another ({found}) than the one that was named ({expected}); nothing was changed"
    )]
    AnotherCard {
        /// Which card it should be.
        expected: String,
        /// Which it is.
        found: String,
    },
    /// No certificate of that key is in force.
    #[error(
        "the card has no certificate for key {0} that could be renewed; issue a new card, or name other keys with --key"
    )]
    NothingToRenew(CardKey),
    /// Somebody took it out of use while its certificates were renewed.
    #[error("the card {} meanwhile, at {since}", taken_out_of_use(.state))]
    OutOfUse {
        /// The name of its state.
        state: &'static str,
        /// Since when.
        since: jiff::Timestamp,
    },
    /// Another order would leave a key without its certificate.
    #[error(
        "a renewal of this card was begun at {0} with another order and is half done; nothing was changed"
    )]
    RenewalOpen(jiff::Timestamp),
    /// A new 9D would destroy the old one.
    #[error(
        "this card cannot move its old key 9D to a retired reference (it has no such command), and a new one in its place would make all old mail unreadable; renew 9D with the same key, or new keys for the others: --new-keys --key 9A --key 9C --key 9E"
    )]
    CannotRetire,
    /// Something is at the reference that comes next.
    #[error(
        "there is a key at {0} that the card's key history does not count; look with: card status, and move or delete it"
    )]
    RetiredInTheWay(KeyReference),
    /// Twenty are there.
    #[error(
        "the card has twenty retired keys and room for no more; renew with the same keys, or give out another card"
    )]
    NoRoomForRetired,
    /// Neither at 9D nor where it would have been moved to.
    #[error("the old key 9D is neither at 9D nor at its retired reference: somebody changed the card")]
    OldKeyGone,
    /// SP 800-73-5 has no command to remove keys.
    #[error(
        "this card cannot be wiped: SP 800-73-5 has no command to remove a key, and it has no other; destroy it, and record that with: issuer mark CARD destroyed"
    )]
    CannotWipe,
    /// The card said that it was reset, and was not.
    #[error("the card still has {0} after it was reset; it must not be given to anybody")]
    NotWiped(&'static str),
    /// Whoever watches wanted so; the step in hand was finished.
    #[error("stopped as asked, after a step that was finished")]
    Stopped,
    /// A key that no step before has made.
    #[error("key {0} was to be certified before it has proven itself; nothing was signed")]
    NotProven(CardKey),
    /// A card in personalisation always has one.
    #[error("the registry has no GUID for this card; check it: issuer audit verify")]
    GuidMissing,
    /// The key on the card is not the one that its certificate names.
    #[error(
        "key {key} of the card does not match the certificate stored beside it; the card must not be handed over"
    )]
    CertificateMismatch {
        /// Which key.
        key: CardKey,
    },
    /// The card's word on where a key came from is not believed.
    #[error("{0}; the card must not be handed over")]
    Attestation(#[from] AttestationRefusal),
    /// What was read back is not what was written.
    #[error("the card gave back another {what} than was written; the card must not be handed over")]
    ReadBackDiffers {
        /// What was compared.
        what: String,
    },
    /// The life of the card stopped half-way; the registry knows it.
    #[error("stopped at \"{step}\": {source}")]
    Interrupted {
        /// The step that did not end well.
        step: Step,
        /// Why.
        source: Box<Self>,
    },
    /// The transport PIN did not reach its place.
    #[error("the transport PIN could not be handed over: {}", in_words(.0))]
    TransportPin(std::io::Error),
    /// The card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certification authority.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The card's secrets.
    #[error(transparent)]
    Custody(#[from] CustodyError),
}

fn tries(left: Option<u8>) -> String {
    match left {
        Some(1) => " (1 try left)".to_owned(),
        Some(left) => format!(" ({left} tries left)"),
        None => String::new(),
    }
}

impl PersonalizationError {
    /// What is wrong with the card itself, so that running again cannot help.
    pub fn fault(&self) -> Option<CardFault> {
        match self {
            Self::Interrupted { source, .. } => source.fault(),
            Self::ManagementKeyUnknown => Some(CardFault::ManagementKeyUnknown),
            Self::PukUnknown { .. } => Some(CardFault::PukUnknown),
            Self::LastPukTry => Some(CardFault::PukLastTry),
            Self::Card(CardError::PukBlocked) => Some(CardFault::PukBlocked),
            _ => None,
        }
    }
}

fn taken_out_of_use(state: &str) -> String {
    match state {
        "on hold" => "was put on hold".to_owned(),
        "lost" | "stolen" | "damaged" => format!("was reported {state}"),
        state => format!("was {state}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_in_english() {
        let text = |tries_left| PersonalizationError::PukUnknown { tries_left }.to_string();
        assert!(text(Some(1)).contains("(1 try left)"));
        assert!(text(Some(2)).contains("(2 tries left)") && !text(None).contains("left"));
    }
}
