//! Which cards have had their transport PIN changed, as this user's own state records it.
//!
//! A card leaves the desk with a transport PIN that others have seen. Our tools sign with it only after the holder has
//! changed that PIN, or says so: `card change-pin` writes one file per card, named by its GUID, under
//! `$XDG_STATE_HOME/sealwright/cards` (by default `~/.local/state`).
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

/// Whether this user has changed the PIN of the card with this GUID, or said so.
pub fn is_activated(guid: &[u8; 16]) -> bool {
    directory().is_some_and(|directory| is_activated_in(&directory, guid))
}

/// Records that the PIN of the card was changed.
///
/// # Errors
/// Names the file that could not be written.
pub fn activate(guid: &[u8; 16]) -> std::io::Result<()> {
    let directory = directory().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no home directory to record the PIN change in; set HOME")
    })?;
    activate_in(&directory, guid)
}

/// Forgets that the PIN of the card was changed: it is the factory's again.
///
/// # Errors
/// Names the file that could not be removed.
pub fn deactivate(guid: &[u8; 16]) -> std::io::Result<()> {
    directory().map_or(Ok(()), |directory| deactivate_in(&directory, guid))
}

fn directory() -> Option<PathBuf> {
    let directories = directories::BaseDirs::new()?;
    // Only Linux has a directory for state; elsewhere data of this machine comes closest.
    let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    Some(state.join("sealwright").join("cards"))
}

fn is_activated_in(directory: &Path, guid: &[u8; 16]) -> bool {
    directory.join(hex::encode(guid)).is_file()
}

fn activate_in(directory: &Path, guid: &[u8; 16]) -> std::io::Result<()> {
    let file = directory.join(hex::encode(guid));
    create_private(directory)
        .and_then(|()| std::fs::write(&file, "The transport PIN of this card was changed.\n"))
        .map_err(|error| Error::new(error.kind(), format!("{}: {error}", file.display())))
}

fn deactivate_in(directory: &Path, guid: &[u8; 16]) -> std::io::Result<()> {
    let file = directory.join(hex::encode(guid));
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::new(error.kind(), format!("{}: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

/// Folders that only their owner can search, as the XDG base directory specification asks.
fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activation_is_recorded_per_card() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("state/sealwright/cards");
        let (mine, other) = ([1; 16], [2; 16]);
        assert!(!is_activated_in(&directory, &mine));
        activate_in(&directory, &mine).unwrap();
        activate_in(&directory, &mine).unwrap();
        assert!(is_activated_in(&directory, &mine));
        assert!(!is_activated_in(&directory, &other));
        deactivate_in(&directory, &mine).unwrap();
        deactivate_in(&directory, &mine).unwrap();
        assert!(!is_activated_in(&directory, &mine));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = activate_in(file.path(), &[1; 16]).unwrap_err();
        assert!(error.to_string().contains("0101"), "{error}");
    }
}
