//! A medium that loses power: what tests of the store stand on.
//!
//! It keeps apart what was issued and what is durable, as a file system does: content becomes durable by the sync of
//! its file, names by the sync of their folder. After the cut, what was not durable may have survived or not;
//! [`Survival`] names the cases.

use std::collections::BTreeMap;
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
    /// Names, and a file as long as it was issued to be, with zeros where content was not synced.
    NamesWithZeros,
    /// Any part: which names, and which of the sectors of unsynced content, this number decides.
    AnyPart(u64),
}

impl Survival {
    /// The cases without a number.
    pub const ALL: [Self; 5] = [
        Self::OnlyDurable,
        Self::Everything,
        Self::NamesWithoutContent,
        Self::NamesWithHalfTheContent,
        Self::NamesWithZeros,
    ];

    /// The bit that decides about one sector or name, for a number that decides.
    fn decides(self, which: usize) -> bool {
        let Self::AnyPart(number) = self else { return true };
        // A step of a linear congruential generator, and its best bit.
        let which = u64::try_from(which).unwrap_or(u64::MAX);
        let mixed =
            (number ^ which.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(6_364_136_223_846_793_005);
        mixed >> 63 == 1
    }
}

/// Small, so that a record of the journal has many.
const SECTOR: usize = 16;

/// A file: what it is durably, and what was written since.
#[derive(Clone, Default)]
struct Content {
    durable: Zeroizing<Vec<u8>>,
    issued: Zeroizing<Vec<u8>>,
}

impl Content {
    fn durable(bytes: &[u8]) -> Self {
        let bytes = Zeroizing::new(bytes.to_vec());
        Self { issued: bytes.clone(), durable: bytes }
    }

    fn sync(&mut self) {
        self.durable = self.issued.clone();
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let length = self.issued.len().max(offset + bytes.len());
        self.issued.resize(length, 0);
        if let Some(place) = self.issued.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn after_cut(&self, survival: Survival) -> Self {
        let unsynced = self.issued.len().saturating_sub(self.durable.len());
        let half = self.issued.get(..self.durable.len() + unsynced / 2).unwrap_or_default();
        Self::durable(&match survival {
            Survival::OnlyDurable | Survival::NamesWithoutContent => self.durable.to_vec(),
            Survival::Everything => self.issued.to_vec(),
            Survival::NamesWithHalfTheContent => half.to_vec(),
            Survival::NamesWithZeros => self.mixed(|_| false),
            Survival::AnyPart(_) => {
                let mut mixed = self.mixed(|sector| survival.decides(sector));
                // The length may have been written before the content, or not.
                if survival.decides(usize::MAX) {
                    let written = mixed.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    mixed.truncate(written.max(self.durable.len()));
                }
                mixed
            }
        })
    }

    /// The issued content in the sectors that `survives` names, what was durable there in others.
    fn mixed(&self, survives: impl Fn(usize) -> bool) -> Vec<u8> {
        let old = self.durable.iter().copied().chain(std::iter::repeat(0));
        let both = self.issued.iter().copied().zip(old).enumerate();
        both.map(|(at, (new, old))| if survives(at / SECTOR) { new } else { old }).collect()
    }
}

/// The folder: which file each of the two names stands for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Names {
    state: Option<usize>,
    temporary: Option<usize>,
}

struct Inner {
    files: BTreeMap<usize, Content>,
    issued: Names,
    /// What the names stood for when the folder was last synced.
    durable: Names,
    steps: usize,
    cut_at: Option<usize>,
    syncs: usize,
}

impl Inner {
    fn file(&mut self, name: fn(&Names) -> Option<usize>) -> Option<&mut Content> {
        let file = name(&self.issued)?;
        self.files.get_mut(&file)
    }
}

/// A medium in memory whose power can be cut at any step. Clones share it.
#[derive(Clone)]
pub struct FaultyMedium(Arc<Mutex<Inner>>);

impl FaultyMedium {
    /// A medium that durably holds this file.
    #[must_use]
    pub fn new(file: &[u8]) -> Self {
        let names = Names { state: Some(0), temporary: None };
        Self::holding([(0, Content::durable(file))].into(), names)
    }

    fn holding(files: BTreeMap<usize, Content>, names: Names) -> Self {
        let inner = Inner { files, issued: names, durable: names, steps: 0, cut_at: None, syncs: 0 };
        Self(Arc::new(Mutex::new(inner)))
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

    /// How often something was synced.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.lock().syncs
    }

    /// The file as it was issued.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.lock().file(|names| names.state).map(|content| content.issued.to_vec()).unwrap_or_default()
    }

    /// A medium with what this one holds after the power returned.
    #[must_use]
    pub fn after_cut(&self, survival: Survival) -> Self {
        let inner = self.lock();
        let names_survive = survival != Survival::OnlyDurable && survival.decides(usize::MAX - 1);
        let names = if names_survive { inner.issued } else { inner.durable };
        let files = inner.files.iter().map(|(file, content)| (*file, content.after_cut(survival)));
        Self::holding(files.collect(), names)
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

    fn sync(&self, act: impl FnOnce(&mut Inner)) -> io::Result<()> {
        self.step(
            |inner| {
                inner.syncs += 1;
                act(inner);
            },
            |_| (),
        )
    }

    fn write(&self, name: fn(&Names) -> Option<usize>, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let write = |inner: &mut Inner, bytes: &[u8]| {
            if let Some(content) = inner.file(name) {
                content.write(offset, bytes);
            }
        };
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        self.step(|inner| write(inner, bytes), |inner| write(inner, half))
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
        let mut inner = self.lock();
        let content = inner.file(|names| names.state);
        content.map(|content| content.issued.clone()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn is_as_left(&mut self, length: u64) -> bool {
        let found = self.lock().file(|names| names.state).map(|content| content.issued.len());
        found.and_then(|found| u64::try_from(found).ok()) == Some(length)
    }

    fn append(&mut self, length: u64, content: &[u8]) -> io::Result<()> {
        self.write(|names| names.state, usize::try_from(length).unwrap_or(usize::MAX), content)
    }

    fn sync_state(&mut self) -> io::Result<()> {
        self.sync(|inner| inner.file(|names| names.state).map_or((), Content::sync))
    }

    fn create_temporary(&mut self) -> io::Result<()> {
        let create = |inner: &mut Inner| {
            let file = inner.files.last_key_value().map_or(0, |(last, _)| last + 1);
            inner.files.insert(file, Content::default());
            inner.issued.temporary = Some(file);
        };
        self.step(create, |_| ())
    }

    fn write_temporary(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(|names| names.temporary, 0, bytes)
    }

    fn sync_temporary(&mut self) -> io::Result<()> {
        self.sync(|inner| inner.file(|names| names.temporary).map_or((), Content::sync))
    }

    fn rename_temporary(&mut self) -> io::Result<()> {
        self.step(|inner| inner.issued.state = inner.issued.temporary.take(), |_| ())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.sync(|inner| inner.durable = inner.issued)
    }
}
