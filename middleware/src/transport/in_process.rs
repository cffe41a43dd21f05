//! The emulated card in this process: no reader, no daemon.
use std::path::Path;

use super::{Connection, Ending, Exclusive, TransportError};
use crate::piv::error::CardError;

/// Holds the state file's lock as long as it lives; a second opener is told so by the card.
pub(super) struct InProcessConnection {
    card: card_sim::Card,
    name: String,
    atr: Vec<u8>,
}

impl InProcessConnection {
    pub(super) fn open(file: &Path) -> Result<Self, CardError> {
        let name = file.display().to_string();
        let mut card = card_sim::Card::open(file).map_err(|error| match error {
            card_sim::store::StoreError::InUse { .. } => CardError::InUse(name.clone()),
            // The error names the file.
            error => CardError::StateFile(error.to_string()),
        })?;
        let atr = card.power_on();
        Ok(Self { card, name, atr })
    }
}

impl Connection for InProcessConnection {
    fn reader_name(&self) -> &str {
        &self.name
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn longest_command(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError> {
        Ok(Box::new(Line(&mut self.card)))
    }
}

impl Drop for InProcessConnection {
    fn drop(&mut self) {
        self.card.power_off();
    }
}

struct Line<'a>(&'a mut card_sim::Card);

impl Exclusive for Line<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        Ok(self.0.transmit(command))
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        if ending == Ending::Reset {
            self.0.reset();
        }
        Ok(())
    }
}
