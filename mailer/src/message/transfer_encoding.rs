//! Content-Transfer-Encoding (RFC 2045 section 6): which there are, and bodies without it.
use std::borrow::Cow;
use std::io::{self, Read, Write};

use super::base64::{Base64Reader, Base64Writer};
use super::quoted_printable::QuotedPrintableReader;
pub use super::quoted_printable::encode_quoted_printable;
use crate::content::{Content, Replay, Spool};

/// The encodings of RFC 2045 section 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// `7bit`, `8bit`, `binary`, or none named.
    Identity,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
}

/// A transfer encoding that is not in RFC 2045, or a body that is not in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferEncodingError {
    /// Not a name of RFC 2045 section 6.1.
    #[error("the transfer encoding {0:?} is unknown")]
    Unknown(String),
    /// Not base64.
    #[error("the base64 content is damaged")]
    Base64,
}

impl TransferEncoding {
    /// Reads the value of a Content-Transfer-Encoding field.
    ///
    /// # Errors
    /// [`TransferEncodingError::Unknown`].
    pub fn from_name(name: &str) -> Result<Self, TransferEncodingError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "7bit" | "8bit" | "binary" => Ok(Self::Identity),
            "quoted-printable" => Ok(Self::QuotedPrintable),
            "base64" => Ok(Self::Base64),
            other => Err(TransferEncodingError::Unknown(other.to_owned())),
        }
    }

    /// Decodes a body that is in memory.
    ///
    /// # Errors
    /// [`TransferEncodingError::Base64`]; quoted-printable is always readable (RFC 2045 section 6.7, robustness notes).
    pub fn decode(self, body: &[u8]) -> Result<Cow<'_, [u8]>, TransferEncodingError> {
        if self == Self::Identity {
            return Ok(Cow::Borrowed(body));
        }
        let mut decoded = Vec::with_capacity(body.len());
        self.reader(body).read_to_end(&mut decoded).map_err(|_| TransferEncodingError::Base64)?;
        Ok(Cow::Owned(decoded))
    }

    /// Decodes what `body` reads.
    fn reader<'a>(self, body: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::Identity => Box::new(body),
            Self::QuotedPrintable => Box::new(QuotedPrintableReader::new(body)),
            Self::Base64 => Box::new(Base64Reader::new(body)),
        }
    }
}

/// A body of any length, decoded while it is read. Damage shows as an error of kind `InvalidData` that carries a
/// [`TransferEncodingError`].
#[derive(Clone, Debug)]
pub struct DecodedBody {
    /// The body as it came.
    pub body: Content,
    /// How it is encoded.
    pub encoding: TransferEncoding,
}

impl DecodedBody {
    /// The decoded octets as a content: a view where nothing is encoded, else a spooled copy.
    ///
    /// # Errors
    /// The body is damaged, or cannot be read or spooled.
    pub fn to_content(&self) -> io::Result<Content> {
        match self.encoding {
            TransferEncoding::Identity => Ok(self.body.clone()),
            _ => Spool::take(&mut self.replay()),
        }
    }

    /// All octets in memory, or `None` where there are more than `most`.
    ///
    /// # Errors
    /// The body is damaged, or cannot be read.
    pub fn to_vec(&self, most: usize) -> io::Result<Option<Vec<u8>>> {
        let mut decoded = Vec::new();
        self.replay().take(most as u64 + 1).read_to_end(&mut decoded)?;
        Ok((decoded.len() <= most).then_some(decoded))
    }
}

impl Replay for DecodedBody {
    fn replay(&self) -> Box<dyn Read + '_> {
        self.encoding.reader(self.body.reader())
    }
}

/// Base64 in lines of 76 characters, each with CRLF (RFC 2045 section 6.8), of something small.
pub fn encode_base64(content: &[u8]) -> Vec<u8> {
    let mut writer = Base64Writer::new(Vec::with_capacity(content.len() / 57 * 78 + 80));
    // A vector takes whatever is written.
    writer.write_all(content).and_then(|()| writer.finish()).unwrap_or_default()
}

/// Whether canonical text survives mail transport as it is: ASCII, short lines, no trailing blanks, and no line that
/// gateways change (`From `, a lone dot; RFC 8551 section 3.1.4).
pub fn is_transport_safe(text: &[u8]) -> bool {
    text.is_ascii()
        && text.split(|&byte| byte == b'\n').all(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            line.len() <= 76
                && !line.starts_with(b"From ")
                && line != b"."
                && !line.ends_with(b" ")
                && !line.ends_with(b"\t")
                && line.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_ignores_foreign_characters_and_missing_padding() {
        for text in ["SGVsbG8=", "SGVs\r\n bG8", "SG-Vs!bG8=\r\n-- footer"] {
            assert_eq!(&*TransferEncoding::Base64.decode(text.as_bytes()).unwrap(), b"Hello", "{text}");
        }
        assert_eq!(TransferEncoding::Base64.decode(b"A"), Err(TransferEncodingError::Base64));
    }

    #[test]
    fn damage_is_told_from_a_disk_that_fails() {
        let body = DecodedBody { body: Content::from_vec(b"A".to_vec()), encoding: TransferEncoding::Base64 };
        let problem = body.to_content().unwrap_err();
        assert!(problem.get_ref().is_some_and(|cause| cause.is::<TransferEncodingError>()));
    }

    #[test]
    fn quoted_printable_keeps_within_76_columns_and_hides_what_gateways_change() {
        let text = format!("From me\r\n.\r\ntrailing \r\n{}\r\nGrüße = {}", "x".repeat(200), "ä".repeat(90));
        let encoded = encode_quoted_printable(text.as_bytes());
        assert!(is_transport_safe(&encoded), "{}", String::from_utf8_lossy(&encoded));
        assert_eq!(&*TransferEncoding::QuotedPrintable.decode(&encoded).unwrap(), text.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn encodings_are_inverse(content: Vec<u8>) {
            let base64 = encode_base64(&content);
            assert_eq!(&*TransferEncoding::Base64.decode(&base64).unwrap(), &content[..]);
            let canonical = crate::message::canonical::to_crlf(&content);
            let quoted = encode_quoted_printable(&canonical);
            assert_eq!(&*TransferEncoding::QuotedPrintable.decode(&quoted).unwrap(), &*canonical);
        }

        #[test]
        fn decoding_never_panics(content: Vec<u8>) {
            let _ = TransferEncoding::Base64.decode(&content);
            let _ = TransferEncoding::QuotedPrintable.decode(&content);
        }
    }
}
