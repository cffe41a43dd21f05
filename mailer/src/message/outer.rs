//! The header that everybody on the way sees, apart from the entity that gets protected (RFC 8551 section 3.1).
//!
//! Header protection (RFC 9788) is not written yet: Subject, From, To and Date travel in the clear outside the envelope.
use super::header::Fields;

/// A message taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Separated {
    /// Every field that is neither `Content-*` nor `MIME-Version`, each line as it was.
    pub fields: Vec<u8>,
    /// The `Content-*` fields, an empty line, and the body.
    pub entity: Vec<u8>,
}

/// Takes a message apart; fields named in `without` are left out.
pub fn separate(message: &[u8], without: &[&str]) -> Separated {
    let (fields, body) = Fields::split(message);
    let mut separated = Separated { fields: Vec::new(), entity: Vec::with_capacity(body.len() + 200) };
    for field in fields.iter() {
        if is_content_field(field.name()) {
            separated.entity.extend_from_slice(field.raw());
        } else if !field.is("MIME-Version") && !without.iter().any(|name| field.is(name)) {
            separated.fields.extend_from_slice(field.raw());
        }
    }
    separated.entity.extend_from_slice(b"\r\n");
    separated.entity.extend_from_slice(body);
    separated
}

/// Puts outer fields and an entity together to a message.
///
/// Where the entity itself carries a field (a sender that protects its header), that field stands and the outer one goes.
/// The header is written so that every program reads the same fields in it; see [`with_plain_header`].
pub fn assemble(fields: &[u8], entity: &[u8]) -> Vec<u8> {
    let (outer, _) = Fields::split(fields);
    let (inner, _) = Fields::split(entity);
    let mut message = Vec::with_capacity(fields.len() + entity.len() + 20);
    for field in outer.iter().filter(|field| inner.first(field.name()).is_none()) {
        push_plain(field.raw(), &mut message);
    }
    if inner.first("MIME-Version").is_none() {
        message.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    message.extend_from_slice(&with_plain_header(entity));
    message
}

/// The same message or entity, its header with CRLF as the only line end and without blank lines inside fields, which some
/// programs take for the end of the header. A bare CR stays, to be found by [`super::authors`]. The body stays as it is.
pub fn with_plain_header(entity: &[u8]) -> Vec<u8> {
    let (_, body) = Fields::split(entity);
    let mut plain = Vec::with_capacity(entity.len() + 64);
    push_plain(entity.get(..entity.len() - body.len()).unwrap_or_default(), &mut plain);
    plain.extend_from_slice(b"\r\n");
    plain.extend_from_slice(body);
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
        let separated = separate(message, &["bcc"]);
        assert_eq!(separated.fields, b"From: a\r\nSubject: s\r\n");
        assert_eq!(separated.entity, b"content-type: text/plain;\r\n charset=utf-8\r\n\r\nbody\r\n");
        assert_eq!(
            assemble(&separated.fields, &separated.entity),
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
        assert_eq!(with_plain_header(b"A: b\r\rC: d\n\n"), b"A: b\r\rC: d\r\n\r\n");
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
