//! The registry in one SQLite file.

mod cards;
mod certificates;
mod classes;
mod crls;
mod people;
mod search;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Row, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::error::RegistryError;
use super::records::EmulatedCards;
use super::rows::{damaged, time_text};
use super::url::RegistryUrl;
use crate::domain::{CardId, CardholderId, SerialNumber};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/registry/migrations/sqlite");

/// An open registry.
pub struct Registry {
    pool: SqlitePool,
}

/// Whom an event is about.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Card(CardId),
    Certificate(&'a SerialNumber),
    Person(CardholderId),
}

impl Registry {
    /// Makes a new registry.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyExists`], or the file cannot be made.
    pub async fn create(
        url: &RegistryUrl,
        emulated: EmulatedCards,
        now: Timestamp,
    ) -> Result<Self, RegistryError> {
        let RegistryUrl::Sqlite(path) = url;
        // SQLite gives its -wal and -shm files the mode of the database.
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match created {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(RegistryError::AlreadyExists(path.clone()));
            }
            Err(error) => return Err(RegistryError::File { path: path.clone(), error }),
        }
        let registry = Self::connect(path).await?;
        let emulated = match emulated {
            EmulatedCards::Allowed => "allowed",
            EmulatedCards::Refused => "refused",
        };
        sqlx::query("INSERT INTO registry (only_row, emulated_cards, created_at) VALUES (1, ?, ?)")
            .bind(emulated)
            .bind(time_text(now))
            .execute(&registry.pool)
            .await?;
        Ok(registry)
    }

    /// Opens a registry and brings its tables up to date. What is not a finished registry is left as it is.
    ///
    /// # Errors
    /// [`RegistryError::Missing`], [`RegistryError::Unfinished`], [`RegistryError::Foreign`], [`RegistryError::Damaged`],
    /// [`RegistryError::Newer`].
    pub async fn open(url: &RegistryUrl) -> Result<Self, RegistryError> {
        let RegistryUrl::Sqlite(path) = url;
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(RegistryError::Missing(path.clone()));
            }
            Err(error) => return Err(RegistryError::File { path: path.clone(), error }),
            Ok(file) if !file.is_file() => return Err(RegistryError::Foreign(path.clone())),
            Ok(file) if file.len() == 0 => return Err(RegistryError::Unfinished(path.clone())),
            Ok(_) => {}
        }
        refuse_other_tables(path).await?;
        Self::connect(path).await
    }

    /// Writes everything into the one file and lets go of it.
    pub async fn close(self) {
        self.pool.close().await;
    }

    /// Whether emulated cards are personalised.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`].
    pub async fn emulated_cards(&self) -> Result<EmulatedCards, RegistryError> {
        let row = sqlx::query("SELECT emulated_cards FROM registry WHERE only_row = 1")
            .fetch_optional(&self.pool)
            .await?;
        let row = row.ok_or_else(|| damaged("it was never finished; run init again, elsewhere"))?;
        match row.try_get::<String, _>("emulated_cards")?.as_str() {
            "allowed" => Ok(EmulatedCards::Allowed),
            "refused" => Ok(EmulatedCards::Refused),
            other => Err(damaged(format!("emulated cards are neither allowed nor refused but {other:?}"))),
        }
    }

    /// When the newest event happened.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_event(&self) -> Result<Option<Timestamp>, RegistryError> {
        let row = sqlx::query("SELECT max(at) AS at FROM events").fetch_one(&self.pool).await?;
        super::rows::optional_time(&row, "at")
    }

    async fn connect(path: &Path) -> Result<Self, RegistryError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            // What is deleted is overwritten: sealed secrets do not linger in free pages.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// Takes the write lock at once, so that what is read here is still true when it is written.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, RegistryError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Looks at a file before anything is written into it: its tables must be ours, and `create` must have come to its end.
async fn refuse_other_tables(path: &Path) -> Result<(), RegistryError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(10));
    let judged = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let row = sqlx::query(
            "SELECT count(*) AS tables, coalesce(sum(name IN ('registry', 'people', 'events', '_sqlx_migrations')), 0) AS ours \
             FROM sqlite_master WHERE type = 'table'",
        )
        .fetch_one(&mut connection)
        .await?;
        match (row.try_get::<i64, _>("tables")?, row.try_get::<i64, _>("ours")?) {
            (0, _) => return Err(RegistryError::Unfinished(path.to_owned())),
            (_, 4) => {}
            _ => return Err(RegistryError::Foreign(path.to_owned())),
        }
        let finished =
            sqlx::query("SELECT 1 FROM registry WHERE only_row = 1").fetch_optional(&mut connection).await?;
        connection.close().await?;
        finished.map(drop).ok_or_else(|| RegistryError::Unfinished(path.to_owned()))
    };
    judged.await
}

/// Adds an event to the audit log.
async fn record<E: serde::Serialize>(
    transaction: &mut Transaction<'static, Sqlite>,
    subject: Subject<'_>,
    event: &E,
    now: Timestamp,
) -> Result<(), RegistryError> {
    let detail = serde_json::to_string(event)
        .map_err(|error| damaged(format!("an event cannot be written: {error}")))?;
    let (card, serial, person) = match subject {
        Subject::Card(id) => (Some(id.0), None, None),
        Subject::Certificate(serial) => (None, Some(serial.as_bytes()), None),
        Subject::Person(id) => (None, None, Some(id.0)),
    };
    sqlx::query("INSERT INTO events (at, card, serial, person, detail) VALUES (?, ?, ?, ?, ?)")
        .bind(time_text(now))
        .bind(card)
        .bind(serial)
        .bind(person)
        .bind(detail)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Reads events back.
fn events<E: serde::de::DeserializeOwned>(rows: &[sqlx::sqlite::SqliteRow]) -> Result<Vec<E>, RegistryError> {
    rows.iter()
        .map(|row| {
            let detail: String = row.try_get("detail")?;
            serde_json::from_str(&detail).map_err(|error| damaged(format!("event {detail:?}: {error}")))
        })
        .collect()
}
