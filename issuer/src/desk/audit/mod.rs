//! `issuer audit`: whether the log is what was written, by its own word and by that of others who saw it.
//!
//! - `begun`: whether the witness of `config.toml` was begun, and is missed.
//! - [`notary`]: the key that signs checkpoints. - [`witness`]: the auditor's files of them. - [`published`]: those in published
//!   directories. - [`standing`]: whether the witness of `config.toml` believes the registry. - `signatures`: whose they are.

mod begun;
pub mod notary;
pub mod published;
mod signatures;
pub mod standing;
pub mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::signatures::Seen;
use self::witness::{Added, End};
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::domain::checkpoint::witness::{FoundLog, OwnWord, compare};
use crate::domain::{AuthorityName, SignedCheckpoint};
use crate::registry::{Difference, RegistryError};

/// What is asked of the log.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Check every event against the one before, every state against its events, and all of it against what others saw
    #[command(
        after_help = "A witness file is kept by the auditor, where nobody who works with the registry can write; each check \
            adds what it found good, and a new file is begun by the first. With witness = \"FILE\" in config.toml every change is \
            added at once, and each check compares with that file too; one that was begun and is gone is a failure. What is named and cannot be compared (a witness file without a whole checkpoint, a directory without \
            audit/checkpoint.txt) is a failure.\n\nExit status: 0 whole, 1 it could not be told, 4 not.\n\nExamples:\n  issuer --home pki audit verify\n  \
            issuer --home pki audit verify --witness /media/auditor/witness --published /srv/pki"
    )]
    Verify {
        /// The auditor's witness file
        #[arg(long, value_name = "FILE")]
        witness: Vec<PathBuf>,
        /// A published directory, whose checkpoint is compared too
        #[arg(long, value_name = "DIR")]
        published: Vec<PathBuf>,
        /// Begin the witness of config.toml anew, although one was begun before and is gone
        #[arg(long)]
        new_witness: bool,
    },
}

#[derive(Serialize)]
struct Verdict {
    whole: bool,
    events: Option<u64>,
    hash: Option<String>,
    /// Rows of its tables that agree with them.
    rows: Option<u64>,
    /// Those among them of which an earlier program's log says less than all.
    untold_rows: Option<u64>,
    problem: Option<String>,
    findings: Vec<Finding>,
    witnessed: usize,
    audit_key: Option<String>,
    /// Whether the newest checkpoint's key signed none of those that others saw.
    new_key: bool,
    /// Witness files that begin with this check: nothing was compared with them.
    witnesses_begun: Vec<String>,
    /// Witness files that end in the middle of a checkpoint: those before it were compared.
    witnesses_torn: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    code: &'static str,
    message: String,
    /// What differs, where it is a value or a row of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<TableDifference>,
}

#[derive(Serialize)]
struct TableDifference {
    table: &'static str,
    row: String,
    column: Option<&'static str>,
    log: String,
    found: String,
}

impl Finding {
    const fn new(code: &'static str, message: String) -> Self {
        Self { code, message, difference: None }
    }

    fn of(difference: Difference) -> Self {
        let message = format!("somebody changed the registry past this program: {difference}");
        let Difference { table, row, column, log, found } = difference;
        let difference = Some(TableDifference { table, row, column, log, found });
        Self { code: "table-changed", message, difference }
    }
}

/// Checks the log.
///
/// # Errors
/// The registry or a witness cannot be read, or holds nothing to compare with. A log that is not whole is an answer: exit
/// status 4.
pub async fn run(office: &Office, command: &Command, format: Format) -> Result<Status, Failure> {
    let Command::Verify { witness: named, published, new_witness } = command;
    let witness = &begun::compared(office, named, *new_witness)?;
    let mut seen = Vec::new();
    let mut torn = Vec::new();
    for path in witness {
        let read = witness::read(path)?;
        let place = path.display().to_string();
        seen.extend(read.checkpoints.into_iter().map(|checkpoint| Seen { place: place.clone(), checkpoint }));
        if read.end == End::Torn {
            torn.push(path.display().to_string());
        }
    }
    for directory in published {
        let checkpoint = published::checkpoint_of(directory)?;
        seen.push(Seen { place: directory.display().to_string(), checkpoint });
    }
    let (mut verdict, newest) = judge(office, &seen).await?;
    verdict.witnesses_torn = torn;
    if let (true, Some(newest)) = (verdict.whole, &newest) {
        for path in witness {
            add(office, path, named.contains(path), newest, &mut verdict)?;
        }
    }
    tell(&verdict, format)?;
    Ok(if verdict.whole { Status::Done } else { Status::NotTrusted })
}

/// Adds what was found good to a witness file.
fn add(
    office: &Office,
    path: &Path,
    is_named: bool,
    newest: &SignedCheckpoint,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let added = match witness::append(path, newest) {
        // That of config.toml was compared; whoever looks need not be able to write it.
        Err(error) if !is_named => {
            let file = path.display();
            output::progress(&format!("warning: the witness file {file} cannot be written ({error})"));
            return Ok(());
        }
        added => added.map_err(|error| Failure::file(path, &error))?,
    };
    if added == Added::Begun {
        verdict.witnesses_begun.push(path.display().to_string());
    }
    if office.config.witness.as_deref() == Some(path) {
        let mark = office.home.witness_mark_file();
        begun::remember(&office.home, path).map_err(|error| Failure::file(&mark, &error))?;
    }
    Ok(())
}

async fn judge(office: &Office, seen: &[Seen]) -> Result<(Verdict, Option<SignedCheckpoint>), Failure> {
    let registry = &office.registry;
    let mut findings = Vec::new();
    let mut note = |error: RegistryError| match error {
        RegistryError::TablesDiffer { differences, more } => {
            findings.extend(differences.into_iter().map(Finding::of));
            if more > 0 {
                findings.push(Finding::new("table-changed", format!("{more} more values and rows differ")));
            }
            Ok(())
        }
        error @ (RegistryError::LogBroken(_)
        | RegistryError::CheckpointBroken(_)
        | RegistryError::Damaged(_)) => {
            findings.push(Finding::new("log-broken", error.to_string()));
            Ok(())
        }
        error => Err(Failure::from(error)),
    };
    let log = match registry.verify_log().await {
        Ok(log) => Some(log),
        Err(error) => {
            note(error)?;
            None
        }
    };
    let newest = match registry.verify_checkpoints(&notary::is_signed).await {
        Ok(newest) => newest,
        Err(error) => {
            note(error)?;
            None
        }
    };
    let own_word = if findings.is_empty() { OwnWord::Consistent } else { OwnWord::Inconsistent };
    let (end, at) = registry.last_event().await?;
    let log_name = match registry.newest_checkpoint().await {
        Ok(Some(newest)) => newest.checkpoint.log,
        // Nothing to go by but the root.
        _ => hex::encode(office.authority_certificate(AuthorityName::Root).await?.subject_key_identifier()),
    };
    let found = FoundLog { log: log_name, end, at, crls: registry.highest_crl_numbers().await?, own_word };
    let forged = signatures::forged(&registry.audit_keys().await?, seen);
    let seen: Vec<SignedCheckpoint> = seen.iter().map(|seen| seen.checkpoint.clone()).collect();
    let mut hashes = BTreeMap::new();
    for checkpoint in &seen {
        let sequence = checkpoint.checkpoint.end.sequence;
        if let Some(hash) = registry.event_hash(sequence).await? {
            hashes.insert(sequence, hash);
        }
    }
    for discrepancy in compare(&found, &seen, |sequence| hashes.get(&sequence).copied()) {
        findings.push(Finding::new(discrepancy.code(), discrepancy.to_string()));
    }
    findings.extend(forged.into_iter().map(|message| Finding::new("not-signed", message)));
    let audit_key = newest.as_ref().map(|newest| newest.checkpoint.key.clone());
    let new_key = !seen.is_empty()
        && audit_key.as_ref().is_some_and(|key| seen.iter().all(|seen| seen.checkpoint.key != *key));
    let verdict = Verdict {
        whole: findings.is_empty(),
        events: log.map(|log| log.end.sequence),
        hash: log.map(|log| log.end.hash.to_string()),
        rows: log.map(|log| log.rows),
        untold_rows: log.map(|log| log.untold),
        problem: findings.first().map(|finding| finding.message.clone()),
        findings,
        witnessed: seen.len(),
        audit_key: audit_key.map(|key| key.to_string()),
        new_key,
        witnesses_begun: Vec::new(),
        witnesses_torn: Vec::new(),
    };
    Ok((verdict, newest))
}

fn tell(verdict: &Verdict, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::json(verdict);
    }
    if verdict.new_key {
        output::progress(&format!(
            "note: the newest checkpoint is signed by the key {}, which the witness has not seen before",
            verdict.audit_key.as_deref().unwrap_or_default()
        ));
    }
    if let Some(untold @ 1..) = verdict.untold_rows {
        output::progress(&format!(
            "note: {untold} rows were written by an earlier version, whose log says less of them; what it says was compared"
        ));
    }
    for path in &verdict.witnesses_torn {
        output::progress(&format!(
            "note: the last checkpoint in the witness file {path} is torn; those before it were compared"
        ));
    }
    for finding in &verdict.findings {
        output::line(&format!("NOT WHOLE: {}.", finding.message))?;
    }
    if !verdict.whole {
        return output::line(
            "Keep the registry as it is; compare it with a backup, and with what others kept of the log.",
        );
    }
    let witnessed = match verdict.witnessed {
        0 => String::new(),
        1 => " It agrees with what was seen of it once.".to_owned(),
        count => format!(" It agrees with what was seen of it {count} times."),
    };
    output::line(&format!(
        "The log is whole: {} events, {} rows agree with them. Its end is {}.{witnessed}",
        verdict.events.unwrap_or_default(),
        verdict.rows.unwrap_or_default(),
        verdict.hash.clone().unwrap_or_default(),
    ))?;
    for path in &verdict.witnesses_begun {
        output::line(&format!("{path}: nothing was compared: the witness begins now."))?;
    }
    Ok(())
}
