//! What is published: signed anew, or as the registry has it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::super::authority_key::{KeyLocation, is_at_hand, location};
use super::super::ca::elsewhere::is_elsewhere;
use super::super::failure::Failure;
use super::super::ocsp::prepared::Preparation;
use super::super::office::Office;
use super::super::texts;
use super::revocation_lists::{CrlSummary, Extent, NewLists, Signing};
use crate::ca::crl::name::CrlName;
use crate::ca::crl::view::CrlView;
use crate::ca::profile::status_services::OcspService;
use crate::ca::{Certificate, SerialNumber};
use crate::domain::AuthorityName;
use crate::publication::{NewAnswers, Publication, PublishedDirectory, RegisteredRevocations, check_lists};
use crate::registry::{AuthorityKey, CrlDue, Registry, SignedCrls};

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
    /// Of which CRLs of this run which predecessor was kept.
    pub(super) judged: BTreeMap<CrlName, Option<Vec<u8>>>,
    /// OCSP answers, likewise.
    pub(super) answers: BTreeMap<Vec<u8>, NewAnswers>,
    pub(super) ends: Vec<End>,
    pub(super) summaries: Vec<CrlSummary>,
    /// What could not be signed.
    pub(super) unsigned: Vec<Unsigned>,
    /// Authorities of which something is revoked that is on no CRL yet.
    pub(super) due: Vec<CrlDue>,
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

/// What could not be signed.
#[derive(Serialize)]
pub(super) struct Unsigned {
    pub(super) what: String,
    pub(super) trouble: String,
    /// The subjectKeyIdentifier of the authority whose CRLs these are.
    #[serde(skip)]
    pub(super) lists_of: Option<Vec<u8>>,
    /// Both for whoever works there.
    #[serde(skip)]
    said: String,
}

impl Unsigned {
    /// What is missing and why, for whoever works there.
    pub(super) fn sentence(&self) -> String {
        self.said.clone()
    }

    fn crls(name: AuthorityName, failure: &Failure, key: Vec<u8>) -> Self {
        Self {
            what: format!("the CRLs of the authority {name}"),
            trouble: failure.message.clone(),
            lists_of: Some(key),
            said: in_words("published-unsigned-crls", name, failure),
        }
    }

    fn answers(name: AuthorityName, failure: &Failure) -> Self {
        Self {
            what: format!("the OCSP answers of the authority {name}"),
            trouble: failure.message.clone(),
            lists_of: None,
            said: in_words("published-unsigned-ocsp", name, failure),
        }
    }
}

fn in_words(key: &str, name: AuthorityName, failure: &Failure) -> String {
    texts::say(key, &[("authority", name.as_str()), ("why", &texts::explained_failure(failure))])
}

/// Signs CRLs and OCSP answers. What is signed is compared with the registry and with what was signed before, and kept only
/// if nothing is wrong with it. An authority whose key is away fails alone.
///
/// # Errors
/// The registry, or no authority's CRLs can be signed, and nothing that was revoked waits for them: why not the first.
pub(super) async fn sign(
    office: &Office,
    published: Option<&PublishedDirectory>,
    extent: Extent,
    now: Timestamp,
) -> Result<News, Failure> {
    let passphrase = office.passphrase()?;
    let mut news = News::of_registry(office, now).await?;
    let signing = Signing { office, passphrase: &passphrase, published, now };
    let mut run =
        SigningRun { signing, news: &mut news, refused: Vec::new(), first: None, signed: Vec::new() };
    for own in run.news.keys.clone() {
        run.lists(&own, extent).await?;
    }
    let SigningRun { first, signed, .. } = run;
    if let (Some(failure), true) = (first, signed.is_empty()) {
        // That something revoked waits for keys which are away is told to whoever looks at what is published.
        if failure.code == "wrong-passphrase" || office.registry.crls_due().await?.is_empty() {
            return Err(failure);
        }
    }
    if office.config.organization.status_services.ocsp == OcspService::Offered {
        answers(&signing, &mut news, signed).await?;
    }
    Ok(news)
}

/// The CRLs of all authorities, one after the other.
struct SigningRun<'a> {
    signing: Signing<'a>,
    news: &'a mut News,
    /// Tokens and cards that would not sign: a PIN that one refused is not tried there again.
    refused: Vec<KeyLocation>,
    first: Option<Failure>,
    signed: Vec<(AuthorityKey, RegisteredRevocations)>,
}

impl SigningRun<'_> {
    async fn lists(&mut self, own: &AuthorityKey, extent: Extent) -> Result<(), Failure> {
        let office = self.signing.office;
        let certificate = Certificate::from_der(own.certificate.clone())?;
        if own.name == AuthorityName::Root && !is_at_hand(&office.home, own.name, &certificate)? {
            return self.news.of_absent_root(office, own, self.signing.now).await;
        }
        // Of an authority that has ended nobody believes a CRL, and of its certificates none: the others do not wait for it.
        if certificate.not_after() <= self.signing.now {
            return Ok(());
        }
        let place = location(&office.home, own.name, &certificate)?;
        let made = if self.refused.iter().any(|refused| refused.shares_pin(&place)) {
            let message = format!("its key is on the token or card that would not sign before ({place})");
            Err(Failure::new("key", message))
        } else {
            self.make(own, &certificate, extent).await
        };
        match made {
            Ok(signed) => self.signed.extend(signed.map(|registered| (own.clone(), registered))),
            Err(failure) if is_of_registry(&failure) => return Err(failure),
            Err(failure) => {
                self.refused.push(place);
                let key = certificate.subject_key_identifier().to_vec();
                self.news.unsigned.push(Unsigned::crls(own.name, &failure, key));
                self.first.get_or_insert(failure);
            }
        }
        Ok(())
    }

    /// Makes and keeps the CRLs of one authority; answers what they say.
    async fn make(
        &mut self,
        own: &AuthorityKey,
        certificate: &Certificate,
        extent: Extent,
    ) -> Result<Option<RegisteredRevocations>, Failure> {
        let Some(mut new) = self.signing.lists(own, extent, &mut self.news.warnings).await? else {
            return Ok(None);
        };
        let key = certificate.subject_key_identifier().to_vec();
        keep(self.signing.office, own, &key, &mut new, self.news, self.signing.now).await?;
        self.news.summaries.push(new.summary);
        self.news.bases.extend(new.bases);
        if new.extent == Extent::Complete {
            let (files, crls): (Vec<_>, Vec<_>) = new.crls.into_iter().unzip();
            let mut known: BTreeMap<String, Vec<u8>> = new.known.into_iter().collect();
            let judged = |file: String| Some((CrlName::parse(&file)?, known.remove(&file)));
            self.news.judged.extend(files.into_iter().filter_map(judged));
            self.news.crls.insert(key, crls);
        }
        Ok(Some(new.registered))
    }
}

/// The OCSP answers that go with CRLs. Without them the CRLs are made known nevertheless.
async fn answers(
    signing: &Signing<'_>,
    news: &mut News,
    signed: Vec<(AuthorityKey, RegisteredRevocations)>,
) -> Result<(), Failure> {
    let Signing { office, passphrase, published, now } = *signing;
    let mut preparation = Preparation::new(office, now);
    for (own, registered) in signed {
        let made = preparation.answers(&own, passphrase, &registered.revoked, published).await;
        let checked = made.and_then(|made| match made.check(&registered) {
            Ok(()) => Ok(made),
            Err(reason) => Err(Failure::new("malformed", reason)),
        });
        match checked {
            Ok(made) => {
                let key = Certificate::from_der(own.certificate)?.subject_key_identifier().to_vec();
                news.answers.insert(key, made);
            }
            Err(failure) if is_of_registry(&failure) => return Err(failure),
            Err(failure) => news.unsigned.push(Unsigned::answers(own.name, &failure)),
        }
    }
    Ok(())
}

/// What is wrong with the registry or the clock, or may be: then nothing is published.
fn is_of_registry(failure: &Failure) -> bool {
    failure.code.starts_with("registry") || matches!(failure.code, "log-broken" | "crl-refused")
}

/// Checks the new CRLs of an authority and stores them, to be made known.
pub(super) async fn keep(
    office: &Office,
    own: &AuthorityKey,
    key: &[u8],
    new: &mut NewLists,
    news: &News,
    now: Timestamp,
) -> Result<(), Failure> {
    // A million entries are lent, not copied.
    let publication = Publication {
        now,
        accepted: news.accepted,
        authorities: news.authorities.clone(),
        further_authorities: Vec::new(),
        certificates: Vec::new(),
        crls: new.crls.iter().map(|(_, crl)| Cow::Borrowed(crl.as_slice())).collect(),
        judged: BTreeMap::new(),
        bases: new.bases.iter().map(|base| Cow::Borrowed(base.as_slice())).collect(),
        registered: BTreeMap::from([(key.to_vec(), std::mem::take(&mut new.registered))]),
        answers: BTreeMap::new(),
        overdue: Vec::new(),
        not_after: &|issuer, serial| news.end_of(issuer, serial),
    };
    check_lists(&new.known, &publication)?;
    let Publication { mut registered, .. } = publication;
    new.registered = registered.remove(key).unwrap_or_default();
    let complete = format!("{}.crl", hex::encode(key));
    // That of an earlier key lies among the parts.
    let is_whole = |file: &str| own.is_current && file == complete;
    let made = new.crls.iter().map(|(file, crl)| (file.as_str(), crl.as_slice()));
    let (whole, parts): (Vec<_>, Vec<_>) = made.partition(|(file, _)| is_whole(file));
    let signed = SignedCrls {
        number: new.registered.number,
        key: hex::encode(key),
        is_complete: new.extent == Extent::Complete,
        complete: whole.first().map(|(_, crl)| *crl),
        parts,
        told: new.told.take(),
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
