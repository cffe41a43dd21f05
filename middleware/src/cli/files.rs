//! Files that commands read and write. What was there before stays until the new file is whole; what is no plain file,
//! such as `/dev/stdout`, is written to and stays what it is.
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, IsTerminal as _, Read, Write as _};
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
    /// Whether the file can be written, found out before something is done that cannot be done again.
    ///
    /// # Errors
    /// Those of making a file there.
    pub(super) fn check(&self) -> std::io::Result<()> {
        let Some(path) = &self.output else { return Ok(()) };
        if is_pipe(path) {
            // Its reader would take the end of a try for the end of the result.
            return Ok(());
        }
        if is_written_in_place(path) {
            return OpenOptions::new().write(true).open(path).map(drop).map_err(|error| named(path, &error));
        }
        let new = beside(path);
        let made = create(&new, Audience::Owner).and_then(|_| std::fs::remove_file(&new));
        made.and_then(|()| refuse_folder(path)).map_err(|error| named(path, &error))
    }

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
        Some(path) => {
            // Opening a folder succeeds; reading it fails without its name.
            let opened = refuse_folder(path).and_then(|()| File::open(path));
            Ok(Box::new(opened.map_err(|error| named(path, &error))?))
        }
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
    if is_written_in_place(path) {
        let written = File::create(path).and_then(|mut file| file.write_all(bytes));
        return written.map_err(|error| named(path, &error));
    }
    let new = beside(path);
    let written = create(&new, audience).and_then(|mut file| {
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

/// A device, a pipe, or a link (`/dev/stdout` is one): another file in its place would be a surprise, and to root a
/// disaster.
fn is_written_in_place(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    let is_pipe =
        |metadata: std::fs::Metadata| std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type());
    #[cfg(not(unix))]
    let is_pipe = |_| false;
    std::fs::metadata(path).is_ok_and(is_pipe)
}

fn refuse_folder(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { Err(ErrorKind::IsADirectory.into()) } else { Ok(()) }
}

/// Where a file is written until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn create(path: &Path, audience: Audience) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if audience == Audience::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = audience;
    options.open(path)
}

fn named(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}
