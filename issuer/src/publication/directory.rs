//! The published directory, and how it is written.
//!
//! Everything is checked before anything is written. Then every file is replaced atomically, in an order in
//! which a reader finds at any moment what the files he has refer to: CA certificates, CRLs, certificates. A
//! run that was killed is completed by the next one.
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::class_list;
use super::crl_contents::RegisteredRevocations;
use super::crl_succession::TrustedClock;
use super::error::PublicationError;
use super::file_digest;
use super::layout;
use super::layout::CrlName;
use super::ocsp_answers::{self, NewAnswers, PublishedAnswers};
use super::revision::{Revision, has_digest};
use super::revocation_lists::{self, Damaged, RevocationLists};
use super::store::FileStore;
use crate::ca::crl::view::CrlView;
use crate::ca::{Certificate, SerialNumber};

/// What shall be public.
pub struct Publication<'a> {
    /// Now.
    pub now: Timestamp,
    /// Up to which time what is published does not speak against the clock: see [`TrustedClock`].
    pub accepted: Option<Timestamp>,
    /// CA certificates, the root among them (self-issued).
    pub authorities: Vec<Certificate>,
    /// Their earlier certificates, and those between them and other authorities.
    pub further_authorities: Vec<Certificate>,
    /// Certificates with mail addresses (9C and 9D); expired ones are left out by themselves.
    pub certificates: Vec<Certificate>,
    /// The newest CRLs of each authority, DER: a complete one, those of its partitions, and their deltas. An authority
    /// without any keeps the published ones.
    pub crls: Vec<Cow<'a, [u8]>>,
    /// Those of them that [`check_lists`] has judged, by their names, and the predecessors that they were compared with: where
    /// that is what is published, they are not judged again.
    pub judged: BTreeMap<CrlName, Option<&'a [u8]>>,
    /// What the registry holds, by the authority's subjectKeyIdentifier: every CRL of that authority must say just that.
    pub registered: BTreeMap<Vec<u8>, RegisteredRevocations>,
    /// CRLs that deltas among these start from and that may have been published elsewhere only.
    pub bases: Vec<Cow<'a, [u8]>>,
    /// Prepared OCSP answers, by the authority's subjectKeyIdentifier.
    pub answers: BTreeMap<Vec<u8>, Cow<'a, NewAnswers>>,
    /// Authorities, by their subjectKeyIdentifiers, whose CRLs do not say everything that is revoked: servers tell monitors.
    pub overdue: Vec<Vec<u8>>,
    /// When a certificate of ours expires, by issuer's subjectKeyIdentifier and serial number, so that its
    /// revocation may be left out of a CRL afterwards; `None` for an unknown one, which must stay.
    pub not_after: &'a (dyn Fn(&[u8], &SerialNumber) -> Option<Timestamp> + Sync),
}

impl Publication<'_> {
    /// The clock that it goes by.
    pub(super) const fn clock(&self) -> TrustedClock {
        TrustedClock { now: self.now, accepted: self.accepted }
    }
}

/// What a publication changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files made or replaced.
    pub written: usize,
    /// Files that were already so.
    pub unchanged: usize,
    /// Certificates of ours that expired and were removed.
    pub removed: usize,
    /// Damaged CRLs that were replaced.
    pub replaced: Vec<PathBuf>,
}

/// Paths and contents. They may be long: those that somebody else holds are lent.
pub(super) type Files<'a> = Vec<(PathBuf, Cow<'a, [u8]>)>;

/// A directory for everybody to read.
pub struct PublishedDirectory {
    root: PathBuf,
    store: FileStore,
}

impl PublishedDirectory {
    /// Opens or makes the directory.
    ///
    /// # Errors
    /// It cannot be made, or holds something that publication did not put there:
    /// [`PublicationError::NotPublished`].
    pub fn open(root: &Path) -> Result<Self, PublicationError> {
        let store = FileStore::open(root)?;
        if !store.list(Path::new(""))?.is_empty() && !layout::is_published(root) {
            return Err(PublicationError::NotPublished(root.to_owned()));
        }
        Ok(Self { root: root.to_owned(), store })
    }

    /// Checks everything, then writes: each file atomically, CA certificates first. A second call changes
    /// nothing.
    ///
    /// # Errors
    /// [`PublicationError`]; when it is a refusal nothing was changed.
    pub fn write(&self, publication: &Publication<'_>) -> Result<Report, PublicationError> {
        let _lock = self.store.lock()?;
        let issuers = Issuers::new(&publication.authorities)?;
        let published = revocation_lists::published(&self.store, &issuers, &publication.judged)?;
        let mut lists = RevocationLists::judge(published, publication, &issuers, Damaged::Replaced)?;
        let replaced = std::mem::take(&mut lists.replaced);
        let mut expired = std::mem::take(&mut lists.obsolete);
        for further in &publication.further_authorities {
            issuers.verify(further)?;
        }
        let mut files = authority_files(&publication.authorities, &publication.further_authorities);
        files.extend(lists.into_files());
        files.extend(checked_answers(publication)?);
        files.extend(self.checked_certificates(publication, &issuers)?);
        expired.extend(self.expired(publication.now, &issuers)?);
        let next = self.next_revision(publication, &issuers, &files)?;
        Ok(Report { replaced, ..self.apply(files, expired, Some(next))? })
    }

    /// What the directory has when these files are in it. Answers that are not made anew are still to be there.
    fn next_revision(
        &self,
        publication: &Publication<'_>,
        issuers: &Issuers<'_>,
        files: &Files<'_>,
    ) -> Result<Revision, PublicationError> {
        let names = |folder: &'static str| {
            let inside = files.iter().filter(move |(path, _)| path.starts_with(folder));
            inside.filter_map(|(path, _)| path.file_name()?.to_str()).map(str::to_owned)
        };
        let Revision { answers: before, digests: digests_before, .. } = self.revision()?.unwrap_or_default();
        let before = before.into_iter().filter(|name| issuers.has(name.trim_end_matches(".answers")));
        let answers: BTreeSet<String> = names(ocsp_answers::FOLDER).chain(before).collect();
        let path_of = |name: &String| format!("{}/{name}", ocsp_answers::FOLDER);
        let kept = answers.iter().map(path_of).filter_map(|path| digests_before.get_key_value(&path));
        let mut digests: BTreeMap<String, String> =
            kept.map(|(path, digest)| (path.clone(), digest.clone())).collect();
        let with_digest = files.iter().filter_map(|(path, contents)| {
            path.to_str().filter(|path| has_digest(path)).map(|path| (path, contents.as_ref()))
        });
        digests.extend(file_digest::of_all(with_digest.collect()));
        let overdue = publication.overdue.iter().map(|key| CrlName::complete(key, None).file());
        Ok(Revision {
            number: 0,
            crls: names(layout::REVOCATIONS).collect(),
            answers: answers.into_iter().collect(),
            overdue: overdue.collect(),
            digests,
        })
    }

    fn revision(&self) -> Result<Option<Revision>, PublicationError> {
        let text = self.store.read(Path::new(layout::REVISION))?;
        Ok(text.map(|text| Revision::parse(&String::from_utf8_lossy(&text))))
    }

    /// The complete CRLs of which the last publication said that they are overdue: names of files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn overdue(&self) -> Result<Vec<String>, PublicationError> {
        Ok(self.revision()?.unwrap_or_default().overdue)
    }

    /// Files that are others than the last publication wrote, or gone: paths. None where its publisher did not say.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn changed_since(&self) -> Result<Vec<String>, PublicationError> {
        let mut changed = Vec::new();
        for (path, digest) in self.revision()?.unwrap_or_default().digests {
            let full = self.root.join(&path);
            let found = file_digest::of_file(&full);
            let found = found.map_err(|error| PublicationError::Io { path: full, error })?;
            if found.as_ref() != Some(&digest) {
                changed.push(path);
            }
        }
        Ok(changed)
    }

    /// A CRL that is published.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn crl(&self, name: &CrlName) -> Result<Option<Vec<u8>>, PublicationError> {
        self.store.read(&name.path())
    }

    /// The prepared OCSP answers that are published for an authority; none where they are not there or damaged.
    pub fn answers(&self, subject_key_identifier: &[u8]) -> Option<PublishedAnswers> {
        PublishedAnswers::open(&self.root.join(ocsp_answers::path(subject_key_identifier))).ok()
    }

    /// Puts a signed list of classes in the place of an older one.
    ///
    /// # Errors
    /// [`PublicationError::ClassListBehind`], or a published list that cannot be read.
    pub fn replace_class_list(&self, signed: &[u8]) -> Result<Report, PublicationError> {
        let _lock = self.store.lock()?;
        let path = PathBuf::from(layout::CLASSES);
        if let Some(published) = self.store.read(&path)? {
            class_list::check_succession(&published, signed)?;
        }
        self.apply(vec![(path, Cow::Borrowed(signed))], Vec::new(), None)
    }

    /// The checkpoint of the issuer's log that is published.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, PublicationError> {
        self.store.read(Path::new(layout::CHECKPOINT))
    }

    /// Publishes a newer checkpoint and the keys that sign them; whether it is one is for the caller to know.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace_checkpoint(&self, document: &[u8], keys: &[u8]) -> Result<(), PublicationError> {
        let _lock = self.store.lock()?;
        for (path, contents) in [(layout::AUDIT_KEYS, keys), (layout::CHECKPOINT, document)] {
            let path = Path::new(path);
            if !self.store.holds(path, contents)? {
                self.store.replace(path, contents)?;
            }
        }
        self.store.sync()
    }

    /// Writes what has changed; `next` is what is there then, but for its number, if that can have changed.
    fn apply(
        &self,
        files: Files<'_>,
        expired: Vec<PathBuf>,
        next: Option<Revision>,
    ) -> Result<Report, PublicationError> {
        let total = files.len();
        let mut changed = Vec::new();
        for (path, contents) in files {
            if !self.store.holds(&path, &contents)? {
                changed.push((path, contents));
            }
        }
        let report = Report {
            written: changed.len(),
            unchanged: total - changed.len(),
            removed: expired.len(),
            replaced: Vec::new(),
        };
        let leftovers = self.store.remove_unfinished()?;
        let revision = self.revision()?;
        let mut next = next.unwrap_or_else(|| revision.clone().unwrap_or_default());
        next.number = revision.as_ref().map_or(0, |old| old.number);
        let is_as_before = revision.is_some_and(|old| old == next);
        if changed.is_empty() && expired.is_empty() && leftovers == 0 && is_as_before {
            return Ok(report);
        }
        // While it is absent, servers look at every file anew; so a run that is killed here does no harm.
        self.store.remove(Path::new(layout::REVISION))?;
        for (path, contents) in changed {
            self.store.replace(&path, &contents)?;
        }
        for path in expired {
            self.store.remove(&path)?;
        }
        self.store.sync()?;
        next.number = next.number.wrapping_add(1);
        self.store.replace(Path::new(layout::REVISION), next.text().as_bytes())?;
        self.store.sync()?;
        Ok(report)
    }

    fn checked_certificates<'a>(
        &self,
        publication: &'a Publication<'_>,
        issuers: &Issuers<'_>,
    ) -> Result<Files<'a>, PublicationError> {
        let mut files = Vec::new();
        for certificate in &publication.certificates {
            let unexpired = certificate.not_after() >= publication.now;
            if !unexpired || certificate.is_authority() {
                continue;
            }
            let mut verified = false;
            for address in certificate.mail_addresses() {
                let path = layout::certificate_file(&address.to_string(), certificate.serial_number());
                // What is published already was verified when it was.
                if !verified && !self.store.holds(&path, certificate.as_der())? {
                    issuers.verify(certificate)?;
                    verified = true;
                }
                files.push((path, Cow::Borrowed(certificate.as_der())));
            }
        }
        Ok(files)
    }

    /// Published certificates that expired and that one of these authorities issued; other authorities' stay.
    fn expired(&self, now: Timestamp, issuers: &Issuers<'_>) -> Result<Vec<PathBuf>, PublicationError> {
        let mut expired = Vec::new();
        for folder in self.store.list(Path::new(layout::BY_EMAIL))? {
            for path in self.store.list(&folder)? {
                let is_certificate = path.extension().is_some_and(|extension| extension == "cer");
                let Some(der) = self.store.read(&path)?.filter(|_| is_certificate) else { continue };
                let Ok(certificate) = Certificate::from_der(der) else { continue };
                if certificate.not_after() < now && issuers.verify(&certificate).is_ok() {
                    expired.push(path);
                }
            }
        }
        Ok(expired)
    }
}

/// Judges new CRLs before they are kept, beside those that were kept before (`known`, by the names of their files).
///
/// # Errors
/// [`PublicationError`]: they must not be published, anywhere.
pub fn check_lists(
    known: &[(String, Vec<u8>)],
    publication: &Publication<'_>,
) -> Result<(), PublicationError> {
    let issuers = Issuers::new(&publication.authorities)?;
    let known =
        known.iter().filter_map(|(file, der)| Some((CrlName::parse(file)?, Cow::Borrowed(der.as_slice()))));
    let known = known.collect();
    RevocationLists::judge(known, publication, &issuers, Damaged::Refused).map(drop)
}

/// The authorities by their key identifiers.
pub(super) struct Issuers<'a>(BTreeMap<&'a [u8], &'a Certificate>);

impl<'a> Issuers<'a> {
    /// Each must be a CA, and issued by one of them.
    fn new(authorities: &'a [Certificate]) -> Result<Self, PublicationError> {
        let refuse = |certificate: &Certificate, reason: &str| {
            PublicationError::Malformed(format!("{} {reason}", certificate.subject()))
        };
        let issuers = Self(
            authorities.iter().map(|authority| (authority.subject_key_identifier(), authority)).collect(),
        );
        if !authorities.iter().any(Certificate::is_self_issued) {
            return Err(PublicationError::Malformed(
                "there is no root certificate among the CA certificates".into(),
            ));
        }
        for authority in authorities {
            if !authority.is_authority() || authority.subject_key_identifier().is_empty() {
                return Err(refuse(authority, "is not a CA certificate with a key identifier"));
            }
            issuers.verify(authority)?;
        }
        Ok(issuers)
    }

    fn verify(&self, certificate: &Certificate) -> Result<(), PublicationError> {
        let key = match certificate.authority_key_identifier() {
            [] if certificate.is_self_issued() => certificate.subject_key_identifier(),
            key => key,
        };
        let refuse = |reason: String| {
            let (serial_number, subject) = (certificate.serial_number(), certificate.subject());
            PublicationError::Malformed(format!("certificate {serial_number} of {subject}: {reason}"))
        };
        let issuer =
            self.0.get(key).ok_or_else(|| refuse("its issuer is not among the CA certificates".into()))?;
        certificate.verify_issuer(issuer).map_err(|error| refuse(error.to_string()))
    }

    /// Whether there is one with this key identifier in hexadecimal.
    pub(super) fn has(&self, key_identifier: &str) -> bool {
        hex::decode(key_identifier).is_ok_and(|key| self.0.contains_key(key.as_slice()))
    }

    /// The authority that made a CRL, as it says.
    pub(super) fn of_crl(&self, crl: &CrlView<'_>) -> Result<&'a Certificate, PublicationError> {
        let key = crl.authority_key_identifier().unwrap_or_default();
        let Some(issuer) =
            self.0.get(key.as_slice()).copied().filter(|issuer| issuer.tbs().subject == crl.issuer)
        else {
            let reason = format!("a CRL of {} belongs to none of the CA certificates", crl.issuer);
            return Err(PublicationError::Malformed(reason));
        };
        Ok(issuer)
    }
}

/// `ocsp/`: answers that say what the registry holds.
fn checked_answers(publication: &Publication<'_>) -> Result<Files<'static>, PublicationError> {
    let mut files = Vec::new();
    for (key, answers) in &publication.answers {
        if let Some(registered) = publication.registered.get(key) {
            answers.check(registered).map_err(PublicationError::Malformed)?;
        }
        files.push((ocsp_answers::path(key), Cow::Owned(answers.encode())));
    }
    Ok(files)
}

/// `ca/`, `anchor.pem` and `ca-chain.pem`, roots first; what is no authority's newest certificate is in the chain only,
/// and a root that others certified is there as they did.
fn authority_files<'a>(authorities: &'a [Certificate], further: &[Certificate]) -> Files<'a> {
    let mut sorted: Vec<&'a Certificate> = authorities.iter().collect();
    sorted.sort_by_key(|authority| (!authority.is_self_issued(), authority.subject_key_identifier()));
    let file = |authority: &&'a Certificate| {
        (layout::authority_file(authority.subject_key_identifier()), Cow::Borrowed(authority.as_der()))
    };
    let mut files: Files<'a> = sorted.iter().map(file).collect();
    // Whoever trusts the other root needs the cross-certificate, and would stop at the root itself.
    let is_crossed = |root: &&Certificate| {
        let crossed = |one: &&Certificate| !one.is_self_issued() && one.subject() == root.subject();
        root.is_self_issued() && further.iter().any(|one| crossed(&one))
    };
    let chain = sorted.iter().copied().filter(|authority| !is_crossed(authority)).chain(further);
    let chain: String = chain.map(Certificate::to_pem).collect();
    let roots = sorted.iter().filter(|authority| authority.is_self_issued());
    let anchor: String = roots.map(|authority| authority.to_pem()).collect();
    files.push((layout::CA_CHAIN.into(), Cow::Owned(chain.into_bytes())));
    files.push((layout::ANCHOR.into(), Cow::Owned(anchor.into_bytes())));
    files
}
