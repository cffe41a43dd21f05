//! What is done to a card that its holder has and leaves it where it stands: new certificates, a new PIN.

use jiff::Timestamp;

use super::event::{CardEvent, CardRefusal};
use super::{Card, CardState, InitialPin};

impl Card {
    /// Judges that every key which was to be renewed has its new certificate.
    ///
    /// # Errors
    /// Its holder does not have it any more.
    pub fn decide_renewed(&self, new_keys: bool, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        self.require_held_by_somebody()?;
        Ok(CardEvent::CardRenewed { at: now, new_keys })
    }

    /// Judges that the desk has set another PIN.
    ///
    /// # Errors
    /// Its holder does not have it any more.
    pub fn decide_pin_set(&self, pin: InitialPin, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        self.require_held_by_somebody()?;
        Ok(CardEvent::PinSet { at: now, pin })
    }

    /// It may have been put on hold while that was done.
    const fn require_held_by_somebody(&self) -> Result<(), CardRefusal> {
        match self.state {
            CardState::Issued { .. } | CardState::OnHold { .. } => Ok(()),
            _ => Err(CardRefusal::NotIssued(self.state.name())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CardCommand, CardholderId, Guid};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn upkeep_is_told_and_leaves_a_card_as_it_is() {
        let commands = [
            CardCommand::Receive,
            CardCommand::BeginPersonalisation { holder: CardholderId(1), fresh_guid: Guid::new([1; 16]) },
            CardCommand::CompletePersonalisation { attempt: 1, pin: InitialPin::Transport },
        ];
        let card = commands.into_iter().fold(Card::default(), |card, command| {
            let event = card.decide(command, at(1)).unwrap();
            card.apply(event)
        });
        let events = [
            card.decide_renewed(true, at(5)).unwrap(),
            card.decide_pin_set(InitialPin::Transport, at(6)).unwrap(),
        ];
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<CardEvent>(&text).unwrap(), event);
            assert_eq!((card.clone().apply(event.clone()), event.consequence()), (card.clone(), None));
        }
        let held = card.clone().apply(card.decide(CardCommand::Hold, at(7)).unwrap());
        assert!(held.decide_renewed(false, at(8)).is_ok());
        let returned = card.clone().apply(card.decide(CardCommand::Return, at(7)).unwrap());
        let refused = Err(CardRefusal::NotIssued("returned"));
        assert_eq!(returned.decide_renewed(false, at(8)), refused);
        assert_eq!(returned.decide_pin_set(InitialPin::Transport, at(8)), refused);
    }
}
