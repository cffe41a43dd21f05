//! The finger and the clock of a transcript's card: they do what the file says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::piv::touch::Finger;

/// Touches whenever a key waits, until told otherwise. Time passes only when told.
#[derive(Clone)]
pub(super) struct ScriptedFinger {
    comes: Arc<AtomicBool>,
    seconds: Arc<AtomicU64>,
}

impl Default for ScriptedFinger {
    fn default() -> Self {
        Self { comes: Arc::new(AtomicBool::new(true)), seconds: Arc::default() }
    }
}

impl ScriptedFinger {
    pub(super) fn come(&self, comes: bool) {
        self.comes.store(comes, Ordering::Relaxed);
    }

    pub(super) fn pass(&self, seconds: u32) {
        self.seconds.fetch_add(u64::from(seconds), Ordering::Relaxed);
    }
}

impl Finger for ScriptedFinger {
    fn touches(&mut self, _key_reference: u8) -> bool {
        self.comes.load(Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}
