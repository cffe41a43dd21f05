//! Where a card's state is kept: one image, replaced atomically and durably.

pub mod faulty;
pub mod file;
pub mod folder;
pub mod image;
mod journal;
pub mod memory;
mod patch;
mod seal;

use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// Holds one image. A replacement is all or nothing, also when the power fails in it.
pub trait Store: Send {
    /// The image as it was last replaced.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the medium cannot be read.
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError>;

    /// Puts a new image in place of the old one; it is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the medium then holds the old image or the new one, whole.
    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError>;

    /// Makes what [`Self::read`] gives durable: whoever replaced it may have ended before that was done.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what was read may be gone after a power cut.
    fn make_durable(&mut self) -> Result<(), StoreError>;
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("{}: no such card; make one with `card-sim new`", path.display())]
    NotFound {
        /// The state file.
        path: PathBuf,
    },
    /// A new card must not take an existing file's place.
    #[error("{}: the file exists and was left as it is; choose another name or remove it first", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another part of this one, has the card.
    #[error("{}: the card is in use by another process; stop that one first", path.display())]
    InUse {
        /// The state file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: not a card-sim state file", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
    },
    /// The file ends early.
    #[error(
        "{}: the state file is truncated: {found} bytes instead of {expected}; restore it from a copy", path.display()
    )]
    Truncated {
        /// The state file.
        path: PathBuf,
        /// Bytes the header announces.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The checksum does not match, or the content makes no sense.
    #[error("{}: the state file is damaged ({what}); restore it from a copy", path.display())]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// Which part failed which check.
        what: String,
    },
    /// The file is encrypted, and nobody gave a passphrase.
    #[error(
        "{}: the state file is encrypted; `card-sim run`, which asks for its passphrase, puts it into a reader",
        path.display()
    )]
    PassphraseNeeded {
        /// The state file.
        path: PathBuf,
    },
    /// The file is encrypted under another passphrase.
    #[error("{}: wrong passphrase", path.display())]
    WrongPassphrase {
        /// The state file.
        path: PathBuf,
    },
    /// A newer card-sim wrote the file.
    #[error(
        "{}: the state file has version {found}, this card-sim reads up to {newest}; use a newer card-sim",
        path.display()
    )]
    NewerVersion {
        /// The state file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version known here.
        newest: u16,
    },
    /// The system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// A stable word for programs, the same in every version.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "state-not-found",
            Self::AlreadyExists { .. } => "state-exists",
            Self::InUse { .. } => "state-in-use",
            Self::NotAnImage { .. } => "state-not-a-card",
            Self::Truncated { .. } => "state-truncated",
            Self::Damaged { .. } => "state-damaged",
            Self::PassphraseNeeded { .. } => "state-encrypted",
            Self::WrongPassphrase { .. } => "state-wrong-passphrase",
            Self::NewerVersion { .. } => "state-newer-version",
            Self::Io { .. } => "state-io",
        }
    }
}
