//! A message becomes what a person reads: header, text, attachments.
//!
//! Nothing here trusts the sender: depth, number of parts and length of text are limited, HTML is reduced to the text that
//! can be seen, and everything that goes to a terminal passes [`super::terminal_text`]. Attachments stay where they are.
use std::fmt;
use std::io::{self, Read};

use jiff::Timestamp;
use mail_parser::{HeaderName, HeaderValue, MessageParser};

use super::header::MediaType;
use super::lookalike;
use super::mime::{MimeError, disposition};
use super::part::Part;
use super::shown_text::{Reading, TextKind, shown_text};
use super::terminal_text::{safe_line, safe_text};
use super::transfer_encoding::{DecodedBody, TransferEncoding};
use crate::content::{Content, Replay};

/// How deep parts may be nested.
pub const MAXIMUM_DEPTH: usize = 20;
/// How many parts a message may have.
pub const MAXIMUM_PARTS: usize = 1_000;
/// How much text is shown.
pub const MOST_TEXT: usize = 4 * 1024 * 1024;
/// How much of a header is looked at.
const LONGEST_HEADER: usize = 256 * 1024;

/// A message as a person reads it; every text is safe for a terminal.
#[derive(Clone, Debug, Default)]
pub struct Readable {
    /// Who it says it is from; several entries also when the field stands there twice.
    pub from: Vec<Correspondent>,
    /// To whom.
    pub to: Vec<Correspondent>,
    /// Copy to whom.
    pub cc: Vec<Correspondent>,
    /// The subject, decoded.
    pub subject: String,
    /// When it says it was written.
    pub date: Option<Timestamp>,
    /// The text: line feeds as line ends.
    pub text: String,
    /// Whether there is more text than is shown.
    pub text_is_cut: bool,
    /// Everything that is not text to be shown.
    pub attachments: Vec<Attached>,
}

/// Name and address out of a header, in whatever state the sender left them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correspondent {
    /// The display name.
    pub name: Option<String>,
    /// The address; empty where the header has none.
    pub address: String,
}

/// A part that can be saved.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The name that the sender suggests; see [`super::attachment::safe_name`].
    pub name: String,
    /// `type/subtype`.
    pub media_type: String,
    /// How many octets it has without transfer encoding.
    pub length: u64,
    content: DecodedBody,
}

impl Attached {
    /// The octets without transfer encoding.
    pub fn reader(&self) -> Box<dyn Read + '_> {
        self.content.replay()
    }

    /// All octets, or `None` where there are more than `most`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn to_vec(&self, most: usize) -> io::Result<Option<Vec<u8>>> {
        self.content.to_vec(most)
    }

    /// What cannot be decoded is kept as it came.
    fn new(name: String, media_type: &str, part: &Part) -> Self {
        let as_it_came = DecodedBody { body: part.body.clone(), encoding: TransferEncoding::Identity };
        let content = part.decoded_body().unwrap_or_else(|_| as_it_came.clone());
        let media_type = safe_line(media_type);
        let length = match content.encoding {
            TransferEncoding::Identity => Ok(part.body.len()),
            _ => io::copy(&mut content.replay(), &mut io::sink()),
        };
        match length {
            Ok(length) => Self { name, media_type, length, content },
            Err(_) => Self { name, media_type, length: part.body.len(), content: as_it_came },
        }
    }
}

impl fmt::Display for Correspondent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            // Whoever reads quickly takes the first address for the author's.
            Some(name) if name.contains(['@', '\u{FF20}', '\u{FE6B}']) && *name != self.address => {
                write!(f, "\"{name}\" (only a name) <{}>", self.address)?;
            }
            Some(name) => write!(f, "{name} <{}>", self.address)?,
            None => f.write_str(&self.address)?,
        }
        match lookalike::warning(&self.address) {
            Some(warning) => write!(f, " ({})", safe_line(&warning)),
            None => Ok(()),
        }
    }
}

/// Reads header, text and attachments.
///
/// # Errors
/// Only when the structure goes beyond the limits or cannot be read; see [`MimeError`].
pub fn read(message: &Content, reading: Reading) -> Result<Readable, MimeError> {
    let part = Part::read(message)?;
    let mut readable = read_header(part.header());
    let mut walk = Walk { parts: 0, reading, readable: &mut readable };
    walk.entity(&part, 0, Place::default())?;
    readable.text = safe_text(&readable.text);
    Ok(readable)
}

/// Reads only the header: what a list of messages shows.
pub fn read_header(message: &[u8]) -> Readable {
    let header = message.get(..LONGEST_HEADER).unwrap_or(message);
    let Some(parsed) = MessageParser::default().parse_headers(header) else { return Readable::default() };
    let correspondents = |name| parsed.header_values(name).flat_map(correspondents).collect();
    Readable {
        from: correspondents(HeaderName::From),
        to: correspondents(HeaderName::To),
        cc: correspondents(HeaderName::Cc),
        subject: safe_line(parsed.subject().unwrap_or_default()),
        date: parsed
            .date()
            .filter(|date| date.is_valid())
            .and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()),
        ..Readable::default()
    }
}

/// The addresses of the named fields, decoded but unchecked.
pub fn addresses(message: &[u8], names: &[HeaderName<'static>]) -> Vec<Correspondent> {
    let header = message.get(..LONGEST_HEADER).unwrap_or(message);
    let Some(parsed) = MessageParser::default().parse_headers(header) else { return Vec::new() };
    names
        .iter()
        .flat_map(|name| parsed.header_values(name.clone()).flat_map(correspondents).collect::<Vec<_>>())
        .collect()
}

fn correspondents(value: &HeaderValue<'_>) -> Vec<Correspondent> {
    let HeaderValue::Address(addresses) = value else { return Vec::new() };
    addresses
        .iter()
        .map(|address| Correspondent {
            name: address.name().map(safe_line).filter(|name| !name.is_empty()),
            address: safe_line(address.address().unwrap_or_default()),
        })
        .collect()
}

/// What the multiparts around a part say about it.
#[derive(Clone, Copy, Default)]
struct Place {
    /// In `multipart/digest`, a part without type is a message (RFC 2046 section 5.1.5).
    is_in_digest: bool,
    /// Another alternative is the one that is shown.
    is_other_alternative: bool,
}

struct Walk<'r> {
    parts: usize,
    reading: Reading,
    readable: &'r mut Readable,
}

impl Walk<'_> {
    fn entity(&mut self, part: &Part, depth: usize, place: Place) -> Result<(), MimeError> {
        self.parts += 1;
        if depth > MAXIMUM_DEPTH {
            return Err(MimeError::TooDeep(MAXIMUM_DEPTH));
        }
        if self.parts > MAXIMUM_PARTS {
            return Err(MimeError::TooManyParts(MAXIMUM_PARTS));
        }
        let Ok(media_type) = part.media_type() else {
            // A part that says two things about its type is kept as a file, and shown as neither.
            self.attach(part, "application/octet-stream");
            return Ok(());
        };
        let parts = match part.parts() {
            Ok(Some((parts, _))) if !parts.is_empty() => parts,
            // A multipart without a single part is text, as it stands there.
            Ok(Some(_)) => return self.text(part, &media_type, TextKind::Plain),
            Ok(None) => return self.leaf(part, &media_type, place),
            Err(MimeError::TooManyParts(_)) => return Err(MimeError::TooManyParts(MAXIMUM_PARTS)),
            Err(problem) => return Err(problem),
        };
        if self.parts + parts.len() > MAXIMUM_PARTS {
            return Err(MimeError::TooManyParts(MAXIMUM_PARTS));
        }
        let parts: Vec<Part> = parts.iter().map(read_part).collect::<Result<_, _>>()?;
        match media_type.essence.as_str() {
            "multipart/alternative" => self.alternative(&parts, depth, place),
            // RFC 1847: the second part is a signature, not content.
            "multipart/signed" => parts.first().map_or(Ok(()), |first| self.entity(first, depth + 1, place)),
            essence => {
                let place = Place { is_in_digest: essence == "multipart/digest", ..place };
                parts.iter().try_for_each(|part| self.entity(part, depth + 1, place))
            }
        }
    }

    /// RFC 2046 section 5.1.4, but plain text before HTML: text is what we show. Files among the others are kept.
    fn alternative(&mut self, parts: &[Part], depth: usize, place: Place) -> Result<(), MimeError> {
        let essence = |part: &Part| part.media_type().map(|known| known.essence).unwrap_or_default();
        let find = |wanted: &dyn Fn(&Part) -> bool| parts.iter().position(wanted);
        let chosen = find(&|part| essence(part) == "text/plain" && !is_blank(part))
            .or_else(|| find(&|part| essence(part).starts_with("multipart/")))
            .or_else(|| find(&|part| essence(part) == "text/html"))
            .unwrap_or(parts.len().saturating_sub(1));
        for (position, part) in parts.iter().enumerate() {
            let is_other_alternative = place.is_other_alternative || position != chosen;
            self.entity(part, depth + 1, Place { is_other_alternative, ..place })?;
        }
        Ok(())
    }

    fn leaf(&mut self, part: &Part, media_type: &MediaType, place: Place) -> Result<(), MimeError> {
        let is_file = disposition(&part.fields())
            .is_some_and(|disposition| disposition.essence == "attachment")
            || part.suggested_name().is_some();
        let has_type = part.fields().first("Content-Type").is_some();
        let kind = match media_type.essence.as_str() {
            "text/plain" if place.is_in_digest && !has_type => {
                self.attach(part, "message/rfc822");
                return Ok(());
            }
            "text/plain" if !is_file => TextKind::Plain,
            "text/html" if !is_file => TextKind::Html,
            essence if place.is_other_alternative && !is_file && essence.starts_with("text/") => {
                return Ok(());
            }
            essence => {
                self.attach(part, essence);
                return Ok(());
            }
        };
        if place.is_other_alternative { Ok(()) } else { self.text(part, media_type, kind) }
    }

    fn attach(&mut self, part: &Part, essence: &str) {
        let name = part.suggested_name().unwrap_or_else(|| default_name(essence));
        self.readable.attachments.push(Attached::new(name, essence, part));
    }

    fn text(&mut self, part: &Part, media_type: &MediaType, kind: TextKind) -> Result<(), MimeError> {
        let room = MOST_TEXT.saturating_sub(self.readable.text.len());
        let shown = shown_text(part, media_type, kind, self.reading, room)?;
        let text = &mut self.readable.text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&shown.text);
        self.readable.text_is_cut |= shown.is_cut;
        Ok(())
    }
}

/// A part whose header is endless is only a body.
fn read_part(content: &Content) -> Result<Part, MimeError> {
    match Part::read(content) {
        Err(MimeError::HeaderTooLong(_)) => Part::read(&Content::concat([
            Content::from_vec(b"Content-Type: application/octet-stream\r\n\r\n".to_vec()),
            content.clone(),
        ])),
        read => read,
    }
}

fn is_blank(part: &Part) -> bool {
    part.body.len() < 1_024
        && part
            .body
            .to_vec(1_024)
            .is_ok_and(|body| body.is_some_and(|body| body.iter().all(u8::is_ascii_whitespace)))
}

fn default_name(essence: &str) -> String {
    match essence {
        "message/rfc822" | "message/global" => "message.eml",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime.p7m",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime.p7s",
        _ => "attachment",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn read_bytes(message: &[u8]) -> Result<Readable, MimeError> {
        read(&Content::from_vec(message.to_vec()), Reading::default())
    }

    fn read_text(message: &str) -> Readable {
        read_bytes(message.as_bytes()).unwrap()
    }

    #[test]
    fn encoded_words_charsets_and_transfer_encodings_are_decoded() {
        let message = read_text(
            "From: =?iso-8859-1?Q?Andr=E9?= <andre@x.test>, b@x.test\r\nSubject: =?utf-8?B?5L2g5aW9?= =?utf-8?Q?_there?=\r\n\
             Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n",
        );
        assert_eq!(message.from[0].to_string(), "André <andre@x.test>");
        assert_eq!(message.from[1].to_string(), "b@x.test");
        assert_eq!((message.subject.as_str(), message.text.as_str()), ("你好 there", "Grüße\n"));
        assert_eq!(message.date.unwrap().to_string(), "1997-11-21T15:55:06Z");
    }

    #[test]
    fn a_name_that_looks_like_an_address_is_marked() {
        let message = read_text(
            "From: \"boss@x.test\" <eve@y.test>, =?utf-8?Q?boss=EF=BC=A0x.test?= <eve@y.test>\r\n\r\n",
        );
        assert_eq!(message.from[0].to_string(), "\"boss@x.test\" (only a name) <eve@y.test>");
        assert!(message.from[1].to_string().contains("(only a name)"));
    }

    #[test]
    fn html_is_shown_as_text_and_only_where_there_is_no_plain_text() {
        let alternative = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n\
                           --b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n";
        assert_eq!(read_text(alternative).text, "plain");
        let html = "Content-Type: text/html\r\n\r\n<html><head><style>x{}</style><script>evil()</script></head><body><a href='http://x/'>link</a> \
                    <img src='http://track/'>&lt;b&gt;</body></html>";
        let text = read_text(html).text;
        assert!(text.contains("link") && text.contains("<b>") && !text.contains("track"), "{text}");
    }

    #[test]
    fn nothing_from_the_message_steers_the_terminal() {
        let message = read_text(
            "From: =?utf-8?B?G1szMW1yZWQ=?= <a\u{9b}1m@x.test>\r\nSubject: =?utf-8?Q?a=1B]0;x=07=0D=0Ab?=\r\n\r\n\u{1b}[2Jtext\r\n",
        );
        for text in [&message.subject, &message.text, &message.from[0].to_string()] {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn attachments_and_nested_messages_can_be_saved() {
        let message = read_text(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n\
             --b\r\nContent-Type: text/plain; name=\"../n.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUI=\r\n--b--\r\n",
        );
        assert_eq!(message.text, "hello");
        let names: Vec<_> = message.attachments.iter().map(|a| (a.name.as_str(), a.length)).collect();
        assert_eq!(names, [("message.eml", 19), ("../n.txt", 2)]);
    }

    #[test]
    fn endless_nesting_and_endless_parts_are_refused() {
        let nested = |depth: usize| -> String {
            let mut message = String::new();
            for n in 0..depth {
                let _ = write!(message, "Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
            }
            message
        };
        assert!(read_bytes(nested(MAXIMUM_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(read_bytes(nested(5_000).as_bytes()).unwrap_err(), MimeError::TooDeep(MAXIMUM_DEPTH));
        let many =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(2_000));
        assert_eq!(read_bytes(many.as_bytes()).unwrap_err(), MimeError::TooManyParts(MAXIMUM_PARTS));
        let wrapped = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        assert_eq!(read_bytes(wrapped.as_bytes()).unwrap().attachments.len(), 1);
    }

    #[test]
    fn a_part_of_two_types_is_shown_as_neither() {
        let message = read_text(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n--b--\r\n",
        );
        assert_eq!((message.text.as_str(), message.attachments.len()), ("hello", 1));
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>) {
            let _ = read_bytes(&bytes);
        }

        #[test]
        fn mutated_messages_never_panic_and_stay_safe(at: proptest::sample::Index, change: u8, cut: proptest::sample::Index) {
            let mut message = b"From: a@x.test\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                Content-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C4=E3</p>\r\n--b\r\n\
                Content-Disposition: attachment; filename*0*=utf-8''%E4; filename*1=x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUI=\r\n--b--\r\n".to_vec();
            let at = at.index(message.len());
            message[at] = change;
            message.truncate(cut.index(message.len() + 1));
            if let Ok(readable) = read_bytes(&message) {
                assert!(!readable.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                assert!(!readable.subject.chars().any(char::is_control));
            }
        }
    }
}
