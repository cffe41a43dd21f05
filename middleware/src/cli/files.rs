//! Files that commands read and write. What was there before stays until the new file is whole.
use std::fs::{File, OpenOptions};
use std::io::{Error, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Report;
use super::failure::ToolError;

/// Nothing that a card takes or gives is nearly as long.
const LONGEST: u64 = 1 << 20;

/// Where a result goes.
#[derive(Args)]
pub(super) struct OutputOption {
    /// Write the result to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Who may read what is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever the user's umask lets.
    Anybody,
    /// The user alone.
    Owner,
}

impl OutputOption {
    /// Text, such as PEM.
    pub(super) fn text(&self, what: &str, text: String, json: serde_json::Value) -> anyhow::Result<Report> {
        let Some(path) = &self.output else { return Ok(Report { text, json }) };
        write(path, text.as_bytes(), Audience::Anybody)?;
        Ok(Report { text: format!("{what} was written to {}.", path.display()), json })
    }

    /// Bytes that are no text; not shown at a terminal, and in hex with `--json`.
    pub(super) fn bytes(
        &self,
        what: &str,
        bytes: &[u8],
        audience: Audience,
        as_json: bool,
    ) -> anyhow::Result<Report> {
        let name = what.to_lowercase();
        if let Some(path) = &self.output {
            write(path, bytes, audience)?;
            let text = format!("The {name} was written to {}.", path.display());
            return Ok(Report {
                text,
                json: json!({ "file": path.display().to_string(), "length": bytes.len() }),
            });
        }
        if as_json {
            return Ok(Report { text: String::new(), json: json!({ name: hex::encode(bytes) }) });
        }
        let mut output = std::io::stdout().lock();
        if output.is_terminal() {
            return Err(ToolError::BinaryAtTerminal.into());
        }
        output
            .write_all(bytes)
            .and_then(|()| output.flush())
            .map_err(|error| anyhow::anyhow!("standard output cannot be written: {error}"))?;
        Ok(Report { text: String::new(), json: serde_json::Value::Null })
    }
}

/// A file, or standard input for `-` and for none.
pub(super) fn open(path: Option<&Path>) -> std::io::Result<Box<dyn Read>> {
    match path {
        None => Ok(Box::new(std::io::stdin().lock())),
        Some(path) if path.as_os_str() == "-" => Ok(Box::new(std::io::stdin().lock())),
        Some(path) => Ok(Box::new(File::open(path).map_err(|error| named(path, &error))?)),
    }
}

/// The whole of a small file, or of standard input.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let name = path.unwrap_or(Path::new("-"));
    open(path)?.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| named(name, &error))?;
    if bytes.len() as u64 > LONGEST {
        return Err(ToolError::TooLong(name.display().to_string()).into());
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8], audience: Audience) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if audience == Audience::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = audience;
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    });
    written.map_err(|error| {
        // The half-written file is ours alone; if it cannot be removed, the first error is the one to tell.
        let _ = std::fs::remove_file(&new);
        named(path, &error)
    })
}

fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}
