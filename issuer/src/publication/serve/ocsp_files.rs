//! The published OCSP answers as files: whether each is there and of the right form, and until when all in it are good.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::crl_files::{FileState, Stamp};
use super::index::Revision;
use crate::publication::ocsp_answers::{FOLDER, PublishedAnswers, is_answers_file};

/// Looks at each file when it has changed, and only then.
pub(super) struct OcspFiles {
    root: PathBuf,
    judged: Mutex<BTreeMap<String, (Stamp, FileState)>>,
}

impl OcspFiles {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, judged: Mutex::default() }
    }

    /// Every file of answers that is there, or that the publication says it has: its path, and what is the matter with it.
    pub(super) fn all(&self) -> BTreeMap<String, FileState> {
        let entries = fs::read_dir(self.root.join(FOLDER)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: BTreeSet<String> = names.filter(|name| is_answers_file(name)).collect();
        names.extend(Revision::of(&self.root).iter().flat_map(Revision::answers));
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.retain(|name, _| names.contains(name));
        let path = |name: &String| format!("{FOLDER}/{name}");
        names.iter().map(|name| (path(name), self.judge(name, &mut judged))).collect()
    }

    fn judge(&self, name: &str, judged: &mut BTreeMap<String, (Stamp, FileState)>) -> FileState {
        let file = self.root.join(FOLDER).join(name);
        let metadata = fs::symlink_metadata(&file).ok().filter(Metadata::is_file);
        let Some(stamp) = metadata.as_ref().map(Stamp::of) else { return FileState::Missing };
        if let Some((known, state)) = judged.get(name)
            && *known == stamp
        {
            return *state;
        }
        let state = match PublishedAnswers::open(&file) {
            Ok(answers) => FileState::Whole(answers.first_to_end()),
            Err(_) => FileState::Damaged,
        };
        judged.insert(name.to_owned(), (stamp, state));
        state
    }
}
