//! Where cards are: locators, readers, connections.
use crate::piv::CardError;

/// `pcsc:`, `pcsc:READER NAME`, `pcsc:serial=...` or `sim:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    OnlyPresent,
    ReaderNamed(String),
    Serial(String),
    Emulated(std::path::PathBuf),
}

impl std::str::FromStr for Locator {
    type Err = CardError;
    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl std::fmt::Display for Locator {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

pub struct ReaderStatus {
    pub name: String,
    /// The card's answer to reset, if a card is present.
    pub atr: Option<Vec<u8>>,
}

pub fn list_readers() -> Result<Vec<ReaderStatus>, CardError> {
    todo!()
}
