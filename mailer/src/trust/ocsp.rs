//! OCSP requests and answers (RFC 6960, RFC 5019), as bytes and as statements about one certificate.
use const_oid::ObjectIdentifier;
use der::asn1::{GeneralizedTime, Int, Null, OctetString};
use der::{Decode, Encode};
use jiff::{SignedDuration, Timestamp};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::time::Time;

use super::crl::{Revocation, RevocationReason};
use super::in_words;
use super::ocsp_structures::{
    CertId, CertStatus, OcspRequest, OcspResponse, Request, ResponderId, ResponseData, SingleResponse,
    TbsRequest,
};
use super::revocation::{CLOCK_TOLERANCE, Evidence, EvidenceKind, Question, RevocationStatus};
use crate::certificate::signature::{self, Acceptance};
use crate::certificate::tlv::{Element, Malformed, tag};
use crate::certificate::{Certificate, names, timestamp};

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
const ARCHIVE_CUTOFF: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.6");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");
const NO_CHECK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");

/// The largest answer that is read.
pub const LARGEST_ANSWER: usize = 64 * 1024;
/// The most statements in an answer, and the most certificates with it, that are looked at.
const MOST_STATEMENTS: usize = 256;
const MOST_CERTIFICATES: usize = 8;

/// How long a statement counts that does not say how long (RFC 6960 section 4.2.2.1: newer ones are always at hand).
const WITHOUT_NEXT_UPDATE: SignedDuration = SignedDuration::from_hours(24);

/// An answer as it came, with what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspAnswer {
    /// The OCSPResponse in DER.
    pub der: Vec<u8>,
    /// The nonce that must be in it.
    pub nonce: Nonce,
}

/// What an answer must repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nonce {
    /// Nothing was asked for: the answer was made beforehand, or kept.
    NotSent,
    /// This, if the answer repeats anything: responders that sign beforehand repeat nothing (RFC 5019 section 4).
    IfPresent(Vec<u8>),
    /// This.
    Required(Vec<u8>),
}

/// Why an answer says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OcspError {
    /// Not an OCSP answer.
    #[error("the OCSP answer is malformed: {0}")]
    Malformed(String),
    /// The responder could or would not answer (RFC 6960 section 4.2.1).
    #[error("the OCSP responder answered: {0}")]
    Refused(&'static str),
    /// Another nonce than was sent, or none.
    #[error("the OCSP answer is not the one to our question: its nonce is missing or another")]
    WrongNonce,
    /// Signed by nobody who may speak for the issuer.
    #[error("the OCSP answer was signed by nobody who may speak for {0}")]
    NotAuthorized(String),
    /// Signature or key do not fit.
    #[error("the signature of the OCSP answer is wrong")]
    BadSignature,
    /// It is about other certificates.
    #[error("the OCSP answer is not about this certificate")]
    OtherCertificate,
    /// Too old, or without an end that makes sense.
    #[error("the OCSP answer was good until {0}")]
    Stale(String),
    /// Its moment lies ahead.
    #[error("the OCSP answer comes from the future")]
    FromTheFuture,
    /// Something critical that is not understood.
    #[error("the OCSP answer has the critical extension {0}, which is not supported")]
    CriticalExtension(ObjectIdentifier),
    /// The certificate expired before the answer, and the responder does not say that it still remembers such ones.
    #[error("the OCSP responder need not remember certificates that expired before its answer")]
    ExpiredBefore,
    /// The responder does not know the certificate.
    #[error("the OCSP responder does not know the certificate")]
    Unknown,
}

impl OcspError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "ocsp-malformed",
            Self::Refused(_) => "ocsp-refused",
            Self::WrongNonce => "ocsp-wrong-nonce",
            Self::NotAuthorized(_) => "ocsp-not-authorized",
            Self::BadSignature => "ocsp-signature-wrong",
            Self::OtherCertificate => "ocsp-other-certificate",
            Self::Stale(_) => "ocsp-stale",
            Self::FromTheFuture => "ocsp-from-the-future",
            Self::CriticalExtension(_) => "ocsp-critical-extension",
            Self::ExpiredBefore => "ocsp-expired-before",
            Self::Unknown => "ocsp-unknown",
        }
    }
}

impl From<Malformed> for OcspError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<der::Error> for OcspError {
    fn from(problem: der::Error) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// The hash that names the issuer in a question; RFC 5019 demands SHA-1, which guards nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateHash {
    /// SHA-1, which every responder knows.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Encodes the question about one certificate.
///
/// # Errors
/// A field is too long for DER.
pub fn request(
    certificate: &Certificate,
    issuer: &Certificate,
    hash: CertificateHash,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, OcspError> {
    let algorithm = match hash {
        CertificateHash::Sha1 => SHA1,
        CertificateHash::Sha256 => SHA256,
    };
    let (issuer_name_hash, issuer_key_hash) =
        hashes(algorithm, certificate, issuer).ok_or(OcspError::OtherCertificate)?;
    let cert_id = CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: algorithm, parameters: Some(Null.into()) },
        issuer_name_hash: OctetString::new(issuer_name_hash)?,
        issuer_key_hash: OctetString::new(issuer_key_hash)?,
        serial_number: Int::new(certificate.serial_octets())?,
    };
    let nonce = nonce.map(|nonce| {
        let extn_value = OctetString::new(OctetString::new(nonce)?.to_der()?)?;
        Ok::<_, der::Error>(vec![Extension { extn_id: NONCE, critical: false, extn_value }])
    });
    let tbs_request =
        TbsRequest { request_list: vec![Request { cert_id }], request_extensions: nonce.transpose()? };
    Ok(OcspRequest { tbs_request }.to_der()?)
}

/// What an answer says about a certificate.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) status: RevocationStatus,
    /// The delegated responder that must not be revoked itself.
    pub(super) to_check: Option<Certificate>,
}

/// Reads an answer and checks everything about it but the revocation of a delegated responder.
///
/// # Errors
/// See [`OcspError`].
pub(super) fn read(question: &Question<'_>, answer: &OcspAnswer) -> Result<Statement, OcspError> {
    if answer.der.len() > LARGEST_ANSWER {
        return Err(OcspError::Malformed("it is too long".to_owned()));
    }
    let response = OcspResponse::from_der(&answer.der)?;
    response.status.check()?;
    let bytes = response.bytes.ok_or_else(|| OcspError::Malformed("it is empty".to_owned()))?;
    if bytes.response_type != BASIC {
        return Err(OcspError::Malformed(format!("it is of the type {}", bytes.response_type)));
    }
    let basic = Basic::read(bytes.response.as_bytes())?;
    let data = ResponseData::from_der(basic.data.bytes)?;
    if data.responses.len() > MOST_STATEMENTS {
        return Err(OcspError::Malformed("it has too many statements".to_owned()));
    }
    let nonce = known_extensions(data.extensions.as_ref())?;
    match (&answer.nonce, nonce) {
        (Nonce::NotSent, _) | (Nonce::IfPresent(_), None) => {}
        (Nonce::IfPresent(sent) | Nonce::Required(sent), Some(found)) if *sent == found => {}
        _ => return Err(OcspError::WrongNonce),
    }
    let single = data.responses.iter().filter(|single| single.cert_id.names(question));
    let single =
        single.max_by_key(|single| moment(&single.this_update)).ok_or(OcspError::OtherCertificate)?;
    known_extensions(single.extensions.as_ref())?;
    let to_check = basic.check_signature(question, &data)?;
    let status = single.status(question)?;
    Ok(Statement { status, to_check })
}

/// Until when an answer may be kept: the earliest nextUpdate in it.
pub(crate) fn good_until(der: &[u8]) -> Option<Timestamp> {
    let bytes = OcspResponse::from_der(der).ok()?.bytes?;
    let basic = Basic::read(bytes.response.as_bytes()).ok()?;
    let data = ResponseData::from_der(basic.data.bytes).ok()?;
    data.responses.iter().map(|single| single.next_update.as_ref().map(moment)).min()?
}

/// When an answer says that it was made (RFC 6960 section 4.2.2.1).
pub(super) fn produced_at(der: &[u8]) -> Option<Timestamp> {
    let bytes = OcspResponse::from_der(der).ok()?.bytes?;
    let basic = Basic::read(bytes.response.as_bytes()).ok()?;
    let data = ResponseData::from_der(basic.data.bytes).ok()?;
    Some(moment(&data.produced_at))
}

/// Of two statements about one certificate the worse one; but a newer "good" outweighs an older hold.
pub(super) fn newest(ocsp: Option<RevocationStatus>, lists: RevocationStatus) -> RevocationStatus {
    use RevocationStatus::{Good, Revoked, Unknown};
    let lifts = |good: &Evidence, revocation: &Revocation, as_of: Timestamp| {
        revocation.reason == Some(RevocationReason::CertificateHold) && good.as_of > as_of
    };
    match (ocsp, lists) {
        (None | Some(Unknown(_)), lists @ (Good(_) | Revoked(..))) | (None, lists) => lists,
        (Some(ocsp), Unknown(_)) => ocsp,
        (Some(Good(good)), Revoked(revocation, as_of)) | (Some(Revoked(revocation, as_of)), Good(good)) => {
            if lifts(&good, &revocation, as_of) {
                Good(good)
            } else {
                Revoked(revocation, as_of)
            }
        }
        (Some(Good(one)), Good(other)) => Good(if one.as_of >= other.as_of { one } else { other }),
        // The key was in other hands from the earlier of both moments on.
        (Some(Revoked(one, as_of)), Revoked(other, other_as_of)) => {
            if other.takes_effect() < one.takes_effect() {
                Revoked(other, other_as_of)
            } else {
                Revoked(one, as_of)
            }
        }
    }
}

impl CertId {
    fn names(&self, question: &Question<'_>) -> bool {
        let Some((name, key)) = hashes(self.hash_algorithm.oid, question.certificate, question.issuer) else {
            return false;
        };
        self.serial_number.as_bytes() == question.certificate.serial_octets()
            && self.issuer_name_hash.as_bytes() == name
            && self.issuer_key_hash.as_bytes() == key
    }
}

/// The hashes of a CA's name, as the certificate in question writes it (section 4.1.1), and of its key; `None` for an
/// algorithm that is not known.
fn hashes(
    algorithm: ObjectIdentifier,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let name = certificate.issuer_name().to_der().ok()?;
    let key = issuer.public_key().subject_public_key.raw_bytes();
    match algorithm {
        SHA1 => Some((Sha1::digest(&name).to_vec(), Sha1::digest(key).to_vec())),
        SHA256 => Some((Sha256::digest(&name).to_vec(), Sha256::digest(key).to_vec())),
        _ => None,
    }
}

impl ResponderId {
    fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::ByName(name) => names::same_name(name, certificate.subject_name()),
            Self::ByKey(hash) => {
                let key = certificate.public_key().subject_public_key.raw_bytes();
                hash.as_bytes() == Sha1::digest(key).as_slice()
            }
        }
    }
}

/// A BasicOCSPResponse with the bytes that are signed.
///
/// ```text
/// BasicOCSPResponse ::= SEQUENCE { tbsResponseData ResponseData, signatureAlgorithm AlgorithmIdentifier,
///     signature BIT STRING, certs [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ```
struct Basic<'a> {
    data: Element<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
    certificates: Vec<Certificate>,
}

impl<'a> Basic<'a> {
    fn read(der: &'a [u8]) -> Result<Self, OcspError> {
        let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
        let data = fields.expect(tag::SEQUENCE)?;
        let algorithm = AlgorithmIdentifierOwned::from_der(fields.expect(tag::SEQUENCE)?.bytes)?;
        let signature = fields.expect(tag::BIT_STRING)?.contents;
        let Some((0, signature)) = signature.split_first() else { return Err(Malformed::Length.into()) };
        let mut certificates = Vec::new();
        if let Some(along) = fields.optional(tag::context_constructed(0))? {
            let mut elements = Element::only(along.contents, tag::SEQUENCE)?.elements();
            while let Some(element) = elements.next()? {
                if certificates.len() >= MOST_CERTIFICATES {
                    return Err(OcspError::Malformed("it has too many certificates".to_owned()));
                }
                certificates.extend(Certificate::from_der(element.bytes));
            }
        }
        fields.finish()?;
        Ok(Self { data, algorithm, signature, certificates })
    }

    /// Section 4.2.2.2: the CA itself signed, or somebody whom the CA itself authorized. Answers the latter's certificate
    /// where the CA did not say that its revocation need not be checked.
    fn check_signature(
        &self,
        question: &Question<'_>,
        data: &ResponseData,
    ) -> Result<Option<Certificate>, OcspError> {
        let issuer = question.issuer;
        if data.responder.names(issuer) {
            return self.verify(issuer, question.acceptance).map(|()| None);
        }
        let mut problem = OcspError::NotAuthorized(issuer.subject());
        for delegate in self.certificates.iter().filter(|certificate| data.responder.names(certificate)) {
            if !is_delegated_by(delegate, question) {
                continue;
            }
            match self.verify(delegate, question.acceptance) {
                Err(wrong) => problem = wrong,
                Ok(()) => {
                    let trusted = delegate.extensions().iter().any(|extension| extension.extn_id == NO_CHECK);
                    return Ok((!trusted).then(|| delegate.clone()));
                }
            }
        }
        Err(problem)
    }

    fn verify(&self, signer: &Certificate, acceptance: Acceptance) -> Result<(), OcspError> {
        let (key, message) = (signer.public_key(), self.data.bytes);
        signature::verify_signed(key, &self.algorithm, message, self.signature, acceptance)
            .map_err(|_| OcspError::BadSignature)
    }
}

/// A certificate of the CA itself that is valid now and made for signing OCSP answers.
fn is_delegated_by(delegate: &Certificate, question: &Question<'_>) -> bool {
    let issuer = question.issuer;
    let usages = delegate.extension::<ExtendedKeyUsage>().ok().flatten();
    let key_usage = delegate.extension::<KeyUsage>();
    let (from, until) = (delegate.not_before(), delegate.not_after());
    names::same_name(delegate.issuer_name(), issuer.subject_name())
        && usages.is_some_and(|usages| usages.0.contains(&OCSP_SIGNING))
        && matches!(key_usage, Ok(usage) if usage.is_none_or(|usage| usage.digital_signature() || usage.non_repudiation()))
        && from <= question.at
        && question.at <= until
        && delegate.verify_signature(issuer.public_key(), question.acceptance).is_ok()
}

impl SingleResponse {
    fn status(&self, question: &Question<'_>) -> Result<RevocationStatus, OcspError> {
        let as_of = moment(&self.this_update);
        if as_of > question.at.saturating_add(CLOCK_TOLERANCE).unwrap_or(question.at) {
            return Err(OcspError::FromTheFuture);
        }
        let next_update = match &self.next_update {
            Some(next_update) => moment(next_update),
            None => as_of.saturating_add(WITHOUT_NEXT_UPDATE).unwrap_or(as_of),
        };
        if next_update < as_of || !question.unknown.allows(next_update, question.at) {
            return Err(OcspError::Stale(in_words(next_update)));
        }
        let stale_since = (next_update <= question.at).then_some(next_update);
        match &self.cert_status {
            CertStatus::Good(_) => {
                let end = question.certificate.not_after();
                let is_kept = self.date(ARCHIVE_CUTOFF)?.is_some_and(|since| since <= end);
                if end < question.at && end < as_of && !is_kept {
                    return Err(OcspError::ExpiredBefore);
                }
                Ok(RevocationStatus::Good(Evidence { kind: EvidenceKind::Ocsp, as_of, stale_since }))
            }
            CertStatus::Revoked(info) => {
                let reason =
                    info.revocation_reason.and_then(|reason| RevocationReason::from_code(reason as u8));
                let at = moment(&info.revocation_time);
                let invalid_since = self.date(INVALIDITY_DATE)?;
                Ok(RevocationStatus::Revoked(Revocation { at, reason, invalid_since }, as_of))
            }
            CertStatus::Unknown(_) => Err(OcspError::Unknown),
        }
    }

    /// An extension that holds a moment: the archive cutoff (section 4.4.4), or what CRL entries have (section 4.4.5).
    fn date(&self, identifier: ObjectIdentifier) -> Result<Option<Timestamp>, OcspError> {
        let found = self.extensions.iter().flatten().find(|extension| extension.extn_id == identifier);
        let date = found.map(|extension| GeneralizedTime::from_der(extension.extn_value.as_bytes()));
        Ok(date.transpose()?.as_ref().map(moment))
    }
}

/// The nonce, if there is one; an extension that is critical and not known is refused.
fn known_extensions(extensions: Option<&Extensions>) -> Result<Option<Vec<u8>>, OcspError> {
    let mut nonce = None;
    for extension in extensions.into_iter().flatten() {
        match extension.extn_id {
            NONCE => {
                // Some responders leave out the inner OCTET STRING, as RFC 2560 could be read.
                let value = extension.extn_value.as_bytes();
                nonce = Some(
                    OctetString::from_der(value).map_or(value.to_vec(), |inner| inner.as_bytes().to_vec()),
                );
            }
            ARCHIVE_CUTOFF | INVALIDITY_DATE => {}
            other if extension.critical => return Err(OcspError::CriticalExtension(other)),
            _ => {}
        }
    }
    Ok(nonce)
}

fn moment(time: &GeneralizedTime) -> Timestamp {
    timestamp(&Time::GeneralTime(*time))
}
