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
    /// Reads the state that a store holds; `path` names it in errors.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn load(mut store: Box<dyn Store>, path: &Path) -> Result<Self, StoreError> {
        let state = image::decode(&store.read()?, path)?;
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

    /// Reads the state again if it is in doubt; says whether it is certain now.
    pub fn settle(&mut self) -> bool {
        if self.is_uncertain {
            let read = self.store.read().and_then(|image| image::decode(&image, &self.path));
            match read {
                Ok(state) => {
                    self.state = state;
                    self.is_uncertain = false;
                }
                Err(error) => tracing::error!("{error}"),
            }
        }
        !self.is_uncertain
    }
}
