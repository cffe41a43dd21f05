//! Lines, tables and JSON.

use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::failure::Failure;

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
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
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

/// A line for whoever watches: on standard error, so that standard output stays for results.
pub fn progress(text: &str) {
    eprintln!("{text}");
}

/// Writes a table, or `empty` when it has no rows.
///
/// # Errors
/// Standard output cannot be written.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec());
    table.add_rows(rows);
    line(&table.trim_fmt())
}
