//! Why a PDF file is not read or not changed.

/// Why a PDF file is not read or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdfError {
    /// Not a PDF file at all.
    #[error("this is no PDF file: {0}")]
    NotPdf(&'static str),
    /// It is a PDF file that does not keep the rules; readers would have to guess.
    #[error(
        "the PDF file is damaged{}: {what}; run `mailer document normalise` on it, if it is not signed",
        place(*at)
    )]
    Damaged {
        /// Offset in the file; 0 where it is the file as a whole or not known.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// Its strings and streams are encrypted, and nothing here decrypts.
    #[error("the PDF file is encrypted; decrypt it first, or ask for one that is not")]
    Encrypted,
    /// A signed file: it would lose its signature.
    #[error(
        "the PDF file is signed, and a file that is written anew loses its signatures; ask its author for a sound one"
    )]
    Signed,
    /// Values lie deeper in one another than any honest file has them.
    #[error("the PDF file is refused{}: {what} is nested more than {most} levels deep", place(*at))]
    TooDeep {
        /// Offset in the file.
        at: u64,
        /// What is nested.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// More of something than any honest file has.
    #[error("the PDF file is refused{}: there are more than {most} {what}", place(*at))]
    TooMany {
        /// Offset in the file.
        at: u64,
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// Something is longer than any honest file has it, or than the caller allows.
    #[error("the PDF file is refused{}: {what} is longer than {most} octets", place(*at))]
    TooLarge {
        /// Offset in the file.
        at: u64,
        /// What is too long.
        what: &'static str,
        /// The limit.
        most: u64,
    },
    /// Allowed by the standard, not supported here.
    #[error("the PDF file uses {0}, which is not supported")]
    Unsupported(String),
    /// A signature does not fit the room that was kept for it.
    #[error("the signature has {octets} octets, and there is room for {room}; keep more room and sign again")]
    NoRoom {
        /// Octets of the signature.
        octets: usize,
        /// Octets that fit.
        room: usize,
    },
    /// The update asks for what a PDF file cannot hold.
    #[error("the PDF file cannot be changed so: {0}")]
    BadUpdate(String),
    /// The file itself, or a temporary one.
    #[error("the PDF file cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl PdfError {
    /// A stable code for `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotPdf(_) => "not-pdf",
            Self::Damaged { .. } => "pdf-damaged",
            Self::Encrypted => "pdf-encrypted",
            Self::Signed => "pdf-signed",
            Self::TooDeep { .. } => "pdf-too-deep",
            Self::TooMany { .. } => "pdf-too-many",
            Self::TooLarge { .. } => "pdf-too-large",
            Self::Unsupported(_) => "pdf-unsupported",
            Self::NoRoom { .. } => "signature-too-large",
            Self::BadUpdate(_) => "pdf-bad-update",
            Self::Io(_) => "pdf-unreadable",
        }
    }

    /// Damage, and where it is.
    pub(super) fn damaged(at: u64, what: impl Into<String>) -> Self {
        Self::Damaged { at, what: what.into() }
    }
}

/// At offset 0 there is only the header, so it says that the place is not known.
fn place(at: u64) -> String {
    if at == 0 { String::new() } else { format!(" at octet {at}") }
}
