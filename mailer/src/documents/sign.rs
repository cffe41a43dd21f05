//! A document signed: prepared, its digest signed on the card, stamped, the gap filled (EN 319 142-1).
use jiff::Timestamp;

use super::pdf::{Document, PdfError};
use super::preparation::{Preparation, SigningRequest};
use super::seal::SealError;
use crate::content::Content;
use crate::smime::{
    SignError, SignedAttributesPlan, SigningAlgorithm, SigningIdentity, sign, unsigned_time_stamp,
};
use crate::time_stamping::NoTimeStamp;

/// Why a document was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignDocumentError {
    /// The file cannot be read, or not be appended to.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// Strings and streams would have to be encrypted.
    #[error("the document is encrypted, so a signature cannot be added; sign it before it is encrypted")]
    Encrypted,
    /// Nobody may sign any more.
    #[error(
        "the document is certified and allows no changes, so no signature can be added; sign the original"
    )]
    Certified,
    /// A certification must be the first signature.
    #[error("the document is signed already, and only the first signature can certify; leave --certify out")]
    NotFirst,
    /// The field's name cannot be used.
    #[error("\"{0}\" cannot be the name of a signature field: it must not be empty and have no full stop")]
    FieldName(String),
    /// A field with that name is for something else.
    #[error("the field {0} of the document is not for signatures; choose another with --field")]
    NotASignatureField(String),
    /// The field is taken.
    #[error("the field {0} is signed already; choose another with --field")]
    FieldTaken(String),
    /// The field is not an object of its own.
    #[error(
        "the signature field stands inside the form and cannot be changed; choose a new one with --field"
    )]
    FieldInPlace,
    /// There is no such page.
    #[error("the document has no page {0}")]
    NoSuchPage(u32),
    /// The seal cannot be drawn.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The card or the certificate refused.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There was no time stamp to be had, before the card was asked.
    #[error(transparent)]
    TimeStamp(#[from] NoTimeStamp),
    /// The file cannot be read.
    #[error("the document cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl SignDocumentError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pdf(error) => error.code(),
            Self::Encrypted => "document-encrypted",
            Self::Certified => "document-certified",
            Self::NotFirst => "already-signed",
            Self::FieldName(_) => "bad-field-name",
            Self::NotASignatureField(_) => "not-a-signature-field",
            Self::FieldTaken(_) => "field-taken",
            Self::FieldInPlace => "field-in-place",
            Self::NoSuchPage(_) => "no-such-page",
            Self::Seal(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::TimeStamp(error) => error.code(),
            Self::Io(_) => "input-output",
        }
    }
}

/// Whoever stamps octets with the time (RFC 3161); answers the token.
pub trait TimeStamper {
    /// A token over these octets.
    ///
    /// # Errors
    /// No server gave a good one.
    fn stamp(&mut self, octets: &[u8]) -> Result<Vec<u8>, NoTimeStamp>;
}

/// A signed document.
pub struct SignedDocument {
    /// The whole file.
    pub content: Content,
    /// The field that holds the signature.
    pub field: String,
    /// Whether there is a time stamp: `None` when none was wanted; an error when the signature stands without, and can be
    /// stamped later.
    pub stamped: Option<Result<(), NoTimeStamp>>,
}

/// What a signature needs beside certificates, value and time stamp; and what a time stamp may be longer than the rehearsed.
const ATTRIBUTES_AND_FRAME: usize = 3072;
const LARGER_TOKEN: usize = 2048;

/// Signs a document. The time stamp was rehearsed (`rehearsed`: the length of such a token), so that its gap fits and a dead
/// server is known before the card is asked; if it fails all the same, the document is signed without.
///
/// # Errors
/// See [`SignDocumentError`]; nothing is signed then, or the signature is lost because it did not fit.
pub fn sign_document(
    document: &Document,
    request: &SigningRequest,
    identity: SigningIdentity<'_>,
    stamper: Option<(&mut dyn TimeStamper, usize)>,
    at: Timestamp,
    new_identifier: [u8; 16],
) -> Result<SignedDocument, SignDocumentError> {
    let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
    let along = identity.intermediates.iter().chain([identity.certificate]);
    let certificates: usize = along.map(|certificate| certificate.der().len()).sum();
    let token = stamper.as_ref().map_or(0, |(_, rehearsed)| rehearsed + LARGER_TOKEN);
    let octets = ATTRIBUTES_AND_FRAME + certificates + token;
    let Preparation { appended, field } = Preparation::new(document, request, octets, at, new_identifier)?;

    let gap = appended.signature.as_ref().ok_or(SignDocumentError::Pdf(PdfError::Senseless("no gap")))?;
    let whole = &appended.whole;
    let signed_octets =
        Content::concat([whole.slice(0..gap.contents.start), whole.slice(gap.contents.end..whole.len())]);
    let digest = sign::digest(&signed_octets, algorithm, &mut |_| {})?;
    let intermediates = identity.intermediates;
    let made = sign::make(&digest, identity, &SignedAttributesPlan::document())?;

    let stamped = stamper.map(|(stamper, _)| stamper.stamp(made.value()));
    let unsigned: Vec<Vec<u8>> = match &stamped {
        Some(Ok(token)) => vec![unsigned_time_stamp(token)?],
        _ => Vec::new(),
    };
    let object = made.detached(intermediates, &unsigned)?;
    let content = appended.with_contents(&object)?;
    Ok(SignedDocument { content, field, stamped: stamped.map(|stamped| stamped.map(drop)) })
}
