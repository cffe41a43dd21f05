//! The card's state together with the store that makes its changes durable.

use std::path::{Path, PathBuf};

use super::state::CardState;
use crate::iso7816::StatusWord;
use crate::store::{Store, StoreError, image};

/// State that changes only by durable transactions.
pub struct Persistent {
    state: CardState,
    store: Box<dyn Store>,
    path: PathBuf,
    /// A transaction failed: the store holds the old state or the new one, and which of them is
    /// known only after reading it again.
    is_uncertain: bool,
}

impl Persistent {
    /// Reads the state that a store holds and makes it durable before anything is done with it: a process that
    /// was stopped in a replacement leaves one that a power cut could take back. `path` names it in errors.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn load(mut store: Box<dyn Store>, path: &Path) -> Result<Self, StoreError> {
        let state = image::decode(&store.read()?, path)?;
        store.make_durable()?;
        Ok(Self { state, store, path: path.to_owned(), is_uncertain: false })
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &CardState {
        &self.state
    }

    /// Changes the state. When this returns, the change has survived any power cut.
    ///
    /// # Errors
    /// 6581 when it could not be made durable. The card then answers nothing else until it is
    /// powered again, because it does not know which of the two states the store holds.
    pub fn transaction(&mut self, change: impl FnOnce(&mut CardState)) -> Result<(), StatusWord> {
        if self.is_uncertain {
            return Err(StatusWord::MEMORY_FAILURE);
        }
        let mut next = self.state.clone();
        change(&mut next);
        next.generation = next.generation.wrapping_add(1);
        let written = image::encode(&next, &self.path).and_then(|image| self.store.replace(&image));
        if let Err(error) = written {
            tracing::error!("{error}");
            self.is_uncertain = true;
            return Err(StatusWord::MEMORY_FAILURE);
        }
        self.state = next;
        Ok(())
    }

    /// Whether a failed transaction left the state in doubt.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    /// Reads the state again if it is in doubt, and makes it durable; where that fails it stays in doubt.
    pub fn settle(&mut self) {
        if self.is_uncertain {
            match self.write_again() {
                Ok(state) => {
                    self.state = state;
                    self.is_uncertain = false;
                }
                Err(error) => tracing::error!("{error}"),
            }
        }
    }

    /// After a sync that failed, a second one may succeed without having written what the first one dropped. So the
    /// image is written anew, whole.
    fn write_again(&mut self) -> Result<CardState, StoreError> {
        let image = self.store.read()?;
        let state = image::decode(&image, &self.path)?;
        self.store.replace(&image)?;
        Ok(state)
    }
}
