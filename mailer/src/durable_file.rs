//! Files that are either the old or the new one, never half of each: private, synced, renamed into place.
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

/// Replaces or makes the file at `path`, mode 0600; the old content stays until the new one is safely on the disk.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old content is still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    replace_all(folder, &[(path.to_owned(), content)])
}

/// The same for several files of one folder: each is the old or the new one, and when this returns all are on the disk.
///
/// # Errors
/// Those of [`replace`]; some of the files may be the new ones then.
pub fn replace_all(folder: &Path, files: &[(PathBuf, &[u8])]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        file.write_all(content)?;
        written.push((file, path));
    }
    let synced: Vec<&File> = written.iter().map(|(file, _)| file.as_file()).collect();
    sync_together(&synced)?;
    for (file, path) in written {
        file.persist(path).map_err(|refused| refused.error)?;
    }
    sync_folder(folder)
}

/// Several threads wait for the disk: a journalling file system then commits for all of them at once.
fn sync_together(files: &[&File]) -> io::Result<()> {
    const MOST_THREADS: usize = 8;
    let share = files.len().div_ceil(MOST_THREADS).max(1);
    let sync = |share: &[&File]| share.iter().try_for_each(|file| file.sync_all());
    let mut shares = files.chunks(share);
    let own = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| scope.spawn(move || sync(share))).collect();
        let failed = || io::Error::other("a thread that waited for the disk ended");
        let own = sync(own);
        others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(failed()))).fold(own, Result::and)
    })
}

/// Makes a folder and those above it, mode 0700; existing ones stay as they are.
///
/// # Errors
/// A folder cannot be made.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes files of a folder that were last written more than a day before `now`, as far as `is_leftover` finds them by name.
/// What cannot be removed stays: leftovers do no harm.
pub fn sweep(folder: &Path, now: Timestamp, is_leftover: impl Fn(&str) -> bool) {
    const OLD: SignedDuration = SignedDuration::from_hours(24);
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let written = file.metadata().and_then(|facts| facts.modified()).ok();
        let written = written.and_then(|time| Timestamp::try_from(time).ok());
        let is_old = written.is_some_and(|written| now.duration_since(written) > OLD);
        if is_old && file.file_name().to_str().is_some_and(&is_leftover) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// Makes names in a folder survive a power cut.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_old_leftovers_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".new-1", "kept"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let written = std::fs::metadata(folder.path().join("kept")).unwrap().modified().unwrap();
        let written = Timestamp::try_from(written).unwrap();
        for (hours, left) in [(-30, 2), (23, 2), (25, 1)] {
            sweep(folder.path(), written + SignedDuration::from_hours(hours), |name| {
                name.starts_with(".new-")
            });
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), left, "{hours}");
        }
    }

    #[test]
    fn many_files_are_replaced_together() {
        let folder = tempfile::tempdir().unwrap();
        let contents: Vec<Vec<u8>> = (0..37).map(|number| vec![number; 1000]).collect();
        for round in 0..2 {
            let path = |number: usize| folder.path().join((number + round).to_string());
            let files: Vec<(PathBuf, &[u8])> =
                contents.iter().enumerate().map(|(number, content)| (path(number), &content[..])).collect();
            replace_all(folder.path(), &files).unwrap();
            for (path, content) in &files {
                assert_eq!(std::fs::read(path).unwrap(), *content);
            }
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 37 + round);
        }
        replace_all(folder.path(), &[]).unwrap();
        let missing = folder.path().join("missing");
        assert!(replace_all(&missing, &[(missing.join("file"), b"x")]).is_err());
    }

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_private_folder(&inner).unwrap();
        let path = inner.join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&inner).unwrap().count(), 1);
    }
}
