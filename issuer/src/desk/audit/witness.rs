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
    /// How it stands.
    pub state: State,
}

/// How a witness file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is whole.
    Whole,
    /// It ends in the middle of a checkpoint, after whole ones: a crash's work.
    Torn,
    /// There is no such file yet.
    NotBegun,
    /// It is something else: in part, or as a whole.
    Damaged(Damage),
}

/// What became of a witness file. None of it is a crash's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing is in it.
    Empty,
    /// The only checkpoint in it is torn.
    OnlyTorn,
    /// What is in it, in part or as a whole, are no checkpoints.
    SomethingElse,
}

/// What a witness file ends with.
pub enum Last {
    /// This checkpoint.
    Seen(Box<SignedCheckpoint>),
    /// Something else.
    Damaged(Damage),
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

/// Reads a witness file. Of a damaged one what can still be read.
///
/// # Errors
/// The system's.
pub fn read(path: &Path) -> Result<Witness, Failure> {
    let octets = match std::fs::read(path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Witness { checkpoints: Vec::new(), state: State::NotBegun });
        }
        Err(error) => return Err(Failure::file(path, &error)),
    };
    let text = String::from_utf8_lossy(&octets);
    Ok(match SignedCheckpoint::parse_all(&text) {
        Ok((checkpoints, _)) if checkpoints.is_empty() => {
            let damage = if text.is_empty() { Damage::Empty } else { Damage::OnlyTorn };
            Witness { checkpoints, state: State::Damaged(damage) }
        }
        Ok((checkpoints, whole)) => {
            let state = if whole == text.len() { State::Whole } else { State::Torn };
            Witness { checkpoints, state }
        }
        Err(_) => Witness {
            checkpoints: SignedCheckpoint::salvage(&text),
            state: State::Damaged(Damage::SomethingElse),
        },
    })
}

/// What is wrong with a damaged witness file, and what to do.
pub fn damaged(path: &Path, damage: Damage) -> String {
    let what = match damage {
        Damage::Empty => "it is empty",
        Damage::OnlyTorn => "its only checkpoint is torn",
        Damage::SomethingElse => "what is in it, or a part of it, is no checkpoint of a log",
    };
    format!(
        "the witness file {} is damaged ({what}): no crash leaves it so, somebody changed it or its medium is failing, and the file was left as it is. Put the auditor's copy of it back; or, if you know what happened, keep it elsewhere and begin a new one, as an auditor (it goes into the log): issuer audit verify --new-witness",
        path.display()
    )
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

/// What a witness file ends with: its last whole checkpoint, behind which a crash may have left a torn one.
///
/// # Errors
/// The system's.
pub fn last(path: &Path) -> std::io::Result<Last> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut octets = Vec::new();
    file.take(END).read_to_end(&mut octets)?;
    if octets.is_empty() {
        return Ok(Last::Damaged(Damage::Empty));
    }
    let text = String::from_utf8_lossy(&octets);
    // Before the first whole one here the end of another may stand, unless this is all there is.
    let begins = text.find(SignedCheckpoint::BEGIN).filter(|at| *at == 0 || length > END);
    let parsed =
        begins.and_then(|at| text.split_at_checked(at)).map(|(_, rest)| SignedCheckpoint::parse_all(rest));
    Ok(match parsed {
        Some(Ok((mut found, _))) => {
            found.pop().map_or(Last::Damaged(Damage::OnlyTorn), |last| Last::Seen(Box::new(last)))
        }
        _ if SignedCheckpoint::BEGIN.starts_with(&*text) => Last::Damaged(Damage::OnlyTorn),
        _ => Last::Damaged(Damage::SomethingElse),
    })
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
