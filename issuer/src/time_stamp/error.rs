//! Why a time-stamp service does not start, or stops.
use std::path::PathBuf;

use jiff::Timestamp;
use middleware::KeyError;

use crate::ca::CaError;
use crate::system_error::in_words;

/// A refusal or failure of the service as a whole; what a single request is refused is a
/// [`Rejection`](super::response::Rejection).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimeStampError {
    /// A file cannot be read or written.
    #[error("{}: {}", .path.display(), in_words(error))]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no service in the folder.
    #[error("{} holds no time-stamp service; make one with issuer tsa init", .0.display())]
    Missing(PathBuf),
    /// The log was changed after it was written.
    #[error(
        "{}: line {line} was changed after it was written ({reason}); nothing was changed now: put the file back from a backup, or make a new service in another folder with issuer tsa init",
        .path.display()
    )]
    DamagedLog {
        /// The log.
        path: PathBuf,
        /// The first line that is wrong; the header is line 1.
        line: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another process has the log.
    #[error("{} is in use: another process serves from this folder; stop it first", .0.display())]
    InUse(PathBuf),
    /// The log can no longer be made durable.
    #[error("the log of serial numbers can no longer be written, and no more stamps are given: {0}")]
    LogFailed(String),
    /// The certificate's time is over, or has not come.
    #[error(
        "the clock says {now:.0}, and the service's certificate is valid from {not_before} to {not_after}; set the clock right, or make a new service in another folder with issuer tsa init"
    )]
    OutsideValidity {
        /// The clock.
        now: Timestamp,
        /// Begin of the validity.
        not_before: Timestamp,
        /// Its end.
        not_after: Timestamp,
    },
    /// The key file does not open.
    #[error("{}: {error}", .path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
    /// The key is another than the certificate's.
    #[error("{} is not the key of the service's certificate; put the right file back", .0.display())]
    KeyMismatch(PathBuf),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CaError),
}

impl TimeStampError {
    /// A stable word for programs (`--json`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Malformed { .. } => "malformed",
            Self::Missing(_) => "no-service",
            Self::DamagedLog { .. } => "log-damaged",
            Self::InUse(_) => "in-use",
            Self::LogFailed(_) => "log-failed",
            Self::OutsideValidity { .. } => "outside-validity",
            Self::Key { error: KeyError::WrongPassphrase, .. } => "wrong-passphrase",
            Self::Key { .. } => "key",
            Self::KeyMismatch(_) => "key-mismatch",
            Self::Certificate(error) => error.code(),
        }
    }
}
