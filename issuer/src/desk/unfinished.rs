//! What is written beside its place until it is whole, and what runs that were killed left of such.
//!
//! Its writer holds a lock on it (flock), which ends with the process, however that ends: what has the name of an unfinished
//! file or folder and is held by nobody is taken away by the next run of the same kind in the same place.

use std::fs::{File, FileType, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::{output, texts};

/// A folder that becomes another when it is whole; dropped before, it goes.
pub(super) struct UnfinishedFolder {
    folder: tempfile::TempDir,
    _held: File,
}

/// A file that becomes another when it is whole, mode 0600; dropped before, it goes.
pub(super) struct UnfinishedFile(tempfile::NamedTempFile);

/// How many letters and digits follow the prefix of a name.
const RANDOM: usize = 6;
/// A run that takes away what was left may look at a new one before it is held: then another is made.
const ATTEMPTS: usize = 100;

impl UnfinishedFolder {
    /// An empty folder, 0700, beside its place.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn beside(place: &Path, prefix: &str) -> Result<Self, Failure> {
        let parent = parent(place);
        std::fs::create_dir_all(&parent).map_err(|error| Failure::file(&parent, &error))?;
        remove_left_behind(&parent, prefix);
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).rand_bytes(RANDOM).permissions(Permissions::from_mode(0o700));
        let make = || -> io::Result<Option<Self>> {
            let folder = builder.tempdir_in(&parent)?;
            let held = File::open(folder.path())?;
            Ok(is_held(&held, folder.path())?.then_some(Self { folder, _held: held }))
        };
        again(make).map_err(|error| Failure::file(&parent, &error))
    }

    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the finished folder the one of this name, durably.
    ///
    /// # Errors
    /// There is something, or the disk is full.
    pub(super) fn put_in_place(self, place: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::file(place, &error);
        File::open(self.path()).and_then(|directory| directory.sync_all()).map_err(failed)?;
        // A directory may take the place of an empty one.
        std::fs::rename(self.path(), place).map_err(failed)?;
        // Renamed: there is nothing left to remove.
        let _ = self.folder.keep();
        File::open(parent(place)).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

impl UnfinishedFile {
    /// A file with these contents, on the disk, beside its place.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn beside(place: &Path, prefix: &str, contents: &[u8]) -> Result<Self, Failure> {
        let parent = parent(place);
        remove_left_behind(&parent, prefix);
        let make = || -> io::Result<Option<tempfile::NamedTempFile>> {
            let file = tempfile::Builder::new().prefix(prefix).rand_bytes(RANDOM).tempfile_in(&parent)?;
            Ok(is_held(file.as_file(), file.path())?.then_some(file))
        };
        let written = again(make).and_then(|mut file| {
            file.write_all(contents)?;
            file.as_file().sync_all()?;
            Ok(file)
        });
        written.map(Self).map_err(|error| Failure::file(place, &error))
    }

    /// Gives it its name, durably; nothing that has it is overwritten.
    ///
    /// # Errors
    /// There is a file of that name, or the disk is full.
    pub(super) fn put_in_place(self, place: &Path) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::file(place, error);
        self.0.persist_noclobber(place).map_err(|error| failed(&error.error))?;
        File::open(parent(place)).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error))
    }
}

fn parent(place: &Path) -> PathBuf {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn again<T>(make: impl Fn() -> io::Result<Option<T>>) -> io::Result<T> {
    for _ in 0..ATTEMPTS {
        if let Some(made) = make()? {
            return Ok(made);
        }
    }
    Err(io::Error::other("somebody else takes away what is written here"))
}

/// Holds what was just made; false if somebody took it away before.
fn is_held(made: &File, path: &Path) -> io::Result<bool> {
    match made.try_lock() {
        Ok(()) => is_still(made, path),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Where nothing can be held, nothing is taken away either.
        Err(TryLockError::Error(_)) => Ok(true),
    }
}

fn is_still(opened: &File, path: &Path) -> io::Result<bool> {
    let opened = opened.metadata()?;
    let there = std::fs::symlink_metadata(path);
    Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())))
}

/// Takes away what runs of the same kind left here, and says so; what cannot be taken away stays.
fn remove_left_behind(folder: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| name.strip_prefix(prefix).is_some_and(is_random)) {
        let path = folder.join(name);
        if remove_unheld(&path).unwrap_or(false) {
            let left = path.display().to_string();
            output::progress(&texts::say("unfinished-left", &[("path", &left)]));
        }
    }
}

fn is_random(rest: &str) -> bool {
    rest.len() == RANDOM && rest.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

fn remove_unheld(path: &Path) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(path)?;
    let kind: FileType = found.file_type();
    if found.uid() != rustix::process::geteuid().as_raw() || !(kind.is_file() || kind.is_dir()) {
        return Ok(false);
    }
    let opened = File::open(path)?;
    if opened.try_lock().is_err() || !is_still(&opened, path)? {
        return Ok(false);
    }
    match kind.is_dir() {
        true => std::fs::remove_dir_all(path)?,
        false => std::fs::remove_file(path)?,
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = ".issuer-test-";

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_nobody_holds_goes_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        let at = |name: &str| folder.path().join(name);
        for name in ["aB3dE6", "aB3dE", "aB3dE67", "aB3-E6"] {
            std::fs::write(at(&format!("{PREFIX}{name}")), "a backup").unwrap();
        }
        std::fs::create_dir(at(".issuer-test-zZ9zZ9")).unwrap();
        std::fs::write(at(".issuer-test-zZ9zZ9/file"), "evidence").unwrap();
        std::os::unix::fs::symlink("/", at(".issuer-test-aaaaaa")).unwrap();
        std::fs::write(at(".another-aB3dE6"), "somebody's").unwrap();

        let (file, other) = (
            UnfinishedFile::beside(&place, PREFIX, b"whole").unwrap(),
            UnfinishedFolder::beside(&at("folder"), PREFIX).unwrap(),
        );
        let left = names(folder.path());
        for gone in ["aB3dE6", "zZ9zZ9"] {
            assert!(!left.contains(&format!("{PREFIX}{gone}")), "{left:?}");
        }
        assert_eq!(left.len(), 7, "five that are no leftovers, and two that are held: {left:?}");
        file.put_in_place(&place).unwrap();
        other.put_in_place(&at("folder")).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"whole");
        assert!(at("folder").is_dir());
        assert_eq!(names(folder.path()).len(), 7);
        let second = UnfinishedFile::beside(&place, PREFIX, b"other").unwrap();
        assert!(second.put_in_place(&place).is_err());
        assert_eq!(std::fs::read(&place).unwrap(), b"whole");
        assert_eq!(names(folder.path()).len(), 7, "what was not put into its place goes");
    }
}
