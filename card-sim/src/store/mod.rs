//! Where a card's state is kept.

use std::path::PathBuf;

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such file.
    #[error("{}: no such card; make one with `card-sim new`", path.display())]
    NotFound {
        /// The state file.
        path: PathBuf,
    },
    /// Another process has the card.
    #[error("{}: the card is in use by another process; stop that one first", path.display())]
    InUse {
        /// The state file.
        path: PathBuf,
    },
}
