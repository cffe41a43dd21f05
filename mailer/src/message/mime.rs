//! MIME entities in memory (RFC 2045); those of any length are [`super::part`].
use std::borrow::Cow;
use std::io;

use super::header::{Fields, MediaType, RepeatedField};
use super::multipart;
use super::transfer_encoding::{TransferEncoding, TransferEncodingError};

/// A header and a body: a message, or a part of one.
#[derive(Clone, Debug)]
pub struct Entity<'a> {
    /// The header fields.
    pub fields: Fields<'a>,
    /// Everything after the empty line, still transfer-encoded.
    pub body: &'a [u8],
}

/// What is wrong with the structure of an entity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MimeError {
    /// A field that must be alone is not.
    #[error(transparent)]
    RepeatedField(#[from] RepeatedField),
    /// See [`TransferEncodingError`].
    #[error(transparent)]
    TransferEncoding(#[from] TransferEncodingError),
    /// A multipart without boundary parameter.
    #[error("a multipart has no boundary")]
    NoBoundary,
    /// A parameter of the Content-Type of a protected entity has two values.
    #[error(
        "the parameter {0:?} of a protected part has two values, and programs differ in which one counts"
    )]
    AmbiguousParameter(String),
    /// The end delimiter is missing.
    #[error("a multipart is cut off: its last boundary is missing")]
    CutOff,
    /// `multipart/signed` needs exactly two parts (RFC 1847 section 2.1).
    #[error("a signed message has {0} parts instead of two")]
    NotTwoParts(usize),
    /// The second part of `multipart/signed` is not a signature.
    #[error("the second part of a signed message is {0}, not a signature")]
    NotASignature(String),
    /// A message in binary form inside another (RFC 2046 section 5.2.1).
    #[error("a message inside the message is in binary form, which mail cannot carry")]
    BinaryMessage,
    /// Binary content that was signed and may not change any more.
    #[error("a signed part of the message is in binary form, which mail cannot carry")]
    BinarySigned,
    /// Deeper than [`super::parse::MAXIMUM_DEPTH`].
    #[error("the message nests more than {0} parts in each other")]
    TooDeep(usize),
    /// More than [`super::parse::MAXIMUM_PARTS`] to be shown, or [`super::multipart::MOST_PARTS`] at all.
    #[error("the message has more than {0} parts")]
    TooManyParts(usize),
    /// A header longer than [`super::part::LONGEST_HEADER`].
    #[error("a header in the message is longer than {0} KiB")]
    HeaderTooLong(usize),
    /// More than a signature needs.
    #[error("the signature is larger than {0} MiB")]
    SignatureTooLong(usize),
    /// The file that holds the message fails.
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
}

impl MimeError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooDeep(_) => "too-deep",
            Self::TooManyParts(_) => "too-many-parts",
            Self::HeaderTooLong(_) => "header-too-long",
            Self::Unreadable(_) => "input-output",
            _ => "malformed-message",
        }
    }
}

impl From<io::Error> for MimeError {
    /// Damage that a decoder found is told from a file that fails.
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<TransferEncodingError>()) {
            Some(damage) => Self::TransferEncoding(damage.clone()),
            None => Self::Unreadable(error.to_string()),
        }
    }
}

impl<'a> Entity<'a> {
    /// Splits header and body; lines that are no fields (an mbox `From ` line) are passed over.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (fields, body) = Fields::split(bytes);
        Self { fields, body }
    }

    /// The media type; `text/plain` where none is named or it cannot be read (RFC 2045 section 5.2).
    ///
    /// # Errors
    /// Two Content-Type fields.
    pub fn media_type(&self) -> Result<MediaType, MimeError> {
        media_type(&self.fields)
    }

    /// The Content-Disposition, with its file name.
    pub fn disposition(&self) -> Option<MediaType> {
        disposition(&self.fields)
    }

    /// The file name that the sender suggests: not safe to use, see [`super::attachment`].
    pub fn suggested_name(&self) -> Option<String> {
        suggested_name(&self.fields)
    }

    /// The body without its transfer encoding.
    ///
    /// # Errors
    /// Two fields, an unknown encoding, or a damaged body.
    pub fn decoded_body(&self) -> Result<Cow<'a, [u8]>, MimeError> {
        Ok(transfer_encoding(&self.fields)?.decode(self.body)?)
    }
}

/// See [`Entity::media_type`].
pub(super) fn media_type(fields: &Fields<'_>) -> Result<MediaType, MimeError> {
    let field = fields.only("Content-Type")?;
    Ok(field.and_then(MediaType::parse).filter(|known| known.essence.contains('/')).unwrap_or_else(|| {
        let (fields, _) = Fields::split(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n");
        let field = fields.first("Content-Type").and_then(MediaType::parse);
        field.expect("a constant media type can be read")
    }))
}

/// See [`Entity::disposition`].
pub(super) fn disposition(fields: &Fields<'_>) -> Option<MediaType> {
    fields.first("Content-Disposition").and_then(MediaType::parse)
}

/// See [`Entity::suggested_name`].
pub(super) fn suggested_name(fields: &Fields<'_>) -> Option<String> {
    let from_disposition =
        disposition(fields).and_then(|known| known.parameter("filename").map(str::to_owned));
    from_disposition
        .or_else(|| media_type(fields).ok().and_then(|known| known.parameter("name").map(str::to_owned)))
}

/// The Content-Transfer-Encoding.
///
/// # Errors
/// Two fields, or an unknown encoding.
pub(super) fn transfer_encoding(fields: &Fields<'_>) -> Result<TransferEncoding, MimeError> {
    let field = fields.only("Content-Transfer-Encoding")?;
    let encoding = field.map_or(Ok(TransferEncoding::Identity), |field| {
        TransferEncoding::from_name(&without_comments(&field.unfolded()))
    })?;
    Ok(encoding)
}

/// The parts of a multipart body in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Each part with its header, exactly as between the delimiters: the line end before a delimiter is the delimiter's.
    pub parts: Vec<&'a [u8]>,
    /// Whether the end delimiter was there.
    pub is_complete: bool,
}

/// Splits a multipart body in memory at its delimiter lines, as [`super::multipart`] does.
pub fn split_multipart<'a>(body: &'a [u8], boundary: &str) -> Parts<'a> {
    let (ranges, is_complete) = multipart::split(body, boundary, usize::MAX).unwrap_or_default();
    let offset = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    let parts = ranges.iter().filter_map(|range| body.get(offset(range.start)..offset(range.end))).collect();
    Parts { parts, is_complete }
}

/// Takes RFC 5322 comments off a value that is a single token.
fn without_comments(value: &str) -> String {
    let mut depth = 0_usize;
    value
        .chars()
        .filter(|&character| match character {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_before_a_delimiter_belongs_to_the_delimiter() {
        let body = b"preamble\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b  \r\n\r\ntwo\r\n--bx\r\n--b--\r\nepilogue\r\n--b\r\n";
        let parts = split_multipart(body, "b");
        assert_eq!(parts.parts, [&b"A: 1\r\n\r\none\r\n"[..], b"\r\ntwo\r\n--bx"]);
        assert!(parts.is_complete);
    }

    #[test]
    fn a_multipart_that_is_cut_off_says_so() {
        let parts = split_multipart(b"--b\n\none", "b");
        assert_eq!((parts.parts, parts.is_complete), (vec![&b"\none"[..]], false));
        assert!(split_multipart(b"no delimiter", "b").parts.is_empty());
    }

    #[test]
    fn entities_without_a_readable_type_are_plain_text() {
        for header in ["", "Content-Type: nonsense\r\n", "Content-Type:\r\n"] {
            let message = format!("{header}\r\nbody");
            assert_eq!(
                Entity::parse(message.as_bytes()).media_type().unwrap().essence,
                "text/plain",
                "{header}"
            );
        }
    }

    #[test]
    fn a_transfer_encoding_may_carry_a_comment() {
        let entity = Entity::parse(b"Content-Transfer-Encoding: base64 (of course)\r\n\r\nSGk=\r\n");
        assert_eq!(&*entity.decoded_body().unwrap(), b"Hi");
    }

    #[test]
    fn file_names_come_from_the_disposition_first() {
        let entity = Entity::parse(
            b"Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment;\r\n filename*0*=utf-8''%E4%BD;\r\n filename*1*=%A0.txt\r\n\r\n",
        );
        assert_eq!(entity.suggested_name().as_deref(), Some("你.txt"));
        assert_eq!(entity.disposition().unwrap().essence, "attachment");
    }
}
