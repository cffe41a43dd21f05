//! What can go wrong with a registry.

use std::path::PathBuf;

use sqlx::error::DatabaseError;

use super::operations::OperationKind;
use super::verification::Difference;
use crate::domain::{
    ApprovalId, ApprovalRefusal, BrokenChain, CardId, CardRefusal, CardholderId, CertificateRefusal,
    CheckpointFault, PersonRefusal, RequestId, RequestRefusal, SerialNumber, StockIdentity,
};
use crate::system_error::in_words;

/// Why a registry did not do what was asked; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is a file where a new registry should be.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// There is no registry.
    #[error("there is no registry at {0}")]
    Missing(String),
    /// A file in which `init` never got to its end, or that was emptied.
    #[error(
        "the registry {0} is empty or was never finished; restore it from a backup, or run init elsewhere"
    )]
    Unfinished(String),
    /// A file that is no registry.
    #[error(
        "{0} is not the registry of an issuer; restore it from a backup, or name the right one with --registry"
    )]
    Foreign(String),
    /// Something in the database does what no statement of ours asks for, or stands in the place of a table.
    #[error(
        "somebody changed the registry {place} past this program: it has the {what}, which this program never makes; nothing is done with it. Keep it as it is, and put the newest whole copy of the registry in its place"
    )]
    Meddled {
        /// The registry.
        place: String,
        /// Kind and name of the first of them.
        what: String,
    },
    /// A newer program changed its tables.
    #[error("the registry was written by a newer version of this program; use that one")]
    Newer,
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
    /// The life cycle of people forbids it.
    #[error(transparent)]
    PersonRefused(#[from] PersonRefusal),
    /// The life cycle of requests forbids it.
    #[error(transparent)]
    RequestRefused(#[from] RequestRefusal),
    /// No such request.
    #[error("there is no request number {}", .0.0)]
    UnknownRequest(RequestId),
    /// The person has asked for it already.
    #[error("the same is asked for already (request {})", .0.0)]
    AlreadyRequested(RequestId),
    /// Something else was begun with the card and is not done.
    #[error("a {} of this card was begun and is not done yet; finish it first, by the same command again", .0.as_str())]
    OperationOpen(OperationKind),
    /// Another run goes on with it.
    #[error("another run goes on with this {} meanwhile; this one is over", .0.as_str())]
    OperationOvertaken(OperationKind),
    /// Each request is answered once.
    #[error("this request was answered before; each is answered once: let the holder make a new one")]
    AnsweredBefore,
    /// Nothing was given out for this request.
    #[error("no request that this confirms was ever answered")]
    NotAnswered,
    /// Nobody has shown a card yet who may change something.
    #[error("nobody who may change the registry has shown a card: give --operator LOCATOR")]
    NobodyActs,
    /// That person is an operator already, or that key is another operator's.
    #[error("{0} is an operator already; remove that operator first")]
    OperatorTaken(String),
    /// Nobody could change who is an operator any more, or anything else that is an administrator's.
    #[error(
        "{0} is the only administrator whose card is good, and the desk would be without one; make another one first: issuer operator add PERSON --role administrator; if that card is lost or stolen: issuer revoke ... --last-administrator"
    )]
    LastAdministrator(String),
    /// What needs two operators could not be done any more, nor could that be changed.
    #[error(
        "without {0}'s card nobody could approve what needs two operators; make another approver first: issuer operator add PERSON --role approver; if that card is lost or stolen: issuer revoke ... --last-approver"
    )]
    LastApprover(String),
    /// No such operator.
    #[error("{0} is not an operator")]
    UnknownOperator(String),
    /// No such approval.
    #[error("there is no approval number {}", .0.0)]
    UnknownApproval(ApprovalId),
    /// What needs two operators forbids it.
    #[error(transparent)]
    ApprovalRefused(#[from] ApprovalRefusal),
    /// The key that signs checkpoints does not.
    #[error("the audit key does not sign ({0}); nothing was recorded")]
    Notary(String),
    /// The log is not what was written.
    #[error("the log is not what was written: {0}")]
    LogBroken(#[from] BrokenChain),
    /// What is signed about the log does not fit.
    #[error("the log is not what was signed: {0}")]
    CheckpointBroken(#[from] CheckpointFault),
    /// The tables are not what the log says.
    #[error("{}", differing(.differences, *.more))]
    TablesDiffer {
        /// How, row by row.
        differences: Vec<Difference>,
        /// How many more there are.
        more: u64,
    },
    /// The database's server does not answer, or went away.
    #[error(
        "the registry's server cannot be reached ({0}); nothing is lost: run the same command again when it is back"
    )]
    Unreachable(String),
    /// The server does not let this user in.
    #[error("the registry's server refuses this user: {0}")]
    NotAdmitted(String),
    /// The server has no such database.
    #[error("the registry's server has no such database")]
    NoDatabase,
    /// This program was built without the feature `postgres`.
    #[error("this program was built without PostgreSQL; name a file: sqlite:FILE")]
    NotBuiltIn,
    /// What is stored cannot be read.
    #[error("the registry is damaged ({0}); restore it from a backup")]
    Damaged(String),
    /// No room for what was to be stored.
    #[error("the disk of the registry is full; make room and run the same command again")]
    DiskFull,
    /// Another process holds it for longer than we wait.
    #[error("the registry is in use by another process; try again when that one is done")]
    InUse,
    /// The database lets no more in, or everybody of this process who works with it waits for somebody else.
    #[error(
        "no connection to the registry was free in time; nothing was recorded: run the same command again when fewer desks and batches work with it. A server lets in so many at once (PostgreSQL: max_connections), and a batch takes fewer with a lower --at-once"
    )]
    NoConnectionFree,
    /// A change that shared the commit was cut off.
    #[error(
        "a change that was made at the same time was cut off, and took this one with it; nothing was recorded: run the same command again"
    )]
    NotCommitted,
    /// The file or its folder may be read only.
    #[error(
        "the registry cannot be written: this user needs write access to the file and its folder, or to the database's tables"
    )]
    NotWritable,
    /// The disk.
    #[error("the registry cannot be read or written; check its disk, or restore it from a backup")]
    InputOutput,
    /// Anything else that the database says.
    #[error("the registry cannot be used: {0}")]
    Database(String),
    /// The file of the registry.
    #[error("{}: {}", .path.display(), in_words(error))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

fn differing(differences: &[Difference], more: u64) -> String {
    let first = differences.first().map(ToString::to_string).unwrap_or_default();
    let others = u64::try_from(differences.len()).unwrap_or(u64::MAX).saturating_sub(1).saturating_add(more);
    let others = if others == 0 { String::new() } else { format!(" ({others} more like it)") };
    format!("somebody changed the registry past this program: {first}{others}")
}

/// The primary result codes of SQLite that mean something to whoever runs the program.
const PERMISSION: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const INPUT_OUTPUT: i32 = 10;
/// An extended code: the file of the shared memory beside the registry could not be made larger.
const SHARED_MEMORY_SIZE: i32 = INPUT_OUTPUT | (19 << 8);
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                #[cfg(feature = "postgres")]
                if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                    return of_postgres(&*error);
                }
                of_sqlite(&*error)
            }
            sqlx::Error::PoolTimedOut => Self::NoConnectionFree,
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::InputOutput,
            sqlx::Error::ColumnDecode { index, .. } => {
                Self::Damaged(format!("the column {index} holds something else"))
            }
            sqlx::Error::Tls(error) => Self::Unreachable(error.to_string()),
            error => Self::Database(error.to_string()),
        }
    }
}

fn of_sqlite(error: &dyn DatabaseError) -> RegistryError {
    // The low octet is the primary code, the rest says more about it.
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    if code == Some(SHARED_MEMORY_SIZE) {
        return RegistryError::DiskFull;
    }
    match code.map(|code| code & 0xFF) {
        Some(CORRUPT | NOT_A_DATABASE) => RegistryError::Damaged(error.message().to_owned()),
        Some(FULL) => RegistryError::DiskFull,
        Some(BUSY | LOCKED) => RegistryError::InUse,
        Some(PERMISSION | READ_ONLY | CANNOT_OPEN) => RegistryError::NotWritable,
        Some(INPUT_OUTPUT) => RegistryError::InputOutput,
        _ => RegistryError::Database(error.message().to_owned()),
    }
}

/// PostgreSQL documentation, appendix A: a class of two characters, and three more.
#[cfg(feature = "postgres")]
fn of_postgres(error: &dyn DatabaseError) -> RegistryError {
    let message = error.message().to_owned();
    match error.code().as_deref().unwrap_or_default() {
        "3D000" => RegistryError::NoDatabase,
        "42501" | "25006" => RegistryError::NotWritable,
        "53100" => RegistryError::DiskFull,
        "55P03" | "40001" | "40P01" => RegistryError::InUse,
        // Too many connections.
        "53300" => RegistryError::NoConnectionFree,
        // Shutting down, starting up.
        code if code.starts_with("57P") || code.starts_with("08") => RegistryError::Unreachable(message),
        code if code.starts_with("28") => RegistryError::NotAdmitted(message),
        code if code.starts_with("XX") => RegistryError::Damaged(message),
        code if code.starts_with("58") => RegistryError::InputOutput,
        _ => RegistryError::Database(message),
    }
}

impl From<sqlx::migrate::MigrateError> for RegistryError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(_) => Self::Newer,
            MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => {
                Self::Damaged("its tables are not those of this program".to_owned())
            }
            error => Self::Database(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_said_in_words() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::query("CREATE TABLE t (x)").execute(&mut connection).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 2").execute(&mut connection).await.unwrap();
        let full = sqlx::query("INSERT INTO t VALUES (zeroblob(100000))").execute(&mut connection).await;
        let error = RegistryError::from(full.unwrap_err());
        assert!(matches!(error, RegistryError::DiskFull), "{error}");
    }

    #[test]
    fn whoever_gets_no_connection_is_not_told_of_another_process() {
        let text = RegistryError::from(sqlx::Error::PoolTimedOut).to_string();
        assert!(text.contains("no connection") && text.contains("max_connections"), "{text}");
        assert!(!text.contains("process"), "{text}");
    }

    #[tokio::test]
    async fn what_the_database_says_comes_without_its_code() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let error = sqlx::query("SELECT x FROM nowhere").execute(&mut connection).await.unwrap_err();
        let text = RegistryError::from(error).to_string();
        assert!(text.contains("nowhere") && !text.contains("code"), "{text}");
    }
}
