//! The published CRLs as files: whether each is there and whole, and until when it is good; `crl.pem` too, which holds those
//! of all authorities.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::index::Revision;
use super::memory::{CrlNumber, Memory, Numbers};
use crate::ca::certificate::{pem_blocks, pem_contents, to_pem, verify_signed};
use crate::ca::crl::view::CrlView;
use crate::ca::{CaError, Certificate};
use crate::publication::layout::{self, CrlKind, CrlName};
use crate::publication::life::Life;

const PEM_LABEL: &str = "X509 CRL";

/// What is the matter with a file of CRLs, or of OCSP answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// It is whole; whether it is still good its life says, if it has a nextUpdate; of several that which ends first.
    Whole(Option<Life>),
    /// It is whole, and its number is lower than one that was here before: somebody put it back.
    Older(Option<Life>),
    /// It is nothing of the kind, or no CRL that the published authority of its name signed.
    Damaged,
    /// It is not there, and the publication had it.
    Missing,
}

/// Looks at each file when it has changed, and only then.
pub(super) struct CrlFiles {
    root: PathBuf,
    seen: Mutex<Seen>,
    /// Where the highest numbers outlive the program.
    memory: Option<Memory>,
}

#[derive(Default)]
struct Seen {
    /// The publication that was looked at last, and what was in it.
    revision: Option<Revision>,
    names: BTreeSet<String>,
    judged: BTreeMap<String, (Stamp, FileState)>,
    /// The highest number that each CRL had; also of those that are gone, which may come back.
    numbers: Numbers,
    /// Whether one has grown since they were written down.
    have_grown: bool,
}

/// What a CRL says.
struct Checked {
    life: Option<Life>,
    number: CrlNumber,
    /// Whether its authority is published and signed it.
    is_proven: bool,
}

/// Changes with whatever is done to a file: its number, its size, and the time of the last change in any of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64, u64, i64, i64);

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self(metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec())
    }

    /// When the file was put there, or changed in any way.
    pub(super) fn changed_at(self) -> Option<Timestamp> {
        Timestamp::new(self.2, i32::try_from(self.3).ok()?).ok()
    }
}

impl CrlFiles {
    pub(super) fn new(root: PathBuf, memory: Option<Memory>) -> Self {
        let numbers = memory.as_ref().map(|memory| memory.numbers.clone()).unwrap_or_default();
        Self { root, seen: Mutex::new(Seen { numbers, ..Seen::default() }), memory }
    }

    /// Every CRL that is there, that the publication says it has, or that was there when this publication was first looked at.
    pub(super) fn all(&self) -> BTreeMap<String, FileState> {
        let before = Revision::of(&self.root);
        let mut names = self.list();
        names.extend(before.iter().flat_map(Revision::crls));
        if before.is_some() && before == Revision::of(&self.root) {
            let mut seen = self.seen();
            if seen.revision == before {
                names.extend(seen.names.iter().cloned());
            }
            seen.judged.retain(|name, _| names.contains(name) || name == layout::CRLS);
            seen.revision = before;
            seen.names.clone_from(&names);
        }
        let judged = names.into_iter().map(|name| (name.clone(), self.look_at(&name))).collect();
        self.remember();
        judged
    }

    /// Why the highest numbers could not be written down.
    pub(super) fn memory_failure(&self) -> Option<String> {
        self.memory.as_ref().and_then(Memory::failure)
    }

    /// Writes down what has grown.
    fn remember(&self) {
        let Some(memory) = &self.memory else { return };
        let grown = || {
            let mut seen = self.seen();
            std::mem::take(&mut seen.have_grown).then(|| seen.numbers.clone())
        };
        if !memory.keep(grown) {
            self.seen().have_grown = true;
        }
    }

    /// Whether a CRL or a file of OCSP answers that this publication does not name is of an authority that has ended: nobody
    /// makes another one, and nobody needs it but for what was signed before.
    pub(super) fn is_of_the_past(&self, name: &str, now: Timestamp) -> bool {
        let Some(publication) = Revision::of(&self.root) else { return false };
        let (crls, answers) = (publication.crls(), publication.answers());
        if crls.is_empty() || crls.iter().chain(&answers).any(|named| named == name) {
            return false;
        }
        let key = name.split(['-', '.']).next().and_then(|key| hex::decode(key).ok());
        key.and_then(|key| self.authority(&key)).is_some_and(|authority| authority.not_after() <= now)
    }

    /// One of them; read only if it has changed.
    pub(super) fn judge(&self, name: &str) -> FileState {
        let state = self.look_at(name);
        self.remember();
        state
    }

    fn look_at(&self, name: &str) -> FileState {
        let file = self.root.join(layout::REVOCATIONS).join(name);
        let look = || {
            self.look(name, &file, |contents| {
                let named = CrlName::parse(name);
                let Checked { life, number, is_proven } = self.check(contents, named.as_ref())?;
                // What anybody may have put there, or is called otherwise, says nothing of those that come.
                let is_newest = named.is_none() || !is_proven || self.is_newest(name, number);
                Ok(if is_newest { FileState::Whole(life) } else { FileState::Older(life) })
            })
        };
        match look() {
            // Somebody else may have read the next one while this one was looked at: then it is there.
            FileState::Older(_) => look(),
            state => state,
        }
    }

    /// Whether a CRL was not here with a higher number before. Numbers grow (RFC 5280 section 5.2.3), whoever brings them.
    fn is_newest(&self, name: &str, number: CrlNumber) -> bool {
        let mut seen = self.seen();
        let highest = seen.numbers.entry(name.to_owned()).or_default();
        if number <= *highest {
            return number == *highest;
        }
        *highest = number;
        seen.have_grown = true;
        true
    }

    /// `crl.pem`: whether it holds whole CRLs and nothing else, that of each authority among them; and until when all of them
    /// are good. Where nothing was published, none is missed.
    pub(super) fn judge_all_in_one(&self) -> Option<FileState> {
        let file = self.root.join(layout::CRLS);
        let state = self.look(layout::CRLS, &file, |contents| self.check_pem(contents).map(FileState::Whole));
        (state != FileState::Missing || Revision::of(&self.root).is_some()).then_some(state)
    }

    fn look(
        &self,
        name: &str,
        file: &Path,
        check: impl FnOnce(&[u8]) -> Result<FileState, CaError>,
    ) -> FileState {
        let metadata = fs::symlink_metadata(file).ok().filter(Metadata::is_file);
        let Some(stamp) = metadata.as_ref().map(Stamp::of) else { return FileState::Missing };
        if let Some((known, state)) = self.seen().judged.get(name)
            && *known == stamp
        {
            return *state;
        }
        let Ok(contents) = fs::read(file) else { return FileState::Damaged };
        let state = check(&contents).unwrap_or(FileState::Damaged);
        self.seen().judged.insert(name.to_owned(), (stamp, state));
        state
    }

    /// Whether it is a CRL, that which its name says if it has one, and signed by its authority where that is published too.
    fn check(&self, contents: &[u8], named: Option<&CrlName>) -> Result<Checked, CaError> {
        let crl = CrlView::from_der(contents)?;
        let key = crl.authority_key_identifier();
        if named.is_some_and(|name| !is_what_it_is_called(&crl, key.as_deref(), name)) {
            return Err(CaError::NotProven("the CRL is another than its name says"));
        }
        let authority = key.and_then(|key| self.authority(&key));
        if let Some(authority) = &authority {
            verify_signed(contents, "CRL", authority.public_key())?;
        }
        let life = crl.next().map(|next_update| Life { this_update: crl.made(), next_update });
        let number = CrlNumber::new(&crl.number().unwrap_or_default());
        Ok(Checked { life, number, is_proven: authority.is_some() })
    }

    fn check_pem(&self, contents: &[u8]) -> Result<Option<Life>, CaError> {
        let damaged = || CaError::NotProven("crl.pem is not what was published");
        let (mut first, mut written, mut keys) = (None::<Life>, 0, BTreeSet::new());
        for block in pem_blocks(contents) {
            let crl = pem_contents(PEM_LABEL, block.text.as_bytes()).ok_or_else(damaged)?;
            let life = self.check(&crl, None)?.life;
            first = [first, life].into_iter().flatten().min_by_key(|life| life.next_update);
            keys.extend(CrlView::from_der(&crl)?.authority_key_identifier().map(hex::encode));
            // As it is written: nothing between the blocks, nothing behind them.
            let text = to_pem(PEM_LABEL, &crl);
            if contents.get(written..).is_none_or(|rest| !rest.starts_with(text.as_bytes())) {
                return Err(damaged());
            }
            written += text.len();
        }
        let published = Revision::of(&self.root).map(|revision| revision.crls()).unwrap_or_default();
        let complete = published.iter().filter_map(|name| CrlName::parse(name));
        let mut complete = complete.filter(|name| name.partition.is_none() && name.kind == CrlKind::Complete);
        if written != contents.len() || !complete.all(|name| keys.contains(&name.authority)) {
            return Err(damaged());
        }
        Ok(first)
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

/// Whether a CRL is that of its name: of this authority, complete or a delta, and of this partition, which its distribution
/// point names.
fn is_what_it_is_called(crl: &CrlView<'_>, key: Option<&[u8]>, name: &CrlName) -> bool {
    let point = crl.distribution_point();
    let partition = point.as_deref().and_then(|url| CrlName::parse(url.rsplit('/').next()?)?.partition);
    key.map(hex::encode).as_deref() == Some(name.authority.as_str())
        && crl.is_delta() == (name.kind == CrlKind::Delta)
        && partition == name.partition
}
