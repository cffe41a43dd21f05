//! An emulated card in a reader in which something happens: it is pulled out, or another takes its place.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::Path;
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

/// The reader, with the card that lies there.
pub struct Troubled {
    card: card_sim::Card,
    atr: Vec<u8>,
    /// It is gone after so many commands.
    pub left: Arc<AtomicUsize>,
    last: Option<Last>,
    /// After so many transactions another takes its place.
    other: Option<(usize, card_sim::Card)>,
    /// Whether the card hides that it is emulated.
    hides_mark: bool,
}

impl Troubled {
    /// With the mark of an emulated card hidden, as a real one would have nothing to show.
    pub fn without_mark(self) -> Self {
        Self { hides_mark: true, ..self }
    }
}

/// A card that is pulled after so many commands.
pub fn pulled_card(state: &Path, commands: usize, last: Last) -> Troubled {
    let mut card = card_sim::Card::open(state).unwrap();
    let atr = card.power_on();
    let left = Arc::new(AtomicUsize::new(commands));
    Troubled { card, atr, left, last: Some(last), other: None, hides_mark: false }
}

/// A card whose place another takes after so many transactions.
pub fn swapped_card(state: &Path, transactions: usize, other: &Path) -> Troubled {
    let mut other = card_sim::Card::open(other).unwrap();
    other.power_on();
    Troubled { other: Some((transactions, other)), ..pulled_card(state, usize::MAX, Last::Lost) }
}

struct Line<'a>(&'a mut Troubled);

impl Connection for Troubled {
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
        match self.other.take() {
            Some((0, other)) => self.card = other,
            Some((transactions, other)) => self.other = Some((transactions - 1, other)),
            None => {}
        }
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
        if self.0.left.load(Ordering::SeqCst) > 0 { Ok(()) } else { Err(TransportError::Removed) }
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        if ending == Ending::Reset {
            self.0.card.reset();
        }
        Ok(())
    }
}

pub fn is_removed(error: &PersonalizationError) -> bool {
    match error {
        PersonalizationError::Interrupted { source, .. } => is_removed(source),
        PersonalizationError::Card(CardError::CardRemoved) => true,
        PersonalizationError::Key(middleware::KeyError::Card(CardError::CardRemoved)) => true,
        _ => false,
    }
}
