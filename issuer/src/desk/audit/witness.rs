//! Witness files: checkpoints of the log, one after the other, where nobody who works with the registry can write.
//!
//! A file that is there bears witness, or is refused: one from which everything was taken is never begun anew in silence.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::failure::Failure;
use crate::domain::SignedCheckpoint;

/// A witness file, read.
pub struct Witness {
    /// Its whole checkpoints.
    pub checkpoints: Vec<SignedCheckpoint>,
    /// How it ends.
    pub end: End,
}

/// How a witness file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole checkpoint.
    Whole,
    /// In the middle of one, after whole ones.
    Torn,
    /// There is no such file yet.
    NotBegun,
}

/// What became of a checkpoint for a witness file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// There was no file: it is the first in it.
    Begun,
    /// It is the last in it.
    Appended,
    /// The file has seen as much already.
    Known,
    /// The file has seen another history: it was left as it is.
    Disagrees,
}

/// Reads a witness file.
///
/// # Errors
/// It cannot be read, is something else, or holds no whole checkpoint: then there is nothing to compare with.
pub fn read(path: &Path) -> Result<Witness, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Witness { checkpoints: Vec::new(), end: End::NotBegun });
        }
        Err(error) => return Err(Failure::file(path, &error)),
    };
    let parsed = SignedCheckpoint::parse_all(&text);
    let (checkpoints, whole) = parsed.map_err(|_| {
        Failure::new("witness", format!("{} is not a witness file of an issuer's log", path.display()))
    })?;
    if checkpoints.is_empty() {
        let what = if text.is_empty() { "it is empty" } else { "its only one is torn" };
        return Err(Failure::new(
            "witness-unusable",
            format!(
                "the witness file {} holds no whole checkpoint ({what}): nothing was compared, and the file was left as it is; put the auditor's copy of it back, or move it away to begin a new one",
                path.display()
            ),
        ));
    }
    let end = if whole == text.len() { End::Whole } else { End::Torn };
    Ok(Witness { checkpoints, end })
}

/// Adds a checkpoint at the end of a witness file, durably, unless it is there; what a crash left unfinished is cut off. A file
/// that is not there is begun.
///
/// # Errors
/// The system's, a file that is something else, or one that holds no whole checkpoint: it is left as it is.
pub fn append(path: &Path, checkpoint: &SignedCheckpoint) -> std::io::Result<Added> {
    let open = || std::fs::OpenOptions::new().read(true).write(true).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => match begin(path, checkpoint) {
            // Another desk was first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => open()?,
            begun => return begun.map(|()| Added::Begun),
        },
        opened => opened?,
    };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let (known, whole) = SignedCheckpoint::parse_all(&text).map_err(std::io::Error::other)?;
    let last = known.last().ok_or_else(|| std::io::Error::other("it holds no whole checkpoint"))?;
    if last.checkpoint.end.sequence >= checkpoint.checkpoint.end.sequence {
        let sequence = checkpoint.checkpoint.end.sequence;
        let is_other = known.iter().any(|known| {
            known.checkpoint.end.sequence == sequence && known.checkpoint.end != checkpoint.checkpoint.end
        });
        return Ok(if is_other { Added::Disagrees } else { Added::Known });
    }
    let whole = u64::try_from(whole).unwrap_or(u64::MAX);
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    file.write_all(checkpoint.document().as_bytes())?;
    file.sync_all()?;
    Ok(Added::Appended)
}

/// How much of the end of a witness file is read for its last checkpoint, which is a few hundred octets.
const END: u64 = 64 * 1024;

/// The last whole checkpoint in a witness file; none where there is none that can be read.
///
/// # Errors
/// The system's.
pub fn last(path: &Path) -> std::io::Result<Option<SignedCheckpoint>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut octets = Vec::new();
    file.take(END).read_to_end(&mut octets)?;
    let text = String::from_utf8_lossy(&octets);
    let Some((_, documents)) = text.find(SignedCheckpoint::BEGIN).and_then(|at| text.split_at_checked(at))
    else {
        return Ok(None);
    };
    Ok(SignedCheckpoint::parse_all(documents).ok().and_then(|(mut found, _)| found.pop()))
}

/// A new file appears with its first checkpoint in it, so that one without any is never a crash's work.
fn begin(path: &Path, checkpoint: &SignedCheckpoint) -> std::io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(checkpoint.document().as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
