//! The thread that ends a transaction which is kept and not used again. It lives as long as the transaction.
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::module::{Module, lock};
use crate::slot::Slot;

/// A slot's thread, while there is one.
#[derive(Default)]
pub(crate) struct Keeper {
    /// Whether it will look at the token again. Changed only while the token is locked.
    is_watching: bool,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Sees to it that somebody watches the slot's token, which the caller has locked; whether somebody does.
    pub(crate) fn watch(module: &Arc<Module>, slot: &Arc<Slot>) -> bool {
        let mut keeper = lock(&slot.keeper);
        if keeper.is_watching {
            return true;
        }
        if !module.may_have_threads || module.has_ended() {
            return false;
        }
        let (of_module, of_slot) = (Arc::clone(module), Arc::clone(slot));
        let spawned = std::thread::Builder::new()
            .name("pkcs11-keeper".to_owned())
            .spawn(move || keep_watch(&of_module, &of_slot));
        let Ok(thread) = spawned else { return false };
        keeper.is_watching = true;
        // The one before does nothing any more but end.
        let before = keeper.thread.replace(thread);
        drop(keeper);
        Self { is_watching: false, thread: before }.join();
        true
    }

    /// The thread, to be waited for without a lock.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Waits until the thread has ended.
    pub(crate) fn join(self) {
        if let Some(thread) = self.thread {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}

fn keep_watch(module: &Module, slot: &Slot) {
    loop {
        let stays = {
            let mut place = lock(&slot.token);
            let stays = place.as_mut().and_then(|token| {
                let stays = token.transaction_may_stay().filter(|stays| !stays.is_zero());
                if stays.is_none() {
                    token.end_transaction();
                }
                stays
            });
            if stays.is_none() || module.has_ended() {
                lock(&slot.keeper).is_watching = false;
                return;
            }
            stays.unwrap_or_default()
        };
        module.wait_for_end(stays);
    }
}
