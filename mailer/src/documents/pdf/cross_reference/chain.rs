//! The sections of a file, newest first, and the revisions that they make (ISO 32000-2 sections 7.5.6 and 7.5.8.4).
use std::collections::HashSet;

use super::super::error::PdfError;
use super::super::lexer::Lexer;
use super::super::object::{Dictionary, Object};
use super::ending::{self, Ending};
use super::{Allowance, Entry, Map, stream, table};
use crate::content::Content;

/// The most sections: each revision has one, a linearised file one more.
const MOST_SECTIONS: usize = 4096;

/// How a cross-reference section is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// A table with a trailer (section 7.5.4).
    Table,
    /// A stream (section 7.5.8).
    Stream,
    /// A table, and a stream for those who can read it (section 7.5.8.4).
    Hybrid,
}

/// One state in which the file was once: everything up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionMark {
    /// After its `%%EOF` and the end-of-line marker that follows.
    pub end: u64,
    /// Offset of its newest cross-reference section.
    pub start_cross_reference: u64,
    /// After that section and its trailer.
    pub section_end: u64,
    /// Where its `startxref` may begin: behind the section, or behind the second one of a linearised file.
    pub closing: u64,
    /// How that section is written.
    pub kind: SectionKind,
}

/// All sections put together.
#[derive(Clone, Debug)]
pub(in super::super) struct Chain {
    pub(in super::super) map: Map,
    /// The newest, with what the standard lets older ones say.
    pub(in super::super) trailer: Dictionary,
    /// Oldest first.
    pub(in super::super) revisions: Vec<RevisionMark>,
}

struct Section {
    start: u64,
    end: u64,
    kind: SectionKind,
    trailer: Dictionary,
}

/// Reads every section, from the last `startxref` to the first.
pub(in super::super) fn read(content: &Content) -> Result<Chain, PdfError> {
    let last = ending::last(content)?;
    let (mut map, mut sections, mut seen) = (Map::default(), Vec::new(), HashSet::new());
    let mut allowance = Allowance::for_file(content.len());
    let mut next = Some(last.start_cross_reference);
    while let Some(offset) = next {
        if sections.len() == MOST_SECTIONS {
            let (what, most) = ("cross-reference sections", MOST_SECTIONS as u64);
            return Err(PdfError::TooMany { at: offset, what, most });
        }
        let (section, entries) = section(content, offset, &mut allowance)?;
        if !seen.insert(section.start) {
            return Err(PdfError::damaged(
                section.start,
                "the cross-reference sections refer to one another in a loop",
            ));
        }
        entries.into_iter().for_each(|entries| map.add_missing(entries));
        next = previous(&section)?;
        sections.push(section);
    }
    let trailer = merged(&sections)?;
    let size = size(&sections)?;
    if map.highest() >= size {
        let what = format!("/Size is {size}, but the cross-reference has object {}", map.highest());
        return Err(PdfError::damaged(last.start_cross_reference, what));
    }
    let revisions = revisions(content, &sections, last)?;
    Ok(Chain { map, trailer, revisions })
}

/// One section, with lists of entries of which earlier ones win.
fn section(
    content: &Content,
    offset: u64,
    allowance: &mut Allowance,
) -> Result<(Section, Vec<Vec<Entry>>), PdfError> {
    if offset >= content.len() {
        return Err(PdfError::damaged(
            offset,
            "a cross-reference section is said to be here, after the end of the file",
        ));
    }
    let mut lexer = Lexer::new(content, offset);
    lexer.skip_white_space()?;
    let start = lexer.offset();
    if lexer.peek()? != Some(b'x') {
        let (entries, trailer) = stream::read(&mut lexer, allowance)?;
        return Ok((
            Section { start, end: lexer.offset(), kind: SectionKind::Stream, trailer },
            vec![entries],
        ));
    }
    let table = table::read(&mut lexer, allowance)?;
    let (end, mut kind, mut entries) = (lexer.offset(), SectionKind::Table, vec![table.in_use]);
    if let Some(hidden) = table.trailer.get("XRefStm") {
        let Some(offset) = hidden.as_integer().and_then(|offset| u64::try_from(offset).ok()) else {
            return Err(PdfError::damaged(start, "/XRefStm is no offset"));
        };
        let hidden = stream::read(&mut Lexer::new(content, offset), allowance)?.0;
        agree(&entries, &hidden, start)?;
        entries.push(hidden);
        kind = SectionKind::Hybrid;
    }
    // An object that is hidden from old readers is free in the table and in use in the stream.
    entries.push(table.free);
    Ok((Section { start, end, kind, trailer: table.trailer }, entries))
}

/// What is in use for readers of tables must be the same for readers of streams.
fn agree(in_use: &[Vec<Entry>], hidden: &[Entry], at: u64) -> Result<(), PdfError> {
    let other = in_use.iter().flatten().find(|entry| {
        let found = hidden.binary_search_by_key(&entry.number, |hidden| hidden.number);
        found
            .ok()
            .and_then(|found| hidden.get(found))
            .is_some_and(|hidden| !hidden.is_free() && hidden != *entry)
    });
    match other {
        Some(Entry { number, .. }) => {
            let what = format!(
                "the table and /XRefStm disagree where object {number} is, so it can be read in two ways"
            );
            Err(PdfError::damaged(at, what))
        }
        None => Ok(()),
    }
}

fn previous(section: &Section) -> Result<Option<u64>, PdfError> {
    let Some(previous) = section.trailer.get("Prev") else { return Ok(None) };
    match previous.as_integer().map(u64::try_from) {
        Some(Ok(offset)) => Ok(Some(offset)),
        _ => Err(PdfError::damaged(section.start, "/Prev is no offset")),
    }
}

/// The newest trailer has everything (section 7.5.6). Writers that leave out /Info or /ID are forgiven; one that leaves out
/// /Encrypt is not, because some readers would decrypt and others not.
fn merged(sections: &[Section]) -> Result<Dictionary, PdfError> {
    let Some((newest, older)) = sections.split_first() else { return Ok(Dictionary::new()) };
    let mut trailer = newest.trailer.clone();
    if !matches!(trailer.get("Root"), Some(Object::Reference(_))) {
        return Err(PdfError::damaged(newest.start, "the trailer refers to no catalog (/Root)"));
    }
    for section in older {
        if section.trailer.get("Encrypt").is_some_and(|encrypt| trailer.get("Encrypt") != Some(encrypt)) {
            return Err(PdfError::damaged(
                newest.start,
                "an update changes how the file is encrypted (/Encrypt)",
            ));
        }
        for key in ["Info", "ID"] {
            if let (None, Some(value)) = (trailer.get(key), section.trailer.get(key)) {
                trailer.set(key, value.clone());
            }
        }
    }
    Ok(trailer)
}

/// Beyond this number other programs repair the file, and may find another document in it (ISO 32000-1 Annex C).
const MOST_OBJECTS: u32 = 8_388_608;

fn size(sections: &[Section]) -> Result<u32, PdfError> {
    let Some(newest) = sections.first() else { return Ok(0) };
    let size = newest.trailer.get("Size").and_then(Object::as_integer);
    let size = size
        .and_then(|size| u32::try_from(size).ok())
        .ok_or_else(|| PdfError::damaged(newest.start, "the trailer has no /Size that can be"))?;
    if size > MOST_OBJECTS {
        let most = u64::from(MOST_OBJECTS);
        return Err(PdfError::TooMany { at: newest.start, what: "objects, by its /Size,", most });
    }
    Ok(size)
}

/// Finds where each revision ends. A linearised file has two sections in its first revision, and the `startxref` that
/// follows the second leads to the first, which stands before it (Annex F).
fn revisions(content: &Content, sections: &[Section], last: Ending) -> Result<Vec<RevisionMark>, PdfError> {
    let mut revisions: Vec<RevisionMark> = Vec::new();
    let mut sections = sections.iter().peekable();
    let mut later_start = content.len();
    while let Some(section) = sections.next() {
        let leads_here = |ending: Ending| leads_to(content, ending, section.start);
        let behind = sections.next_if(|older| older.start > section.start).unwrap_or(section);
        let ending =
            if revisions.is_empty() { Some(last) } else { ending::after(content, behind.end, leads_here)? };
        let Some(ending) = ending.filter(|ending| behind.end <= ending.end && ending.end <= later_start)
        else {
            let what = "the cross-reference section that begins here is not closed by a startxref of its own";
            return Err(PdfError::damaged(section.start, what));
        };
        let (end, start_cross_reference) = (ending.end, section.start);
        let (section_end, closing) = (section.end, behind.end);
        revisions.push(RevisionMark { end, start_cross_reference, section_end, closing, kind: section.kind });
        later_start = section.start;
    }
    revisions.reverse();
    Ok(revisions)
}

/// `startxref` may lead to white space before the section.
fn leads_to(content: &Content, ending: Ending, section: u64) -> bool {
    if ending.start_cross_reference == section {
        return true;
    }
    let mut lexer = Lexer::new(content, ending.start_cross_reference);
    ending.start_cross_reference < section && lexer.skip_white_space().is_ok() && lexer.offset() == section
}
