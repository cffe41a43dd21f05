//! The card as a reader sees it: power, reset, one APDU in and one out.

use std::path::Path;

use crate::store::StoreError;

/// An emulated card whose state file is open and locked.
pub struct Card {
    _private: (),
}

impl Card {
    /// Opens and locks a state file; the card has no power yet.
    ///
    /// # Errors
    /// See [`StoreError`]: another process holds the file, or it is missing or damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Err(StoreError::NotFound { path: path.to_owned() })
    }

    /// Powers the card and returns its answer to reset.
    pub fn power_on(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes the power away: everything volatile is forgotten.
    pub fn power_off(&mut self) {}

    /// Warm reset: everything volatile is forgotten, the power stays.
    pub fn reset(&mut self) {}

    /// Answers one command APDU.
    pub fn transmit(&mut self, _command: &[u8]) -> Vec<u8> {
        vec![0x6D, 0x00]
    }
}
