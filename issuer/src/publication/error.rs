//! What publication refuses, and why. Whatever was published before stays.
use std::path::PathBuf;

use super::crl_succession::CrlRefusal;
use crate::system_error::in_words;

/// A refusal or failure of publication.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublicationError {
    /// A file could not be read or written.
    #[error("{path}: {words}", path = path.display(), words = words(error))]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What happened.
        error: std::io::Error,
    },
    /// A new CRL must not replace the published one.
    #[error("the CRL of {authority} was not published: {refusal}; the published one stays")]
    Crl {
        /// Subject of the authority.
        authority: String,
        /// Why.
        refusal: CrlRefusal,
    },
    /// A list of classes must not replace the published one.
    #[error(
        "the list of classes was not published: number {number} does not follow the published number {published}; publish into the right directory, or restore the newest backup of the registry"
    )]
    ClassListBehind {
        /// Its number.
        number: u64,
        /// The published one's.
        published: u64,
    },
    /// Something handed in is not what it should be.
    #[error("nothing was published: {0}")]
    Malformed(String),
    /// A folder with something else in it.
    #[error(
        "{} is not empty and holds nothing that was published; name a new folder, or the one that was published into before",
        .0.display()
    )]
    NotPublished(PathBuf),
    /// Another process is publishing to the same directory.
    #[error("{} is being written by another process; try again when it is done", .0.display())]
    InUse(PathBuf),
}

impl PublicationError {
    /// A stable word for programs (`--json`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Crl { .. } => "crl-refused",
            Self::ClassListBehind { .. } => "class-list-refused",
            Self::Malformed(_) => "malformed",
            Self::NotPublished(_) => "not-published",
            Self::InUse(_) => "in-use",
        }
    }
}

/// What the system said, and what to do where that is known. Nothing is half written: the next run goes on.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "No space left on device; make room there and publish again".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem => {
            "Read-only file system; let it be written again, and publish again".to_owned()
        }
        _ => in_words(error),
    }
}
