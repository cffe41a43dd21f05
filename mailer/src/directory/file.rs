//! A published directory in the file system.
use std::io::Read;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use sha2::{Digest, Sha256};

use super::{CLASS_LIST, DirectoryError, LARGEST_CERTIFICATE, LARGEST_REVOCATION_LIST, MOST_RESULTS};
use crate::certificate::Certificate;
use crate::trust::CertificateList;

/// The most files of CRLs of one CA.
const MOST_LISTS: usize = 256;

/// Everything but `A-Z a-z 0-9 @ . _ + -` is written as `%XX` in the name of an address' folder.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'@').remove(b'.').remove(b'_').remove(b'+').remove(b'-');

/// Reads what is published below one folder.
pub(super) struct FileStore {
    root: PathBuf,
}

impl FileStore {
    /// The folder may be missing, as a server may be down: that is told when it is asked.
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn check(&self) -> Result<(), DirectoryError> {
        if self.root.is_dir() {
            return Ok(());
        }
        Err(DirectoryError::Unreachable {
            location: format!("file:{}", self.root.display()),
            problem: "there is no such folder".to_owned(),
        })
    }

    /// Every certificate published for an address.
    pub(super) fn certificates(&self, address: &str) -> Result<Vec<Vec<u8>>, DirectoryError> {
        self.check()?;
        let folder =
            self.root.join("certificates/by-email").join(utf8_percent_encode(address, ENCODED).to_string());
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.unreachable(&folder, &error))?,
        };
        let mut files = Vec::new();
        for entry in entries.take(MOST_RESULTS) {
            let path = entry.map_err(|error| self.unreachable(&folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "cer") {
                files.push(path);
            }
        }
        files.sort();
        let mut found = Vec::new();
        for path in &files {
            found.extend(self.read(path, LARGEST_CERTIFICATE)?.map(from_pem));
        }
        Ok(found)
    }

    /// The CA certificate with this subject key identifier.
    pub(super) fn ca_certificate(&self, key_identifier: &[u8]) -> Result<Option<Vec<u8>>, DirectoryError> {
        let path = self.root.join("ca").join(format!("{}.cer", hex::encode(key_identifier)));
        Ok(self.read(&path, LARGEST_CERTIFICATE)?.map(from_pem))
    }

    /// The signed list of classes of readers.
    pub(super) fn class_list(&self, largest: u64) -> Result<Option<Vec<u8>>, DirectoryError> {
        self.read(&self.root.join(CLASS_LIST), largest)
    }

    /// The CRLs of the CA with this subject key identifier: `crl/KEY.crl`, and its parts and differences `crl/KEY-*.crl`.
    /// The index of a long one is made in the cache. What cannot be read is told among the `problems`.
    pub(super) fn revocation_lists(
        &self,
        key_identifier: &[u8],
        cache: &Path,
        problems: &mut Vec<DirectoryError>,
    ) -> Result<Vec<CertificateList>, DirectoryError> {
        self.check()?;
        let folder = self.root.join("crl");
        let name = hex::encode(key_identifier);
        let belongs = |file: &str| {
            let rest = file.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".crl"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.unreachable(&folder, &error))?,
        };
        let files = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(belongs));
        let files: Vec<PathBuf> = files.take(MOST_LISTS + 1).map(|entry| entry.path()).collect();
        if files.len() > MOST_LISTS {
            let too_many = std::io::Error::other(format!("more than {MOST_LISTS} CRLs of one CA"));
            return Err(self.unreachable(&folder, &too_many));
        }
        let mut lists = Vec::new();
        for path in files {
            let length = path.metadata().map_err(|error| self.unreachable(&path, &error))?.len();
            let largest = LARGEST_REVOCATION_LIST;
            if length > largest {
                return Err(DirectoryError::TooLarge { what: path.display().to_string(), largest });
            }
            let index = Sha256::digest(path.as_os_str().as_encoded_bytes());
            let index = cache.join("indexes").join(format!("{}.index", hex::encode(index)));
            match CertificateList::from_file(&path, &index, largest) {
                Ok(list) => lists.push(list),
                Err(error) => problems.push(self.unreachable(&path, &std::io::Error::other(error.0))),
            }
        }
        Ok(lists)
    }

    fn read(&self, path: &Path, largest: u64) -> Result<Option<Vec<u8>>, DirectoryError> {
        self.check()?;
        let file = match std::fs::File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|error| self.unreachable(path, &error))?,
        };
        let mut bytes = Vec::new();
        file.take(largest + 1).read_to_end(&mut bytes).map_err(|error| self.unreachable(path, &error))?;
        if bytes.len() as u64 > largest {
            return Err(DirectoryError::TooLarge { what: path.display().to_string(), largest });
        }
        Ok(Some(bytes))
    }

    fn unreachable(&self, path: &Path, error: &std::io::Error) -> DirectoryError {
        DirectoryError::Unreachable {
            location: format!("file:{}", self.root.display()),
            problem: format!("{}: {error}", path.display()),
        }
    }
}

/// A certificate file may be PEM; what is none stays as it is, and is passed over later.
fn from_pem(bytes: Vec<u8>) -> Vec<u8> {
    let is_pem = bytes.starts_with(b"-----");
    let read = is_pem.then(|| Certificate::from_file_contents(&bytes).ok()).flatten();
    let first = read.and_then(|found| found.into_iter().next());
    first.map_or(bytes, |certificate| certificate.der().to_vec())
}
