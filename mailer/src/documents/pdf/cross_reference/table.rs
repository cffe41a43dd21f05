//! Cross-reference tables (ISO 32000-2 section 7.5.4).
use std::io::Read;

use super::super::error::PdfError;
use super::super::lexer::{Lexer, Token, is_white_space};
use super::super::object::{Dictionary, Object};
use super::super::parser::Parser;
use super::{Allowance, Entry, sorted};

/// Octets of one entry: `nnnnnnnnnn ggggg n` and two of white space.
pub(in super::super) const ENTRY: u64 = 20;
/// Entries that are read at once.
const BATCH: u64 = 512;

/// A table with its trailer.
pub(super) struct Table {
    pub(super) in_use: Vec<Entry>,
    pub(super) free: Vec<Entry>,
    pub(super) trailer: Dictionary,
}

/// Reads a table whose keyword `xref` comes next.
pub(super) fn read(lexer: &mut Lexer<'_>, allowance: &mut Allowance) -> Result<Table, PdfError> {
    let start = lexer.offset();
    if !lexer.token()?.is("xref") {
        return Err(PdfError::damaged(start, "no cross-reference section begins here"));
    }
    let mut entries = Vec::new();
    loop {
        lexer.skip_white_space()?;
        let at = lexer.offset();
        match lexer.token()? {
            Token::Integer(first) => subsection(lexer, first, at, &mut entries, allowance)?,
            keyword if keyword.is("trailer") => break,
            _ => {
                return Err(PdfError::damaged(
                    at,
                    "a cross-reference table has something that is no subsection",
                ));
            }
        }
    }
    lexer.skip_white_space()?;
    let at = lexer.offset();
    let Object::Dictionary(trailer) = Parser::new(lexer).value()? else {
        return Err(PdfError::damaged(at, "the trailer is no dictionary"));
    };
    let entries = sorted(entries, start)?;
    let (free, in_use) = entries.into_iter().partition(|entry| entry.is_free());
    Ok(Table { in_use, free, trailer })
}

fn subsection(
    lexer: &mut Lexer<'_>,
    first: i64,
    at: u64,
    entries: &mut Vec<Entry>,
    allowance: &mut Allowance,
) -> Result<(), PdfError> {
    let wrong = || PdfError::damaged(at, "a cross-reference subsection has numbers that cannot be");
    let Token::Integer(count) = lexer.token()? else { return Err(wrong()) };
    let first = u32::try_from(first).map_err(|_| wrong())?;
    let count = u32::try_from(count).map_err(|_| wrong())?;
    first.checked_add(count).ok_or_else(wrong)?;
    allowance.spend(u64::from(count), at)?;
    if count == 0 {
        return Ok(());
    }
    while lexer.peek()?.is_some_and(is_white_space) {
        lexer.next()?;
    }
    let start = lexer.offset();
    let end = start + u64::from(count) * ENTRY;
    let content = lexer.content();
    if end > content.len() {
        return Err(PdfError::damaged(at, "a cross-reference subsection is longer than the file"));
    }
    let (mut number, mut offset, mut batch) = (first, start, Vec::new());
    while offset < end {
        batch.clear();
        let to = end.min(offset + BATCH * ENTRY);
        content.slice(offset..to).reader().read_to_end(&mut batch)?;
        for octets in batch.as_chunks::<20>().0 {
            let entry = entry(number, octets);
            entries.push(entry.ok_or_else(|| {
                PdfError::damaged(
                    offset,
                    format!("the cross-reference entry of object {number} is not written as it must be"),
                )
            })?);
            number += 1;
            offset += ENTRY;
        }
    }
    lexer.skip_to(end);
    Ok(())
}

/// Exactly 20 octets: readers that count them and readers that take tokens must find the same.
fn entry(number: u32, octets: &[u8; 20]) -> Option<Entry> {
    let [offset @ .., b' ', g1, g2, g3, g4, g5, b' ', kind, end1, end2] = octets else { return None };
    if !is_white_space(*end1) || !is_white_space(*end2) {
        return None;
    }
    let offset = decimal(offset)?;
    let generation = decimal(&[*g1, *g2, *g3, *g4, *g5])?;
    match kind {
        b'n' => Some(Entry::at(number, offset, u16::try_from(generation).ok()?)),
        // MuPDF gives object 0 the generation 65536.
        b'f' => Some(Entry::free(number)),
        _ => None,
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0_u64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_twenty_octets_exactly() {
        for (text, wanted) in [
            (b"0000000017 00000 n\r\n", Some(Entry::at(3, 17, 0))),
            (b"9999999999 65535 n \n", Some(Entry::at(3, 9_999_999_999, 65_535))),
            (b"0000000000 65535 f \r", Some(Entry::free(3))),
            (b"0000000000 00000 n \n", Some(Entry::free(3))),
            (b"0000000017 00000 n1\n", None),
            (b"0000000000 65536 f \n", Some(Entry::free(3))),
            (b"0000000017 65536 n \n", None),
            (b"+000000017 00000 n \n", None),
            (b" 000000017 00000 n \n", None),
            (b"0000000017 00000 x \n", None),
            (b"0000000017\t00000 n \n", None),
        ] {
            assert_eq!(entry(3, text), wanted, "{}", String::from_utf8_lossy(text));
        }
    }
}
