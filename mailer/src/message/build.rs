//! A draft becomes header fields and a canonical MIME entity (RFC 5322, RFC 2045).
use jiff::Timestamp;
use mail_builder::headers::Header;
use mail_builder::headers::address::Address as AddressHeader;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use super::address::{Address, Mailbox};
use super::canonical::to_crlf;
use super::legacy_display::{PARAMETER, lines};
use super::transfer_encoding::{encode_base64, encode_quoted_printable, is_transport_safe};

/// A message as a person writes it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The author.
    pub from: Mailbox,
    /// Recipients that everybody sees.
    pub to: Vec<Mailbox>,
    /// Recipients of a copy that everybody sees.
    pub cc: Vec<Mailbox>,
    /// One line.
    pub subject: String,
    /// The text, with any line ends.
    pub text: String,
    /// The text begins with the subject, which will be hidden outside, for programs that read no protected header (RFC 9788
    /// section 5.2.3); others leave it out.
    pub repeats_subject: bool,
    /// Files to send along.
    pub attachments: Vec<Attachment>,
}

/// A file to send along.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its name, in any script.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Why a draft is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// A line end or another control character.
    #[error("the subject contains a control character; it must be one line of text")]
    Subject,
    /// A control character.
    #[error("the name {0:?} contains a control character")]
    Name(String),
}

/// Words that occur nowhere else, for boundaries and message identifiers.
#[derive(Debug)]
pub struct Unique {
    seed: [u8; 16],
    count: u32,
}

impl Unique {
    /// Takes 16 random bytes; the same bytes give the same words.
    pub fn new(seed: [u8; 16]) -> Self {
        Self { seed, count: 0 }
    }

    /// The next word: hexadecimal digits, and never twice the same.
    pub fn word(&mut self) -> String {
        self.count += 1;
        format!("{}.{}", hex::encode(self.seed), self.count)
    }

    /// Eight hexadecimal digits: enough to tell what one person writes in one second apart.
    pub fn short(&self) -> String {
        hex::encode(self.seed.first_chunk::<4>().copied().unwrap_or_default())
    }

    /// The next word in a form that neither base64 nor quoted-printable content can contain.
    pub fn boundary(&mut self) -> String {
        format!("=_{}", self.word())
    }
}

/// A composed message: what everybody on the way sees, and what gets protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// Date, From, To, Cc, Message-ID, Subject; each line with CRLF.
    pub fields: Vec<u8>,
    /// The MIME entity: its Content fields, an empty line, its body. 7-bit, CRLF.
    pub entity: Vec<u8>,
}

/// The header of a receipt: it tells nothing of the message that it is for.
pub fn receipt_fields(from: &Mailbox, to: &[Address], date: Timestamp, unique: &mut Unique) -> Vec<u8> {
    let to = to.iter().map(|address| Mailbox { display_name: None, address: address.clone() });
    let draft = Draft {
        from: from.clone(),
        to: to.collect(),
        cc: Vec::new(),
        subject: "Receipt".to_owned(),
        text: String::new(),
        repeats_subject: false,
        attachments: Vec::new(),
    };
    draft.fields(date, unique)
}

impl Draft {
    /// Composes the message as of `date`.
    ///
    /// # Errors
    /// See [`DraftError`].
    pub fn compose(&self, date: Timestamp, unique: &mut Unique) -> Result<Composed, DraftError> {
        if self.subject.chars().any(char::is_control) {
            return Err(DraftError::Subject);
        }
        let names =
            [&self.from].into_iter().chain(&self.to).chain(&self.cc).filter_map(|m| m.display_name.as_ref());
        for name in names.chain(self.attachments.iter().map(|attachment| &attachment.name)) {
            if name.chars().any(char::is_control) {
                return Err(DraftError::Name(name.clone()));
            }
        }
        Ok(Composed { fields: self.fields(date, unique), entity: self.entity(unique) })
    }

    fn fields(&self, date: Timestamp, unique: &mut Unique) -> Vec<u8> {
        let mut fields = Vec::new();
        write_field("Date", &Date::new(date.as_second()), &mut fields);
        write_field("From", &addresses(std::slice::from_ref(&self.from)), &mut fields);
        if self.to.is_empty() && self.cc.is_empty() {
            fields.extend_from_slice(b"To: undisclosed-recipients:;\r\n");
        }
        for (name, mailboxes) in [("To", &self.to), ("Cc", &self.cc)] {
            if !mailboxes.is_empty() {
                write_field(name, &addresses(mailboxes), &mut fields);
            }
        }
        let identifier = format!("{}@{}", unique.word(), self.from.address.domain());
        write_field("Message-ID", &MessageId::new(identifier), &mut fields);
        write_field("Subject", &Text::new(self.subject.as_str()), &mut fields);
        fields
    }

    fn entity(&self, unique: &mut Unique) -> Vec<u8> {
        let text = match self.repeats_subject {
            true => text_part(&format!("{}{}", lines(&[("Subject", &self.subject)]), self.text), true),
            false => text_part(&self.text, false),
        };
        let part = if self.attachments.is_empty() {
            text
        } else {
            let mut parts = vec![text];
            parts.extend(self.attachments.iter().map(attachment_part));
            let media_type = ContentType::new("multipart/mixed").attribute("boundary", unique.boundary());
            MimePart::new(media_type, BodyPart::Multipart(parts))
        };
        let mut entity = Vec::new();
        part.write_part(&mut entity);
        entity
    }
}

fn write_field(name: &str, value: &impl Header, fields: &mut Vec<u8>) {
    fields.extend_from_slice(name.as_bytes());
    fields.extend_from_slice(b": ");
    value.write_header(fields, name.len() + 2);
}

fn addresses(mailboxes: &[Mailbox]) -> AddressHeader<'_> {
    let list = mailboxes
        .iter()
        .map(|mailbox| {
            AddressHeader::new_address(mailbox.display_name.as_deref(), mailbox.address.to_string())
        })
        .collect();
    AddressHeader::new_list(list)
}

fn text_part(text: &str, has_legacy_display: bool) -> MimePart<'static> {
    let mut canonical = to_crlf(text.as_bytes()).into_owned();
    if !canonical.is_empty() && !canonical.ends_with(b"\r\n") {
        canonical.extend_from_slice(b"\r\n");
    }
    let mut media_type = ContentType::new("text/plain").attribute("charset", "utf-8");
    if has_legacy_display {
        media_type = media_type.attribute(PARAMETER, "1");
    }
    if is_transport_safe(&canonical) {
        MimePart::new(media_type, canonical).transfer_encoding("7bit")
    } else {
        MimePart::new(media_type, encode_quoted_printable(&canonical)).transfer_encoding("quoted-printable")
    }
}

/// Always base64, so that the recipient gets the very bytes.
fn attachment_part(attachment: &Attachment) -> MimePart<'static> {
    MimePart::new(ContentType::new(media_type_of(&attachment.name)), encode_base64(&attachment.content))
        .attachment(attachment.name.clone())
        .transfer_encoding("base64")
}

/// The media type that a file name suggests; anything unknown is `application/octet-stream`.
fn media_type_of(name: &str) -> &'static str {
    let extension =
        name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "gif" => "image/gif",
        "htm" | "html" => "text/html",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "odt" => "application/vnd.oasis.opendocument.text",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "txt" => "text/plain",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::message::canonical::is_canonical;
    use crate::message::outer::assemble;
    use crate::message::parse::{Attached, Readable};
    use crate::message::shown_text::Reading;
    use crate::message::terminal_text::safe_text;

    fn read(message: &[u8]) -> Readable {
        crate::message::parse::read(&Content::from_vec(message.to_vec()), Reading::default()).unwrap()
    }

    fn octets(attached: &Attached) -> Vec<u8> {
        attached.to_vec(100_000).unwrap().unwrap()
    }

    fn draft() -> Draft {
        Draft {
            from: "Alice Müller <alice@mail.test>".parse().unwrap(),
            to: vec!["\"Bob, B.\" <bob@mail.test>".parse().unwrap()],
            cc: vec!["carol@bücher.example".parse().unwrap()],
            subject: "Grüße from the 会议: a rather long subject line that has to be folded somewhere"
                .to_owned(),
            repeats_subject: false,
            text: "Hello\nFrom here on: 你好\n.\n".to_owned(),
            attachments: vec![
                Attachment { name: "Jahresabschluß 2024.pdf".to_owned(), content: (0..=255).collect() },
                Attachment { name: "a\"b.txt".to_owned(), content: b"line\nline\n".to_vec() },
            ],
        }
    }

    #[test]
    fn what_is_composed_is_seven_bit_canonical_and_reads_back_the_same() {
        let draft = draft();
        let composed =
            draft.compose(Timestamp::from_second(1_900_000_000).unwrap(), &mut Unique::new([7; 16])).unwrap();
        let message = assemble(&composed.fields, &composed.entity);
        let text = String::from_utf8(message.clone()).unwrap();
        assert!(message.is_ascii() && is_canonical(&message), "{text}");
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
        assert!(text.contains("filename*=UTF-8''Jahresabschlu%C3%9F%202024.pdf"), "{text}");
        let read = read(&message);
        assert_eq!(read.subject, draft.subject);
        assert_eq!(read.text, draft.text);
        assert_eq!(read.date, Some(Timestamp::from_second(1_900_000_000).unwrap()));
        assert_eq!(read.from[0].to_string(), "Alice Müller <alice@mail.test>");
        assert_eq!(read.to[0].to_string(), "Bob, B. <bob@mail.test>");
        assert_eq!(read.cc[0].to_string(), "carol@xn--bcher-kva.example");
        let files: Vec<_> = read.attachments.iter().map(|a| (a.name.as_str(), octets(a))).collect();
        assert_eq!(
            files,
            [
                ("Jahresabschluß 2024.pdf", draft.attachments[0].content.clone()),
                ("a\"b.txt", draft.attachments[1].content.clone())
            ]
        );
    }

    #[test]
    fn a_hidden_subject_is_repeated_for_programs_that_cannot_find_it() {
        let draft = Draft { repeats_subject: true, ..draft() };
        let composed = draft.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([7; 16])).unwrap();
        let message = Content::from_vec(assemble(&composed.fields, &composed.entity));
        let shown = |omit_legacy_display| {
            crate::message::parse::read(&message, Reading { omit_legacy_display }).unwrap().text
        };
        assert_eq!(shown(true), draft.text);
        assert_eq!(shown(false), format!("Subject: {}\n\n{}", draft.subject, draft.text));
    }

    #[test]
    fn the_same_seed_gives_the_same_message_and_another_seed_another_boundary() {
        let compose = |seed| draft().compose(Timestamp::UNIX_EPOCH, &mut Unique::new([seed; 16])).unwrap();
        assert_eq!(compose(1), compose(1));
        assert_ne!(compose(1).entity, compose(2).entity);
    }

    #[test]
    fn nothing_typed_can_add_a_header_field() {
        let hostile = Draft { subject: "x\r\nBcc: eve@evil.test".to_owned(), ..draft() };
        assert_eq!(
            hostile.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([0; 16])),
            Err(DraftError::Subject)
        );
        let mut hostile = draft();
        hostile.to[0].display_name = Some("x\nBcc: eve@evil.test".to_owned());
        assert!(matches!(
            hostile.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([0; 16])),
            Err(DraftError::Name(_))
        ));
    }

    #[test]
    fn a_message_to_hidden_recipients_names_nobody() {
        let hidden = Draft { to: Vec::new(), cc: Vec::new(), ..draft() };
        let composed = hidden.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([0; 16])).unwrap();
        assert!(String::from_utf8(composed.fields).unwrap().contains("To: undisclosed-recipients:;\r\n"));
    }

    #[test]
    fn separators_of_unicode_travel_and_are_shown_as_line_ends() {
        let draft = Draft { text: "one\u{2028}\ntwo\u{2029}".to_owned(), attachments: Vec::new(), ..draft() };
        let composed = draft.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([7; 16])).unwrap();
        let text = String::from_utf8(composed.entity.clone()).unwrap();
        assert!(text.contains("one=E2=80=A8") && text.contains("two=E2=80=A9"), "{text}");
        assert_eq!(read(&assemble(&composed.fields, &composed.entity)).text, "one\n\ntwo\n\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_attachment_survives(text: String, name in "[^\\p{C}]{1,40}", content: Vec<u8>) {
            let draft = Draft { text, attachments: vec![Attachment { name: name.clone(), content }], ..draft() };
            let composed = draft.compose(Timestamp::UNIX_EPOCH, &mut Unique::new([7; 16])).unwrap();
            assert!(composed.entity.is_ascii() && is_canonical(&composed.entity));
            let read = read(&assemble(&composed.fields, &composed.entity));
            let wanted = String::from_utf8(to_crlf(draft.text.as_bytes()).into_owned()).unwrap().replace("\r\n", "\n");
            assert_eq!(read.text.trim_end_matches('\n'), safe_text(&wanted).trim_end_matches('\n'));
            assert_eq!(octets(&read.attachments[0]), draft.attachments[0].content);
        }
    }
}
