//! The card as a reader sees it: power, reset, one APDU in and one out.

use std::path::Path;
use std::sync::Arc;

use crate::crypto::{self, KeyPool, Randomness, RustCrypto};
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::chaining::{Chained, CommandChain, ResponseChain};
use crate::iso7816::{CommandApdu, Interface, ResponseApdu, StatusWord, aid};
use crate::piv::access_rule;
use crate::piv::applet::PivApplet;
use crate::piv::extension::management_application;
use crate::piv::persistent::Persistent;
use crate::piv::personality::Personality;
use crate::piv::touch::Finger;
use crate::store::file::FileStore;
use crate::store::{Store, StoreError};

const SELECT: u8 = 0xA4;
const GET_RESPONSE: u8 = 0xC0;

/// An emulated card. Its state file stays open and locked as long as it lives.
pub struct Card {
    applet: PivApplet,
    selected: Application,
    commands: CommandChain,
    responses: ResponseChain,
    interface: Interface,
    is_powered: bool,
}

/// The application that commands go to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Application {
    Piv,
    YubiKeyManagement,
}

impl Card {
    /// Opens and locks a state file; the card has no power yet.
    ///
    /// # Errors
    /// See [`StoreError`]: another process holds the file, or it is missing, damaged or newer.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::with_store(Box::new(FileStore::open(path)?), path)
    }

    /// Opens and locks a state file that may be encrypted under a passphrase.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::WrongPassphrase`].
    pub fn open_with_passphrase(path: &Path, passphrase: &[u8]) -> Result<Self, StoreError> {
        Self::with_store(Box::new(FileStore::open_with_passphrase(path, passphrase)?), path)
    }

    /// A card whose state another store holds; `path` names it in errors.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn with_store(store: Box<dyn Store>, path: &Path) -> Result<Self, StoreError> {
        let persistent = Persistent::load(store, path)?;
        let randomness = Randomness::from_system().map_err(|error| StoreError::Io {
            path: path.to_owned(),
            action: "get randomness for it",
            source: error.into(),
        })?;
        // A seeded card repeats itself to the byte, so its ECDSA nonces must be those of RFC 6979.
        let is_seeded = persistent.state().seed.is_some();
        let crypto = if is_seeded { Box::new(RustCrypto) } else { crypto::fastest() };
        Ok(Self {
            applet: PivApplet::new(persistent, crypto, randomness),
            selected: Application::Piv,
            commands: CommandChain::default(),
            responses: ResponseChain::default(),
            interface: Interface::Contact,
            is_powered: false,
        })
    }

    /// The same card moved to a reader of this interface, without power. At first it is the contact interface.
    #[must_use]
    pub fn over(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self.power_off();
        self
    }

    /// Gives the card the finger that some of its keys wait for. Without one it is touched whenever it asks.
    pub fn set_finger(&mut self, finger: Box<dyn Finger>) {
        self.applet.set_finger(finger);
    }

    /// The same card, taking RSA keys from a pool while it has any. A seeded card takes none.
    #[must_use]
    pub fn with_key_pool(mut self, pool: Arc<KeyPool>) -> Self {
        self.applet.use_key_pool(pool);
        self
    }

    /// Powers the card and returns its answer to reset.
    pub fn power_on(&mut self) -> Vec<u8> {
        self.reset();
        self.is_powered = true;
        self.answer_to_reset()
    }

    /// Takes the power away: everything volatile is forgotten.
    pub fn power_off(&mut self) {
        self.reset();
        self.is_powered = false;
    }

    /// Warm reset: everything volatile is forgotten and PIV is selected (Part 2 section 2.3.1).
    pub fn reset(&mut self) {
        self.applet.reset(self.interface);
        self.selected = Application::Piv;
        self.commands.discard();
        self.responses.discard();
    }

    /// The answer to reset, without touching the card.
    #[must_use]
    pub fn answer_to_reset(&self) -> Vec<u8> {
        self.applet.personality().answer_to_reset(self.interface).to_vec()
    }

    /// Answers one command APDU. A card without power answers nothing. The answer may be a decrypted key: who takes
    /// it wipes it.
    pub fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        if !self.is_powered {
            return Vec::new();
        }
        std::mem::take(&mut *self.answer(command).unwrap_or_else(ResponseApdu::from).to_bytes())
    }

    fn answer(&mut self, command: &[u8]) -> Result<ResponseApdu, StatusWord> {
        let apdu = CommandApdu::parse(command).inspect_err(|_| self.interrupt())?;
        if apdu.instruction == GET_RESPONSE && apdu.class == 0x00 {
            self.applet.begin_command();
            self.commands.discard();
            if (apdu.p1, apdu.p2) != (0x00, 0x00) {
                self.responses.discard();
                return Err(StatusWord::INCORRECT_P1_P2);
            }
            return self.responses.fetch(apdu.expected_length);
        }
        self.responses.discard();
        self.check_class_and_interface(&apdu).inspect_err(|_| self.interrupt())?;
        if !self.commands.is_continued_by(&apdu) {
            self.applet.begin_command();
        }
        let expected_length = apdu.expected_length;
        match self.commands.accept(apdu)? {
            Chained::More => Ok(StatusWord::SUCCESS.into()),
            Chained::Complete(apdu) => {
                let response = ResponseApdu::from(self.process(&apdu));
                Ok(self.responses.send(response, expected_length))
            }
        }
    }

    /// A command that goes no further still ends whatever must not be interrupted.
    fn interrupt(&mut self) {
        self.applet.begin_command();
        self.commands.discard();
        self.responses.discard();
    }

    /// Class 00, or 10 for a fragment. There is one logical channel and no secure messaging. Then what table 2 of
    /// Part 2 says of the command.
    fn check_class_and_interface(&self, apdu: &CommandApdu) -> Result<(), StatusWord> {
        match apdu.class {
            0x00 | 0x10 => {}
            0x0C | 0x1C | 0x04 | 0x14 | 0x08 | 0x18 => {
                return Err(StatusWord::SECURE_MESSAGING_NOT_SUPPORTED);
            }
            0x01..=0x1F | 0x40..=0x7F => return Err(StatusWord::LOGICAL_CHANNEL_NOT_SUPPORTED),
            _ => return Err(StatusWord::CLASS_NOT_SUPPORTED),
        }
        let rule = match self.selected {
            Application::Piv => access_rule::command(self.applet.personality(), apdu.instruction),
            Application::YubiKeyManagement => None,
        };
        if self.interface == Interface::Contactless && rule.is_some_and(|rule| !rule.is_contactless) {
            return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
        }
        if apdu.is_chained() && !rule.is_some_and(|rule| rule.is_chainable) {
            return Err(StatusWord::COMMAND_CHAINING_NOT_SUPPORTED);
        }
        Ok(())
    }

    fn process(&mut self, apdu: &CommandApdu) -> Result<ResponseData, StatusWord> {
        if apdu.instruction == SELECT {
            return self.select(apdu);
        }
        match (self.selected, self.applet.personality()) {
            (Application::YubiKeyManagement, Personality::YubiKey5 { firmware, serial }) => {
                management_application::process(apdu, firmware, serial)
            }
            _ => self.applet.process(apdu),
        }
    }

    /// SELECT by name. Failing, it changes nothing; selecting another application ends PIV's
    /// security status; selecting PIV again keeps it (Part 2 section 3.1.1).
    fn select(&mut self, apdu: &CommandApdu) -> Result<ResponseData, StatusWord> {
        if (apdu.p1, apdu.p2) != (0x04, 0x00) {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        let personality = self.applet.personality();
        if aid::names(&apdu.data, &aid::PIV) {
            self.selected = Application::Piv;
            return Ok(self.applet.application_property_template());
        }
        match personality {
            Personality::YubiKey5 { firmware, .. } if aid::names(&apdu.data, &aid::YUBIKEY_MANAGEMENT) => {
                self.selected = Application::YubiKeyManagement;
                self.applet.deselect();
                Ok(management_application::select(firmware))
            }
            _ => Err(StatusWord::NOT_FOUND),
        }
    }
}
