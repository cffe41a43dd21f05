//! One publication after the other: two at once would take CRL numbers from each other, and one of them would find that the
//! other was faster.

use std::fs::File;

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use super::super::texts;
use crate::config::Home;
use crate::registry::PublicationTurn;

/// The turn of a run; it ends with it, also when it is killed.
pub(super) struct Turn {
    _file: File,
    _registry: PublicationTurn,
}

/// Waits for the turn of this run among those of the same home, and of other homes with the same registry.
///
/// # Errors
/// The file in the home cannot be made, or the registry.
pub(super) async fn wait(office: &Office) -> Result<Turn, Failure> {
    let waits = || output::progress(&texts::say("published-turn", &[]));
    let file = of_home(&office.home, waits)?;
    Ok(Turn { _file: file, _registry: office.registry.publication_turn(waits).await? })
}

fn of_home(home: &Home, waits: impl FnOnce()) -> Result<File, Failure> {
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
            waits();
            file.lock().map_err(|error| failed(&error))?;
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(&error)),
    }
    Ok(file)
}
