//! Readers as they come and go, and cards in them.
use std::time::Duration;

use crate::piv::error::CardError;

/// Keeps one line to the PC/SC service open and tells what changes there. Reads nothing from any card.
#[derive(Default)]
pub struct ReaderWatch {
    #[cfg(feature = "pcsc")]
    service: Option<super::pcsc::Watch>,
}

/// A reader as a [`ReaderWatch`] sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedReader {
    /// The reader's name as PC/SC lists it.
    pub name: String,
    /// Whether it holds a card that answers.
    pub has_card: bool,
    /// Another number than before means that the card was taken out or put in meanwhile.
    pub changes: u32,
}

/// Ends a [`ReaderWatch::wait`] from another thread.
#[derive(Clone, Default)]
pub struct WatchEnd {
    #[cfg(feature = "pcsc")]
    context: Option<::pcsc::Context>,
}

impl ReaderWatch {
    /// Every reader now; empty where there is none. A PC/SC service that was started anew meanwhile is found again.
    ///
    /// # Errors
    /// [`CardError::Transport`] when the PC/SC service does not answer; the next call looks for it again.
    pub fn readers(&mut self) -> Result<Vec<WatchedReader>, CardError> {
        #[cfg(feature = "pcsc")]
        {
            // Only a line that was there before may be that of a service that is gone.
            let was_open = self.service.is_some();
            match self.list() {
                Err(_) if was_open => self.list(),
                readers => readers,
            }
        }
        #[cfg(not(feature = "pcsc"))]
        Ok(Vec::new())
    }

    #[cfg(feature = "pcsc")]
    fn list(&mut self) -> Result<Vec<WatchedReader>, CardError> {
        let Some(service) = self.service()? else { return Ok(Vec::new()) };
        let readers = service.readers();
        if readers.is_err() {
            self.service = None;
        }
        readers
    }

    /// Waits until something has changed since [`Self::readers`], [`WatchEnd::end`] was called, or the time is over.
    ///
    /// # Errors
    /// As [`Self::readers`]; also `Unsupported` where there is nothing to wait for.
    pub fn wait(&mut self, longest: Duration) -> Result<(), CardError> {
        #[cfg(feature = "pcsc")]
        if let Some(service) = self.service()? {
            let waited = service.wait(longest);
            if waited.is_err() {
                self.service = None;
            }
            return waited;
        }
        let _ = longest;
        Err(CardError::Unsupported("wait for readers without a PC/SC service".to_owned()))
    }

    /// What ends a wait of this watch.
    pub fn end(&self) -> WatchEnd {
        WatchEnd {
            #[cfg(feature = "pcsc")]
            context: self.service.as_ref().map(super::pcsc::Watch::context),
        }
    }

    #[cfg(feature = "pcsc")]
    fn service(&mut self) -> Result<Option<&mut super::pcsc::Watch>, CardError> {
        if self.service.is_none() {
            self.service = super::pcsc::Watch::new()?;
        }
        Ok(self.service.as_mut())
    }
}

impl WatchEnd {
    /// Ends the wait that is going on; none, no harm.
    pub fn end(&self) {
        #[cfg(feature = "pcsc")]
        if let Some(context) = &self.context {
            // A context without a wait, or without a service, has nothing to cancel.
            let _ = context.cancel();
        }
    }
}
