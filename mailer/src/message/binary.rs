//! Binary parts re-encoded before line ends are made canonical, which would damage them (RFC 8551 section 3.1.2).
use super::base64::Base64Writer;
use super::canonical::{CanonicalWriter, LineFacts, spool_canonical, to_crlf};
use super::header::Fields;
use super::mime::MimeError;
use super::parse::MAXIMUM_DEPTH;
use super::part::Part;
use crate::content::{Content, Spool};

/// The same message with base64 for every part that is marked as binary, or that holds what only binary parts may hold (NUL,
/// a CR alone; RFC 2045 section 2.9). A message without any comes out as it is.
///
/// # Errors
/// The structure contradicts itself, or something binary stands where it cannot be re-encoded: in a signed multipart, or
/// directly in a part that is a message (RFC 2046 section 5.2.1).
pub fn without_binary_parts(message: &Content) -> Result<Content, MimeError> {
    Ok(entity(message, 0)?.unwrap_or_else(|| message.clone()))
}

/// The same message with base64 for its binary parts and CRLF as its only line end: what can be signed.
///
/// # Errors
/// See [`without_binary_parts`].
pub fn canonical(message: &Content) -> Result<Content, MimeError> {
    // Text in one part is looked at once.
    if let Some(facts) = facts_of_plain_text(&Part::read(message)?)? {
        return if facts.is_canonical() { Ok(message.clone()) } else { Ok(spool_canonical(message)?) };
    }
    let encoded = without_binary_parts(message)?;
    if LineFacts::of(&encoded)?.is_canonical() { Ok(encoded) } else { Ok(spool_canonical(&encoded)?) }
}

/// About header and body of a message that is one part, is not encoded and needs not be; `None` for any other.
fn facts_of_plain_text(message: &Part) -> Result<Option<LineFacts>, MimeError> {
    if message.media_type()?.is_of_type("multipart") || !transfer_encoding(message)?.is_plain() {
        return Ok(None);
    }
    let (header, body) = (LineFacts::of_bytes(message.header()), LineFacts::of(&message.body)?);
    if header.needs_binary() || body.needs_binary() {
        return Ok(None);
    }
    // A header ends with a line feed, and neither part has a CR alone: no CRLF stands across both.
    let has_lone_line_feed = header.has_lone_line_feed || body.has_lone_line_feed;
    Ok(Some(LineFacts { has_lone_line_feed, ..body }))
}

/// `None` where nothing had to change.
fn entity(whole: &Content, depth: usize) -> Result<Option<Content>, MimeError> {
    if depth > MAXIMUM_DEPTH {
        return Err(MimeError::TooDeep(MAXIMUM_DEPTH));
    }
    let part = Part::read(whole)?;
    let media_type = part.media_type()?;
    let Some((parts, _)) = part.parts()? else {
        if media_type.is_of_type("multipart") || !is_binary(&part)? {
            return Ok(None);
        }
        if media_type.is_of_type("message") {
            return Err(MimeError::BinaryMessage);
        }
        return Ok(Some(encoded(&part, media_type.is_of_type("text"))?));
    };
    let boundary = media_type.parameter("boundary").unwrap_or_default();
    let mut has_changed = false;
    let mut rebuilt = vec![header_without_encoding(&part.fields())];
    for part in parts {
        let changed = entity(&part, depth + 1)?;
        has_changed |= changed.is_some();
        let before = format!("\r\n--{boundary}\r\n").into_bytes();
        rebuilt.extend([Content::from_vec(before), changed.unwrap_or(part)]);
    }
    rebuilt.push(Content::from_vec(format!("\r\n--{boundary}--\r\n").into_bytes()));
    match has_changed {
        true if media_type.essence == "multipart/signed" => Err(MimeError::BinarySigned),
        true => Ok(Some(Content::concat(rebuilt))),
        false => Ok(None),
    }
}

fn encoded(part: &Part, is_text: bool) -> Result<Content, MimeError> {
    let mut writer = Base64Writer::new(Spool::new());
    if is_text {
        let mut canonical = CanonicalWriter::new(writer);
        part.body.write_to(&mut canonical)?;
        writer = canonical.into_inner();
    } else {
        part.body.write_to(&mut writer)?;
    }
    let body = writer.finish()?.finish()?;
    let encoding = b"Content-Transfer-Encoding: base64\r\n\r\n".to_vec();
    Ok(Content::concat([header_without_encoding(&part.fields()), Content::from_vec(encoding), body]))
}

fn is_binary(part: &Part) -> Result<bool, MimeError> {
    let named = transfer_encoding(part)?;
    Ok(named.is_binary || (!named.is_encoded && LineFacts::of(&part.body)?.needs_binary()))
}

/// What Content-Transfer-Encoding says, read generously.
struct Named {
    is_binary: bool,
    is_encoded: bool,
}

impl Named {
    fn is_plain(&self) -> bool {
        !self.is_binary && !self.is_encoded
    }
}

fn transfer_encoding(part: &Part) -> Result<Named, MimeError> {
    let fields = part.fields();
    let field = fields.only("Content-Transfer-Encoding")?;
    let named = field.map(|field| field.unfolded().to_ascii_lowercase()).unwrap_or_default();
    let is_encoded = named.contains("base64") || named.contains("quoted-printable");
    Ok(Named { is_binary: named.contains("binary"), is_encoded })
}

/// The header lines but Content-Transfer-Encoding, with CRLF.
fn header_without_encoding(fields: &Fields<'_>) -> Content {
    let kept = fields.iter().filter(|field| !field.is("Content-Transfer-Encoding"));
    Content::from_vec(kept.flat_map(|field| to_crlf(field.raw()).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parse::read;
    use crate::message::shown_text::Reading;

    const BINARY: &[u8] = b"\x00\n\r\xFF\r\nx\n--c\n\r";

    fn message(encoding: &str, line_end: &str) -> Vec<u8> {
        let head = format!(
            "From: a@x.test\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: {encoding}\n\n--b\n\none\ntwo\n--b\n\
             Content-Type: application/octet-stream\nContent-Transfer-Encoding: {encoding}\n\n"
        );
        let line_ends = |text: &str| text.replace('\n', line_end).into_bytes();
        [line_ends(&head), BINARY.to_vec(), b"x".to_vec(), line_ends("\n--b--\n")].concat()
    }

    fn re_encoded(message: &[u8]) -> Result<Vec<u8>, MimeError> {
        let content = without_binary_parts(&Content::from_vec(message.to_vec()))?;
        Ok(content.to_vec(1_000_000).unwrap().unwrap().to_vec())
    }

    #[test]
    fn binary_parts_survive_canonical_line_ends() {
        for (encoding, line_end) in [("binary", "\r\n"), ("BINARY", "\n"), ("8bit", "\r\n"), ("8bit", "\n")] {
            let message = message(encoding, line_end);
            let encoded = re_encoded(&message).unwrap();
            let content = Content::from_vec(to_crlf(&encoded).into_owned());
            let readable = read(&content, Reading::default()).unwrap();
            assert_eq!(readable.text.trim_end(), "one\ntwo");
            let octets = readable.attachments[0].to_vec(99).unwrap().unwrap();
            assert_eq!(octets, [BINARY, b"x"].concat(), "{encoding} {line_end:?}");
        }
    }

    #[test]
    fn whatever_comes_can_be_signed_afterwards() {
        for (text, same) in [
            (&b"A: b\r\n\r\nx\r\n"[..], true),
            (b"A: b\n\nx\r\n", false),
            (b"A: b\r\n\r\nx\n", false),
            (b"A: b\r\n\r\nx\r", false),
            (b"A: b\rc\r\n\r\nx\r\n", false),
            (b"Content-Transfer-Encoding: binary\r\n\r\nx\r\n", false),
            (b"Content-Transfer-Encoding: base64\n\neA==\n", false),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\n\r\n--b--\r\n", false),
            (b"no header\r\n", true),
            (b"\nx", false),
            (b"", true),
        ] {
            let canonical = canonical(&Content::from_vec(text.to_vec())).unwrap();
            let canonical = canonical.to_vec(9_999).unwrap().unwrap();
            assert!(LineFacts::of_bytes(&canonical).is_canonical(), "{text:?}");
            assert_eq!(**canonical == *text, same, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_binary_stays_and_what_cannot_be_encoded_is_refused() {
        let plain = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(re_encoded(plain).unwrap(), plain);
        let binary = "Content-Transfer-Encoding: binary\r\n\r\n\n";
        let nested = format!("Content-Type: message/rfc822\r\n{binary}");
        assert_eq!(re_encoded(nested.as_bytes()), Err(MimeError::BinaryMessage));
        let signed =
            format!("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n{binary}\r\n--b--\r\n");
        assert_eq!(re_encoded(signed.as_bytes()), Err(MimeError::BinarySigned));
        let twice = b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n";
        assert!(re_encoded(twice).is_err());
    }
}
