//! What is published: signed anew, or as the registry has it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::ocsp::prepared::Preparation;
use super::super::office::Office;
use super::revocation_lists::{CrlSummary, Extent, NewLists, Signing};
use crate::ca::profile::status_services::OcspService;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::{NewAnswers, Publication, PublishedDirectory, RegisteredRevocations, check_lists};
use crate::registry::{self, Registry, SignedCrls};

/// What was signed for a publication, or is taken from the registry.
#[derive(Default)]
pub(super) struct News {
    pub(super) authorities: Vec<Certificate>,
    pub(super) crls: Vec<Vec<u8>>,
    pub(super) bases: Vec<Vec<u8>>,
    pub(super) registered: BTreeMap<Vec<u8>, RegisteredRevocations>,
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
    pub(super) async fn of_registry(office: &Office) -> Result<Self, Failure> {
        let mut news = Self::default();
        for registry::Authority { name, certificate } in office.registry.authorities().await? {
            let certificate = Certificate::from_der(certificate)?;
            news.ends.extend(ends_of(&office.registry, name, &certificate).await?);
            news.authorities.push(certificate);
        }
        Ok(news)
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
    let mut news = News::of_registry(office).await?;
    let authorities = news.authorities.clone();
    for registry::Authority { name, certificate } in office.registry.authorities().await? {
        let certificate = Certificate::from_der(certificate)?;
        let Some(new) = signing.lists(name, extent, &mut news.warnings).await? else { continue };
        let key = certificate.subject_key_identifier().to_vec();
        keep(office, name, &authorities, &key, &new, &news, now).await?;
        if let Some(preparation) = &mut preparation {
            let revoked = &new.registered.revoked;
            let answers = preparation.answers(name, &passphrase, revoked, published).await?;
            news.answers.insert(key.clone(), answers);
        }
        news.summaries.push(new.summary);
        news.crls.extend(new.crls.into_iter().map(|(_, crl)| crl));
        news.bases.extend(new.bases);
        news.registered.insert(key, new.registered);
    }
    Ok(news)
}

/// Checks the new CRLs of an authority and stores them, to be made known.
async fn keep(
    office: &Office,
    name: AuthorityName,
    authorities: &[Certificate],
    key: &[u8],
    new: &NewLists,
    news: &News,
    now: Timestamp,
) -> Result<(), Failure> {
    check_lists(
        &new.known,
        &Publication {
            now,
            authorities: authorities.to_vec(),
            certificates: Vec::new(),
            crls: new.crls.iter().map(|(_, crl)| crl.clone()).collect(),
            bases: new.bases.clone(),
            registered: BTreeMap::from([(key.to_vec(), new.registered.clone())]),
            answers: BTreeMap::new(),
            not_after: &|issuer, serial| news.end_of(issuer, serial),
        },
    )?;
    let complete = format!("{}.crl", hex::encode(key));
    let (whole, parts): (Vec<_>, Vec<_>) = new.crls.iter().cloned().partition(|(file, _)| *file == complete);
    let signed = SignedCrls {
        number: new.registered.number,
        complete: whole.into_iter().next().map(|(_, crl)| crl),
        parts,
    };
    Ok(office.registry.store_crls(name, &signed).await?)
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
