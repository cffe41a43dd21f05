//! What lives between C_Initialize and C_Finalize.
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use middleware::Locator;

use crate::return_value::ReturnValue;

/// Names the state files of emulated cards, separated as in PATH.
#[cfg(feature = "sim")]
const EMULATED_CARDS: &str = "MIDDLEWARE_PKCS11_EMULATED";

static MODULE: Mutex<Option<Module>> = Mutex::new(None);

/// The initialised module.
pub(crate) struct Module {
    /// A forked child inherits the memory but is not initialised (section 5.4, C_Initialize).
    process: u32,
    /// A slot's number is its place here, so slots are never taken out.
    slots: Vec<Slot>,
}

/// A place for a token.
pub(crate) struct Slot {
    pub(crate) place: Place,
    /// Whether the reader is still connected.
    pub(crate) is_connected: bool,
    pub(crate) has_token: bool,
}

/// Where a slot's token is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Reader(String),
    Emulated(PathBuf),
}

impl Place {
    pub(crate) fn locator(&self) -> Locator {
        match self {
            Self::Reader(name) => Locator::ReaderNamed(name.clone()),
            Self::Emulated(file) => Locator::Emulated(file.clone()),
        }
    }
}

impl Module {
    /// Makes the module; refused when it is there already.
    pub(crate) fn initialize() -> Result<(), ReturnValue> {
        let mut module = lock();
        if module.as_ref().is_some_and(Self::belongs_to_this_process) {
            return Err(ReturnValue::CRYPTOKI_ALREADY_INITIALIZED);
        }
        *module = Some(Self { process: std::process::id(), slots: Vec::new() });
        Ok(())
    }

    pub(crate) fn finalize() -> Result<(), ReturnValue> {
        Self::with(|_| Ok(()))?;
        *lock() = None;
        Ok(())
    }

    /// Lets a function act on the initialised module, one at a time.
    pub(crate) fn with<T>(act: impl FnOnce(&mut Self) -> Result<T, ReturnValue>) -> Result<T, ReturnValue> {
        match lock().as_mut().filter(|module| module.belongs_to_this_process()) {
            Some(module) => act(module),
            None => Err(ReturnValue::CRYPTOKI_NOT_INITIALIZED),
        }
    }

    fn belongs_to_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Looks which readers and cards there are now. A reader that comes back gets its old number.
    pub(crate) fn refresh(&mut self) {
        for slot in &mut self.slots {
            slot.is_connected = false;
            slot.has_token = false;
        }
        // A machine without PC/SC service has no readers; that is no error of this function.
        for reader in middleware::list_readers().unwrap_or_default() {
            self.note(Place::Reader(reader.name), reader.atr.is_some());
        }
        for file in emulated_cards() {
            let exists = file.is_file();
            self.note(Place::Emulated(file), exists);
        }
    }

    fn note(&mut self, place: Place, has_token: bool) {
        let slot = Slot { place, is_connected: true, has_token };
        match self.slots.iter_mut().find(|known| known.place == slot.place) {
            Some(known) => *known = slot,
            None => self.slots.push(slot),
        }
    }

    /// The connected slots with their numbers.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.is_connected)
    }

    /// The slot of that number as it is now.
    pub(crate) fn slot(&mut self, number: usize) -> Result<&Slot, ReturnValue> {
        self.refresh();
        self.slots.get(number).ok_or(ReturnValue::SLOT_ID_INVALID)
    }
}

fn lock() -> MutexGuard<'static, Option<Module>> {
    MODULE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "sim")]
fn emulated_cards() -> Vec<PathBuf> {
    std::env::var_os(EMULATED_CARDS).map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

#[cfg(not(feature = "sim"))]
fn emulated_cards() -> Vec<PathBuf> {
    Vec::new()
}
