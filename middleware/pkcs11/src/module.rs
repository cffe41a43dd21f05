//! What lives between C_Initialize and C_Finalize.
//!
//! Locks, outermost first: a session's operations, a slot's token, its keeper, the tables of sessions and slots. Nothing
//! that waits for a card holds a table.
use std::collections::BTreeMap;
use std::ffi::c_ulong;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use middleware::settings::Settings;
use middleware::{ReaderWatch, WatchEnd};

use crate::keeper::Keeper;
use crate::return_value::ReturnValue;
use crate::session::{Operations, Session, Sessions};
use crate::slot::{Place, Presence, Slot};
use crate::token::{Handle, Token, new_handle};

/// Names the state files of emulated cards, separated as in PATH.
#[cfg(feature = "sim")]
const EMULATED_CARDS: &str = "MIDDLEWARE_PKCS11_EMULATED";

/// How long what was seen of the readers is taken to hold: the PC/SC service looks at them every 400 ms itself.
const FRESH: Duration = Duration::from_millis(50);

/// The modules of this process, one at a time. A forked child gets another: it inherits the parent's memory, where a
/// lock may be held by a thread that it does not have.
pub(crate) struct Process {
    pub(crate) id: u32,
    module: Mutex<Option<Arc<Module>>>,
}

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, module: Mutex::new(None) }
    }

    /// Ends what is kept open, where nobody is using it just now: waits for no lock.
    pub(crate) fn end_transactions(&self) {
        let Ok(module) = self.module.try_lock() else { return };
        let Some(slots) = module.as_ref().and_then(|module| module.slots.try_lock().ok()) else { return };
        for slot in slots.iter() {
            if let Ok(mut place) = slot.token.try_lock()
                && let Some(token) = place.as_mut()
            {
                token.end_transaction();
            }
        }
    }
}

/// The initialised module.
pub(crate) struct Module {
    /// A slot's number is its place here, so slots are never taken out.
    slots: Mutex<Vec<Arc<Slot>>>,
    sessions: Mutex<Sessions>,
    watch: Mutex<ReaderWatch>,
    /// When the readers were looked at.
    seen: Mutex<Option<Instant>>,
    /// What wakes those who wait for events.
    waiting: Mutex<BTreeMap<Handle, WatchEnd>>,
    has_ended: AtomicBool,
    ending: Condvar,
    /// Whether the application lets us have threads.
    pub(crate) may_have_threads: bool,
    /// The program that asks for PINs, where the user has set that.
    pub(crate) pinentry: Option<PathBuf>,
}

impl Module {
    /// Makes the module; refused when it is there already.
    pub(crate) fn initialize(may_have_threads: bool) -> Result<(), ReturnValue> {
        let mut place = lock(&crate::ffi::process().module);
        if place.is_some() {
            return Err(ReturnValue::CRYPTOKI_ALREADY_INITIALIZED);
        }
        crate::ffi::end_transactions_at_forks();
        let module = Arc::new(Self {
            slots: Mutex::default(),
            sessions: Mutex::default(),
            watch: Mutex::default(),
            seen: Mutex::default(),
            waiting: Mutex::default(),
            has_ended: AtomicBool::new(false),
            ending: Condvar::new(),
            may_have_threads,
            // Settings that cannot be read are none: the application asks, as ever.
            pinentry: Settings::load().unwrap_or_default().pkcs11_pinentry(),
        });
        module.refresh();
        // What is there at the beginning is no event.
        for slot in lock(&module.slots).iter() {
            lock(&slot.presence).has_event = false;
        }
        *place = Some(module);
        Ok(())
    }

    /// The initialised module.
    pub(crate) fn current() -> Result<Arc<Self>, ReturnValue> {
        lock(&crate::ffi::process().module).clone().ok_or(ReturnValue::CRYPTOKI_NOT_INITIALIZED)
    }

    /// Ends every session, forgets every PIN and wakes whoever waits.
    pub(crate) fn finalize() -> Result<(), ReturnValue> {
        let module = lock(&crate::ffi::process().module).take();
        let module = module.ok_or(ReturnValue::CRYPTOKI_NOT_INITIALIZED)?;
        module.has_ended.store(true, Ordering::SeqCst);
        for waiting in lock(&module.waiting).values() {
            waiting.end();
        }
        module.ending.notify_all();
        *lock(&module.sessions) = Sessions::default();
        for slot in module.all_slots() {
            *lock(&slot.token) = None;
            // The application may unload us: no thread of ours may run on.
            let keeper = lock(&slot.keeper).take();
            keeper.join();
        }
        Ok(())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    fn all_slots(&self) -> Vec<Arc<Slot>> {
        lock(&self.slots).clone()
    }

    /// Looks which readers and cards there are now. A reader that comes back gets its old number.
    pub(crate) fn refresh(&self) {
        // A machine without PC/SC service has no readers; that is no error of any function.
        let readers = lock(&self.watch).readers().unwrap_or_default();
        let mut seen: Vec<(Place, bool, u32)> = readers
            .into_iter()
            .map(|reader| (Place::Reader(reader.name), reader.has_card, reader.changes))
            .collect();
        seen.extend(emulated_cards().into_iter().map(|file| {
            let exists = file.is_file();
            (Place::Emulated(file), exists, 0)
        }));
        for slot in self.all_slots() {
            if !seen.iter().any(|(place, ..)| *place == slot.place) {
                self.note(&slot, false, false, 0);
            }
        }
        for (place, has_token, changes) in seen {
            let slot = self.slot_of(place);
            self.note(&slot, true, has_token, changes);
        }
        *lock(&self.seen) = Some(Instant::now());
    }

    /// Whether the slot holds a card. If one was seen a moment ago it is not looked for again: who is about to use it
    /// will hear when it is gone.
    pub(crate) fn has_token(&self, slot: &Slot) -> bool {
        let is_fresh = lock(&self.seen).is_some_and(|seen| seen.elapsed() < FRESH);
        if !(is_fresh && lock(&slot.presence).has_token) {
            self.refresh();
        }
        lock(&slot.presence).has_token
    }

    fn slot_of(&self, place: Place) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        if let Some(known) = slots.iter().find(|slot| slot.place == place) {
            return Arc::clone(known);
        }
        let number = c_ulong::try_from(slots.len()).unwrap_or(c_ulong::MAX);
        let presence = Mutex::new(Presence::default());
        let slot =
            Arc::new(Slot { number, place, presence, token: Mutex::default(), keeper: Mutex::default() });
        slots.push(Arc::clone(&slot));
        slot
    }

    fn note(&self, slot: &Slot, is_connected: bool, has_token: bool, changes: u32) {
        if lock(&slot.presence).update(is_connected, has_token, changes) {
            lock(&self.sessions).close_all(slot);
        }
    }

    /// The connected slots.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        let mut slots = self.all_slots();
        slots.retain(|slot| lock(&slot.presence).is_connected);
        slots
    }

    /// The slot of that number.
    pub(crate) fn slot(&self, number: c_ulong) -> Result<Arc<Slot>, ReturnValue> {
        let place = usize::try_from(number).map_err(|_| ReturnValue::SLOT_ID_INVALID)?;
        lock(&self.slots).get(place).cloned().ok_or(ReturnValue::SLOT_ID_INVALID)
    }

    /// A slot where something happened that was not told yet; it is told now.
    pub(crate) fn take_event(&self) -> Option<c_ulong> {
        let mut slots = self.all_slots().into_iter();
        slots.find(|slot| std::mem::take(&mut lock(&slot.presence).has_event)).map(|slot| slot.number)
    }

    /// Waits until the module ends, so long at the most.
    pub(crate) fn wait_for_end(&self, longest: Duration) {
        let waiting = lock(&self.waiting);
        // Woken or not, the caller looks.
        let _ = self.ending.wait_timeout_while(waiting, longest, |_| !self.has_ended());
    }

    /// Registers what wakes a waiting thread, as long as it waits.
    pub(crate) fn wakes(&self, end: WatchEnd) -> Waiting<'_> {
        let number = new_handle();
        lock(&self.waiting).insert(number, end);
        Waiting { module: self, number }
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    pub(crate) fn session(&self, handle: Handle) -> Result<Arc<Session>, ReturnValue> {
        self.sessions().get(handle)
    }

    /// Lets a function act on a slot's token, one at a time. A token that is gone takes its sessions with it.
    pub(crate) fn with_token<T>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        act: impl FnOnce(&mut Token) -> Result<T, ReturnValue>,
    ) -> Result<T, ReturnValue> {
        let mut place = lock(&slot.token);
        if std::mem::take(&mut lock(&slot.presence).is_stale) {
            *place = None;
        }
        let token = match &mut *place {
            Some(token) => token,
            empty => empty.insert(Token::open(slot.place.locator())?),
        };
        let result = act(token);
        if token.is_lost() {
            *place = None;
            drop(place);
            self.sessions().close_all(slot);
        } else if token.keeps_a_transaction() && !Keeper::watch(self, slot) {
            token.end_transaction();
        }
        result
    }
}

/// A thread that waits for an event.
pub(crate) struct Waiting<'a> {
    module: &'a Module,
    number: Handle,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.module.waiting).remove(&self.number);
    }
}

/// The module, a session and its operations, for the time of a call.
pub(crate) struct Call {
    pub(crate) module: Arc<Module>,
    pub(crate) session: Arc<Session>,
}

impl Call {
    pub(crate) fn on(session: Handle) -> Result<Self, ReturnValue> {
        let module = Module::current()?;
        let session = module.session(session)?;
        Ok(Self { module, session })
    }

    pub(crate) fn operations(&self) -> MutexGuard<'_, Operations> {
        lock(&self.session.operations)
    }

    pub(crate) fn with_token<T>(
        &self,
        act: impl FnOnce(&mut Token) -> Result<T, ReturnValue>,
    ) -> Result<T, ReturnValue> {
        self.module.with_token(&self.session.slot, |token| {
            // Another thread may have closed it, or another card may be there by now.
            self.module.session(self.session.handle)?;
            act(token)
        })
    }
}

/// A panic while a lock was held leaves nothing half done that would be worse than not going on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The module is one for the whole process: tests that use it take turns.
#[cfg(test)]
pub(crate) static TURN: Mutex<()> = Mutex::new(());

/// Cards of tests, which cannot set variables.
#[cfg(all(test, feature = "sim"))]
pub(crate) static TEST_CARDS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

#[cfg(feature = "sim")]
fn emulated_cards() -> Vec<PathBuf> {
    #[cfg(test)]
    if !lock(&TEST_CARDS).is_empty() {
        return lock(&TEST_CARDS).clone();
    }
    std::env::var_os(EMULATED_CARDS).map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

#[cfg(not(feature = "sim"))]
fn emulated_cards() -> Vec<PathBuf> {
    Vec::new()
}
