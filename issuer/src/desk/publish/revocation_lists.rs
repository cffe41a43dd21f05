//! New CRLs of an authority: complete, in partitions, and what has changed since.

use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::failure::Failure;
use super::super::office::{Office, Passphrase};
use super::log_check;
use crate::ca::certificate::verify_signed;
use crate::ca::crl::difference::Difference;
use crate::ca::crl::name::CrlName;
use crate::ca::crl::partition::{Partition, Partitions};
use crate::ca::crl::view::CrlView;
use crate::ca::crl::{CrlHeader, CrlScope, RevocationReason, RevokedCertificate};
use crate::ca::profile::status_services::DeltaCrls;
use crate::ca::{Authority, Certificate, SerialNumber};
use crate::domain::{AuthorityName, ChainHash, is_sayable};
use crate::publication::{PublishedDirectory, RegisteredRevocations};
use crate::registry::{self, AuthorityKey, CrlDue};

/// Which CRLs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) enum Extent {
    /// Complete ones, and deltas where there are any.
    Complete,
    /// Only deltas to the published ones; of authorities that have none complete ones, if something is on no CRL yet.
    DeltaOnly,
}

/// What a publication signs CRLs with.
#[derive(Clone, Copy)]
pub(super) struct Signing<'a> {
    pub(super) office: &'a Office,
    pub(super) passphrase: &'a Passphrase,
    /// What readers have; none where nothing is published in a directory.
    pub(super) published: Option<&'a PublishedDirectory>,
    pub(super) now: Timestamp,
}

/// New CRLs of an authority.
pub(super) struct NewLists {
    /// Names of files, and DER.
    pub(super) crls: Vec<(String, Vec<u8>)>,
    /// Complete ones that its deltas start from.
    pub(super) bases: Vec<Vec<u8>>,
    /// What was signed before.
    pub(super) known: Vec<(String, Vec<u8>)>,
    /// Which they are: of an authority without deltas complete ones, also where only deltas are made.
    pub(super) extent: Extent,
    /// What they tell that no CRL did.
    pub(super) told: Option<CrlDue>,
    pub(super) registered: RegisteredRevocations,
    pub(super) summary: CrlSummary,
}

#[derive(Serialize)]
pub(super) struct CrlSummary {
    authority: &'static str,
    number: u64,
    pub(super) revoked: usize,
    lists: usize,
    next_update: String,
}

impl Signing<'_> {
    /// Signs the CRLs of an authority under one new number; none where only deltas are made, it has none, and nothing is due.
    ///
    /// # Errors
    /// Wrong passphrase, the registry, or a delta without a published CRL to start from.
    pub(super) async fn lists(
        &self,
        key: &AuthorityKey,
        extent: Extent,
        warnings: &mut Vec<String>,
    ) -> Result<Option<NewLists>, Failure> {
        let name = key.name;
        let services = self.office.config.organization.status_services;
        let is_long = name == AuthorityName::People;
        let deltas = if is_long { services.delta_crls } else { DeltaCrls::Omitted };
        // Before the revocations are read: what comes in between stays due.
        let due = self.office.registry.crls_due().await?.into_iter();
        let told = due.filter(|due| due.authority == name).find(|due| due.generation == key.generation);
        let extent = match (extent, deltas, &told) {
            (Extent::DeltaOnly, DeltaCrls::Omitted, None) => return Ok(None),
            (Extent::DeltaOnly, DeltaCrls::Omitted, Some(_)) => Extent::Complete,
            _ => extent,
        };
        let certificate = Certificate::from_der(key.certificate.clone())?;
        let mut authority = self.office.authority_of(name, certificate, self.passphrase)?;
        let end = authority.certificate().not_after();
        let next_update = self.now.saturating_add(lifetime(name)).unwrap_or(self.now).min(end);
        let identifier = authority.certificate().subject_key_identifier();
        let known = self.known_lists(key, identifier).await?;
        // First the number: whatever the log tells before it is in its CRLs.
        let number = self.office.registry.reserve_crl_number(name, self.now, next_update).await?;
        let complete = CrlName::complete(identifier, None).file();
        let predecessor = known.iter().find(|(file, _)| *file == complete).map(|(_, crl)| crl.as_slice());
        let revoked = log_check::revoked(self.office, key, predecessor, self.now, warnings).await?;
        let header = CrlHeader { number, this_update: self.now, next_update };
        let mut lists = Lists {
            signing: self,
            authority: &mut authority,
            header,
            deltas,
            extent,
            known: &known,
            made: Vec::new(),
            bases: Vec::new(),
        };
        lists.add(None, &revoked.iter().collect::<Vec<_>>())?;
        for (partition, part) in services
            .partitions
            .filter(|_| is_long)
            .map(|set: Partitions| set.divide(&revoked))
            .unwrap_or_default()
        {
            lists.add(Some(partition), &part)?;
        }
        let (crls, bases) = (lists.made, lists.bases);
        let summary = CrlSummary {
            authority: name.as_str(),
            number,
            revoked: revoked.len(),
            lists: crls.len(),
            next_update: next_update.to_string(),
        };
        let registered = RegisteredRevocations { number, revoked };
        Ok(Some(NewLists { crls, bases, known, extent, told, registered, summary }))
    }

    /// As [`kept_lists`]; a complete one that is published just as it was signed is not fetched from the registry once more.
    async fn known_lists(
        &self,
        key: &AuthorityKey,
        identifier: &[u8],
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let name = CrlName::complete(identifier, None);
        let Some(published) = self.published.filter(|_| key.is_current) else {
            return kept_lists(self.office, key, identifier).await;
        };
        let signed = self.office.registry.newest_crl_digest(key.name).await?;
        // A file that cannot be read is told when the turn of its directory comes.
        let published = signed.as_ref().and_then(|_| published.crl(&name).ok()?);
        let is_signed = |crl: &Vec<u8>| signed.as_ref() == Some(&ChainHash::of(crl).to_string());
        let Some(crl) = published.filter(is_signed) else {
            return kept_lists(self.office, key, identifier).await;
        };
        let mut known = kept_parts(self.office, key, identifier).await?;
        known.push((name.file(), crl));
        Ok(known)
    }
}

/// The newest CRLs of a key that were signed and kept: names of files, and DER.
///
/// # Errors
/// The registry.
pub(super) async fn kept_lists(
    office: &Office,
    key: &AuthorityKey,
    identifier: &[u8],
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut kept = kept_parts(office, key, identifier).await?;
    if key.is_current {
        let complete = office.registry.newest_crl(key.name).await?;
        kept.extend(complete.map(|complete| (CrlName::complete(identifier, None).file(), complete.crl)));
    }
    Ok(kept)
}

/// Those of its partitions, and deltas; of an earlier key all.
async fn kept_parts(
    office: &Office,
    key: &AuthorityKey,
    identifier: &[u8],
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let prefix = hex::encode(identifier);
    let mut kept = office.registry.crl_parts(key.name).await?;
    kept.retain(|(file, _)| file.starts_with(&prefix));
    Ok(kept)
}

/// The CRLs of one authority and number, in the making.
struct Lists<'a> {
    signing: &'a Signing<'a>,
    authority: &'a mut Authority,
    header: CrlHeader,
    deltas: DeltaCrls,
    extent: Extent,
    known: &'a [(String, Vec<u8>)],
    made: Vec<(String, Vec<u8>)>,
    bases: Vec<Vec<u8>>,
}

impl Lists<'_> {
    /// The complete CRL of all certificates or of a partition, and its delta.
    fn add(&mut self, partition: Option<Partition>, revoked: &[&RevokedCertificate]) -> Result<(), Failure> {
        let base_url = &self.signing.office.config.organization.base_url;
        let name = CrlName::complete(self.authority.certificate().subject_key_identifier(), partition);
        let scope = CrlScope {
            distribution_point: partition.map(|_| name.url(base_url)),
            base_number: None,
            freshest: (self.deltas == DeltaCrls::Published).then(|| name.delta().url(base_url)),
            // The registry forgets no revocation.
            keeps_expired_since: Some(self.authority.certificate().not_before()),
        };
        let published = self.base(&name)?;
        if self.extent == Extent::Complete {
            let entries = revoked.iter().copied().map(Ok::<_, Infallible>);
            let mut crl = Vec::new();
            self.authority.sign_scoped_crl(self.header, &scope, entries, &mut crl)?;
            self.made.push((name.file(), crl));
        }
        if self.deltas == DeltaCrls::Published {
            let delta = self.delta(&name, published.as_deref(), scope, revoked)?;
            self.made.push((name.delta().file(), delta));
            self.bases.extend(published);
        }
        Ok(())
    }

    /// The complete one that readers have. A delta alone starts from the newest that was signed: a target that is behind it
    /// is given that one too.
    fn base(&self, name: &CrlName) -> Result<Option<Vec<u8>>, Failure> {
        if self.deltas == DeltaCrls::Omitted {
            return Ok(None);
        }
        if let (Some(published), Extent::Complete) = (self.signing.published, self.extent) {
            // A damaged one is told when the turn of its directory comes; the others do not wait for it.
            let key = self.authority.certificate().public_key();
            let is_whole = |crl: &Vec<u8>| verify_signed(crl, "CRL", key).is_ok();
            match published.crl(name) {
                Ok(None) => return Ok(None),
                Ok(Some(crl)) if is_whole(&crl) => return Ok(Some(crl)),
                Ok(Some(_)) | Err(_) => {}
            }
        }
        let mut known = self.known.iter().filter(|(file, _)| *file == name.file());
        Ok(known.next().map(|(_, crl)| crl.clone()))
    }

    /// What has changed since the published one. Where there is none yet, the delta goes with the first complete one and
    /// says that nothing has changed since.
    fn delta(
        &mut self,
        name: &CrlName,
        published: Option<&[u8]>,
        scope: CrlScope,
        revoked: &[&RevokedCertificate],
    ) -> Result<Vec<u8>, Failure> {
        let base = published.map(CrlView::from_der).transpose()?;
        let base_number = match base.as_ref().map(|base| u64_of(base.number())) {
            Some(Some(number)) => number,
            _ if self.extent == Extent::Complete => self.header.number,
            _ => {
                let message = format!(
                    "there is no published CRL {} that a delta could start from; publish without --delta first",
                    name.file()
                );
                return Err(Failure::new("no-base-crl", message));
            }
        };
        let next = self.header.this_update.saturating_add(DELTA_LIFETIME).unwrap_or(self.header.next_update);
        // The base's reader asks for the next base when it ends, so a delta to it need not live longer.
        let ends = [Some(self.header.next_update), base.as_ref().and_then(CrlView::next)];
        let end = if self.extent == Extent::DeltaOnly { ends.into_iter().flatten().min() } else { ends[0] };
        let header = CrlHeader { next_update: end.unwrap_or(next).min(next), ..self.header };
        let scope = CrlScope { base_number: Some(base_number), freshest: None, ..scope };
        let mut delta = Vec::new();
        match &base {
            Some(base) => {
                let changes = Difference::new(base, revoked.iter().copied());
                self.authority.sign_scoped_crl(header, &scope, changes, &mut delta)?;
            }
            None => {
                let none = std::iter::empty::<Result<RevokedCertificate, Infallible>>();
                self.authority.sign_scoped_crl(header, &scope, none, &mut delta)?;
            }
        }
        Ok(delta)
    }
}

/// A CRL number of ours; others' may be longer.
fn u64_of(number: Option<Vec<u8>>) -> Option<u64> {
    let number = number?;
    (number.len() <= 8).then(|| number.iter().fold(0_u64, |value, octet| value << 8 | u64::from(*octet)))
}

pub(super) fn ca_entry(
    entry: &registry::RevokedCertificate,
    warnings: &mut Vec<String>,
) -> Result<RevokedCertificate, Failure> {
    Ok(RevokedCertificate {
        serial_number: SerialNumber::from_bytes(entry.serial.as_bytes())?,
        revocation_date: entry.revoked_at,
        reason: RevocationReason::from_name(entry.standing.as_str()).unwrap_or(RevocationReason::Unspecified),
        invalidity_date: sayable(entry, warnings),
    })
}

/// The invalidity date, if a CRL can say it. One that cannot must not keep every other revocation from being published.
fn sayable(entry: &registry::RevokedCertificate, warnings: &mut Vec<String>) -> Option<Timestamp> {
    let since = entry.invalid_since?;
    if is_sayable(since) {
        return Some(since);
    }
    warnings.push(format!(
        "certificate {0} is on the CRL without its invalidity date {since}, which no CRL can say; correct it with: issuer revoke {0} --reason {1} --invalid-since TIME",
        entry.serial,
        entry.standing.as_str()
    ));
    None
}

/// How long a CRL stands: 7 days for what changes daily, 90 for the root (S/MIME Baseline Requirements section 4.9.7).
const fn lifetime(name: AuthorityName) -> SignedDuration {
    match name {
        AuthorityName::Root => SignedDuration::from_hours(90 * 24),
        AuthorityName::People | AuthorityName::Servers | AuthorityName::Documents => {
            SignedDuration::from_hours(7 * 24)
        }
    }
}

/// How long a delta stands.
const DELTA_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
