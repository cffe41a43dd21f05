//! Lines, tables and JSON.

use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::failure::Failure;
use crate::system_error::without_numbers;

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines and tables.
    Text,
    /// One JSON value (`--json`).
    Json,
}

/// Writes a line to standard output. A reader that went away is not an error.
///
/// # Errors
/// Standard output cannot be written.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    judged(writeln!(output, "{text}").and_then(|()| output.flush()))
}

/// Writes bytes to standard output as they are. A reader that went away is not an error.
///
/// # Errors
/// Standard output cannot be written.
pub fn bytes(contents: &[u8]) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    judged(output.write_all(contents).and_then(|()| output.flush()))
}

/// What writing to standard output came to.
///
/// # Errors
/// It failed, and not because the reader went away.
pub fn judged(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("io", format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON value to standard output.
///
/// # Errors
/// Standard output cannot be written.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new("io", error.to_string()))?;
    line(&text)
}

/// A line for whoever watches: on standard error, so that standard output stays for results. Where nobody watches any
/// more, the work goes on.
pub fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", without_numbers(text));
}

/// Writes a table, or `empty` when it has no rows.
///
/// # Errors
/// Standard output cannot be written.
pub fn table(header: &[impl AsRef<str>], rows: Vec<Vec<String>>, empty: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
    table.add_rows(rows);
    line(&table.trim_fmt())
}
