//! HTML cut into text, tags and what stands raw between tags (the parts of the HTML standard's tokenizer that mail needs).
use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memmem};

/// The longest character reference that is looked for.
const LONGEST_REFERENCE: usize = 40;

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'h> {
    Text(&'h str),
    Start(Tag<'h>),
    End(String),
    /// An element whose content is no markup: a style sheet, a script, a title.
    Raw {
        tag: Tag<'h>,
        text: &'h str,
    },
}

/// A start tag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tag<'h> {
    /// In lower case.
    pub(super) name: String,
    /// Those that matter to us, names in lower case; the first of a name counts.
    attributes: Vec<(String, &'h str)>,
    pub(super) is_self_closing: bool,
}

impl<'h> Tag<'h> {
    pub(super) fn value(&self, name: &str) -> Option<&'h str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub(super) fn has_class(&self, name: &str) -> bool {
        self.value("class").is_some_and(|classes| classes.split_ascii_whitespace().any(|class| class == name))
    }
}

/// Cuts a document into pieces, each found in one step forward.
pub(super) fn pieces(html: &str) -> Pieces<'_> {
    Pieces { rest: html }
}

pub(super) struct Pieces<'h> {
    rest: &'h str,
}

impl<'h> Iterator for Pieces<'h> {
    type Item = Piece<'h>;

    fn next(&mut self) -> Option<Piece<'h>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(inside) = self.rest.strip_prefix('<') else {
                let end = memchr(b'<', self.rest.as_bytes()).unwrap_or(self.rest.len());
                return Some(Piece::Text(self.take(end)));
            };
            match inside.as_bytes() {
                [b'!', b'-', b'-', ..] => {
                    let comment = inside.get(3..).unwrap_or_default();
                    // `<!-->` and `<!--->` are whole comments.
                    let length = if comment.starts_with('>') {
                        5
                    } else if comment.starts_with("->") {
                        6
                    } else {
                        memmem::find(comment.as_bytes(), b"-->").map_or(self.rest.len(), |end| 4 + end + 3)
                    };
                    self.take(length);
                }
                [b'!' | b'?', ..] => {
                    let length = memchr(b'>', self.rest.as_bytes()).map_or(self.rest.len(), |end| end + 1);
                    self.take(length);
                }
                [b'/', letter, ..] if letter.is_ascii_alphabetic() => {
                    let (tag, length) = read_tag(inside.get(1..).unwrap_or_default());
                    self.take(2 + length);
                    return Some(Piece::End(tag.name));
                }
                [letter, ..] if letter.is_ascii_alphabetic() => {
                    let (tag, length) = read_tag(inside);
                    self.take(1 + length);
                    return Some(self.with_raw_text(tag));
                }
                _ => {
                    let end = memchr(b'<', inside.as_bytes()).unwrap_or(inside.len());
                    return Some(Piece::Text(self.take(1 + end)));
                }
            }
        }
    }
}

impl<'h> Pieces<'h> {
    fn take(&mut self, length: usize) -> &'h str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn with_raw_text(&mut self, tag: Tag<'h>) -> Piece<'h> {
        if !matches!(
            tag.name.as_str(),
            "style"
                | "script"
                | "title"
                | "textarea"
                | "xmp"
                | "iframe"
                | "noembed"
                | "noframes"
                | "plaintext"
        ) {
            return Piece::Start(tag);
        }
        let mut end = 0;
        loop {
            let after = self.rest.get(end..).unwrap_or_default();
            let Some(found) = memmem::find(after.as_bytes(), b"</").filter(|_| tag.name != "plaintext")
            else {
                return Piece::Raw { tag, text: self.take(usize::MAX) };
            };
            let name = after.get(found + 2..).unwrap_or_default().as_bytes();
            let is_end = name
                .get(..tag.name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag.name.as_bytes()))
                && !name.get(tag.name.len()).is_some_and(u8::is_ascii_alphanumeric);
            if is_end {
                let text = self.take(end + found);
                let length = memchr(b'>', self.rest.as_bytes()).map_or(self.rest.len(), |end| end + 1);
                self.take(length);
                return Piece::Raw { tag, text };
            }
            end += found + 2;
        }
    }
}

/// Reads a tag from its name on; answers also its length with the `>`.
fn read_tag(text: &str) -> (Tag<'_>, usize) {
    let bytes = text.as_bytes();
    let is_end_of_name = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
    let end_of_name = bytes.iter().position(is_end_of_name).unwrap_or(bytes.len());
    let mut tag =
        Tag { name: text.get(..end_of_name).unwrap_or_default().to_ascii_lowercase(), ..Tag::default() };
    let mut at = end_of_name;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'>' => return (tag, at + 1),
            b'/' => {
                tag.is_self_closing = bytes.get(at + 1) == Some(&b'>');
                at += 1;
            }
            _ if byte.is_ascii_whitespace() => at += 1,
            _ => at = read_attribute(text, at, &mut tag),
        }
    }
    (tag, text.len())
}

/// Reads an attribute that begins at `at`; answers where it ends.
fn read_attribute<'h>(text: &'h str, at: usize, tag: &mut Tag<'h>) -> usize {
    let bytes = text.as_bytes();
    let length_while = |from: usize, is_part: &dyn Fn(&u8) -> bool| {
        bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is_part(byte)).count()
    };
    // The first character belongs to the name whatever it is.
    let name_end = at
        + 1
        + length_while(at + 1, &|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'>' | b'/'));
    let equals = name_end + length_while(name_end, &u8::is_ascii_whitespace);
    let (value, end) = if bytes.get(equals) == Some(&b'=') {
        let start = equals + 1 + length_while(equals + 1, &u8::is_ascii_whitespace);
        match bytes.get(start) {
            Some(quote @ (b'"' | b'\'')) => {
                let length = length_while(start + 1, &|byte| byte != quote);
                (text.get(start + 1..start + 1 + length), start + 1 + length + 1)
            }
            _ => {
                let length = length_while(start, &|byte| !byte.is_ascii_whitespace() && *byte != b'>');
                (text.get(start..start + length), start + length)
            }
        }
    } else {
        (None, name_end)
    };
    let name = text.get(at..name_end).unwrap_or_default().to_ascii_lowercase();
    if matches!(
        name.as_str(),
        "alt" | "bgcolor" | "class" | "color" | "hidden" | "href" | "id" | "size" | "style"
    ) && tag.value(&name).is_none()
    {
        tag.attributes.push((name, value.unwrap_or_default()));
    }
    end.max(at + 1)
}

/// Character references replaced; those that nobody knows stay as they are.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        decoded.push_str(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let window = rest.as_bytes().get(..rest.len().min(LONGEST_REFERENCE)).unwrap_or_default();
        let Some(reference) = memchr(b';', window).and_then(|end| rest.get(..=end)) else {
            decoded.push('&');
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        match in_windows_1252(reference) {
            Some(character) => decoded.push(character),
            None => add_html_token(&mut decoded, reference.as_bytes(), false),
        }
        rest = rest.get(reference.len()..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// Numbers 128 to 159 mean characters of windows-1252 (HTML standard, numeric character reference end state).
fn in_windows_1252(reference: &str) -> Option<char> {
    let number = reference.strip_prefix("&#")?.strip_suffix(';')?;
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => number.parse().ok()?,
    };
    let octet = u8::try_from(number).ok().filter(|octet| (128..160).contains(octet))?;
    charset_decoder(b"windows-1252")?(&[octet]).chars().next()
}
