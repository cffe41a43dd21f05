//! Why a document was not sealed, or a sealed one not opened.
use std::io;

use crate::documents::pdf::PdfError;
use crate::documents::seal::SealError;
use crate::smime::{DecryptError, EncryptError};

/// Why a document was not sealed, or a sealed one not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The keys could not be wrapped.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// The page of the wrapper could not be made.
    #[error("the page that explains cannot be made: {0}")]
    Explanation(#[from] SealError),
    /// What explains is not in ASCII, and there is no font for it.
    #[error("the page that explains needs a font, because its text is not in ASCII alone")]
    ExplanationFont,
    /// The name is none that a file can have everywhere.
    #[error("the file name {0:?} cannot be used: it must have 1 to {max} characters, and neither folders nor control characters", max = super::file_name::LONGEST)]
    FileName(String),
    /// The PDF file itself.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// A PDF file with nothing in it that is encrypted to certificates.
    #[error("this PDF file holds no document that is sealed to its readers; open it as it is")]
    NotSealed,
    /// Encrypted in another way.
    #[error("the sealed document cannot be opened: {0} is not supported")]
    Unsupported(String),
    /// It breaks the rules of PDF or of its encryption.
    #[error("the sealed document is malformed: {0}; ask its sender for it once more")]
    Malformed(String),
    /// No envelope opens, for one of the reasons that envelopes have.
    #[error("{}", envelope_words(.0))]
    Envelope(DecryptError),
    /// Padding, length, compression or authentication code are wrong; which of them, is not told.
    #[error("the sealed document was damaged or changed on its way; ask its sender for it once more")]
    Damaged,
    /// There must be an authentication code, and there is none.
    #[error(
        "the sealed document was changed: the code that proves it whole was taken out; ask its sender for it once more"
    )]
    CodeMissing,
    /// It unpacks to more than anybody would send.
    #[error("the sealed document unpacks to more than {0} octets and is refused")]
    TooLarge(u64),
    /// The computer gave no randomness.
    #[error("the system's random source failed")]
    Randomness,
    /// The document could not be read, or the temporary file not be written.
    #[error("the document cannot be read or kept: {0}")]
    Io(#[from] io::Error),
}

impl SealedError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encrypt(error) => error.code(),
            Self::Explanation(error) => error.code(),
            Self::ExplanationFont => "explanation-without-font",
            Self::FileName(_) => "file-name",
            Self::Pdf(error) => error.code(),
            Self::NotSealed => "not-sealed",
            Self::Unsupported(_) => "sealed-unsupported",
            Self::Malformed(_) => "sealed-malformed",
            Self::Envelope(DecryptError::Damaged) | Self::Damaged => "sealed-damaged",
            Self::Envelope(error) => error.code(),
            Self::CodeMissing => "sealed-code-missing",
            Self::TooLarge(_) => "sealed-too-large",
            Self::Randomness => "no-randomness",
            Self::Io(_) => "input-output",
        }
    }
}

/// The same in the words of documents.
fn envelope_words(error: &DecryptError) -> String {
    match error {
        DecryptError::NotForUs => "this document is not sealed to any key of this card".to_owned(),
        DecryptError::Damaged => SealedError::Damaged.to_string(),
        DecryptError::Keys(error) => error.to_string(),
        other => format!("the envelope with the key of the sealed document is refused: {other}"),
    }
}
