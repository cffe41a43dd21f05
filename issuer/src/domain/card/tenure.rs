//! From when until when somebody had a card, as its events tell.

use jiff::Timestamp;

use super::event::CardEvent;
use super::{Card, CardState};
use crate::domain::cardholder::CardholderId;

/// A time in which somebody had a card that is theirs no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// When it was handed over.
    pub from: Timestamp,
    /// When it came to an end: returned, lost, revoked...
    pub until: Timestamp,
}

impl Tenure {
    /// The last time that `holder` had the card with these events, the oldest first; none if it was never handed over to
    /// them, or is theirs still.
    pub fn last_of(holder: CardholderId, events: impl IntoIterator<Item = CardEvent>) -> Option<Self> {
        let mut card = Card::default();
        let (mut last, mut from) = (None, None);
        for event in events {
            card = card.apply(event);
            let state = card.state();
            let has_it = matches!(state, CardState::Issued { .. } | CardState::OnHold { .. })
                && state.holder() == Some(holder);
            match (from, state.since()) {
                (None, Some(since)) if has_it => from = Some(since),
                (Some(begun), Some(since)) if !has_it => {
                    last = Some(Self { from: begun, until: since });
                    from = None;
                }
                _ => {}
            }
        }
        if from.is_some() { None } else { last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CardCommand, Guid, InitialPin};

    const ALICE: CardholderId = CardholderId(1);
    const BOB: CardholderId = CardholderId(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What happens when these are commanded, one a second.
    fn events(commands: &[CardCommand]) -> Vec<CardEvent> {
        let mut card = Card::default();
        let mut events = Vec::new();
        for (second, command) in (1..).zip(commands) {
            let event = card.decide(*command, at(second)).unwrap();
            card = card.apply(event.clone());
            events.push(event);
        }
        events
    }

    const fn begin(holder: CardholderId) -> CardCommand {
        CardCommand::BeginPersonalisation { holder, fresh_guid: Guid::new([1; 16]) }
    }

    const fn complete(attempt: u32) -> CardCommand {
        CardCommand::CompletePersonalisation { attempt, pin: InitialPin::Transport }
    }

    #[test]
    fn a_card_was_somebodys_from_its_handing_over_to_its_end() {
        let life = [
            CardCommand::Receive,
            begin(ALICE),
            complete(1),
            CardCommand::Hold,
            CardCommand::Release,
            CardCommand::Return,
            CardCommand::Restock,
            begin(BOB),
            complete(2),
        ];
        let life = events(&life);
        assert_eq!(Tenure::last_of(ALICE, life.clone()), Some(Tenure { from: at(3), until: at(6) }));
        assert_eq!(Tenure::last_of(BOB, life), None, "he has it");
    }

    #[test]
    fn what_was_given_up_half_made_was_never_theirs() {
        let life = events(&[CardCommand::Receive, begin(ALICE), CardCommand::AbandonPersonalisation]);
        assert_eq!(Tenure::last_of(ALICE, life), None);
    }
}
