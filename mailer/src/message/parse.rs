//! A message becomes what a person reads: header, text, attachments.
//!
//! Nothing here trusts the sender: depth and number of parts are limited, HTML is reduced to its text, and everything that
//! goes to a terminal passes [`super::terminal_text`].
use std::fmt;

use jiff::Timestamp;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{HeaderName, HeaderValue, MessageParser};

use super::header::MediaType;
use super::mime::{Entity, MimeError, split_multipart};
use super::terminal_text::{safe_line, safe_text};

/// How deep parts may be nested.
pub const MAXIMUM_DEPTH: usize = 20;
/// How many parts a message may have.
pub const MAXIMUM_PARTS: usize = 1_000;
/// How much of a header is looked at.
const LONGEST_HEADER: usize = 256 * 1024;

/// A message as a person reads it; every text is safe for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The name that the sender suggests; see [`super::attachment::safe_name`].
    pub name: String,
    /// `type/subtype`.
    pub media_type: String,
    /// The bytes, without transfer encoding.
    pub content: Vec<u8>,
}

impl fmt::Display for Correspondent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            // Whoever reads quickly takes the first address for the author's.
            Some(name) if name.contains(['@', '\u{FF20}', '\u{FE6B}']) && *name != self.address => {
                write!(f, "\"{name}\" (only a name) <{}>", self.address)
            }
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => f.write_str(&self.address),
        }
    }
}

/// Reads header, text and attachments.
///
/// # Errors
/// Only when the structure goes beyond the limits or contradicts itself; see [`MimeError`].
pub fn read(message: &[u8]) -> Result<Readable, MimeError> {
    let mut readable = read_header(message);
    let mut walk = Walk { parts: 0, readable: &mut readable };
    walk.entity(&Entity::parse(message), 0)?;
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

struct Walk<'r> {
    parts: usize,
    readable: &'r mut Readable,
}

impl Walk<'_> {
    fn entity(&mut self, entity: &Entity<'_>, depth: usize) -> Result<(), MimeError> {
        self.parts += 1;
        if depth > MAXIMUM_DEPTH {
            return Err(MimeError::TooDeep(MAXIMUM_DEPTH));
        }
        if self.parts > MAXIMUM_PARTS {
            return Err(MimeError::TooManyParts(MAXIMUM_PARTS));
        }
        let Ok(media_type) = entity.media_type() else {
            self.ambiguous(entity);
            return Ok(());
        };
        let Some(boundary) = media_type.parameter("boundary").filter(|_| media_type.is_of_type("multipart"))
        else {
            self.leaf(entity, &media_type);
            return Ok(());
        };
        let parts: Vec<Entity<'_>> =
            split_multipart(entity.body, boundary).parts.into_iter().map(Entity::parse).collect();
        match media_type.essence.as_str() {
            "multipart/alternative" => self.alternative(&parts, depth),
            // RFC 1847: the second part is a signature, not content.
            "multipart/signed" => parts.first().map_or(Ok(()), |first| self.entity(first, depth + 1)),
            _ => parts.iter().try_for_each(|part| self.entity(part, depth + 1)),
        }
    }

    /// A part that says two things about its type is kept as a file, and shown as neither.
    fn ambiguous(&mut self, entity: &Entity<'_>) {
        let name = entity.suggested_name().unwrap_or_else(|| default_name(""));
        let media_type = "application/octet-stream".to_owned();
        self.readable.attachments.push(Attached { name, media_type, content: entity.body.to_vec() });
    }

    /// RFC 2046 section 5.1.4, but plain text before HTML: text is what we show.
    fn alternative(&mut self, parts: &[Entity<'_>], depth: usize) -> Result<(), MimeError> {
        let essence = |part: &Entity<'_>| part.media_type().map(|known| known.essence).unwrap_or_default();
        let plain = parts.iter().find(|part| essence(part) == "text/plain");
        let chosen = plain
            .or_else(|| parts.iter().find(|part| essence(part).starts_with("multipart/")))
            .or(parts.last());
        chosen.map_or(Ok(()), |part| self.entity(part, depth + 1))
    }

    fn leaf(&mut self, entity: &Entity<'_>, media_type: &MediaType) {
        let body = entity.decoded_body().map_or_else(|_| entity.body.to_vec(), std::borrow::Cow::into_owned);
        let is_file = entity.disposition().is_some_and(|disposition| disposition.essence == "attachment")
            || entity.suggested_name().is_some();
        match media_type.essence.as_str() {
            "text/plain" if !is_file => self.append_text(&decode(&body, media_type)),
            "text/html" if !is_file => self.append_text(&html_to_text(&decode(&body, media_type))),
            _ => {
                let name = entity.suggested_name().unwrap_or_else(|| default_name(&media_type.essence));
                let media_type = safe_line(&media_type.essence);
                self.readable.attachments.push(Attached { name, media_type, content: body });
            }
        }
    }

    fn append_text(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n");
        if !self.readable.text.is_empty() && !self.readable.text.ends_with('\n') {
            self.readable.text.push('\n');
        }
        self.readable.text.push_str(&text);
    }
}

fn decode(bytes: &[u8], media_type: &MediaType) -> String {
    let decoder = media_type.parameter("charset").and_then(|charset| charset_decoder(charset.as_bytes()));
    match (std::str::from_utf8(bytes), decoder) {
        (_, Some(decode)) => decode(bytes),
        (Ok(text), None) => text.to_owned(),
        (Err(_), None) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn default_name(essence: &str) -> String {
    match essence {
        "message/rfc822" => "message.eml",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime.p7m",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime.p7s",
        _ => "attachment",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(message: &str) -> Readable {
        read(message.as_bytes()).unwrap()
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
        let names: Vec<_> = message.attachments.iter().map(|a| (a.name.as_str(), a.content.len())).collect();
        assert_eq!(names, [("message.eml", 19), ("../n.txt", 2)]);
    }

    #[test]
    fn endless_nesting_and_endless_parts_are_refused() {
        let nested = |depth: usize| {
            (0..depth).fold(String::new(), |m, n| {
                format!("{m}Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")
            })
        };
        assert!(read(nested(MAXIMUM_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(read(nested(50_000).as_bytes()), Err(MimeError::TooDeep(MAXIMUM_DEPTH)));
        let many =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(2_000));
        assert_eq!(read(many.as_bytes()), Err(MimeError::TooManyParts(MAXIMUM_PARTS)));
        let wrapped = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
        assert_eq!(read(wrapped.as_bytes()).unwrap().attachments.len(), 1);
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
            let _ = read(&bytes);
        }

        #[test]
        fn mutated_messages_never_panic_and_stay_safe(at: proptest::sample::Index, change: u8, cut: proptest::sample::Index) {
            let mut message = b"From: a@x.test\r\nSubject: =?utf-8?B?5L2g5aW9?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                Content-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C4=E3</p>\r\n--b\r\n\
                Content-Disposition: attachment; filename*0*=utf-8''%E4; filename*1=x\r\nContent-Transfer-Encoding: base64\r\n\r\nQUI=\r\n--b--\r\n".to_vec();
            let at = at.index(message.len());
            message[at] = change;
            message.truncate(cut.index(message.len() + 1));
            if let Ok(readable) = read(&message) {
                assert!(!readable.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
                assert!(!readable.subject.chars().any(char::is_control));
            }
        }
    }
}
