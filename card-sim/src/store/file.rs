//! A state file: locked while in use, 0600, replaced by write, fsync, rename, fsync of the folder.
//!
//! The lock is held on a file of its own beside it (`STATE.lock`), because the state file itself is
//! another file after every replacement. The lock file stays; the lock ends with the process.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Store, StoreError};

/// The steps of a replacement, each of which the power may cut.
///
/// A medium holds one file under its final name and at most one under a temporary name.
pub trait Medium: Send {
    /// Reads the file under its final name.
    ///
    /// # Errors
    /// What the system says.
    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>>;

    /// Makes the content of the file under its final name durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_state(&mut self) -> io::Result<()>;

    /// Makes an empty temporary file, in place of any that is left over.
    ///
    /// # Errors
    /// What the system says.
    fn create_temporary(&mut self) -> io::Result<()>;

    /// Writes the whole content of the temporary file.
    ///
    /// # Errors
    /// What the system says.
    fn write_temporary(&mut self, content: &[u8]) -> io::Result<()>;

    /// Makes the content of the temporary file durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_temporary(&mut self) -> io::Result<()>;

    /// Gives the temporary file the final name.
    ///
    /// # Errors
    /// What the system says.
    fn rename_temporary(&mut self) -> io::Result<()>;

    /// Makes the names in the folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A store in a file of a [`Medium`].
pub struct FileStore<M = Folder> {
    medium: M,
    path: PathBuf,
}

impl FileStore {
    /// Opens and locks a state file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InUse`] or [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
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
        let medium = Folder { temporary: beside(&real, ".new"), path: real, open: None, _lock: lock };
        // What a cut replacement left behind holds keys: it goes now.
        remove_if_there(&medium.temporary)
            .map_err(|source| io_error("remove what was left beside it", source))?;
        Ok(Self { medium, path: path.to_owned() })
    }

    /// Makes a new state file, mode 0600, and never in place of another file.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::Io`].
    pub fn create(path: &Path, image: &[u8]) -> Result<(), StoreError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => StoreError::AlreadyExists { path: path.to_owned() },
            _ => StoreError::Io { path: path.to_owned(), action: "write it", source },
        };
        write_new_file(path, image).map_err(io_error)
    }

    /// Reads the image without locking it: a replacement is atomic, so what is read is whole.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Io`].
    pub fn peek(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        read_whole(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { path: path.to_owned() },
            _ => StoreError::Io { path: path.to_owned(), action: "read it", source },
        })
    }
}

impl<M: Medium> FileStore<M> {
    /// A store on another medium; `path` only names it in errors.
    pub fn on(medium: M, path: &Path) -> Self {
        Self { medium, path: path.to_owned() }
    }
}

impl<M: Medium> Store for FileStore<M> {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let path = &self.path;
        self.medium.read().map_err(|source| StoreError::Io { path: path.clone(), action: "read it", source })
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        let path = &self.path;
        let failed = |action| move |source| StoreError::Io { path: path.clone(), action, source };
        self.medium.create_temporary().map_err(failed("make a new file beside it"))?;
        self.medium.write_temporary(image).map_err(failed("write it"))?;
        self.medium.sync_temporary().map_err(failed("make it durable"))?;
        self.medium.rename_temporary().map_err(failed("replace it"))?;
        self.medium.sync_folder().map_err(failed("make its replacement durable"))
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        let path = &self.path;
        let failed = |source| StoreError::Io { path: path.clone(), action: "make it durable", source };
        self.medium.sync_state().and_then(|()| self.medium.sync_folder()).map_err(failed)
    }
}

/// Writes a new file of mode 0600, durably, failing when the name is taken.
///
/// # Errors
/// What the system says; nothing is left under the name.
pub fn write_new_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new().prefix(".card-sim-").tempfile_in(folder).map_err(without_path)?;
    file.write_all(content).map_err(without_path)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Errors of temporary files name a file that nobody knows, and that is gone.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

/// The real medium: a folder of the file system.
pub struct Folder {
    path: PathBuf,
    temporary: PathBuf,
    open: Option<File>,
    _lock: File,
}

impl Medium for Folder {
    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        read_whole(&self.path)
    }

    fn sync_state(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn create_temporary(&mut self) -> io::Result<()> {
        remove_if_there(&self.temporary)?;
        self.open = Some(private_file().create_new(true).open(&self.temporary)?);
        Ok(())
    }

    fn write_temporary(&mut self, content: &[u8]) -> io::Result<()> {
        self.open.as_mut().ok_or(io::ErrorKind::NotFound)?.write_all(content)
    }

    fn sync_temporary(&mut self) -> io::Result<()> {
        self.open.take().ok_or(io::ErrorKind::NotFound)?.sync_all()
    }

    fn rename_temporary(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(folder_of(&self.path))?.sync_all()
    }
}

fn read_whole(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    // Sized beforehand, so that no half-filled copy of the secrets stays behind in freed memory.
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut content = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
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
