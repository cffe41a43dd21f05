//! A time stamp added to a signature that stands already: the gap around it is not signed, and has room.
use super::pdf::{Document, PdfError};
use super::sign::TimeStamper;
use super::signature::{SignatureKind, signatures};
use crate::content::Content;
use crate::smime::signed_data_with_time_stamp;
use crate::time_stamping::NoTimeStamp;

/// Why a signature did not get its time stamp.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampDocumentError {
    /// The file cannot be read.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// There is no signature that could be stamped.
    #[error("the document has no signature that a time stamp could be added to")]
    NoSignature,
    /// It has one.
    #[error("the newest signature has a time stamp already")]
    Stamped,
    /// The signature cannot be read.
    #[error("the newest signature cannot be read: {0}")]
    Malformed(String),
    /// There is no room.
    #[error(
        "the signature's place has room for {room} octets, and with the time stamp it has {octets}; sign the original again"
    )]
    NoRoom {
        /// Octets that fit.
        room: usize,
        /// Octets that are needed.
        octets: usize,
    },
    /// No server gave one.
    #[error(transparent)]
    TimeStamp(#[from] NoTimeStamp),
}

impl StampDocumentError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pdf(error) => error.code(),
            Self::NoSignature => "no-signature",
            Self::Stamped => "already-stamped",
            Self::Malformed(_) => "signature-malformed",
            Self::NoRoom { .. } => "signature-too-large",
            Self::TimeStamp(error) => error.code(),
        }
    }
}

/// Stamps the newest signature. Whatever is signed stays as it is.
///
/// # Errors
/// See [`StampDocumentError`].
pub fn stamp_document(
    document: &Document,
    stamper: &mut dyn TimeStamper,
) -> Result<Content, StampDocumentError> {
    let newest = signatures(document)?.pop().and_then(|found| found.signature.ok());
    let signature = newest.ok_or(StampDocumentError::NoSignature)?;
    if signature.kind == SignatureKind::DocumentTimeStamp {
        return Err(StampDocumentError::NoSignature);
    }
    let malformed = |problem: String| StampDocumentError::Malformed(problem);
    let value = crate::smime::signature_value(&signature.object).map_err(malformed)?;
    let value = value.ok_or(StampDocumentError::Stamped)?;
    let token = stamper.stamp(&value)?;
    let object = signed_data_with_time_stamp(&signature.object, &token).map_err(malformed)?;
    let room = signature.contents.len();
    if object.len() > room {
        return Err(StampDocumentError::NoRoom { room, octets: object.len() });
    }
    let mut digits = hex::encode(&object).into_bytes();
    digits.resize(2 * room, b'0');
    let content = document.content();
    let gap = signature.gap;
    Ok(Content::concat([
        content.slice(0..gap.start + 1),
        Content::from_vec(digits),
        content.slice(gap.end - 1..content.len()),
    ]))
}
