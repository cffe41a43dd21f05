//! One who makes cards of a batch: a home and a bench of its own.

use crate::desk::bench::{Bench, Keys};
use crate::desk::failure::Failure;
use crate::desk::office::{Office, Passphrase, Surroundings};
use crate::domain::Actor;

/// An opened home with the keys that making cards takes.
pub struct Hand {
    /// The home.
    pub office: Office,
    /// The keys.
    pub bench: Bench,
}

impl Hand {
    /// Opens the home once more, in the name of whoever began the batch: everybody has a connection and signing keys of their
    /// own.
    ///
    /// # Errors
    /// The registry cannot be opened, or an authority's key that is in no file.
    pub async fn open(
        surroundings: &Surroundings,
        actor: Option<Actor>,
        passphrase: &Passphrase,
        keys: &Keys,
    ) -> Result<Self, Failure> {
        let office = Office::open_beside(surroundings, actor).await?;
        let bench = keys.bench(&office, passphrase).await?;
        Ok(Self { office, bench })
    }
}
