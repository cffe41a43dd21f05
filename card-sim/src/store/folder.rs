//! The real medium: a file in a folder, mode 0600, locked while in use.
//!
//! The lock is held on a file of its own beside it (`STATE.lock`), because the state file is another file after every
//! new snapshot; and on the state file itself, because it may have another name beside another lock. The lock file
//! stays; the locks end with the process.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use super::StoreError;
use super::file::Medium;

static SYNCS: AtomicU64 = AtomicU64::new(0);

/// How often this process has made a file or folder of cards durable: what a change of state costs most.
#[must_use]
pub fn syncs() -> u64 {
    SYNCS.load(Ordering::Relaxed)
}

fn counted(sync: io::Result<()>) -> io::Result<()> {
    SYNCS.fetch_add(1, Ordering::Relaxed);
    sync
}

/// A state file, locked.
pub struct Folder {
    path: PathBuf,
    temporary: PathBuf,
    /// The file under the final name.
    state: Option<State>,
    /// The file under the temporary name.
    new: Option<File>,
    _lock: File,
}

struct State {
    file: File,
    is_writable: bool,
}

impl Folder {
    /// Opens and locks a state file.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io_error = |action, source| StoreError::Io { path: path.to_owned(), action, source };
        // One name for one card: links to the same file must meet at the same lock.
        let real = fs::canonicalize(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { path: path.to_owned() },
            _ => io_error("open it", source),
        })?;
        let lock = private_file().create(true).truncate(false).open(beside(&real, ".lock"));
        let lock = lock.map_err(|source| io_error("make its lock file", source))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { path: path.to_owned() },
            TryLockError::Error(source) => io_error("lock it", source),
        })?;
        let state = State::open(&real).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => StoreError::InUse { path: path.to_owned() },
            _ => io_error("read it", source),
        })?;
        let temporary = beside(&real, ".new");
        // What a cut replacement left behind holds keys: it goes now.
        remove_if_there(&temporary).map_err(|source| io_error("remove what was left beside it", source))?;
        Ok(Self { path: real, temporary, state: Some(state), new: None, _lock: lock })
    }

    fn state(&mut self) -> io::Result<&mut State> {
        if self.state.is_none() {
            self.state = Some(State::open(&self.path)?);
        }
        self.state.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl State {
    /// Opens the file and locks it; [`io::ErrorKind::WouldBlock`] when another has the lock.
    fn open(path: &Path) -> io::Result<Self> {
        let state = Self::open_unlocked(path)?;
        state.file.try_lock()?;
        Ok(state)
    }

    fn open_unlocked(path: &Path) -> io::Result<Self> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Ok(Self { file, is_writable: true }),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Ok(Self { file: File::open(path)?, is_writable: false })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether this file, and no other, has the name, and the name is its only one.
    #[cfg(unix)]
    fn is_alone_at(&self, path: &Path, length: u64) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let (ours, named) = (self.file.metadata()?, fs::metadata(path)?);
        let is_private = ours.mode() & 0o077 == 0;
        let is_same = (ours.dev(), ours.ino()) == (named.dev(), named.ino());
        Ok(is_private && is_same && ours.nlink() == 1 && ours.len() == length)
    }

    #[cfg(not(unix))]
    fn is_alone_at(&self, path: &Path, length: u64) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == length && fs::metadata(path)?.len() == length)
    }
}

impl Medium for Folder {
    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        // Whatever has the name now counts, also when somebody put another file there.
        self.state = None;
        let file = &mut self.state()?.file;
        read_whole(file)
    }

    fn is_as_left(&mut self, length: u64) -> bool {
        let Some(state) = &self.state else { return false };
        state.is_writable && state.is_alone_at(&self.path, length).unwrap_or(false)
    }

    fn append(&mut self, length: u64, content: &[u8]) -> io::Result<()> {
        let file = &mut self.state()?.file;
        file.seek(SeekFrom::Start(length))?;
        file.write_all(content)
    }

    fn sync_state(&mut self) -> io::Result<()> {
        // The content and the length: times of change are not worth a write of their own.
        counted(self.state()?.file.sync_data())
    }

    fn create_temporary(&mut self) -> io::Result<()> {
        remove_if_there(&self.temporary)?;
        let file = private_file().read(true).create_new(true).open(&self.temporary)?;
        file.try_lock()?;
        self.new = Some(file);
        Ok(())
    }

    fn write_temporary(&mut self, content: &[u8]) -> io::Result<()> {
        self.new.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(content)
    }

    fn sync_temporary(&mut self) -> io::Result<()> {
        counted(self.new.as_ref().ok_or(io::ErrorKind::NotFound)?.sync_all())
    }

    fn rename_temporary(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.state = self.new.take().map(|file| State { file, is_writable: true });
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        counted(File::open(folder_of(&self.path))?.sync_all())
    }
}

/// Makes a new state file, mode 0600, and never in place of another file.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    write_new_file(path, content).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StoreError::AlreadyExists { path: path.to_owned() },
        _ => StoreError::Io { path: path.to_owned(), action: "write it", source },
    })
}

/// Reads a state file that others may be writing.
pub(super) fn peek(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    File::open(path).and_then(|mut file| read_whole(&mut file)).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { path: path.to_owned() },
        _ => StoreError::Io { path: path.to_owned(), action: "read it", source },
    })
}

/// Writes a new file of mode 0600, durably, failing when the name is taken.
///
/// # Errors
/// What the system says; nothing is left under the name.
pub fn write_new_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new().prefix(".card-sim-").tempfile_in(folder).map_err(without_path)?;
    file.write_all(content).map_err(without_path)?;
    counted(file.as_file().sync_all())?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    counted(File::open(folder)?.sync_all())
}

/// Errors of temporary files name a file that nobody knows, and that is gone.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

fn read_whole(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    // Sized beforehand, so that no half-filled copy of the secrets stays behind in freed memory.
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut content = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Options that make files only their owner can open, where the system knows owners.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
