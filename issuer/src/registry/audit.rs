//! The log in the registry: reading it. What it is checked against is in `verification`.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Registry, chain_end, chain_hash, stored};
use super::error::RegistryError;
use super::rows::{self, damaged};
use crate::domain::{AuditRecord, CardId, CardholderId, ChainEnd, ChainHash, RequestId, Subject};

/// An event with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The event.
    pub record: AuditRecord,
    /// What stands for it and everything before it.
    pub hash: ChainHash,
}

/// How many events are read at a time.
const AT_A_TIME: i64 = 1000;

impl Registry {
    /// When the newest event happened.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn newest_event(&self) -> Result<Option<Timestamp>, RegistryError> {
        let row = sqlx::query("SELECT max(at) AS at FROM events").fetch_one(&self.pool).await?;
        rows::optional_time(&row, "at")
    }

    /// Where the log ends.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn log_end(&self) -> Result<ChainEnd, RegistryError> {
        let row = sqlx::query("SELECT sequence, hash FROM event_chain WHERE only_row = 1")
            .fetch_optional(&self.pool)
            .await?;
        chain_end(&row.ok_or_else(|| damaged("the end of the log is missing"))?)
    }

    /// Events after the one numbered `after`, some at a time.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn log_after(&self, after: u64) -> Result<Vec<LogEntry>, RegistryError> {
        let rows = self.events_after(after).await?;
        rows.iter().map(entry).collect()
    }

    /// What happened to a person, card, certificate or request, the oldest first.
    ///
    /// # Errors
    /// The database, or [`RegistryError::Damaged`].
    pub async fn history(&self, subject: &Subject) -> Result<Vec<LogEntry>, RegistryError> {
        let column = match subject {
            Subject::Card(_) => "card",
            Subject::Certificate(_) => "serial",
            Subject::Person(_) => "person",
            Subject::Request(_) => "request",
            _ => "topic",
        };
        let statement = format!("SELECT {EVENT} FROM events WHERE {column} = $1 ORDER BY sequence");
        let query = sqlx::query(AssertSqlSafe(statement));
        let query = match subject {
            Subject::Card(id) => query.bind(id.0),
            Subject::Certificate(serial) => query.bind(serial.as_bytes().to_vec()),
            Subject::Person(id) => query.bind(id.0),
            Subject::Request(id) => query.bind(id.0),
            topic => query.bind(topic.to_string()),
        };
        query.fetch_all(&self.pool).await?.iter().map(entry).collect()
    }

    async fn events_after(&self, after: u64) -> Result<Vec<AnyRow>, RegistryError> {
        let statement = format!("SELECT {EVENT} FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2");
        let query = sqlx::query(AssertSqlSafe(statement)).bind(stored(after)?).bind(AT_A_TIME);
        Ok(query.fetch_all(&self.pool).await?)
    }
}

pub(super) const EVENT: &str =
    "sequence, at, actor, card, serial, person, request, topic, kind, detail, previous, hash";

pub(super) fn entry(row: &AnyRow) -> Result<LogEntry, RegistryError> {
    let record = AuditRecord {
        sequence: rows::number(row, "sequence")?,
        at: rows::time(row, "at")?,
        actor: row.try_get("actor")?,
        subject: subject(row)?,
        kind: row.try_get("kind")?,
        detail: row.try_get("detail")?,
    };
    Ok(LogEntry { record, hash: chain_hash(row, "hash")? })
}

fn subject(row: &AnyRow) -> Result<Subject, RegistryError> {
    if let Some(id) = row.try_get::<Option<i64>, _>("card")? {
        return Ok(Subject::Card(CardId(id)));
    }
    if let Some(id) = row.try_get::<Option<i64>, _>("person")? {
        return Ok(Subject::Person(CardholderId(id)));
    }
    if let Some(id) = row.try_get::<Option<i64>, _>("request")? {
        return Ok(Subject::Request(RequestId(id)));
    }
    if let Some(topic) = row.try_get::<Option<String>, _>("topic")? {
        return Subject::from_topic(&topic).ok_or_else(|| damaged(format!("unknown topic {topic:?}")));
    }
    rows::serial(row).map(Subject::Certificate)
}

/// Reads an event back.
pub(super) fn event<E: DeserializeOwned>(detail: &str) -> Result<E, RegistryError> {
    serde_json::from_str(detail).map_err(|error| damaged(format!("event {detail:?}: {error}")))
}
