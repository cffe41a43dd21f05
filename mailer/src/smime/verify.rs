//! SignedData, read strictly (RFC 5652 section 5, RFC 8551 section 2.5). Says who signed; trust is decided elsewhere.
use std::io;

use const_oid::ObjectIdentifier;
use jiff::Timestamp;

use super::attributes::SignedAttributes;
use super::ber_reader::ReadError;
use super::content_digest::{DigestedContent, Digesting};
use super::object_identifiers::ID_DATA;
use super::signed_data::SignedData;
use super::signer_info::SignerInfo;
use crate::certificate::tlv::{Element, Malformed, tag};
use crate::certificate::{Certificate, DigestAlgorithm};
use crate::content::{Content, Replay};

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
    /// The signed attributes as the DER of their SET (tag 31), if there are any: what the signature value is over.
    pub signed_attributes: Option<Vec<u8>>,
    /// Whether signing-certificate or signing-certificate-v2 was signed (RFC 5035); it fits the certificate.
    pub names_certificate: bool,
}

impl Signature {
    /// The value (DER) of a signed attribute that may stand there once, with one value.
    ///
    /// # Errors
    /// [`SignatureFault::Malformed`]: it stands there twice, or has not exactly one value.
    pub fn signed_attribute(
        &self,
        attribute_type: ObjectIdentifier,
    ) -> Result<Option<Vec<u8>>, SignatureFault> {
        let Some(set) = &self.signed_attributes else { return Ok(None) };
        let set = Element::only(set, tag::SET)
            .map_err(|_| SignatureFault::malformed("the signed attributes are malformed"))?;
        let attributes = SignedAttributes::read(set)?;
        let value = attributes.value(attribute_type, &attribute_type.to_string())?;
        Ok(value.map(|value| value.bytes.to_vec()))
    }
}

/// Why one signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureFault {
    /// The content is not the one that was signed.
    #[error("the content was changed after it was signed")]
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

impl From<ReadError> for VerifyError {
    fn from(problem: ReadError) -> Self {
        match problem {
            ReadError::Malformed(problem) => Self::Malformed(problem),
            ReadError::Io(error) => Self::Io(error),
        }
    }
}

/// Reads a SignedData (DER or BER, of any length) and verifies each signature.
///
/// `detached` is the canonical content that stood beside it; `known` are further certificates among which the signer
/// may be found. Content inside is kept in a [`Spool`](crate::content::Spool); each content is read and hashed once,
/// however many signers there are.
///
/// # Errors
/// Only when nothing can be said about any signer: see [`VerifyError`].
pub fn verify(
    cms: &dyn Replay,
    detached: Option<&Content>,
    known: &[Certificate],
) -> Result<SignedMessage, VerifyError> {
    verify_object(cms, detached, known, ID_DATA)
}

/// The same for signed content that is no mail but of the type `expected`, as a time stamp.
///
/// # Errors
/// See [`verify`].
pub(crate) fn verify_object(
    cms: &dyn Replay,
    detached: Option<&Content>,
    known: &[Certificate],
    expected: ObjectIdentifier,
) -> Result<SignedMessage, VerifyError> {
    let SignedData { digest_algorithms, content_type, content, certificates, revocation_lists, signer_infos } =
        SignedData::read(cms)?;
    let infos: Vec<Result<SignerInfo<'_>, SignatureFault>> =
        signer_infos.iter().map(|info| SignerInfo::read(info)).collect();
    let (digested, content) = match (content, detached) {
        (Some((inside, digesting)), None) => {
            (DigestedContent::new(inside.clone(), digesting, digest_algorithms), Some(inside))
        }
        (None, Some(beside)) => {
            let wanted = infos.iter().flatten().map(|info| info.digest_algorithm.oid);
            let wanted = wanted.filter(|wanted| digest_algorithms.contains(wanted));
            let digesting = Digesting::new(wanted.filter_map(|wanted| digest_algorithm(wanted).ok()));
            (DigestedContent::read(beside, digesting, digest_algorithms)?, None)
        }
        // A certs-only message has neither content nor signers (RFC 8551 section 3.8).
        (None, None) if signer_infos.is_empty() => {
            (DigestedContent::new(Content::default(), Digesting::new([]), digest_algorithms), None)
        }
        _ => return Err(VerifyError::ContentAmbiguous),
    };
    let candidates: Vec<&Certificate> = certificates.iter().chain(known).collect();
    let signers = infos
        .into_iter()
        .map(|info| report(info, (content_type, expected), &digested, &candidates))
        .collect::<io::Result<Vec<SignerReport>>>()?;
    Ok(SignedMessage { content_type, content, signers, certificates, revocation_lists })
}

fn report(
    info: Result<SignerInfo<'_>, SignatureFault>,
    (content_type, expected): (ObjectIdentifier, ObjectIdentifier),
    digested: &DigestedContent,
    candidates: &[&Certificate],
) -> io::Result<SignerReport> {
    let signer = match info {
        Ok(signer) => signer,
        Err(fault) => {
            return Ok(SignerReport { identifier: "an unreadable signer".to_owned(), outcome: Err(fault) });
        }
    };
    let outcome = signer.verify(content_type, digested, candidates)?;
    // Other objects nest as MIME entities (RFC 8551 section 3.7), never directly.
    let outcome = match content_type {
        found if found == expected => outcome,
        other => outcome.and(Err(SignatureFault::NotMail(other))),
    };
    Ok(SignerReport { identifier: signer.identifier.to_string(), outcome })
}

/// The digest algorithm with this identifier.
pub(super) fn digest_algorithm(algorithm: ObjectIdentifier) -> Result<DigestAlgorithm, SignatureFault> {
    match DigestAlgorithm::from_identifier(algorithm) {
        Some(DigestAlgorithm::Sha1) => {
            Err(SignatureFault::Unsupported("SHA-1 is broken and not believed".to_owned()))
        }
        Some(digest) => Ok(digest),
        None => {
            Err(SignatureFault::Unsupported(format!("the digest algorithm {algorithm} is not supported")))
        }
    }
}
