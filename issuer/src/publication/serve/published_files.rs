//! Whether files are those that were published last: older ones that somebody put back are signed and whole, and good until
//! their nextUpdate, but they are not what the publication says it has.
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::crl_files::Stamp;
use super::index::Revision;
use crate::publication::{file_digest, layout};

/// What is not as it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The file is gone.
    Missing,
    /// It is another.
    Other,
}

/// Looks at each file when it has changed, and only then.
pub(super) struct PublishedFiles {
    root: PathBuf,
    known: Mutex<BTreeMap<String, (Stamp, String)>>,
}

impl PublishedFiles {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default() }
    }

    /// What is not as it was published, by its path. None while something is being published, or where the publication did
    /// not say.
    pub(super) fn differences(&self, now: Timestamp) -> BTreeMap<String, Difference> {
        let publication = Revision::of(&self.root);
        let came_at = self.stamp(layout::REVISION).and_then(Stamp::changed_at);
        let (Some(publication), Some(came_at)) = (publication, came_at) else { return BTreeMap::new() };
        let digests = publication.digests();
        self.known().retain(|path, _| digests.contains_key(path));
        let has_arrived = came_at.saturating_add(ON_ITS_WAY).is_ok_and(|end| end <= now);
        let difference = |path: &str, digest: &str| match self.look(path) {
            None => has_arrived.then_some(Difference::Missing),
            Some((_, found)) if found == digest => None,
            Some((stamp, _)) => {
                let came_later = stamp.changed_at().is_some_and(|at| at >= came_at);
                (has_arrived || came_later).then_some(Difference::Other)
            }
        };
        let found =
            digests.iter().filter_map(|(path, digest)| Some((path.clone(), difference(path, digest)?)));
        let found = found.collect();
        // Of two publications each has its own files.
        if Revision::of(&self.root) == Some(publication) { found } else { BTreeMap::new() }
    }

    /// Whether a publication was begun here and never came to its end: a disk was full, or the program was killed. Of a copy
    /// without the publisher's own files nothing can be told.
    pub(super) fn is_unfinished(&self, now: Timestamp) -> bool {
        let is_publisher_s = self.root.join(layout::LOCK).is_file();
        if !is_publisher_s || Revision::of(&self.root).is_some() {
            return false;
        }
        // With the removal of `.revision` the folder was changed.
        let changed_at = fs::metadata(&self.root).ok().and_then(|root| Stamp::of(&root).changed_at());
        changed_at.and_then(|at| at.checked_add(LONGEST_PUBLICATION).ok()).is_some_and(|end| end <= now)
    }

    fn look(&self, path: &str) -> Option<(Stamp, String)> {
        let stamp = self.stamp(path)?;
        if let Some((known, digest)) = self.known().get(path)
            && *known == stamp
        {
            return Some((stamp, digest.clone()));
        }
        let digest = file_digest::of_file(&self.root.join(path)).ok()??;
        self.known().insert(path.to_owned(), (stamp, digest.clone()));
        Some((stamp, digest))
    }

    fn stamp(&self, path: &str) -> Option<Stamp> {
        let metadata = fs::symlink_metadata(self.root.join(path)).ok().filter(Metadata::is_file)?;
        Some(Stamp::of(&metadata))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (Stamp, String)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long files may still be on their way after `.revision` came. The publisher puts it there last; whoever copies the
/// directory to another computer (rsync) may bring it first.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(10);
/// The first one of a million certificates takes that long.
const LONGEST_PUBLICATION: SignedDuration = SignedDuration::from_hours(1);
