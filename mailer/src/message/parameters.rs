//! Values with parameters: Content-Type and Content-Disposition (RFC 2045 section 5.1, RFC 2183), and how RFC 2231 writes
//! parameters that are long or not ASCII.
use mail_parser::MessageParser;
use mail_parser::decoders::charsets::map::charset_decoder;

/// More than any sender needs; the rest is passed over.
const MOST_PARAMETERS: usize = 200;

/// A value and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The value in lower case.
    pub(super) essence: String,
    /// Names in lower case, values decoded.
    pub(super) parameters: Vec<(String, String)>,
    /// The first parameter that stands there several times with different values, so that readers choose differently.
    pub(super) ambiguous: Option<String>,
}

/// Splits `value; name=value; ...`.
pub(super) fn parse(text: &str) -> Parsed {
    let mut scanner = Scanner(text);
    let essence = scanner.until_semicolon();
    let essence = essence.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let mut pieces = Vec::new();
    while let Some(piece) = scanner.parameter()
        && pieces.len() < MOST_PARAMETERS
    {
        pieces.extend(piece);
    }
    let ambiguous = ambiguous(&pieces);
    Parsed { essence, parameters: join(pieces), ambiguous }
}

/// What is written twice with different values, or in two of the forms of RFC 2231; only a file name is customarily written in
/// its plain and its extended form (RFC 6266 appendix D).
fn ambiguous(pieces: &[Piece]) -> Option<String> {
    let differs = |first: &Piece, second: &Piece| {
        let is_same_form = (first.section, first.is_extended) == (second.section, second.is_extended);
        match is_same_form {
            true => first.value != second.value,
            false => first.begins() && second.begins() && !matches!(&*first.name, "name" | "filename"),
        }
    };
    let mut rest = pieces;
    while let Some((first, after)) = rest.split_first() {
        if after.iter().any(|second| first.name == second.name && differs(first, second)) {
            return Some(first.name.clone());
        }
        rest = after;
    }
    None
}

/// One `name*section*=value`.
struct Piece {
    name: String,
    section: Option<u16>,
    is_extended: bool,
    value: String,
}

impl Piece {
    /// Whether it is the whole value or its first section.
    fn begins(&self) -> bool {
        self.section.unwrap_or(0) == 0
    }
}

struct Scanner<'t>(&'t str);

impl<'t> Scanner<'t> {
    fn until_semicolon(&mut self) -> &'t str {
        let (before, after) = self.0.split_once(';').unwrap_or((self.0, ""));
        self.0 = after;
        before.trim()
    }

    /// `None` at the end, `Some(None)` for something that is no parameter.
    fn parameter(&mut self) -> Option<Option<Piece>> {
        self.0 = self.0.trim_start();
        if self.0.is_empty() {
            return None;
        }
        let end_of_name = self.0.find(['=', ';']).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end_of_name);
        let Some(rest) = rest.strip_prefix('=') else {
            self.until_semicolon();
            return Some(None);
        };
        self.0 = rest.trim_start();
        let value = if self.0.starts_with('"') { self.quoted() } else { self.until_semicolon().to_owned() };
        Some(piece(name.trim(), value))
    }

    /// A quoted string, up to the next semicolon behind it.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut characters = self.0.chars();
        characters.next();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next()),
                other => value.push(other),
            }
        }
        self.0 = characters.as_str();
        self.until_semicolon();
        value
    }
}

/// RFC 2231 section 7: `name`, `name*`, `name*0`, `name*0*`.
fn piece(name: &str, value: String) -> Option<Piece> {
    let (name, is_extended) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
    let (name, section) = match name.split_once('*') {
        Some((name, number)) => (name, Some(number.parse().ok()?)),
        None => (name, None),
    };
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| Piece { name: name.to_ascii_lowercase(), section, is_extended, value })
}

/// Joins sections in the order of their numbers and decodes them together: a section may end inside a character.
fn join(mut pieces: Vec<Piece>) -> Vec<(String, String)> {
    pieces.sort_by_key(|piece| piece.section);
    let mut joined: Vec<(String, String)> = Vec::new();
    for first in pieces.iter().filter(|piece| piece.begins()) {
        let value = match first.section {
            None => decode(std::slice::from_ref(&first)),
            Some(_) => {
                let sections: Vec<&Piece> = pieces
                    .iter()
                    .filter(|piece| piece.name == first.name && piece.section.is_some())
                    .enumerate()
                    .take_while(|(position, piece)| piece.section.map(usize::from) == Some(*position))
                    .map(|(_, piece)| piece)
                    .collect();
                decode(&sections)
            }
        };
        // The extended form, where there is one, is the one that is meant; otherwise the first counts.
        match joined.iter_mut().find(|(name, _)| *name == first.name) {
            Some((_, known)) if first.is_extended => *known = value,
            Some(_) => {}
            None => joined.push((first.name.clone(), value)),
        }
    }
    joined
}

fn decode(sections: &[&Piece]) -> String {
    let mut charset = None;
    let mut bytes = Vec::new();
    for (position, piece) in sections.iter().enumerate() {
        let mut text = piece.value.as_str();
        if position == 0
            && piece.is_extended
            && let Some((name, (_language, rest))) =
                text.split_once('\'').and_then(|(c, r)| Some((c, r.split_once('\'')?)))
        {
            charset = Some(name);
            text = rest;
        }
        if piece.is_extended {
            bytes.extend(percent_encoding::percent_decode_str(text));
        } else {
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    let text = match charset.and_then(|name| charset_decoder(name.as_bytes())) {
        Some(decode) => decode(&bytes),
        None => String::from_utf8_lossy(&bytes).into_owned(),
    };
    if text.contains("=?") { decode_words(&text) } else { text }
}

/// Encoded words have no place in parameters (RFC 2047 section 5), but widespread programs write them.
fn decode_words(text: &str) -> String {
    let header = format!("Subject: {}\r\n\r\n", text.replace(['\r', '\n'], ""));
    let message = MessageParser::default().parse_headers(header.as_bytes());
    message.as_ref().and_then(|message| message.subject()).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(text: &str, name: &str) -> Option<String> {
        parse(text).parameters.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    #[test]
    fn parameters_are_read_in_every_form_of_rfc_2231() {
        for (text, wanted) in [
            ("a/b; name=plain", "plain"),
            ("a/b; charset=x ; NAME = \"with ; and \\\"quotes\\\"\" ; y", "with ; and \"quotes\""),
            ("a/b; name*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "This is ***fun***"),
            ("a/b; name*0=\"one \"; name*2=three; name*1*=%74wo%20", "one two three"),
            ("a/b; name*0*=utf-8''%E4%BD; name*1*=%A0.txt", "你.txt"),
            ("a/b; name*1=gone; name*0=first; name*3=gap", "firstgone"),
            ("a/b; name=old; name*=iso-8859-1''%E9", "é"),
            ("a/b; name=\"=?utf-8?B?5L2gLnR4dA==?=\"", "你.txt"),
            ("a/b; name=first; name=second", "first"),
            ("a/b; name=\"never closed", "never closed"),
        ] {
            assert_eq!(parameter(text, "name").as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn two_values_of_one_parameter_are_ambiguous() {
        for (text, wanted) in [
            ("a/b; boundary=x; c=d; Boundary=y", Some("boundary")),
            ("a/b; boundary=x; boundary*=us-ascii''y", Some("boundary")),
            ("a/b; boundary*0=x; boundary*1=y; boundary=z", Some("boundary")),
            ("a/b; name*0=x; name*1=y; name*1=z", Some("name")),
            ("a/b; boundary=x; boundary=\"x\"; y", None),
            ("a/b; name=old; name*=iso-8859-1''%E9", None),
            ("a/b; name*0=x; name*1=y; charset=z", None),
        ] {
            assert_eq!(parse(text).ambiguous.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn the_value_is_in_lower_case_and_alone() {
        assert_eq!(parse(" Multipart/Mixed (comment) ; x").essence, "multipart/mixed");
        assert_eq!(parse("").essence, "");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            parse(&text);
            parse(&format!("a/b; name*0*={text}; name*1=\"{text}"));
        }
    }
}
