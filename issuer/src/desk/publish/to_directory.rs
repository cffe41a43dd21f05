//! A directory of files, brought up to date.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::failure::Failure;
use super::report::TargetReport;
use super::revocation_lists::kept_lists;
use super::targets::Target;
use super::{Run, refuse_home};
use crate::ca::Certificate;
use crate::ca::crl::name::CrlName;
use crate::ca::crl::view::CrlView;
use crate::domain::AuthorityName;
use crate::publication::retry::retry_at;
use crate::publication::{Publication, PublishedDirectory, layout};
use crate::registry::{OutboxItem, OutboxSubject};

impl Run<'_> {
    /// Writes whatever is not as it shall be. Everything is checked before; afterwards what was waiting is done.
    pub(super) async fn to_directory(&self, target: &Target, path: &Path) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        refuse_home(self.office, path)?;
        let directory = PublishedDirectory::open(path)?;
        let waiting = registry.waiting(target.record.id).await?;
        let changed = if self.is_pending { directory.changed_since()? } else { Vec::new() };
        let mut names =
            if self.is_pending { self.behind(&directory, &changed).await? } else { BTreeSet::new() };
        names.extend(waiting.iter().filter_map(|item| match &item.subject {
            OutboxSubject::Authority(name) => Some(*name),
            OutboxSubject::Address(_) => None,
        }));
        if self.is_pending && waiting.is_empty() && names.is_empty() && changed.is_empty() {
            return Ok(TargetReport::empty(target));
        }
        let offer = self.offer(&names).await?;
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
            crls: offer.crls,
            judged: self.news.judged.iter().map(|(name, kept)| (name.clone(), kept.as_deref())).collect(),
            bases: self.news.bases.iter().map(|base| Cow::Borrowed(base.as_slice())).collect(),
            // They were compared with it before they were kept.
            registered: BTreeMap::new(),
            answers: offer.answers,
            overdue: self.overdue(&directory)?,
            not_after: &|issuer, serial| self.news.end_of(issuer, serial),
        })?;
        let mut troubles: Vec<String> = report
            .replaced
            .iter()
            .map(|file| format!("{} was damaged, and is replaced", file.display()))
            .collect();
        let left = |item: &&OutboxItem| matches!(&item.subject, OutboxSubject::Authority(name) if offer.left.contains_key(name));
        let (left, done): (Vec<_>, Vec<_>) = waiting.iter().partition(left);
        registry.outbox_done(&done).await?;
        for item in left {
            let OutboxSubject::Authority(name) = &item.subject else { continue };
            let trouble = offer.left.get(name).cloned().unwrap_or_default();
            registry.outbox_failed(item, &trouble, retry_at(self.now, item.failures)).await?;
        }
        let state = if offer.left.is_empty() { "done" } else { "partly" };
        troubles.extend(offer.left.into_values());
        Ok(TargetReport {
            state,
            certificates: Some(count),
            written: report.written,
            unchanged: report.unchanged,
            removed: report.removed,
            troubles,
            ..TargetReport::empty(target)
        })
    }

    /// Authorities of which files are missing, or others than were published or signed last: somebody put them there. `changed`
    /// are the paths of files that are not as they were published.
    async fn behind(
        &self,
        directory: &PublishedDirectory,
        changed: &[String],
    ) -> Result<BTreeSet<AuthorityName>, Failure> {
        let mut behind = BTreeSet::new();
        for key in &self.news.keys {
            let certificate = Certificate::from_der(key.certificate.clone())?;
            let identifier = certificate.subject_key_identifier();
            for (file, crl) in kept_lists(self.office, key, identifier).await? {
                let Some(name) = CrlName::parse(&file) else { continue };
                if is_before(directory.crl(&name)?.as_deref(), &crl) {
                    behind.insert(key.name);
                }
            }
            let own = hex::encode(identifier);
            let is_changed = changed
                .iter()
                .filter_map(|path| path.split_once('/'))
                .any(|(folder, file)| folder != layout::AUTHORITIES && file.starts_with(&own));
            if is_changed || (!behind.contains(&key.name) && directory.contradiction(identifier)?.is_some()) {
                behind.insert(key.name);
            }
        }
        Ok(behind)
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
