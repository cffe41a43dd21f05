//! Octets of later revisions that belong to no object: programs that repair what they read may find a document in them.
use std::ops::Range;

use crate::documents::pdf::{Document, Location, PdfError, Reference};

/// The most octets between objects that are looked at.
const MOST_BETWEEN: usize = 1024 * 1024;

/// Whether everything from `start` on is objects that a revision lists, cross-references, trailers, and white space.
pub(super) fn are_there(start: u64, now: &Document) -> Result<bool, PdfError> {
    let mut known: Vec<Range<u64>> = Vec::new();
    for mark in now.revisions().iter().filter(|mark| mark.end > start) {
        let then = Document::open(&now.content().slice(0..mark.end))?;
        for (number, location) in then.locations() {
            let Location::Offset { offset, generation } = location else { continue };
            if offset >= start {
                known.extend(then.span(Reference { number, generation })?);
            }
        }
        // Section and trailer; a cross-reference stream is an object and stands there too.
        known.push(mark.start_cross_reference..mark.section_end);
        if is_end_mark(now, mark.closing..mark.end)? {
            known.push(mark.closing..mark.end);
        }
    }
    known.sort_by_key(|range| range.start);
    let (mut at, mut rest) = (start, 0);
    for range in known.into_iter().chain(std::iter::once(now.content().len()..u64::MAX)) {
        if range.start > at {
            let between = now.content().slice(at..range.start);
            rest += between.len();
            let octets = between.to_vec(MOST_BETWEEN)?;
            if rest > MOST_BETWEEN as u64 || !octets.is_some_and(|octets| is_blank(&octets)) {
                return Ok(true);
            }
        }
        at = at.max(range.end.min(now.content().len()));
    }
    Ok(false)
}

/// `startxref` and an offset, and `%%EOF`, which is a comment like others.
fn is_end_mark(document: &Document, range: Range<u64>) -> Result<bool, PdfError> {
    const MOST: usize = 4096;
    let Some(octets) = document.content().slice(range).to_vec(MOST)? else { return Ok(false) };
    let lines = octets.split(|octet| matches!(octet, b'\n' | b'\r'));
    let words = lines.map(|line| line.split(|octet| *octet == b'%').next().unwrap_or_default());
    let words: Vec<&[u8]> =
        words.flat_map(|line| line.split(u8::is_ascii_whitespace)).filter(|word| !word.is_empty()).collect();
    Ok(matches!(words.as_slice(), [b"startxref", offset] if offset.iter().all(u8::is_ascii_digit)))
}

/// White space, and comments, which some writers begin a revision with.
fn is_blank(octets: &[u8]) -> bool {
    octets.split(|octet| matches!(octet, b'\n' | b'\r')).all(|line| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with(b"%")
    })
}
