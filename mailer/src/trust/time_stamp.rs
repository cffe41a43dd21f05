//! Time stamps that prove how old a signature is (RFC 3161, RFC 5816).
//!
//! A time-stamp token is a SignedData over a TSTInfo, which names the digest of what was stamped: here the value of a
//! signature (RFC 3161 appendix A). It counts when its authority's certificate is made for nothing else and its path ends in
//! a configured anchor.
use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::GeneralizedTime;
use jiff::{SignedDuration, Timestamp};
use x509_cert::time::Time;

use crate::certificate::tlv::{Element, Elements, Malformed, tag};
use crate::certificate::{Certificate, DigestAlgorithm, timestamp};
use crate::content::Content;
use crate::smime;

const ID_CT_TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const BOOLEAN: u8 = 0x01;

/// The largest token that is read, and the largest TSTInfo in it.
const LARGEST_TOKEN: usize = 256 * 1024;
const LARGEST_INFO: usize = 64 * 1024;

/// Why a time stamp proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeStampError {
    /// Not a time-stamp token.
    #[error("the time stamp is malformed: {0}")]
    Malformed(String),
    /// The authority's signature does not verify, or not with the certificate that it names.
    #[error("the signature of the time stamp is wrong: {0}")]
    BadSignature(String),
    /// It is about something else.
    #[error("the time stamp belongs to another signature")]
    OtherImprint,
    /// The digest of what was stamped is broken or unknown.
    #[error("the time stamp uses {0}, which is not supported")]
    Unsupported(String),
    /// The authority's certificate is not believed.
    #[error("the time stamp is not believed: {0}")]
    Untrusted(String),
}

impl TimeStampError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "time-stamp-malformed",
            Self::BadSignature(_) => "time-stamp-signature-wrong",
            Self::OtherImprint => "time-stamp-of-other-signature",
            Self::Unsupported(_) => "time-stamp-unsupported",
            Self::Untrusted(_) => "time-stamp-untrusted",
        }
    }
}

impl From<Malformed> for TimeStampError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// A token whose signature and imprint are right; whether its authority is trusted is another question.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The authority that signed it.
    pub(super) authority: Certificate,
    /// What came along.
    pub(super) certificates: Vec<Certificate>,
    /// The last moment at which the stamp can have been made: genTime and its accuracy.
    pub(super) at_latest: Timestamp,
}

/// Reads a token and checks that it stamps `value`. A token need not hold its authority's certificate: it may be `known`.
///
/// # Errors
/// See [`TimeStampError`].
pub(super) fn read(token: &[u8], value: &[u8], known: &[Certificate]) -> Result<Token, TimeStampError> {
    read_over(token, &|algorithm| Ok(algorithm.digest(value)), known)
}

/// The same for what `digest` gives the digest of.
///
/// # Errors
/// See [`TimeStampError`].
pub(super) fn read_over(
    token: &[u8],
    digest: &dyn Fn(DigestAlgorithm) -> std::io::Result<Vec<u8>>,
    known: &[Certificate],
) -> Result<Token, TimeStampError> {
    if token.len() > LARGEST_TOKEN {
        return Err(TimeStampError::Malformed("it is too long".to_owned()));
    }
    let malformed = |problem: String| TimeStampError::Malformed(problem);
    let signed = smime::verify_object(&Content::from_vec(token.to_vec()), None, known, ID_CT_TST_INFO)
        .map_err(|error| malformed(error.to_string()))?;
    let content = signed.content.as_ref().ok_or_else(|| malformed("it is empty".to_owned()))?;
    let content = content.to_vec(LARGEST_INFO).map_err(|error| malformed(error.to_string()))?;
    let content = content.ok_or_else(|| malformed("it is too long".to_owned()))?;
    // RFC 3161 section 2.4.2: nobody but the authority signs.
    let [signer] = signed.signers.as_slice() else {
        return Err(malformed("it has not exactly one signer".to_owned()));
    };
    let signature =
        signer.outcome.as_ref().map_err(|fault| TimeStampError::BadSignature(fault.to_string()))?;
    let info = Info::read(&content)?;
    if digest(info.algorithm).map_err(|error| malformed(error.to_string()))? != info.imprint {
        return Err(TimeStampError::OtherImprint);
    }
    let at_latest = info.made.saturating_add(info.accuracy).unwrap_or(info.made);
    Ok(Token { authority: signature.certificate.clone(), certificates: signed.certificates, at_latest })
}

/// What of a TSTInfo matters here.
struct Info {
    algorithm: DigestAlgorithm,
    imprint: Vec<u8>,
    made: Timestamp,
    accuracy: SignedDuration,
}

impl Info {
    /// ```text
    /// TSTInfo ::= SEQUENCE { version INTEGER { v1(1) }, policy TSAPolicyId, messageImprint MessageImprint,
    ///     serialNumber INTEGER, genTime GeneralizedTime, accuracy Accuracy OPTIONAL, ordering BOOLEAN DEFAULT FALSE,
    ///     nonce INTEGER OPTIONAL, tsa [0] GeneralName OPTIONAL, extensions [1] IMPLICIT Extensions OPTIONAL }
    /// MessageImprint ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }
    /// ```
    fn read(der: &[u8]) -> Result<Self, TimeStampError> {
        let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
        if fields.expect(tag::INTEGER)?.contents != [1] {
            return Err(TimeStampError::Malformed("it is of an unknown version".to_owned()));
        }
        fields.expect(tag::OBJECT_IDENTIFIER)?;
        let mut imprint = fields.expect(tag::SEQUENCE)?.elements();
        let algorithm = imprint.expect(tag::SEQUENCE)?.elements().expect(tag::OBJECT_IDENTIFIER)?;
        let hashed = imprint.expect(tag::OCTET_STRING)?.contents.to_vec();
        imprint.finish()?;
        fields.expect(tag::INTEGER)?;
        let made = fields.expect(tag::GENERALIZED_TIME)?;
        let accuracy = fields.optional(tag::SEQUENCE)?.map(|found| accuracy(found.elements())).transpose()?;
        fields.optional(BOOLEAN)?;
        fields.optional(tag::INTEGER)?;
        fields.optional(tag::context_constructed(0))?;
        if let Some(extensions) = fields.optional(tag::context_constructed(1))? {
            refuse_critical(extensions.elements())?;
        }
        fields.finish()?;
        Ok(Self {
            algorithm: digest(algorithm.contents)?,
            imprint: hashed,
            made: moment(&made)?,
            accuracy: accuracy.unwrap_or(SignedDuration::ZERO),
        })
    }
}

fn digest(identifier: &[u8]) -> Result<DigestAlgorithm, TimeStampError> {
    let identifier = ObjectIdentifier::from_bytes(identifier).map_err(|_| Malformed::Tag)?;
    match DigestAlgorithm::from_identifier(identifier) {
        Some(DigestAlgorithm::Sha1) => Err(TimeStampError::Unsupported("SHA-1".to_owned())),
        Some(algorithm) => Ok(algorithm),
        None => Err(TimeStampError::Unsupported(format!("the digest algorithm {identifier}"))),
    }
}

/// A GeneralizedTime that may have fractions of a second (RFC 3161 section 2.4.2); they are rounded up.
fn moment(time: &Element<'_>) -> Result<Timestamp, TimeStampError> {
    let text = time.contents;
    let whole = match text.iter().position(|octet| *octet == b'.') {
        None => text.to_vec(),
        Some(point) => {
            let fraction = text.get(point + 1..text.len().saturating_sub(1)).unwrap_or_default();
            let is_fraction = !fraction.is_empty()
                && fraction.iter().all(u8::is_ascii_digit)
                && fraction.last() != Some(&b'0')
                && text.last() == Some(&b'Z');
            if !is_fraction {
                return Err(TimeStampError::Malformed("its time is malformed".to_owned()));
            }
            [text.get(..point).unwrap_or_default(), b"Z"].concat()
        }
    };
    let der = crate::certificate::tlv::element(tag::GENERALIZED_TIME, &[&whole]);
    let read = GeneralizedTime::from_der(&der);
    let seconds = timestamp(&Time::GeneralTime(
        read.map_err(|_| TimeStampError::Malformed("its time is malformed".to_owned()))?,
    ));
    let fraction = SignedDuration::from_secs(i64::from(whole.len() != text.len()));
    Ok(seconds.saturating_add(fraction).unwrap_or(seconds))
}

/// `Accuracy ::= SEQUENCE { seconds INTEGER OPTIONAL, millis [0] INTEGER (1..999) OPTIONAL, micros [1] OPTIONAL }`, rounded
/// up to seconds.
fn accuracy(mut fields: Elements<'_>) -> Result<SignedDuration, TimeStampError> {
    let seconds = fields.optional(tag::INTEGER)?;
    let millis = fields.optional(tag::context(0))?;
    let micros = fields.optional(tag::context(1))?;
    fields.finish()?;
    let seconds = match seconds.map(|found| found.contents) {
        None => 0,
        Some(octets @ ([0..=0x7F] | [0..=0x7F, _] | [0..=0x7F, _, _])) => {
            octets.iter().fold(0, |seconds, octet| (seconds << 8) | i64::from(*octet))
        }
        Some(_) => return Err(TimeStampError::Malformed("its accuracy makes no sense".to_owned())),
    };
    Ok(SignedDuration::from_secs(seconds + i64::from(millis.is_some() || micros.is_some())))
}

fn refuse_critical(mut extensions: Elements<'_>) -> Result<(), TimeStampError> {
    while let Some(extension) = extensions.next()? {
        let mut fields = extension.elements();
        fields.expect(tag::OBJECT_IDENTIFIER)?;
        if fields.optional(BOOLEAN)?.is_some_and(|critical| critical.contents != [0]) {
            return Err(TimeStampError::Unsupported("a critical extension".to_owned()));
        }
    }
    Ok(())
}
