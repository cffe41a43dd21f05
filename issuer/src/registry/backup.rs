//! The registry row by row: for a backup, and into a new registry, of whichever database.
//!
//! Tables come in an order in which every row finds the rows that it refers to. What is computed from others (the indexes of
//! search) is left out and computed anew.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AssertSqlSafe, Column, Row, TypeInfo, ValueRef};

use super::database::{Change, Kind, Registry};
use super::error::RegistryError;
use super::people::{described, index};
use super::rows::{self, damaged, time_text};
use crate::domain::{AuthorityEvent, AuthorityName, CardholderId, RegistryEvent, Subject};

/// One row: what is NULL is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRow {
    /// Of which table.
    pub table: String,
    /// Its columns.
    pub row: BTreeMap<String, BackupValue>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BackupValue {
    /// An integer.
    Number(i64),
    /// Text.
    Text(String),
    /// Octets, in hex.
    Octets {
        /// The digits.
        hex: String,
    },
}

/// Tables that are not rows of the registry, or are computed from them.
fn is_left_out(table: &str) -> bool {
    table.starts_with("_sqlx")
        || table.starts_with("sqlite_")
        || table.starts_with("people_text")
        || table == "people_words"
        || table == "restoring"
}

impl Registry {
    /// Every row, as one moment saw it, to be written one after the other.
    ///
    /// # Errors
    /// The database, or what `write` says.
    pub async fn dump<E: From<RegistryError>>(
        &self,
        mut write: impl FnMut(BackupRow) -> Result<(), E>,
    ) -> Result<u64, E> {
        let begin = match self.kind() {
            Kind::Sqlite => "BEGIN DEFERRED",
            #[cfg(feature = "postgres")]
            Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let failed = |error: sqlx::Error| E::from(RegistryError::from(error));
        let mut transaction = self.pool.begin_with(begin).await.map_err(failed)?;
        let [tables, references] = catalogue(self.kind());
        let tables = sqlx::query(tables).fetch_all(&mut *transaction).await.map_err(failed)?;
        let references = sqlx::query(references).fetch_all(&mut *transaction).await.map_err(failed)?;
        let mut count: u64 = 0;
        for table in ordered(&tables, &references)? {
            let statement = format!("SELECT * FROM \"{table}\"");
            let rows =
                sqlx::query(AssertSqlSafe(statement)).fetch_all(&mut *transaction).await.map_err(failed)?;
            for row in &rows {
                write(BackupRow { table: table.clone(), row: values(row)? })?;
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// Puts the rows of a backup into this registry, which was just made, and records that. All of it, or nothing.
    ///
    /// # Errors
    /// The database, or rows that are not those of a registry.
    pub async fn load(
        &self,
        rows: Vec<BackupRow>,
        (taken_at, digest): (Timestamp, &str),
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            sqlx::query("DELETE FROM event_chain").execute(change.connection()).await?;
            for row in &rows {
                insert(change, row).await?;
            }
            let people =
                sqlx::query("SELECT id FROM people ORDER BY id").fetch_all(change.connection()).await?;
            for row in &people {
                let id = CardholderId(row.try_get("id")?);
                let described = described(change, id).await?;
                index(change, id, &described).await?;
            }
            continue_numbers(change).await?;
            change.read_end().await?;
            let events = change.end().sequence;
            let digest = digest.to_owned();
            let event =
                RegistryEvent::RegistryRestored { backup: rows::whole_seconds(taken_at), events, digest };
            // Until its home is where it belongs, the next restore may begin anew.
            sqlx::query("CREATE TABLE restoring (only_row INTEGER NOT NULL PRIMARY KEY)")
                .execute(change.connection())
                .await?;
            change.record(Subject::Registry, &event, now).await
        })
        .await
    }

    /// Skips CRL numbers of an authority up to `number`, which somebody has seen, so that none is used twice.
    ///
    /// # Errors
    /// The database.
    pub async fn skip_crl_numbers(
        &self,
        authority: AuthorityName,
        number: u64,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.change(async |change| {
            let event = AuthorityEvent::CrlNumbersSkipped { number };
            change.record(Subject::Authority(authority), &event, now).await?;
            sqlx::query(
                "INSERT INTO crls (authority, number, this_update, next_update, crl) VALUES ($1, $2, $3, $3, NULL) ON CONFLICT DO NOTHING",
            )
            .bind(authority.as_str())
            .bind(super::database::stored(number)?)
            .bind(time_text(now))
            .execute(change.connection())
            .await?;
            Ok(())
        })
        .await
    }
}

/// The names of the tables, and which refers to which.
fn catalogue(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Sqlite => [
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
            "SELECT m.name AS child, f.\"table\" AS parent FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
        ],
        #[cfg(feature = "postgres")]
        Kind::Postgres => [
            "SELECT table_name::text AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1",
            "SELECT child.relname::text AS child, parent.relname::text AS parent FROM pg_constraint c \
             JOIN pg_class child ON child.oid = c.conrelid JOIN pg_class parent ON parent.oid = c.confrelid WHERE c.contype = 'f'",
        ],
    }
}

/// The tables, each after those that it refers to.
fn ordered(tables: &[AnyRow], references: &[AnyRow]) -> Result<Vec<String>, RegistryError> {
    let mut waiting: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in tables {
        let name: String = row.try_get("name")?;
        if !is_left_out(&name) {
            waiting.insert(name, BTreeSet::new());
        }
    }
    for row in references {
        let (child, parent): (String, String) = (row.try_get("child")?, row.try_get("parent")?);
        if child != parent
            && let Some(parents) = waiting.get_mut(&child)
        {
            parents.insert(parent);
        }
    }
    let mut order: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let free: Vec<String> = waiting
            .iter()
            .filter(|(_, parents)| parents.iter().all(|parent| order.contains(parent)))
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            return Err(damaged("its tables refer to each other in a circle"));
        }
        for name in free {
            waiting.remove(&name);
            order.push(name);
        }
    }
    Ok(order)
}

pub(super) fn values(row: &AnyRow) -> Result<BTreeMap<String, BackupValue>, RegistryError> {
    let mut values = BTreeMap::new();
    for column in row.columns() {
        let (name, place) = (column.name().to_owned(), column.ordinal());
        let raw = row.try_get_raw(place)?;
        if raw.is_null() {
            continue;
        }
        let kind = raw.type_info().kind();
        let value = match kind {
            AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
                BackupValue::Number(row.try_get(place)?)
            }
            AnyTypeInfoKind::Text => BackupValue::Text(row.try_get(place)?),
            AnyTypeInfoKind::Blob => {
                BackupValue::Octets { hex: hex::encode(row.try_get::<Vec<u8>, _>(place)?) }
            }
            _ => return Err(damaged(format!("the column {name} holds a {}", raw.type_info().name()))),
        };
        values.insert(name, value);
    }
    Ok(values)
}

/// The names come from a file: only those that could be ours are put into a statement.
async fn insert(change: &mut Change, row: &BackupRow) -> Result<(), RegistryError> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if !is_name(&row.table) || is_left_out(&row.table) || !row.row.keys().all(|name| is_name(name)) {
        return Err(damaged(format!("{:?} is no table of a registry", row.table)));
    }
    let names: Vec<&str> = row.row.keys().map(String::as_str).collect();
    let places: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let statement =
        format!("INSERT INTO {} ({}) VALUES ({})", row.table, names.join(", "), places.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for value in row.row.values() {
        query = match value {
            BackupValue::Number(number) => query.bind(*number),
            BackupValue::Text(text) => query.bind(text.clone()),
            BackupValue::Octets { hex } => {
                query.bind(hex::decode(hex).map_err(|_| damaged("octets in the backup are not hex"))?)
            }
        };
    }
    query.execute(change.connection()).await?;
    Ok(())
}

/// New numbers start after those that were restored; SQLite sees to that by itself.
async fn continue_numbers(change: &mut Change) -> Result<(), RegistryError> {
    match change.kind() {
        Kind::Sqlite => Ok(()),
        #[cfg(feature = "postgres")]
        Kind::Postgres => {
            let columns = sqlx::query(
                "SELECT table_name::text AS name, column_name::text AS col FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND is_identity = 'YES'",
            )
            .fetch_all(change.connection())
            .await?;
            for row in &columns {
                let (table, column): (String, String) = (row.try_get("name")?, row.try_get("col")?);
                let statement = format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
                );
                sqlx::query(AssertSqlSafe(statement)).execute(change.connection()).await?;
            }
            Ok(())
        }
    }
}
