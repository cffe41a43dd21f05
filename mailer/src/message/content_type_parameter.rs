//! One parameter of Content-Type set or removed, while every other octet of the header stays as it is.
use super::header::{Fields, MediaType};

/// The same header with `name="value"` in its Content-Type; `None` where it could not be read back.
///
/// A header without Content-Type gets that of a plain text (RFC 2045 section 5.2).
pub(super) fn with(header: &[u8], name: &str, value: &str) -> Option<Vec<u8>> {
    let mut header = without(header, name);
    if !header.is_empty() && !header.ends_with(b"\n") {
        header.extend_from_slice(b"\r\n");
    }
    let (fields, _) = Fields::split(&header);
    let Some(field) = fields.first("Content-Type") else {
        let added = format!("Content-Type: text/plain; {name}=\"{value}\"\r\n");
        return Some([&header, added.as_bytes()].concat());
    };
    let text = field.raw().trim_ascii_end();
    let text = text.strip_suffix(b";").unwrap_or(text).trim_ascii_end();
    let first_semicolon = field.raw().iter().position(|&byte| byte == b';').unwrap_or(text.len());
    // At the end, or in front of a last parameter that is never closed.
    [text.len(), first_semicolon].into_iter().find_map(|at| {
        let (before, after) = (field.range().start + at, field.range().start + text.len());
        let mut changed = header.get(..before)?.to_vec();
        changed.extend_from_slice(format!(";\r\n {name}=\"{value}\"").as_bytes());
        changed.extend_from_slice(header.get(before..after)?);
        changed.extend_from_slice(b"\r\n");
        changed.extend_from_slice(header.get(field.range().end..)?);
        is_set(&changed, name, value).then_some(changed)
    })
}

/// The same header without that parameter in its Content-Type fields.
pub(super) fn without(header: &[u8], name: &str) -> Vec<u8> {
    let (fields, _) = Fields::split(header);
    let mut changed = Vec::with_capacity(header.len());
    let mut done = 0;
    for field in fields.iter().filter(|field| field.is("Content-Type")) {
        changed.extend_from_slice(header.get(done..field.range().start).unwrap_or_default());
        changed.extend(without_parameter(field.raw(), name));
        done = field.range().end;
    }
    changed.extend_from_slice(header.get(done..).unwrap_or_default());
    changed
}

fn is_set(header: &[u8], name: &str, value: &str) -> bool {
    let (fields, _) = Fields::split(header);
    let media_type = fields.first("Content-Type").and_then(MediaType::parse);
    media_type.is_some_and(|media_type| media_type.parameter(name) == Some(value))
}

/// Cuts `; name=...` out, wherever it stands outside quotes.
fn without_parameter(raw: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(raw.len());
    for (position, piece) in pieces(raw).into_iter().enumerate() {
        let end_of_name = piece.iter().position(|&byte| byte == b'=').unwrap_or(0);
        let is_it = piece
            .get(1..end_of_name)
            .is_some_and(|found| found.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        if position == 0 || !is_it {
            kept.extend_from_slice(piece);
        } else if piece.ends_with(b"\n") {
            kept.extend_from_slice(b"\r\n");
        }
    }
    kept
}

/// Splits before every semicolon that stands outside quotes.
fn pieces(raw: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (position, &byte) in raw.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => {
                pieces.extend(raw.get(start..position));
                start = position;
            }
            _ => {}
        }
    }
    pieces.extend(raw.get(start..));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(header: &str) -> Option<String> {
        with(header.as_bytes(), "hp", "cipher").map(|changed| String::from_utf8(changed).unwrap())
    }

    #[test]
    fn the_parameter_is_added_and_every_other_octet_stays() {
        for (header, wanted) in [
            ("", "Content-Type: text/plain; hp=\"cipher\"\r\n"),
            ("Content-Type: text/html\r\n", "Content-Type: text/html;\r\n hp=\"cipher\"\r\n"),
            (
                "Content-type: a/b;\r\n x=\"y;z\" ; \r\nContent-ID: <x>\r\n",
                "Content-type: a/b;\r\n x=\"y;z\";\r\n hp=\"cipher\"\r\nContent-ID: <x>\r\n",
            ),
            ("Content-Type: a/b; hp=\"clear\"; c=d\r\n", "Content-Type: a/b; c=d;\r\n hp=\"cipher\"\r\n"),
            (
                "Content-Type: a/b; name=\"never closed\r\n",
                "Content-Type: a/b;\r\n hp=\"cipher\"; name=\"never closed\r\n",
            ),
        ] {
            assert_eq!(set(header).as_deref(), Some(wanted), "{header}");
        }
    }

    #[test]
    fn what_was_added_can_be_taken_out_again() {
        for header in [
            "Content-Type: text/html\r\n",
            "Content-Type: a/b; x=\"y;z hp=1\"\r\n\tmore\r\nContent-ID: <x>\r\n",
            "Content-Type: nonsense\r\n",
        ] {
            let changed = set(header).unwrap();
            assert_eq!(String::from_utf8(without(changed.as_bytes(), "hp")).unwrap(), header);
        }
        assert_eq!(without(b"Content-Type: a/b; HP = x; c=d\r\n", "hp"), b"Content-Type: a/b; c=d\r\n");
    }

    proptest::proptest! {
        #[test]
        fn any_value_keeps_its_meaning(value in "[ -~]{0,60}") {
            let header = format!("Content-Type: {value}\r\n");
            let meaning = |header: &[u8]| {
                let (fields, _) = Fields::split(header);
                let field = fields.first("Content-Type").and_then(MediaType::parse);
                field.map(|known| (known.essence.clone(), known.parameter("name").map(str::to_owned)))
            };
            if let Some(changed) = with(header.as_bytes(), "hp", "clear")
                && let (Some(before), Some(after)) = (meaning(header.as_bytes()), meaning(&changed))
            {
                assert_eq!(before, after);
            }
        }

        #[test]
        fn changing_never_panics(header: Vec<u8>) {
            let _ = (with(&header, "hp", "clear"), without(&header, "hp"));
        }
    }
}
