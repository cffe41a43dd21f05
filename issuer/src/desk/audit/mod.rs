//! `issuer audit`: whether the log is what was written, by its own word and by that of others who saw it.
//!
//! - `verdict`: what a check found, as it is told. - `begun`: whether the witness that counts was begun, and is missed.
//! - `new_witness`: another one in the place of one that is gone. - `untold`: of what the one that counts was not told.
//! - [`notary`]: the key that signs checkpoints. - [`witness`]: the auditor's files of them. - [`published`]: those in published
//!   directories; `published_lists`: what lies beside them. - [`standing`]: whether the witness that counts believes the registry. - `signatures`: whose they are.

mod begun;
mod new_witness;
pub mod notary;
pub mod published;
mod published_lists;
pub(super) mod signatures;
pub mod standing;
mod untold;
mod verdict;
pub mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::signatures::Seen;
use self::verdict::{Finding, Verdict};
use self::witness::{Added, State};
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use crate::domain::checkpoint::witness::{FoundLog, OwnWord, compare};
use crate::domain::{AuthorityName, Permission, SignedCheckpoint};
use crate::registry::RegistryError;

/// What is asked of the log.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Check every event against the one before, every state against its events, and all of it against what others saw
    #[command(
        after_help = "A witness file is kept by the auditor, where nobody who works with the registry can write; each check \
            adds what it found good, and a new file is begun by the first. With witness = \"FILE\" in config.toml every change is \
            added at once, and each check compares with that file too. A witness file that is empty, or holds something else, was \
            changed by somebody: not whole. What is named and cannot be compared (a file that cannot be read, a directory without \
            audit/checkpoint.txt), and a witness that was begun and is gone, is a failure.\n\nExit status: 0 whole, 1 it could not be told, 4 not.\n\nExamples:\n  issuer --home pki audit verify\n  \
            issuer --home pki audit verify --witness /media/auditor/witness --published /srv/pki\n  \
            issuer --home pki audit verify --new-witness --old-witness /media/auditor/kept --operator pcsc:"
    )]
    Verify(Arguments),
}

/// What is compared.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The auditor's witness file
    #[arg(long, value_name = "FILE")]
    witness: Vec<PathBuf>,
    /// A published directory, whose checkpoint, CRLs and OCSP answers are compared too
    #[arg(long, value_name = "DIR")]
    published: Vec<PathBuf>,
    /// Begin the witness of config.toml anew, although one was begun before and is gone; an auditor does that, and it goes into
    /// the log
    #[arg(long)]
    new_witness: bool,
    /// The witness file whose place the new one takes, as the auditor keeps it: what it has seen last goes into the log
    #[arg(long, value_name = "FILE", requires = "new_witness")]
    old_witness: Option<PathBuf>,
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        let Self::Verify(arguments) = self;
        if arguments.new_witness { Permission::NewWitness } else { Permission::VerifyLog }
    }
}

/// Checks the log.
///
/// # Errors
/// The registry or a witness cannot be read, or holds nothing to compare with. A log that is not whole is an answer: exit
/// status 4.
pub async fn run(office: &Office, command: &Command, format: Format) -> Result<Status, Failure> {
    let Command::Verify(arguments) = command;
    let Arguments { witness: named, published, new_witness, old_witness } = arguments;
    let witness = if *new_witness {
        new_witness::require_gone(office)?;
        named.clone()
    } else {
        begun::compared(office, named).await?
    };
    let mut looked = Looked::default();
    witness.iter().try_for_each(|path| looked.at_witness(path))?;
    published.iter().try_for_each(|directory| looked.at_published(directory))?;
    let (mut verdict, newest) = judge(office, looked).await?;
    if let Some(own) = office.witness.path() {
        let seen = witness::read(&own)?.checkpoints;
        verdict.untold_changes = untold::of_witness(&office.registry, &own, &seen).await?;
    }
    // What is published is compared with a log that can be believed.
    if verdict.log_whole {
        for directory in published {
            let checkpoint = published::checkpoint_of(directory)?;
            verdict.add_published(published_lists::compare(office, directory, &checkpoint).await?);
        }
    }
    if let (true, Some(newest)) = (verdict.whole, &newest) {
        for path in &witness {
            // What the witness that counts missed stays missed by it.
            if office.witness.path().as_ref() != Some(path) || !verdict.misses(newest) {
                add(office, path, named.contains(path), newest, &mut verdict)?;
            }
        }
        if *new_witness {
            new_witness::begin(office, old_witness.as_deref(), &mut verdict).await?;
        }
    }
    verdict.tell(format)?;
    Ok(if verdict.whole { Status::Done } else { Status::NotTrusted })
}

/// What others saw of the log.
#[derive(Default)]
struct Looked {
    seen: Vec<Seen>,
    /// Witness files that end in the middle of a checkpoint.
    torn: Vec<String>,
    /// What was found of what should bear witness, and does not.
    findings: Vec<Finding>,
}

impl Looked {
    fn at_witness(&mut self, path: &Path) -> Result<(), Failure> {
        let read = witness::read(path)?;
        let place = path.display().to_string();
        self.seen
            .extend(read.checkpoints.into_iter().map(|checkpoint| Seen { place: place.clone(), checkpoint }));
        match read.state {
            State::Whole | State::NotBegun => {}
            State::Torn => self.torn.push(place),
            State::Damaged(damage) => {
                self.findings.push(Finding::new("witness-damaged", witness::damaged(path, damage)));
            }
        }
        Ok(())
    }

    fn at_published(&mut self, directory: &Path) -> Result<(), Failure> {
        match published::checkpoint_of(directory) {
            Ok(checkpoint) => self.seen.push(Seen { place: directory.display().to_string(), checkpoint }),
            Err(failure) if failure.code == published::DAMAGED => {
                self.findings.push(Finding::new(published::DAMAGED, failure.message));
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
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
            let values = [("file", path.display().to_string()), ("why", error.to_string())];
            let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
            output::progress(&texts::say("audited-unwritable", &values));
            return Ok(());
        }
        added => added.map_err(|error| Failure::file(path, &error))?,
    };
    if added == Added::Begun {
        verdict.witnesses_begun.push(path.display().to_string());
    }
    if office.witness.path().as_deref() == Some(path) {
        let mark = office.home.witness_mark_file();
        begun::remember(&office.home, path, Some(newest)).map_err(|error| Failure::file(&mark, &error))?;
    }
    Ok(())
}

async fn judge(office: &Office, looked: Looked) -> Result<(Verdict, Option<SignedCheckpoint>), Failure> {
    let registry = &office.registry;
    let Looked { seen, torn, findings: damage } = looked;
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
    let forged = signatures::forged(&registry.audit_keys().await?, &seen);
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
    findings.extend(damage);
    let audit_key = newest.as_ref().map(|newest| newest.checkpoint.key.clone());
    let new_key = !seen.is_empty()
        && audit_key.as_ref().is_some_and(|key| seen.iter().all(|seen| seen.checkpoint.key != *key));
    let verdict = Verdict {
        whole: findings.is_empty(),
        log_whole: findings.is_empty(),
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
        witnesses_torn: torn,
        witness_begun_anew: new_witness::told(registry).await?,
        untold_changes: Vec::new(),
    };
    Ok((verdict, newest))
}
