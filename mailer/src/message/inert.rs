//! Content that anybody may have changed, made so that no program shows it as anything but text and files.
//!
//! Who changes an envelope without knowing its key (EFAIL) can put HTML around what was encrypted, and have it carried away by
//! whatever fetches a picture. So nothing of the structure is passed on but what stands here: one `multipart/mixed` of plain
//! texts and of files, each part with a header of our own making; of HTML its words.
use getrandom::SysRng;
use rand_core::TryRng;

use super::attachment::safe_name;
use super::canonical::to_crlf;
use super::header::MediaType;
use super::mime::{self, MimeError};
use super::parse::{MAXIMUM_DEPTH, MAXIMUM_PARTS};
use super::part::Part;
use super::shown_text::{Reading, TextKind, shown_text};
use super::transfer_encoding::{TransferEncoding, encode_base64};
use crate::content::Content;

/// How much HTML is read in all.
const MOST_WORDS: usize = 1024 * 1024;

/// The same message as texts and files.
///
/// # Errors
/// It cannot be read.
pub fn inert(message: &Content) -> Result<Content, MimeError> {
    let whole = Part::read(message)?;
    let mut leaves = Vec::new();
    collect(message, 0, &mut leaves)?;
    let boundary = unforeseeable_boundary()?;
    let mut header: Vec<u8> = whole
        .fields()
        .iter()
        .filter(|field| !super::outer::is_entity_field(field.name()))
        .flat_map(|field| field.raw().iter().copied())
        .collect();
    header.extend_from_slice(
        format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n")
            .as_bytes(),
    );
    let mut rebuilt = vec![Content::from_vec(header)];
    for leaf in leaves {
        let before = format!("--{boundary}\r\n{}\r\n", leaf.header);
        rebuilt.extend([
            Content::from_vec(before.into_bytes()),
            leaf.body,
            Content::from_vec(b"\r\n".to_vec()),
        ]);
    }
    rebuilt.push(Content::from_vec(format!("--{boundary}--\r\n").into_bytes()));
    Ok(Content::concat(rebuilt))
}

/// A part that is shown, with its header of our making.
struct Leaf {
    header: String,
    body: Content,
    /// Octets of text that was made of HTML.
    words: usize,
}

fn words_in(leaves: &[Leaf]) -> usize {
    leaves.iter().map(|leaf| leaf.words).sum()
}

fn collect(whole: &Content, depth: usize, leaves: &mut Vec<Leaf>) -> Result<(), MimeError> {
    let part = Part::read(whole)?;
    // What contradicts itself or goes beyond the limits is a file.
    let parts = match part.parts() {
        Err(MimeError::Unreadable(problem)) => return Err(MimeError::Unreadable(problem)),
        parts => parts.ok().flatten().filter(|_| depth < MAXIMUM_DEPTH && leaves.len() < MAXIMUM_PARTS),
    };
    match parts {
        Some((parts, _)) => parts.iter().try_for_each(|part| collect(part, depth + 1, leaves)),
        None => {
            let words = in_words(&part, MOST_WORDS.saturating_sub(words_in(leaves)))?;
            leaves.push(words.unwrap_or_else(|| Leaf {
                header: header_of(&part),
                body: part.body,
                words: 0,
            }));
            Ok(())
        }
    }
}

/// HTML that is meant to be read, as its words.
fn in_words(part: &Part, most: usize) -> Result<Option<Leaf>, MimeError> {
    let Some(media_type) = part.media_type().ok().filter(|known| known.essence == "text/html") else {
        return Ok(None);
    };
    if part.suggested_name().is_some() || most == 0 {
        return Ok(None);
    }
    let shown = shown_text(part, &media_type, TextKind::Html, Reading::default(), most)?;
    let header =
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n".to_owned();
    let body = encode_base64(&to_crlf(shown.text.as_bytes()));
    Ok(Some(Leaf { header, words: body.len(), body: Content::from_vec(body) }))
}

fn header_of(part: &Part) -> String {
    let encoding = match mime::transfer_encoding(&part.fields()) {
        Ok(TransferEncoding::Base64) => "base64",
        Ok(TransferEncoding::QuotedPrintable) => "quoted-printable",
        Ok(TransferEncoding::Identity) | Err(_) => "8bit",
    };
    let media_type = part.media_type().ok();
    let text = media_type.as_ref().filter(|known| known.essence == "text/plain");
    let name = part.suggested_name();
    let content_type = match (text, &name) {
        (Some(text), None) => format!("text/plain; charset={}", charset(text)),
        _ => {
            let name = name.as_deref().map(safe_name).unwrap_or_else(|| "content".to_owned());
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' })
                .collect();
            format!("application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"")
        }
    };
    format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n")
}

fn charset(text: &MediaType) -> &str {
    let is_token = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    text.parameter("charset").filter(is_token).unwrap_or("us-ascii")
}

/// Whoever changed the content cannot know it beforehand.
fn unforeseeable_boundary() -> Result<String, MimeError> {
    let mut random = [0; 16];
    SysRng.try_fill_bytes(&mut random).map_err(|error| MimeError::Unreadable(error.to_string()))?;
    Ok(format!("=_{}", hex::encode(random)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parse::{Attached, read};
    use crate::message::shown_text::Reading;

    fn inert_text(message: &str) -> String {
        let content = inert(&Content::from_vec(message.as_bytes().to_vec())).unwrap();
        String::from_utf8(content.to_vec(1_000_000).unwrap().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn html_becomes_its_words_and_text_stays_text() {
        let message = inert_text(
            "From: a@x.test\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain\r\n\
             --b\r\nContent-Type: multipart/related; boundary=c\r\n\r\n--c\r\nContent-Type: text/html\r\nContent-Location: http://evil/\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nPGI+d29yZHM8L2I+\r\n--c--\r\n--b\r\nContent-Type: application/pdf; name=\"../a\"\r\n\r\nx\r\n--b--\r\n",
        );
        assert!(
            message.starts_with("From: a@x.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;"),
            "{message}"
        );
        assert!(
            !message.contains("text/html") && !message.contains("evil") && !message.contains("related"),
            "{message}"
        );
        let readable = read(&Content::from_vec(message.into_bytes()), Reading::default()).unwrap();
        assert_eq!(readable.text.trim_end(), "plain\nwords");
        let octets = |attached: &Attached| attached.to_vec(99).unwrap().unwrap();
        let files: Vec<_> = readable.attachments.iter().map(|a| (a.name.as_str(), octets(a))).collect();
        assert_eq!(files, [("a", b"x".to_vec())]);
    }

    #[test]
    fn a_type_that_can_be_read_in_two_ways_is_a_file() {
        for header in [
            "Content-Type: text/plain\r\nContent-Type: text/html",
            "Content-Type: text/plain/html; boundary",
            "Content-Type: text/html; name=a.html",
            "Content-Type: message/rfc822",
        ] {
            let message = inert_text(&format!("{header}\r\n\r\n<img src=http://evil/>"));
            assert!(!message.contains("text/html"), "{message}");
            assert!(message.contains("application/octet-stream"), "{message}");
        }
        for header in ["Content-Type: text/html; x", "content-type:\r\n\ttext/html"] {
            let message = inert_text(&format!("{header}\r\n\r\n<img src=http://evil/>"));
            assert!(!message.contains("<img") && message.contains("text/plain; charset=utf-8"), "{message}");
        }
        let message = inert_text("Content-Type: text/plain; charset=\"utf-8\r\n X: y\"\r\n\r\n<b>");
        assert!(message.contains("text/plain; charset=us-ascii\r\n"), "{message}");
    }

    proptest::proptest! {
        #[test]
        fn nothing_becomes_html(bytes: Vec<u8>, html in "(?i)[ -~]{0,20}text/html[ -~]{0,20}") {
            let message = [format!("Content-Type: {html}\r\n\r\n").into_bytes(), bytes].concat();
            let content = inert(&Content::from_vec(message)).unwrap();
            let part = Part::read(&content).unwrap();
            for leaf in part.parts().unwrap().unwrap().0 {
                let essence = Part::read(&leaf).unwrap().media_type().unwrap().essence;
                assert!(essence == "text/plain" || essence == "application/octet-stream", "{essence}");
            }
        }
    }
}
