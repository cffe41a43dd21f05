//! A card in a PC/SC reader, for the time of a transcript.

use std::ffi::{CStr, CString};

use pcsc::{Context, Disposition, MAX_BUFFER_SIZE_EXTENDED, Protocols, ReaderState, Scope, ShareMode, State};
use zeroize::Zeroizing;

use super::bench::{Bench, BenchError};
use super::management::ManagementKey;
use crate::iso7816::Interface;

/// Nobody else may talk to the card: what comes between two commands changes what the second one does.
const SHARE_MODE: ShareMode = ShareMode::Exclusive;

/// A card in a reader, used by nobody else. When it is dropped the card is reset: no PIN stays verified.
pub struct PcscCard {
    card: pcsc::Card,
    reader: String,
    has_power: bool,
    buffer: Zeroizing<Vec<u8>>,
}

impl PcscCard {
    /// The card in the reader of this name, or of the only name that contains it; the only card there is when the name
    /// is empty. It is reset.
    ///
    /// # Errors
    /// [`BenchError::Unreachable`]: no service, reader or card, or several, or another program has it.
    pub fn connect(name: &str) -> Result<Self, BenchError> {
        let context = Context::establish(Scope::User)
            .map_err(|error| unreachable(&format!("PC/SC cannot be reached; is pcscd running? ({error})")))?;
        let readers = context.list_readers_owned().map_err(|error| of_reader("the readers", error))?;
        let reader = choose(&context, &readers, name)?;
        let shown = reader.to_string_lossy().into_owned();
        let connected = context.connect(&reader, SHARE_MODE, Protocols::ANY);
        let card = connected.map_err(|error| of_reader(&shown, error))?;
        let buffer = Zeroizing::new(vec![0; MAX_BUFFER_SIZE_EXTENDED]);
        let mut card = Self { card, reader: shown, has_power: true, buffer };
        card.again(Disposition::ResetCard)?;
        Ok(card)
    }

    fn again(&mut self, disposition: Disposition) -> Result<(), BenchError> {
        let result = self.card.reconnect(SHARE_MODE, Protocols::ANY, disposition);
        result.map_err(|error| of_reader(&self.reader, error))
    }
}

impl Drop for PcscCard {
    fn drop(&mut self) {
        let _ = self.again(Disposition::ResetCard);
    }
}

impl Bench for PcscCard {
    fn power_on(&mut self) -> Result<(), BenchError> {
        self.has_power = true;
        self.again(Disposition::UnpowerCard)
    }

    /// The reader gives the power back at once; until [`Self::power_on`] nothing is sent.
    fn power_off(&mut self) -> Result<(), BenchError> {
        self.has_power = false;
        self.again(Disposition::UnpowerCard)
    }

    fn reset(&mut self) -> Result<(), BenchError> {
        self.again(Disposition::ResetCard)
    }

    fn over(&mut self, _interface: Interface) -> Result<(), BenchError> {
        Err(BenchError::NoOtherReader)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, BenchError> {
        if !self.has_power {
            return Ok(Zeroizing::default());
        }
        let answer = self.card.transmit(command, &mut self.buffer);
        let answer = answer.map_err(|error| of_reader(&self.reader, error))?;
        Ok(Zeroizing::new(answer.to_vec()))
    }

    fn fresh_card(&mut self, _kind: &str) -> Result<ManagementKey, BenchError> {
        Err(BenchError::NoFreshCard)
    }
}

fn choose(context: &Context, readers: &[CString], name: &str) -> Result<CString, BenchError> {
    let named = |reader: &&CString| reader.to_string_lossy().contains(name);
    let exact = readers.iter().find(|reader| reader.to_string_lossy() == name);
    let mut candidates: Vec<&CString> = match exact {
        Some(reader) => vec![reader],
        None => readers.iter().filter(named).collect(),
    };
    if candidates.len() != 1 && name.is_empty() {
        candidates.retain(|reader| has_card(context, reader));
    }
    match candidates.as_slice() {
        [reader] => Ok((*reader).clone()),
        [] if name.is_empty() => Err(unreachable("no reader holds a card; insert one")),
        [] => Err(unreachable(&format!("no reader is called {name}; there are: {}", listed(readers)))),
        several => {
            let names: Vec<CString> = several.iter().map(|reader| (*reader).clone()).collect();
            Err(unreachable(&format!("several readers fit; name one, as pcsc:NAME: {}", listed(&names))))
        }
    }
}

fn has_card(context: &Context, reader: &CStr) -> bool {
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    let asked = context.get_status_change(std::time::Duration::ZERO, &mut states);
    asked.is_ok() && states.iter().any(|state| state.event_state().contains(State::PRESENT))
}

fn listed(readers: &[CString]) -> String {
    match readers {
        [] => "none".to_owned(),
        readers => readers.iter().map(|reader| reader.to_string_lossy()).collect::<Vec<_>>().join("; "),
    }
}

fn of_reader(reader: &str, error: pcsc::Error) -> BenchError {
    let what = match error {
        pcsc::Error::SharingViolation => "another program uses the card; end that one first".to_owned(),
        pcsc::Error::NoSmartcard | pcsc::Error::RemovedCard => "there is no card in it".to_owned(),
        error => error.to_string(),
    };
    unreachable(&format!("{reader}: {what}"))
}

fn unreachable(what: &str) -> BenchError {
    BenchError::Unreachable { what: what.to_owned() }
}
