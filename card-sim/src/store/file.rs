//! A state file: a snapshot, and a journal of the changes since, so that a change costs one sync.
//!
//! A change is appended and synced. When the journal is long, or the file is not as it was left, a new snapshot takes
//! the file's place: written beside it, synced, renamed, and the folder synced. A file that is closed is a snapshot
//! alone, so that any damage to a card at rest shows.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::folder::{self, Folder};
use super::journal::{self, Chain};
use super::seal::{Lock, Seal};
use super::{Store, StoreError, image};

pub use super::folder::write_new_file;

/// The journal may be as long as the snapshot, and in any case this long.
const SHORT_JOURNAL: u64 = 1 << 16;

/// The steps of a change, each of which the power may cut.
///
/// A medium holds one file under its final name and at most one under a temporary name.
pub trait Medium: Send {
    /// Reads the file under its final name.
    ///
    /// # Errors
    /// What the system says.
    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>>;

    /// Whether the file under its final name is the one last read or put there, ours alone, and this long.
    fn is_as_left(&mut self, length: u64) -> bool;

    /// Writes at the end of the file under its final name, which is `length` bytes long.
    ///
    /// # Errors
    /// What the system says.
    fn append(&mut self, length: u64, content: &[u8]) -> io::Result<()>;

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
pub struct FileStore<M: Medium = Folder> {
    medium: M,
    path: PathBuf,
    lock: Lock,
    journal_limit: Option<u64>,
    /// What the file holds, once it was read.
    known: Option<Known>,
}

struct Known {
    body: Zeroizing<Vec<u8>>,
    /// Where changes are appended; without it the next one makes a new snapshot.
    chain: Option<Chain>,
    is_torn: bool,
}

impl FileStore {
    /// Opens and locks a state file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::InUse`] or [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::on(Folder::open(path)?, path))
    }

    /// Opens and locks a state file that may be encrypted under a passphrase.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_passphrase(path: &Path, passphrase: &[u8]) -> Result<Self, StoreError> {
        let mut store = Self::open(path)?;
        store.lock = Lock::with_passphrase(passphrase);
        Ok(store)
    }

    /// Makes a new state file, mode 0600, and never in place of another file.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::Io`].
    pub fn create(path: &Path, image: &[u8]) -> Result<(), StoreError> {
        folder::create(path, image)
    }

    /// Makes a new state file, encrypted under a passphrase.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] or [`StoreError::Io`].
    pub fn create_encrypted(path: &Path, image: &[u8], passphrase: &[u8]) -> Result<(), StoreError> {
        let seal = Seal::new(passphrase, path)?;
        let (file, _) = journal::snapshot(image::body(image, path)?, Some(&seal), path)?;
        folder::create(path, &file)
    }

    /// Reads the image without locking it: whoever changes it leaves whole what is read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Io`], and what is wrong with the file.
    pub fn peek(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        read_image(path, Lock::default())
    }

    /// The same for a state file that may be encrypted under a passphrase.
    ///
    /// # Errors
    /// As [`Self::peek`].
    pub fn peek_with_passphrase(path: &Path, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        read_image(path, Lock::with_passphrase(passphrase))
    }

    /// Whether a state file needs a passphrase.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Io`].
    pub fn is_encrypted(path: &Path) -> Result<bool, StoreError> {
        Ok(image::is_sealed(&folder::peek(path)?))
    }
}

fn read_image(path: &Path, mut lock: Lock) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let contents = journal::parse(&folder::peek(path)?, path, &mut lock)?;
    image::frame(&contents.body, image::Kind::Plain, path)
}

impl<M: Medium> FileStore<M> {
    /// A store on another medium; `path` only names it in errors.
    pub fn on(medium: M, path: &Path) -> Self {
        Self { medium, path: path.to_owned(), lock: Lock::default(), journal_limit: None, known: None }
    }

    /// The same store, with a new snapshot as soon as the journal has this many bytes; with 0 there is no journal.
    #[must_use]
    pub fn with_journal_limit(mut self, length: u64) -> Self {
        self.journal_limit = Some(length);
        self
    }

    fn error(&self, action: &'static str) -> impl FnOnce(io::Error) -> StoreError + use<M> {
        let path = self.path.clone();
        move |source| StoreError::Io { path, action, source }
    }

    /// The chain that the next change is appended to, if it may be.
    fn appendable(&mut self) -> Option<Chain> {
        let chain = self.known.as_ref()?.chain.clone()?;
        let limit = self.journal_limit.unwrap_or(SHORT_JOURNAL.max(chain.length_of_snapshot()));
        let is_short = chain.length_of_records() < limit;
        (is_short && self.medium.is_as_left(chain.end())).then_some(chain)
    }

    fn append(&mut self, chain: &Chain, body: &[u8]) -> Result<Chain, StoreError> {
        let old = self.known.as_ref().map(|known| known.body.as_slice()).unwrap_or_default();
        let change = super::patch::diff(old, body);
        let (record, next) = chain.record(&change, self.lock.seal(), &self.path)?;
        self.medium.append(chain.end(), &record).map_err(self.error("write it"))?;
        self.medium.sync_state().map_err(self.error("make it durable"))?;
        Ok(next)
    }

    fn write_snapshot(&mut self, body: &[u8]) -> Result<Chain, StoreError> {
        let (file, chain) = journal::snapshot(body, self.lock.seal(), &self.path)?;
        self.medium.create_temporary().map_err(self.error("make a new file beside it"))?;
        self.medium.write_temporary(&file).map_err(self.error("write it"))?;
        self.medium.sync_temporary().map_err(self.error("make it durable"))?;
        self.medium.rename_temporary().map_err(self.error("replace it"))?;
        self.medium.sync_folder().map_err(self.error("make its replacement durable"))?;
        Ok(chain)
    }
}

impl<M: Medium> Store for FileStore<M> {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let was_uncertain = self.known.as_ref().is_some_and(|known| known.chain.is_none());
        let file = self.medium.read().map_err(self.error("read it"))?;
        let contents = journal::parse(&file, &self.path, &mut self.lock)?;
        let is_current = contents.version == image::VERSION && !contents.is_torn && !was_uncertain;
        let image = image::frame(&contents.body, image::Kind::Plain, &self.path)?;
        let chain = is_current.then_some(contents.chain);
        self.known = Some(Known { body: contents.body, chain, is_torn: contents.is_torn });
        Ok(image)
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        let body = image::body(image, &self.path)?;
        let written = match self.appendable() {
            Some(chain) => self.append(&chain, body),
            None => self.write_snapshot(body),
        };
        // After a failure nobody knows what the file holds, and after a failed sync a second one may succeed without
        // having written what the first one dropped: so then everything is written anew.
        let body = Zeroizing::new(body.to_vec());
        let (chain, result) = match written {
            Ok(chain) => (Some(chain), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.known = Some(Known { body, chain, is_torn: false });
        result
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        if let Some(Known { body, is_torn: true, .. }) = &self.known {
            tracing::warn!("{}: its last change was never completed and is gone", self.path.display());
            let body = body.clone();
            let chain = self.write_snapshot(&body)?;
            self.known = Some(Known { body, chain: Some(chain), is_torn: false });
            return Ok(());
        }
        let synced = self.medium.sync_state().and_then(|()| self.medium.sync_folder());
        synced.map_err(self.error("make it durable"))
    }
}

impl<M: Medium> Drop for FileStore<M> {
    /// Leaves a snapshot alone. Where that fails, snapshot and journal say the same.
    fn drop(&mut self) {
        if let Some(Known { body, chain: Some(chain), .. }) = self.known.take()
            && chain.length_of_records() > 0
            && self.medium.is_as_left(chain.end())
            && let Err(error) = self.write_snapshot(&body)
        {
            tracing::debug!("{error}");
        }
    }
}
