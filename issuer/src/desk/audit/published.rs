//! Checkpoints of the log in published directories: what is public once cannot be taken back unnoticed.

use std::path::Path;

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use crate::domain::SignedCheckpoint;
use crate::publication::{PublishedDirectory, layout};

/// The checkpoint in a published directory, to be compared.
///
/// # Errors
/// It is not there, cannot be read, or is something else.
pub fn checkpoint_of(directory: &Path) -> Result<SignedCheckpoint, Failure> {
    if let Some(checkpoint) = find_checkpoint(directory)? {
        return Ok(checkpoint);
    }
    let (what, missing) = match directory.exists() {
        true => ("is missing", directory.join(layout::CHECKPOINT)),
        false => ("does not exist", directory.to_owned()),
    };
    Err(Failure::new(
        "checkpoint-missing",
        format!(
            "{} {what}: nothing was compared; name the directory that issuer publish --to writes, or a copy of it with its {}",
            missing.display(),
            layout::CHECKPOINT
        ),
    ))
}

/// The checkpoint in a published directory; none where it has none yet.
///
/// # Errors
/// It cannot be read, or is something else.
pub fn find_checkpoint(directory: &Path) -> Result<Option<SignedCheckpoint>, Failure> {
    let path = directory.join(layout::CHECKPOINT);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(&path, &error)),
    };
    let parsed = SignedCheckpoint::parse(&text);
    let checkpoint =
        parsed.map_err(|error| Failure::new("witness", format!("{}: {error}", path.display())))?;
    Ok(Some(checkpoint))
}

/// Refuses to publish for a registry that is not the one that was published from: an older copy, or one whose log was
/// written anew. Otherwise revocations that everybody has seen would be taken back.
///
/// # Errors
/// The refusal: `registry-rolled-back`.
pub async fn check(office: &Office, directory: &Path) -> Result<(), Failure> {
    let Some(published) = find_checkpoint(directory)? else { return Ok(()) };
    if office.registry.has_accepted(&published.digest()).await? {
        return Ok(());
    }
    let seen = &published.checkpoint;
    let end = office.registry.log_end().await?.sequence;
    let refuse = |what: String| {
        Err(Failure::new(
            "registry-rolled-back",
            format!(
                "{}: {what}; nothing was published. Look with: issuer audit verify --published {}",
                directory.display(),
                directory.display()
            ),
        ))
    };
    match office.registry.event_hash(seen.end.sequence).await? {
        Some(hash) if hash == seen.end.hash => Ok(()),
        Some(_) => refuse(format!(
            "the log was written anew since it was published: event {} is another one than on {}",
            seen.end.sequence, seen.at
        )),
        None => refuse(format!(
            "the registry is an older one than what was published from: its log ends with event {end}, and event {} of {} is published",
            seen.end.sequence, seen.at
        )),
    }
}

/// Publishes the newest checkpoint. Revocations and certificates are out already: that this one is not is only said.
///
/// # Errors
/// The registry cannot be read.
pub async fn put(office: &Office, directory: &Path) -> Result<(), Failure> {
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
    }
    Ok(())
}
