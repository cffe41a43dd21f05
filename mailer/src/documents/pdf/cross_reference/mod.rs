//! Where the objects of a file are (ISO 32000-2 sections 7.5.4, 7.5.5 and 7.5.8): cross-reference sections and their chain.
//!
//! - `table`, `stream`: the two ways in which a section is written.
//! - `chain`: the sections of all revisions, newest first, put together.
//! - `ending`: `startxref` and `%%EOF`.
mod chain;
mod ending;
mod stream;
mod table;

pub(super) use chain::{Chain, read};
pub use chain::{RevisionMark, SectionKind};

use super::error::PdfError;

/// The last offset that a cross-reference table can hold: ten digits.
pub(super) const MOST_TABLE_OFFSET: u64 = 9_999_999_999;
/// The most objects of a file: Annex C's limit of object numbers.
const MOST_OBJECTS: u64 = 8_388_607;

/// Where an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the file itself.
    Offset {
        /// Of the first digit of its number.
        offset: u64,
        /// Its generation number.
        generation: u16,
    },
    /// In an object stream (section 7.5.7); its generation is 0.
    InStream {
        /// Object number of the object stream.
        stream: u32,
        /// Position in it, from 0.
        index: u32,
    },
}

/// What a section says of one object number; small, because there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    number: u32,
    /// Generation, or position in an object stream.
    detail: u32,
    /// Offset in the file, or number of an object stream with [`Entry::IN_STREAM`] set, or [`Entry::FREE`].
    place: u64,
}

impl Entry {
    const FREE: u64 = u64::MAX;
    const IN_STREAM: u64 = 1 << 63;

    fn free(number: u32) -> Self {
        Self { number, detail: 0, place: Self::FREE }
    }

    /// Nothing can be at offset 0, where the header of the file is: writers mean a free object.
    fn at(number: u32, offset: u64, generation: u16) -> Self {
        if offset == 0 || offset >= Self::IN_STREAM || number == 0 {
            return Self::free(number);
        }
        Self { number, detail: u32::from(generation), place: offset }
    }

    fn in_stream(number: u32, stream: u32, index: u32) -> Self {
        if number == 0 {
            return Self::free(number);
        }
        Self { number, detail: index, place: Self::IN_STREAM | u64::from(stream) }
    }

    fn is_free(self) -> bool {
        self.place == Self::FREE
    }

    fn location(self) -> Option<Location> {
        if self.is_free() {
            return None;
        }
        if self.place & Self::IN_STREAM == 0 {
            let generation = u16::try_from(self.detail).unwrap_or_default();
            return Some(Location::Offset { offset: self.place, generation });
        }
        let stream = u32::try_from(self.place & !Self::IN_STREAM).unwrap_or_default();
        Some(Location::InStream { stream, index: self.detail })
    }
}

/// Object numbers and where the objects are, sorted by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Map(Vec<Entry>);

impl Map {
    pub(super) fn location(&self, number: u32) -> Option<Location> {
        let found = self.0.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.0.get(found)?.location()
    }

    /// Every number in use.
    pub(super) fn locations(&self) -> impl Iterator<Item = (u32, Location)> {
        self.0.iter().filter_map(|entry| Some((entry.number, entry.location()?)))
    }

    /// The highest number of which anything is said.
    pub(super) fn highest(&self) -> u32 {
        self.0.last().map_or(0, |entry| entry.number)
    }

    /// Adds what is said of numbers of which nothing is known yet.
    fn add_missing(&mut self, mut entries: Vec<Entry>) {
        entries.retain(|entry| self.0.binary_search_by_key(&entry.number, |known| known.number).is_err());
        if entries.is_empty() {
            return;
        }
        if self.0.is_empty() {
            self.0 = entries;
        } else {
            self.0.extend(entries);
        }
        // Two sorted runs: this merges them.
        self.0.sort_by_key(|entry| entry.number);
    }
}

/// Sorts the entries of one section, each of which must be of another number (section 7.5.4).
fn sorted(mut entries: Vec<Entry>, at: u64) -> Result<Vec<Entry>, PdfError> {
    entries.sort_by_key(|entry| entry.number);
    let twice = entries.windows(2).find_map(|pair| match pair {
        [first, second] if first.number == second.number => Some(first.number),
        _ => None,
    });
    match twice {
        Some(number) => Err(PdfError::damaged(
            at,
            format!("one cross-reference section says twice where object {number} is"),
        )),
        None => Ok(entries),
    }
}

/// How many entries may still come: in proportion to the file, so that a small one cannot ask for much memory.
struct Allowance {
    left: u64,
    most: u64,
}

impl Allowance {
    fn for_file(octets: u64) -> Self {
        let most = octets.saturating_mul(4).saturating_add(65_536).min(2 * MOST_OBJECTS);
        Self { left: most, most }
    }

    fn spend(&mut self, entries: u64, at: u64) -> Result<(), PdfError> {
        let what = "cross-reference entries";
        self.left = self.left.checked_sub(entries).ok_or(PdfError::TooMany { at, what, most: self.most })?;
        Ok(())
    }
}
