//! All CRLs of the authorities together: complete ones, their partitions, and their deltas.
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::crl_contents::{RegisteredRevocations, check_contents};
use super::crl_refusal::CrlRefusal;
use super::crl_succession::check_succession;
use super::directory::{Files, Issuers, Publication};
use super::error::PublicationError;
use super::layout::{self, CrlKind, CrlName};
use super::store::FileStore;
use crate::ca::certificate::{to_pem, verify_signed};
use crate::ca::crl::RevokedCertificate;
use crate::ca::crl::partition::Partition;
use crate::ca::crl::view::CrlView;
use crate::ca::{Certificate, SerialNumber};

/// What `crl/` shall hold of our authorities.
pub(super) struct RevocationLists<'a> {
    /// They may be long: those that somebody else holds are lent.
    lists: Published<'a>,
    /// Deltas of complete CRLs that have none any more.
    pub(super) obsolete: Vec<PathBuf>,
    /// Files that were damaged, in whose place new ones are.
    pub(super) replaced: Vec<PathBuf>,
}

/// What becomes of a damaged CRL in whose place a new one is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    /// As of one that is missing: what was kept in the registry was compared with its predecessor there.
    Replaced,
    /// Nothing follows it.
    Refused,
}

/// The CRLs of a directory, or of the registry: DER.
pub(super) type Published<'a> = BTreeMap<CrlName, Cow<'a, [u8]>>;

impl<'a> RevocationLists<'a> {
    /// The offered ones, each judged, and of authorities that offer none the published ones.
    pub(super) fn judge(
        published: Published<'a>,
        publication: &'a Publication<'_>,
        issuers: &Issuers<'a>,
        damaged: Damaged,
    ) -> Result<Self, PublicationError> {
        let mut lists = Self { lists: published, obsolete: Vec::new(), replaced: Vec::new() };
        for (issuer, offered) in by_issuer(publication, issuers)? {
            lists
                .look_for_damage(publication, issuer, &offered, damaged)
                .and_then(|()| lists.replace(publication, issuer, offered))
                .map_err(|refusal| PublicationError::Crl { authority: issuer.subject(), refusal })?;
        }
        Ok(lists)
    }

    /// Sets damaged files aside that new ones replace.
    ///
    /// # Errors
    /// A damaged one that stays: readers could do nothing with a delta to it.
    fn look_for_damage(
        &mut self,
        publication: &Publication<'_>,
        issuer: &Certificate,
        offered: &BTreeMap<CrlName, &[u8]>,
        damaged: Damaged,
    ) -> Result<(), CrlRefusal> {
        let of_issuer = CrlName::complete(issuer.subject_key_identifier(), None).authority;
        let mut replaced = Vec::new();
        for (name, der) in self.lists.iter().filter(|(name, _)| name.authority == of_issuer) {
            let new = offered.get(name);
            let whole =
                || CrlView::from_der(der).and_then(|_| verify_signed(der, "CRL", issuer.public_key()));
            let is_known = new.copied() == Some(der.as_ref()) || self.is_judged(publication, name);
            let Some(error) = (!is_known).then(whole).and_then(Result::err) else { continue };
            match (damaged, new) {
                (Damaged::Replaced, Some(_)) => replaced.push(name.clone()),
                // It goes, with the delta of its base.
                (Damaged::Replaced, None) if offered.contains_key(&name.base()) => {}
                _ => {
                    let file = name.path().display().to_string();
                    return Err(CrlRefusal::PublishedDamaged { file, reason: error.to_string() });
                }
            }
        }
        for name in replaced {
            self.lists.remove(&name);
            self.replaced.push(name.path());
        }
        Ok(())
    }

    /// The files, and `crl.pem` with the complete ones. Bases come before their deltas.
    pub(super) fn into_files(self) -> Files<'a> {
        let is_whole = |name: &CrlName| name.partition.is_none() && name.kind == CrlKind::Complete;
        let whole = self.lists.iter().filter(|(name, _)| is_whole(name));
        let mut whole: Vec<&[u8]> = whole.map(|(_, der)| der.as_ref()).collect();
        // What follows is appended to the longest, which is not copied.
        whole.sort_by_key(|der| Reverse(der.len()));
        let blocks = whole.into_iter().map(|der| to_pem("X509 CRL", der));
        let pem = blocks.reduce(|all, next| all + &next).unwrap_or_default();
        let mut files: Files<'a> = self.lists.into_iter().map(|(name, der)| (name.path(), der)).collect();
        files.push((layout::CRLS.into(), Cow::Owned(pem.into_bytes())));
        files
    }

    /// Whether what is offered under this name was judged beside the one that is there: see [`Publication::judged`].
    fn is_judged(&self, publication: &Publication<'_>, name: &CrlName) -> bool {
        match (publication.judged.get(name), self.lists.get(name)) {
            (Some(None), None) => true,
            (Some(Some(predecessor)), Some(Cow::Borrowed(published))) => {
                std::ptr::eq(*predecessor, *published)
            }
            _ => false,
        }
    }

    /// Puts what one authority offers in the place of what is published of it.
    fn replace(
        &mut self,
        publication: &Publication<'_>,
        issuer: &Certificate,
        offered: BTreeMap<CrlName, &'a [u8]>,
    ) -> Result<(), CrlRefusal> {
        self.check_that_all_are_offered(&offered)?;
        self.check_each(publication, issuer, &offered)?;
        for name in offered.keys().filter(|name| name.kind == CrlKind::Complete) {
            let delta = name.delta();
            if !offered.contains_key(&delta) && self.lists.remove(&delta).is_some() {
                self.obsolete.push(delta.path());
            }
        }
        self.lists.extend(offered.into_iter().map(|(name, der)| (name, Cow::Borrowed(der))));
        Ok(())
    }

    /// Compares each with what is published, and with what the registry holds.
    fn check_each(
        &self,
        publication: &Publication<'_>,
        issuer: &Certificate,
        offered: &BTreeMap<CrlName, &'a [u8]>,
    ) -> Result<(), CrlRefusal> {
        let key = issuer.subject_key_identifier();
        let registered = publication.registered.get(key);
        let expected = registered.map(|registered| Expected::new(registered, offered.keys()));
        let not_after = |serial_number: &SerialNumber| (publication.not_after)(key, serial_number);
        for (name, der) in offered {
            let published = self.lists.get(name).map(AsRef::as_ref);
            let succession = || {
                if self.is_judged(publication, name) {
                    return Ok(());
                }
                check_succession(published, der, publication.clock(), not_after)
            };
            let contents = || {
                let base = match name.kind {
                    CrlKind::Complete => None,
                    CrlKind::Delta => Some(self.base_of(name, der, offered, &publication.bases)?),
                };
                let Some(expected) = &expected else { return Ok(()) };
                let base = base.map(CrlView::from_der).transpose()?;
                let crl = CrlView::from_der(der)?;
                check_contents(&crl, base.as_ref(), expected.number, expected.of(name.partition))
            };
            // Of a million entries each takes its time.
            std::thread::scope(|scope| {
                let contents = scope.spawn(contents);
                succession()?;
                contents.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        }
        Ok(())
    }

    /// Certificates name the partition that speaks about them: none may stay behind.
    fn check_that_all_are_offered(&self, offered: &BTreeMap<CrlName, &[u8]>) -> Result<(), CrlRefusal> {
        for first in offered.keys() {
            let is_sibling = |name: &&CrlName| name.authority == first.authority && name.kind == first.kind;
            let forgotten = |name: &&CrlName| match name.kind {
                CrlKind::Complete => !offered.contains_key(*name),
                // A delta may end with its base's freshestCRL.
                CrlKind::Delta => !offered.contains_key(*name) && !offered.contains_key(&name.base()),
            };
            if let Some(name) = self.lists.keys().filter(is_sibling).find(forgotten) {
                return Err(CrlRefusal::PartitionMissing { file: name.file() });
            }
        }
        Ok(())
    }

    /// The complete CRL that a delta is added to: the one that it starts from, or else the one that readers have beside it,
    /// which may be newer, but not older (RFC 5280 section 5.2.4 (c)).
    fn base_of<'b>(
        &'b self,
        name: &CrlName,
        delta: &[u8],
        offered: &BTreeMap<CrlName, &'b [u8]>,
        bases: &'b [Cow<'_, [u8]>],
    ) -> Result<&'b [u8], CrlRefusal> {
        let delta = CrlView::from_der(delta)?;
        let base = delta.base_number().unwrap_or_default();
        let published = self.lists.get(&name.base()).map(AsRef::as_ref);
        let new = offered.get(&name.base()).copied();
        let elsewhere = new.map(|_| bases.iter().map(AsRef::as_ref)).into_iter().flatten();
        let is_usable = |candidate: &[u8], is_right: &dyn Fn(&[u8]) -> bool| -> Result<bool, CrlRefusal> {
            let view = CrlView::from_der(candidate)?;
            Ok(view.number().is_some_and(|number| is_right(&number))
                && view.authority_key_identifier() == delta.authority_key_identifier()
                && view.distribution_point() == delta.distribution_point())
        };
        for candidate in [published, new].into_iter().flatten().chain(elsewhere) {
            if is_usable(candidate, &|number| number == base)? {
                return Ok(candidate);
            }
        }
        let is_not_older = |number: &[u8]| (number.len(), number) >= (base.len(), base.as_slice());
        if let Some(beside) = new.or(published)
            && is_usable(beside, &is_not_older)?
        {
            return Ok(beside);
        }
        let number = published.map(CrlView::from_der).transpose()?.and_then(|crl| crl.number());
        Err(CrlRefusal::OtherBase {
            base: hex::encode(base),
            published: number.map_or_else(|| "none".to_owned(), hex::encode),
        })
    }
}

/// What the registry holds of an authority, divided as its CRLs are.
struct Expected<'a> {
    number: u64,
    whole: Vec<&'a RevokedCertificate>,
    parts: Vec<(Partition, Vec<&'a RevokedCertificate>)>,
}

impl<'a> Expected<'a> {
    fn new<'n>(registered: &'a RegisteredRevocations, names: impl Iterator<Item = &'n CrlName>) -> Self {
        let mut sets: Vec<_> = names.filter_map(|name| name.partition).map(Partition::siblings).collect();
        sets.dedup();
        Self {
            number: registered.number,
            whole: registered.revoked.iter().collect(),
            parts: sets.into_iter().flat_map(|set| set.divide(&registered.revoked)).collect(),
        }
    }

    fn of(&self, partition: Option<Partition>) -> impl Iterator<Item = &'a RevokedCertificate> + '_ {
        let part = match partition {
            None => Some(&self.whole),
            Some(partition) => self.parts.iter().find(|(part, _)| *part == partition).map(|(_, part)| part),
        };
        part.into_iter().flatten().copied()
    }
}

/// What lies in `crl/` of these authorities. What is just what new ones were `judged` beside is not read into memory.
pub(super) fn published<'a>(
    store: &FileStore,
    issuers: &Issuers<'_>,
    judged: &BTreeMap<CrlName, Option<&'a [u8]>>,
) -> Result<Published<'a>, PublicationError> {
    let mut lists = BTreeMap::new();
    for path in store.list(Path::new(layout::REVOCATIONS))? {
        let name = path.file_name().and_then(|name| CrlName::parse(name.to_str()?));
        let Some(name) = name.filter(|name| issuers.has(&name.authority)) else { continue };
        match judged.get(&name).copied().flatten() {
            Some(predecessor) if store.holds(&path, predecessor)? => {
                lists.insert(name, Cow::Borrowed(predecessor));
            }
            _ => lists.extend(store.read(&path)?.map(|der| (name, Cow::Owned(der)))),
        }
    }
    Ok(lists)
}

type Offered<'a> = (&'a Certificate, BTreeMap<CrlName, &'a [u8]>);

/// The offered CRLs by who signed them, under the names that they have in the directory.
fn by_issuer<'a>(
    publication: &'a Publication<'_>,
    issuers: &Issuers<'a>,
) -> Result<Vec<Offered<'a>>, PublicationError> {
    let mut sorted: BTreeMap<&[u8], Offered<'a>> = BTreeMap::new();
    for der in &publication.crls {
        let crl = CrlView::from_der(der).map_err(|error| PublicationError::Malformed(error.to_string()))?;
        let issuer = issuers.of_crl(&crl)?;
        let name = name_of(issuer, &crl).and_then(|name| {
            if !publication.judged.contains_key(&name) {
                verify_signed(der, "CRL", issuer.public_key())?;
            }
            Ok(name)
        });
        let name = name.map_err(|refusal| PublicationError::Crl { authority: issuer.subject(), refusal })?;
        let (_, lists) =
            sorted.entry(issuer.subject_key_identifier()).or_insert_with(|| (issuer, BTreeMap::new()));
        lists.insert(name, der);
    }
    Ok(sorted.into_values().collect())
}

/// Where a CRL belongs by what it says: its distribution point's last segment must be the name of its partition.
fn name_of(issuer: &Certificate, crl: &CrlView<'_>) -> Result<CrlName, CrlRefusal> {
    let whole = CrlName::complete(issuer.subject_key_identifier(), None);
    let name = match crl.distribution_point() {
        None => whole,
        Some(url) => {
            let file = url.rsplit('/').next().unwrap_or_default();
            CrlName::parse(file)
                .filter(|name| name.authority == whole.authority && *name == name.base())
                .ok_or_else(|| CrlRefusal::OtherPlace(url.clone()))?
        }
    };
    Ok(if crl.is_delta() { name.delta() } else { name })
}
