//! Cross-reference streams (ISO 32000-2 section 7.5.8).
use std::io::Read;

use super::super::error::PdfError;
use super::super::filters;
use super::super::lexer::Lexer;
use super::super::object::{Dictionary, Object, Reference, Stream};
use super::super::parser::Parser;
use super::{Allowance, Entry, Location, sorted};
use crate::content::Content;

/// The widest field.
const MOST_WIDTH: usize = 8;

/// Reads the cross-reference stream whose object begins here.
pub(super) fn read(
    lexer: &mut Lexer<'_>,
    allowance: &mut Allowance,
) -> Result<(Vec<Entry>, Dictionary), PdfError> {
    lexer.skip_white_space()?;
    let start = lexer.offset();
    let indirect = Parser::new(lexer).indirect(&|_| {
        Err(PdfError::damaged(start, "the length of a cross-reference stream is a reference"))
    })?;
    let Object::Stream(stream) = indirect.object else {
        return Err(PdfError::damaged(start, "no cross-reference section begins here"));
    };
    if !stream.dictionary.is_type("XRef") {
        return Err(PdfError::damaged(start, "a stream that is no cross-reference stream stands here"));
    }
    let mut entries = sorted(entries(&stream, start, allowance)?, start)?;
    own_entry(lexer.content(), &mut entries, indirect.reference, indirect.span.start)?;
    Ok((entries, stream.dictionary))
}

/// The entry of the stream itself, which nothing refers to and which some writers get wrong: it is here, unless another
/// object of its number really is where its entry leads.
fn own_entry(content: &Content, entries: &mut [Entry], own: Reference, start: u64) -> Result<(), PdfError> {
    let Some(entry) = entries.iter_mut().find(|entry| entry.number == own.number) else { return Ok(()) };
    let offset = match entry.location() {
        None => return Ok(()),
        Some(Location::Offset { offset, .. }) if offset < content.len() => offset,
        Some(_) => start,
    };
    let found = Parser::new(&mut Lexer::new(content, offset)).header();
    match found {
        Ok((other, at)) if other == own && at != start => Err(PdfError::damaged(
            at,
            format!("{own} is here, and so is a cross-reference stream at octet {start}"),
        )),
        _ => {
            *entry = Entry::at(own.number, start, own.generation);
            Ok(())
        }
    }
}

fn entries(stream: &Stream, at: u64, allowance: &mut Allowance) -> Result<Vec<Entry>, PdfError> {
    let widths =
        widths(&stream.dictionary).ok_or_else(|| PdfError::damaged(at, "/W has widths that cannot be"))?;
    let ranges =
        ranges(&stream.dictionary).ok_or_else(|| PdfError::damaged(at, "/Index or /Size cannot be"))?;
    let mut reader = filters::reader(stream, &filters::direct, at)?;
    let mut row = vec![0; widths.iter().sum()];
    let mut entries = Vec::new();
    for (first, count) in ranges {
        allowance.spend(u64::from(count), at)?;
        for number in first..first + count {
            reader.read_exact(&mut row).map_err(|problem| match problem.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    PdfError::damaged(at, "the cross-reference stream is shorter than its /Index says")
                }
                _ => filters::problem(problem, at),
            })?;
            entries.push(entry(number, &row, widths).ok_or_else(|| {
                PdfError::damaged(
                    at,
                    format!("the cross-reference stream has a number that cannot be for object {number}"),
                )
            })?);
        }
    }
    match reader.read(&mut [0]) {
        Ok(0) => Ok(entries),
        Ok(_) => Err(PdfError::damaged(at, "the cross-reference stream is longer than its /Index says")),
        Err(problem) => Err(filters::problem(problem, at)),
    }
}

/// `/W`: three widths, of which the second is not 0.
fn widths(dictionary: &Dictionary) -> Option<[usize; 3]> {
    let [kind, place, detail] = dictionary.get("W")?.as_array()? else { return None };
    let width = |object: &Object| {
        let width = usize::try_from(object.as_integer()?).ok()?;
        (width <= MOST_WIDTH).then_some(width)
    };
    Some([width(kind)?, width(place).filter(|width| *width > 0)?, width(detail)?])
}

/// `/Index`: pairs of a first number and a count; the whole of `/Size` when it is absent.
fn ranges(dictionary: &Dictionary) -> Option<Vec<(u32, u32)>> {
    let size = u32::try_from(dictionary.get("Size")?.as_integer()?).ok()?;
    let Some(index) = dictionary.get("Index") else { return Some(vec![(0, size)]) };
    let (pairs, rest) = index.as_array()?.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let number = |object: &Object| u32::try_from(object.as_integer()?).ok();
    pairs
        .iter()
        .map(|[first, count]| {
            let (first, count) = (number(first)?, number(count)?);
            first.checked_add(count)?;
            Some((first, count))
        })
        .collect()
}

/// Table 18. An unknown kind means a reference to nothing.
fn entry(number: u32, row: &[u8], [kind, place, _]: [usize; 3]) -> Option<Entry> {
    let (kind, rest) = row.split_at_checked(kind)?;
    let (place, detail) = rest.split_at_checked(place)?;
    let value = |octets: &[u8]| octets.iter().fold(0_u64, |value, octet| value << 8 | u64::from(*octet));
    let (place, detail) = (value(place), value(detail));
    Some(match if kind.is_empty() { 1 } else { value(kind) } {
        1 => Entry::at(number, place, u16::try_from(detail).ok()?),
        2 => Entry::in_stream(number, u32::try_from(place).ok()?, u32::try_from(detail).ok()?),
        _ => Entry::free(number),
    })
}
