//! `issuer publish`: new CRLs, and everything public into a directory.

use std::convert::Infallible;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::{Office, Passphrase};
use super::output::{self, Format};
use crate::ca::crl::{CrlHeader, RevocationReason, RevokedCertificate};
use crate::ca::{Certificate, SerialNumber};
use crate::domain::{AuthorityName, is_sayable};
use crate::publication::{Publication, PublishedDirectory};
use crate::registry::{self, IssuedCrl, Registry};

#[derive(Serialize)]
struct Summary {
    directory: String,
    certificates: usize,
    crls: Vec<CrlSummary>,
    warnings: Vec<String>,
    files_written: usize,
    files_unchanged: usize,
    files_removed: usize,
}

#[derive(Serialize)]
struct CrlSummary {
    authority: &'static str,
    number: u64,
    revoked: usize,
    next_update: String,
}

/// Signs a new CRL of each authority and writes the published directory.
///
/// # Errors
/// Wrong passphrase, a CRL that must not follow its predecessor, or a directory that cannot be written. The CRLs that
/// were signed stay in the registry; what was published before stays published.
pub async fn run(office: &Office, directory: &Path, format: Format) -> Result<Status, Failure> {
    let now = office.time_to_sign().await?;
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    refuse_home(office, directory)?;
    let target = PublishedDirectory::open(directory)?;
    let passphrase = office.passphrase()?;
    let mut crls = Vec::new();
    let mut summaries = Vec::new();
    let mut authorities = Vec::new();
    let mut ends = Vec::new();
    let mut warnings = Vec::new();
    for registry::Authority { name, certificate } in office.registry.authorities().await? {
        let (crl, summary) = new_crl(office, name, &passphrase, now, &mut warnings).await?;
        let certificate = Certificate::from_der(certificate)?;
        ends.extend(ends_of(&office.registry, name, &certificate).await?);
        authorities.push(certificate);
        crls.push(crl);
        summaries.push(summary);
    }
    drop(passphrase);
    let certificates = office.registry.certificates_to_publish(now).await?;
    let certificates = certificates.into_iter().map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?;
    let not_after = |issuer: &[u8], serial: &SerialNumber| {
        ends.iter()
            .find(|end| end.issuer == issuer && end.serial == serial.as_bytes())
            .map(|end| end.not_after)
    };
    let count = certificates.len();
    let report =
        target.write(&Publication { now, authorities, certificates, crls, not_after: &not_after })?;
    match format {
        Format::Json => output::json(&Summary {
            directory: directory.display().to_string(),
            certificates: count,
            crls: summaries,
            warnings,
            files_written: report.written,
            files_unchanged: report.unchanged,
            files_removed: report.removed,
        })?,
        Format::Text => {
            for warning in &warnings {
                output::progress(&format!("warning: {warning}"));
            }
            let revoked: usize = summaries.iter().map(|summary| summary.revoked).sum();
            output::line(&format!(
                "Published in {}: {count} certificates for mail, CRLs of {} authorities with {revoked} revoked certificates ({} files written, {} unchanged, {} removed).",
                directory.display(),
                summaries.len(),
                report.written,
                report.unchanged,
                report.removed,
            ))?;
        }
    }
    Ok(Status::Done)
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

/// How long a CRL stands: 7 days for what changes daily, 90 for the root (S/MIME Baseline Requirements section 4.9.7).
const fn lifetime(name: AuthorityName) -> SignedDuration {
    match name {
        AuthorityName::Root => SignedDuration::from_hours(90 * 24),
        AuthorityName::People | AuthorityName::Servers | AuthorityName::Documents => {
            SignedDuration::from_hours(7 * 24)
        }
    }
}

async fn new_crl(
    office: &Office,
    name: AuthorityName,
    passphrase: &Passphrase,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<(Vec<u8>, CrlSummary), Failure> {
    let mut authority = office.authority(name, passphrase).await?;
    let revoked = office.registry.revoked_certificates(name).await?;
    let entries = revoked
        .iter()
        .map(|entry| {
            Ok(RevokedCertificate {
                serial_number: SerialNumber::from_bytes(entry.serial.as_bytes())?,
                revocation_date: entry.revoked_at,
                reason: RevocationReason::from_name(entry.reason.as_str())
                    .unwrap_or(RevocationReason::Unspecified),
                invalidity_date: sayable(entry, warnings),
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let next_update =
        now.saturating_add(lifetime(name)).unwrap_or(now).min(authority.certificate().not_after());
    let number = office.registry.reserve_crl_number(name, now, next_update).await?;
    let mut crl = Vec::new();
    let header = CrlHeader { number, this_update: now, next_update };
    authority.sign_crl(header, entries.into_iter().map(Ok::<_, Infallible>), &mut crl)?;
    office.registry.store_crl(name, &IssuedCrl { number, crl: crl.clone() }).await?;
    let summary = CrlSummary {
        authority: name.as_str(),
        number,
        revoked: revoked.len(),
        next_update: next_update.to_string(),
    };
    Ok((crl, summary))
}

/// The invalidity date, if a CRL can say it. One that cannot must not keep every other revocation from being published.
fn sayable(entry: &registry::RevokedCertificate, warnings: &mut Vec<String>) -> Option<Timestamp> {
    let since = entry.invalid_since?;
    if is_sayable(since) {
        return Some(since);
    }
    warnings.push(format!(
        "certificate {0} is on the CRL without its invalidity date {since}, which no CRL can say; correct it with: issuer revoke {0} --reason {1} --invalid-since TIME",
        entry.serial, entry.reason
    ));
    None
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
