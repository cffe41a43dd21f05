//! Whether the witness file of `config.toml` was begun: the home remembers it, so that one that is gone is missed instead of
//! begun anew in silence.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::super::office::Office;
use crate::config::Home;

/// Whether this witness file was there before.
pub(super) fn is_remembered(home: &Home, witness: &Path) -> bool {
    match std::fs::read_to_string(home.witness_mark_file()) {
        Ok(text) => Path::new(text.trim_end_matches('\n')) == witness,
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Remembers that this witness file is there.
///
/// # Errors
/// The system's.
pub(super) fn remember(home: &Home, witness: &Path) -> std::io::Result<()> {
    if is_remembered(home, witness) {
        return Ok(());
    }
    let mut file = tempfile::NamedTempFile::new_in(home.path())?;
    writeln!(file, "{}", witness.display())?;
    file.as_file().sync_all()?;
    file.persist(home.witness_mark_file()).map_err(|error| error.error)?;
    Ok(())
}

/// Whether this witness file was there before, and is not there now.
pub(super) fn is_missed(home: &Home, witness: &Path) -> bool {
    let is_gone = matches!(std::fs::metadata(witness), Err(error) if error.kind() == ErrorKind::NotFound);
    is_gone && is_remembered(home, witness)
}

/// What is wrong with a witness file that is missed, and what to do.
pub(super) fn missed(witness: &Path) -> String {
    format!(
        "the witness file {} is missing, and it was begun before: without it nobody can tell an older registry. Put the auditor's copy of it back; or, if you know what happened, begin a new one: issuer audit verify --new-witness",
        witness.display()
    )
}

/// The witness files to compare with: those that are named, and that of `config.toml`, which need not be named.
///
/// # Errors
/// `witness-missing`: the one of `config.toml` is, and nobody said that a new one shall begin.
pub(super) fn compared(
    office: &Office,
    named: &[PathBuf],
    new_witness: bool,
) -> Result<Vec<PathBuf>, Failure> {
    let mut all = named.to_vec();
    let Some(own) = &office.config.witness else { return Ok(all) };
    if is_missed(&office.home, own) && !new_witness {
        return Err(Failure::new("witness-missing", format!("{}; nothing was compared", missed(own))));
    }
    if !named.iter().any(|named| is_same(named, own)) {
        all.push(own.clone());
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
