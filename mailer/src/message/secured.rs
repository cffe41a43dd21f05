//! The S/MIME forms of an entity (RFC 8551 section 3, RFC 1847): made, and recognised.
//!
//! What is signed is passed on byte for byte, both ways.
use super::header::MediaType;
use super::mime::{Entity, MimeError, split_multipart};
use super::transfer_encoding::encode_base64;

/// How an entity is protected, by what it says and, for CMS objects, by what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection<'a> {
    /// Not at all.
    None,
    /// `multipart/signed` with a CMS signature.
    Detached {
        /// The first part exactly as it was signed: header, empty line, body.
        content: &'a [u8],
        /// The `ContentInfo` of the second part.
        signature: Vec<u8>,
    },
    /// A CMS object that contains the entity, or nothing but certificates.
    Object {
        /// Which kind.
        kind: ObjectKind,
        /// The `ContentInfo`.
        der: Vec<u8>,
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
/// A `multipart/signed` or CMS part whose structure is broken: it may have been protected once.
pub fn protection<'a>(entity: &Entity<'a>) -> Result<Protection<'a>, MimeError> {
    let media_type = entity.media_type()?;
    match media_type.essence.as_str() {
        "multipart/signed" if is_cms_signed(&media_type) => detached(entity, &media_type),
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => object(entity),
        "application/octet-stream" if has_object_name(entity) => object(entity),
        _ => Ok(Protection::None),
    }
}

/// Wraps signed content and its signature as `multipart/signed`; `content` goes in unchanged.
pub fn multipart_signed(content: &[u8], signature: &[u8], micalg: &str, boundary: &str) -> Vec<u8> {
    let encoded = encode_base64(signature);
    let mut entity = Vec::with_capacity(content.len() + encoded.len() + 700);
    entity.extend_from_slice(
        format!(
            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg={micalg};\r\n \
             boundary=\"{boundary}\"\r\n\r\nThis is a signed message (S/MIME).\r\n\r\n--{boundary}\r\n"
        )
        .as_bytes(),
    );
    entity.extend_from_slice(content);
    entity.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
             Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7s\r\n\r\n"
        )
        .as_bytes(),
    );
    entity.extend_from_slice(&encoded);
    entity.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    entity
}

/// Wraps a CMS object as `application/pkcs7-mime` with the given `smime-type`.
pub fn pkcs7_mime(der: &[u8], smime_type: &str) -> Vec<u8> {
    let mut entity = format!(
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=smime.p7m\r\n\
         Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=smime.p7m\r\n\r\n"
    )
    .into_bytes();
    entity.extend_from_slice(&encode_base64(der));
    entity
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

fn detached<'a>(entity: &Entity<'a>, media_type: &MediaType) -> Result<Protection<'a>, MimeError> {
    let boundary = media_type.parameter("boundary").filter(|b| !b.is_empty()).ok_or(MimeError::NoBoundary)?;
    let parts = split_multipart(entity.body, boundary);
    if !parts.is_complete {
        return Err(MimeError::CutOff);
    }
    let [content, signature] = parts.parts[..] else {
        return Err(MimeError::NotTwoParts(parts.parts.len()));
    };
    let signature = Entity::parse(signature);
    let signature_type = signature.media_type()?.essence;
    if !is_signature_type(&signature_type) {
        return Err(MimeError::NotASignature(signature_type));
    }
    Ok(Protection::Detached { content, signature: signature.decoded_body()?.into_owned() })
}

fn object<'a>(entity: &Entity<'a>) -> Result<Protection<'a>, MimeError> {
    let der = entity.decoded_body()?.into_owned();
    Ok(Protection::Object { kind: object_kind(&der), der })
}

fn has_object_name(entity: &Entity<'_>) -> bool {
    entity.suggested_name().is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        [".p7m", ".p7c", ".p7z"].iter().any(|suffix| name.ends_with(suffix))
    })
}

/// Reads the content type of a `ContentInfo` (RFC 5652 section 3): the `smime-type` parameter is only a hint.
fn object_kind(der: &[u8]) -> ObjectKind {
    let Some(object_identifier) = content_type(der) else { return ObjectKind::Unknown };
    match object_identifier {
        // 1.2.840.113549.1.7.2 and .3
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02] => ObjectKind::Signed,
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03] => ObjectKind::Enveloped,
        // 1.2.840.113549.1.9.16.1.23 and .9
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x17] => ObjectKind::AuthEnveloped,
        [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x09] => ObjectKind::Compressed,
        _ => ObjectKind::Unknown,
    }
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

    #[test]
    fn signed_content_comes_out_byte_for_byte() {
        for content in [
            &b"Content-Type: text/plain\r\n\r\nline\r\n"[..],
            b"Content-Type: text/plain\r\n\r\nno line end",
            b"\r\n",
            b"X: y\r\n\r\n\r\n\r\n--other\r\n",
        ] {
            let entity = multipart_signed(content, b"signature", "sha-256", "=_b");
            let Ok(Protection::Detached { content: found, signature }) = protection(&Entity::parse(&entity))
            else {
                panic!("{}", String::from_utf8_lossy(&entity));
            };
            assert_eq!((found, &signature[..]), (content, &b"signature"[..]));
        }
    }

    #[test]
    fn objects_are_known_by_what_they_are_not_by_what_they_are_called() {
        let entity = pkcs7_mime(ENVELOPED, "signed-data");
        let wanted = Protection::Object { kind: ObjectKind::Enveloped, der: ENVELOPED.to_vec() };
        assert_eq!(protection(&Entity::parse(&entity)), Ok(wanted.clone()));
        let generic =
            String::from_utf8(entity).unwrap().replace("application/pkcs7-mime", "application/octet-stream");
        assert_eq!(protection(&Entity::parse(generic.as_bytes())), Ok(wanted));
    }

    #[test]
    fn broken_signed_messages_are_not_taken_for_unsigned_ones() {
        let entity = multipart_signed(b"A: b\r\n\r\nc", b"s", "sha-256", "b");
        let text = String::from_utf8(entity).unwrap();
        for (broken, wanted) in [
            (text.replace("--b--", ""), MimeError::CutOff),
            (
                text.replace("application/pkcs7-signature; name", "text/plain; name"),
                MimeError::NotASignature("text/plain".into()),
            ),
            (text.replace(";\r\n boundary=\"b\"", ""), MimeError::NoBoundary),
            (text.replace("\r\n--b--", "\r\n--b\r\n\r\nthird\r\n--b--"), MimeError::NotTwoParts(3)),
            (
                format!("Content-Type: text/plain\r\n{text}"),
                super::super::header::RepeatedField("Content-Type").into(),
            ),
        ] {
            assert_eq!(protection(&Entity::parse(broken.as_bytes())), Err(wanted), "{broken}");
        }
        let foreign = text
            .replace("protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\"");
        assert_eq!(protection(&Entity::parse(foreign.as_bytes())), Ok(Protection::None));
    }

    proptest::proptest! {
        #[test]
        fn recognising_never_panics(bytes: Vec<u8>, position: proptest::sample::Index, change: u8) {
            let _ = object_kind(&bytes);
            let mut entity = multipart_signed(b"A: b\r\n\r\nc\r\n", &bytes, "sha-256", "b");
            let at = position.index(entity.len());
            entity[at] = change;
            let _ = protection(&Entity::parse(&entity));
        }
    }
}
