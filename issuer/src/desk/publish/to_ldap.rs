//! An LDAP directory, brought up to date: entry by entry, each with its row in the outbox.

use std::sync::Arc;

use super::super::failure::{Failure, Status};
use super::Run;
use super::report::TargetReport;
use super::targets::Target;
use crate::ca::crl::name::CrlName;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::ldap::{
    AddressEntry, AuthorityEntry, LdapFailure, LdapTarget, LdapUrl, Ours, Outcome, publish_addresses,
    publish_authorities,
};
use crate::publication::retry::retry_at;
use crate::registry::{OutboxItem, OutboxSubject};

/// Entries that are worked off before that is written down.
const TOGETHER: u32 = 2000;

impl From<LdapFailure> for Failure {
    fn from(failure: LdapFailure) -> Self {
        Self { status: Status::Failed, code: failure.code, message: failure.message }
    }
}

impl Run<'_> {
    /// Works off the outbox; an entry that cannot be written keeps its row, and the others go on.
    pub(super) async fn to_ldap(&self, target: &Target, url: &LdapUrl) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        let directory = target.ldap(url.clone())?;
        let ours = Arc::new(Ours::new(self.news.authorities.iter().cloned()));
        let mut report = TargetReport { unit: "entries", ..TargetReport::empty(target) };
        registry.mark_expired(target.record.id, self.now).await?;

        let waiting = registry.waiting_authorities(target.record.id, self.due).await?;
        let mut entries = Vec::new();
        for item in &waiting {
            if let OutboxSubject::Authority(name) = item.subject {
                entries.push(self.authority_entry(name).await?);
            }
        }
        if !entries.is_empty() {
            let outcomes = publish_authorities(&directory, Arc::clone(&ours), entries, self.now)?;
            self.settle(&waiting, outcomes, &mut report).await?;
        }
        self.addresses(target, &directory, &ours, &mut report).await?;
        if !report.troubles.is_empty() {
            report.state = "partly";
        }
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
                Outcome::Done { changed } => {
                    done.push(item);
                    if changed { report.written += 1 } else { report.unchanged += 1 }
                }
                Outcome::Trouble(trouble) => {
                    let next = retry_at(self.now, item.failures);
                    self.office.registry.outbox_failed(item, &trouble, next).await?;
                    report.troubles.push(trouble);
                }
            }
        }
        Ok(self.office.registry.outbox_done(&done).await?)
    }

    async fn authority_entry(&self, name: AuthorityName) -> Result<AuthorityEntry, Failure> {
        let registry = &self.office.registry;
        let certificate: Certificate = self.office.authority_certificate(name).await?;
        let crl = registry.newest_crl(name).await?.map(|newest| newest.crl);
        let delta = CrlName::complete(certificate.subject_key_identifier(), None).delta().file();
        let parts = registry.crl_parts(name).await?;
        let ends = registry.certificate_ends(name).await?;
        let ends =
            ends.into_iter().map(|(serial, end)| Ok((SerialNumber::from_bytes(serial.as_bytes())?, end)));
        Ok(AuthorityEntry {
            certificates: vec![certificate.as_der().to_vec()],
            certificate,
            pairs: Vec::new(),
            crl,
            delta: parts.into_iter().find(|(file, _)| *file == delta).map(|(_, crl)| crl),
            ends: ends.collect::<Result<_, crate::ca::CaError>>()?,
        })
    }
}
