//! `startxref` and `%%EOF` (ISO 32000-2 section 7.5.5).
use super::super::error::PdfError;
use super::super::lexer::{Lexer, Token};
use crate::content::Content;

/// How much junk may follow the last `%%EOF`.
const MOST_JUNK: u64 = 1024;
/// How far before the end of the file the last `startxref` is looked for.
const TAIL: u64 = 2 * MOST_JUNK;
/// How far after a section its `startxref` is looked for.
const MOST_DISTANCE: u64 = 1 << 20;
/// How much is looked at at once.
const MOST_CHUNK: u64 = 64 << 10;

/// `startxref`, an offset, `%%EOF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// The offset that is written there.
    pub(super) start_cross_reference: u64,
    /// After `%%EOF` and one end-of-line marker.
    pub(super) end: u64,
}

/// The one at the end of the file.
pub(super) fn last(content: &Content) -> Result<Ending, PdfError> {
    let start = content.len().saturating_sub(TAIL);
    let tail = content.slice(start..content.len()).head(usize::try_from(TAIL).unwrap_or(usize::MAX))?;
    let found = memchr::memmem::rfind(&tail, b"startxref")
        .ok_or_else(|| PdfError::damaged(start, "there is no startxref near the end of the file"))?;
    let at = start + found as u64;
    let ending = read(content, at)?
        .ok_or_else(|| PdfError::damaged(at, "startxref is not followed by an offset and %%EOF"))?;
    if content.len() - ending.end > MOST_JUNK {
        return Err(PdfError::damaged(ending.end, format!("more than {MOST_JUNK} octets follow %%EOF")));
    }
    Ok(ending)
}

/// The first that comes after a section that ends here and is wanted.
pub(super) fn after(
    content: &Content,
    section_end: u64,
    wanted: impl Fn(Ending) -> bool,
) -> Result<Option<Ending>, PdfError> {
    let finder = memchr::memmem::Finder::new(b"startxref");
    let overlap = finder.needle().len() as u64 - 1;
    let most = content.len().min(section_end.saturating_add(MOST_DISTANCE));
    // It comes next, or far behind.
    let (mut start, mut length) = (section_end, 256);
    while start < most {
        let octets = content.slice(start..(start + length + overlap).min(most)).head(usize::MAX)?;
        for found in finder.find_iter(&octets) {
            if let Some(ending) = read(content, start + found as u64)?
                && wanted(ending)
            {
                return Ok(Some(ending));
            }
        }
        start += length;
        length = MOST_CHUNK.min(2 * length);
    }
    Ok(None)
}

/// The one that begins here, if one does.
fn read(content: &Content, at: u64) -> Result<Option<Ending>, PdfError> {
    let mut lexer = Lexer::new(content, at);
    if !lexer.take_all(b"startxref")? {
        return Ok(None);
    }
    let Ok(Token::Integer(offset)) = lexer.token() else { return Ok(None) };
    let Ok(start_cross_reference) = u64::try_from(offset) else { return Ok(None) };
    while lexer.peek()?.is_some_and(super::super::lexer::is_white_space) {
        lexer.next()?;
    }
    if !lexer.take_all(b"%%EOF")? {
        return Ok(None);
    }
    lexer.take_end_of_line()?;
    Ok(Some(Ending { start_cross_reference, end: lexer.offset() }))
}
