//! Where other people's certificates come from: the configured directory, and nothing else. No address in a message is ever
//! followed; those in a certificate only if that is configured, and only when its path ends in a configured anchor.
//!
//! The directory is asked each time; what it answered before serves when it cannot be reached. CA certificates do not change
//! under their key identifier and are kept. Of each CA the newest CRL that was found genuine is kept and stands beside
//! every later answer, so that a server (or anybody on the way to it) cannot bring an older one back.
mod cache;
mod file;
mod http;
mod lists;
mod location;
mod multipart;
mod revocation;
pub mod settings;
mod targets;

use std::collections::HashMap;
use std::path::Path;

use cache::{Cache, Kind};
use file::FileStore;
use http::HttpStore;
use jiff::Timestamp;
use lists::Validators;
pub use location::Location;
pub use settings::Settings;
use settings::{CertificateAddresses, Network};
use targets::Targets;

use crate::certificate::{Certificate, mail_address};
use crate::trust::{CertificateList, OcspAnswer, Source};

/// The most certificates that one answer may hold.
const MOST_RESULTS: usize = 64;
/// The most bytes of a certificate, and of a CRL (about 1.3 million entries).
const LARGEST_CERTIFICATE: u64 = 64 * 1024;
const LARGEST_REVOCATION_LIST: u64 = 64 * 1024 * 1024;

/// What the list of classes of readers is called below the directory's address.
const CLASS_LIST: &str = "classes.p7m";

/// Why the directory gave no answer. "No such certificate" is an empty answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Not a location.
    #[error("bad directory {0:?}: write file:DIR, http://HOST:PORT or https://HOST:PORT")]
    BadLocation(String),
    /// https without a CA that may vouch for the server.
    #[error("the directory {location} needs a trust anchor for its server: --tls-anchor FILE")]
    NoTlsAnchor {
        /// Where.
        location: String,
    },
    /// Not reachable, or its answer makes no sense.
    #[error("the directory {location} cannot be asked: {problem}")]
    Unreachable {
        /// Where.
        location: String,
        /// Why.
        problem: String,
    },
    /// Nobody shall be asked, and nothing was answered before.
    #[error("the directory {location} is not asked, because the network is not to be used (offline)")]
    Offline {
        /// Where.
        location: String,
    },
    /// An answer longer than is read.
    #[error("{what} is longer than {largest} bytes; it was not read")]
    TooLarge {
        /// Which answer.
        what: String,
        /// The limit.
        largest: u64,
    },
}

impl DirectoryError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadLocation(_) => "bad-directory",
            Self::NoTlsAnchor { .. } => "no-tls-anchor",
            Self::Unreachable { .. } => "directory-unreachable",
            Self::Offline { .. } => "offline",
            Self::TooLarge { .. } => "directory-answer-too-large",
        }
    }
}

/// The configured directory with its cache.
pub struct Directory {
    store: Store,
    location: Location,
    cache: Cache,
    settings: Settings,
    /// For the configured responder.
    configured: ureq::Agent,
    /// For addresses that certificates name.
    follower: ureq::Agent,
    /// Answers of this run, so that nothing is asked twice.
    answers: HashMap<(Kind, Vec<u8>), Vec<Vec<u8>>>,
    lists: HashMap<Vec<u8>, Vec<CertificateList>>,
    /// What servers said about the lists that arrived in this run, by their hashes.
    arrived: HashMap<[u8; 32], Validators>,
    problems: Vec<DirectoryError>,
}

enum Store {
    File(FileStore),
    Http(HttpStore),
}

impl Directory {
    /// Uses `location`; `cache` is a folder of ours (made on demand), `now` decides what in it is fresh.
    ///
    /// # Errors
    /// The location cannot be used. It is not asked yet.
    pub fn open(location: &Location, cache: &Path, now: Timestamp) -> Result<Self, DirectoryError> {
        Self::open_with_tls_anchors(location, cache, now, &[])
    }

    /// The same for https: `tls_anchors` are the CAs that may vouch for the server.
    ///
    /// # Errors
    /// See [`Directory::open`].
    pub fn open_with_tls_anchors(
        location: &Location,
        cache: &Path,
        now: Timestamp,
        tls_anchors: &[Certificate],
    ) -> Result<Self, DirectoryError> {
        let settings = Settings { tls_anchors: tls_anchors.to_vec(), ..Settings::default() };
        Self::open_with(location, cache, now, settings)
    }

    /// The same with everything that can be set.
    ///
    /// # Errors
    /// See [`Directory::open`].
    pub fn open_with(
        location: &Location,
        cache: &Path,
        now: Timestamp,
        settings: Settings,
    ) -> Result<Self, DirectoryError> {
        let store = match location {
            Location::File(root) => Store::File(FileStore::new(root)),
            Location::Http(base) => Store::Http(HttpStore::new(base, &settings.tls_anchors)?),
        };
        let and = match &settings.certificate_addresses {
            CertificateAddresses::Ignore => Vec::new(),
            CertificateAddresses::Follow { private_hosts } => private_hosts.clone(),
        };
        Ok(Self {
            store,
            location: location.clone(),
            cache: Cache::new(cache, now),
            configured: http::agent(&settings.tls_anchors, Targets::Any),
            follower: http::agent(&settings.tls_anchors, Targets::Public { and }),
            settings,
            answers: HashMap::new(),
            lists: HashMap::new(),
            arrived: HashMap::new(),
            problems: Vec::new(),
        })
    }

    /// Certificates published for exactly this address (case does not matter). Those that cannot be read, or that hold
    /// another address, are passed over.
    ///
    /// # Errors
    /// The directory cannot be asked, and there is no recent earlier answer.
    pub fn certificates_for(&mut self, address: &str) -> Result<Vec<Certificate>, DirectoryError> {
        let Some(question) = lookup_key(address) else { return Ok(Vec::new()) };
        let found = self.ask(Kind::Address, question.as_bytes())?;
        let certificates = found.iter().filter_map(|der| Certificate::from_der(der).ok());
        let holds_address = |certificate: &Certificate| {
            certificate.mail_addresses().iter().any(|own| mail_address::same_mailbox(own, address))
        };
        Ok(certificates.filter(holds_address).collect())
    }

    /// The signed list of classes of readers, as it is published; `None` where there is none.
    ///
    /// # Errors
    /// The directory cannot be asked, or the list is longer than `largest`.
    pub fn class_list(&self, largest: u64) -> Result<Option<Vec<u8>>, DirectoryError> {
        match &self.store {
            Store::File(store) => store.class_list(largest),
            Store::Http(_) if self.settings.network == Network::Offline => {
                Err(DirectoryError::Offline { location: self.location.to_string() })
            }
            Store::Http(store) => store.class_list(largest),
        }
    }

    /// Where the directory is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What went wrong while a [`Source`] question was answered, oldest first.
    pub fn take_problems(&mut self) -> Vec<DirectoryError> {
        std::mem::take(&mut self.problems)
    }

    /// Asks the store; an earlier answer serves when that fails.
    fn ask(&mut self, kind: Kind, question: &[u8]) -> Result<Vec<Vec<u8>>, DirectoryError> {
        let key = (kind, question.to_vec());
        if let Some(answer) = self.answers.get(&key) {
            return Ok(answer.clone());
        }
        let answer = match self.ask_store(kind, question) {
            Ok(answer) => self.with_cache(kind, question, answer),
            Err(error) => match self.cache.find(kind, question) {
                Some(answer) => {
                    self.problems.push(error);
                    answer
                }
                None => return Err(error),
            },
        };
        self.answers.insert(key, answer.clone());
        Ok(answer)
    }

    /// Keeps an answer of a server.
    fn with_cache(&self, kind: Kind, question: &[u8], answer: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        if matches!(self.store, Store::Http(_)) {
            self.cache.keep(kind, question, &answer);
        }
        answer
    }

    fn ask_store(&self, kind: Kind, question: &[u8]) -> Result<Vec<Vec<u8>>, DirectoryError> {
        let address = || String::from_utf8_lossy(question).into_owned();
        match (&self.store, kind) {
            (Store::Http(_), _) if self.settings.network == Network::Offline => {
                Err(DirectoryError::Offline { location: self.location.to_string() })
            }
            (Store::File(store), Kind::Address) => store.certificates(&address()),
            (Store::File(store), _) => Ok(store.ca_certificate(question)?.into_iter().collect()),
            (Store::Http(store), Kind::Address) => store.certificates(&address()),
            (Store::Http(store), _) => store.ca_certificates(question),
        }
    }

    /// The same for a [`Source`]: a failure is noted, and nothing is found.
    fn ask_or_note(&mut self, kind: Kind, question: &[u8]) -> Vec<Vec<u8>> {
        self.ask(kind, question).unwrap_or_else(|error| {
            self.problems.push(error);
            Vec::new()
        })
    }
}

impl Source for Directory {
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        match self.store {
            Store::File(_) => self.issuers(key_identifier),
            Store::Http(_) => {
                certificates(&self.cache.find(Kind::CaCertificate, key_identifier).unwrap_or_default())
            }
        }
    }

    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate> {
        let kept = certificates(&self.cache.find(Kind::CaCertificate, key_identifier).unwrap_or_default());
        if kept.is_empty() {
            certificates(&self.ask_or_note(Kind::CaCertificate, key_identifier))
        } else {
            kept
        }
    }

    fn revocation_lists(&mut self, key_identifier: &[u8]) -> Vec<CertificateList> {
        self.lists_of_authority(key_identifier)
    }

    fn remember(&mut self, key_identifier: &[u8], list: &CertificateList) {
        self.keep_list(key_identifier, list);
    }

    fn revocation_lists_of(&mut self, certificate: &Certificate) -> Vec<CertificateList> {
        self.lists_at_points(certificate)
    }

    fn ocsp_answers(&mut self, certificate: &Certificate, issuer: &Certificate) -> Vec<OcspAnswer> {
        self.answers_about(certificate, issuer)
    }

    fn remember_answer(&mut self, certificate: &Certificate, issuer: &Certificate, answer: &OcspAnswer) {
        self.keep_answer(certificate, issuer, answer);
    }
}

fn certificates(found: &[Vec<u8>]) -> Vec<Certificate> {
    found.iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

/// The address as directories file it: lower case, the domain in A-labels. `None` for what is no address.
fn lookup_key(address: &str) -> Option<String> {
    let address = address.trim();
    let (local_part, _) = address.rsplit_once('@')?;
    let domain = mail_address::MailAddress::parse(address)?.domain().to_owned();
    Some(format!("{}@{domain}", local_part.to_lowercase()))
}
