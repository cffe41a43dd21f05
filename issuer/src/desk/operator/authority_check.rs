//! Nobody is let in, and nothing judged, by rows or events that are not what this program wrote.

use std::io::Write;

use super::super::audit::signatures::is_ours;
use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use crate::clock::Clock;
use crate::config::Home;
use crate::domain::{Act, CheckedLog, CheckpointFault, Permission};
use crate::registry::{CheckedAuthority, RegistryError};

impl Office {
    /// Compares who may do what with the log, and the log with its hashes and its newest checkpoint. A revocation
    /// does not wait for a log that is broken somewhere else.
    ///
    /// # Errors
    /// `authority-changed`, in the log too.
    pub(super) async fn refuse_edited_authority_for(&self, action: Permission) -> Result<(), Failure> {
        let is_urgent = action == Permission::Revoke;
        self.compare_authority(action.as_str(), is_urgent).await
    }

    /// The same of an act that needs two.
    ///
    /// # Errors
    /// As [`Self::refuse_edited_authority_for`].
    pub(super) async fn refuse_edited_authority(&self, act: Act) -> Result<(), Failure> {
        self.compare_authority(act.as_str(), false).await
    }

    async fn compare_authority(&self, action: &str, is_urgent: bool) -> Result<(), Failure> {
        let (before, now) = (read(&self.home), self.clock.now());
        let log = match self.registry.verify_authority(before.as_ref(), now).await.and_then(signed) {
            Ok(Err(broken)) if is_urgent => {
                output::progress(&format!("warning: {broken}; see: issuer audit verify"));
                return Ok(());
            }
            Ok(log) => log,
            Err(error) => Err(error),
        };
        let why = match log {
            Ok(checked) => {
                if before != Some(checked) {
                    // Who cannot write the home begins at the beginning the next time.
                    let _ = write(&self.home, &checked);
                }
                return Ok(());
            }
            Err(RegistryError::TablesDiffer { differences, .. }) => {
                differences.first().map(ToString::to_string).unwrap_or_default()
            }
            Err(error @ (RegistryError::LogBroken(_) | RegistryError::CheckpointBroken(_))) => {
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        };
        let why = format!(
            "who may do what at this desk was changed past the program, and nothing is done by it: {why}; see: issuer audit verify; then restore a backup that is whole (issuer restore)"
        );
        Err(self.refused(None, action, "authority-changed", &why).await)
    }
}

fn signed(found: CheckedAuthority) -> Result<Result<CheckedLog, RegistryError>, RegistryError> {
    if !found.is_continued {
        output::progress(
            "warning: the log of the registry is not the one that was worked with here before: an older copy was put back, or it was written anew; see: issuer audit verify --witness FILE",
        );
    }
    match &found.newest {
        Some(newest) if !is_ours(&found.keys, newest) => {
            Err(CheckpointFault::NotSigned(newest.checkpoint.end.sequence).into())
        }
        _ => Ok(found.log),
    }
}

/// Whatever cannot be read is as if it were not there: then everything is checked.
fn read(home: &Home) -> Option<CheckedLog> {
    CheckedLog::parse(&std::fs::read_to_string(home.checked_log_file()).ok()?)
}

fn write(home: &Home, checked: &CheckedLog) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(home.path())?;
    file.write_all(checked.text().as_bytes())?;
    file.persist(home.checked_log_file()).map_err(|error| error.error)?;
    Ok(())
}
