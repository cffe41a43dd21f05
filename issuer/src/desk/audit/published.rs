//! Checkpoints of the log in published directories: what is public once cannot be taken back unnoticed.

use std::path::Path;

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use super::signatures::is_ours;
use crate::domain::SignedCheckpoint;
use crate::publication::{PublishedDirectory, layout};
use crate::registry::PublicationTarget;

/// The code of a checkpoint in a published directory that is none.
pub const DAMAGED: &str = "checkpoint-damaged";
const WHAT_TO_NAME: &str =
    "name the directory that issuer publish --to writes, or a copy of it with its audit/checkpoint.txt";

/// The checkpoint in a published directory, to be compared.
///
/// # Errors
/// It is not there, cannot be read, or is something else.
pub fn checkpoint_of(directory: &Path) -> Result<SignedCheckpoint, Failure> {
    if let Some(checkpoint) = find_checkpoint(directory)? {
        return Ok(checkpoint);
    }
    let (place, checkpoint) = (directory.display(), directory.join(layout::CHECKPOINT));
    let message = if !directory.exists() {
        format!("{place} does not exist: nothing was compared; {WHAT_TO_NAME}")
    } else if layout::is_published(directory) {
        format!(
            "{} is missing: nothing was compared. A first publication that was cut off leaves that behind, and issuer publish completes it; a copy needs the file too; if it was there before, somebody took it away",
            checkpoint.display()
        )
    } else {
        format!("{} is missing: nothing was compared; {WHAT_TO_NAME}", checkpoint.display())
    };
    Err(Failure::new("checkpoint-missing", message))
}

/// The checkpoint in a published directory; none where it has none yet.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn find_checkpoint(directory: &Path) -> Result<Option<SignedCheckpoint>, Failure> {
    let path = directory.join(layout::CHECKPOINT);
    let octets = match std::fs::read(&path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    let parsed = SignedCheckpoint::parse(&String::from_utf8_lossy(&octets));
    let checkpoint = parsed.map_err(|error| {
        Failure::new(
            DAMAGED,
            format!("{} is damaged ({error}): put it back from a copy of what was published", path.display()),
        )
    })?;
    Ok(Some(checkpoint))
}

/// Refuses to publish for a registry that is not the one that was published from: an older copy, or one whose log was
/// written anew. Otherwise revocations that everybody has seen would be taken back. `remembered` is up to which event the
/// checkpoint went that was put there: one that is gone, or that another key signed, speaks for nothing.
///
/// # Errors
/// The refusal: `registry-rolled-back`, `checkpoint-missing` or `checkpoint-forged`.
pub async fn check(office: &Office, directory: &Path, remembered: Option<u64>) -> Result<(), Failure> {
    let Some(published) = find_checkpoint(directory)? else {
        return remembered.map_or(Ok(()), |size| missed(directory, size));
    };
    if office.registry.has_accepted(&published.digest()).await? {
        return Ok(());
    }
    let seen = &published.checkpoint;
    let end = office.registry.log_end().await?.sequence;
    let refuse = |what: String| {
        Err(Failure::new(
            "registry-rolled-back",
            format!(
                "{0}: {what}; nothing was published. If this registry was restored from a backup, move its home away and restore it again with what is published: issuer restore FILE --published {0}; if not, look with: issuer audit verify --published {0}",
                directory.display()
            ),
        ))
    };
    match office.registry.event_hash(seen.end.sequence).await? {
        Some(hash) if hash == seen.end.hash => {}
        Some(_) => {
            return refuse(format!(
                "the log was written anew since it was published: event {} is another one than on {}",
                seen.end.sequence, seen.at
            ));
        }
        None => {
            return refuse(format!(
                "the registry is an older one than what was published from: its log ends with event {end}, and event {} of {} is published",
                seen.end.sequence, seen.at
            ));
        }
    }
    if !is_ours(&office.registry.audit_keys().await?, &published) {
        let what = "is not signed by an audit key of this registry: somebody made it up, or it is damaged";
        return Err(gone("checkpoint-forged", directory, what));
    }
    if remembered.is_some_and(|size| size > seen.end.sequence) {
        output::progress(&format!(
            "warning: an older checkpoint was put back into {}: it goes up to event {}, and one up to event {} was published there",
            directory.display(),
            seen.end.sequence,
            remembered.unwrap_or_default()
        ));
    }
    Ok(())
}

/// A checkpoint was put there, and is there no longer.
fn missed(directory: &Path, size: u64) -> Result<(), Failure> {
    if layout::is_published(directory) {
        let what = format!(
            "is missing, and one up to event {size} was published there: without it nobody can tell an older registry by this directory"
        );
        return Err(gone("checkpoint-missing", directory, &what));
    }
    output::progress(&format!(
        "warning: {} is empty, and a checkpoint up to event {size} was published there; if nobody emptied it on purpose, look with: issuer audit verify --witness FILE",
        directory.display()
    ));
    Ok(())
}

fn gone(code: &'static str, directory: &Path, what: &str) -> Failure {
    let place = directory.display();
    Failure::new(
        code,
        format!(
            "{} {what}; nothing was published. Put it back from a copy; or, if you know what happened, begin anew: issuer target forget {place}, move the file away, and publish again (it goes into the log)",
            directory.join(layout::CHECKPOINT).display()
        ),
    )
}

/// Publishes the newest checkpoint, and remembers it. Revocations and certificates are out already: that this one is not is
/// only said.
///
/// # Errors
/// The registry cannot be read or written.
pub async fn put(office: &Office, directory: &Path, target: &PublicationTarget) -> Result<(), Failure> {
    let Some(newest) = office.registry.newest_checkpoint().await? else { return Ok(()) };
    let mut keys = String::new();
    for key in office.registry.audit_keys().await? {
        let pem = der::pem::encode_string("PUBLIC KEY", der::pem::LineEnding::LF, &key.public_key);
        keys.push_str(&pem.map_err(|error| Failure::new("key", error.to_string()))?);
    }
    let written = PublishedDirectory::open(directory)
        .and_then(|directory| directory.replace_checkpoint(newest.document().as_bytes(), keys.as_bytes()));
    if let Err(error) = written {
        output::progress(&format!("warning: the checkpoint of the log is not published: {error}"));
        return Ok(());
    }
    let size = newest.checkpoint.end.sequence;
    Ok(office.registry.target_has_checkpoint(target, size, office.time_in_log().await?).await?)
}
