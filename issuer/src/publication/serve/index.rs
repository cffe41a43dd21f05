//! By what published certificates and CRLs are found.
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use der::{Encode, Sequence, asn1::Int};
use jiff::Timestamp;
use sha1::{Digest, Sha1};
use x509_cert::name::Name;

use super::search::{Attribute, Collection};
use crate::ca::Certificate;
use crate::ca::certificate::pem_blocks;
use crate::ca::crl::view::CrlView;
use crate::publication::layout::{self, CrlKind};
use crate::publication::revision;

/// Which publication was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Revision(Vec<u8>, Option<SystemTime>);

impl Revision {
    /// `None` while something is being published, or where no publisher of ours wrote.
    pub(super) fn of(root: &Path) -> Option<Self> {
        let path = root.join(layout::REVISION);
        let modified = fs::metadata(&path).ok()?.modified().ok();
        Some(Self(fs::read(path).ok()?, modified))
    }

    /// The names of the CRLs that this publication has; none where its publisher did not say.
    pub(super) fn crls(&self) -> Vec<String> {
        self.parse().crls
    }

    /// The names of its files of OCSP answers, likewise.
    pub(super) fn answers(&self) -> Vec<String> {
        self.parse().answers
    }

    /// The SHA-256 of its files, by their paths, likewise.
    pub(super) fn digests(&self) -> BTreeMap<String, String> {
        self.parse().digests
    }

    /// The names of its CRLs that do not say everything that is revoked.
    pub(super) fn overdue(&self) -> Vec<String> {
        self.parse().overdue
    }

    fn parse(&self) -> revision::Revision {
        revision::Revision::parse(&String::from_utf8_lossy(&self.0))
    }
}

/// An attribute and its value.
type SearchKey = (Attribute, Vec<u8>);
/// When a file was last changed, and by what it is found.
type Known = (SystemTime, Vec<SearchKey>);

/// Search keys of everything that is published.
#[derive(Default)]
pub(super) struct Index {
    pub(super) revision: Option<Revision>,
    certificates: HashMap<SearchKey, Vec<PathBuf>>,
    /// Certificates that lie in `ca-chain.pem` alone: those by which roots, and other organisations, vouch for each other.
    chained: HashMap<SearchKey, Vec<Vec<u8>>>,
    /// Newest first.
    crls: HashMap<SearchKey, Vec<PathBuf>>,
    /// What was read of each file, so that it is not read again.
    files: HashMap<PathBuf, Known>,
}

impl Index {
    /// Reads the published directory; files that have not changed since `previous` are not read again.
    pub(super) fn read(root: &Path, revision: Option<Revision>, previous: &Self) -> Self {
        let mut index = Self { revision, ..Self::default() };
        let mut certificates = list(root, Path::new(layout::AUTHORITIES), "cer");
        for folder in list(root, Path::new(layout::BY_EMAIL), "") {
            certificates.extend(list(root, &folder, "cer"));
        }
        for file in certificates {
            index.add_certificate(root, file, previous);
        }
        index.add_chain(root);
        index.add_crls(root);
        index
    }

    /// The certificates that match exactly and have no file of their own.
    pub(super) fn find_chained(&self, attribute: Attribute, value: &[u8]) -> Vec<Vec<u8>> {
        self.chained.get(&(attribute, value.to_vec())).cloned().unwrap_or_default()
    }

    /// The files that match exactly, newest CRL first.
    pub(super) fn find(&self, collection: Collection, attribute: Attribute, value: &[u8]) -> Vec<PathBuf> {
        let entries = match collection {
            Collection::Certificates => &self.certificates,
            Collection::Crls => &self.crls,
        };
        entries.get(&(attribute, value.to_vec())).cloned().unwrap_or_default()
    }

    fn add_certificate(&mut self, root: &Path, file: PathBuf, previous: &Self) {
        let full = root.join(&file);
        let Ok(modified) = fs::metadata(&full).and_then(|metadata| metadata.modified()) else { return };
        let keys = match previous.files.get(&file) {
            Some((known, keys)) if *known == modified => keys.clone(),
            _ => {
                let Ok(contents) = fs::read(&full) else { return };
                certificate_keys(contents).unwrap_or_default()
            }
        };
        // A certificate with two mail addresses lies in two folders; once is enough.
        let is_known = |key: &SearchKey| key.0 == Attribute::CertHash && self.certificates.contains_key(key);
        if !keys.iter().any(is_known) {
            for key in &keys {
                self.certificates.entry(key.clone()).or_default().push(file.clone());
            }
        }
        self.files.insert(file, (modified, keys));
    }

    fn add_chain(&mut self, root: &Path) {
        for block in pem_blocks(&fs::read(root.join(layout::CA_CHAIN)).unwrap_or_default()) {
            let Ok(certificate) = Certificate::from_pem(&block.text) else { continue };
            let contents = certificate.as_der().to_vec();
            let keys = certificate_keys(contents.clone()).unwrap_or_default();
            let is_known =
                |key: &SearchKey| key.0 == Attribute::CertHash && self.certificates.contains_key(key);
            if keys.iter().any(is_known) {
                continue;
            }
            for key in keys {
                self.chained.entry(key).or_default().push(contents.clone());
            }
        }
    }

    fn add_crls(&mut self, root: &Path) {
        let mut crls: Vec<(Reverse<Timestamp>, PathBuf, [SearchKey; 2])> = Vec::new();
        for file in list(root, Path::new(layout::REVOCATIONS), "crl") {
            // Who asks for the CRL of an authority means all of its certificates, and has no base for a delta.
            if !is_whole(&file) {
                continue;
            }
            let Ok(contents) = fs::read(root.join(&file)) else { continue };
            let Ok(crl) = CrlView::from_der(&contents) else { continue };
            let key = crl.authority_key_identifier().unwrap_or_default();
            let keys = [(Attribute::IHash, name_hash(&crl.issuer)), (Attribute::SKidHash, hash(&key))];
            crls.push((Reverse(crl.made()), file, keys));
        }
        crls.sort_by_key(|(made, _, _)| *made);
        for (_, file, keys) in crls {
            for key in keys {
                self.crls.entry(key).or_default().push(file.clone());
            }
        }
    }
}

/// ```text
/// IssuerAndSerialNumber ::= SEQUENCE {
///      issuer Name,
///      serialNumber CertificateSerialNumber }
/// ```
#[derive(Sequence)]
struct IssuerAndSerialNumber {
    issuer: Name,
    serial_number: Int,
}

fn certificate_keys(contents: Vec<u8>) -> Option<Vec<SearchKey>> {
    let certificate = Certificate::from_der(contents).ok()?;
    let tbs = certificate.tbs();
    let number =
        IssuerAndSerialNumber { issuer: tbs.issuer.clone(), serial_number: tbs.serial_number.clone() };
    let mut keys = vec![
        (Attribute::CertHash, hash(certificate.as_der())),
        (Attribute::IHash, name_hash(&tbs.issuer)),
        (Attribute::IAndSHash, hash(&number.to_der().ok()?)),
        (Attribute::SHash, name_hash(&tbs.subject)),
    ];
    if !certificate.subject_key_identifier().is_empty() {
        keys.push((Attribute::SKidHash, hash(certificate.subject_key_identifier())));
    }
    if let Some(name) = certificate.common_name() {
        keys.push((Attribute::Name, name.into_bytes()));
    }
    Some(keys)
}

/// Whether a CRL speaks about all certificates of its authority, by itself.
fn is_whole(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| layout::CrlName::parse(name.to_str()?));
    name.is_some_and(|name| name.partition.is_none() && name.kind == CrlKind::Complete)
}

fn name_hash(name: &Name) -> Vec<u8> {
    name.to_der().map(|der| hash(&der)).unwrap_or_default()
}

fn hash(octets: &[u8]) -> Vec<u8> {
    Sha1::digest(octets).to_vec()
}

/// Entries of a folder with this extension (folders have none), sorted.
fn list(root: &Path, folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut paths: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    paths.retain(|path| extension.is_empty() || path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}
