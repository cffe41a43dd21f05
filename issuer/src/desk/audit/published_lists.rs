//! What lies in a published directory, beside what the log tells: the CRLs that were signed last before its checkpoint,
//! every revocation that was told by then on them, and OCSP answers that say the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::failure::Failure;
use super::super::office::Office;
use super::verdict::Finding;
use crate::ca::Certificate;
use crate::ca::crl::name::CrlName;
use crate::ca::crl::view::CrlView;
use crate::domain::{AuthorityName, ChainHash, SignedCheckpoint};
use crate::publication::standing::ListedEntries;
use crate::publication::{PublishedDirectory, layout};
use crate::registry::SignedList;

/// A CRL that is not the one that was signed last.
const OTHER_CRL: &str = "crl-differs";
/// A CRL without a revocation.
const NOT_LISTED: &str = "not-on-the-crl";
/// An OCSP answer that says something else.
const OTHER_ANSWER: &str = "ocsp-answer-differs";

/// Compares a directory with the log up to its checkpoint. The log itself is whole.
///
/// # Errors
/// The registry or a file cannot be read.
pub(super) async fn compare(
    office: &Office,
    directory: &Path,
    checkpoint: &SignedCheckpoint,
) -> Result<Vec<Finding>, Failure> {
    let registry = &office.registry;
    // A copy of the checkpoint alone says nothing else.
    if !layout::is_published(directory) {
        return Ok(Vec::new());
    }
    let published = PublishedDirectory::open(directory)?;
    // A publication that is under way, or was cut off, is ahead of its checkpoint.
    let newest = registry.lists_signed_until(registry.log_end().await?.sequence).await?;
    let mut keys = BTreeMap::new();
    let mut findings = Vec::new();
    for key in registry.authority_keys().await? {
        let certificate = Certificate::from_der(key.certificate)?;
        let identifier = certificate.subject_key_identifier();
        keys.insert(CrlName::complete(identifier, None).file(), (key.name, key.generation));
        if let Some((serial, said)) = published.contradiction(identifier)? {
            let message = format!(
                "{}: the OCSP answer about {serial} says {said}, and the CRLs beside it say otherwise; sign both anew with: issuer publish",
                directory.display()
            );
            findings.push(Finding::new(OTHER_ANSWER, message));
        }
    }
    for list in registry.lists_signed_until(checkpoint.checkpoint.end.sequence).await? {
        let first =
            || keys.iter().find(|(_, key)| **key == (list.authority, 1)).map(|(file, _)| file.clone());
        let Some(file) = list.file.clone().or_else(first) else { continue };
        let Some(name) = CrlName::parse(&file) else { continue };
        let crl = published.crl(&name)?;
        let digest = crl.as_deref().map(|crl| ChainHash::of(crl).to_string());
        let is_it = |list: &&SignedList| Some(&list.digest) == digest.as_ref();
        let of_file = newest.iter().filter(|one| (one.authority, &one.file) == (list.authority, &list.file));
        match (crl, [&list].into_iter().chain(of_file.clone()).find(is_it)) {
            (Some(crl), Some(found)) => {
                if let (Some(key), Some(taken)) = (keys.get(&file), found.taken) {
                    findings.extend(missing(office, &crl, (*key, taken), &file).await?);
                }
            }
            // It has gone since, with its base's successor.
            (None, _) if of_file.clone().next().is_none() => {}
            (other, _) => findings.push(not_the_newest(directory, &file, other.as_deref(), &list)),
        }
    }
    Ok(findings)
}

/// Revocations that the log told before the number of a CRL was taken, and that are not on it.
async fn missing(
    office: &Office,
    crl: &[u8],
    (key, taken): ((AuthorityName, u32), u64),
    file: &str,
) -> Result<Vec<Finding>, Failure> {
    let listed = ListedEntries::of(crl)?;
    let told = office.registry.standings_until(taken).await?;
    let of_key = told.into_iter().filter(|told| told.signer == Some(key));
    Ok(of_key
        .filter_map(|told| told.revoked)
        .filter(|revoked| !listed.names(revoked.serial.as_bytes()))
        .map(|revoked| {
            let message = format!(
                "{}/{file} does not revoke {}, which the log tells was revoked on {} ({}), before that CRL was made; sign a new one with: issuer publish",
                layout::REVOCATIONS, revoked.serial, revoked.revoked_at, revoked.standing.as_str()
            );
            Finding::new(NOT_LISTED, message)
        })
        .collect())
}

fn not_the_newest(directory: &Path, file: &str, found: Option<&[u8]>, list: &SignedList) -> Finding {
    let found = match found.map(|crl| CrlView::from_der(crl).map(|crl| crl.number().unwrap_or_default())) {
        None => "is missing".to_owned(),
        Some(Err(_)) => "is damaged".to_owned(),
        Some(Ok(number)) => format!("has the number 0x{}", hex::encode(number)),
    };
    let message = format!(
        "{}: {}/{file} {found}, and by its checkpoint number 0x{:02x} of {} was published there; publish anew with: issuer publish",
        directory.display(),
        layout::REVOCATIONS,
        list.number,
        list.authority
    );
    Finding::new(OTHER_CRL, message)
}
