//! A directory of files, brought up to date.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::failure::Failure;
use super::report::TargetReport;
use super::targets::Target;
use super::{Run, refuse_home};
use crate::ca::Certificate;
use crate::ca::profile::status_services::OcspService;
use crate::publication::{Publication, PublishedDirectory};
use crate::registry::{OutboxItem, OutboxSubject};

impl Run<'_> {
    /// Writes whatever is not as it shall be. Everything is checked before; afterwards what was waiting is done.
    pub(super) async fn to_directory(&self, target: &Target, path: &Path) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        refuse_home(self.office, path)?;
        let directory = PublishedDirectory::open(path)?;
        let waiting = registry.waiting(target.record.id).await?;
        if self.is_pending && waiting.is_empty() {
            return Ok(TargetReport::empty(target));
        }
        let crls = if self.is_pending { self.stored_crls(&waiting).await? } else { self.news.crls.clone() };
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

    /// The CRLs, as they were signed, of the authorities that wait.
    async fn stored_crls(&self, waiting: &[OutboxItem]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut crls = Vec::new();
        for item in waiting {
            let OutboxSubject::Authority(name) = &item.subject else { continue };
            if self.office.config.organization.status_services.ocsp == OcspService::Offered {
                return Err(Failure::new(
                    "to-be-signed",
                    "OCSP answers that agree with the new CRLs have to be signed; run issuer publish without --pending",
                ));
            }
            let whole = self.office.registry.newest_crl(*name).await?;
            crls.extend(whole.map(|whole| whole.crl));
            crls.extend(self.office.registry.crl_parts(*name).await?.into_iter().map(|(_, crl)| crl));
        }
        Ok(crls)
    }
}
