//! The PIV card application: owns the state; parse, authorise, handle; the only match on [`Command`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Command;
use super::commands::select;
use super::key_reference::AsymmetricKeyReference;
use super::persistent::Persistent;
use super::personality::Personality;
use super::security_status::SecurityStatus;
use super::state::{CardState, Key};
use super::touch::{AlwaysTouches, Finger, TouchSensor};
use crate::crypto::key_pool::Pooled;
use crate::crypto::{CryptoProvider, KeyPool, PrivateKey, Randomness, RustCrypto};
use crate::iso7816::apdu::ResponseData;
use crate::iso7816::{CommandApdu, Interface, StatusWord};

/// The application with everything it needs to answer.
pub struct PivApplet {
    pub(super) persistent: Persistent,
    pub(super) status: SecurityStatus,
    pub(super) crypto: Box<dyn CryptoProvider>,
    pub(super) randomness: Randomness,
    pub(super) touch: TouchSensor,
    /// Keys made ready for use, by key reference; only a cache.
    loaded: BTreeMap<u8, Box<dyn PrivateKey>>,
    /// The generation of the state for which `randomness` was keyed, on a seeded card.
    seeded_for: Option<u64>,
}

impl PivApplet {
    /// An application over this state.
    #[must_use]
    pub fn new(persistent: Persistent, crypto: Box<dyn CryptoProvider>, randomness: Randomness) -> Self {
        let status = SecurityStatus::default();
        let touch = TouchSensor::new(Box::new(AlwaysTouches));
        Self { persistent, status, crypto, randomness, touch, loaded: BTreeMap::new(), seeded_for: None }
    }

    /// Gives the card the finger that its keys wait for; without one it is touched whenever it asks.
    pub fn set_finger(&mut self, finger: Box<dyn Finger>) {
        self.touch = TouchSensor::new(finger);
    }

    /// Takes RSA keys from a pool while it has any; a seeded card takes none, because its keys come from its seed.
    pub fn use_key_pool(&mut self, pool: Arc<KeyPool>) {
        if self.persistent.state().seed.is_none() {
            let crypto = std::mem::replace(&mut self.crypto, Box::new(RustCrypto));
            self.crypto = Box::new(Pooled::new(crypto, pool));
        }
    }

    /// Which card this is.
    #[must_use]
    pub fn personality(&self) -> Personality {
        self.persistent.state().personality
    }

    /// What SELECT answers.
    #[must_use]
    pub fn application_property_template(&self) -> ResponseData {
        select::application_property_template(self.persistent.state())
    }

    /// The card lost its power or was reset: everything volatile goes. From now on this interface is in use.
    pub fn reset(&mut self, interface: Interface) {
        self.status = SecurityStatus::over(interface);
        self.touch.forget();
        if self.persistent.is_uncertain() {
            self.loaded.clear();
            self.persistent.settle();
        }
        self.seeded_for = None;
        self.follow_seed();
    }

    /// Another application was selected: all security status indicators go, but the global one.
    pub fn deselect(&mut self) {
        self.status.deselect();
    }

    /// A command begins, with its first fragment if it has several: what must follow immediately ends, unless this
    /// is it. That goes for commands that this application does not see, too (SELECT, GET RESPONSE, a malformed one).
    pub fn begin_command(&mut self) {
        self.status.begin_command();
    }

    /// Answers a complete command, for which [`Self::begin_command`] was called when it began.
    ///
    /// # Errors
    /// The status word, when it is not 9000.
    pub fn process(&mut self, apdu: &CommandApdu) -> Result<ResponseData, StatusWord> {
        if self.persistent.is_uncertain() {
            return Err(StatusWord::MEMORY_FAILURE);
        }
        let result = Command::parse(apdu, self.personality()).and_then(|command| self.dispatch(command));
        self.follow_seed();
        result
    }

    fn dispatch(&mut self, command: Command) -> Result<ResponseData, StatusWord> {
        match command {
            Command::GetData(command) => command.handle(self.persistent.state(), &self.status),
            Command::Verify(command) => command.handle(&mut self.persistent, &mut self.status),
            Command::ChangeReferenceData(command) => command.handle(&mut self.persistent, &mut self.status),
            Command::ResetRetryCounter(command) => command.handle(&mut self.persistent, &mut self.status),
            Command::GeneralAuthenticate(command) => command.handle(self),
            Command::PutData(command) => command.handle(&mut self.persistent, &mut self.status),
            Command::GenerateAsymmetricKeyPair(command) => command.handle(self),
            Command::Extension(command) => command.handle(self),
        }
    }

    /// Puts a key in its place, durably, with the policies it has from now on.
    pub(super) fn store_key(
        &mut self,
        reference: AsymmetricKeyReference,
        key: Key,
        loaded: Box<dyn PrivateKey>,
    ) -> Result<(), StatusWord> {
        let byte = reference.byte();
        self.persistent.transaction(|state| {
            state.keys.insert(byte, key);
        })?;
        self.loaded.insert(byte, loaded);
        Ok(())
    }

    /// Changes the state in a way that may change which key is behind which reference.
    pub(super) fn change_keys(&mut self, change: impl FnOnce(&mut CardState)) -> Result<(), StatusWord> {
        self.persistent.transaction(change)?;
        self.loaded.clear();
        Ok(())
    }

    /// A key ready for use, and the randomness that its use needs.
    pub(super) fn loaded_key(
        &mut self,
        reference: AsymmetricKeyReference,
    ) -> Result<(&dyn PrivateKey, &mut Randomness), StatusWord> {
        let byte = reference.byte();
        if !self.loaded.contains_key(&byte) {
            let key = self.persistent.state().key(reference).ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
            let loaded = self.crypto.load_proven(&key.material).map_err(|_| StatusWord::UNKNOWN)?;
            self.loaded.insert(byte, loaded);
        }
        let key = self.loaded.get(&byte).ok_or(StatusWord::UNKNOWN)?;
        Ok((key.as_ref(), &mut self.randomness))
    }

    /// On a seeded card, keys the random stream anew after a reset and after each change of state.
    fn follow_seed(&mut self) {
        let state = self.persistent.state();
        let Some(seed) = &state.seed else { return };
        if self.seeded_for != Some(state.generation) {
            self.randomness = Randomness::from_seed(seed.expose(), state.generation);
            self.seeded_for = Some(state.generation);
        }
    }
}
