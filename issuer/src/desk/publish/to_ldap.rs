//! An LDAP directory, brought up to date: entry by entry, each with its row in the outbox.

use std::sync::Arc;

use super::super::failure::Failure;
use super::Run;
use super::report::TargetReport;
use super::targets::Target;
use crate::ca::crl::name::CrlName;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::ldap::{
    AddressEntry, AuthorityEntry, LdapFailure, LdapTarget, LdapUrl, Ours, Outcome, cross_pair,
    publish_addresses, publish_authorities,
};
use crate::publication::retry::retry_at;
use crate::registry::{AuthorityKey, OutboxItem, OutboxSubject};

/// Entries that are worked off before that is written down.
const TOGETHER: u32 = 2000;

impl From<LdapFailure> for Failure {
    fn from(failure: LdapFailure) -> Self {
        Self::new(failure.code, failure.message)
    }
}

impl Run<'_> {
    /// Works off the outbox; an entry that cannot be written keeps its row, and the others go on.
    pub(super) async fn to_ldap(&self, target: &Target, url: &LdapUrl) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        let directory = target.ldap(url.clone())?;
        let ours = Arc::new(Ours::new(self.news.authorities.iter().cloned()));
        let mut report = TargetReport { unit: "published-entries", ..TargetReport::empty(target) };
        registry.mark_expired(target.record.id, self.now).await?;
        if !self.is_pending {
            registry.mark_withdrawn(target.record.id, self.now).await?;
        }

        let waiting = registry.waiting_authorities(target.record.id, self.due).await?;
        let (mut entries, mut counts) = (Vec::new(), Vec::new());
        for item in &waiting {
            let OutboxSubject::Authority(name) = item.subject else { continue };
            let own = self.authority_entries(name).await?;
            counts.push(own.len());
            entries.extend(own);
        }
        if !entries.is_empty() {
            let outcomes = publish_authorities(&directory, Arc::clone(&ours), entries, self.clock())?;
            let mut outcomes = outcomes.into_iter();
            let together = counts.iter().map(|count| together(outcomes.by_ref().take(*count))).collect();
            self.settle(&waiting, together, &mut report).await?;
        }
        self.addresses(target, &directory, &ours, &mut report).await?;
        Ok(report)
    }

    async fn addresses(
        &self,
        target: &Target,
        directory: &LdapTarget,
        ours: &Arc<Ours>,
        report: &mut TargetReport,
    ) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let (items, end) = self
                .office
                .registry
                .waiting_addresses(target.record.id, self.due, self.now, after, TOGETHER)
                .await?;
            if items.is_empty() {
                return Ok(());
            }
            let entries = items
                .iter()
                .filter_map(|item| match &item.subject {
                    OutboxSubject::Address(address) => Some(AddressEntry {
                        address: address.clone(),
                        certificates: item.certificates.clone(),
                    }),
                    OutboxSubject::Authority(_) => None,
                })
                .collect();
            let outcomes = publish_addresses(directory, Arc::clone(ours), entries)?;
            self.settle(&items, outcomes, report).await?;
            after = end;
        }
    }

    /// Takes out of the outbox what was done, and remembers why the rest was not.
    async fn settle(
        &self,
        items: &[OutboxItem],
        outcomes: Vec<Outcome>,
        report: &mut TargetReport,
    ) -> Result<(), Failure> {
        let mut done = Vec::new();
        for (item, outcome) in items.iter().zip(outcomes) {
            match outcome {
                Outcome::Done { changed, mended } => {
                    done.push(item);
                    report.troubles.extend(mended);
                    if changed { report.written += 1 } else { report.unchanged += 1 }
                }
                Outcome::Trouble(trouble) => {
                    let next = retry_at(self.now, item.failures);
                    self.office.registry.outbox_failed(item, &trouble, next).await?;
                    report.troubles.push(trouble);
                    report.state = "partly";
                }
            }
        }
        Ok(self.office.registry.outbox_done(&done).await?)
    }

    /// One entry for each key of the authority.
    async fn authority_entries(&self, name: AuthorityName) -> Result<Vec<AuthorityEntry>, Failure> {
        let registry = &self.office.registry;
        let parts = registry.crl_parts(name).await?;
        let part = |file: &str| parts.iter().find(|(known, _)| known == file).map(|(_, crl)| crl.clone());
        let ends = registry.certificate_ends(name, self.now).await?;
        let ends =
            ends.into_iter().map(|(serial, end)| Ok((SerialNumber::from_bytes(serial.as_bytes())?, end)));
        let ends = ends.collect::<Result<Vec<_>, crate::ca::CaError>>()?;
        let mut entries = Vec::new();
        for key in registry.authority_keys().await?.into_iter().filter(|key| key.name == name) {
            let certificate = Certificate::from_der(key.certificate.clone())?;
            if !key.is_current && certificate.not_after() < self.now {
                continue;
            }
            let complete = CrlName::complete(certificate.subject_key_identifier(), None);
            let crl = if key.is_current {
                registry.newest_crl(name).await?.map(|newest| newest.crl)
            } else {
                part(&complete.file())
            };
            entries.push(AuthorityEntry {
                certificates: std::iter::once(key.certificate.clone()).chain(key.earlier.clone()).collect(),
                pairs: pairs(&key)?,
                certificate,
                crl,
                delta: part(&complete.delta().file()),
                ends: ends.clone(),
            });
        }
        Ok(entries)
    }
}

/// Cross-certificates, those of two authorities for each other in one value.
fn pairs(key: &AuthorityKey) -> Result<Vec<Vec<u8>>, Failure> {
    let parsed =
        |all: &[Vec<u8>]| all.iter().cloned().map(Certificate::from_der).collect::<Result<Vec<_>, _>>();
    let (mut given, received) = (parsed(&key.given)?, parsed(&key.received)?);
    let mut pairs = Vec::new();
    for one in &received {
        let back = given.iter().position(|other| other.subject() == one.issuer());
        let back = back.map(|index| given.remove(index));
        pairs.push(cross_pair::encode(Some(one), back.as_ref())?);
    }
    for one in &given {
        pairs.push(cross_pair::encode(None, Some(one))?);
    }
    Ok(pairs)
}

/// What became of several entries that are one thing.
fn together(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let mut all = Outcome::Done { changed: false, mended: Vec::new() };
    for outcome in outcomes {
        all = match (all, outcome) {
            (Outcome::Done { changed, mut mended }, Outcome::Done { changed: too, mended: more }) => {
                mended.extend(more);
                Outcome::Done { changed: changed || too, mended }
            }
            (Outcome::Trouble(first), Outcome::Trouble(second)) => {
                Outcome::Trouble(format!("{first}; {second}"))
            }
            (Outcome::Trouble(trouble), _) | (_, Outcome::Trouble(trouble)) => Outcome::Trouble(trouble),
        };
    }
    all
}
