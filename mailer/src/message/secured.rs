//! The S/MIME forms of an entity (RFC 8551 section 3, RFC 1847): made, and recognised.
//!
//! What is signed is passed on byte for byte, both ways.
use std::io::{self, Read};

use super::header::MediaType;
use super::mime::MimeError;
use super::part::Part;
use super::transfer_encoding::{DecodedBody, encode_base64};
use crate::content::{Content, Replay};

/// The longest signature that stands beside its content, still transfer-encoded.
const LONGEST_SIGNATURE: u64 = 24 * 1024 * 1024;
/// What tells the kind of a CMS object.
const START_OF_OBJECT: u64 = 64;

/// How an entity is protected, by what it says and, for CMS objects, by what they are.
#[derive(Clone, Debug)]
pub enum Protection {
    /// Not at all.
    None,
    /// `multipart/signed` with a CMS signature.
    Detached {
        /// The first part exactly as it was signed: header, empty line, body.
        content: Content,
        /// The `ContentInfo` of the second part.
        signature: DecodedBody,
    },
    /// A CMS object that contains the entity, or nothing but certificates.
    Object {
        /// Which kind.
        kind: ObjectKind,
        /// The `ContentInfo`.
        cms: DecodedBody,
    },
}

/// The CMS content types that S/MIME carries (RFC 8551 section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// SignedData
    Signed,
    /// EnvelopedData
    Enveloped,
    /// AuthEnvelopedData
    AuthEnveloped,
    /// CompressedData
    Compressed,
    /// Something else, or no CMS object at all.
    Unknown,
}

/// Recognises the protection of an entity (RFC 8551 section 3.10).
///
/// # Errors
/// A `multipart/signed` or CMS part whose structure is broken, or can be read in two ways: it may have been protected once.
pub fn protection(entity: &Part) -> Result<Protection, MimeError> {
    let media_type = entity.media_type()?;
    let is_protected = match media_type.essence.as_str() {
        "multipart/signed" => {
            is_cms_signed(&media_type) || media_type.ambiguous_parameter() == Some("protocol")
        }
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => true,
        "application/octet-stream" => has_object_name(entity),
        _ => false,
    };
    match media_type.ambiguous_parameter() {
        _ if !is_protected => Ok(Protection::None),
        Some(name) => Err(MimeError::AmbiguousParameter(name.to_owned())),
        None if media_type.is_of_type("multipart") => detached(entity, &media_type),
        None => object(entity),
    }
}

/// Wraps signed content and its signature as `multipart/signed`, with header and body apart; `content` goes in unchanged,
/// and is not copied.
pub fn multipart_signed(
    content: &Content,
    signature: &[u8],
    micalg: &str,
    boundary: &str,
) -> (Vec<u8>, Content) {
    let header = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg={micalg};\r\n \
         boundary=\"{boundary}\"\r\n\r\n"
    );
    let before = format!("This is a signed message (S/MIME).\r\n\r\n--{boundary}\r\n");
    let between = format!(
        "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n"
    );
    let after =
        [between.into_bytes(), encode_base64(signature), format!("\r\n--{boundary}--\r\n").into_bytes()];
    let body = [Content::from_vec(before.into_bytes()), content.clone(), Content::from_vec(after.concat())];
    (header.into_bytes(), Content::concat(body))
}

/// The header of a CMS object with the given `smime-type`; its body is the object in base64.
pub fn pkcs7_mime_header(smime_type: &str) -> Vec<u8> {
    format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n"
    )
    .into_bytes()
}

/// Wraps a small CMS object as `application/pkcs7-mime` with the given `smime-type`.
pub fn pkcs7_mime(der: &[u8], smime_type: &str) -> Vec<u8> {
    [pkcs7_mime_header(smime_type), encode_base64(der)].concat()
}

fn is_cms_signed(media_type: &MediaType) -> bool {
    // RFC 1847 requires the parameter; where it is missing, the second part decides (see `detached`).
    media_type.parameter("protocol").is_none_or(is_signature_type)
}

fn is_signature_type(essence: &str) -> bool {
    ["application/pkcs7-signature", "application/x-pkcs7-signature"]
        .iter()
        .any(|known| essence.trim().eq_ignore_ascii_case(known))
}

fn detached(entity: &Part, media_type: &MediaType) -> Result<Protection, MimeError> {
    media_type.parameter("boundary").filter(|boundary| !boundary.is_empty()).ok_or(MimeError::NoBoundary)?;
    let (parts, ranges) = entity.parts()?.ok_or(MimeError::NoBoundary)?;
    if !ranges.is_complete {
        return Err(MimeError::CutOff);
    }
    let [content, signature] = &parts[..] else {
        return Err(MimeError::NotTwoParts(parts.len()));
    };
    let signature = Part::read(signature)?;
    let signature_type = signature.media_type()?.essence;
    if !is_signature_type(&signature_type) {
        return Err(MimeError::NotASignature(signature_type));
    }
    if signature.body.len() > LONGEST_SIGNATURE {
        return Err(MimeError::SignatureTooLong((LONGEST_SIGNATURE >> 20) as usize));
    }
    Ok(Protection::Detached { content: content.clone(), signature: signature.decoded_body()? })
}

fn object(entity: &Part) -> Result<Protection, MimeError> {
    let cms = entity.decoded_body()?;
    Ok(Protection::Object { kind: object_kind(&cms)?, cms })
}

fn has_object_name(entity: &Part) -> bool {
    entity.suggested_name().is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        [".p7m", ".p7c", ".p7z"].iter().any(|suffix| name.ends_with(suffix))
    })
}

/// Reads the content type of a `ContentInfo` (RFC 5652 section 3): the `smime-type` parameter is only a hint.
///
/// # Errors
/// It cannot be read.
pub fn object_kind(cms: &dyn Replay) -> io::Result<ObjectKind> {
    let mut start = Vec::new();
    cms.replay().take(START_OF_OBJECT).read_to_end(&mut start)?;
    Ok(match content_type(&start) {
        // 1.2.840.113549.1.7.2 and .3
        Some([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02]) => ObjectKind::Signed,
        Some([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03]) => ObjectKind::Enveloped,
        // 1.2.840.113549.1.9.16.1.23 and .9
        Some([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x17]) => ObjectKind::AuthEnveloped,
        Some([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x09]) => ObjectKind::Compressed,
        _ => ObjectKind::Unknown,
    })
}

fn content_type(der: &[u8]) -> Option<&[u8]> {
    let rest = der.strip_prefix(&[0x30])?;
    let (&length, rest) = rest.split_first()?;
    // The long form of the length is followed by that many bytes; 0x80 is BER's indefinite length.
    let rest = if length > 0x80 { rest.get(usize::from(length - 0x80)..)? } else { rest };
    let (&length, rest) = rest.strip_prefix(&[0x06])?.split_first()?;
    rest.get(..usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPED: &[u8] = &[0x30, 0x82, 1, 0, 0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 3, 0xA0];

    fn part(bytes: &[u8]) -> Part {
        Part::read(&Content::from_vec(bytes.to_vec())).unwrap()
    }

    fn bytes(content: &Content) -> Vec<u8> {
        content.to_vec(1_000_000).unwrap().unwrap().to_vec()
    }

    fn signed(content: &[u8], signature: &[u8], boundary: &str) -> Vec<u8> {
        let content = Content::from_vec(content.to_vec());
        let (header, body) = multipart_signed(&content, signature, "sha-256", boundary);
        [header, bytes(&body)].concat()
    }

    #[test]
    fn signed_content_comes_out_byte_for_byte() {
        for content in [
            &b"Content-Type: text/plain\r\n\r\nline\r\n"[..],
            b"Content-Type: text/plain\r\n\r\nno line end",
            b"\r\n",
            b"X: y\r\n\r\n\r\n\r\n--other\r\n",
            b"X: y\r\n\r\nlone\nlone\r",
        ] {
            let entity = signed(content, b"signature", "=_b");
            let Ok(Protection::Detached { content: found, signature }) = protection(&part(&entity)) else {
                panic!("{}", String::from_utf8_lossy(&entity));
            };
            assert_eq!(bytes(&found), content);
            assert_eq!(signature.to_vec(99).unwrap().unwrap(), b"signature");
        }
    }

    #[test]
    fn objects_are_known_by_what_they_are_not_by_what_they_are_called() {
        let entity = String::from_utf8(pkcs7_mime(ENVELOPED, "signed-data")).unwrap();
        let generic = entity.replace("application/pkcs7-mime", "application/octet-stream");
        for entity in [entity, generic] {
            let Ok(Protection::Object { kind: ObjectKind::Enveloped, cms }) =
                protection(&part(entity.as_bytes()))
            else {
                panic!("{entity}");
            };
            assert_eq!(cms.to_vec(99).unwrap().unwrap(), ENVELOPED);
        }
    }

    #[test]
    fn broken_signed_messages_are_not_taken_for_unsigned_ones() {
        let text = String::from_utf8(signed(b"A: b\r\n\r\nc", b"s", "b")).unwrap();
        let long = "QUFB\r\n".repeat(5_000_000);
        for (broken, wanted) in [
            (text.replace("--b--", ""), MimeError::CutOff),
            (
                text.replace("application/pkcs7-signature; name", "text/plain; name"),
                MimeError::NotASignature("text/plain".into()),
            ),
            (text.replace(";\r\n boundary=\"b\"", ""), MimeError::NoBoundary),
            (
                text.replace("boundary=\"b\"", "boundary=\"b\"; boundary=c"),
                MimeError::AmbiguousParameter("boundary".into()),
            ),
            (
                text.replace("protocol=", "protocol=\"application/pgp-signature\"; protocol="),
                MimeError::AmbiguousParameter("protocol".into()),
            ),
            (text.replace("\r\n--b--", "\r\n--b\r\n\r\nthird\r\n--b--"), MimeError::NotTwoParts(3)),
            (text.replace("\r\n--b--", &format!("\r\n{long}--b--")), MimeError::SignatureTooLong(24)),
            (
                format!("Content-Type: text/plain\r\n{text}"),
                super::super::header::RepeatedField("Content-Type").into(),
            ),
        ] {
            assert_eq!(protection(&part(broken.as_bytes())).unwrap_err(), wanted);
        }
        let foreign = text
            .replace("protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\"");
        assert!(matches!(protection(&part(foreign.as_bytes())), Ok(Protection::None)));
        // Neither an absent nor a wrong micalg says anything about the signature (RFC 8551 section 3.5.3.2).
        for micalg in ["", "micalg=md5;"] {
            let other = text.replace("micalg=sha-256;", micalg);
            assert!(
                matches!(protection(&part(other.as_bytes())), Ok(Protection::Detached { .. })),
                "{other}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn recognising_never_panics(object: Vec<u8>, position: proptest::sample::Index, change: u8) {
            let _ = object_kind(&Content::from_vec(object.clone()));
            let mut entity = signed(b"A: b\r\n\r\nc\r\n", &object, "b");
            let at = position.index(entity.len());
            entity[at] = change;
            let _ = protection(&part(&entity));
        }
    }
}
