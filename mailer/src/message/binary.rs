//! Binary parts re-encoded before line ends are made canonical, which would damage them (RFC 8551 section 3.1.2).
use std::borrow::Cow;

use super::canonical::to_crlf;
use super::header::Fields;
use super::mime::{Entity, MimeError, split_multipart};
use super::parse::MAXIMUM_DEPTH;
use super::transfer_encoding::{encode_base64, has_lone_carriage_return};

/// The same message with base64 for every part that is marked as binary, or that holds what only binary parts may hold (NUL,
/// a CR alone; RFC 2045 section 2.9). A message without any comes out as it is.
///
/// # Errors
/// The structure contradicts itself, or something binary stands where it cannot be re-encoded: in a signed multipart, or
/// directly in a part that is a message (RFC 2046 section 5.2.1).
pub fn without_binary_parts(message: &[u8]) -> Result<Cow<'_, [u8]>, MimeError> {
    Ok(entity(message, 0)?.map_or(Cow::Borrowed(message), Cow::Owned))
}

/// `None` where nothing had to change.
fn entity(bytes: &[u8], depth: usize) -> Result<Option<Vec<u8>>, MimeError> {
    if depth > MAXIMUM_DEPTH {
        return Err(MimeError::TooDeep(MAXIMUM_DEPTH));
    }
    let parsed = Entity::parse(bytes);
    let media_type = parsed.media_type()?;
    let is_binary = is_binary(&parsed)?;
    let Some(boundary) = media_type.parameter("boundary").filter(|_| media_type.is_of_type("multipart"))
    else {
        if !is_binary {
            return Ok(None);
        }
        if media_type.is_of_type("message") {
            return Err(MimeError::BinaryMessage);
        }
        let body =
            if media_type.is_of_type("text") { to_crlf(parsed.body) } else { Cow::Borrowed(parsed.body) };
        let mut encoded = header_without_encoding(bytes);
        encoded.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        encoded.extend_from_slice(&encode_base64(&body));
        return Ok(Some(encoded));
    };
    let mut has_changed = false;
    let mut rebuilt = header_without_encoding(bytes);
    rebuilt.extend_from_slice(b"\r\n");
    for part in split_multipart(parsed.body, boundary).parts {
        let changed = entity(part, depth + 1)?;
        has_changed |= changed.is_some();
        rebuilt.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        rebuilt.extend_from_slice(changed.as_deref().unwrap_or(part));
        rebuilt.extend_from_slice(b"\r\n");
    }
    rebuilt.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    match has_changed {
        true if media_type.essence == "multipart/signed" => Err(MimeError::BinarySigned),
        true => Ok(Some(rebuilt)),
        false => Ok(None),
    }
}

fn is_binary(entity: &Entity<'_>) -> Result<bool, MimeError> {
    let field = entity.fields.only("Content-Transfer-Encoding")?;
    let encoding = field.map(|field| field.unfolded().to_ascii_lowercase()).unwrap_or_default();
    let is_encoded = encoding.contains("base64") || encoding.contains("quoted-printable");
    let is_multipart = entity.media_type()?.is_of_type("multipart");
    let marked = encoding.contains("binary");
    let needed = !is_encoded && (entity.body.contains(&0) || has_lone_carriage_return(entity.body));
    Ok(!is_multipart && (marked || needed))
}

/// The header lines but Content-Transfer-Encoding, with CRLF.
fn header_without_encoding(bytes: &[u8]) -> Vec<u8> {
    let (fields, _) = Fields::split(bytes);
    let kept = fields.iter().filter(|field| !field.is("Content-Transfer-Encoding"));
    kept.flat_map(|field| to_crlf(field.raw()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parse::read;

    const BINARY: &[u8] = b"\x00\n\r\xFF\r\nx\n--c\n\r";

    fn message(encoding: &str, line_end: &str) -> Vec<u8> {
        let head = format!(
            "From: a@x.test\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: {encoding}\n\n--b\n\none\ntwo\n--b\n\
             Content-Type: application/octet-stream\nContent-Transfer-Encoding: {encoding}\n\n"
        );
        let line_ends = |text: &str| text.replace('\n', line_end).into_bytes();
        [line_ends(&head), BINARY.to_vec(), b"x".to_vec(), line_ends("\n--b--\n")].concat()
    }

    #[test]
    fn binary_parts_survive_canonical_line_ends() {
        for (encoding, line_end) in [("binary", "\r\n"), ("BINARY", "\n"), ("8bit", "\r\n"), ("8bit", "\n")] {
            let message = message(encoding, line_end);
            let encoded = without_binary_parts(&message).unwrap();
            let readable = read(&to_crlf(&encoded)).unwrap();
            assert_eq!(readable.text.trim_end(), "one\ntwo");
            assert_eq!(readable.attachments[0].content, [BINARY, b"x"].concat(), "{encoding} {line_end:?}");
        }
    }

    #[test]
    fn what_is_not_binary_stays_and_what_cannot_be_encoded_is_refused() {
        let plain = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\nx\r\n--b--\r\n";
        assert_eq!(without_binary_parts(plain).unwrap(), &plain[..]);
        let binary = "Content-Transfer-Encoding: binary\r\n\r\n\n";
        let nested = format!("Content-Type: message/rfc822\r\n{binary}");
        assert_eq!(without_binary_parts(nested.as_bytes()), Err(MimeError::BinaryMessage));
        let signed =
            format!("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n{binary}\r\n--b--\r\n");
        assert_eq!(without_binary_parts(signed.as_bytes()), Err(MimeError::BinarySigned));
        let twice = b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n";
        assert!(without_binary_parts(twice).is_err());
    }
}
