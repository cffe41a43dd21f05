//! What the log says of a value, and how a table differs from it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::super::backup::BackupValue;
use super::super::rows::{digest, time_text};
use crate::domain::Known;

/// A row as it is found: what is NULL is left out.
pub(super) type Columns = BTreeMap<String, BackupValue>;

/// A value, or a row, that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which table.
    pub table: &'static str,
    /// Which row, by what it is known by.
    pub row: String,
    /// Which column; none where it is the row itself.
    pub column: Option<&'static str>,
    /// What the log says.
    pub log: String,
    /// What the table says.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, column, log, found } = self;
        match column {
            Some(column) => {
                write!(f, "table {table}, row {row}: {column} is {found}, and the log says {log}")
            }
            None => write!(f, "table {table}, row {row}: {found}, and {log}"),
        }
    }
}

/// What the log says of a value.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// Nothing: an earlier program wrote it.
    Untold,
    /// It is this, or NULL.
    Is(Option<BackupValue>),
    /// A number from this to that.
    Between(i64, i64),
    /// Octets with this SHA-256, hex.
    Digest(String),
    /// This JSON, however it is written.
    Json(String),
}

impl Told {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Is(Some(BackupValue::Text(text.into())))
    }

    pub(super) fn number(number: impl Into<i64>) -> Self {
        Self::Is(Some(BackupValue::Number(number.into())))
    }

    pub(super) fn time(time: Timestamp) -> Self {
        Self::text(time_text(time))
    }

    /// Octets in hex.
    pub(super) fn hex(hex: impl Into<String>) -> Self {
        Self::Is(Some(BackupValue::Octets { hex: hex.into() }))
    }

    pub(super) const fn nothing() -> Self {
        Self::Is(None)
    }

    /// What is known, told by `told`.
    pub(super) fn known<T>(known: &Known<T>, told: impl FnOnce(&T) -> Self) -> Self {
        match known {
            Known::Untold => Self::Untold,
            Known::Is(value) => told(value),
        }
    }

    /// A value, or NULL.
    pub(super) fn optional<T>(value: Option<T>, told: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::nothing(), told)
    }

    fn agrees(&self, found: Option<&BackupValue>) -> bool {
        match (self, found) {
            (Self::Untold, _) => true,
            (Self::Is(told), found) => told.as_ref() == found,
            (Self::Between(least, most), Some(BackupValue::Number(found))) => (least..=most).contains(&found),
            (Self::Digest(told), Some(BackupValue::Octets { hex })) => {
                hex::decode(hex).is_ok_and(|octets| digest(&octets) == *told)
            }
            (Self::Json(told), Some(BackupValue::Text(found))) => {
                let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                read(told).is_some_and(|told| read(found) == Some(told))
            }
            (Self::Between(..) | Self::Digest(_) | Self::Json(_), _) => false,
        }
    }

    fn says(&self) -> String {
        match self {
            Self::Untold => "nothing".to_owned(),
            Self::Is(value) => shown(value.as_ref()),
            Self::Between(least, most) => format!("a number from {least} to {most}"),
            Self::Digest(digest) => format!("octets with SHA-256 {digest}"),
            Self::Json(text) => format!("{text:?}"),
        }
    }
}

/// Longer values are named by their SHA-256.
const LONGEST_OCTETS: usize = 64;

fn shown(value: Option<&BackupValue>) -> String {
    match value {
        None => "empty".to_owned(),
        Some(BackupValue::Number(number)) => number.to_string(),
        Some(BackupValue::Text(text)) => format!("{text:?}"),
        Some(BackupValue::Octets { hex }) if hex.len() <= LONGEST_OCTETS => hex.clone(),
        Some(BackupValue::Octets { hex }) => match hex::decode(hex) {
            Ok(octets) => format!("octets with SHA-256 {}", digest(&octets)),
            Err(_) => hex.clone(),
        },
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The differences, up to [`MOST`].
    pub(super) differences: Vec<Difference>,
    /// How many more there are.
    pub(super) more: u64,
    /// Rows that were compared.
    pub(super) rows: u64,
    /// Rows of which the log of an earlier program says less.
    pub(super) untold: u64,
}

/// Somebody who changed every row is told enough by these.
const MOST: usize = 1000;

impl Findings {
    /// Compares a row with what the log says of it.
    pub(super) fn compare(
        &mut self,
        table: &'static str,
        row: &str,
        found: &Columns,
        told: Vec<(&'static str, Told)>,
    ) {
        self.rows = self.rows.saturating_add(1);
        if told.iter().any(|(_, told)| matches!(told, Told::Untold)) {
            self.untold = self.untold.saturating_add(1);
        }
        for (column, told) in told {
            let found = found.get(column);
            if !told.agrees(found) {
                let (log, found) = (told.says(), shown(found));
                self.add(Difference { table, row: row.to_owned(), column: Some(column), log, found });
            }
        }
    }

    /// A row of which the log tells is not there.
    pub(super) fn missing(&mut self, table: &'static str, row: &str) {
        self.of_row(table, row, "it is missing", "the log tells of it");
    }

    /// A row of which no event tells, which is strange unless an earlier program wrote it.
    pub(super) fn without_event(&mut self, table: &'static str, row: &str, is_strange: bool) {
        if is_strange {
            return self.of_row(table, row, "it is there", "the log does not tell of it");
        }
        self.untold = self.untold.saturating_add(1);
    }

    /// Whether something of this row was found to differ already.
    pub(super) fn names(&self, table: &str, row: &str) -> bool {
        self.differences.iter().any(|difference| difference.table == table && difference.row == row)
    }

    fn of_row(&mut self, table: &'static str, row: &str, found: &str, log: &str) {
        let (log, found) = (log.to_owned(), found.to_owned());
        self.add(Difference { table, row: row.to_owned(), column: None, log, found });
    }

    fn add(&mut self, difference: Difference) {
        if self.differences.len() < MOST {
            self.differences.push(difference);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}
