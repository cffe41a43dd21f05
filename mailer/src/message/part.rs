//! A message, or a part of one, of any length: its header in memory, its body wherever it is.
use super::header::{Fields, MediaType};
use super::mime::{self, MimeError};
use super::multipart::PartRanges;
use super::transfer_encoding::DecodedBody;
use crate::content::Content;

/// The longest header that is read.
pub const LONGEST_HEADER: usize = 256 * 1024;

/// A header and a body.
#[derive(Clone, Debug)]
pub struct Part {
    header: Vec<u8>,
    /// Everything after the empty line, still transfer-encoded.
    pub body: Content,
}

impl Part {
    /// Splits header and body; lines that are no fields (an mbox `From ` line) are passed over.
    ///
    /// # Errors
    /// It cannot be read, or its header is longer than [`LONGEST_HEADER`].
    pub fn read(whole: &Content) -> Result<Self, MimeError> {
        let mut header = whole.head(LONGEST_HEADER)?.to_vec();
        let (_, rest) = Fields::split(&header);
        let length = header.len() - rest.len();
        let has_empty_line = rest.len() < header.len() && ends_with_empty_line(header.get(..length));
        if !has_empty_line && whole.len() > LONGEST_HEADER as u64 {
            return Err(MimeError::HeaderTooLong(LONGEST_HEADER >> 10));
        }
        header.truncate(length);
        Ok(Self { header, body: whole.slice(length as u64..u64::MAX) })
    }

    /// The header as it came, with the empty line that ends it.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The header fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields::split(&self.header).0
    }

    /// The media type; `text/plain` where none is named or it cannot be read (RFC 2045 section 5.2).
    ///
    /// # Errors
    /// Two Content-Type fields.
    pub fn media_type(&self) -> Result<MediaType, MimeError> {
        mime::media_type(&self.fields())
    }

    /// The file name that the sender suggests: not safe to use, see [`super::attachment`].
    pub fn suggested_name(&self) -> Option<String> {
        mime::suggested_name(&self.fields())
    }

    /// The body without its transfer encoding.
    ///
    /// # Errors
    /// Two fields, or an unknown encoding; damage of the body shows when it is read.
    pub fn decoded_body(&self) -> Result<DecodedBody, MimeError> {
        let encoding = mime::transfer_encoding(&self.fields())?;
        Ok(DecodedBody { body: self.body.clone(), encoding })
    }

    /// The parts of a multipart that names its boundary; `None` for anything else.
    ///
    /// # Errors
    /// Two Content-Type fields, too many parts, or a body that cannot be read.
    pub fn parts(&self) -> Result<Option<(Vec<Content>, PartRanges)>, MimeError> {
        let media_type = self.media_type()?;
        let Some(boundary) = media_type.parameter("boundary").filter(|_| media_type.is_of_type("multipart"))
        else {
            return Ok(None);
        };
        let ranges = PartRanges::of(&self.body, boundary)?;
        let parts = ranges.parts.iter().map(|range| self.body.slice(range.clone())).collect();
        Ok(Some((parts, ranges)))
    }
}

fn ends_with_empty_line(header: Option<&[u8]>) -> bool {
    let header = header.unwrap_or_default();
    matches!(header, b"\n" | b"\r\n") || header.ends_with(b"\n\n") || header.ends_with(b"\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Part, MimeError> {
        Part::read(&Content::from_vec(bytes.to_vec()))
    }

    #[test]
    fn header_and_body_are_split_as_in_memory() {
        for bytes in [
            &b"A: b\r\n\r\nbody"[..],
            b"\r\nbody",
            b"\n",
            b"",
            b"no header at all",
            b"A: b\n \n\nbody",
            b"A: b\r\n",
            b"A: b\n\r\nbody",
        ] {
            let part = read(bytes).unwrap();
            let (fields, body) = Fields::split(bytes);
            assert_eq!(part.fields(), fields, "{bytes:?}");
            assert_eq!(&**part.body.to_vec(99).unwrap().unwrap(), body, "{bytes:?}");
        }
    }

    #[test]
    fn a_header_without_end_is_refused() {
        let line = b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
        let long = line.repeat(LONGEST_HEADER / line.len() + 1);
        assert_eq!(read(&long).unwrap_err(), MimeError::HeaderTooLong(256));
        let with_end = [&line.repeat(1_000)[..], b"\r\nbody", &[b'x'; LONGEST_HEADER]].concat();
        assert_eq!(read(&with_end).unwrap().body.len(), 4 + LONGEST_HEADER as u64);
        assert_eq!(read(&line.repeat(1_000)).unwrap().body.len(), 0);
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let part = read(&bytes).unwrap();
            let _ = (part.media_type(), part.suggested_name(), part.decoded_body(), part.parts());
        }
    }
}
