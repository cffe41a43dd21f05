//! Whether the registry is what was written: every event against the one before, and every row of every table but the exempt against
//! what its events tell when they are replayed.
//!
//! ```text
//! log        events, event_chain                                    by their hashes: `chain`
//! topics     registry, settings, audit_keys, reader_classes, reader_class_lists, operators, approvals, publication_targets
//! authorities  authorities, authority_keys, authority_certificates, crls, crl_parts
//! people     people, reader_class_members        cards    cards        requests    requests
//! certificates  certificates, revocations        key_origins    key_origins
//! ```
//!
//! - `authority`: who may do what, before somebody is let in: few rows, and the log since it was checked last.
//! - [`exempt`]: the columns that are not compared, and why. - `difference`: what the log says of a value.
//! - `revocations`: what a CRL is made from, and what the log tells of it; `lists`: which CRLs were signed last.
//!
//! All of it is one moment's view, in the memory of a thousand rows or two, and takes no lock that a desk waits for.

mod authorities;
mod authority;
mod cards;
mod certificates;
mod chain;
mod difference;
pub(super) mod exempt;
mod key_origins;
mod lists;
mod people;
mod requests;
mod revocations;
pub(super) mod topics;

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

pub use self::authority::{AuthorityChange, CheckedAuthority};
use self::difference::Columns;
pub use self::difference::Difference;
use self::difference::Findings;
pub use self::lists::SignedList;
pub use self::revocations::{CrlSource, ToldStanding};
use super::audit::{EVENT, entry, event};
use super::backup::{BackupValue, values};
use super::database::{Kind, Registry, stored};
use super::error::RegistryError;
use super::rows::damaged;
use crate::domain::{AuditRecord, ChainEnd};

/// What a check of the whole log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogVerdict {
    /// Where the log ends.
    pub end: ChainEnd,
    /// Rows of tables that were compared with their events.
    pub rows: u64,
    /// Those among them of which the log of an earlier program says less than all.
    pub untold: u64,
}

/// How many rows are read at a time.
const AT_A_TIME: usize = 1000;

impl Registry {
    /// Checks every event against the one before, the end against the one that was written down, and every row against
    /// its events, as one moment saw them.
    ///
    /// # Errors
    /// [`RegistryError::LogBroken`], [`RegistryError::TablesDiffer`], or the database.
    pub async fn verify_log(&self) -> Result<LogVerdict, RegistryError> {
        let mut view = self.view().await?;
        let judged = view.judge().await;
        // Nobody waits for a view that is no longer looked at.
        view.transaction.rollback().await?;
        let (end, findings) = judged?;
        if findings.differences.is_empty() {
            return Ok(LogVerdict { end, rows: findings.rows, untold: findings.untold });
        }
        Err(RegistryError::TablesDiffer { differences: findings.differences, more: findings.more })
    }
}

impl Registry {
    /// What there is now.
    async fn view(&self) -> Result<View, RegistryError> {
        let begin = match self.kind() {
            Kind::Sqlite => "BEGIN DEFERRED",
            #[cfg(feature = "postgres")]
            Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Ok(View { transaction: self.pool.begin_with(begin).await?, kind: self.kind() })
    }
}

/// The registry as one moment saw it.
struct View {
    transaction: Transaction<'static, Any>,
    kind: Kind,
}

/// An event of a subject.
struct Line {
    record: AuditRecord,
}

impl Line {
    fn at(&self) -> Timestamp {
        self.record.at
    }
}

/// A table with a row for each of the subjects of a column of the log.
struct Subjects {
    table: &'static str,
    /// What a row is known by.
    key: &'static str,
    /// The column of the log.
    event: &'static str,
    /// Before the first.
    start: BackupValue,
}

/// Some rows of a table, in order, with all events about them and about what should lie between them.
struct Page {
    rows: BTreeMap<BackupValue, Columns>,
    lines: BTreeMap<BackupValue, Vec<Line>>,
    /// The last row; none on the last page.
    last: Option<BackupValue>,
}

impl Page {
    /// Whatever has a row or an event.
    fn subjects(&self) -> impl Iterator<Item = (&BackupValue, Option<&Columns>, &[Line])> {
        let keys: std::collections::BTreeSet<_> = self.rows.keys().chain(self.lines.keys()).collect();
        keys.into_iter().map(|key| {
            let lines = self.lines.get(key).map(Vec::as_slice).unwrap_or_default();
            (key, self.rows.get(key), lines)
        })
    }
}

impl View {
    async fn judge(&mut self) -> Result<(ChainEnd, Findings), RegistryError> {
        let end = self.verify_chain().await?;
        Ok((end, self.compare(end).await?))
    }

    async fn compare(&mut self, end: ChainEnd) -> Result<Findings, RegistryError> {
        let mut findings = Findings::default();
        let topics = topics::Topics::read_all(self).await?;
        let is_whole = topics.is_whole();
        let members = people::compare(self, &mut findings).await?;
        topics.compare(self, &mut findings).await?;
        topics.compare_targets(self, end, &mut findings).await?;
        topics::compare_members(self, &members, &mut findings).await?;
        authorities::compare(self, &topics.authorities, is_whole, &mut findings).await?;
        cards::compare(self, is_whole, &mut findings).await?;
        requests::compare(self, &mut findings).await?;
        certificates::compare(self, is_whole, &mut findings).await?;
        key_origins::compare_carried(self, &mut findings).await?;
        Ok(findings)
    }

    /// The next rows after `after`, with the events about them.
    async fn page(&mut self, of: &Subjects, after: &BackupValue) -> Result<Page, RegistryError> {
        let Subjects { table, key, event, .. } = of;
        let statement = format!("SELECT * FROM {table} WHERE {key} > $1 ORDER BY {key} LIMIT {AT_A_TIME}");
        let found = self.fetch(&statement, &[after]).await?;
        let mut rows = BTreeMap::new();
        for row in &found {
            let columns = values(row)?;
            let known_by =
                columns.get(*key).ok_or_else(|| damaged(format!("a row of {table} has no {key}")))?;
            rows.insert(known_by.clone(), columns);
        }
        let last = rows.keys().next_back().filter(|_| rows.len() == AT_A_TIME).cloned();
        let statement = format!("SELECT {EVENT} FROM events WHERE {event} > $1");
        let found = match &last {
            Some(last) => {
                let statement = format!("{statement} AND {event} <= $2 ORDER BY sequence");
                self.fetch(&statement, &[after, last]).await?
            }
            None => self.fetch(&format!("{statement} ORDER BY sequence"), &[after]).await?,
        };
        let mut lines: BTreeMap<BackupValue, Vec<Line>> = BTreeMap::new();
        for row in &found {
            let about = match &of.start {
                BackupValue::Number(_) => BackupValue::Number(row.try_get(*event)?),
                _ => BackupValue::Octets { hex: hex::encode(row.try_get::<Vec<u8>, _>(*event)?) },
            };
            lines.entry(about).or_default().push(Line { record: entry(row)?.record });
        }
        Ok(Page { rows, lines, last })
    }

    async fn fetch(&mut self, statement: &str, bound: &[&BackupValue]) -> Result<Vec<AnyRow>, RegistryError> {
        let mut query = sqlx::query(AssertSqlSafe(statement.to_owned()));
        for value in bound {
            query = match value {
                BackupValue::Number(number) => query.bind(*number),
                BackupValue::Text(text) => query.bind(text.clone()),
                BackupValue::Octets { hex } => {
                    query.bind(hex::decode(hex).map_err(|_| damaged("a key is not hex"))?)
                }
            };
        }
        Ok(query.fetch_all(&mut *self.transaction).await?)
    }

    /// Every row of a table that is not long, or has long values: one in memory at a time.
    async fn each(
        &mut self,
        table: &'static str,
        mut judge: impl FnMut(Columns) -> Result<(), RegistryError>,
    ) -> Result<(), RegistryError> {
        let statement = format!("SELECT * FROM {table}");
        let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await? {
            judge(values(&row)?)?;
        }
        Ok(())
    }
}

/// The events of a subject, all of one kind.
fn events<E: DeserializeOwned>(lines: &[Line]) -> Result<Vec<E>, RegistryError> {
    lines.iter().map(|line| event(&line.record.detail)).collect()
}

/// A number in a row, for what a row is known by.
fn number(columns: &Columns, column: &str) -> Result<i64, RegistryError> {
    match columns.get(column) {
        Some(BackupValue::Number(number)) => Ok(*number),
        _ => Err(damaged(format!("{column} is no number"))),
    }
}

/// A text in a row, likewise.
fn text(columns: &Columns, column: &str) -> Result<String, RegistryError> {
    match columns.get(column) {
        Some(BackupValue::Text(text)) => Ok(text.clone()),
        _ => Err(damaged(format!("{column} is no text"))),
    }
}

/// The hex of octets in a row, likewise.
fn octets(columns: &Columns, column: &str) -> Result<String, RegistryError> {
    match columns.get(column) {
        Some(BackupValue::Octets { hex }) => Ok(hex.clone()),
        _ => Err(damaged(format!("{column} is no octets"))),
    }
}

/// How a row is shown by what it is known by.
fn shown(key: &BackupValue) -> String {
    match key {
        BackupValue::Number(number) => number.to_string(),
        BackupValue::Text(text) => text.clone(),
        BackupValue::Octets { hex } => hex.clone(),
    }
}

const fn numbered(table: &'static str, event: &'static str) -> Subjects {
    Subjects { table, key: "id", event, start: BackupValue::Number(i64::MIN) }
}

/// A number that a database may not hold is the log's fault.
fn told_number(number: u64) -> Result<i64, RegistryError> {
    stored(number)
}
