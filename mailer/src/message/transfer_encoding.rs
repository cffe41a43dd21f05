//! Content-Transfer-Encoding (RFC 2045 section 6): base64 and quoted-printable, both ways.
use std::borrow::Cow;

use base64ct::{Base64, Encoding};

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

    /// Decodes a body.
    ///
    /// # Errors
    /// [`TransferEncodingError::Base64`]; quoted-printable is always readable (RFC 2045 section 6.7, robustness notes).
    pub fn decode(self, body: &[u8]) -> Result<Cow<'_, [u8]>, TransferEncodingError> {
        match self {
            Self::Identity => Ok(Cow::Borrowed(body)),
            Self::QuotedPrintable => Ok(Cow::Owned(decode_quoted_printable(body))),
            Self::Base64 => decode_base64(body).map(Cow::Owned),
        }
    }
}

/// Base64 in lines of 76 characters, each with CRLF (RFC 2045 section 6.8).
pub fn encode_base64(content: &[u8]) -> Vec<u8> {
    const BYTES_PER_LINE: usize = 57;
    let mut encoded = Vec::with_capacity(content.len() / BYTES_PER_LINE * 78 + 80);
    for line in content.chunks(BYTES_PER_LINE) {
        encoded.extend_from_slice(Base64::encode_string(line).as_bytes());
        encoded.extend_from_slice(b"\r\n");
    }
    encoded
}

/// Skips what RFC 2045 section 6.8 tells decoders to ignore, stops at the padding.
fn decode_base64(body: &[u8]) -> Result<Vec<u8>, TransferEncodingError> {
    let mut clean: Vec<u8> = Vec::with_capacity(body.len());
    clean.extend(
        body.iter()
            .take_while(|&&byte| byte != b'=')
            .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')),
    );
    while !clean.len().is_multiple_of(4) {
        clean.push(b'=');
    }
    let text = std::str::from_utf8(&clean).map_err(|_| TransferEncodingError::Base64)?;
    Base64::decode_vec(text).map_err(|_| TransferEncodingError::Base64)
}

fn decode_quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut lines = body.split_inclusive(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let content = line.trim_ascii_end();
        if lines.peek().is_none() && !line.ends_with(b"\n") {
            decode_quoted_printable_line(content, &mut decoded);
        } else if let Some(soft) = content.strip_suffix(b"=") {
            decode_quoted_printable_line(soft, &mut decoded);
        } else {
            decode_quoted_printable_line(content, &mut decoded);
            decoded.extend_from_slice(if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" });
        }
    }
    decoded
}

fn decode_quoted_printable_line(mut line: &[u8], decoded: &mut Vec<u8>) {
    while let Some((&byte, rest)) = line.split_first() {
        line = rest;
        if byte == b'='
            && let Some((&[high, low], rest)) = line.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (hexadecimal(high), hexadecimal(low))
        {
            decoded.push(high << 4 | low);
            line = rest;
        } else {
            decoded.push(byte);
        }
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Whether there is a CR that is not part of CRLF.
pub fn has_lone_carriage_return(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        if *byte == b'\r' && rest.peek() != Some(&&b'\n') {
            return true;
        }
    }
    false
}

/// Whether servers must carry an entity without changing it: ASCII without NUL, only CRLF as line end, and no line longer
/// than 998 octets (RFC 5321 section 4.5.3.1.6, RFC 5322 section 2.1.1).
pub fn is_seven_bit(entity: &[u8]) -> bool {
    const LONGEST_LINE: usize = 998;
    entity.is_ascii()
        && !entity.contains(&0)
        && super::canonical::is_canonical(entity)
        && entity.split(|&byte| byte == b'\n').all(|line| line.len() <= LONGEST_LINE + 1)
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

/// Quoted-printable of canonical text (RFC 2045 section 6.7): CRLF stays a line end, `From ` and a lone dot are hidden.
pub fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + text.len() / 8);
    let mut lines = text.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        let line = if is_last { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        encode_quoted_printable_line(line, &mut encoded);
        if !is_last {
            encoded.extend_from_slice(b"\r\n");
        }
    }
    encoded
}

fn encode_quoted_printable_line(line: &[u8], encoded: &mut Vec<u8>) {
    const LONGEST_LINE: usize = 76;
    let hide_first = line.starts_with(b"From ") || line.starts_with(b".");
    let last = line.len().wrapping_sub(1);
    let mut column = 0;
    for (position, &byte) in line.iter().enumerate() {
        let plain = match byte {
            b'=' => false,
            b' ' | b'\t' => position != last,
            0x21..=0x7E => !(position == 0 && hide_first),
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        // One column stays free for the "=" of a soft line break.
        if column + width > LONGEST_LINE - 1 {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
    }
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
    fn quoted_printable_decodes_the_example_of_rfc_2045() {
        let body =
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.  \r\n=E4=f6=zz=";
        let wanted = b"Now's the time for all folk to come to the aid of their country.\r\n\xE4\xF6=zz=";
        assert_eq!(&*TransferEncoding::QuotedPrintable.decode(body).unwrap(), wanted);
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
