//! `issuer audit`: whether the log is what was written.

pub mod notary;

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::registry::RegistryError;

/// What is asked of the log.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Check every event against the one before, and every state against its events
    #[command(after_help = "Exit status: 0 whole, 4 not.\n\nExample:\n  issuer --home pki audit verify")]
    Verify,
}

#[derive(Serialize)]
struct Verdict {
    whole: bool,
    events: Option<u64>,
    hash: Option<String>,
    states: Option<u64>,
    problem: Option<String>,
}

/// Checks the log.
///
/// # Errors
/// The registry cannot be read. A log that is not whole is an answer: exit status 4.
pub async fn run(office: &Office, Command::Verify: &Command, format: Format) -> Result<Status, Failure> {
    let verdict = match office.registry.verify_log().await {
        Ok(verdict) => Verdict {
            whole: true,
            events: Some(verdict.end.sequence),
            hash: Some(verdict.end.hash.to_string()),
            states: Some(verdict.states),
            problem: None,
        },
        Err(error @ (RegistryError::LogBroken(_) | RegistryError::StateBroken(_))) => {
            Verdict { whole: false, events: None, hash: None, states: None, problem: Some(error.to_string()) }
        }
        Err(error) => return Err(error.into()),
    };
    match (format, &verdict.problem) {
        (Format::Json, _) => output::json(&verdict)?,
        (Format::Text, Some(problem)) => output::line(&format!(
            "NOT WHOLE: {problem}. Compare with a backup, and with what others kept of the log."
        ))?,
        (Format::Text, None) => output::line(&format!(
            "The log is whole: {} events, {} states agree with them. Its end is {}",
            verdict.events.unwrap_or_default(),
            verdict.states.unwrap_or_default(),
            verdict.hash.clone().unwrap_or_default(),
        ))?,
    }
    Ok(if verdict.whole { Status::Done } else { Status::NotTrusted })
}
