//! Canonical line ends (RFC 8551 section 3.1.1): what is signed has CRLF everywhere.
use std::borrow::Cow;
use std::io::{self, Read, Write};

use memchr::memmem;
use zeroize::Zeroizing;

use crate::content::{Content, Spool};

/// What is looked at at once.
const WINDOW: usize = 64 * 1024;
/// The longest line that servers must carry, without its CRLF (RFC 5322 section 2.1.1).
const LONGEST_LINE: u64 = 998;

/// What one look at every octet tells about lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each with a name")]
pub struct LineFacts {
    /// There is a CRLF.
    pub has_crlf: bool,
    /// There is a CR that is not part of a CRLF.
    pub has_lone_carriage_return: bool,
    /// There is a LF that is not part of a CRLF.
    pub has_lone_line_feed: bool,
    /// There is an octet 0.
    pub has_nul: bool,
    /// There is an octet above 127.
    pub has_eight_bit: bool,
    /// Octets of the longest line, without its line end.
    pub longest_line: u64,
}

impl LineFacts {
    /// Looks at all of a content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(content: &Content) -> io::Result<Self> {
        let mut scan = LineScan::default();
        for_each_window(content, |window| {
            scan.update(window);
            Ok(())
        })?;
        Ok(scan.finish())
    }

    /// The same for octets in memory.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut scan = LineScan::default();
        scan.update(bytes);
        scan.finish()
    }

    /// Whether CR and LF occur only as the pair CRLF.
    pub fn is_canonical(&self) -> bool {
        !self.has_lone_carriage_return && !self.has_lone_line_feed
    }

    /// Whether it holds what only binary parts may hold (RFC 2045 section 2.9).
    pub fn needs_binary(&self) -> bool {
        self.has_nul || self.has_lone_carriage_return
    }

    /// Whether servers must carry it without changing it: ASCII without NUL, only CRLF as line end, and no line longer than
    /// 998 octets (RFC 5321 section 4.5.3.1.6, RFC 5322 section 2.1.1).
    pub fn is_seven_bit(&self) -> bool {
        self.is_canonical() && !self.has_nul && !self.has_eight_bit && self.longest_line <= LONGEST_LINE
    }
}

/// Finds out [`LineFacts`] while octets pass by.
#[derive(Clone, Debug, Default)]
pub struct LineScan {
    facts: LineFacts,
    position: u64,
    line_start: u64,
    /// Where the octet after a CR stands that has not met its LF.
    after_carriage_return: Option<u64>,
}

impl LineScan {
    /// Looks at the next octets.
    pub fn update(&mut self, bytes: &[u8]) {
        self.facts.has_eight_bit |= !bytes.is_ascii();
        self.facts.has_nul |= memchr::memchr(0, bytes).is_some();
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let position = self.position + at as u64;
            let is_line_feed = bytes.get(at) == Some(&b'\n');
            let follows = self.after_carriage_return == Some(position);
            self.facts.has_lone_carriage_return |=
                self.after_carriage_return.is_some() && !(follows && is_line_feed);
            self.after_carriage_return = (!is_line_feed).then_some(position + 1);
            if is_line_feed {
                self.facts.has_crlf |= follows;
                self.facts.has_lone_line_feed |= !follows;
                self.end_line(position - u64::from(follows));
                self.line_start = position + 1;
            }
        }
        self.position += bytes.len() as u64;
    }

    /// There are no more.
    pub fn finish(mut self) -> LineFacts {
        self.facts.has_lone_carriage_return |= self.after_carriage_return.is_some();
        self.end_line(self.position);
        self.facts
    }

    fn end_line(&mut self, end: u64) {
        self.facts.longest_line = self.facts.longest_line.max(end - self.line_start);
    }
}

/// Makes every line end CRLF: a bare LF and a bare CR become CRLF, a CRLF stays.
pub struct CanonicalWriter<W: Write> {
    out: W,
    ends_with_carriage_return: bool,
}

impl<W: Write> CanonicalWriter<W> {
    /// Writes into `out`.
    pub fn new(out: W) -> Self {
        Self { out, ends_with_carriage_return: false }
    }

    /// What was written into.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for CanonicalWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut start = 0;
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let text = bytes.get(start..at).unwrap_or_default();
            self.ends_with_carriage_return &= text.is_empty();
            self.out.write_all(text)?;
            start = at + 1;
            // The CRLF of a pair was written when its CR was seen.
            if bytes.get(at) == Some(&b'\n') && std::mem::take(&mut self.ends_with_carriage_return) {
                continue;
            }
            self.out.write_all(b"\r\n")?;
            self.ends_with_carriage_return = bytes.get(at) == Some(&b'\r');
        }
        let text = bytes.get(start..).unwrap_or_default();
        self.ends_with_carriage_return &= text.is_empty();
        self.out.write_all(text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Makes every line end CRLF, in memory.
pub fn to_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    if is_canonical(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut writer = CanonicalWriter::new(Vec::with_capacity(bytes.len() + bytes.len() / 32));
    // A vector takes whatever is written.
    let _ = writer.write_all(bytes);
    Cow::Owned(writer.into_inner())
}

/// Whether CR and LF occur only as the pair CRLF.
pub fn is_canonical(bytes: &[u8]) -> bool {
    LineFacts::of_bytes(bytes).is_canonical()
}

/// A content with every line end CRLF, spooled.
///
/// # Errors
/// It cannot be read, or not be spooled.
pub fn spool_canonical(content: &Content) -> io::Result<Content> {
    let mut writer = CanonicalWriter::new(Spool::new());
    content.write_to(&mut writer)?;
    writer.into_inner().finish()
}

/// A received message with the line ends in which it was signed.
///
/// A message without a single CRLF went through a program or a Maildir that keeps LF, so all its line ends become CRLF.
/// Any other message stays byte for byte as it is: a signature may cover a lone LF.
///
/// # Errors
/// It cannot be read, or not be spooled.
pub fn received(content: &Content) -> io::Result<Content> {
    match has_crlf(content)? {
        true => Ok(content.clone()),
        false => spool_canonical(content),
    }
}

/// Looks no further than the first CRLF.
fn has_crlf(content: &Content) -> io::Result<bool> {
    let finder = memmem::Finder::new(b"\r\n");
    let mut buffer = vec![0; WINDOW];
    let mut reader = content.reader();
    let mut ended_with_carriage_return = false;
    loop {
        let read = reader.read(&mut buffer)?;
        let window = buffer.get(..read).unwrap_or_default();
        match window.last() {
            None => return Ok(false),
            Some(_) if ended_with_carriage_return && window.starts_with(b"\n") => return Ok(true),
            Some(_) if finder.find(window).is_some() => return Ok(true),
            Some(last) => ended_with_carriage_return = *last == b'\r',
        }
    }
}

fn for_each_window(content: &Content, mut look: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = Zeroizing::new(vec![0; WINDOW]);
    let mut reader = content.reader();
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            read => look(buffer.get(..read).unwrap_or_default())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_becomes_crlf_exactly_once() {
        for (given, wanted) in [
            (&b"a\nb"[..], &b"a\r\nb"[..]),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"a\rb\n\r\n\r", b"a\r\nb\r\n\r\n\r\n"),
            (b"\r\r\n\n", b"\r\n\r\n\r\n"),
            (b"\n\n", b"\r\n\r\n"),
            (b"", b""),
        ] {
            let canonical = to_crlf(given);
            assert_eq!(&*canonical, wanted);
            assert!(is_canonical(&canonical));
            assert_eq!(to_crlf(&canonical), canonical);
            let mut pieces = CanonicalWriter::new(Vec::new());
            given.iter().for_each(|byte| pieces.write_all(&[*byte]).unwrap());
            assert_eq!(pieces.into_inner(), wanted);
        }
        assert!(!is_canonical(b"a\r"));
        assert!(!is_canonical(b"a\rb"));
    }

    #[test]
    fn only_a_message_without_any_crlf_is_touched_on_receipt() {
        let received = |bytes: &[u8]| {
            let content = received(&Content::from_vec(bytes.to_vec())).unwrap();
            content.to_vec(1_000_000).unwrap().unwrap().to_vec()
        };
        assert_eq!(received(b"a: b\n\nc\n"), b"a: b\r\n\r\nc\r\n");
        assert_eq!(received(b"a: b\r\n\r\nc\n"), b"a: b\r\n\r\nc\n");
        let late = [vec![b'\n'; WINDOW - 1], b"\r\n".to_vec()].concat();
        assert_eq!(received(&late), late);
    }

    #[test]
    fn facts_are_the_same_however_the_octets_come() {
        for (bytes, longest, seven_bit) in [
            (&b"abc\r\nde\r\n"[..], 3, true),
            (b"", 0, true),
            (b"abc\r\nde\n", 3, false),
            (b"a\rb\r\n", 3, false),
            (b"ab\r", 3, false),
            (b"a\0\r\n", 2, false),
            (b"\xC3\xA4\r\n", 2, false),
        ] {
            let facts = LineFacts::of_bytes(bytes);
            assert_eq!((facts.longest_line, facts.is_seven_bit()), (longest, seven_bit), "{bytes:?}");
            let mut scan = LineScan::default();
            bytes.iter().for_each(|byte| scan.update(&[*byte]));
            assert_eq!(scan.finish(), facts, "{bytes:?}");
        }
        assert!(LineFacts::of_bytes(&[b'x'; 998]).is_seven_bit());
        assert!(!LineFacts::of_bytes(&[b'x'; 999]).is_seven_bit());
    }
}
