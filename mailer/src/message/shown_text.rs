//! The text of one part as it is shown: decoded, without soft line ends, HTML reduced to words.
use std::io::Read;

use mail_parser::decoders::charsets::map::charset_decoder;

use super::flowed::unflow;
use super::header::MediaType;
use super::html::html_to_text;
use super::legacy_display;
use super::mime::MimeError;
use super::part::Part;
use crate::content::Replay;

/// How a message is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The message came encrypted with its header protected (`hp="cipher"`): parts that begin with a Legacy Display element
    /// are shown without it (RFC 9788 section 4.5.3).
    pub omit_legacy_display: bool,
}

/// What the text of a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    Plain,
    Html,
}

/// Text to be shown, with `\n` as line ends.
pub(super) struct ShownText {
    pub(super) text: String,
    /// Whether there is more of it.
    pub(super) is_cut: bool,
}

/// Reads at most about `most` octets of text.
///
/// # Errors
/// The part cannot be read; damage is no error, it shows.
pub(super) fn shown_text(
    part: &Part,
    media_type: &MediaType,
    kind: TextKind,
    reading: Reading,
    most: usize,
) -> Result<ShownText, MimeError> {
    let (octets, is_cut) = decoded_octets(part, most)?;
    let text = decode(&octets, media_type.parameter("charset"));
    let omit_legacy_display = reading.omit_legacy_display && legacy_display::is_announced(media_type);
    let mut text = match kind {
        TextKind::Html => html_to_text(&text, most, omit_legacy_display),
        TextKind::Plain => {
            let text = text.replace("\r\n", "\n");
            let text = if omit_legacy_display { legacy_display::without(&text) } else { &text };
            let parameter = |name, wanted: &str| {
                media_type.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            };
            if parameter("format", "flowed") {
                unflow(text, parameter("delsp", "yes"))
            } else {
                text.to_owned()
            }
        }
    };
    if is_cut {
        text.push_str("\n[The text goes on; it is too long to be shown here.]\n");
    }
    Ok(ShownText { text, is_cut })
}

/// The first octets without transfer encoding, or as they came where that is damaged or unknown.
fn decoded_octets(part: &Part, most: usize) -> Result<(Vec<u8>, bool), MimeError> {
    let limit = most as u64 + 1;
    let mut octets = Vec::new();
    let is_decoded =
        part.decoded_body().is_ok_and(|body| body.replay().take(limit).read_to_end(&mut octets).is_ok());
    if !is_decoded {
        octets.clear();
        part.body.reader().take(limit).read_to_end(&mut octets)?;
    }
    let is_cut = octets.len() > most;
    octets.truncate(most);
    Ok((octets, is_cut))
}

/// Decodes by the charset that is named. Where none is, or an unknown one, or ASCII with more than that: UTF-8 if it is that,
/// else windows-1252, which most programs that say nothing mean.
pub(super) fn decode(octets: &[u8], charset: Option<&str>) -> String {
    let charset = charset.map(|name| name.trim().to_ascii_lowercase()).unwrap_or_default();
    let is_ascii = matches!(charset.as_str(), "us-ascii" | "ascii" | "ansi_x3.4-1968");
    if let Some(decode) = charset_decoder(charset.as_bytes()).filter(|_| !is_ascii) {
        return decode(octets);
    }
    match (std::str::from_utf8(octets), charset.as_str()) {
        (Ok(text), _) => text.to_owned(),
        (Err(_), "utf-8" | "utf8") => String::from_utf8_lossy(octets).into_owned(),
        (Err(problem), _) if problem.error_len().is_none() => String::from_utf8_lossy(octets).into_owned(),
        (Err(_), _) => charset_decoder(b"windows-1252")
            .map_or_else(|| String::from_utf8_lossy(octets).into_owned(), |decode| decode(octets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::message::mime::media_type;

    fn shown(message: &str, reading: Reading, most: usize) -> String {
        let part = Part::read(&Content::from_vec(message.as_bytes().to_vec())).unwrap();
        let media_type = media_type(&part.fields()).unwrap();
        let kind = if media_type.essence == "text/html" { TextKind::Html } else { TextKind::Plain };
        shown_text(&part, &media_type, kind, reading, most).unwrap().text
    }

    #[test]
    fn any_charset_gives_text() {
        for (octets, charset, wanted) in [
            (&b"Gr\xfc\xdfe"[..], Some("ISO-8859-1"), "Grüße"),
            (b"Gr\xfc\xdfe", None, "Grüße"),
            (b"Gr\xfc\xdfe \x93x\x94", Some("us-ascii"), "Grüße \u{201c}x\u{201d}"),
            (b"Gr\xfc\xdfe", Some("x-nobody-knows"), "Grüße"),
            ("Grüße".as_bytes(), Some("x-nobody-knows"), "Grüße"),
            ("Grüße".as_bytes(), Some("us-ascii"), "Grüße"),
            (b"Gr\xfc", Some("utf-8"), "Gr\u{fffd}"),
            (b"\x1b$B$\"\x1b(B", Some("iso-2022-jp"), "あ"),
        ] {
            assert_eq!(decode(octets, charset), wanted, "{charset:?}");
        }
    }

    #[test]
    fn flowed_text_and_legacy_displays_are_read() {
        let flowed = "Content-Type: text/plain; format=Flowed; delsp=yes\r\n\r\nho \r\nly\r\n";
        assert_eq!(shown(flowed, Reading::default(), 100), "holy\n");
        let display = "Content-Type: text/plain; hp-legacy-display=\"1\"\r\n\r\nSubject: x\r\n\r\nHello\r\n";
        assert_eq!(shown(display, Reading { omit_legacy_display: true }, 100), "Hello\n");
        assert_eq!(shown(display, Reading::default(), 100), "Subject: x\n\nHello\n");
        let html = "Content-Type: text/html; hp-legacy-display=1\r\n\r\n<body><div class=header-protection-legacy-display>Subject: x</div>Hello";
        assert_eq!(shown(html, Reading { omit_legacy_display: true }, 1_000).trim(), "Hello");
    }

    #[test]
    fn endless_text_is_cut_and_damaged_text_shows() {
        let long = format!("\r\n{}", "word ".repeat(10_000));
        let text = shown(&long, Reading::default(), 100);
        assert!(text.len() < 200 && text.contains("goes on"), "{text}");
        let damaged = "Content-Transfer-Encoding: x-unknown\r\n\r\nHello";
        assert_eq!(shown(damaged, Reading::default(), 100), "Hello");
    }

    proptest::proptest! {
        #[test]
        fn no_charset_panics(octets: Vec<u8>, charset in proptest::sample::select(CHARSETS)) {
            let _ = decode(&octets, Some(charset));
        }
    }

    const CHARSETS: &[&str] = &[
        "utf-7",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "iso-2022-jp",
        "shift_jis",
        "euc-jp",
        "gb2312",
        "gb18030",
        "hz-gb-2312",
        "big5",
        "euc-kr",
        "koi8-r",
        "macintosh",
        "ibm866",
        "windows-1258",
        "tis-620",
        "iso-8859-16",
        "ucs-2",
        "unicode",
    ];
}
