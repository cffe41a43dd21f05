//! Whether the witness file that counts was begun: home and log remember it, so that one that is gone is missed instead of
//! begun anew in silence.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::super::failure::Failure;
use super::super::office::Office;
use crate::config::Home;
use crate::domain::SignedCheckpoint;
use crate::domain::checkpoint::witness::LastSeen;
use crate::registry::{Registry, RegistryError};

/// What a home remembers of the witness file: which one it is, and what it has seen last.
struct Remembered {
    witness: PathBuf,
    last: Option<LastSeen>,
}

/// None where nothing is remembered; what cannot be read is remembered of every witness.
fn remembered(home: &Home) -> std::io::Result<Option<Remembered>> {
    let text = match std::fs::read_to_string(home.witness_mark_file()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let mut lines = text.lines();
    let witness = PathBuf::from(lines.next().ok_or(ErrorKind::InvalidData)?);
    Ok(Some(Remembered { witness, last: lines.next().and_then(|line| line.parse().ok()) }))
}

/// What the home remembers that a witness file has seen last.
pub(super) fn last_seen(home: &Home, witness: &Path) -> Option<LastSeen> {
    remembered(home).ok().flatten().filter(|known| known.witness == witness)?.last
}

/// Remembers that this witness file is there, durably, and what it has seen last, if that can be written.
///
/// # Errors
/// The system's, where it is not remembered yet.
pub(super) fn remember(home: &Home, witness: &Path, last: Option<&SignedCheckpoint>) -> std::io::Result<()> {
    let last = last.map(|last| LastSeen::of(&last.checkpoint));
    let known = remembered(home).ok().flatten().filter(|known| known.witness == witness);
    let Some(known) = known else {
        let file = written(home, &Remembered { witness: witness.to_owned(), last })?;
        file.as_file().sync_all()?;
        return keep(home, file);
    };
    let is_news = match (&last, &known.last) {
        (Some(last), Some(before)) => last.event > before.event,
        (last, _) => last.is_some(),
    };
    if is_news {
        // That it is there is what must not be forgotten.
        let _ = written(home, &Remembered { last, ..known }).and_then(|file| keep(home, file));
    }
    Ok(())
}

fn written(home: &Home, known: &Remembered) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(home.path())?;
    writeln!(file, "{}", known.witness.display())?;
    if let Some(last) = &known.last {
        writeln!(file, "{last}")?;
    }
    Ok(file)
}

fn keep(home: &Home, file: NamedTempFile) -> std::io::Result<()> {
    file.persist(home.witness_mark_file()).map(drop).map_err(|error| error.error)
}

/// Whether this witness file was there before, and is not there now. The home remembers that it was; so does the log of one
/// that is among the terms that were recorded, for it was begun when they were.
///
/// # Errors
/// The database.
pub(super) async fn is_missed(
    registry: &Registry,
    home: &Home,
    witness: &Path,
) -> Result<bool, RegistryError> {
    if !is_gone(witness) {
        return Ok(false);
    }
    if remembered(home).is_ok_and(|known| known.is_none_or(|known| known.witness != witness)) {
        let recorded = registry.recorded_terms().await?.and_then(|terms| terms.witness());
        return Ok(recorded.is_some_and(|recorded| Path::new(&recorded) == witness));
    }
    Ok(true)
}

/// Whether there is no such file.
pub(super) fn is_gone(witness: &Path) -> bool {
    matches!(std::fs::metadata(witness), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// What is wrong with a witness file that is missed, and what to do.
pub(super) fn missed(witness: &Path) -> String {
    format!(
        "the witness file {} is missing, and it was begun before: without it nobody can tell an older registry. Put the auditor's copy of it back; or, if you know what happened, begin a new one, as an auditor (it goes into the log): issuer audit verify --new-witness",
        witness.display()
    )
}

/// The witness files to compare with: those that are named, and the one that counts, which need not be named.
///
/// # Errors
/// `witness-missing`: the one that counts is.
pub(super) async fn compared(office: &Office, named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = named.to_vec();
    let Some(own) = office.witness.path() else { return Ok(all) };
    if is_missed(&office.registry, &office.home, &own).await? {
        return Err(Failure::new("witness-missing", format!("{}; nothing was compared", missed(&own))));
    }
    if !named.iter().any(|named| is_same(named, &own)) {
        all.push(own);
    }
    Ok(all)
}

/// Whether two paths are of one file, which need not be there yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::canonicalize(path).or_else(|_| {
            Ok::<_, std::io::Error>(std::fs::canonicalize(folder)?.join(path.file_name().unwrap_or_default()))
        })
    };
    one == other || matches!((whole(one), whole(other)), (Ok(one), Ok(other)) if one == other)
}
