//! Multipart bodies of any length split at their delimiter lines (RFC 2046 section 5.1), without changing a byte.
use std::io::{self, Read};
use std::ops::Range;

use memchr::memmem;
use zeroize::Zeroizing;

use super::mime::MimeError;
use crate::content::Content;

/// The most parts that one multipart may have.
pub const MOST_PARTS: usize = 9_999;
/// How much is searched at once; a delimiter line that is longer is none.
const WINDOW: usize = 128 * 1024;
/// RFC 2046 allows 70 characters.
const LONGEST_BOUNDARY: usize = 1_000;

/// Where the parts of a multipart body stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartRanges {
    /// Each part with its header, exactly as between the delimiters: the line end before a delimiter is the delimiter's.
    pub parts: Vec<Range<u64>>,
    /// Whether the end delimiter was there.
    pub is_complete: bool,
}

impl PartRanges {
    /// Splits a body.
    ///
    /// # Errors
    /// It cannot be read, or has more than [`MOST_PARTS`].
    pub fn of(body: &Content, boundary: &str) -> Result<Self, MimeError> {
        let (parts, is_complete) = split(body.reader(), boundary, MOST_PARTS)?;
        Ok(Self { parts, is_complete })
    }
}

/// The ranges of the parts, and whether the end delimiter was there.
pub(super) fn split(
    body: impl Read,
    boundary: &str,
    most: usize,
) -> Result<(Vec<Range<u64>>, bool), MimeError> {
    let mut parts = Vec::new();
    if boundary.len() > LONGEST_BOUNDARY {
        return Ok((parts, false));
    }
    let mut search = Search::new(body, boundary);
    let mut part_start = None;
    while let Some(line) = search.next()? {
        if let Some(start) = part_start {
            if parts.len() >= most {
                return Err(MimeError::TooManyParts(most));
            }
            parts.push(start..line.previous_end.max(start));
        }
        if line.delimiter == Delimiter::End {
            return Ok((parts, true));
        }
        part_start = Some(line.end);
    }
    parts.extend(part_start.map(|start| start..search.position()));
    Ok((parts, false))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Next,
    End,
}

impl Delimiter {
    /// RFC 2046 section 5.1.1: after `--boundary` perhaps `--`, then nothing but blanks.
    fn read(rest_of_line: &[u8]) -> Option<Self> {
        match rest_of_line.trim_ascii_end() {
            b"" => Some(Self::Next),
            b"--" => Some(Self::End),
            _ => None,
        }
    }
}

/// A delimiter line that was found.
struct DelimiterLine {
    delimiter: Delimiter,
    /// Where what stands before it ends, without the line end.
    previous_end: u64,
    /// Where the next line begins.
    end: u64,
}

/// Searches a window at a time. A line feed is put before the first octet, so that every delimiter follows one.
struct Search<R> {
    body: R,
    finder: memmem::Finder<'static>,
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    has_ended: bool,
    /// Offset of the buffer's first octet, counted with the line feed put before.
    base: u64,
    /// Where in the buffer the search goes on.
    next: usize,
}

/// What the buffer tells about one place that looks like a delimiter.
enum Look {
    Line { delimiter: Delimiter, end: usize },
    NoDelimiter,
    MoreNeeded,
}

impl<R: Read> Search<R> {
    fn new(body: R, boundary: &str) -> Self {
        let needle = [b"\n--", boundary.as_bytes()].concat();
        let mut buffer = Zeroizing::new(vec![0; WINDOW]);
        buffer.iter_mut().take(1).for_each(|first| *first = b'\n');
        Self {
            body,
            finder: memmem::Finder::new(&needle).into_owned(),
            buffer,
            filled: 1,
            has_ended: false,
            base: 0,
            next: 0,
        }
    }

    /// How far the body was read.
    fn position(&self) -> u64 {
        (self.base + self.filled as u64).saturating_sub(1)
    }

    fn next(&mut self) -> Result<Option<DelimiterLine>, MimeError> {
        loop {
            let window = self.buffer.get(self.next..self.filled).unwrap_or_default();
            let Some(found) = self.finder.find(window) else {
                if self.has_ended {
                    return Ok(None);
                }
                // A delimiter may begin among the last octets, with a CR before it.
                let kept = self.filled.saturating_sub(self.finder.needle().len()).max(self.next);
                self.slide(kept)?;
                continue;
            };
            let at = self.next + found;
            match self.look(at) {
                Look::Line { delimiter, end } => {
                    let before = at.checked_sub(1).and_then(|before| self.buffer.get(before));
                    let line_end = at - usize::from(before == Some(&b'\r'));
                    self.next = end;
                    let offset = |position: usize| (self.base + position as u64).saturating_sub(1);
                    // The line's own line feed may begin the next delimiter.
                    return Ok(Some(DelimiterLine {
                        delimiter,
                        previous_end: offset(line_end),
                        end: offset((end + 1).min(self.filled)),
                    }));
                }
                Look::NoDelimiter => self.next = at + 1,
                Look::MoreNeeded => {
                    self.next = at;
                    self.slide(at)?;
                }
            }
        }
    }

    fn look(&self, at: usize) -> Look {
        let start = at + self.finder.needle().len();
        let rest = self.buffer.get(start..self.filled).unwrap_or_default();
        if rest.first().is_some_and(|first| *first != b'-' && !first.is_ascii_whitespace()) {
            return Look::NoDelimiter;
        }
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => rest.get(..end).unwrap_or_default(),
            None if self.has_ended => rest,
            None if at <= 1 && self.filled == self.buffer.len() => return Look::NoDelimiter,
            None => return Look::MoreNeeded,
        };
        match Delimiter::read(line) {
            Some(delimiter) => Look::Line { delimiter, end: start + line.len() },
            None => Look::NoDelimiter,
        }
    }

    /// Moves what begins one octet before `kept` to the front, and fills the buffer up.
    fn slide(&mut self, kept: usize) -> io::Result<()> {
        let dropped = kept.saturating_sub(1).min(self.filled);
        self.buffer.copy_within(dropped..self.filled, 0);
        self.base += dropped as u64;
        self.next = self.next.max(kept) - dropped;
        self.filled -= dropped;
        while self.filled < self.buffer.len() {
            match self.body.read(self.buffer.get_mut(self.filled..).unwrap_or_default())? {
                0 => {
                    self.has_ended = true;
                    break;
                }
                read => self.filled += read,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule says, line by line.
    fn simple_split(body: &[u8], boundary: &str) -> (Vec<Vec<u8>>, bool) {
        let (mut parts, mut start, mut position) = (Vec::new(), None, 0);
        for line in body.split_inclusive(|&byte| byte == b'\n') {
            let line_start = position;
            position += line.len();
            let rest = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes()));
            let Some(delimiter) = rest.and_then(Delimiter::read) else { continue };
            if let Some(start) = start {
                let part: &[u8] = &body[start..line_start];
                let part = part.strip_suffix(b"\r\n").or(part.strip_suffix(b"\n")).unwrap_or(part);
                parts.push(part.to_vec());
            }
            if delimiter == Delimiter::End {
                return (parts, true);
            }
            start = Some(position);
        }
        parts.extend(start.map(|start| body[start..].to_vec()));
        (parts, false)
    }

    fn streamed(body: &[u8], boundary: &str) -> (Vec<Vec<u8>>, bool) {
        let (ranges, is_complete) = split(body, boundary, MOST_PARTS).unwrap();
        let offset = |position: u64| usize::try_from(position).unwrap();
        let part = |range: &Range<u64>| body[offset(range.start)..offset(range.end)].to_vec();
        (ranges.iter().map(part).collect(), is_complete)
    }

    #[test]
    fn delimiters_are_found_wherever_a_window_ends() {
        for filling in (WINDOW - 40..WINDOW + 10).chain([0, 1, 2 * WINDOW - 9]) {
            for line_end in ["\r\n", "\n"] {
                let body = format!(
                    "{}{line_end}--b{line_end}one{line_end}--b \t{line_end}--bx{line_end}--b--{line_end}--b{line_end}",
                    "x".repeat(filling)
                );
                assert_eq!(streamed(body.as_bytes(), "b"), simple_split(body.as_bytes(), "b"), "{filling}");
            }
        }
    }

    #[test]
    fn a_delimiter_line_is_not_longer_than_a_window() {
        for (blanks, parts) in [(" ".repeat(WINDOW / 2), 2), (" ".repeat(WINDOW * 2), 1)] {
            for before in ["", "x\r\n"] {
                let body = format!("--b\r\n{before}--b{blanks}\r\ntwo\r\n--b--");
                assert_eq!(streamed(body.as_bytes(), "b").0.len(), parts);
            }
        }
    }

    #[test]
    fn ten_thousand_parts_are_refused() {
        let body = "--b\r\n\r\n".repeat(MOST_PARTS + 2);
        assert_eq!(split(body.as_bytes(), "b", MOST_PARTS), Err(MimeError::TooManyParts(MOST_PARTS)));
        let body = format!("{}--b--", "--b\r\n\r\n".repeat(MOST_PARTS));
        assert_eq!(streamed(body.as_bytes(), "b").0.len(), MOST_PARTS);
    }

    proptest::proptest! {
        #[test]
        fn splitting_is_what_the_rule_says(pieces in proptest::collection::vec(proptest::sample::select(
            vec!["\r\n", "\n", "\r", "--b", "--", "b", " ", "x", "--b--", "\r\n--b\r\n", "\n--b\n"]), 0..40)) {
            let body = pieces.concat();
            assert_eq!(streamed(body.as_bytes(), "b"), simple_split(body.as_bytes(), "b"));
        }
    }
}
