//! SignedData, read strictly (RFC 5652 section 5, RFC 8551 section 2.5). Says who signed; trust is decided elsewhere.
use std::io;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::ber::{self, BerError};
use super::content_info::{self, object_identifier};
use super::object_identifiers::{ID_DATA, ID_SIGNED_DATA, SHA1, SHA256, SHA384, SHA512};
use super::signer_info::SignerInfo;
use crate::certificate::tlv::{Element, Malformed, tag};
use crate::certificate::{Certificate, DigestAlgorithm, signature};
use crate::content::{Content, Replay};

/// Limits on what a stranger can make us look at.
const MOST_SIGNERS: usize = 16;
const MOST_CERTIFICATES: usize = 64;
const MOST_REVOCATION_LISTS: usize = 16;

/// A SignedData that was read, with what became of each signature.
#[derive(Debug)]
pub struct SignedMessage {
    /// The type of the signed content: `id-data` for mail.
    pub content_type: ObjectIdentifier,
    /// The content that travelled inside, if it did.
    pub content: Option<Content>,
    /// One report per SignerInfo, in their order; empty for a certs-only message.
    pub signers: Vec<SignerReport>,
    /// Every certificate that travelled along and can be read.
    pub certificates: Vec<Certificate>,
    /// Every CRL that travelled along (DER).
    pub revocation_lists: Vec<Vec<u8>>,
}

/// What became of one SignerInfo.
#[derive(Debug)]
pub struct SignerReport {
    /// How the message names the signer, in words.
    pub identifier: String,
    /// The verified signature, or what is wrong with it.
    pub outcome: Result<Signature, SignatureFault>,
}

/// A signature that verifies with its certificate's key. Nothing is said about trust.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The signer's certificate.
    pub certificate: Certificate,
    /// The signer's claim of when.
    pub signing_time: Option<Timestamp>,
    /// The digest algorithm of the content.
    pub digest: DigestAlgorithm,
    /// The signer's SMIMECapabilities, as DER, if there are any.
    pub capabilities: Option<Vec<u8>>,
    /// The signature value: what a time stamp speaks of (RFC 3161 appendix A).
    pub value: Vec<u8>,
    /// Time-stamp tokens over the value (DER of their ContentInfo), as unsigned attributes carry them; unchecked.
    pub time_stamp_tokens: Vec<Vec<u8>>,
}

/// Why one signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureFault {
    /// The content is not the one that was signed.
    #[error("the message was changed after it was signed")]
    ContentChanged,
    /// The signature value does not verify with the signer's key.
    #[error("the signature is wrong: it was not made with the key of its certificate, or it was changed")]
    SignatureWrong,
    /// The signature verifies with a key whose certificate is not the one that the signer meant (RFC 5035).
    #[error("the signature belongs to another certificate than the one it came with")]
    OtherCertificate,
    /// The SignerInfo breaks a rule.
    #[error("the signature is malformed: {0}")]
    Malformed(String),
    /// What was signed is no mail (RFC 8551 section 2.4): a signature made for something else shall not pass for one.
    #[error("what was signed is not a mail but of the CMS content type {0}")]
    NotMail(ObjectIdentifier),
    /// The signer's certificate is neither in the message nor known.
    #[error("the signer's certificate is missing, so the signature cannot be checked")]
    CertificateMissing,
    /// Digest or signature algorithm are not supported.
    #[error("the signature cannot be checked: {0}")]
    Unsupported(String),
}

impl SignatureFault {
    pub(super) fn malformed(problem: &str) -> Self {
        Self::Malformed(problem.to_owned())
    }

    /// Whether the fault means that the content may be another than the signed one. A signature that merely cannot
    /// be checked does not.
    pub fn breaks_integrity(&self) -> bool {
        !matches!(self, Self::NotMail(_) | Self::CertificateMissing | Self::Unsupported(_))
    }

    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ContentChanged => "content-changed",
            Self::SignatureWrong => "signature-wrong",
            Self::OtherCertificate => "signature-of-other-certificate",
            Self::Malformed(_) => "signature-malformed",
            Self::NotMail(_) => "signed-other-content",
            Self::CertificateMissing => "signer-certificate-missing",
            Self::Unsupported(_) => "unsupported-algorithm",
        }
    }
}

/// Why the SignedData could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not a SignedData.
    #[error("this is not a signed message but of the CMS content type {0}")]
    NotSignedData(ObjectIdentifier),
    /// Malformed.
    #[error("the signature is malformed: {0}")]
    Malformed(String),
    /// There is content both inside and beside the signature, or none at all.
    #[error("the signed content is missing, or is there twice")]
    ContentAmbiguous,
    /// More of something than is looked at.
    #[error("the message has too many {0}")]
    TooMany(&'static str),
    /// The message could not be read, or the temporary file not be written.
    #[error("the message could not be read or its content not be kept: {0}")]
    Io(#[from] io::Error),
}

impl VerifyError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSignedData(_) => "not-signed-data",
            Self::Malformed(_) => "signature-malformed",
            Self::ContentAmbiguous => "content-ambiguous",
            Self::TooMany(_) => "too-many-parts",
            Self::Io(_) => "input-output",
        }
    }
}

impl From<Malformed> for VerifyError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<BerError> for VerifyError {
    fn from(problem: BerError) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// Reads a SignedData (DER or BER) and verifies each signature.
///
/// `detached` is the canonical content that stood beside it; `known` are further certificates among which the signer
/// may be found.
///
/// # Errors
/// Only when nothing can be said about any signer: see [`VerifyError`].
pub fn verify(
    cms: &dyn Replay,
    detached: Option<&Content>,
    known: &[Certificate],
) -> Result<SignedMessage, VerifyError> {
    let mut signed_data = Vec::new();
    cms.replay().read_to_end(&mut signed_data)?;
    let detached = detached.map(|content| content.to_vec(usize::MAX)).transpose()?.flatten();
    let detached = detached.as_ref().map(|content| content.as_slice());
    let der = ber::to_der(&signed_data)?;
    let (content_type, content) = content_info::read(&der)?;
    if content_type != ID_SIGNED_DATA {
        return Err(VerifyError::NotSignedData(content_type));
    }
    let fields = Fields::read(content)?;
    let certificates = certificates(fields.certificates)?;
    let revocation_lists = revocation_lists(fields.revocation_lists)?;
    let signer_infos = elements(fields.signer_infos, MOST_SIGNERS, "signers")?;
    let signed = match (fields.content, detached) {
        (Some(inside), None) => inside,
        (None, Some(beside)) => beside,
        // A certs-only message has neither content nor signers (RFC 8551 section 3.8).
        (None, None) if signer_infos.is_empty() => &[],
        _ => return Err(VerifyError::ContentAmbiguous),
    };
    let candidates: Vec<&Certificate> = certificates.iter().chain(known).collect();
    let mut digests = Digests { content: signed, known: Vec::new() };
    let report = |info: Element<'_>| report(info, fields.content_type, &mut digests, &candidates);
    let signers = signer_infos.into_iter().map(report).collect();
    let content = fields.content.map(|inside| Content::from_vec(inside.to_vec()));
    Ok(SignedMessage { content_type: fields.content_type, content, signers, certificates, revocation_lists })
}

fn report(
    info: Element<'_>,
    content_type: ObjectIdentifier,
    digests: &mut Digests<'_>,
    candidates: &[&Certificate],
) -> SignerReport {
    match SignerInfo::read(info) {
        Err(fault) => SignerReport { identifier: "an unreadable signer".to_owned(), outcome: Err(fault) },
        Ok(signer) => SignerReport {
            identifier: signer.identifier.to_string(),
            outcome: signer.verify(content_type, digests, candidates).and_then(|signature| {
                // Other objects nest as MIME entities (RFC 8551 section 3.7), never directly.
                if content_type == ID_DATA {
                    Ok(signature)
                } else {
                    Err(SignatureFault::NotMail(content_type))
                }
            }),
        },
    }
}

/// ```text
/// SignedData ::= SEQUENCE { version CMSVersion, digestAlgorithms DigestAlgorithmIdentifiers,
///     encapContentInfo EncapsulatedContentInfo, certificates [0] IMPLICIT CertificateSet OPTIONAL,
///     crls [1] IMPLICIT RevocationInfoChoices OPTIONAL, signerInfos SignerInfos }
/// EncapsulatedContentInfo ::= SEQUENCE { eContentType ContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }
/// ```
struct Fields<'a> {
    content_type: ObjectIdentifier,
    content: Option<&'a [u8]>,
    certificates: Option<Element<'a>>,
    revocation_lists: Option<Element<'a>>,
    signer_infos: Element<'a>,
}

impl<'a> Fields<'a> {
    fn read(signed_data: Element<'a>) -> Result<Self, Malformed> {
        let mut fields = signed_data.elements();
        fields.expect(tag::INTEGER)?;
        fields.expect(tag::SET)?;
        let mut encapsulated = fields.expect(tag::SEQUENCE)?.elements();
        let content_type = object_identifier(encapsulated.expect(tag::OBJECT_IDENTIFIER)?)?;
        let content = encapsulated.optional(tag::context_constructed(0))?;
        encapsulated.finish()?;
        let content = content.map(|found| Element::only(found.contents, tag::OCTET_STRING)).transpose()?;
        let certificates = fields.optional(tag::context_constructed(0))?;
        let revocation_lists = fields.optional(tag::context_constructed(1))?;
        let signer_infos = fields.expect(tag::SET)?;
        fields.finish()?;
        let content = content.map(|found| found.contents);
        Ok(Self { content_type, content, certificates, revocation_lists, signer_infos })
    }
}

fn elements<'a>(set: Element<'a>, most: usize, what: &'static str) -> Result<Vec<Element<'a>>, VerifyError> {
    let mut rest = set.elements();
    let mut found = Vec::new();
    while let Some(element) = rest.next()? {
        if found.len() >= most {
            return Err(VerifyError::TooMany(what));
        }
        found.push(element);
    }
    Ok(found)
}

/// X.509 certificates; attribute certificates and what cannot be read are passed over.
fn certificates(set: Option<Element<'_>>) -> Result<Vec<Certificate>, VerifyError> {
    let Some(set) = set else { return Ok(Vec::new()) };
    let found = elements(set, MOST_CERTIFICATES, "certificates")?;
    Ok(found.iter().filter_map(|element| Certificate::from_der(element.bytes).ok()).collect())
}

fn revocation_lists(set: Option<Element<'_>>) -> Result<Vec<Vec<u8>>, VerifyError> {
    let Some(set) = set else { return Ok(Vec::new()) };
    let found = elements(set, MOST_REVOCATION_LISTS, "CRLs")?;
    Ok(found
        .iter()
        .filter(|element| element.tag == tag::SEQUENCE)
        .map(|element| element.bytes.to_vec())
        .collect())
}

/// The content with its digests, each computed once.
pub(super) struct Digests<'a> {
    pub(super) content: &'a [u8],
    known: Vec<(DigestAlgorithm, Vec<u8>)>,
}

impl Digests<'_> {
    pub(super) fn of(&mut self, algorithm: DigestAlgorithm) -> Vec<u8> {
        if let Some((_, digest)) = self.known.iter().find(|(known, _)| *known == algorithm) {
            return digest.clone();
        }
        let digest = signature::digest(algorithm, self.content);
        self.known.push((algorithm, digest.clone()));
        digest
    }
}

/// The digest algorithm with this identifier.
pub(super) fn digest_algorithm(algorithm: ObjectIdentifier) -> Result<DigestAlgorithm, SignatureFault> {
    match algorithm {
        SHA256 => Ok(DigestAlgorithm::Sha256),
        SHA384 => Ok(DigestAlgorithm::Sha384),
        SHA512 => Ok(DigestAlgorithm::Sha512),
        SHA1 => Err(SignatureFault::Unsupported("SHA-1 is broken and not believed".to_owned())),
        other => Err(SignatureFault::Unsupported(format!("the digest algorithm {other} is not supported"))),
    }
}
