//! `multipart/mixed` answers of a certificate store (RFC 4387 section 2, RFC 2046 section 5.1): binary parts.

/// The boundary of a multipart content type; `None` for any other.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';');
    if !parameters.next()?.trim().to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The bodies of at most `most` parts; `None` when the structure is not there.
pub(super) fn parts(body: &[u8], boundary: &str, most: usize) -> Option<Vec<Vec<u8>>> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = match body.strip_prefix(delimiter.as_slice()) {
        Some(rest) => rest,
        None => after(body, &[b"\r\n", delimiter.as_slice()].concat())?,
    };
    let delimiter = [b"\r\n", delimiter.as_slice()].concat();
    let mut found = Vec::new();
    while !rest.starts_with(b"--") {
        let (part, next) = split(rest, &delimiter)?;
        let (_, content) = split(part, b"\r\n\r\n")?;
        found.push(content.to_vec());
        if found.len() > most {
            return None;
        }
        rest = next;
    }
    Some(found)
}

fn after<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    split(bytes, wanted).map(|(_, after)| after)
}

fn split<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let position = bytes.windows(wanted.len()).position(|window| window == wanted)?;
    Some((bytes.get(..position)?, bytes.get(position + wanted.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out_byte_for_byte() {
        let body = b"--x\r\nContent-Type: application/pkix-cert\r\n\r\n0\r\n1\r\n--x\r\nContent-Type: a/b\r\n\r\n\x00\xff\r\n--x--\r\n";
        assert_eq!(parts(body, "x", 9).unwrap(), [b"0\r\n1".to_vec(), b"\x00\xff".to_vec()]);
        assert!(parts(body, "x", 1).is_none());
        assert!(parts(b"nothing of the kind", "x", 9).is_none());
        assert!(parts(b"--x\r\n\r\nnever ends", "x", 9).is_none());
    }

    #[test]
    fn only_multipart_has_a_boundary() {
        assert_eq!(boundary("Multipart/Mixed; charset=x; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("application/pkix-cert; boundary=x"), None);
    }
}
