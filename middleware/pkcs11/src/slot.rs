//! Slots (PKCS#11 Base 3.0 section 5.5): places for a card, numbered as long as the module is initialised.
use std::ffi::c_ulong;
use std::path::PathBuf;
use std::sync::Mutex;

use middleware::Locator;

use crate::keeper::Keeper;
use crate::token::Token;

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

/// A place for a token.
pub(crate) struct Slot {
    pub(crate) number: c_ulong,
    pub(crate) place: Place,
    pub(crate) presence: Mutex<Presence>,
    /// The card, once it has been used.
    pub(crate) token: Mutex<Option<Token>>,
    /// Ends the transaction that the token keeps open.
    pub(crate) keeper: Mutex<Keeper>,
}

/// What was seen of a slot last.
#[derive(Clone, Copy, Default)]
pub(crate) struct Presence {
    /// Whether the reader is still there.
    pub(crate) is_connected: bool,
    pub(crate) has_token: bool,
    /// The reader's count of insertions and removals.
    pub(crate) changes: u32,
    /// A card was put in or taken out, and C_WaitForSlotEvent has not told of it.
    pub(crate) has_event: bool,
    /// The token that was in use is another one now, or none.
    pub(crate) is_stale: bool,
}

impl Presence {
    /// Notes what is there now; whether the token that was there is gone.
    pub(crate) fn update(&mut self, is_connected: bool, has_token: bool, changes: u32) -> bool {
        let has_changed = self.has_token != has_token || (has_token && self.changes != changes);
        let is_gone = self.has_token && has_changed;
        *self = Self {
            is_connected,
            has_token,
            changes,
            has_event: self.has_event || has_changed,
            is_stale: self.is_stale || is_gone,
        };
        is_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insertion_removal_and_both_unseen_are_events() {
        let mut presence = Presence::default();
        assert!(!presence.update(true, false, 0) && !presence.has_event);
        assert!(!presence.update(true, true, 1) && presence.has_event && !presence.is_stale);
        presence.has_event = false;
        assert!(!presence.update(true, true, 1) && !presence.has_event);
        assert!(presence.update(true, true, 3) && presence.has_event && presence.is_stale);
        presence = Presence { has_event: false, is_stale: false, ..presence };
        assert!(presence.update(false, false, 0) && presence.has_event && presence.is_stale);
    }
}
