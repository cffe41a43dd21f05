//! A directory of files, brought up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::failure::Failure;
use super::report::TargetReport;
use super::targets::Target;
use super::{Run, refuse_home};
use crate::ca::Certificate;
use crate::ca::crl::name::CrlName;
use crate::ca::crl::view::CrlView;
use crate::ca::profile::status_services::OcspService;
use crate::domain::AuthorityName;
use crate::publication::{Publication, PublishedDirectory};
use crate::registry::OutboxSubject;

impl Run<'_> {
    /// Writes whatever is not as it shall be. Everything is checked before; afterwards what was waiting is done.
    pub(super) async fn to_directory(&self, target: &Target, path: &Path) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        refuse_home(self.office, path)?;
        let directory = PublishedDirectory::open(path)?;
        let waiting = registry.waiting(target.record.id).await?;
        let crls = if self.is_pending {
            let mut names = self.behind(&directory).await?;
            names.extend(waiting.iter().filter_map(|item| match &item.subject {
                OutboxSubject::Authority(name) => Some(*name),
                OutboxSubject::Address(_) => None,
            }));
            if waiting.is_empty() && names.is_empty() {
                return Ok(TargetReport::empty(target));
            }
            self.stored_crls(names).await?
        } else {
            self.news.crls.clone()
        };
        let certificates = registry.certificates_to_publish(self.now).await?;
        let certificates =
            certificates.into_iter().map(Certificate::from_der).collect::<Result<Vec<_>, _>>()?;
        let count = certificates.len();
        let report = directory.write(&Publication {
            now: self.now,
            accepted: self.news.accepted,
            authorities: self.news.authorities.clone(),
            further_authorities: self.news.further.clone(),
            certificates,
            crls,
            bases: self.news.bases.clone(),
            // The CRLs were compared with it before they were kept.
            registered: if self.news.answers.is_empty() {
                BTreeMap::new()
            } else {
                self.news.registered.clone()
            },
            answers: self.news.answers.clone(),
            not_after: &|issuer, serial| self.news.end_of(issuer, serial),
        })?;
        registry.outbox_done(&waiting.iter().collect::<Vec<_>>()).await?;
        Ok(TargetReport {
            certificates: Some(count),
            written: report.written,
            unchanged: report.unchanged,
            removed: report.removed,
            troubles: report
                .replaced
                .iter()
                .map(|file| format!("{} was damaged, and is replaced", file.display()))
                .collect(),
            ..TargetReport::empty(target)
        })
    }

    /// Authorities of which files are missing, or of before those that were signed last: somebody put them there.
    async fn behind(&self, directory: &PublishedDirectory) -> Result<BTreeSet<AuthorityName>, Failure> {
        let mut behind = BTreeSet::new();
        for key in self.office.registry.authority_keys().await? {
            let certificate = Certificate::from_der(key.certificate)?;
            let identifier = certificate.subject_key_identifier();
            if !self.news.authorities.iter().any(|one| one.subject_key_identifier() == identifier) {
                continue;
            }
            let complete = CrlName::complete(identifier, None);
            let mut stored = self.office.registry.crl_parts(key.name).await?;
            stored.retain(|(file, _)| file.starts_with(&complete.authority));
            let newest = self.office.registry.newest_crl(key.name).await?.filter(|_| key.is_current);
            stored.extend(newest.map(|newest| (complete.file(), newest.crl)));
            for (file, crl) in stored {
                let Some(name) = CrlName::parse(&file) else { continue };
                if is_before(directory.crl(&name)?.as_deref(), &crl) {
                    behind.insert(key.name);
                }
            }
            if !behind.contains(&key.name) && directory.contradiction(identifier)?.is_some() {
                behind.insert(key.name);
            }
        }
        Ok(behind)
    }

    /// The CRLs of these authorities, as they were signed.
    async fn stored_crls(&self, names: BTreeSet<AuthorityName>) -> Result<Vec<Vec<u8>>, Failure> {
        let mut crls = Vec::new();
        for name in names {
            if self.office.config.organization.status_services.ocsp == OcspService::Offered {
                return Err(Failure::new(
                    "to-be-signed",
                    "OCSP answers that agree with the new CRLs have to be signed; run issuer publish without --pending",
                ));
            }
            let whole = self.office.registry.newest_crl(name).await?;
            crls.extend(whole.map(|whole| whole.crl));
            crls.extend(self.office.registry.crl_parts(name).await?.into_iter().map(|(_, crl)| crl));
        }
        Ok(crls)
    }
}

/// Whether what is published is gone, damaged, or has a lower number than what was signed.
fn is_before(published: Option<&[u8]>, signed: &[u8]) -> bool {
    let number = |crl: &[u8]| {
        let number = CrlView::from_der(crl).ok()?.number().unwrap_or_default();
        Some((number.len(), number))
    };
    published.and_then(number) < number(signed)
}
