//! What a directory is offered: CRLs and OCSP answers of this run, or those that wait for it, as they were signed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use super::super::authority_key::is_at_hand;
use super::super::ca::due::way_to_new_lists;
use super::super::failure::Failure;
use super::revocation_lists::kept_lists;
use super::{Run, log_check};
use crate::ca::crl::name::CrlName;
use crate::ca::crl::view::CrlView;
use crate::ca::profile::status_services::OcspService;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::ocsp_answers::PublishedAnswers;
use crate::publication::{NewAnswers, PublishedDirectory, RegisteredRevocations, layout};
use crate::registry::{AuthorityKey, CrlDue};

/// CRLs and OCSP answers for a directory.
#[derive(Default)]
pub(super) struct Offer<'a> {
    pub(super) crls: Vec<Cow<'a, [u8]>>,
    pub(super) answers: BTreeMap<Vec<u8>, Cow<'a, NewAnswers>>,
    /// Authorities of which something is left to be made known, and why.
    pub(super) left: BTreeMap<AuthorityName, String>,
}

impl Run<'_> {
    /// Of every authority what this run signed; of one that waits what was signed before, complete CRLs with their deltas, so
    /// that a directory that missed some of them has what a delta is added to.
    pub(super) async fn offer(&self, waiting: &BTreeSet<AuthorityName>) -> Result<Offer<'_>, Failure> {
        let mut offer = Offer::default();
        for key in &self.news.keys {
            let certificate = Certificate::from_der(key.certificate.clone())?;
            let identifier = certificate.subject_key_identifier();
            // Nothing more is said of one that has ended.
            if certificate.not_after() <= self.now {
                continue;
            }
            if let Some(signed) = self.news.crls.get(identifier) {
                offer.crls.extend(signed.iter().map(|crl| Cow::Borrowed(crl.as_slice())));
            } else if waiting.contains(&key.name) {
                let kept = kept_lists(self.office, key, identifier).await?;
                match still_good(kept, self.now)? {
                    Kept::Good(crls) => offer.crls.extend(crls.into_iter().map(Cow::Owned)),
                    Kept::Ended(end) => {
                        let remedy = way_to_new_lists(self.office, key.name).await?;
                        offer.left.insert(key.name, ended(key.name, end, remedy));
                    }
                }
            } else {
                continue;
            }
            if let Some(answers) = self.news.answers.get(identifier) {
                offer.answers.insert(identifier.to_vec(), Cow::Borrowed(answers));
            } else if self.needs_answers(key, &certificate)? {
                match self.carried(key, identifier).await? {
                    Some(answers) => drop(offer.answers.insert(identifier.to_vec(), Cow::Owned(answers))),
                    None => drop(offer.left.entry(key.name).or_insert_with(|| to_be_signed(key.name))),
                }
            }
        }
        Ok(offer)
    }

    /// Whether OCSP answers go with the CRLs: those of an authority whose key is elsewhere nobody signs here.
    fn needs_answers(&self, key: &AuthorityKey, certificate: &Certificate) -> Result<bool, Failure> {
        let is_offered = self.office.config.organization.status_services.ocsp == OcspService::Offered;
        Ok(is_offered && is_at_hand(&self.office.home, key.name, certificate)?)
    }

    /// Authorities whose CRLs could not be signed although they do not say everything that is revoked; those also of which the
    /// directory said so before.
    pub(super) fn overdue(&self, directory: &PublishedDirectory) -> Result<Vec<Vec<u8>>, Failure> {
        let before = directory.overdue()?;
        let mut overdue = Vec::new();
        for key in &self.news.keys {
            let is_of_key = |due: &CrlDue| (due.authority, due.generation) == (key.name, key.generation);
            if !self.news.due.iter().any(is_of_key) {
                continue;
            }
            let identifier =
                Certificate::from_der(key.certificate.clone())?.subject_key_identifier().to_vec();
            let is_unsigned = self.news.unsigned.iter().any(|one| one.lists_of.as_ref() == Some(&identifier));
            if is_unsigned || before.contains(&CrlName::complete(&identifier, None).file()) {
                overdue.push(identifier);
            }
        }
        Ok(overdue)
    }

    /// OCSP answers that another directory has, if they say of every certificate what the registry holds.
    async fn carried(&self, key: &AuthorityKey, identifier: &[u8]) -> Result<Option<NewAnswers>, Failure> {
        let registry = &self.office.registry;
        let complete = CrlName::complete(identifier, None).file();
        let kept = kept_lists(self.office, key, identifier).await?;
        let newest = kept.iter().find(|(file, _)| *file == complete).map(|(_, crl)| crl.as_slice());
        let revoked = log_check::revoked(self.office, key, newest, self.now, &mut Vec::new()).await?;
        let registered = RegisteredRevocations { number: 0, revoked };
        let serials = registry.unexpired_certificates(key.name, key.generation, self.now).await?;
        let serials = serials.iter().map(|serial| SerialNumber::from_bytes(serial.as_bytes()));
        let serials = serials.collect::<Result<Vec<_>, _>>()?;
        for target in registry.targets().await? {
            let place = Path::new(&target.place);
            if !layout::is_published(place) {
                continue;
            }
            let published = PublishedDirectory::open(place).ok().and_then(|open| open.answers(identifier));
            let answers = published.and_then(|published| all(&published, &serials, self.now));
            if let Some(answers) = answers.filter(|answers| answers.check(&registered).is_ok()) {
                return Ok(Some(answers));
            }
        }
        Ok(None)
    }
}

/// An answer about each of these certificates that is good at `now`.
fn all(published: &PublishedAnswers, serials: &[SerialNumber], now: Timestamp) -> Option<NewAnswers> {
    let mut answers = NewAnswers::default();
    for serial in serials {
        let prepared = published.find(serial).ok()?.filter(|prepared| prepared.next_update > now)?;
        answers.insert(serial, prepared);
    }
    Some(answers)
}

/// CRLs that were kept.
enum Kept {
    /// Without deltas that have ended: who has the complete one misses nothing by them.
    Good(Vec<Vec<u8>>),
    /// When a complete one did.
    Ended(Timestamp),
}

fn still_good(kept: Vec<(String, Vec<u8>)>, now: Timestamp) -> Result<Kept, Failure> {
    let mut good = Vec::new();
    for (_, crl) in kept {
        let view = CrlView::from_der(&crl)?;
        match view.next().filter(|end| *end <= now) {
            Some(end) if !view.is_delta() => return Ok(Kept::Ended(end)),
            Some(_) => {}
            None => good.push(crl),
        }
    }
    Ok(Kept::Good(good))
}

fn ended(name: AuthorityName, end: Timestamp, remedy: &str) -> String {
    format!("the newest CRL of the authority {name} ended {end}; {remedy}")
}

fn to_be_signed(name: AuthorityName) -> String {
    format!(
        "OCSP answers of the authority {name} that agree with its new CRLs have to be signed; run issuer publish without --pending or --delta"
    )
}
