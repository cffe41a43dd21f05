//! How a card reaches a reader. Nothing here knows PIV.

pub mod vpcd;

use zeroize::Zeroizing;

use crate::Card;

/// What a reader does to a card.
pub trait CardInReader {
    /// The answer to reset, without touching the card.
    fn answer_to_reset(&self) -> Vec<u8>;
    /// Gives power.
    fn power_on(&mut self);
    /// Takes the power away.
    fn power_off(&mut self);
    /// Warm reset.
    fn reset(&mut self);
    /// One command APDU in, one response APDU out.
    fn transmit(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>>;
}

impl CardInReader for Card {
    fn answer_to_reset(&self) -> Vec<u8> {
        Self::answer_to_reset(self)
    }

    fn power_on(&mut self) {
        let _ = Self::power_on(self);
    }

    fn power_off(&mut self) {
        Self::power_off(self);
    }

    fn reset(&mut self) {
        Self::reset(self);
    }

    fn transmit(&mut self, command: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Self::transmit(self, command))
    }
}
