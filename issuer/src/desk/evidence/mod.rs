//! `issuer evidence`: the life of somebody's cards, for whoever has nothing but openssl and the usual small tools.
//!
//! - `readme`: what the folder says of itself, with the commands that check it. - `authorities`: whoever signed the person's
//!   certificates, after a roll-over too.
//!
//! ```text
//! README.md                     what it is, and the commands
//! manifest.sha256  manifest.sig every other file, signed with the audit key
//! audit-key.pem                 the key that signs the manifest, and checkpoints of the log now
//! audit-keys/KEY.pem            every key that signed one of the checkpoints, by its name in them
//! events/NUMBER.txt             the events, exactly as they are hashed;  events.sha256: their hashes
//! checkpoints/NUMBER.txt        every signed checkpoint since the first of these events
//! checkpoints/NUMBER.hashes     the hashes since the checkpoint before, where an event here is among them
//! certificates/SERIAL.pem       the person's certificates; chain.pem, anchor.pem: every authority above them
//! crls.pem                      the newest CRL of each
//! ```

mod authorities;
mod readme;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::audit::notary::{self, FirstKey};
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::unfinished::UnfinishedFolder;
use crate::ca::Certificate;
use crate::ca::certificate::to_pem;
use crate::clock::Clock;
use crate::config::write_new;
use crate::domain::{Act, AuditKeyId, Cardholder, GuardedAct, Notary, SignedCheckpoint};
use crate::registry::ProvenEvent;
use authorities::vouching;
use readme::{Expected, Readme};

/// What `evidence` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Mail address or identifier of the person
    person: String,
    /// The folder, which must not be there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Serialize)]
struct Summary {
    folder: String,
    events: usize,
    certificates: usize,
    checkpoints: usize,
    audit_key: String,
}

/// The folder while it is written, and what the manifest will say of it.
struct Folder {
    root: PathBuf,
    manifest: String,
}

impl Folder {
    fn write(&mut self, name: &str, contents: &[u8]) -> Result<(), Failure> {
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| Failure::file(parent, &error))?;
        }
        write_new(&path, 0o644, contents).map_err(|error| Failure::file(&path, &error))?;
        let _ = writeln!(self.manifest, "{}  {name}", hex::encode(Sha256::digest(contents)));
        Ok(())
    }
}

/// Writes the folder, whole or not at all.
///
/// # Errors
/// Nobody of that name, a folder that is there, no published CRL, or a disk that is full.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let Arguments { person, to } = arguments;
    if to.exists() {
        let message = format!("{} exists already and is not overwritten", to.display());
        return Err(Failure::new("exists", message));
    }
    let holder = office.cardholder(person).await?;
    let events = office.registry.events_about(holder.id).await?;
    if events.is_empty() {
        return Err(Failure::new("no-events", format!("nothing is recorded about {person}")));
    }
    let act = GuardedAct::new(Act::Export, &format!("evidence {}", holder.mail.as_str()));
    let approved = office.approve(&act).await?;
    let staging = UnfinishedFolder::beside(to, ".issuer-evidence-")?;
    let mut folder = Folder { root: staging.path().to_owned(), manifest: String::new() };
    let now = office.clock.now();
    let (checkpoints, signers) = write_events(office, &mut folder, &events).await?;
    write_audit_keys(office, &mut folder, &signers).await?;
    let expected = write_certificates(office, &mut folder, &holder, now).await?;
    let notary = notary::of_home(&office.home, String::new(), FirstKey::Lost)?;
    let key = notary.public_key();
    folder.write("audit-key.pem", to_pem("PUBLIC KEY", &key).as_bytes())?;
    let key = hex::encode(Sha256::digest(&key));
    let count = expected.len();
    let readme =
        Readme { holder: &holder, events: &events, expected: &expected, key: &key, signers: &signers, now };
    folder.write("README.md", readme.text().as_bytes())?;
    let signature = notary.sign(&folder.manifest).map_err(|error| Failure::new("key", error))?;
    let manifest = std::mem::take(&mut folder.manifest);
    folder.write("manifest.sha256", manifest.as_bytes())?;
    folder.write("manifest.sig", &signature)?;
    office.registry.spend(&approved, office.time_in_log().await?).await?;
    staging.put_in_place(to)?;
    match format {
        Format::Json => output::json(&Summary {
            folder: to.display().to_string(),
            events: events.len(),
            certificates: count,
            checkpoints,
            audit_key: key,
        })?,
        Format::Text => output::line(&format!(
            "{}: {} events and {count} certificates of {}; its README.md says how to check it. The audit key is {key}: tell it to whoever gets the folder by another way.",
            to.display(),
            events.len(),
            holder.name.as_str()
        ))?,
    }
    Ok(Status::Done)
}

/// The events with every checkpoint since the first of them; answers how many checkpoints there are, and which keys
/// signed them.
async fn write_events(
    office: &Office,
    folder: &mut Folder,
    events: &[ProvenEvent],
) -> Result<(usize, BTreeSet<AuditKeyId>), Failure> {
    let registry = &office.registry;
    let mut sums = String::new();
    for ProvenEvent { entry, previous } in events {
        let name = format!("events/{:010}.txt", entry.record.sequence);
        folder.write(&name, entry.record.text(previous).as_bytes())?;
        let _ = writeln!(sums, "{}  {name}", entry.hash);
    }
    folder.write("events.sha256", sums.as_bytes())?;
    let first = events.first().map_or(0, |event| event.entry.record.sequence);
    let mut covered = registry.checkpoint_before(first).await?;
    let wanted: BTreeSet<u64> = events.iter().map(|event| event.entry.record.sequence).collect();
    let (mut count, mut signers) = (0, BTreeSet::new());
    loop {
        let page: Vec<SignedCheckpoint> = registry.checkpoints_after(covered).await?;
        if page.is_empty() {
            break;
        }
        for checkpoint in page {
            let size = checkpoint.checkpoint.end.sequence;
            folder.write(&format!("checkpoints/{size:010}.txt"), checkpoint.document().as_bytes())?;
            if wanted.range(covered.saturating_add(1)..=size).next().is_some() {
                let hashes = registry.hashes_between(covered, size).await?;
                let list: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
                folder.write(&format!("checkpoints/{size:010}.hashes"), list.as_bytes())?;
            }
            signers.insert(checkpoint.checkpoint.key);
            (covered, count) = (size, count + 1);
        }
    }
    let last = events.last().map_or(0, |event| event.entry.record.sequence);
    if covered < last {
        let message = "the log has events that no checkpoint is about; look with: issuer audit verify";
        return Err(Failure::new("log-broken", message));
    }
    Ok((count, signers))
}

/// The person's certificates with those above them and their newest CRLs; answers what openssl must say of each.
async fn write_certificates(
    office: &Office,
    folder: &mut Folder,
    holder: &Cardholder,
    now: Timestamp,
) -> Result<Vec<Expected>, Failure> {
    let (mut records, mut certificates) = (Vec::new(), Vec::new());
    for record in office.registry.certificates_of(holder.id).await? {
        let Some(der) = record.certificate.clone() else { continue };
        certificates.push(Certificate::from_der(der)?);
        records.push(record);
    }
    let vouching = vouching(office, &certificates, now).await?;
    folder.write("anchor.pem", vouching.anchors.as_bytes())?;
    folder.write("chain.pem", vouching.chain.as_bytes())?;
    folder.write("crls.pem", vouching.crls.as_bytes())?;
    let mut expected = Vec::new();
    for (record, certificate) in records.into_iter().zip(certificates) {
        folder.write(&format!("certificates/{}.pem", record.serial), certificate.to_pem().as_bytes())?;
        expected.push(Expected {
            is_revoked: vouching.revoked.contains(certificate.serial_number().as_bytes()),
            is_expired: certificate.not_after() < now,
            record,
        });
    }
    Ok(expected)
}

/// The public keys that signed these checkpoints, each under its name.
async fn write_audit_keys(
    office: &Office,
    folder: &mut Folder,
    signers: &BTreeSet<AuditKeyId>,
) -> Result<(), Failure> {
    let known = office.registry.audit_keys().await?;
    for signer in signers {
        let Some(key) = known.iter().find(|key| key.id == *signer) else {
            let message = format!(
                "the registry does not know the audit key {signer} that signed checkpoints; look with: issuer audit verify"
            );
            return Err(Failure::new("log-broken", message));
        };
        let pem = to_pem("PUBLIC KEY", &key.public_key);
        folder.write(&format!("audit-keys/{signer}.pem"), pem.as_bytes())?;
    }
    Ok(())
}
