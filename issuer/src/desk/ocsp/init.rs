//! `issuer ocsp init` and `renew`.
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use getrandom::SysRng;
use jiff::Timestamp;
use middleware::{FileKey, KeyAlgorithm, Signer};
use rand_core::UnwrapErr;
use serde::Serialize;
use spki::SubjectPublicKeyInfoOwned;

use super::super::authority_key;
use super::super::ca::elsewhere::is_elsewhere;
use super::super::failure::{Failure, Status};
use super::super::init::{CertificateRequest, certify, new_passphrase, write_secret};
use super::super::office::{Office, Passphrase, Surroundings, read_passphrase};
use super::super::output::{self, Format};
use super::super::unfinished::UnfinishedFolder;
use super::FolderArguments;
use super::folder::Folder;
use crate::ca::algorithm::KeyKind;
use crate::ca::profile::Assurance;
use crate::ca::{Certificate, Profile, ProvenKey};
use crate::config::write_new;
use crate::domain::{AuthorityName, Permission};
use crate::registry::AuthorityKey;
use middleware::secret_source::SecretSource;

#[derive(Serialize)]
struct Summary {
    folder: String,
    authorities: usize,
    not_after: String,
}

/// Makes the folder, whole or not at all.
pub(super) async fn init(
    surroundings: &Surroundings,
    arguments: FolderArguments,
    format: Format,
) -> Result<Status, Failure> {
    let office = surroundings.open_for(Permission::Services).await?;
    let folder = Folder::new(&arguments.folder);
    refuse_existing(folder.path())?;
    let now = time(&office).await?;
    let passphrase = office.passphrase()?;
    let source = arguments.service_passphrase_file.unwrap_or(SecretSource::Terminal);
    let own = new_passphrase(&source, "New passphrase for the OCSP responder's key")?;
    if own.as_str() == passphrase.as_str() {
        return Err(Failure::new(
            "same-passphrase",
            "the responder must not know the passphrase of the issuer's keys; give its key another one",
        ));
    }
    let authorities = authorities(&office, now).await?;
    let algorithm = responder_algorithm(authorities.iter().map(|(_, authority)| authority.public_key()));
    let mut key = FileKey::generate(algorithm)?;
    let certified = certify_all(&office, &passphrase, &mut key, authorities, now).await?;
    put(&folder, &key, &certified, &own)?;
    report(&folder, &certified, "is ready; let it answer with: issuer serve --from DIR --ocsp", format)
}

/// Puts new certificates in the place of those that end.
pub(super) async fn renew(
    surroundings: &Surroundings,
    arguments: FolderArguments,
    format: Format,
) -> Result<Status, Failure> {
    let office = surroundings.open_for(Permission::Services).await?;
    let folder = Folder::new(&arguments.folder);
    let now = time(&office).await?;
    let passphrase = office.passphrase()?;
    let source = arguments.service_passphrase_file.unwrap_or(SecretSource::Terminal);
    let mut key = folder.key(&read_passphrase(&source, "Passphrase of the OCSP responder's key")?)?;
    let authorities = authorities(&office, now).await?;
    let is_left_behind =
        is_left_behind(&key, authorities.iter().map(|(_, authority)| authority.public_key()));
    let certified = certify_all(&office, &passphrase, &mut key, authorities, now).await?;
    let path = folder.certificates_file();
    replace(&path, &pem(&certified)).map_err(|error| Failure::file(&path, &error))?;
    report(&folder, &certified, "has new certificates; start its server anew", format)?;
    if is_left_behind {
        output::progress(&format!(
            "warning: the responder in {} has no RSA key, but an authority that it speaks for has: programs that verify RSA alone \
             (Debian 12's GnuPG) refuse its answers; make another folder with: issuer --home DIR ocsp init --folder NEW",
            folder.path().display()
        ));
    }
    Ok(Status::Done)
}

async fn time(office: &Office) -> Result<Timestamp, Failure> {
    let now = office.time_to_sign().await?;
    Ok(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// The algorithm of a responder's key for authorities with these keys. RFC 6960 section 4.4.7.2.2: what a client can be
/// expected to verify is what the CRLs of its authority are signed with; there are some that verify RSA alone.
pub(super) fn responder_algorithm<'a>(
    authorities: impl IntoIterator<Item = &'a SubjectPublicKeyInfoOwned>,
) -> KeyAlgorithm {
    let is_rsa = |key: &SubjectPublicKeyInfoOwned| KeyKind::of(key).is_ok_and(|kind| kind == KeyKind::Rsa);
    if authorities.into_iter().any(is_rsa) { KeyAlgorithm::Rsa2048 } else { KeyAlgorithm::P256 }
}

/// Whether a responder's key is one that clients of these authorities cannot be expected to verify, as after a key of another
/// kind for an authority. An RSA key is verified by everybody.
fn is_left_behind<'a>(
    key: &FileKey,
    authorities: impl IntoIterator<Item = &'a SubjectPublicKeyInfoOwned>,
) -> bool {
    responder_algorithm(authorities) == KeyAlgorithm::Rsa2048
        && KeyKind::of(key.public_key()).is_ok_and(|kind| kind != KeyKind::Rsa)
}

/// The authorities whose keys are at hand, for as long as they last.
async fn authorities(office: &Office, now: Timestamp) -> Result<Vec<(AuthorityName, Certificate)>, Failure> {
    let mut authorities = Vec::new();
    for key in office.registry.authority_keys().await? {
        if is_elsewhere(office, &key).await? {
            continue;
        }
        let AuthorityKey { name, certificate, .. } = key;
        let certificate = Certificate::from_der(certificate)?;
        // A root's may be elsewhere; it certifies no people.
        if certificate.not_after() >= now && authority_key::is_at_hand(&office.home, name, &certificate)? {
            authorities.push((name, certificate));
        }
    }
    Ok(authorities)
}

/// For each authority the responder's certificate and the authority's own.
async fn certify_all(
    office: &Office,
    passphrase: &Passphrase,
    key: &mut FileKey,
    authorities: Vec<(AuthorityName, Certificate)>,
    now: Timestamp,
) -> Result<Vec<[Certificate; 2]>, Failure> {
    let mut random = UnwrapErr(SysRng);
    let proven = ProvenKey::of_signer(key, &mut random)?;
    let mut certified = Vec::new();
    for (name, certificate) in authorities {
        let mut authority = office.authority_of(name, certificate, passphrase)?;
        let request = CertificateRequest {
            organization: &office.config.organization,
            profile: Profile::OcspResponder,
            assurance: Assurance::Production,
            key: &proven,
        };
        let own = certify(&office.registry, (name, &mut authority), request, now, &mut random).await?;
        certified.push([own, authority.certificate().clone()]);
    }
    Ok(certified)
}

fn pem(certified: &[[Certificate; 2]]) -> String {
    certified.iter().flatten().map(Certificate::to_pem).collect()
}

/// Made beside its place and renamed at the end.
fn put(
    folder: &Folder,
    key: &FileKey,
    certified: &[[Certificate; 2]],
    passphrase: &Passphrase,
) -> Result<(), Failure> {
    let place = folder.path();
    let staging = UnfinishedFolder::beside(place, ".ocsp-init-")?;
    let staged = Folder::new(staging.path());
    write_secret(&staged.key_file(), &key.to_encrypted_pkcs8_pem(passphrase.as_str())?)?;
    let path = staged.certificates_file();
    write_new(&path, 0o644, pem(certified).as_bytes()).map_err(|error| Failure::file(&path, &error))?;
    staging.put_in_place(place)
}

/// Replaces a public file, durably.
pub(super) fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(parent)?.sync_all()
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
    let message =
        format!("{}: the directory is not empty; nothing was changed: name another folder", folder.display());
    Err(Failure::new("exists", message))
}

fn report(
    folder: &Folder,
    certified: &[[Certificate; 2]],
    what: &str,
    format: Format,
) -> Result<Status, Failure> {
    let end = certified.iter().map(|[own, _]| own.not_after()).min().unwrap_or_default();
    let place = folder.path().display().to_string();
    match format {
        Format::Json => {
            output::json(&Summary {
                folder: place,
                authorities: certified.len(),
                not_after: end.to_string(),
            })?;
        }
        Format::Text => output::line(&format!(
            "The OCSP responder in {place} {what}. It speaks for {} authorities until {}.",
            certified.len(),
            end.strftime("%F")
        ))?,
    }
    Ok(Status::Done)
}
