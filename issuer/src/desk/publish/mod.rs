//! `issuer publish`: new CRLs, and everything public into a directory.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::ocsp::prepared::Preparation;
use super::office::Office;
use super::output::{self, Format};
use super::revocation_lists::{CrlSummary, Extent, Signing};
use crate::ca::profile::status_services::{DeltaCrls, OcspService};
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::{NewAnswers, Publication, PublishedDirectory, RegisteredRevocations};
use crate::registry::{self, Registry};

#[derive(Serialize)]
struct Summary {
    directory: String,
    certificates: usize,
    crls: Vec<CrlSummary>,
    ocsp_answers: usize,
    warnings: Vec<String>,
    files_written: usize,
    files_unchanged: usize,
    files_removed: usize,
}

/// Signs new CRLs and OCSP answers of each authority and writes the published directory.
///
/// # Errors
/// Wrong passphrase, a CRL that must not follow its predecessor, or a directory that cannot be written. The CRLs that
/// were signed stay in the registry; what was published before stays published.
pub async fn run(
    office: &Office,
    directory: &Path,
    extent: Extent,
    format: Format,
) -> Result<Status, Failure> {
    if extent == Extent::DeltaOnly
        && office.config.organization.status_services.delta_crls == DeltaCrls::Omitted
    {
        return Err(Failure::usage(
            "this issuer has no delta CRLs (delta_crls in its config.toml); publish without --delta",
        ));
    }
    let now = office.time_to_sign().await?;
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    refuse_home(office, directory)?;
    let target = PublishedDirectory::open(directory)?;
    let signed = sign(office, &target, extent, now).await?;
    let certificates = office.registry.certificates_to_publish(now).await?;
    let certificates = certificates.into_iter().map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?;
    let not_after = |issuer: &[u8], serial: &SerialNumber| {
        signed
            .ends
            .iter()
            .find(|end| end.issuer == issuer && end.serial == serial.as_bytes())
            .map(|end| end.not_after)
    };
    let (count, ocsp_answers) = (certificates.len(), signed.answers.values().map(NewAnswers::len).sum());
    let report = target.write(&Publication {
        now,
        authorities: signed.authorities,
        certificates,
        crls: signed.crls,
        registered: signed.registered,
        answers: signed.answers,
        not_after: &not_after,
    })?;
    tell(
        &Summary {
            directory: directory.display().to_string(),
            certificates: count,
            crls: signed.summaries,
            ocsp_answers,
            warnings: signed.warnings,
            files_written: report.written,
            files_unchanged: report.unchanged,
            files_removed: report.removed,
        },
        format,
    )?;
    Ok(Status::Done)
}

fn tell(summary: &Summary, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return output::json(summary);
    }
    for warning in &summary.warnings {
        output::progress(&format!("warning: {warning}"));
    }
    let revoked: usize = summary.crls.iter().map(|crl| crl.revoked).sum();
    output::line(&format!(
        "Published in {}: {} certificates for mail, CRLs of {} authorities with {revoked} revoked certificates ({} files written, {} unchanged, {} removed).",
        summary.directory,
        summary.certificates,
        summary.crls.len(),
        summary.files_written,
        summary.files_unchanged,
        summary.files_removed,
    ))
}

/// What was signed for a publication.
#[derive(Default)]
struct Signed {
    authorities: Vec<Certificate>,
    crls: Vec<Vec<u8>>,
    registered: BTreeMap<Vec<u8>, RegisteredRevocations>,
    answers: BTreeMap<Vec<u8>, NewAnswers>,
    ends: Vec<End>,
    summaries: Vec<CrlSummary>,
    warnings: Vec<String>,
}

async fn sign(
    office: &Office,
    published: &PublishedDirectory,
    extent: Extent,
    now: Timestamp,
) -> Result<Signed, Failure> {
    let passphrase = office.passphrase()?;
    let mut preparation = match office.config.organization.status_services.ocsp {
        OcspService::Offered => Some(Preparation::open(office, &passphrase, now)?),
        OcspService::Absent => None,
    };
    let signing = Signing { office, passphrase: &passphrase, published, now };
    let mut signed = Signed::default();
    for registry::Authority { name, certificate } in office.registry.authorities().await? {
        let certificate = Certificate::from_der(certificate)?;
        if let Some(new) = signing.lists(name, extent, &mut signed.warnings).await? {
            let key = certificate.subject_key_identifier().to_vec();
            if let Some(preparation) = &mut preparation {
                let revoked = &new.registered.revoked;
                let answers = preparation.answers(name, &passphrase, revoked, published).await?;
                signed.answers.insert(key.clone(), answers);
            }
            signed.summaries.push(new.summary);
            signed.crls.extend(new.crls);
            signed.registered.insert(key, new.registered);
        }
        signed.ends.extend(ends_of(&office.registry, name, &certificate).await?);
        signed.authorities.push(certificate);
    }
    Ok(signed)
}

/// What is published is read by everybody; the home is not for everybody.
pub(super) fn refuse_home(office: &Office, directory: &Path) -> Result<(), Failure> {
    let place = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (home, keys, target) = (place(office.home.path()), place(&office.home.keys()), place(directory));
    if home.starts_with(&target) || target.starts_with(keys) {
        let message = format!(
            "{} is the issuer's own home or holds it; publish into a folder of its own",
            directory.display()
        );
        return Err(Failure::new("own-home", message));
    }
    Ok(())
}

/// When a revoked certificate expires, so that its entry may be left out of a CRL one day.
struct End {
    issuer: Vec<u8>,
    serial: Vec<u8>,
    not_after: Timestamp,
}

async fn ends_of(
    registry: &Registry,
    name: AuthorityName,
    issuer: &Certificate,
) -> Result<Vec<End>, Failure> {
    let ends = registry.certificate_ends(name).await?;
    let issuer = issuer.subject_key_identifier();
    Ok(ends
        .into_iter()
        .map(|(serial, not_after)| End {
            issuer: issuer.to_vec(),
            serial: serial.as_bytes().to_vec(),
            not_after,
        })
        .collect())
}
