//! The header that everybody on the way sees, apart from the entity that gets protected (RFC 8551 section 3.1).
//!
//! What of the header is protected besides is [`super::header_protection`]'s.
use super::content_type_parameter;
use super::header::Fields;
use super::mime::MimeError;
use super::part::Part;
use crate::content::Content;

/// A message taken apart.
#[derive(Clone, Debug)]
pub struct Separated {
    /// Every field that is neither `Content-*` nor `MIME-Version`, each line as it was.
    pub fields: Vec<u8>,
    /// The `Content-*` fields and an empty line.
    pub entity_header: Vec<u8>,
    /// The body of message and entity.
    pub body: Content,
}

impl Separated {
    /// The entity that gets protected.
    pub fn entity(&self) -> Content {
        Content::concat([Content::from_vec(self.entity_header.clone()), self.body.clone()])
    }
}

/// Takes a message apart; fields named in `without` are left out.
pub fn separate(message: &Part, without: &[&str]) -> Separated {
    let (mut outer, mut entity_header) = (Vec::new(), Vec::new());
    for field in message.fields().iter() {
        if is_content_field(field.name()) {
            entity_header.extend_from_slice(field.raw());
        } else if !field.is("MIME-Version") && !without.iter().any(|name| field.is(name)) {
            outer.extend_from_slice(field.raw());
        }
    }
    entity_header.extend_from_slice(b"\r\n");
    Separated { fields: outer, entity_header, body: message.body.clone() }
}

/// Puts outer fields and an entity together to a message. The entity's body is not copied.
///
/// # Errors
/// The entity cannot be read.
pub fn assemble_content(fields: &[u8], entity: &Content) -> Result<Content, MimeError> {
    let entity = Part::read(entity)?;
    let header = assemble_header(fields, entity.header());
    Ok(Content::concat([Content::from_vec(header), entity.body]))
}

/// The same for a message in memory.
pub fn assemble(fields: &[u8], entity: &[u8]) -> Vec<u8> {
    let (_, body) = Fields::split(entity);
    let header = entity.get(..entity.len() - body.len()).unwrap_or_default();
    [&assemble_header(fields, header), body].concat()
}

/// The header of the message that outer fields and the header of an entity become, with the empty line that ends it.
///
/// Where the entity itself carries a field (a sender that protects its header), that field stands and the outer one goes.
/// The header is written so that every program reads the same fields in it; see [`plain_header`].
pub fn assemble_header(fields: &[u8], entity_header: &[u8]) -> Vec<u8> {
    let (outer, _) = Fields::split(fields);
    let (inner, _) = Fields::split(entity_header);
    let mut message = Vec::with_capacity(fields.len() + entity_header.len() + 20);
    for field in outer.iter().filter(|field| inner.first(field.name()).is_none()) {
        push_plain(field.raw(), &mut message);
    }
    if inner.first("MIME-Version").is_none() {
        message.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    message.extend_from_slice(&plain_header(entity_header));
    message
}

/// The header of the message whose fields were revealed ([`super::header_protection`]) and whose content is an entity with
/// this header: of that only the `Content-*` fields and MIME-Version count, without what announced the protection.
pub fn revealed_header(fields: &[u8], entity_header: &[u8]) -> Vec<u8> {
    let announced = content_type_parameter::without(entity_header, "hp");
    let announced = content_type_parameter::without(&announced, "protected-headers");
    let (inner, _) = Fields::split(&announced);
    let kept: Vec<u8> = inner
        .iter()
        .filter(|field| is_entity_field(field.name()))
        .flat_map(|field| field.raw().iter().copied())
        .collect();
    assemble_header(fields, &kept)
}

/// The same header with CRLF as the only line end and without blank lines inside fields, which some programs take for the end
/// of the header; it ends with an empty line. A bare CR stays, to be found by [`super::authors`].
pub fn plain_header(header: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(header.len() + 64);
    push_plain(header, &mut plain);
    plain.extend_from_slice(b"\r\n");
    plain
}

fn push_plain(lines: &[u8], plain: &mut Vec<u8>) {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        if line.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
            plain.extend_from_slice(line);
            plain.extend_from_slice(b"\r\n");
        }
    }
}

/// Whether a field belongs to a MIME entity, and not to the message around it.
pub(super) fn is_entity_field(name: &str) -> bool {
    is_content_field(name) || name.eq_ignore_ascii_case("MIME-Version")
}

fn is_content_field(name: &str) -> bool {
    name.as_bytes().first_chunk::<8>().is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart_and_put_together_again() {
        let message =
            b"From: a\r\nMIME-Version: 1.0\r\ncontent-type: text/plain;\r\n charset=utf-8\r\nBcc: x\r\nSubject: s\r\n\r\nbody\r\n";
        let separated = separate(&Part::read(&Content::from_vec(message.to_vec())).unwrap(), &["bcc"]);
        assert_eq!(separated.fields, b"From: a\r\nSubject: s\r\n");
        let bytes = |content: Content| content.to_vec(1_000).unwrap().unwrap().to_vec();
        let entity = bytes(separated.entity());
        assert_eq!(entity, b"content-type: text/plain;\r\n charset=utf-8\r\n\r\nbody\r\n");
        let assembled = assemble(&separated.fields, &entity);
        assert_eq!(bytes(assemble_content(&separated.fields, &separated.entity()).unwrap()), assembled);
        assert_eq!(
            assembled,
            b"From: a\r\nSubject: s\r\nMIME-Version: 1.0\r\ncontent-type: text/plain;\r\n charset=utf-8\r\n\r\nbody\r\n"
        );
    }

    #[test]
    fn every_program_reads_the_same_fields_in_what_is_put_together() {
        let message = assemble(
            b"From: a\nSubject: s\r\n \t\r\n more\r\nTo: b",
            b"Content-Type: text/plain\n \n\nbody\n \n",
        );
        assert_eq!(
            message,
            b"From: a\r\nSubject: s\r\n more\r\nTo: b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nbody\n \n"
        );
        assert_eq!(plain_header(b"A: b\r\rC: d\n\n"), b"A: b\r\rC: d\r\n\r\n");
    }

    #[test]
    fn protected_fields_replace_outer_ones() {
        let message =
            assemble(b"Subject: ...\r\nTo: b\r\n", b"Subject: real\r\nContent-Type: text/plain\r\n\r\nx");
        assert_eq!(
            message,
            b"To: b\r\nMIME-Version: 1.0\r\nSubject: real\r\nContent-Type: text/plain\r\n\r\nx"
        );
    }
}
