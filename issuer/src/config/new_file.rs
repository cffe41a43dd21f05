//! Writing a file that appears whole: whoever sees its name sees all of it.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
use rustix::io::Errno;

/// Writes a file that must not exist yet, durably. It has its name only with everything in it: whoever sees it sees all of
/// it, and a run that is killed leaves nothing of that name.
///
/// # Errors
/// It exists, or the system's error.
pub fn write_new(path: &Path, mode: u32, contents: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::from_raw_mode(mode)).map(std::fs::File::from) {
        Ok(mut file) => {
            file.write_all(contents)?;
            file.sync_all()?;
            let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        }
        // Not every file system has files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            let permissions = std::fs::Permissions::from_mode(mode);
            let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder)?;
            file.write_all(contents)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(path).map_err(|refused| refused.error)?;
        }
        Err(error) => return Err(error.into()),
    }
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sees_a_new_file_sees_all_of_it_and_nobody_overwrites_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let contents = vec![0x5A; 16 * 1024 * 1024];
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                loop {
                    match std::fs::read(&path) {
                        Ok(seen) => return seen,
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                            std::thread::yield_now()
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            write_new(&path, 0o600, &contents).unwrap();
            reader.join().unwrap()
        });
        assert!(seen == contents, "{} octets of {} were seen", seen.len(), contents.len());
        let refused = write_new(&path, 0o600, b"other").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "something was left beside it");
    }
}
