//! Whether the registry is the one that the witness of `config.toml` has seen: looked at when the home is opened, before
//! anything is added to the witness, signed or published.

use std::path::Path;

use super::super::failure::Failure;
use super::super::office::Office;
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

/// Compares the registry with the last thing that the witness saw: an event's hash stands for all before it. What cannot be
/// read is no doubt: whoever wants to add to it says so. One that was begun and is gone is one.
///
/// # Errors
/// The registry.
pub async fn of_registry(
    registry: &Registry,
    home: &Home,
    path: &Path,
) -> Result<Option<WitnessDoubt>, RegistryError> {
    if begun::is_missed(home, path) {
        let message = format!("{}. Until then nothing is signed or published", begun::missed(path));
        return Ok(Some(WitnessDoubt(message)));
    }
    if path.exists() {
        // Who cannot write the home changes nothing either.
        let _ = begun::remember(home, path);
    }
    // The witness first: what others record meanwhile is in the registry before it is in the witness.
    let Ok(Some(last)) = witness::last(path) else { return Ok(None) };
    let Some(what) = differs(registry, &last).await? else { return Ok(None) };
    let file = path.display();
    Ok(Some(WitnessDoubt(format!(
        "the witness file {file} speaks against the registry: {what}. Nothing is signed, published or added to the witness. Look with: issuer audit verify --witness {file}; put the newest copy of the registry back. If an older one was restored on purpose, the auditor keeps the file and moves it away, and begins a new one: issuer audit verify --new-witness"
    ))))
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

impl Office {
    /// Lets through what must not happen with a registry that was rolled back.
    ///
    /// # Errors
    /// `registry-rolled-back`: the witness of `config.toml` speaks against it, or is missing.
    pub fn require_witness(&self) -> Result<(), Failure> {
        match &self.witness_doubt {
            None => Ok(()),
            Some(doubt) => Err(Failure::new("registry-rolled-back", doubt.message())),
        }
    }
}
