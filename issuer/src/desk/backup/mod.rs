//! `issuer backup` and `issuer restore`: the home and every row of the registry, encrypted under the home's passphrase.
//!
//! - `seal`: the envelope. - `recover`: what a published directory knows that an older backup does not. - `origin`: whether
//!   that directory is this issuer's.
//!
//! Inside it is text, one JSON object a line: a header, the files of the home, the rows of the registry, and the number of
//! lines. Keys of authorities and the master key are in it as they are in the home, encrypted once more; the audit key is not:
//! a restored home makes a new one, so that nobody takes its log for the one that went on without the backup.

mod origin;
mod recover;
mod seal;

use std::path::{Component, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::failure::{Failure, Status};
use super::init::refuse_existing;
use super::office::{Office, Surroundings, read_passphrase};
use super::output::{self, Format};
use super::unfinished::{UnfinishedFile, UnfinishedFolder};
use crate::clock::{Clock, SystemClock};
use crate::config::{Home, write_new};
use crate::domain::{Act, GuardedAct, Permission};
use crate::registry::{BackupRow, EmulatedCards, Registry, RegistryError, RegistryUrl};

/// What `backup` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The new file
    file: PathBuf,
}

/// What `restore` is told.
#[derive(Args, Debug)]
pub struct RestoreArguments {
    /// The backup
    file: PathBuf,
    /// A published directory of this issuer: CRL numbers and revocations that are newer than the backup are taken from it
    #[arg(long, value_name = "DIR")]
    published: Vec<PathBuf>,
}

/// One line of a backup.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Header { issuer_backup: u8, taken_at: Timestamp, emulated_cards: bool, events: u64 },
    File { file: String, mode: u32, hex: String },
    Row(BackupRow),
    End { lines: u64 },
}

#[derive(Serialize)]
struct Summary {
    file: String,
    taken_at: String,
    rows: u64,
    sha256: String,
}

/// Files of the home that are part of a backup, if they are there.
const FOLDERS: [&str; 3] = ["", "keys", "ceremony"];

/// Takes a backup.
///
/// # Errors
/// Wrong passphrase, a file that is there, or a disk that is full: then no file is left.
pub async fn run(office: &mut Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let Arguments { file } = arguments;
    if file.exists() {
        return Err(Failure::new(
            "exists",
            format!("{} exists already and is not overwritten", file.display()),
        ));
    }
    let passphrase = office.passphrase()?;
    // Whoever restores it needs the same passphrase for everything.
    office.master_key(&passphrase).await?;
    let approved = office.approve(&GuardedAct::new(Act::Export, "backup")).await?;
    let taken_at = office.clock.now();
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let emulated_cards = office.registry.emulated_cards().await? == EmulatedCards::Allowed;
    let events = office.registry.log_end().await?.sequence;
    let mut lines = add(&mut text, &Line::Header { issuer_backup: 1, taken_at, emulated_cards, events })?;
    for line in home_files(&office.home)? {
        lines += add(&mut text, &line)?;
    }
    let rows = office.registry.dump(|row| add(&mut text, &Line::Row(row)).map(drop)).await?;
    add(&mut text, &Line::End { lines: lines.saturating_add(rows) })?;
    let sealed = seal::seal(&text, passphrase.as_str(), &mut office.random)?;
    let written = UnfinishedFile::beside(file, ".issuer-backup-", &sealed)?;
    office.registry.spend(&approved, office.time_in_log().await?).await?;
    written.put_in_place(file)?;
    let sha256 = hex::encode(Sha256::digest(&sealed));
    match format {
        Format::Json => output::json(&Summary {
            file: file.display().to_string(),
            taken_at: format!("{taken_at:.0}"),
            rows,
            sha256,
        })?,
        Format::Text => output::line(&format!(
            "{}: the home and {rows} rows of the registry, encrypted under the home's passphrase (SHA-256 {sha256}).",
            file.display()
        ))?,
    }
    Ok(Status::Done)
}

fn add(text: &mut Vec<u8>, line: &Line) -> Result<u64, Failure> {
    serde_json::to_writer(&mut *text, line).map_err(|error| Failure::new("backup", error.to_string()))?;
    text.push(b'\n');
    Ok(1)
}

fn home_files(home: &Home) -> Result<Vec<Line>, Failure> {
    use std::os::unix::fs::PermissionsExt;
    let mut lines = Vec::new();
    for folder in FOLDERS {
        let path = home.path().join(folder);
        let Ok(entries) = std::fs::read_dir(&path) else { continue };
        for entry in entries {
            let place = entry.map_err(|error| Failure::file(&path, &error))?.path();
            let name = place.strip_prefix(home.path()).unwrap_or(&place).display().to_string();
            if !place.is_file()
                || name.starts_with("registry.db")
                || place == home.audit_key_file()
                || place == home.witness_mark_file()
                || place == home.checked_log_file()
            {
                continue;
            }
            let failed = |error: &std::io::Error| Failure::file(&place, error);
            let contents = zeroize::Zeroizing::new(std::fs::read(&place).map_err(|error| failed(&error))?);
            let mode =
                std::fs::metadata(&place).map_err(|error| failed(&error))?.permissions().mode() & 0o777;
            lines.push(Line::File { file: name, mode, hex: hex::encode(&*contents) });
        }
    }
    Ok(lines)
}

/// A backup, read.
struct Contents {
    taken_at: Timestamp,
    files: Vec<(PathBuf, u32, Vec<u8>)>,
    rows: Vec<BackupRow>,
}

impl Contents {
    fn read(text: &[u8]) -> Result<Self, Failure> {
        let malformed = |what: &str| Failure::new("malformed", format!("the backup is damaged: {what}"));
        let mut lines = text.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        let parse =
            |line: &[u8]| serde_json::from_slice::<Line>(line).map_err(|error| malformed(&error.to_string()));
        let first = parse(lines.next().ok_or_else(|| malformed("it is empty"))?)?;
        let Line::Header { issuer_backup: 1, taken_at, .. } = first else {
            return Err(malformed("it was made by another version of this program"));
        };
        let mut contents = Self { taken_at, files: Vec::new(), rows: Vec::new() };
        let (mut count, mut is_whole) = (1_u64, false);
        for line in lines {
            match parse(line)? {
                Line::File { file, mode, hex } => {
                    let path = PathBuf::from(&file);
                    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
                        return Err(malformed(&format!("{file:?} is no file of a home")));
                    }
                    let octets = hex::decode(hex).map_err(|_| malformed("a file is not hex"))?;
                    contents.files.push((path, mode, octets));
                }
                Line::Row(row) => contents.rows.push(row),
                Line::End { lines } if lines == count => is_whole = true,
                Line::End { .. } | Line::Header { .. } => return Err(malformed("lines are missing")),
            }
            count = count.saturating_add(1);
        }
        if is_whole { Ok(contents) } else { Err(malformed("its end is missing")) }
    }

    fn write_files(&self, home: &Home) -> Result<(), Failure> {
        for (name, mode, octets) in &self.files {
            let path = home.path().join(name);
            if let Some(parent) = path.parent() {
                use std::os::unix::fs::DirBuilderExt;
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(parent)
                    .map_err(|error| Failure::file(parent, &error))?;
            }
            write_new(&path, *mode, octets).map_err(|error| Failure::file(&path, &error))?;
        }
        Ok(())
    }
}

/// Restores a backup into a home and a registry that are not there yet. An older state never takes numbers or revocations
/// back: what is published is taken from `--published`, and CRL numbers skip what may have been used since.
///
/// # Errors
/// A home or registry that is there, a wrong passphrase, a damaged backup, a published directory that is not this issuer's, or
/// operators who do not agree.
pub async fn restore(
    surroundings: &Surroundings,
    arguments: &RestoreArguments,
    format: Format,
) -> Result<Status, Failure> {
    let home = surroundings.home()?;
    refuse_existing(home)?;
    let sealed = seal::read(&arguments.file)?;
    let digest = hex::encode(Sha256::digest(&sealed));
    let passphrase = read_passphrase(&surroundings.passphrase, "Passphrase of the backup")?;
    let contents = Contents::read(&seal::open(&sealed, passphrase.as_str())?)?;
    let origin = origin::Origin::of(&contents.rows)?;
    arguments.published.iter().try_for_each(|directory| origin.check(directory))?;
    let now = SystemClock.now();
    let staging = UnfinishedFolder::beside(home.path(), ".issuer-restore-")?;
    let staged = Home::new(staging.path());
    contents.write_files(&staged)?;
    let url = surroundings.registry.clone().unwrap_or_else(|| staged.default_registry());
    let (taken_at, rows) = (contents.taken_at, contents.rows.len());
    let registry = make_registry(surroundings, &url).await?;
    let filled = fill(surroundings, (registry, staged), contents, (arguments, &digest), now).await;
    let learned = match filled {
        Ok(learned) => learned,
        Err(failure) => {
            // A database beside the home would be left with tables that nobody asked for.
            Registry::discard(&url).await?;
            return Err(failure);
        }
    };
    staging.put_in_place(home.path())?;
    let url = surroundings.registry.clone().unwrap_or_else(|| home.default_registry());
    let registry = Registry::open(&url, surroundings.actor()?).await?;
    registry.restored().await?;
    registry.close().await;
    match format {
        Format::Json => output::json(&serde_json::json!({
            "home": home.path().display().to_string(), "taken_at": format!("{taken_at:.0}"), "rows": rows,
            "revocations_learned": learned.revoked, "unknown_certificates": learned.unknown, "on_hold": learned.held,
        }))?,
        Format::Text => {
            output::line(&format!(
                "{}: restored as of {taken_at:.0} ({rows} rows). {} Begin a new witness file: the old one rightly names what happened since as missing.",
                home.path().display(),
                learned.sentence()
            ))?;
        }
    }
    Ok(Status::Done)
}

async fn make_registry(surroundings: &Surroundings, url: &RegistryUrl) -> Result<Registry, Failure> {
    let registry = Registry::create_for_restore(url, surroundings.actor()?).await;
    registry.map_err(|error| match error {
        RegistryError::AlreadyExists(place) => Failure::new(
            "exists",
            format!("there is a registry at {place}; restore into an empty database, nothing was changed"),
        ),
        error => error.into(),
    })
}

/// Puts everything into the new registry, and what was learned since; the home is still beside its place.
async fn fill(
    surroundings: &Surroundings,
    (registry, staged): (Registry, Home),
    contents: Contents,
    (arguments, digest): (&RestoreArguments, &str),
    now: Timestamp,
) -> Result<recover::Learned, Failure> {
    registry.load(contents.rows, (contents.taken_at, digest), now).await?;
    registry.close().await;
    let opened = Surroundings { home: Some(staged), is_restored: true, ..surroundings.clone() };
    let office = opened.open_for(Permission::Backup).await?;
    agree(&office, digest).await?;
    let learned = recover::learn(&office, &arguments.published, now).await?;
    office.registry.close().await;
    Ok(learned)
}

/// Two operators, where the restored registry demands it: both at this desk, because what was asked for is not in the backup.
async fn agree(office: &Office, digest: &str) -> Result<(), Failure> {
    let is_demanded = office.registry.dual_control().await?.contains(&Act::Restore);
    if is_demanded && !office.guard.has_second() {
        return Err(Failure::new(
            "approval-needed",
            "a restore of this registry needs a second operator at the same desk: --second-operator LOCATOR; nothing was restored",
        ));
    }
    let approved = office.approve(&GuardedAct::new(Act::Restore, digest)).await?;
    Ok(office.registry.spend(&approved, office.time_in_log().await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_without_its_end_or_with_strange_names_is_refused() {
        let header = "{\"issuer_backup\":1,\"taken_at\":\"2030-01-01T00:00:00Z\",\"emulated_cards\":false,\"events\":0}\n";
        let read =
            |rest: &str| Contents::read(format!("{header}{rest}").as_bytes()).map(|read| read.files.len());
        assert_eq!(
            read("{\"file\":\"keys/root.pem\",\"mode\":384,\"hex\":\"00\"}\n{\"lines\":2}\n").unwrap(),
            1
        );
        for rest in [
            "",
            "{\"lines\":2}\n",
            "{\"file\":\"../x\",\"mode\":384,\"hex\":\"00\"}\n{\"lines\":2}\n",
            "{\"file\":\"/etc/x\",\"mode\":384,\"hex\":\"00\"}\n{\"lines\":2}\n",
            "{\"file\":\"x\",\"mode\":384,\"hex\":\"0\"}\n{\"lines\":2}\n",
            "something\n{\"lines\":2}\n",
        ] {
            assert_eq!(read(rest).unwrap_err().code, "malformed", "{rest}");
        }
    }
}
