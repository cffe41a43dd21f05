//! One publication after the other: two at once would take CRL numbers from each other, and one of them would find that the
//! other was faster.

use std::fs::File;

use super::super::failure::Failure;
use super::super::output;
use crate::config::Home;

/// The turn of a run; it ends with it, also when it is killed.
pub(super) struct Turn {
    _file: File,
}

/// Waits for the turn of this run among those of the same home.
///
/// # Errors
/// The file in the home cannot be made.
pub(super) fn wait(home: &Home) -> Result<Turn, Failure> {
    let path = home.publication_turn_file();
    let failed = |error: &std::io::Error| Failure::file(&path, error);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            output::progress("Another publication is under way; this one waits for its turn.");
            file.lock().map_err(|error| failed(&error))?;
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(&error)),
    }
    Ok(Turn { _file: file })
}
