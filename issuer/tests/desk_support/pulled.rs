//! An emulated card that is pulled out of the reader after so many commands.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use issuer::personalization::PersonalizationError;
use middleware::CardError;
use middleware::transport::{Connection, Ending, Exclusive, TransportError};

/// What happens to the command in the middle of which the card is pulled.
#[derive(Clone, Copy, Debug)]
pub enum Last {
    /// It does not reach the card.
    Lost,
    /// The card carries it out, but the answer is lost.
    CarriedOut,
}

/// An emulated card that is gone after so many commands.
pub struct Pulled {
    pub card: card_sim::Card,
    pub atr: Vec<u8>,
    pub left: Arc<AtomicUsize>,
    pub last: Option<Last>,
    /// Whether the card hides that it is emulated, as a real one would have nothing to show.
    pub hides_mark: bool,
}

pub struct Line<'a>(&'a mut Pulled);

impl Connection for Pulled {
    fn reader_name(&self) -> &str {
        "test reader"
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn longest_command(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError> {
        Ok(Box::new(Line(self)))
    }
}

impl Exclusive for Line<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let is_there =
            self.0.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if self.0.hides_mark && command.windows(3).any(|tag| tag == [0x5F, 0xFF, 0x53]) {
            return Ok(vec![0x6A, 0x82]);
        }
        if is_there {
            return Ok(self.0.card.transmit(command));
        }
        if let Some(Last::CarriedOut) = self.0.last.take() {
            self.0.card.transmit(command);
        }
        Err(TransportError::Removed)
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Err(TransportError::Removed)
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        if ending == Ending::Reset {
            self.0.card.reset();
        }
        Ok(())
    }
}

/// A card that is pulled after so many commands.
pub fn pulled_card(state: &std::path::Path, commands: usize, last: Last) -> Pulled {
    let mut card = card_sim::Card::open(state).unwrap();
    let atr = card.power_on();
    Pulled { card, atr, left: Arc::new(AtomicUsize::new(commands)), last: Some(last), hides_mark: false }
}

pub fn is_removed(error: &PersonalizationError) -> bool {
    match error {
        PersonalizationError::Interrupted { source, .. } => is_removed(source),
        PersonalizationError::Card(CardError::CardRemoved) => true,
        PersonalizationError::Key(middleware::KeyError::Card(CardError::CardRemoved)) => true,
        _ => false,
    }
}
