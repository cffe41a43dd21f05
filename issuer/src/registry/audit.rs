//! The log in the registry: reading it, and checking it against itself and against the states beside it.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::database::{Registry, chain_end, chain_hash, stored};
use super::error::RegistryError;
use super::rows::{self, damaged};
use crate::domain::{
    AuditRecord, Card, CardEvent, CardId, CardholderId, Certificate, CertificateEvent, ChainCheck, ChainEnd,
    ChainHash, Request, RequestEvent, RequestId, SerialNumber, Subject,
};

/// An event with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The event.
    pub record: AuditRecord,
    /// What stands for it and everything before it.
    pub hash: ChainHash,
}

/// What a check of the whole log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogVerdict {
    /// Where the log ends.
    pub end: ChainEnd,
    /// States that were compared with their events.
    pub states: u64,
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

    /// Checks every event against the one before, the end against the one that was written down, and every state against
    /// its events. Events that other desks write meanwhile do not disturb it.
    ///
    /// # Errors
    /// [`RegistryError::LogBroken`], [`RegistryError::StateBroken`].
    pub async fn verify_log(&self) -> Result<LogVerdict, RegistryError> {
        let recorded = self.log_end().await?;
        let mut check = ChainCheck::default();
        let mut reached = 0;
        'events: loop {
            let rows = self.events_after(reached).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let LogEntry { record, hash } = entry(row)?;
                // What lies beyond was written after the check began, and is checked against the new end.
                if record.sequence > recorded.sequence && self.log_end().await? != recorded {
                    break 'events;
                }
                reached = record.sequence;
                check.next(&record, &chain_hash(row, "previous")?, &hash)?;
            }
        }
        let end = check.finish(recorded)?;
        let states = self.verify_states().await?;
        Ok(LogVerdict { end, states })
    }

    async fn verify_states(&self) -> Result<u64, RegistryError> {
        let mut compared: u64 = 0;
        let mut after = 0;
        loop {
            let rows = sqlx::query("SELECT id FROM cards WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(AT_A_TIME)
                .fetch_all(&self.pool)
                .await?;
            for row in &rows {
                after = row.try_get("id")?;
                self.verify_card(CardId(after)).await?;
                compared = compared.saturating_add(1);
            }
            if rows.is_empty() {
                break;
            }
        }
        compared = compared.saturating_add(self.verify_certificates().await?);
        let requests =
            sqlx::query("SELECT id, snapshot FROM requests ORDER BY id").fetch_all(&self.pool).await?;
        for row in &requests {
            let subject = Subject::Request(RequestId(row.try_get("id")?));
            let events = self.events_of::<RequestEvent>(&subject).await?;
            let request: Request = rows::snapshot(row)?;
            self.agree(&subject, request == Request::replay(events))?;
            compared = compared.saturating_add(1);
        }
        Ok(compared)
    }

    /// A card that another desk changes in between is read again with its events: both in one statement's view.
    async fn verify_card(&self, id: CardId) -> Result<(), RegistryError> {
        let subject = Subject::Card(id);
        self.change(async |change| {
            let row = sqlx::query("SELECT state, live, holder, guid, snapshot FROM cards WHERE id = $1")
                .bind(id.0)
                .fetch_one(change.connection())
                .await?;
            let events = sqlx::query("SELECT detail FROM events WHERE card = $1 ORDER BY sequence")
                .bind(id.0)
                .fetch_all(change.connection())
                .await?;
            let told = Card::replay(details::<CardEvent>(&events)?);
            let stored: Card = rows::snapshot(&row)?;
            let state = told.state();
            let guid: Option<Vec<u8>> = row.try_get("guid")?;
            let agrees = stored == told
                && row.try_get::<String, _>("state")? == state.name()
                && row.try_get::<Option<i64>, _>("holder")? == state.holder().map(|holder| holder.0)
                && (row.try_get::<i64, _>("live")? > 0) == state.is_live()
                && guid == told.guid().map(|guid| guid.as_bytes().to_vec());
            self.agree(&subject, agrees)
        })
        .await
    }

    async fn verify_certificates(&self) -> Result<u64, RegistryError> {
        let mut compared: u64 = 0;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let rows = sqlx::query(
                "SELECT certificates.serial AS serial, snapshot, state, reason FROM certificates \
                 LEFT JOIN revocations ON revocations.serial = certificates.serial \
                 WHERE certificates.serial > $1 ORDER BY certificates.serial LIMIT $2",
            )
            .bind(after.clone())
            .bind(AT_A_TIME)
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let serial: SerialNumber = rows::serial(row)?;
                after = serial.as_bytes().to_vec();
                let subject = Subject::Certificate(serial);
                let told = Certificate::replay(self.events_of::<CertificateEvent>(&subject).await?);
                let stored: Certificate = rows::snapshot(row)?;
                let is_listed = row.try_get::<Option<String>, _>("reason")?.is_some();
                let agrees = stored == told
                    && row.try_get::<String, _>("state")? == told.state().name()
                    && is_listed == matches!(told.state().name(), "revoked" | "on hold");
                self.agree(&subject, agrees)?;
                compared = compared.saturating_add(1);
            }
            if rows.is_empty() {
                return Ok(compared);
            }
        }
    }

    fn agree(&self, subject: &Subject, agrees: bool) -> Result<(), RegistryError> {
        if agrees { Ok(()) } else { Err(RegistryError::StateBroken(subject.to_string())) }
    }

    async fn events_of<E: DeserializeOwned>(&self, subject: &Subject) -> Result<Vec<E>, RegistryError> {
        let entries = self.history(subject).await?;
        entries.iter().map(|entry| event(&entry.record.detail)).collect()
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

fn details<E: DeserializeOwned>(rows: &[AnyRow]) -> Result<Vec<E>, RegistryError> {
    rows.iter().map(|row| event(&row.try_get::<String, _>("detail")?)).collect()
}

/// Reads an event back.
pub(super) fn event<E: DeserializeOwned>(detail: &str) -> Result<E, RegistryError> {
    serde_json::from_str(detail).map_err(|error| damaged(format!("event {detail:?}: {error}")))
}
