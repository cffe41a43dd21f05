//! What is published: signed anew, or as the registry has it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::authority_key::is_at_hand;
use super::super::ca::elsewhere::is_elsewhere;
use super::super::failure::Failure;
use super::super::ocsp::prepared::Preparation;
use super::super::office::Office;
use super::revocation_lists::{CrlSummary, Extent, NewLists, Signing};
use crate::ca::crl::view::CrlView;
use crate::ca::profile::status_services::OcspService;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::{NewAnswers, Publication, PublishedDirectory, check_lists};
use crate::registry::{AuthorityKey, Registry, SignedCrls};

/// What was signed for a publication, or is taken from the registry.
#[derive(Default)]
pub(super) struct News {
    /// Up to which time what was recorded does not speak against the clock.
    pub(super) accepted: Option<Timestamp>,
    pub(super) authorities: Vec<Certificate>,
    /// Their earlier certificates, and those between them and others.
    pub(super) further: Vec<Certificate>,
    /// The keys of those authorities.
    pub(super) keys: Vec<AuthorityKey>,
    /// Complete CRLs and all that goes with them, by the subjectKeyIdentifier of their authority; those of other authorities
    /// the registry has.
    pub(super) crls: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub(super) bases: Vec<Vec<u8>>,
    /// OCSP answers, likewise.
    pub(super) answers: BTreeMap<Vec<u8>, NewAnswers>,
    pub(super) ends: Vec<End>,
    pub(super) summaries: Vec<CrlSummary>,
    pub(super) warnings: Vec<String>,
}

/// When a revoked certificate expires, so that its entry may be left out of a CRL one day.
pub(super) struct End {
    issuer: Vec<u8>,
    serial: Vec<u8>,
    not_after: Timestamp,
}

impl News {
    /// What the registry has, without signing anything.
    ///
    /// # Errors
    /// The registry.
    pub(super) async fn of_registry(office: &Office, now: Timestamp) -> Result<Self, Failure> {
        let accepted = office.registry.accepted_clock().await?.map(|(_, until)| until);
        let mut news = Self { accepted, ..Self::default() };
        for key in office.registry.authority_keys().await? {
            let certificate = Certificate::from_der(key.certificate.clone())?;
            if !key.is_current && certificate.not_after() < now {
                continue;
            }
            if is_elsewhere(office, &key).await? {
                news.further.push(certificate);
                continue;
            }
            news.ends.extend(ends_of(&office.registry, key.name, &certificate, now).await?);
            news.authorities.push(certificate);
            for further in [&key.earlier, &key.given, &key.received].into_iter().flatten().cloned() {
                let further = Certificate::from_der(further)?;
                if further.not_after() >= now && !news.further.contains(&further) {
                    news.further.push(further);
                }
            }
            news.keys.push(key);
        }
        let authorities = &news.authorities;
        news.further.retain(|further| !authorities.contains(further));
        Ok(news)
    }

    /// Of a root whose key is not here the CRL that was installed last is published.
    async fn of_absent_root(
        &mut self,
        office: &Office,
        root: &AuthorityKey,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let newest = if root.is_current { office.registry.newest_crl(root.name).await? } else { None };
        let end = newest.as_ref().and_then(|newest| CrlView::from_der(&newest.crl).ok()?.next());
        if let Some(newest) = newest.filter(|_| end.is_some_and(|end| end > now)) {
            let key = Certificate::from_der(root.certificate.clone())?.subject_key_identifier().to_vec();
            self.crls.insert(key, vec![newest.crl]);
        }
        Ok(())
    }

    /// When the certificate of an authority's with this number expires.
    pub(super) fn end_of(&self, issuer: &[u8], serial: &SerialNumber) -> Option<Timestamp> {
        let end = self.ends.iter().find(|end| end.issuer == issuer && end.serial == serial.as_bytes())?;
        Some(end.not_after)
    }
}

/// Signs CRLs and OCSP answers. What is signed is compared with the registry and with what was signed before, and kept only
/// if nothing is wrong with it.
///
/// # Errors
/// Wrong passphrase, the registry, or what must not be published.
pub(super) async fn sign(
    office: &Office,
    published: Option<&PublishedDirectory>,
    extent: Extent,
    now: Timestamp,
) -> Result<News, Failure> {
    let passphrase = office.passphrase()?;
    let mut preparation = match office.config.organization.status_services.ocsp {
        OcspService::Offered => Some(Preparation::open(office, &passphrase, now)?),
        OcspService::Absent => None,
    };
    let signing = Signing { office, passphrase: &passphrase, published, now };
    let mut news = News::of_registry(office, now).await?;
    for own in news.keys.clone() {
        let certificate = Certificate::from_der(own.certificate.clone())?;
        if own.name == AuthorityName::Root && !is_at_hand(&office.home, own.name, &certificate)? {
            news.of_absent_root(office, &own, now).await?;
            continue;
        }
        let Some(mut new) = signing.lists(&own, extent, &mut news.warnings).await? else { continue };
        let key = certificate.subject_key_identifier().to_vec();
        keep(office, (&own, extent), &key, &mut new, &news, now).await?;
        if let Some(preparation) = &mut preparation {
            let revoked = &new.registered.revoked;
            let answers = preparation.answers(&own, &passphrase, revoked, published).await?;
            answers.check(&new.registered).map_err(|reason| Failure::new("malformed", reason))?;
            news.answers.insert(key.clone(), answers);
        }
        news.summaries.push(new.summary);
        news.bases.extend(new.bases);
        if extent == Extent::Complete {
            news.crls.insert(key, new.crls.into_iter().map(|(_, crl)| crl).collect());
        }
    }
    Ok(news)
}

/// Checks the new CRLs of an authority and stores them, to be made known.
pub(super) async fn keep(
    office: &Office,
    (own, extent): (&AuthorityKey, Extent),
    key: &[u8],
    new: &mut NewLists,
    news: &News,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut publication = Publication {
        now,
        accepted: news.accepted,
        authorities: news.authorities.clone(),
        further_authorities: Vec::new(),
        certificates: Vec::new(),
        crls: new.crls.iter().map(|(_, crl)| crl.clone()).collect(),
        bases: std::mem::take(&mut new.bases),
        // A million entries are lent, not copied.
        registered: BTreeMap::from([(key.to_vec(), std::mem::take(&mut new.registered))]),
        answers: BTreeMap::new(),
        not_after: &|issuer, serial| news.end_of(issuer, serial),
    };
    check_lists(&new.known, &publication)?;
    new.registered = publication.registered.remove(key).unwrap_or_default();
    new.bases = std::mem::take(&mut publication.bases);
    drop(publication);
    let complete = format!("{}.crl", hex::encode(key));
    // That of an earlier key lies among the parts.
    let is_whole = |file: &String| own.is_current && *file == complete;
    let (whole, parts): (Vec<_>, Vec<_>) = new.crls.iter().cloned().partition(|(file, _)| is_whole(file));
    let signed = SignedCrls {
        number: new.registered.number,
        key: hex::encode(key),
        is_complete: extent == Extent::Complete,
        complete: whole.into_iter().next().map(|(_, crl)| crl),
        parts,
    };
    Ok(office.registry.store_crls(own.name, &signed, now).await?)
}

async fn ends_of(
    registry: &Registry,
    name: AuthorityName,
    issuer: &Certificate,
    now: Timestamp,
) -> Result<Vec<End>, Failure> {
    let ends = registry.certificate_ends(name, now).await?;
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
