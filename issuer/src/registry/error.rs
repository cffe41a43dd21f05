//! What can go wrong with a registry.

use std::path::PathBuf;

use crate::domain::{CardId, CardRefusal, CardholderId, CertificateRefusal, SerialNumber, StockIdentity};

/// Why a registry did not do what was asked; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is a file where a new registry should be.
    #[error("{} exists already", .0.display())]
    AlreadyExists(PathBuf),
    /// There is no registry.
    #[error("there is no registry at {}", .0.display())]
    Missing(PathBuf),
    /// The mail address belongs to somebody already.
    #[error("the mail address is already registered, for {name}")]
    MailTaken {
        /// That person's name.
        name: String,
    },
    /// The staff identifier belongs to somebody already.
    #[error("the staff identifier is already registered, for {name}")]
    StaffIdTaken {
        /// That person's name.
        name: String,
    },
    /// The card was received before.
    #[error("the card with {0} is already registered")]
    CardTaken(StockIdentity),
    /// The person has a card, or one is being made.
    #[error("that person already has a card")]
    HasCard {
        /// That card.
        card: CardId,
    },
    /// No such person.
    #[error("there is no person number {}", .0.0)]
    UnknownPerson(CardholderId),
    /// No such card.
    #[error("there is no card number {}", .0.0)]
    UnknownCard(CardId),
    /// No such certificate.
    #[error("there is no certificate with serial number {0}")]
    UnknownCertificate(SerialNumber),
    /// The life cycle of cards forbids it.
    #[error(transparent)]
    CardRefused(#[from] CardRefusal),
    /// The life cycle of certificates forbids it.
    #[error(transparent)]
    CertificateRefused(#[from] CertificateRefusal),
    /// What is stored cannot be read; a newer program wrote it, or somebody else did.
    #[error("the registry is damaged: {0}")]
    Damaged(String),
    /// The database itself.
    #[error("the registry cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    /// Bringing an older registry up to date.
    #[error("the registry's tables do not fit this version of the program: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The file of the registry.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}
