//! One exclusive use of a card, and how it ends.
use std::sync::Arc;

use zeroize::Zeroizing;

use super::client::{CardIdentity, EmulatedMark};
use super::contents::CardContents;
use super::objects::{self, Chuid};
use super::seal::Seal;
use super::{CardError, DataObject, KeyReference};
use crate::apdu::{CommandApdu, Framing, ResponseApdu, StatusWord, ber_tlv, exchange};
use crate::transport::{Connection, Ending, Exclusive, TransportError};

/// The full application identifier with version 1.0 (SP 800-73-5 Part 1 section 2.2).
const PIV_AID: [u8; 11] = [0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];

/// What a connection remembers about its card.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) identity: Option<CardIdentity>,
    /// Outer `None`: not asked yet.
    version: Option<Option<(u8, u8, u8)>>,
    /// What was read, as long as the seal or this transaction proves that it holds.
    contents: Option<Arc<CardContents>>,
    seal: Option<Seal>,
    /// The card does not cut its answers as asked: nothing is tried again.
    cannot_be_sealed: bool,
}

impl Memory {
    /// Somebody may have changed what the card shows.
    fn forget(&mut self) {
        self.identity = None;
        self.contents = None;
        self.seal = None;
    }
}

/// Whether a command may be sent again after another program reset the card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It only reads.
    Safe,
    /// It changes something, or uses a security status that the reset has dropped.
    Never,
}

/// One exclusive use of a card; see [`Card::transaction`](super::Card::transaction).
pub struct Transaction<'card> {
    /// `None` only while it ends.
    line: Option<Box<dyn Exclusive + 'card>>,
    framing: Framing,
    memory: &'card mut Memory,
    pin_submitted: bool,
    management_key_used: bool,
}

impl<'card> Transaction<'card> {
    pub(super) fn begin(
        connection: &'card mut dyn Connection,
        framing: Framing,
        memory: &'card mut Memory,
        reader: &str,
    ) -> Result<Self, CardError> {
        let mut line = connection.begin()?;
        if let Some(seal) = memory.seal.take() {
            let is_intact = match seal.is_intact(line.as_mut()) {
                Err(TransportError::Reset) => line.reconnect().map(|()| false),
                result => result,
            };
            if is_intact? {
                return Ok(Self::over(line, framing, memory));
            }
            memory.forget();
        }
        if memory.contents.is_some() {
            memory.forget();
        }
        let mut transaction = Self::over(line, framing, memory);
        // Another program may have selected another application since: the reader is shared.
        let response = transaction.send(&select(), Repeat::Safe)?;
        match response.status {
            StatusWord::OK => Ok(transaction),
            StatusWord::FILE_NOT_FOUND
            | StatusWord::FUNCTION_NOT_SUPPORTED
            | StatusWord::INSTRUCTION_NOT_SUPPORTED => Err(CardError::NotPiv(reader.to_owned())),
            status => Err(CardError::Refused { command: "SELECT", status: status.0 }),
        }
    }

    fn over(line: Box<dyn Exclusive + 'card>, framing: Framing, memory: &'card mut Memory) -> Self {
        Self { line: Some(line), framing, memory, pin_submitted: false, management_key_used: false }
    }

    /// See [`Card::identity`](super::Card::identity).
    ///
    /// # Errors
    /// As there.
    pub fn identity(&mut self) -> Result<CardIdentity, CardError> {
        if let Some(identity) = &self.memory.identity {
            return Ok(identity.clone());
        }
        let version = self.version()?;
        let serial = if version.is_some() { self.serial_number()? } else { None };
        let guid = self
            .read_if_present(DataObject::CHUID)?
            .and_then(|contents| Chuid::from_bytes(&contents).ok())
            .map(|chuid| chuid.guid);
        let emulated = self
            .read_if_present(DataObject::EMULATED_MARK)?
            .and_then(|contents| EmulatedMark::from_bytes(&contents));
        let identity = CardIdentity { guid, serial, version, emulated };
        self.memory.identity = Some(identity.clone());
        Ok(identity)
    }

    /// As [`Self::identity`], but asked again: another card may have come into the reader meanwhile.
    ///
    /// # Errors
    /// As there.
    pub fn identity_afresh(&mut self) -> Result<CardIdentity, CardError> {
        self.memory.identity = None;
        self.memory.version = None;
        self.identity()
    }

    /// Contents of `53`; for [`DataObject::DISCOVERY`] the whole answer with its tag `7E`.
    ///
    /// # Errors
    /// [`CardError::ObjectNotFound`]; [`CardError::PinRequired`] where the object is the holder's alone.
    pub fn read_object(&mut self, object: DataObject) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let command =
            CommandApdu::new("GET DATA", 0xCB, 0x3F, 0xFF).with_data(object.tag_list()).expecting_long_data();
        let response = self.send(&command, Repeat::Safe)?;
        match response.status {
            StatusWord::OK if response.data.is_empty() => Err(CardError::ObjectNotFound(object)),
            StatusWord::OK if object.stands_alone() => Ok(response.data),
            StatusWord::OK => match ber_tlv::find(&response.data, 0x53)? {
                Some([]) => Err(CardError::ObjectNotFound(object)),
                Some(contents) => Ok(Zeroizing::new(contents.to_vec())),
                None => Err(CardError::MalformedAnswer(format!("data object {object} has no tag 53"))),
            },
            StatusWord::FILE_NOT_FOUND => Err(CardError::ObjectNotFound(object)),
            StatusWord::SECURITY_STATUS_NOT_SATISFIED => Err(CardError::PinRequired),
            status => Err(CardError::Refused { command: command.name, status: status.0 }),
        }
    }

    /// How many retired keys there are whose certificates lie on the card, from 82 upward: as the key history says, or
    /// on a card without one as many as follow each other (SP 800-73-5 Part 1 section 3.3.3).
    ///
    /// # Errors
    /// [`CardError::MalformedAnswer`]; those of the line.
    pub fn retired_with_certificates(&mut self) -> Result<u8, CardError> {
        if let Some(history) = self.read_if_present(DataObject::KEY_HISTORY)? {
            return objects::retired_on_card(&history);
        }
        let mut count = 0;
        for key in KeyReference::retired() {
            if self.certificate(key)?.is_none() {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// `None` where the card says that it does not have such an object or does not know it. Anything else is an
    /// error: a card that fails must not pass for one without the object.
    ///
    /// # Errors
    /// As [`Self::read_object`], but for an object that is not there.
    pub fn read_if_present(&mut self, object: DataObject) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
        match self.read_object(object) {
            Ok(contents) => Ok(Some(contents)),
            Err(CardError::ObjectNotFound(_)) => Ok(None),
            Err(CardError::Refused { status, .. }) if StatusWord(status).means_unknown_object() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// See [`Card::certificate`](super::Card::certificate).
    ///
    /// # Errors
    /// As there.
    pub fn certificate(&mut self, key: KeyReference) -> Result<Option<Vec<u8>>, CardError> {
        match self.read_object(key.certificate_object()) {
            Ok(contents) => objects::certificate_from_bytes(&contents),
            Err(CardError::ObjectNotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Vendor command GET VERSION; `None` on a card without it.
    pub(super) fn version(&mut self) -> Result<Option<(u8, u8, u8)>, CardError> {
        if let Some(version) = self.memory.version {
            return Ok(version);
        }
        let command = CommandApdu::new("GET VERSION", 0xFD, 0x00, 0x00).expecting_data();
        let response = self.send(&command, Repeat::Safe)?;
        let version = match (response.status, response.data.as_slice()) {
            (StatusWord::OK, &[major, minor, patch]) => Some((major, minor, patch)),
            _ => None,
        };
        self.memory.version = Some(version);
        Ok(version)
    }

    /// Vendor command GET SERIAL; `None` on a card without it.
    pub(super) fn serial_number(&mut self) -> Result<Option<u32>, CardError> {
        let command = CommandApdu::new("GET SERIAL", 0xF8, 0x00, 0x00).expecting_data();
        let response = self.send(&command, Repeat::Safe)?;
        let number = response.data.as_slice().try_into().map(u32::from_be_bytes);
        Ok(number.ok().filter(|_| response.status.is_ok()))
    }

    /// Vendor command GET METADATA (firmware 5.3 and later); `None` where the card or the key has none.
    pub(super) fn metadata(&mut self, reference: u8) -> Result<Option<Zeroizing<Vec<u8>>>, CardError> {
        if self.version()?.is_none_or(|version| version < (5, 3, 0)) {
            return Ok(None);
        }
        let command = CommandApdu::new("GET METADATA", 0xF7, 0x00, reference).expecting_data();
        let response = self.send(&command, Repeat::Safe)?;
        Ok(response.status.is_ok().then_some(response.data))
    }

    /// Sends these very bytes and answers what comes back, whatever it is. Nobody knows what that has opened on the card,
    /// so the transaction ends with a reset.
    ///
    /// # Errors
    /// Those of the line.
    pub fn transmit(&mut self, frame: &[u8]) -> Result<Vec<u8>, CardError> {
        self.anything_may_happen();
        let line = self.line()?;
        match line.transmit(frame) {
            Err(TransportError::Reset) => {
                line.reconnect()?;
                Err(CardError::CardReset)
            }
            result => Ok(result?),
        }
    }

    /// As [`Self::transmit`], for a command with a data field of any length, in short or extended form: it is cut as the
    /// line wants it and its whole answer collected. The answer ends with the status word.
    ///
    /// # Errors
    /// [`CardError::Unsupported`] for bytes that are no command APDU of class 00; those of the line.
    pub fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let command = CommandApdu::parse(command)
            .ok_or_else(|| CardError::Unsupported("take these bytes for a command of class 00".to_owned()))?;
        self.anything_may_happen();
        let response = self.send(&command, Repeat::Never)?;
        let mut answer = response.data.to_vec();
        answer.extend_from_slice(&response.status.0.to_be_bytes());
        Ok(answer)
    }

    fn anything_may_happen(&mut self) {
        self.forget_contents();
        self.management_key_will_be_used();
    }

    /// Whether a PIN was verified, the management key used or anything else sent that may have opened something: the
    /// end of the transaction will close it.
    pub fn holds_security_status(&self) -> bool {
        self.pin_submitted || self.management_key_used
    }

    /// Logs the PIN out now (VERIFY P1=FF).
    ///
    /// # Errors
    /// [`CardError::Refused`] by a card that cannot; the transaction then still ends with a reset.
    pub fn log_out(&mut self) -> Result<(), CardError> {
        let logout = CommandApdu::new("VERIFY", 0x20, 0xFF, 0x80);
        let response = self.send(&logout, Repeat::Never)?;
        if !response.status.is_ok() {
            return Err(CardError::Refused { command: logout.name, status: response.status.0 });
        }
        self.pin_submitted = false;
        Ok(())
    }

    /// Ends the transaction with a reset of the card: nothing stays open on it.
    ///
    /// # Errors
    /// Those of the line.
    pub fn reset(mut self) -> Result<(), CardError> {
        self.management_key_used = true;
        self.finish().map_err(CardError::from)
    }

    /// Ends the transaction now rather than when it is dropped, and says whether the card could be told.
    ///
    /// # Errors
    /// Those of the line, when it could not be given back.
    pub fn end(mut self) -> Result<(), CardError> {
        self.finish().map_err(CardError::from)
    }

    /// What the card shows has changed, by our own doing.
    pub(super) fn forget_contents(&mut self) {
        self.memory.forget();
    }

    pub(super) fn remembered_contents(&self) -> Option<Arc<CardContents>> {
        self.memory.contents.clone()
    }

    pub(super) fn remember_contents(&mut self, contents: Arc<CardContents>) {
        self.memory.contents = Some(contents);
    }

    /// From now on the transaction ends with a logout, whatever comes.
    pub(super) fn pin_will_be_submitted(&mut self) {
        self.pin_submitted = true;
    }

    /// From now on the transaction ends with a reset, after a logout if a PIN was submitted, whatever comes: no other command drops that status.
    pub(super) fn management_key_will_be_used(&mut self) {
        self.management_key_used = true;
    }

    /// Sends a command. After a reset by another program it takes the line up again, selects PIV and repeats the
    /// command once, but only where nothing was verified in this transaction and the command only reads.
    pub(super) fn send(&mut self, command: &CommandApdu, repeat: Repeat) -> Result<ResponseApdu, CardError> {
        let framing = self.framing;
        let recoverable = repeat == Repeat::Safe && !self.pin_submitted && !self.management_key_used;
        let line = self.line()?;
        match over(line, framing, command) {
            Err(TransportError::Reset) if recoverable => {
                line.reconnect()?;
                over(line, framing, &select())?;
                Ok(over(line, framing, command)?)
            }
            Err(TransportError::Reset) => {
                // The next transaction must find the line in order.
                line.reconnect()?;
                over(line, framing, &select())?;
                Err(CardError::CardReset)
            }
            result => Ok(result?),
        }
    }

    fn line(&mut self) -> Result<&mut (dyn Exclusive + 'card), CardError> {
        self.line.as_deref_mut().ok_or(CardError::CardRemoved)
    }

    fn finish(&mut self) -> Result<(), TransportError> {
        let Some(mut line) = self.line.take() else { return Ok(()) };
        let mut ending = if self.management_key_used { Ending::Reset } else { Ending::Leave };
        if self.pin_submitted {
            // SP 800-73-5 Part 2 section 3.2.1: P1 = FF sets the PIN's security status to FALSE. Also before a reset:
            // that one may fail.
            let logout = CommandApdu::new("VERIFY", 0x20, 0xFF, 0x80);
            let logged_out = over(line.as_mut(), self.framing, &logout);
            if !logged_out.is_ok_and(|response| response.status.is_ok()) {
                ending = Ending::Reset;
            }
        }
        if ending == Ending::Leave {
            self.put_seal_on(line.as_mut());
        }
        line.end(ending)
    }

    /// Where something is worth remembering, so that the next transaction can tell whether it still holds.
    fn put_seal_on(&mut self, line: &mut dyn Exclusive) {
        // T=0 has no Le beside data, and readers fetch the rest of its answers by themselves.
        if self.memory.cannot_be_sealed || self.framing.t0 {
            return;
        }
        let Some((object, answer)) = self.memory.contents.as_deref().and_then(CardContents::sealing) else {
            return;
        };
        self.memory.seal = Seal::put_on(line, object, answer);
        self.memory.cannot_be_sealed = self.memory.seal.is_none();
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::warn!(%error, "the transaction could not be ended in order");
        }
    }
}

fn over(
    line: &mut dyn Exclusive,
    framing: Framing,
    command: &CommandApdu,
) -> Result<ResponseApdu, TransportError> {
    exchange(&mut |frame| line.transmit(frame), framing, command)
}

fn select() -> CommandApdu {
    CommandApdu::new("SELECT", 0xA4, 0x04, 0x00).with_data(PIV_AID.to_vec()).expecting_data()
}
