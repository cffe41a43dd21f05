//! Files that are replaced atomically and durably.
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::PublicationError;
use super::layout::{BY_EMAIL, LOCK, UNFINISHED};

/// A directory of ours; all paths are relative to it.
pub(crate) struct FileStore {
    root: PathBuf,
    /// Folders whose entries changed and have not been made durable yet.
    changed: RefCell<BTreeSet<PathBuf>>,
}

impl FileStore {
    pub(crate) fn open(root: &Path) -> Result<Self, PublicationError> {
        fs::create_dir_all(root).map_err(|error| at(root, error))?;
        Ok(Self { root: root.to_owned(), changed: RefCell::default() })
    }

    /// Keeps other publishers out until it is dropped.
    pub(crate) fn lock(&self) -> Result<File, PublicationError> {
        let path = self.root.join(LOCK);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| at(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(PublicationError::InUse(self.root.clone())),
            Err(TryLockError::Error(error)) => Err(at(&path, error)),
        }
    }

    /// Contents of a file; `None` where there is none.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, PublicationError> {
        let path = self.root.join(path);
        match fs::read(&path) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&path, error)),
        }
    }

    /// Whether a file has just these contents; nothing of it stays in memory, and of another length nothing is read.
    pub(crate) fn holds(&self, path: &Path, contents: &[u8]) -> Result<bool, PublicationError> {
        let full = self.root.join(path);
        match is_file_of(&full, contents) {
            Ok(is_it) => Ok(is_it),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(at(&full, error)),
        }
    }

    /// Entries of a folder, sorted; none where there is no folder.
    pub(crate) fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, PublicationError> {
        let full = self.root.join(folder);
        let entries = match fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(at(&full, error)),
        };
        let names = entries.map(|entry| entry.map(|entry| folder.join(entry.file_name())));
        let mut paths = names.collect::<io::Result<Vec<_>>>().map_err(|error| at(&full, error))?;
        paths.sort();
        Ok(paths)
    }

    /// Puts a whole, durable file where an older one or none was; readable by everybody.
    pub(crate) fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), PublicationError> {
        let full = self.root.join(path);
        let folder = full.parent().unwrap_or(&self.root);
        self.create_folder(folder)?;
        let write = || -> io::Result<()> {
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
            file.write_all(contents)?;
            make_public(file.as_file())?;
            date_after(&full, file.as_file())?;
            file.as_file().sync_all()?;
            file.persist(&full).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| at(&full, error))?;
        self.changed.borrow_mut().insert(folder.to_owned());
        Ok(())
    }

    /// Removes a file and, when it was the last, its folder below the certificates; one that is not there is
    /// no error.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), PublicationError> {
        let full = self.root.join(path);
        match fs::remove_file(&full) {
            Ok(()) => (),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(at(&full, error)),
        }
        let Some(folder) = full.parent() else { return Ok(()) };
        if path.starts_with(BY_EMAIL) && fs::remove_dir(folder).is_ok() {
            self.changed.borrow_mut().extend(folder.parent().map(Path::to_owned));
        } else {
            self.changed.borrow_mut().insert(folder.to_owned());
        }
        Ok(())
    }

    /// Removes what a killed run left behind; answers how many files that were.
    pub(crate) fn remove_unfinished(&self) -> Result<usize, PublicationError> {
        let mut folders = vec![
            PathBuf::new(),
            super::layout::AUTHORITIES.into(),
            super::layout::REVOCATIONS.into(),
            super::ocsp_answers::FOLDER.into(),
        ];
        folders.extend(Path::new(super::layout::CHECKPOINT).parent().map(Path::to_owned));
        folders.extend(self.list(Path::new(BY_EMAIL))?);
        let mut count = 0;
        for folder in folders {
            for path in self.list(&folder)? {
                let name = path.file_name().unwrap_or_default();
                if name.to_string_lossy().starts_with(UNFINISHED) {
                    self.remove(&path)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Makes all changed folders durable.
    pub(crate) fn sync(&self) -> Result<(), PublicationError> {
        for folder in std::mem::take(&mut *self.changed.borrow_mut()) {
            let synced = File::open(&folder).and_then(|folder| folder.sync_all());
            match synced {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&folder, error)),
                _ => (),
            }
        }
        Ok(())
    }

    fn create_folder(&self, folder: &Path) -> Result<(), PublicationError> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        let parents = folder.ancestors().skip(1).take_while(|parent| parent.starts_with(&self.root));
        self.changed.borrow_mut().extend(parents.map(Path::to_owned));
        Ok(())
    }
}

fn is_file_of(path: &Path, contents: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len());
    if length.ok() != Some(contents.len()) {
        return Ok(false);
    }
    let mut buffer = vec![0; contents.len().min(64 * 1024)];
    let mut rest = contents;
    while !rest.is_empty() {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count).and_then(|read| rest.strip_prefix(read)) {
            Some(after) if count > 0 => rest = after,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Whoever asks whether a file has changed since he has it (If-Modified-Since) knows its date to a second: each version has
/// another one.
fn date_after(previous: &Path, file: &File) -> io::Result<()> {
    let Ok(before) = fs::symlink_metadata(previous).and_then(|metadata| metadata.modified()) else {
        return Ok(());
    };
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (before, own) = (seconds(before), seconds(file.metadata()?.modified()?));
    // One that is far ahead was not dated here.
    if own <= before && before - own <= FAR_AHEAD {
        file.set_modified(UNIX_EPOCH + Duration::from_secs(before + 1))?;
    }
    Ok(())
}

/// In seconds; a clock that was set back says more.
const FAR_AHEAD: u64 = 3600;

/// Temporary files are made with mode 0600.
#[cfg(unix)]
fn make_public(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_public(_file: &File) -> io::Result<()> {
    Ok(())
}

fn at(path: &Path, error: io::Error) -> PublicationError {
    PublicationError::Io { path: path.to_owned(), error }
}
