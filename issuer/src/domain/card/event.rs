//! What a desk wants to do with a card, what happened to it, and why not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::CardAction;
use super::state::{CardFault, InitialPin, Loss};
use super::{CardId, Guid};
use crate::domain::cardholder::CardholderId;
use crate::domain::certificate::RevocationReason;

/// What a desk wants to do with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardCommand {
    /// Take a blank card into stock; one that was unusable may have been reset meanwhile.
    Receive,
    /// Start to make it somebody's card, or start over.
    BeginPersonalisation {
        /// Whose card it will be.
        holder: CardholderId,
        /// The GUID to write, unless an earlier attempt has already chosen one.
        fresh_guid: Guid,
    },
    /// Go on where an interrupted attempt stopped: what it certified may be kept.
    ResumePersonalisation {
        /// Whose card it will be.
        holder: CardholderId,
    },
    /// Every key was exercised against the certificate read back.
    CompletePersonalisation {
        /// The attempt that did it.
        attempt: u32,
        /// With which PIN it leaves the desk.
        pin: InitialPin,
    },
    /// Record why the card cannot be personalised.
    RecordFault {
        /// The attempt that found it.
        attempt: u32,
        /// Why.
        fault: CardFault,
    },
    /// Give up a half-made card: it goes back to stock, or, if it has a fault, not.
    AbandonPersonalisation,
    /// The holder has changed the transport PIN.
    Activate,
    /// Its PIN is blocked.
    BlockPin,
    /// Its PIN was set anew.
    UnblockPin,
    /// Suspend it: perhaps it turns up.
    Hold,
    /// End the hold.
    Release,
    /// It is out of its holder's hands.
    ReportLoss {
        /// How.
        loss: Loss,
    },
    /// It is broken.
    ReportDamage,
    /// Another card stands in its place.
    Replace {
        /// Which.
        by: CardId,
    },
    /// End an issued card.
    Revoke {
        /// Why.
        reason: RevocationReason,
    },
    /// It came back to the desk.
    Return,
    /// It was wiped, and that was verified: blank again.
    Restock,
    /// It is shredded, punched or otherwise no more.
    Destroy,
}

impl CardCommand {
    /// What kind of command it is.
    pub const fn action(&self) -> CardAction {
        match self {
            Self::Receive => CardAction::Receive,
            Self::BeginPersonalisation { .. } | Self::ResumePersonalisation { .. } => CardAction::Personalise,
            Self::CompletePersonalisation { .. } => CardAction::HandOver,
            Self::RecordFault { .. } => CardAction::RecordFault,
            Self::AbandonPersonalisation => CardAction::Abandon,
            Self::Activate => CardAction::Activate,
            Self::BlockPin => CardAction::BlockPin,
            Self::UnblockPin => CardAction::UnblockPin,
            Self::Hold => CardAction::Hold,
            Self::Release => CardAction::Release,
            Self::ReportLoss { .. } => CardAction::ReportLoss,
            Self::ReportDamage => CardAction::ReportDamage,
            Self::Replace { .. } => CardAction::Replace,
            Self::Revoke { .. } => CardAction::Revoke,
            Self::Return => CardAction::Return,
            Self::Restock => CardAction::Restock,
            Self::Destroy => CardAction::Destroy,
        }
    }

    /// Whether it keeps somebody from being believed who should not be: that never waits.
    pub const fn takes_trust_away(&self) -> bool {
        matches!(self, Self::Hold | Self::ReportLoss { .. } | Self::ReportDamage | Self::Revoke { .. })
    }
}

/// What the log keeps of a card that was taken into stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedCard {
    /// The vendor's serial number, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_serial: Option<u32>,
    /// Else the GUID that the manufacturer wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<Guid>,
    /// The version of the derivation of its secrets.
    pub secrets_version: u32,
}

/// What happened to a card, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum CardEvent {
    /// Taken into stock.
    CardReceived {
        /// When.
        at: Timestamp,
        /// Which; earlier programs did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        card: Option<ReceivedCard>,
    },
    /// Personalisation began.
    PersonalisationBegun {
        /// When.
        at: Timestamp,
        /// Whose card it will be.
        holder: CardholderId,
        /// The GUID that the card gets; the same again when an attempt is repeated, because the card's secrets derive from it.
        guid: Guid,
        /// 1, 2, ...; the journal of steps is kept by attempt.
        attempt: u32,
    },
    /// It is made by another profile than before.
    ProfileChosen {
        /// When.
        at: Timestamp,
        /// Its name; none where the keys are spelled out.
        profile: Option<String>,
    },
    /// Personalisation went on where it had stopped; the attempt before is over.
    PersonalisationResumed {
        /// When.
        at: Timestamp,
        /// Whose card it will be.
        holder: CardholderId,
        /// The number of the attempt that goes on.
        attempt: u32,
    },
    /// Personalisation ended well.
    PersonalisationCompleted {
        /// When.
        at: Timestamp,
        /// With which PIN; not recorded before there was a choice, when the card counted as in use at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin: Option<InitialPin>,
    },
    /// The card turned out not to be usable as it is.
    CardFaultFound {
        /// When.
        at: Timestamp,
        /// Why.
        fault: CardFault,
    },
    /// Personalisation was given up.
    PersonalisationAbandoned {
        /// When.
        at: Timestamp,
    },
    /// The holder uses it.
    CardActivated {
        /// When.
        at: Timestamp,
    },
    /// Its PIN is blocked.
    PinBlocked {
        /// When.
        at: Timestamp,
    },
    /// Its PIN was set anew.
    PinUnblocked {
        /// When.
        at: Timestamp,
    },
    /// Its PIN was set anew, though the old one was not known to be blocked; earlier programs did not say so.
    PinSet {
        /// When.
        at: Timestamp,
        /// To which.
        pin: InitialPin,
    },
    /// Its PUK, and the next one, were given to its holder's program, after somebody made sure who that is.
    PukRevealed {
        /// When.
        at: Timestamp,
        /// The version that takes its place.
        next: u32,
        /// How the holder's identity was checked, in the operator's words.
        identity_check: String,
    },
    /// It certainly has a PUK of this version.
    PukRotated {
        /// When.
        at: Timestamp,
        /// Of which derivation.
        version: u32,
    },
    /// Its certificates were renewed; earlier programs did not say so.
    CardRenewed {
        /// When.
        at: Timestamp,
        /// Whether its keys were, too.
        new_keys: bool,
    },
    /// Suspended.
    CardHeld {
        /// When.
        at: Timestamp,
    },
    /// No longer suspended.
    CardReleased {
        /// When.
        at: Timestamp,
    },
    /// Lost or stolen.
    CardLost {
        /// When.
        at: Timestamp,
        /// How.
        loss: Loss,
    },
    /// Broken.
    CardDamaged {
        /// When.
        at: Timestamp,
    },
    /// Replaced.
    CardReplaced {
        /// When.
        at: Timestamp,
        /// By which card.
        by: CardId,
    },
    /// The card is over.
    CardRevoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// Back at the desk.
    CardReturned {
        /// When.
        at: Timestamp,
    },
    /// Wiped, and blank again.
    CardRestocked {
        /// When.
        at: Timestamp,
    },
    /// No more.
    CardDestroyed {
        /// When.
        at: Timestamp,
    },
}

/// What an event means for the certificates of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// All that are not yet.
    Revoke(RevocationReason),
    /// All that are not revoked.
    Hold,
    /// All that are on hold.
    Release,
}

impl CardEvent {
    /// The same, with what was taken into stock.
    #[must_use]
    pub fn of_received(self, what: ReceivedCard) -> Self {
        match self {
            Self::CardReceived { at, .. } => Self::CardReceived { at, card: Some(what) },
            other => other,
        }
    }

    /// What the event means for the card's certificates; one table, so that no front end has its own opinion.
    pub const fn consequence(&self) -> Option<Consequence> {
        use RevocationReason::{CessationOfOperation, KeyCompromise, Superseded};
        match self {
            Self::PersonalisationBegun { attempt: 2.., .. } | Self::CardReplaced { .. } => {
                Some(Consequence::Revoke(Superseded))
            }
            Self::CardLost { .. } => Some(Consequence::Revoke(KeyCompromise)),
            Self::PersonalisationAbandoned { .. }
            | Self::CardDamaged { .. }
            | Self::CardReturned { .. }
            | Self::CardDestroyed { .. } => Some(Consequence::Revoke(CessationOfOperation)),
            Self::CardRevoked { reason, .. } => Some(Consequence::Revoke(*reason)),
            Self::CardHeld { .. } => Some(Consequence::Hold),
            Self::CardReleased { .. } => Some(Consequence::Release),
            Self::CardReceived { .. }
            | Self::PersonalisationBegun { .. }
            | Self::ProfileChosen { .. }
            | Self::PersonalisationResumed { .. }
            | Self::PersonalisationCompleted { .. }
            | Self::CardFaultFound { .. }
            | Self::CardActivated { .. }
            | Self::PinBlocked { .. }
            | Self::PinUnblocked { .. }
            | Self::PinSet { .. }
            | Self::CardRenewed { .. }
            | Self::PukRevealed { .. }
            | Self::PukRotated { .. }
            | Self::CardRestocked { .. } => None,
        }
    }
}

/// Why a command was refused; the caller knows the names behind the numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CardRefusal {
    /// Not in stock.
    #[error("the card is not in stock")]
    Unknown,
    /// Received twice.
    #[error("the card is already in stock or in use ({0})")]
    AlreadyReceived(&'static str),
    /// Half-made for somebody else.
    #[error("the card is being personalised for somebody else since {since}")]
    BeingPersonalisedFor {
        /// For whom.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// Somebody has it.
    #[error("the card is already issued, since {since}")]
    AlreadyIssued {
        /// To whom.
        holder: CardholderId,
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be personalised.
    #[error("the card was set aside as unusable at {since} ({fault})")]
    Unusable {
        /// Since when.
        since: Timestamp,
        /// Why.
        fault: CardFault,
    },
    /// Complete or abandon without a beginning.
    #[error("the card is not being personalised (it is {0})")]
    NotBeingPersonalised(&'static str),
    /// Another desk, or another run, began after this one.
    #[error("another attempt ({present}) began meanwhile; this one ({attempt}) is over")]
    Overtaken {
        /// The attempt that asked.
        attempt: u32,
        /// The present one.
        present: u32,
    },
    /// Revoked already.
    #[error("the card was revoked at {since} ({reason})")]
    Revoked {
        /// When.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// Revoke what nobody has.
    #[error("the card is not issued (it is {0})")]
    NotIssued(&'static str),
    /// Its PUK was given out more than once, and nobody confirmed that it was changed.
    #[error(
        "the card's PUK was given out twice without a confirmation: it can be unblocked at the desk only"
    )]
    PukUncertain,
    /// The state does not allow it.
    #[error("the card is {state} since {since}: it cannot be {}", .action.participle())]
    NotNow {
        /// What was asked.
        action: CardAction,
        /// Where it stands.
        state: &'static str,
        /// Since when.
        since: Timestamp,
    },
}
