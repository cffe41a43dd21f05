//! Changes of who may do what of which the witness was not told when they were made.
//!
//! A witness that `config.toml` names is told of every change at once. Whoever holds the database and the key that signs
//! checkpoints, but not the witness, can add to the log what fits it: an operator, an approval. Nothing in the registry tells
//! that from what the program wrote; but the witness has no checkpoint of it. Neither has one that could not be written at
//! that time: so each of them is named, for the auditor to ask about, and by every check: none adds it to the witness.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::super::failure::Failure;
use crate::domain::{RegistryEvent, SignedCheckpoint, Terms};
use crate::registry::{AuthorityChange, Registry};

/// A change that the witness missed.
#[derive(Serialize)]
pub(super) struct Untold {
    event: u64,
    at: String,
    by: String,
    kind: String,
    about: String,
    witness: String,
    /// Up to which event the checkpoint goes that the witness does not have.
    #[serde(skip)]
    pub(super) checkpoint: u64,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, at, by, kind, about, witness, .. } = self;
        write!(
            f,
            "event {event} ({kind}, {about}, {at}, by {by}) says who may do what, and the witness {witness} was not told of it at once: it could not be written then, or somebody put the event there past the program; whoever is named should know of it. If nobody does, restore a backup of before"
        )
    }
}

/// What the witness that counts was not told of, since it was named in the terms. `seen` is what is in it.
///
/// # Errors
/// The registry.
pub(super) async fn of_witness(
    registry: &Registry,
    witness: &Path,
    seen: &[SignedCheckpoint],
) -> Result<Vec<Untold>, Failure> {
    let seen: BTreeSet<u64> = seen.iter().map(|seen| seen.checkpoint.end.sequence).collect();
    let Some(first) = seen.first() else { return Ok(Vec::new()) };
    let mut untold = Vec::new();
    let mut counts = false;
    for AuthorityChange { record, checkpoint } in registry.authority_changes().await? {
        let is_told = checkpoint.is_none_or(|checkpoint| checkpoint < *first || seen.contains(&checkpoint));
        if counts && !is_told {
            untold.push(Untold {
                event: record.sequence,
                at: record.at.to_string(),
                by: record.actor.clone(),
                kind: record.kind.clone(),
                about: record.subject.to_string(),
                witness: witness.display().to_string(),
                checkpoint: checkpoint.unwrap_or_default(),
            });
        }
        if let Ok(RegistryEvent::ConfigurationRecorded { terms, .. }) = serde_json::from_str(&record.detail) {
            counts = Terms::new(terms).witness().is_some_and(|named| Path::new(&named) == witness);
        }
    }
    Ok(untold)
}
