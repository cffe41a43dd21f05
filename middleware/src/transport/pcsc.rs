//! Real readers through PC/SC.
//!
//! Always shared, never exclusive: other programs keep working between our transactions. The crate `pcsc` resets
//! the card when a handle is dropped; here a handle is always disconnected with "leave card".
use std::ffi::CString;
use std::time::Duration;

use pcsc::{
    Attribute, Context, Disposition, Error, PNP_NOTIFICATION, Protocol, Protocols, ReaderState, Scope,
    ShareMode, State,
};

use zeroize::Zeroize as _;

use super::{Connection, Ending, Exclusive, ReaderStatus, TransportError, WatchedReader};
use crate::piv::error::CardError;

/// How often a transaction is tried again when others keep resetting the card at its start.
const RECONNECTIONS: usize = 5;

/// More than the names of all readers take (pcsc-lite: 16 of 128 bytes).
const LONGEST_LIST: usize = 4096;

/// More than the names of a reader take (pcsc-lite: 128 bytes).
const LONGEST_NAMES: usize = 1024;

/// Reader names with the answer to reset of the card inside.
pub(super) fn list_readers() -> Result<Vec<ReaderStatus>, CardError> {
    let Some(context) = establish()? else { return Ok(Vec::new()) };
    let names = reader_names(&context)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut states: Vec<ReaderState> =
        names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
    context.get_status_change(Duration::ZERO, &mut states).map_err(service_error)?;
    Ok(states
        .iter()
        .map(|state| ReaderStatus {
            name: state.name().to_string_lossy().into_owned(),
            atr: state.event_state().contains(State::PRESENT).then(|| state.atr().to_vec()),
        })
        .collect())
}

/// The names of the readers; empty where there is none.
fn reader_names(context: &Context) -> Result<Vec<CString>, CardError> {
    // Room from the start: asking for the length first would be a question more to the service.
    let mut buffer = [0; LONGEST_LIST];
    let names = match context.list_readers(&mut buffer) {
        Ok(names) => Ok(names.map(CString::from).collect()),
        Err(Error::InsufficientBuffer) => context.list_readers_owned(),
        Err(error) => Err(error),
    };
    match names {
        Err(Error::NoReadersAvailable) => Ok(Vec::new()),
        names => names.map_err(service_error),
    }
}

/// One context that sees readers and cards come and go.
pub(super) struct Watch {
    context: Context,
    states: Vec<ReaderState>,
}

impl Watch {
    pub(super) fn new() -> Result<Option<Self>, CardError> {
        Ok(establish()?.map(|context| Self { context, states: Vec::new() }))
    }

    pub(super) fn context(&self) -> Context {
        self.context.clone()
    }

    pub(super) fn readers(&mut self) -> Result<Vec<WatchedReader>, CardError> {
        let names = reader_names(&self.context)?;
        let mut states: Vec<ReaderState> =
            names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
        if !states.is_empty() {
            self.context.get_status_change(Duration::ZERO, &mut states).map_err(service_error)?;
        }
        for state in &mut states {
            state.sync_current_state();
        }
        let readers = states.iter().map(|state| WatchedReader {
            name: state.name().to_string_lossy().into_owned(),
            has_card: state.event_state().contains(State::PRESENT)
                && !state.event_state().contains(State::MUTE),
            changes: state.event_count(),
        });
        let readers = readers.collect();
        // The reader that is none stands for the list of readers.
        states.push(ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE));
        self.states = states;
        Ok(readers)
    }

    pub(super) fn wait(&mut self, longest: Duration) -> Result<(), CardError> {
        if self.states.is_empty() {
            self.states.push(ReaderState::new(PNP_NOTIFICATION(), State::UNAWARE));
        }
        match self.context.get_status_change(longest, &mut self.states) {
            Ok(()) | Err(Error::Timeout | Error::Cancelled | Error::UnknownReader) => Ok(()),
            Err(error) => Err(service_error(error)),
        }
    }
}

/// `None` on a system that starts its service only with the first reader (Windows).
fn establish() -> Result<Option<Context>, CardError> {
    match Context::establish(Scope::User) {
        Ok(context) => Ok(Some(context)),
        Err(Error::NoReadersAvailable) => Ok(None),
        Err(error) => Err(service_error(error)),
    }
}

/// A handle of SCardConnect, shared.
pub(super) struct PcscConnection {
    /// `None` only while dropping.
    card: Option<pcsc::Card>,
    reader: String,
    atr: Vec<u8>,
    t0: bool,
    longest_command: Option<usize>,
    /// Where answers arrive; wiped after each.
    buffer: Vec<u8>,
}

impl PcscConnection {
    pub(super) fn open(reader: &str) -> Result<Self, CardError> {
        let context = establish()?.ok_or(CardError::NoCard)?;
        let name = CString::new(reader)
            .map_err(|_| CardError::BadLocator("a reader name has no zero byte".to_owned()))?;
        let card = match context.connect(&name, ShareMode::Shared, Protocols::ANY) {
            Ok(card) => card,
            Err(
                Error::NoSmartcard | Error::RemovedCard | Error::UnknownReader | Error::ReaderUnavailable,
            ) => {
                return Err(CardError::NoCard);
            }
            Err(Error::SharingViolation) => {
                return Err(CardError::Transport(format!(
                    "another program holds the card in {reader} for itself alone; close it and try again"
                )));
            }
            Err(Error::UnresponsiveCard | Error::UnpoweredCard | Error::ProtoMismatch) => {
                return Err(CardError::Transport(format!(
                    "the card in {reader} does not answer; is it the right way round?"
                )));
            }
            Err(error) => return Err(service_error(error)),
        };
        let mut connection = Self {
            card: Some(card),
            reader: reader.to_owned(),
            atr: Vec::new(),
            t0: false,
            longest_command: None,
            buffer: vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED],
        };
        connection.read_properties().map_err(CardError::from)?;
        Ok(connection)
    }

    fn read_properties(&mut self) -> Result<(), TransportError> {
        let Some(card) = self.card.as_ref() else { return Err(TransportError::Removed) };
        // Room from the start: asking for the lengths first would cost two more questions to the service.
        let (mut names, mut atr) = ([0; LONGEST_NAMES], [0; pcsc::MAX_ATR_SIZE]);
        let status = card.status2(&mut names, &mut atr).map_err(card_error)?;
        self.atr = status.atr().to_vec();
        self.t0 = status.protocol2() == Some(Protocol::T0);
        // PC/SC Part 3: the longest APDU the reader takes. A driver that does not say gets short APDUs only.
        self.longest_command = card
            .get_attribute_owned(Attribute::Maxinput)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(|bytes: [u8; 4]| u32::from_ne_bytes(bytes) as usize);
        Ok(())
    }
}

impl Connection for PcscConnection {
    fn reader_name(&self) -> &str {
        &self.reader
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn is_t0(&self) -> bool {
        self.t0
    }

    fn longest_command(&self) -> Option<usize> {
        self.longest_command
    }

    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError> {
        let Some(mut card) = self.card.as_mut() else { return Err(TransportError::Removed) };
        for _ in 0..RECONNECTIONS {
            match card.transaction2() {
                Ok(transaction) => {
                    return Ok(Box::new(Line { transaction, atr: &self.atr, buffer: &mut self.buffer }));
                }
                Err((reset, Error::ResetCard | Error::UnpoweredCard)) => {
                    reset
                        .reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
                        .map_err(card_error)?;
                    card = reset;
                }
                Err((_, error)) => return Err(card_error(error)),
            }
        }
        Err(TransportError::Failed("other programs keep resetting the card; close them and try again".into()))
    }
}

impl Drop for PcscConnection {
    fn drop(&mut self) {
        if let Some(card) = self.card.take() {
            // A handle that cannot be disconnected belongs to a card that is gone.
            let _ = card.disconnect(Disposition::LeaveCard);
        }
    }
}

/// SCardBeginTransaction to SCardEndTransaction; dropping ends it with "leave card".
struct Line<'a> {
    transaction: pcsc::Transaction<'a>,
    atr: &'a [u8],
    buffer: &'a mut [u8],
}

impl Exclusive for Line<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let length = self.transaction.transmit(command, self.buffer).map_err(card_error)?.len();
        let answer = self.buffer.get_mut(..length).unwrap_or_default();
        let copy = answer.to_vec();
        answer.zeroize();
        // A card pulled within a command shows first as an answer of no bytes: no card answers less than two.
        if copy.is_empty() { Err(TransportError::Removed) } else { Ok(copy) }
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.transaction
            .reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
            .map_err(card_error)?;
        let status = self.transaction.status2_owned().map_err(card_error)?;
        if status.atr() == self.atr { Ok(()) } else { Err(TransportError::Removed) }
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        let disposition = match ending {
            Ending::Leave => Disposition::LeaveCard,
            Ending::Reset => Disposition::ResetCard,
        };
        match self.transaction.end(disposition) {
            // The card took its security status with it.
            Ok(()) | Err((_, Error::ResetCard | Error::RemovedCard)) => Ok(()),
            Err((_, error)) => Err(card_error(error)),
        }
    }
}

/// Sorts the errors of a handle by what the caller can do about them.
fn card_error(error: Error) -> TransportError {
    match error {
        Error::ResetCard | Error::UnpoweredCard => TransportError::Reset,
        // A card pulled in the middle of an APDU shows as a failed transmission first.
        Error::RemovedCard
        | Error::NoSmartcard
        | Error::UnresponsiveCard
        | Error::ReaderUnavailable
        | Error::UnknownReader
        | Error::NotTransacted
        | Error::CommError
        | Error::InvalidHandle => TransportError::Removed,
        Error::NoService | Error::ServiceStopped => TransportError::Failed(SERVICE_GONE.to_owned()),
        Error::SharingViolation => TransportError::Failed(
            "another program holds the card for itself alone; close it and try again".to_owned(),
        ),
        error => TransportError::Failed(format!("PC/SC: {error}")),
    }
}

const SERVICE_GONE: &str = "the PC/SC service does not answer; is pcscd installed and running?";

fn service_error(error: Error) -> CardError {
    CardError::Transport(match error {
        Error::NoService | Error::ServiceStopped => SERVICE_GONE.to_owned(),
        error => format!("PC/SC: {error}"),
    })
}
