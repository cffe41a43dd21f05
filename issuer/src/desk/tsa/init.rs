//! `issuer tsa init`: a new time-stamp service.

use std::path::Path;

use jiff::Timestamp;
use middleware::{FileKey, KeyAlgorithm};
use serde::Serialize;

use super::super::documents_authority::{Origin, documents_authority};
use super::super::failure::{Failure, Status};
use super::super::init::{CertificateRequest, certify, new_passphrase, write_secret};
use super::super::office::{Office, Passphrase, Surroundings};
use super::super::output::{self, Format};
use super::super::unfinished::UnfinishedFolder;
use super::{InitArguments, ServiceKeyAlgorithm, secret};
use crate::ca::profile::Assurance;
use crate::ca::{Certificate, Profile, ProvenKey};
use crate::config::write_new;
use crate::domain::{AuthorityName, Permission};
use crate::time_stamp::serial_log::SerialLog;
use crate::time_stamp::token::Accuracy;
use crate::time_stamp::{Folder, Settings};

#[derive(Serialize)]
struct Summary {
    folder: String,
    policy: String,
    serial: String,
    not_after: String,
    /// Whether the authority that certified it has just been made.
    new_authority: bool,
}

/// Makes the folder, whole or not at all.
///
/// # Errors
/// Something is there already, wrong or weak passphrases, or a file that cannot be written.
pub(super) async fn run(
    surroundings: &Surroundings,
    arguments: InitArguments,
    format: Format,
) -> Result<Status, Failure> {
    let mut office = surroundings.open_for(Permission::Services).await?;
    let folder = arguments.folder.resolve(surroundings)?;
    refuse_existing(folder.path())?;
    let settings = Settings {
        policy: arguments.policy.unwrap_or_else(|| office.config.organization.policies.time_stamps()),
        accuracy: Accuracy::from_milliseconds(arguments.accuracy)
            .ok_or_else(|| Failure::usage("the accuracy must be 1 to 3600000 milliseconds"))?,
        stamps_per_second: arguments.rate,
    };
    let now = office.time_to_sign().await?;
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let passphrase = office.passphrase()?;
    let source = secret(arguments.service_passphrase_file);
    let service_passphrase = new_passphrase(&source, "New passphrase for the time-stamp service's key")?;
    if service_passphrase.as_str() == passphrase.as_str() {
        return Err(Failure::new(
            "same-passphrase",
            "the service must not know the passphrase of the issuer's keys; give its key another one",
        ));
    }
    let algorithm = match arguments.key {
        ServiceKeyAlgorithm::P256 => KeyAlgorithm::P256,
        ServiceKeyAlgorithm::Rsa3072 => KeyAlgorithm::Rsa3072,
    };
    let made = make(&mut office, &passphrase, algorithm, now).await?;
    put(&folder, &settings, &made, &service_passphrase)?;
    report(&folder, &settings, &made, format)
}

/// A certified key.
struct Made {
    key: FileKey,
    certificate: Certificate,
    /// Those above, the root last.
    chain: [Certificate; 2],
    authority: Origin,
}

async fn make(
    office: &mut Office,
    passphrase: &Passphrase,
    algorithm: KeyAlgorithm,
    now: Timestamp,
) -> Result<Made, Failure> {
    let (mut authority, origin) = documents_authority(office, passphrase, now).await?;
    let mut key = FileKey::generate(algorithm)?;
    let proven = ProvenKey::of_signer(&mut key, &mut office.random)?;
    let request = CertificateRequest {
        organization: &office.config.organization,
        profile: Profile::TimeStamping,
        assurance: Assurance::Production,
        key: &proven,
    };
    let signer = (AuthorityName::Documents, &mut authority);
    let certificate = certify(&office.registry, signer, request, now, &mut office.random).await?;
    let root = office.authority_certificate(AuthorityName::Root).await?;
    Ok(Made { key, certificate, chain: [authority.certificate().clone(), root], authority: origin })
}

/// Made beside its place and renamed at the end.
fn put(folder: &Folder, settings: &Settings, made: &Made, passphrase: &Passphrase) -> Result<(), Failure> {
    let place = folder.path();
    let staging = UnfinishedFolder::beside(place, ".tsa-init-")?;
    let staged = Folder::new(staging.path());
    let settings = settings.to_toml().map_err(|reason| Failure::new("config", reason))?;
    let chain: String = made.chain.iter().map(Certificate::to_pem).collect();
    write_secret(&staged.key_file(), &made.key.to_encrypted_pkcs8_pem(passphrase.as_str())?)?;
    for (path, mode, contents) in [
        (staged.settings_file(), 0o644, settings),
        (staged.certificate_file(), 0o644, made.certificate.to_pem()),
        (staged.chain_file(), 0o644, chain),
        (staged.log_file(), 0o600, SerialLog::header(&made.certificate)),
    ] {
        write_new(&path, mode, contents.as_bytes()).map_err(|error| Failure::file(&path, &error))?;
    }
    staging.put_in_place(place)
}

fn report(folder: &Folder, settings: &Settings, made: &Made, format: Format) -> Result<Status, Failure> {
    let (folder, serial) =
        (folder.path().display().to_string(), made.certificate.serial_number().to_string());
    let new_authority = made.authority == Origin::New;
    match format {
        Format::Json => output::json(&Summary {
            folder,
            policy: settings.policy.to_string(),
            serial,
            not_after: made.certificate.not_after().to_string(),
            new_authority,
        })?,
        Format::Text => {
            output::line(&format!(
                "The time-stamp service is ready in {folder}: certificate {serial} until {}, policy {}. Start it with: issuer tsa --folder {folder}",
                made.certificate.not_after().strftime("%F"),
                settings.policy,
            ))?;
            if new_authority {
                output::line(
                    "Its authority \"Documents CA\" is new; make it known with: issuer publish --to DIR",
                )?;
            }
        }
    }
    Ok(Status::Done)
}

fn refuse_existing(folder: &Path) -> Result<(), Failure> {
    let is_empty = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::file(folder, &error)),
    };
    if is_empty {
        return Ok(());
    }
    let message = format!(
        "{}: the directory is not empty; nothing was changed: name another folder with --folder",
        folder.display()
    );
    Err(Failure::new("exists", message))
}
