//! A medium that loses power: what tests of the store stand on.
//!
//! It keeps apart what was issued and what is durable, as a file system does: content becomes
//! durable by the sync of its file, names by the sync of their folder. After the cut, what was not
//! durable may have survived or not; [`Survival`] names the cases.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::file::Medium;

/// What is left of the steps that were issued but not yet durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survival {
    /// Nothing: only what was made durable.
    OnlyDurable,
    /// Everything issued before the cut.
    Everything,
    /// Names, but no content that was not synced: the classic empty file after a crash.
    NamesWithoutContent,
    /// Names, and the first half of content that was not synced.
    NamesWithHalfTheContent,
}

impl Survival {
    /// All cases.
    pub const ALL: [Self; 4] =
        [Self::OnlyDurable, Self::Everything, Self::NamesWithoutContent, Self::NamesWithHalfTheContent];
}

#[derive(Clone, Default)]
struct Content {
    issued: Zeroizing<Vec<u8>>,
    durable: Zeroizing<Vec<u8>>,
}

impl Content {
    fn durable(bytes: &[u8]) -> Self {
        let bytes = Zeroizing::new(bytes.to_vec());
        Self { issued: bytes.clone(), durable: bytes }
    }

    fn sync(&mut self) {
        self.durable = self.issued.clone();
    }

    fn after_cut(&self, survival: Survival) -> Self {
        let half = self.issued.get(..self.issued.len() / 2).unwrap_or_default();
        match survival {
            Survival::OnlyDurable | Survival::NamesWithoutContent => Self::durable(&self.durable),
            Survival::Everything => Self::durable(&self.issued),
            Survival::NamesWithHalfTheContent if self.durable == self.issued => Self::durable(&self.issued),
            Survival::NamesWithHalfTheContent => Self::durable(half),
        }
    }
}

/// The folder: which content each of the two names stands for.
#[derive(Clone, Default)]
struct Names {
    state: Option<Content>,
    temporary: Option<Content>,
}

struct Inner {
    issued: Names,
    /// What the names stood for when the folder was last synced.
    durable: Names,
    steps: usize,
    cut_at: Option<usize>,
}

/// A medium in memory whose power can be cut at any step. Clones share it.
#[derive(Clone)]
pub struct FaultyMedium(Arc<Mutex<Inner>>);

impl FaultyMedium {
    /// A medium that durably holds `image`.
    #[must_use]
    pub fn new(image: &[u8]) -> Self {
        let names = Names { state: Some(Content::durable(image)), temporary: None };
        Self(Arc::new(Mutex::new(Inner { issued: names.clone(), durable: names, steps: 0, cut_at: None })))
    }

    /// Cuts the power instead of step `step`, counted from now; a write is cut in its middle.
    pub fn cut_at(&self, step: usize) {
        let mut inner = self.lock();
        inner.steps = 0;
        inner.cut_at = Some(step);
    }

    /// Ends a fault that was passing, such as a full disk: steps work again, nothing else changes.
    pub fn heal(&self) {
        self.lock().cut_at = None;
    }

    /// Whether the power is gone.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        let inner = self.lock();
        inner.cut_at.is_some_and(|cut| inner.steps > cut)
    }

    /// A medium with what this one holds after the power returned.
    #[must_use]
    pub fn after_cut(&self, survival: Survival) -> Self {
        let inner = self.lock();
        let names = if survival == Survival::OnlyDurable { &inner.durable } else { &inner.issued };
        // Content synced after the folder was last synced is found under its issued name.
        let newest = |name: &Option<Content>| name.as_ref().map(|content| content.after_cut(survival));
        let names = Names { state: newest(&names.state), temporary: newest(&names.temporary) };
        Self(Arc::new(Mutex::new(Inner { issued: names.clone(), durable: names, steps: 0, cut_at: None })))
    }

    /// Runs one step unless the power goes at it; `torn` is what a cut step still does.
    fn step(&self, act: impl FnOnce(&mut Inner), torn: impl FnOnce(&mut Inner)) -> io::Result<()> {
        let mut inner = self.lock();
        let step = inner.steps;
        inner.steps += 1;
        match inner.cut_at {
            Some(cut) if step > cut => Err(power_is_gone()),
            Some(cut) if step == cut => {
                torn(&mut inner);
                Err(power_is_gone())
            }
            _ => {
                act(&mut inner);
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn power_is_gone() -> io::Error {
    io::Error::other("the power is gone")
}

impl Medium for FaultyMedium {
    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        if self.is_cut() {
            return Err(power_is_gone());
        }
        let inner = self.lock();
        inner
            .issued
            .state
            .as_ref()
            .map(|content| content.issued.clone())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_state(&mut self) -> io::Result<()> {
        self.step(|inner| inner.issued.state.as_mut().map_or((), Content::sync), |_| ())
    }

    fn create_temporary(&mut self) -> io::Result<()> {
        self.step(|inner| inner.issued.temporary = Some(Content::default()), |_| ())
    }

    fn write_temporary(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = |inner: &mut Inner, bytes: &[u8]| {
            if let Some(content) = &mut inner.issued.temporary {
                content.issued = Zeroizing::new(bytes.to_vec());
            }
        };
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        self.step(|inner| write(inner, bytes), |inner| write(inner, half))
    }

    fn sync_temporary(&mut self) -> io::Result<()> {
        self.step(|inner| inner.issued.temporary.as_mut().map_or((), Content::sync), |_| ())
    }

    fn rename_temporary(&mut self) -> io::Result<()> {
        self.step(|inner| inner.issued.state = inner.issued.temporary.take(), |_| ())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.step(|inner| inner.durable = inner.issued.clone(), |_| ())
    }
}
