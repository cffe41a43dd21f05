//! Where a card lies: a reader into which one card after the other is put, or one emulated card.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use middleware::{Card, CardError, Locator, ReaderWatch, WatchedReader};

use super::worker::Shared;
use crate::desk::failure::Failure;
use crate::desk::texts;

/// A reader or an emulated card.
pub struct Place {
    name: String,
    locator: Locator,
    kind: Kind,
    /// How long to wait for the next card.
    patience: Option<Duration>,
}

enum Kind {
    /// One card, once.
    Single { is_used: bool },
    /// The next card may come: how often the reader had changed when the last one was taken.
    Reader { watch: ReaderWatch, taken: Option<WatchedReader> },
}

/// How long to wait before looking whether everybody stops.
const GLANCE: Duration = Duration::from_millis(250);

impl Place {
    /// The place that a locator names.
    pub fn new(name: String, locator: Locator, patience: Option<Duration>) -> Self {
        let kind = if is_reader(&name) {
            Kind::Reader { watch: ReaderWatch::default(), taken: None }
        } else {
            Kind::Single { is_used: false }
        };
        Self { name, locator, kind, patience }
    }

    /// Whether card after card is put there.
    pub const fn is_reader(&self) -> bool {
        matches!(self.kind, Kind::Reader { .. })
    }

    /// As it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next card; `refused` says why the last one is for nobody. `None` when no more will come, or nothing is left to do.
    ///
    /// # Errors
    /// The place cannot be used.
    pub fn next_card(&mut self, refused: Option<&str>, shared: &Shared<'_>) -> Result<Option<Card>, Failure> {
        let (watch, taken) = match &mut self.kind {
            Kind::Single { is_used: true } => {
                if let Some(why) = refused {
                    shared.watcher.wanted(&self.name, why);
                }
                return Ok(None);
            }
            Kind::Single { is_used } => {
                *is_used = true;
                return Ok(Some(Card::open(&self.locator)?));
            }
            Kind::Reader { watch, taken } => (watch, taken),
        };
        let since = Instant::now();
        let mut is_told = false;
        loop {
            let readers = watch.readers()?;
            if let Some(card) = opened(&self.locator, &readers, taken)? {
                return Ok(Some(card));
            }
            if !is_told {
                let why = refused.map(|why| format!("{why}; ")).unwrap_or_default();
                let insert = texts::say("batched-insert", &[]);
                shared.watcher.wanted(&self.name, &format!("{why}{insert}"));
                is_told = true;
            }
            let is_over = self.patience.is_some_and(|patience| since.elapsed() >= patience);
            if is_over || shared.stop.load(Ordering::SeqCst) || !shared.queue().has_work_for(&self.name) {
                return Ok(None);
            }
            watch.wait(GLANCE)?;
        }
    }
}

/// Readers stay; `pcsc:serial=N` and emulated cards are one card.
fn is_reader(name: &str) -> bool {
    name.strip_prefix("pcsc:").is_some_and(|rest| !rest.starts_with("serial="))
}

/// The card that lies there, unless it is the one that was taken last.
fn opened(
    locator: &Locator,
    readers: &[WatchedReader],
    taken: &mut Option<WatchedReader>,
) -> Result<Option<Card>, CardError> {
    if let Some(taken) = taken.as_ref()
        && readers.contains(taken)
    {
        return Ok(None);
    }
    if !readers.iter().any(|reader| reader.has_card) {
        return Ok(None);
    }
    match Card::open(locator) {
        Ok(card) => {
            *taken = readers.iter().find(|reader| reader.name == card.reader_name()).cloned();
            Ok(Some(card))
        }
        Err(CardError::NoCard | CardError::CardRemoved | CardError::CardReset | CardError::NotPiv(_)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
