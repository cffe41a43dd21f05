//! Where cards are: locators, readers, connections.
//!
//! A [`Connection`] is a shared line to one card; [`Connection::begin`] makes it exclusive for one transaction.
//! Three kinds exist: PC/SC (feature `pcsc`), the emulated card in-process (feature `sim`), and a replayed
//! [`transcript`] for tests.

#[cfg(feature = "sim")]
mod in_process;
#[cfg(feature = "pcsc")]
mod pcsc;
mod reader_watch;
pub mod transcript;

pub use reader_watch::{ReaderWatch, WatchEnd, WatchedReader};

use std::path::PathBuf;

use crate::apdu::MalformedResponse;
use crate::piv::error::CardError;

/// Names a card: `pcsc:`, `pcsc:READER NAME`, `pcsc:serial=...` or `sim:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    /// `pcsc:`, the only card present in any reader.
    OnlyPresent,
    /// `pcsc:READER NAME`, the card in that reader.
    ReaderNamed(String),
    /// `pcsc:serial=...`, a vendor serial number (decimal) or a card GUID (32 hex digits, dashes allowed).
    Serial(String),
    /// `sim:FILE`, the emulated card of that state file, in-process.
    Emulated(PathBuf),
}

impl std::str::FromStr for Locator {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(file) = text.strip_prefix("sim:") {
            if file.is_empty() {
                return Err(CardError::BadLocator(
                    "sim: needs the state file of a card, as in sim:card.state".into(),
                ));
            }
            return Ok(Self::Emulated(PathBuf::from(file)));
        }
        let Some(reader) = text.strip_prefix("pcsc:") else {
            return Err(CardError::BadLocator(format!(
                "{text:?}; write pcsc:, pcsc:READER NAME, pcsc:serial=NUMBER or sim:FILE"
            )));
        };
        if reader.is_empty() {
            return Ok(Self::OnlyPresent);
        }
        match reader.strip_prefix("serial=") {
            Some("") => Err(CardError::BadLocator("pcsc:serial= needs a serial number or a GUID".into())),
            Some(serial) => Ok(Self::Serial(serial.to_owned())),
            None => Ok(Self::ReaderNamed(reader.to_owned())),
        }
    }
}

impl std::fmt::Display for Locator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OnlyPresent => f.write_str("pcsc:"),
            Self::ReaderNamed(name) => write!(f, "pcsc:{name}"),
            Self::Serial(serial) => write!(f, "pcsc:serial={serial}"),
            Self::Emulated(file) => write!(f, "sim:{}", file.display()),
        }
    }
}

/// A reader and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderStatus {
    /// The reader's name as PC/SC lists it.
    pub name: String,
    /// The card's answer to reset, if a card is present.
    pub atr: Option<Vec<u8>>,
}

/// Every PC/SC reader, with or without a card; empty where there is none.
///
/// # Errors
/// [`CardError::Transport`] when the PC/SC service does not answer, [`CardError::Unsupported`] in a build without it.
pub fn list_readers() -> Result<Vec<ReaderStatus>, CardError> {
    #[cfg(feature = "pcsc")]
    return pcsc::list_readers();
    #[cfg(not(feature = "pcsc"))]
    return Err(without_pcsc());
}

/// Opens what the locator names; one connection, not yet in use.
pub(crate) fn connect(locator: &Locator) -> Result<Box<dyn Connection>, CardError> {
    match locator {
        Locator::Emulated(file) => connect_emulated(file),
        Locator::OnlyPresent => {
            let present = present_readers()?;
            match present.as_slice() {
                [] => Err(CardError::NoCard),
                [only] => connect_reader(only),
                _ => Err(CardError::SeveralCards(present)),
            }
        }
        Locator::ReaderNamed(name) => match connect_reader(name) {
            // Only now it matters whether there is such a reader: asking takes as long as a few commands.
            Err(CardError::NoCard) => {
                let readers = list_readers()?;
                if readers.iter().any(|reader| reader.name == *name) {
                    return Err(CardError::NoCard);
                }
                Err(CardError::NoSuchReader {
                    name: name.clone(),
                    readers: readers.into_iter().map(|reader| reader.name).collect(),
                })
            }
            result => result,
        },
        Locator::Serial(serial) => Err(CardError::NoSuchCard(serial.clone())),
    }
}

/// Names of the readers that hold a card.
pub(crate) fn present_readers() -> Result<Vec<String>, CardError> {
    Ok(list_readers()?.into_iter().filter(|reader| reader.atr.is_some()).map(|reader| reader.name).collect())
}

pub(crate) fn connect_reader(name: &str) -> Result<Box<dyn Connection>, CardError> {
    #[cfg(feature = "pcsc")]
    return Ok(Box::new(pcsc::PcscConnection::open(name)?));
    #[cfg(not(feature = "pcsc"))]
    {
        let _ = name;
        Err(without_pcsc())
    }
}

fn connect_emulated(file: &std::path::Path) -> Result<Box<dyn Connection>, CardError> {
    #[cfg(feature = "sim")]
    return Ok(Box::new(in_process::InProcessConnection::open(file)?));
    #[cfg(not(feature = "sim"))]
    Err(CardError::Unsupported(format!(
        "open the emulated card {} in-process: this program was built without the feature `sim`",
        file.display()
    )))
}

#[cfg(not(feature = "pcsc"))]
fn without_pcsc() -> CardError {
    CardError::Unsupported("reach card readers: this program was built without the feature `pcsc`".into())
}

/// A shared line to one card. Dropping it leaves the card as it is.
pub trait Connection: Send {
    /// The reader's name, or the state file's for an emulated card.
    fn reader_name(&self) -> &str;
    /// The card's answer to reset (ISO 7816-3).
    fn atr(&self) -> &[u8];
    /// Whether the card speaks T=0, where a command with data carries no Le (ISO 7816-3 section 12.2).
    fn is_t0(&self) -> bool {
        false
    }
    /// The longest command the reader passes on, where that is known.
    fn longest_command(&self) -> Option<usize>;
    /// Makes the line exclusive. A card that somebody else has reset meanwhile is reconnected first.
    ///
    /// # Errors
    /// [`TransportError::Removed`] when the card is gone; it is not looked for again.
    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError>;
}

/// The exclusive use of a line, from [`Connection::begin`] to [`Exclusive::end`].
pub trait Exclusive: Send {
    /// One command APDU in, one response APDU (data and status word) out.
    ///
    /// # Errors
    /// [`TransportError::Reset`] when the card was reset and the command was not carried out.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError>;
    /// Accepts that the card was reset and takes the line up again.
    ///
    /// # Errors
    /// [`TransportError::Removed`] when the card is gone or another one sits there.
    fn reconnect(&mut self) -> Result<(), TransportError>;
    /// Gives the line back.
    ///
    /// # Errors
    /// Those of the reader; the line is given back as far as possible all the same.
    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError>;
}

/// What happens to the card at the end of an exclusive use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Leave,
    /// It is reset, which drops its whole security status.
    Reset,
}

/// What can go wrong between a program and a card.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The card was reset by somebody else.
    #[error("the card was reset by another program")]
    Reset,
    /// The card or its reader is gone, or the card no longer answers.
    #[error("the card was removed or no longer answers")]
    Removed,
    /// The answer is not a response APDU.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The reader, the PC/SC service or the emulated card failed.
    #[error("{0}")]
    Failed(String),
}

impl From<MalformedResponse> for TransportError {
    fn from(error: MalformedResponse) -> Self {
        Self::Malformed(error.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locators_read_back_as_they_were_written() {
        for text in ["pcsc:", "pcsc:Virtual PCD 00 00", "pcsc:serial=12345678", "sim:/tmp/card.state"] {
            assert_eq!(text.parse::<Locator>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_unknown_locator_says_what_to_write() {
        for text in ["", "card", "sim:", "pcsc:serial=", "usb:1"] {
            let error = text.parse::<Locator>().unwrap_err();
            assert!(matches!(error, CardError::BadLocator(_)), "{text}: {error}");
        }
    }
}
