//! Whether the registry is the one that the witness that counts has seen: looked at when the home is opened, before anything
//! is added to the witness, signed or published.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use super::witness::Last;
use super::{begun, signatures, witness};
use crate::config::Home;
use crate::domain::SignedCheckpoint;
use crate::registry::{Registry, RegistryError};

/// Why the registry is not believed.
#[derive(Clone, Debug)]
pub struct WitnessDoubt(String);

impl WitnessDoubt {
    /// In words, with what to do.
    pub fn message(&self) -> &str {
        &self.0
    }
}

/// The witness that counts, and what it says against the registry.
#[derive(Default)]
pub struct StandingWitness(Mutex<(Option<PathBuf>, Option<WitnessDoubt>)>);

impl StandingWitness {
    /// The file; none where there is no witness.
    pub fn path(&self) -> Option<PathBuf> {
        self.known().0.clone()
    }

    /// What it says against the registry.
    pub fn doubt(&self) -> Option<WitnessDoubt> {
        self.known().1.clone()
    }

    fn known(&self) -> MutexGuard<'_, (Option<PathBuf>, Option<WitnessDoubt>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Office {
    /// From now on this witness counts, and is told of every change if it does not speak against the registry.
    ///
    /// # Errors
    /// The registry.
    pub(in crate::desk) async fn stand_by(&self, witness: Option<PathBuf>) -> Result<(), RegistryError> {
        let doubt = match &witness {
            Some(path) => of_registry(&self.registry, &self.home, path).await?,
            None => None,
        };
        if let Some(doubt) = &doubt {
            output::progress(&format!("warning: {}", doubt.message()));
        }
        if let Some(notary) = &self.notary {
            notary.tell(witness.clone().filter(|_| doubt.is_none()));
        }
        *self.witness.known() = (witness, doubt);
        Ok(())
    }

    /// What config.toml says was just recorded: its witness counts from now on, and is told at once. The one before was told of
    /// that change, as of every other.
    ///
    /// # Errors
    /// The registry.
    pub(in crate::desk) async fn follow_recorded(
        &self,
        witness: Option<PathBuf>,
    ) -> Result<(), RegistryError> {
        if witness == self.witness.path() {
            return Ok(());
        }
        let Some(newest) = self.registry.newest_checkpoint().await? else {
            return self.stand_by(witness).await;
        };
        let tell = |path: &Path| {
            if let Err(error) = witness::append(path, &newest) {
                let file = path.display();
                output::progress(&format!("warning: the witness file {file} cannot be written ({error})"));
            }
        };
        // It is begun now, or missed from now on.
        witness.iter().filter(|path| begun::is_gone(path)).for_each(|path| tell(path));
        self.stand_by(witness).await?;
        if self.witness.doubt().is_none() {
            self.witness.path().iter().for_each(|path| tell(path));
        }
        Ok(())
    }

    /// Lets through what must not happen with a registry that was rolled back.
    ///
    /// # Errors
    /// `registry-rolled-back`: the witness that counts speaks against it, is missing, or damaged.
    pub fn require_witness(&self) -> Result<(), Failure> {
        match self.witness.doubt() {
            None => Ok(()),
            Some(doubt) => Err(Failure::new("registry-rolled-back", doubt.message())),
        }
    }
}

/// Compares the registry with the last thing that the witness saw: an event's hash stands for all before it. A witness that
/// was begun and is gone, or of which nothing can be read, is a doubt too: nobody can tell any more whether it would speak
/// against the registry.
async fn of_registry(
    registry: &Registry,
    home: &Home,
    path: &Path,
) -> Result<Option<WitnessDoubt>, RegistryError> {
    const UNTIL_THEN: &str = "Until then nothing is signed or published";
    if begun::is_missed(registry, home, path).await? {
        let message = format!("{}. {UNTIL_THEN}", begun::missed(path));
        return Ok(Some(WitnessDoubt(message)));
    }
    if begun::is_gone(path) {
        return Ok(None);
    }
    let file = path.display();
    // The witness first: what others record meanwhile is in the registry before it is in the witness.
    let last = match witness::last(path) {
        Ok(Last::Seen(last)) => *last,
        Ok(Last::Damaged(what)) => {
            return Ok(Some(WitnessDoubt(format!("{}. {UNTIL_THEN}", witness::damaged(path, what)))));
        }
        Err(error) => {
            return Ok(Some(WitnessDoubt(format!(
                "the witness file {file} cannot be read ({error}): nobody can tell whether it speaks against the registry. Make it readable again. {UNTIL_THEN}"
            ))));
        }
    };
    let what = differs(registry, &last).await?;
    // Who cannot write the home changes nothing either.
    let _ = begun::remember(home, path, what.is_none().then_some(&last));
    Ok(what.map(|what| {
        WitnessDoubt(format!(
            "the witness file {file} speaks against the registry: {what}. Nothing is signed, published or added to the witness. Look with: issuer audit verify --witness {file}; put the newest copy of the registry back. If an older one was restored on purpose, the auditor keeps the file and moves it away, and begins a new one: issuer audit verify --new-witness"
        ))
    }))
}

async fn differs(registry: &Registry, last: &SignedCheckpoint) -> Result<Option<String>, RegistryError> {
    let SignedCheckpoint { checkpoint: seen, .. } = last;
    let (sequence, at) = (seen.end.sequence, seen.at);
    let own = registry.newest_checkpoint().await?.map(|newest| newest.checkpoint.log);
    if own.is_some_and(|own| own != seen.log) {
        return Ok(Some(format!("it is of another issuer's log (root {})", seen.log)));
    }
    let found = match registry.event_hash(sequence).await? {
        Some(hash) if hash == seen.end.hash => None,
        Some(_) => Some(format!("event {sequence} is not the one that was seen on {at}")),
        None => {
            let (end, _) = registry.last_event().await?;
            Some(format!(
                "the registry is an older copy, its log ends with event {}, and event {sequence} was seen on {at}",
                end.sequence
            ))
        }
    };
    if found.is_some() || signatures::is_ours(&registry.audit_keys().await?, last) {
        return Ok(found);
    }
    Ok(Some(format!(
        "its last checkpoint, of event {sequence}, is not signed by an audit key of this registry"
    )))
}
