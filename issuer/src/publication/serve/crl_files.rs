//! The published CRLs as files: whether each is there and whole, and until when it is good.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::index::Revision;
use crate::ca::certificate::verify_signed;
use crate::ca::crl::view::CrlView;
use crate::ca::{CaError, Certificate};
use crate::publication::layout;

/// What is the matter with a CRL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CrlState {
    /// It is whole; whether it is still good its nextUpdate says, if it has one.
    Whole(Option<Timestamp>),
    /// It is no CRL, or not what the published authority of its name signed.
    Damaged,
    /// It is not there, and the publication had it.
    Missing,
}

/// Looks at each file when it has changed, and only then.
pub(super) struct CrlFiles {
    root: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The publication that was looked at last, and what was in it.
    revision: Option<Revision>,
    names: BTreeSet<String>,
    judged: BTreeMap<String, (Stamp, CrlState)>,
}

/// Changes with whatever is done to a file: its number, its size, and the time of the last change in any of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, u64, i64, i64);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec())
    }
}

impl CrlFiles {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, seen: Mutex::default() }
    }

    /// Every CRL that is there, or was when this publication was first looked at.
    pub(super) fn all(&self) -> BTreeMap<String, CrlState> {
        let before = Revision::of(&self.root);
        let mut names = self.list();
        if before.is_some() && before == Revision::of(&self.root) {
            let mut seen = self.seen();
            if seen.revision == before {
                names.extend(seen.names.iter().cloned());
            }
            seen.judged.retain(|name, _| names.contains(name));
            seen.revision = before;
            seen.names.clone_from(&names);
        }
        names.into_iter().map(|name| (name.clone(), self.judge(&name))).collect()
    }

    /// One of them; read only if it has changed.
    pub(super) fn judge(&self, name: &str) -> CrlState {
        let file = self.root.join(layout::REVOCATIONS).join(name);
        let metadata = fs::symlink_metadata(&file).ok().filter(Metadata::is_file);
        let Some(stamp) = metadata.as_ref().map(Stamp::of) else { return CrlState::Missing };
        if let Some((known, state)) = self.seen().judged.get(name)
            && *known == stamp
        {
            return *state;
        }
        let Ok(contents) = fs::read(&file) else { return CrlState::Damaged };
        let state = match self.check(&contents) {
            Ok(next_update) => CrlState::Whole(next_update),
            Err(_) => CrlState::Damaged,
        };
        self.seen().judged.insert(name.to_owned(), (stamp, state));
        state
    }

    /// The nextUpdate of a CRL that its authority signed, where that authority is published too.
    fn check(&self, contents: &[u8]) -> Result<Option<Timestamp>, CaError> {
        let crl = CrlView::from_der(contents)?;
        if let Some(authority) = crl.authority_key_identifier().and_then(|key| self.authority(&key)) {
            verify_signed(contents, "CRL", authority.public_key())?;
        }
        Ok(crl.next())
    }

    fn authority(&self, key_identifier: &[u8]) -> Option<Certificate> {
        let file = Path::new(layout::AUTHORITIES).join(format!("{}.cer", hex::encode(key_identifier)));
        Certificate::from_der(fs::read(self.root.join(file)).ok()?).ok()
    }

    fn list(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.root.join(layout::REVOCATIONS)).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "crl"))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with(layout::UNFINISHED))
            .collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
