//! Which PUK a card has: the desk's, by the version of its derivation, and whether it ever left the desk.
//!
//! A remote unblock gives the card's PUK to its holder's program, which changes it at once. Until that is confirmed the
//! card has one of several versions, and the PUK counts as exposed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{CardEvent, CardRefusal};
use super::{Card, CardAction, CardState};

/// The versions of its PUK that a card may have, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PukStanding {
    /// The last one that was certainly the card's.
    oldest: u32,
    /// The last one that was given out to take its place.
    newest: u32,
    /// Since when somebody beside the desk may know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exposed_since: Option<Timestamp>,
}

/// A card of which more versions are possible is unblocked at the desk only: two wrong ones leave its PUK one try.
const MOST_VERSIONS_TO_REVEAL: usize = 2;

impl Default for PukStanding {
    fn default() -> Self {
        Self { oldest: 1, newest: 1, exposed_since: None }
    }
}

impl PukStanding {
    /// The versions that the card's PUK may have, the likeliest first.
    pub fn candidates(&self) -> Vec<u32> {
        (self.oldest..=self.newest).rev().collect()
    }

    /// Since when somebody beside the desk may know it.
    pub const fn exposed_since(&self) -> Option<Timestamp> {
        self.exposed_since
    }

    /// The version that takes the place of all these.
    pub const fn next(&self) -> u32 {
        self.newest.saturating_add(1)
    }

    /// Whether nothing was ever changed, so that it need not be written down.
    pub(super) fn is_first(&self) -> bool {
        *self == Self::default()
    }
}

impl Card {
    /// Judges giving the PUK, and the next, to the holder's program.
    ///
    /// # Errors
    /// The card is not in its holder's use, or too many versions are possible already.
    pub fn decide_to_reveal_puk(
        &self,
        identity_check: &str,
        now: Timestamp,
    ) -> Result<CardEvent, CardRefusal> {
        if !matches!(self.state, CardState::Issued { .. }) {
            return Err(self.refusal(CardAction::UnblockPin));
        }
        if self.puk.candidates().len() > MOST_VERSIONS_TO_REVEAL {
            return Err(CardRefusal::PukUncertain);
        }
        Ok(CardEvent::PukRevealed {
            at: now,
            next: self.puk.next(),
            identity_check: identity_check.to_owned(),
        })
    }

    /// Judges that the card's PUK is now of this version.
    ///
    /// # Errors
    /// Nobody has the card, or that version was never meant for it.
    pub fn decide_puk_rotated(&self, version: u32, now: Timestamp) -> Result<CardEvent, CardRefusal> {
        let is_out = matches!(self.state, CardState::Issued { .. } | CardState::OnHold { .. });
        if !is_out || version < self.puk.oldest || version > self.puk.next() {
            return Err(self.refusal(CardAction::UnblockPin));
        }
        Ok(CardEvent::PukRotated { at: now, version })
    }
}

impl PukStanding {
    pub(super) fn revealed(self, at: Timestamp, next: u32) -> Self {
        Self { newest: next, exposed_since: Some(self.exposed_since.unwrap_or(at)), ..self }
    }

    pub(super) const fn rotated(version: u32) -> Self {
        Self { oldest: version, newest: version, exposed_since: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CardCommand, CardholderId, Guid, InitialPin};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn issued() -> Card {
        let commands = [
            CardCommand::Receive,
            CardCommand::BeginPersonalisation { holder: CardholderId(1), fresh_guid: Guid::new([1; 16]) },
            CardCommand::CompletePersonalisation { attempt: 1, pin: InitialPin::Transport },
        ];
        commands.into_iter().fold(Card::default(), |card, command| {
            let event = card.decide(command, at(1)).unwrap();
            card.apply(event)
        })
    }

    #[test]
    fn a_revealed_puk_is_exposed_until_its_change_is_confirmed() {
        let card = issued();
        assert_eq!(card.puk().candidates(), [1]);
        let revealed = card.clone().apply(card.decide_to_reveal_puk("passport", at(5)).unwrap());
        assert_eq!(revealed.puk().candidates(), [2, 1]);
        assert_eq!(revealed.puk().exposed_since(), Some(at(5)));
        assert_eq!(revealed.state(), card.state());
        let rotated = revealed.clone().apply(revealed.decide_puk_rotated(2, at(6)).unwrap());
        assert_eq!((rotated.puk().candidates(), rotated.puk().exposed_since()), (vec![2], None));
    }

    #[test]
    fn what_was_never_confirmed_is_not_revealed_for_ever() {
        let mut card = issued();
        for _ in 0..2 {
            let event = card.decide_to_reveal_puk("call back", at(5)).unwrap();
            card = card.apply(event);
        }
        assert_eq!(card.decide_to_reveal_puk("call back", at(9)), Err(CardRefusal::PukUncertain));
        assert_eq!(card.puk().exposed_since(), Some(at(5)), "the first time counts");
        assert!(card.decide_puk_rotated(4, at(9)).is_ok() && card.decide_puk_rotated(5, at(9)).is_err());
    }

    #[test]
    fn a_card_that_nobody_has_gives_nothing_away_and_a_wiped_one_starts_anew() {
        let card = issued();
        let revealed = card.clone().apply(card.decide_to_reveal_puk("x", at(5)).unwrap());
        let returned = revealed.clone().apply(revealed.decide(CardCommand::Return, at(6)).unwrap());
        assert!(returned.decide_to_reveal_puk("x", at(7)).is_err());
        let blank = returned.clone().apply(returned.decide(CardCommand::Restock, at(7)).unwrap());
        assert_eq!(blank.puk(), PukStanding::default());
        let text = serde_json::to_string(&blank).unwrap();
        assert!(!text.contains("puk"), "{text}");
    }
}
