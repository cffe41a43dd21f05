//! One card, from stock to its holder to its end.
//!
//! ```text
//! Unknown ──Receive──> InStock ──Begin──> BeingPersonalised ──Complete──> Issued: awaiting activation ──Activate──> active
//!                       ^  ^  │             │      ^  │                     │     PIN blocked <──BlockPin / UnblockPin──┘
//!                       │  └──│──Abandon────┤      └──┘ Begin again         │ Hold / Release
//!                       │     │             v           (after a crash)     v
//!                       │     │          Unusable ──Receive──> InStock    OnHold
//!                       │     v
//!                       │  Destroyed <── all but what somebody has or lost
//!                       │
//!                       └──Restock (wiped)── Returned <──Return── Issued, OnHold, and the ends: Lost, Damaged, Replaced, Revoked
//! ```
//!
//! [`CardState::ways`] says the same for each state: what comes next, and what goes back.

mod action;
mod event;
mod identity;
mod puk;
mod state;
mod tenure;
mod upkeep;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use action::{CardAction, Direction, Way};
pub use event::{CardCommand, CardEvent, CardRefusal, Consequence, ReceivedCard};
pub use identity::{CardId, CardKey, Guid, StockIdentity};
pub use puk::PukStanding;
pub use state::{CardFault, CardState, InitialPin, Loss, Usability};
pub use tenure::Tenure;

use super::cardholder::CardholderId;

/// A card as its events tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    #[serde(flatten)]
    state: CardState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guid: Option<Guid>,
    attempts: u32,
    /// What the present attempt found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found: Option<CardFault>,
    #[serde(default, skip_serializing_if = "PukStanding::is_first")]
    puk: PukStanding,
    /// By which profile it is made, if that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}

impl Card {
    /// Where the card stands.
    pub const fn state(&self) -> &CardState {
        &self.state
    }

    /// The GUID that personalisation writes or wrote; none before the first attempt, and none again once it is wiped.
    pub const fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// Which PUK it may have.
    pub const fn puk(&self) -> PukStanding {
        self.puk
    }

    /// The name of the profile by which it is made or was; none where its keys were spelled out.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// How many personalisations were begun.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The card after `events`, the oldest first.
    pub fn replay(events: impl IntoIterator<Item = CardEvent>) -> Self {
        events.into_iter().fold(Self::default(), Self::apply)
    }

    /// Judges `command` at the time `now`.
    ///
    /// # Errors
    /// The command does not fit the state the card is in.
    pub fn decide(&self, command: CardCommand, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        match command {
            CardCommand::BeginPersonalisation { holder, fresh_guid } => {
                return self.decide_begin(holder, fresh_guid, now);
            }
            CardCommand::ResumePersonalisation { holder } => return self.decide_resume(holder, now),
            CardCommand::CompletePersonalisation { attempt, .. }
            | CardCommand::RecordFault { attempt, .. } => self.require_attempt(attempt)?,
            _ => {}
        }
        let action = command.action();
        if !self.state.ways().iter().any(|way| way.action == action) {
            return Err(self.refusal(action));
        }
        Ok(match command {
            CardCommand::Receive => CardEvent::CardReceived { at: now, card: None },
            CardCommand::BeginPersonalisation { holder, fresh_guid } => self.begun(holder, fresh_guid, now),
            CardCommand::ResumePersonalisation { holder } => self.resumed(holder, now),
            CardCommand::CompletePersonalisation { pin, .. } => {
                CardEvent::PersonalisationCompleted { at: now, pin: Some(pin) }
            }
            CardCommand::RecordFault { fault, .. } => CardEvent::CardFaultFound { at: now, fault },
            CardCommand::AbandonPersonalisation => CardEvent::PersonalisationAbandoned { at: now },
            CardCommand::Activate => CardEvent::CardActivated { at: now },
            CardCommand::BlockPin => CardEvent::PinBlocked { at: now },
            CardCommand::UnblockPin => CardEvent::PinUnblocked { at: now },
            CardCommand::Hold => CardEvent::CardHeld { at: now },
            CardCommand::Release => CardEvent::CardReleased { at: now },
            CardCommand::ReportLoss { loss } => CardEvent::CardLost { at: now, loss },
            CardCommand::ReportDamage => CardEvent::CardDamaged { at: now },
            CardCommand::Replace { by } => CardEvent::CardReplaced { at: now, by },
            CardCommand::Revoke { reason } => CardEvent::CardRevoked { at: now, reason },
            CardCommand::Return => CardEvent::CardReturned { at: now },
            CardCommand::Restock => CardEvent::CardRestocked { at: now },
            CardCommand::Destroy => CardEvent::CardDestroyed { at: now },
        })
    }

    /// The card after `event`.
    #[must_use]
    pub fn apply(self, event: CardEvent) -> Self {
        match event {
            CardEvent::CardReceived { at, .. } => {
                Self { state: CardState::InStock { since: at }, found: None, ..self }
            }
            CardEvent::CardFaultFound { fault, .. } => Self { found: Some(fault), ..self },
            CardEvent::PersonalisationBegun { at, holder, guid, attempt } => Self {
                state: CardState::BeingPersonalised { holder, since: at },
                guid: Some(guid),
                attempts: attempt,
                found: None,
                puk: PukStanding::default(),
                profile: None,
            },
            CardEvent::ProfileChosen { profile, .. } => Self { profile, ..self },
            CardEvent::PersonalisationResumed { at, holder, attempt } => Self {
                state: CardState::BeingPersonalised { holder, since: at },
                attempts: attempt,
                found: None,
                ..self
            },
            CardEvent::PersonalisationAbandoned { at } => match self.found {
                Some(fault) => Self { state: CardState::Unusable { since: at, fault }, ..self },
                None => Self { state: CardState::InStock { since: at }, ..self },
            },
            CardEvent::CardRestocked { at } => Self {
                state: CardState::InStock { since: at },
                guid: None,
                found: None,
                puk: PukStanding::default(),
                profile: None,
                ..self
            },
            CardEvent::PukRevealed { at, next, .. } => Self { puk: self.puk.revealed(at, next), ..self },
            CardEvent::PukRotated { version, .. } => Self { puk: PukStanding::rotated(version), ..self },
            CardEvent::CardDestroyed { at } => {
                let holder = self.state.holder();
                Self { state: CardState::Destroyed { holder, since: at }, ..self }
            }
            event => match self.state.holder() {
                Some(holder) => Self { state: self.state_of_holder(holder, event), ..self },
                None => self,
            },
        }
    }

    /// The state after an event that only a card with a holder has.
    fn state_of_holder(&self, holder: CardholderId, event: CardEvent) -> CardState {
        let issued = |since, usability| CardState::Issued { holder, since, usability };
        match event {
            CardEvent::PersonalisationCompleted { at, pin: Some(InitialPin::Transport) } => {
                issued(at, Usability::AwaitingActivation)
            }
            CardEvent::PersonalisationCompleted { at, .. }
            | CardEvent::CardActivated { at }
            | CardEvent::PinUnblocked { at } => issued(at, Usability::Active),
            CardEvent::PinBlocked { at } => issued(at, Usability::PinBlocked),
            CardEvent::CardHeld { at } => {
                CardState::OnHold { holder, since: at, usability: self.usability() }
            }
            CardEvent::CardReleased { at } => issued(at, self.usability()),
            CardEvent::CardLost { at, loss } => CardState::Lost { holder, since: at, loss },
            CardEvent::CardDamaged { at } => CardState::Damaged { holder, since: at },
            CardEvent::CardReplaced { at, by } => CardState::Replaced { holder, since: at, by },
            CardEvent::CardRevoked { at, reason } => CardState::Revoked { holder, since: at, reason },
            CardEvent::CardReturned { at } => CardState::Returned { holder, since: at },
            CardEvent::CardReceived { .. }
            | CardEvent::CardFaultFound { .. }
            | CardEvent::PersonalisationBegun { .. }
            | CardEvent::ProfileChosen { .. }
            | CardEvent::PersonalisationResumed { .. }
            | CardEvent::PersonalisationAbandoned { .. }
            | CardEvent::CardRestocked { .. }
            | CardEvent::PinSet { .. }
            | CardEvent::PukRevealed { .. }
            | CardEvent::PukRotated { .. }
            | CardEvent::CardRenewed { .. }
            | CardEvent::CardDestroyed { .. } => self.state.clone(),
        }
    }

    const fn usability(&self) -> Usability {
        match self.state {
            CardState::Issued { usability, .. } | CardState::OnHold { usability, .. } => usability,
            _ => Usability::Active,
        }
    }

    fn decide_begin(
        &self,
        holder: CardholderId,
        fresh_guid: Guid,
        now: Timestamp,
    ) -> Result<CardEvent, CardRefusal> {
        match self.state {
            CardState::InStock { .. } => {}
            CardState::BeingPersonalised { holder: other, .. } if other == holder => {}
            CardState::BeingPersonalised { holder, since } => {
                return Err(CardRefusal::BeingPersonalisedFor { holder, since });
            }
            CardState::Issued { holder, since, .. } | CardState::OnHold { holder, since, .. } => {
                return Err(CardRefusal::AlreadyIssued { holder, since });
            }
            CardState::Unusable { since, fault } => return Err(CardRefusal::Unusable { since, fault }),
            _ => return Err(self.refusal(CardAction::Personalise)),
        }
        Ok(self.begun(holder, fresh_guid, now))
    }

    /// Only what was begun for the same holder goes on.
    fn decide_resume(&self, holder: CardholderId, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        match self.state {
            CardState::BeingPersonalised { holder: other, .. } if other == holder => {
                Ok(self.resumed(holder, now))
            }
            CardState::BeingPersonalised { holder, since } => {
                Err(CardRefusal::BeingPersonalisedFor { holder, since })
            }
            _ => Err(CardRefusal::NotBeingPersonalised(self.state.name())),
        }
    }

    const fn resumed(&self, holder: CardholderId, now: Timestamp) -> CardEvent {
        CardEvent::PersonalisationResumed { at: now, holder, attempt: self.attempts.saturating_add(1) }
    }

    fn begun(&self, holder: CardholderId, fresh_guid: Guid, now: Timestamp) -> CardEvent {
        CardEvent::PersonalisationBegun {
            at: now,
            holder,
            guid: self.guid.unwrap_or(fresh_guid),
            attempt: self.attempts.saturating_add(1),
        }
    }

    const fn require_attempt(&self, attempt: u32) -> Result<(), CardRefusal> {
        match self.state {
            CardState::BeingPersonalised { .. } if attempt == self.attempts => Ok(()),
            CardState::BeingPersonalised { .. } => {
                Err(CardRefusal::Overtaken { attempt, present: self.attempts })
            }
            _ => Err(CardRefusal::NotBeingPersonalised(self.state.name())),
        }
    }

    /// Why this cannot be done in the present state.
    fn refusal(&self, action: CardAction) -> CardRefusal {
        let name = self.state.name();
        match (action, &self.state) {
            (CardAction::Receive, _) => CardRefusal::AlreadyReceived(name),
            (_, CardState::Unknown) => CardRefusal::Unknown,
            (CardAction::HandOver | CardAction::RecordFault | CardAction::Abandon, _) => {
                CardRefusal::NotBeingPersonalised(name)
            }
            (CardAction::Personalise | CardAction::Revoke, CardState::Revoked { since, reason, .. }) => {
                CardRefusal::Revoked { since: *since, reason: *reason }
            }
            (CardAction::Revoke, _) => CardRefusal::NotIssued(name),
            (action, state) => CardRefusal::NotNow {
                action,
                state: name,
                since: state.since().unwrap_or(Timestamp::UNIX_EPOCH),
            },
        }
    }
}

#[cfg(test)]
mod tests;
