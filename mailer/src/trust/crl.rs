//! A CRL: its header parsed, its entries searched where they lie (RFC 5280 section 5).
//!
//! A short list is kept with its bytes and searched from end to end; of a long one an index on the disk is searched
//! (`crl_index.rs`).
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use const_oid::ObjectIdentifier;
use der::asn1::GeneralizedTime;
use der::{Decode, Encode};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BaseCrlNumber, CrlNumber};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::crl_entry::{Entry, Listing, time_element};
pub use super::crl_entry::{Revocation, RevocationReason};
use super::crl_index::CrlIndex;
use crate::certificate::signature::{self, Acceptance, Message, Scheme, SignatureProblem, Signed};
use crate::certificate::tlv::{Element, Elements, Malformed, tag};
use crate::certificate::{CertificateError, names, timestamp};

const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const DELTA_CRL_INDICATOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
const EXPIRED_CERTS_ON_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.60");

/// How many keys are remembered for which a list's signature was tried.
const MOST_TRIED_KEYS: usize = 8;

/// A CRL, parsed as far as its header.
#[derive(Clone)]
pub struct CertificateList(Arc<Contents>);

struct Contents {
    header: Header,
    body: Body,
    /// SHA-256 of the list, once it was asked for.
    hash: OnceLock<[u8; 32]>,
    /// The keys for which the signature was tried, by their hash, and whether it is theirs.
    tried: Mutex<Vec<Tried>>,
}

struct Tried {
    key: [u8; 32],
    acceptance: Acceptance,
    outcome: Result<(), SignatureProblem>,
}

enum Body {
    /// The whole list.
    Der(Vec<u8>),
    /// A long list, indexed when it arrived.
    Index(CrlIndex),
}

/// Everything of a TBSCertList but its entries.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) algorithm: AlgorithmIdentifierOwned,
    pub(crate) issuer: Name,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Option<Timestamp>,
    pub(crate) number: Option<Number>,
    /// Of a delta CRL: the number of the complete list that it continues.
    pub(crate) base: Option<Number>,
    pub(crate) scope: Option<IssuingDistributionPoint>,
    pub(crate) authority_key: Option<Vec<u8>>,
    /// expiredCertsOnCRL (X.509 section 9.5.2.8): certificates that expired since then stay on the list.
    pub(crate) expired_since: Option<Timestamp>,
    /// Why nobody may rely on the list, for example an unknown critical extension.
    pub(crate) refusal: Option<String>,
    /// A version 1 list has no extensions (RFC 5280 section 5.1.2.1).
    pub(crate) is_version_1: bool,
}

/// A CRLNumber, of any length up to 20 octets, in the order of numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(usize, Vec<u8>);

impl Number {
    fn new(octets: &[u8]) -> Self {
        let significant: Vec<u8> = octets.iter().copied().skip_while(|octet| *octet == 0).collect();
        Self(significant.len(), significant)
    }
}

impl CertificateList {
    /// Parses one DER CRL.
    ///
    /// # Errors
    /// When it is not one, or names another algorithm inside than outside (RFC 5280 section 5.1.1.2).
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        Self::from_vec(der.to_vec())
    }

    /// The same without a copy: lists may be long.
    pub(crate) fn from_vec(der: Vec<u8>) -> Result<Self, CertificateError> {
        let header = Header::read(&der)?;
        Ok(Self::new(header, Body::Der(der)))
    }

    /// A long list of which there is an index.
    pub(crate) fn from_index(index: CrlIndex) -> Result<Self, CertificateError> {
        let header = Header::read(index.skeleton())?;
        Ok(Self::new(header, Body::Index(index)))
    }

    fn new(header: Header, body: Body) -> Self {
        Self(Arc::new(Contents { header, body, hash: OnceLock::new(), tried: Mutex::new(Vec::new()) }))
    }

    /// The bytes it came in; nothing for a long list, whose bytes stay on the disk.
    pub fn der(&self) -> &[u8] {
        match &self.0.body {
            Body::Der(der) => der,
            Body::Index(_) => &[],
        }
    }

    /// Reads a list from a file: a long one (over 256 KiB) through its index, which is made or renewed when needed.
    ///
    /// # Errors
    /// It cannot be read, is longer than `largest`, or is no CRL.
    pub fn from_file(list: &Path, index: &Path, largest: u64) -> Result<Self, CertificateError> {
        super::crl_index::load(list, index, largest)
    }

    /// SHA-256 of the list.
    pub fn hash(&self) -> [u8; 32] {
        match &self.0.body {
            Body::Der(der) => *self.0.hash.get_or_init(|| Sha256::digest(der).into()),
            Body::Index(index) => *index.list_hash(),
        }
    }

    /// How many certificates a long list names; a short one is not counted.
    pub fn indexed_entries(&self) -> Option<u64> {
        match &self.0.body {
            Body::Der(_) => None,
            Body::Index(index) => Some(index.entries()),
        }
    }

    /// Whether this list makes `other` worthless: it is newer, and speaks about the same certificates.
    pub(crate) fn supersedes(&self, other: &Self) -> bool {
        self.has_scope_of(other)
            && self.is_delta() == other.is_delta()
            && self.header().authority_key == other.header().authority_key
            && (self.this_update(), &self.header().number) > (other.this_update(), &other.header().number)
    }

    /// When it was issued.
    pub fn this_update(&self) -> Timestamp {
        self.0.header.this_update
    }

    /// Until when a newer one is due.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.header.next_update
    }

    pub(crate) fn header(&self) -> &Header {
        &self.0.header
    }

    pub(crate) fn issuer_name(&self) -> &Name {
        &self.0.header.issuer
    }

    pub(crate) fn is_delta(&self) -> bool {
        self.0.header.base.is_some()
    }

    pub(crate) fn is_indirect(&self) -> bool {
        self.0.header.scope.as_ref().is_some_and(|scope| scope.indirect_crl)
    }

    /// Whether both lists speak about the same certificates and reasons.
    pub(crate) fn has_scope_of(&self, other: &Self) -> bool {
        self.0.header.scope == other.0.header.scope
            && names::same_name(self.issuer_name(), other.issuer_name())
    }

    /// Verifies the CRL's signature with its issuer's key; each key is tried once.
    pub(crate) fn verify_signature(
        &self,
        key: &SubjectPublicKeyInfoOwned,
        acceptance: Acceptance,
    ) -> Result<(), SignatureProblem> {
        let hash: [u8; 32] = key.to_der().map(|der| Sha256::digest(der).into()).unwrap_or_default();
        let mut tried = self.0.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tried.iter().find(|tried| tried.key == hash && tried.acceptance == acceptance) {
            return known.outcome.clone();
        }
        if tried.len() >= MOST_TRIED_KEYS {
            return Err(SignatureProblem::Invalid);
        }
        let outcome = self.try_key(key, acceptance);
        tried.push(Tried { key: hash, acceptance, outcome: outcome.clone() });
        outcome
    }

    fn try_key(
        &self,
        key: &SubjectPublicKeyInfoOwned,
        acceptance: Acceptance,
    ) -> Result<(), SignatureProblem> {
        let scheme = Scheme::of(&self.0.header.algorithm, None)?;
        let (der, digest) = match &self.0.body {
            Body::Der(der) => (der.as_slice(), None),
            Body::Index(index) => (index.skeleton(), Some(index.signed_digest())),
        };
        let signed = Signed::parse(der).map_err(|_| SignatureProblem::Invalid)?;
        let message = digest.map_or(Message::Whole(signed.to_be_signed.bytes), Message::Digest);
        signature::verify(key, scheme, message, signed.signature, acceptance)
    }

    /// Looks for a certificate by its issuer and the contents octets of its serial number.
    ///
    /// In a list without index every entry is looked at, because a critical entry extension that is not understood
    /// forbids the use of the whole list (RFC 5280 section 5.3); where there is an index, that was done to make it.
    pub(crate) fn find(&self, issuer: &Name, serial_number: &[u8]) -> Result<Listing, CertificateError> {
        match &self.0.body {
            Body::Index(index) => index.find(&self.0.header.issuer, issuer, serial_number),
            Body::Der(der) => {
                let mut entries = parts(der).map_err(malformed)?.revoked;
                let mut current: Option<Name> = None;
                let mut found = Listing::Absent;
                while let Some(element) = entries.next().map_err(malformed)? {
                    let entry = Entry::read(&element, &self.0.header)?;
                    if let Some(named) = entry.issuer {
                        current = Some(named);
                    }
                    let entry_issuer = current.as_ref().unwrap_or(&self.0.header.issuer);
                    if found == Listing::Absent
                        && entry.serial_number == serial_number
                        && names::same_name(entry_issuer, issuer)
                    {
                        found = entry.listing;
                    }
                }
                Ok(found)
            }
        }
    }
}

impl Header {
    /// Reads a list, or what is left of one without its entries.
    pub(crate) fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let asn1 = |problem: der::Error| CertificateError(format!("the CRL is malformed: {problem}"));
        let parts = parts(der).map_err(malformed)?;
        let signed = Signed::parse(der).map_err(malformed)?;
        let time =
            |element: &Element<'_>| Time::from_der(element.bytes).map(|time| timestamp(&time)).map_err(asn1);
        let twice = || {
            CertificateError("the CRL is malformed: it names two different signature algorithms".to_owned())
        };
        if parts.algorithm.bytes != signed.algorithm.bytes {
            return Err(twice());
        }
        let is_version_1 = match parts.version.map(|version| version.contents) {
            None => true,
            Some([1]) => false,
            Some(_) => return Err(CertificateError("the CRL is of an unknown version".to_owned())),
        };
        let extensions = parts.extensions.map(|found| Extensions::from_der(found.contents));
        let extensions = extensions.transpose().map_err(asn1)?.unwrap_or_default();
        let mut header = Self {
            algorithm: AlgorithmIdentifierOwned::from_der(signed.algorithm.bytes).map_err(asn1)?,
            issuer: Name::from_der(parts.issuer.bytes).map_err(asn1)?,
            this_update: time(&parts.this_update)?,
            next_update: parts.next_update.as_ref().map(time).transpose()?,
            number: None,
            base: None,
            scope: None,
            authority_key: None,
            expired_since: None,
            refusal: None,
            is_version_1,
        };
        if is_version_1 && !extensions.is_empty() {
            header.refusal = Some("has extensions but is not of version 2".to_owned());
        }
        for (position, extension) in extensions.iter().enumerate() {
            let is_first =
                extensions.iter().take(position).all(|earlier| earlier.extn_id != extension.extn_id);
            if !is_first || header.take(extension).is_err() {
                header.refusal = Some(format!("has a malformed extension {}", extension.extn_id));
            }
        }
        Ok(header)
    }

    /// A header under which every kind of entry may be read, for when the extensions are not known yet.
    pub(super) fn permissive(is_version_1: bool) -> Self {
        let scope = IssuingDistributionPoint {
            distribution_point: None,
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            only_some_reasons: None,
            indirect_crl: true,
            only_contains_attribute_certs: false,
        };
        Self {
            algorithm: AlgorithmIdentifierOwned { oid: CRL_NUMBER, parameters: None },
            issuer: Name::default(),
            this_update: Timestamp::UNIX_EPOCH,
            next_update: None,
            number: None,
            base: Some(Number::new(&[])),
            scope: Some(scope),
            authority_key: None,
            expired_since: None,
            refusal: None,
            is_version_1,
        }
    }

    fn take(&mut self, extension: &Extension) -> der::Result<()> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            AUTHORITY_KEY_IDENTIFIER => {
                let identifier = AuthorityKeyIdentifier::from_der(value)?.key_identifier;
                self.authority_key = identifier.map(|identifier| identifier.as_bytes().to_vec());
            }
            CRL_NUMBER => self.number = Some(Number::new(CrlNumber::from_der(value)?.0.as_bytes())),
            DELTA_CRL_INDICATOR => {
                self.base = Some(Number::new(BaseCrlNumber::from_der(value)?.0.as_bytes()));
            }
            EXPIRED_CERTS_ON_CRL => {
                let date = GeneralizedTime::from_der(value)?;
                self.expired_since = Some(timestamp(&Time::GeneralTime(date)));
            }
            ISSUING_DISTRIBUTION_POINT => self.scope = Some(IssuingDistributionPoint::from_der(value)?),
            other if extension.critical => {
                self.refusal = Some(format!("has the critical extension {other}, which is not supported"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl std::fmt::Debug for CertificateList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "CertificateList({}, {})", names::in_words(self.issuer_name()), self.this_update())
    }
}

/// The parts of a TBSCertList that are looked at more than once.
struct Parts<'a> {
    version: Option<Element<'a>>,
    algorithm: Element<'a>,
    issuer: Element<'a>,
    this_update: Element<'a>,
    next_update: Option<Element<'a>>,
    revoked: Elements<'a>,
    extensions: Option<Element<'a>>,
}

/// ```text
/// TBSCertList ::= SEQUENCE { version Version OPTIONAL, signature AlgorithmIdentifier, issuer Name, thisUpdate Time,
///     nextUpdate Time OPTIONAL, revokedCertificates SEQUENCE OF SEQUENCE { userCertificate CertificateSerialNumber,
///     revocationDate Time, crlEntryExtensions Extensions OPTIONAL } OPTIONAL, crlExtensions [0] EXPLICIT Extensions OPTIONAL }
/// ```
fn parts(der: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut fields = Signed::parse(der)?.to_be_signed.elements();
    let version = fields.optional(tag::INTEGER)?;
    let algorithm = fields.expect(tag::SEQUENCE)?;
    let issuer = fields.expect(tag::SEQUENCE)?;
    let this_update = time_element(&mut fields)?.ok_or(Malformed::Truncated)?;
    let next_update = time_element(&mut fields)?;
    let revoked =
        fields.optional(tag::SEQUENCE)?.map_or_else(|| Elements::new(&[]), |found| found.elements());
    let extensions = fields.optional(tag::context_constructed(0))?;
    fields.finish()?;
    Ok(Parts { version, algorithm, issuer, this_update, next_update, revoked, extensions })
}

pub(super) fn malformed(problem: Malformed) -> CertificateError {
    CertificateError(format!("the CRL is malformed: {problem}"))
}

/// Encodes a name, for comparisons octet by octet.
pub(crate) fn encoded(value: &impl Encode) -> Option<Vec<u8>> {
    value.to_der().ok()
}
