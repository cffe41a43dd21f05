//! Another witness in the place of one that is gone: what an auditor decides, and the log tells for good.
//!
//! Whoever could begin one in silence could put an older registry back and be rid of what speaks against it. So the event
//! names what the old witness had seen last, and every check of the log repeats it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::failure::Failure;
use super::super::office::Office;
use super::verdict::Verdict;
use super::witness::{self, Last};
use super::{begun, signatures};
use crate::domain::checkpoint::witness::LastSeen;
use crate::domain::{Act, GuardedAct};
use crate::registry::{Registry, WitnessChange};

/// An event of the log that tells of it, and whether the log still is what the old witness had seen.
#[derive(Serialize)]
pub(super) struct Anew {
    event: u64,
    at: String,
    by: String,
    witness: String,
    before: Option<LastSeen>,
    /// Whether what the old witness had seen last is an event of this log.
    agrees: Option<bool>,
}

impl fmt::Display for Anew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, at, by, witness, before, agrees } = self;
        write!(f, "the witness {witness} was begun anew on {at} by {by} (event {event})")?;
        match before {
            None => write!(f, "; what the one before had seen is not known")?,
            Some(before) => write!(f, "; the one before had seen event {} of {}", before.event, before.at)?,
        }
        if *agrees == Some(false) {
            write!(f, ", which is not that event of this log: an older registry took its place then")?;
        }
        Ok(())
    }
}

/// The witness that counts, which is to be begun anew.
///
/// # Errors
/// There is none, or it is there.
pub(super) fn require_gone(office: &Office) -> Result<PathBuf, Failure> {
    let Some(own) = office.witness.path() else {
        return Err(Failure::usage(
            "config.toml names no witness file that could be begun anew; a file that --witness names is begun by itself",
        ));
    };
    if begun::is_gone(&own) {
        return Ok(own);
    }
    Err(Failure::new(
        "witness-there",
        format!(
            "the witness file {} is there, and nothing is begun over it: the auditor keeps it elsewhere first; then run the same command again, with --old-witness FILE",
            own.display()
        ),
    ))
}

/// Begins it, once whoever must has agreed, with an event that names what the one before had seen.
///
/// # Errors
/// A second operator is needed, the old witness file is none, or the new one cannot be written.
pub(super) async fn begin(office: &Office, old: Option<&Path>, verdict: &mut Verdict) -> Result<(), Failure> {
    let own = require_gone(office)?;
    let now = office.time_to_record().await?;
    let registry = &office.registry;
    let before = match old {
        Some(old) => Some(last_of(office, old).await?),
        None => begun::last_seen(&office.home, &own),
    };
    let file = own.display().to_string();
    let known = before.as_ref().map_or_else(|| "unknown".to_owned(), LastSeen::to_string);
    let act = GuardedAct::new(Act::NewWitness, &format!("{file} after {known}"));
    let approved = office.approve(&act).await?;
    registry.spending(approved, now, registry.begin_witness(&file, before.as_ref(), now)).await?;
    if let Some(newest) = registry.newest_checkpoint().await? {
        witness::append(&own, &newest).map_err(|error| Failure::file(&own, &error))?;
        verdict.witnesses_begun.push(file);
    }
    office.stand_by(Some(own)).await?;
    verdict.witness_begun_anew = told(registry).await?;
    Ok(())
}

/// What a kept witness file has seen last, signed by a key of this registry.
async fn last_of(office: &Office, old: &Path) -> Result<LastSeen, Failure> {
    let refused =
        |what: &str| Failure::new("witness", format!("{}: {what}; nothing was begun", old.display()));
    let last = match witness::last(old).map_err(|error| Failure::file(old, &error))? {
        Last::Seen(last) => last,
        Last::Damaged(_) => return Err(refused("it does not end with a checkpoint of a log")),
    };
    if !signatures::is_ours(&office.registry.audit_keys().await?, &last) {
        return Err(refused("its last checkpoint is not signed by an audit key of this registry"));
    }
    Ok(LastSeen::of(&last.checkpoint))
}

/// Whatever the log tells of it.
pub(super) async fn told(registry: &Registry) -> Result<Vec<Anew>, Failure> {
    let mut told = Vec::new();
    for WitnessChange { event, at, by, witness, before } in registry.witnesses_begun().await? {
        let agrees = match &before {
            Some(before) if before.event < event => {
                registry.event_hash(before.event).await?.map(|hash| hash.to_string() == before.hash)
            }
            // It had seen more than there was.
            before => before.as_ref().map(|_| false),
        };
        told.push(Anew { event, at: at.to_string(), by, witness, before, agrees });
    }
    Ok(told)
}
