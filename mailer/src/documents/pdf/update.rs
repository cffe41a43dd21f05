//! The appender: incremental updates (ISO 32000-2 section 7.5.6). The octets of the original are never touched.
use std::collections::BTreeMap;
use std::ops::Range;

use super::cross_reference::{MOST_TABLE_OFFSET, SectionKind};
use super::document::Document;
use super::error::PdfError;
use super::object::{Dictionary, Object, Reference};
use crate::content::Content;

/// Digits that are kept for each number of /ByteRange: enough for any offset.
const DIGITS: usize = 20;
/// Keys of a trailer that belong to one section, or are written anew.
const OF_ONE_SECTION: [&str; 14] = [
    "Size",
    "Prev",
    "ID",
    "XRefStm",
    "Type",
    "W",
    "Index",
    "Length",
    "Filter",
    "DecodeParms",
    "F",
    "FFilter",
    "FDecodeParms",
    "DL",
];

/// New and changed objects that are to be appended to a file.
///
/// The section that is appended is written like the newest one of the file: as a table or as a stream; as a table for a
/// hybrid file. A table cannot lead beyond octet 9,999,999,999: then it is a stream, whatever the file had.
pub struct Update<'d> {
    document: &'d Document,
    next: u32,
    objects: BTreeMap<u32, (Reference, Object)>,
    signatures: Vec<(Reference, usize)>,
}

/// A file with its update.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The original and what was added.
    pub whole: Content,
    /// Where in `whole` the added octets are.
    pub added: Range<u64>,
    /// The place for a signature, if the update has one.
    pub signature: Option<SignatureGap>,
}

/// Where a signature goes (section 12.8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureGap {
    /// The hexadecimal string of /Contents with its `<` and `>`.
    pub contents: Range<u64>,
    /// The numbers of /ByteRange: all of the file but that.
    pub byte_range: [u64; 4],
}

impl<'d> Update<'d> {
    /// Begins an update.
    ///
    /// # Errors
    /// The cross-reference is damaged, or strings and streams of the file are encrypted.
    pub fn new(document: &'d Document) -> Result<Self, PdfError> {
        if document.is_ciphered() {
            return Err(PdfError::Encrypted);
        }
        document.check_offsets()?;
        let next = document.next_number();
        Ok(Self { document, next, objects: BTreeMap::new(), signatures: Vec::new() })
    }

    /// The reference of an object that does not exist yet.
    pub fn allocate(&mut self) -> Reference {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        Reference { number, generation: 0 }
    }

    /// Adds or replaces an object.
    pub fn set(&mut self, reference: Reference, object: impl Into<Object>) {
        self.signatures.retain(|(signature, _)| *signature != reference);
        self.objects.insert(reference.number, (reference, object.into()));
    }

    /// Adds a signature dictionary with room for a signature of so many octets; /ByteRange and /Contents are made.
    pub fn set_signature(
        &mut self,
        reference: Reference,
        mut dictionary: Dictionary,
        contents_octets: usize,
    ) {
        dictionary.remove("ByteRange");
        dictionary.remove("Contents");
        self.set(reference, dictionary);
        self.signatures.push((reference, contents_octets));
    }

    /// Appends everything, with a second /ID of these octets; the first is kept if there is one.
    ///
    /// # Errors
    /// The update has what a file cannot hold: an object without number, a stream inside another value, two signatures.
    pub fn finish(self, new_identifier: [u8; 16]) -> Result<Appended, PdfError> {
        let original = self.document.content();
        let signature = match self.signatures[..] {
            [] => None,
            [one] => Some(one),
            _ => return Err(PdfError::BadUpdate("one update can have one signature".to_owned())),
        };
        let mut body = Body::after(original)?;
        let mut places = Vec::new();
        let mut gap = None;
        for (reference, object) in self.objects.values() {
            check(*reference, object)?;
            places.push((*reference, body.offset()));
            body.text(format!("{} {} obj\n", reference.number, reference.generation).as_bytes());
            match signature.filter(|(signed, _)| signed == reference) {
                Some((_, octets)) => gap = Some(body.signature(object, octets)),
                None => body.object(object),
            }
            body.text(b"\nendobj\n");
        }
        let section = body.offset();
        self.section(&mut body, places, new_identifier);
        body.text(format!("startxref\n{section}\n%%EOF\n").as_bytes());
        Ok(body.finish(gap))
    }

    fn section(&self, body: &mut Body, mut places: Vec<(Reference, u64)>, new_identifier: [u8; 16]) {
        let newest = self.document.revisions().last();
        let highest = self.objects.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let size = highest.max(self.document.next_number());
        let mut trailer = Dictionary::new().with("Size", i64::from(size));
        for (key, value) in self.document.trailer().iter() {
            if !OF_ONE_SECTION.iter().any(|other| key.is(other)) {
                trailer.insert_new(key.clone(), value.clone());
            }
        }
        let new = new_identifier.to_vec();
        let first = self.document.file_identifier().map_or_else(|| new.clone(), |[first, _]| first);
        trailer.set("ID", vec![Object::String(first), Object::String(new)]);
        trailer.set("Prev", newest.map_or(0, |newest| offset_value(newest.start_cross_reference)));
        let is_stream = newest.is_some_and(|newest| newest.kind == SectionKind::Stream);
        if !is_stream && body.offset() <= MOST_TABLE_OFFSET {
            body.text(table(&places).as_bytes());
            body.text(b"trailer\n");
            body.object(&Object::Dictionary(trailer));
            return body.text(b"\n");
        }
        let own = Reference { number: size, generation: 0 };
        places.push((own, body.offset()));
        trailer.set("Size", i64::from(size) + 1);
        let rows = rows(&places, &mut trailer);
        body.text(format!("{} 0 obj\n", own.number).as_bytes());
        body.object(&Object::Dictionary(trailer));
        body.text(b"\nstream\n");
        body.text(&rows);
        body.text(b"\nendstream\nendobj\n");
    }
}

/// Offsets are below 2^63: a file cannot be longer.
fn offset_value(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// What no file can hold.
fn check(reference: Reference, object: &Object) -> Result<(), PdfError> {
    if reference.number == 0 || reference.number == u32::MAX {
        return Err(PdfError::BadUpdate(format!("{reference} cannot be")));
    }
    let nested = match object {
        Object::Stream(stream) => stream.dictionary.iter().any(|(_, value)| has_stream(value)),
        other => has_stream(other),
    };
    if nested {
        return Err(PdfError::BadUpdate(format!("{reference} has a stream inside another value")));
    }
    Ok(())
}

fn has_stream(object: &Object) -> bool {
    match object {
        Object::Stream(_) => true,
        Object::Array(elements) => elements.iter().any(has_stream),
        Object::Dictionary(dictionary) => dictionary.iter().any(|(_, value)| has_stream(value)),
        _ => false,
    }
}

/// Runs of numbers that follow one another.
fn runs(places: &[(Reference, u64)]) -> impl Iterator<Item = &[(Reference, u64)]> {
    places.chunk_by(|(one, _), (next, _)| one.number.checked_add(1) == Some(next.number))
}

fn table(places: &[(Reference, u64)]) -> String {
    use std::fmt::Write;
    let mut table = String::from("xref\n");
    if places.is_empty() {
        table.push_str("0 0\n");
    }
    for run in runs(places) {
        let first = run.first().map_or(0, |(first, _)| first.number);
        let _ = writeln!(table, "{first} {}", run.len());
        for (reference, offset) in run {
            let _ = write!(table, "{offset:010} {:05} n\r\n", reference.generation);
        }
    }
    table
}

/// The rows of a cross-reference stream; /Type, /W, /Index and /Length of its dictionary are set.
fn rows(places: &[(Reference, u64)], dictionary: &mut Dictionary) -> Vec<u8> {
    let highest = places.iter().map(|(_, offset)| *offset).max().unwrap_or_default();
    let width = (8 - highest.leading_zeros() / 8).max(1);
    let mut rows = Vec::new();
    for (reference, offset) in places {
        rows.push(1);
        let skipped = usize::try_from(8 - width).unwrap_or_default();
        rows.extend(offset.to_be_bytes().iter().skip(skipped));
        rows.extend(reference.generation.to_be_bytes());
    }
    let index = runs(places).flat_map(|run| {
        let first = run.first().map_or(0, |(first, _)| first.number);
        [Object::Integer(i64::from(first)), Object::Integer(offset_value(run.len() as u64))]
    });
    dictionary.set("Type", Object::name("XRef"));
    dictionary.set("Index", index.collect::<Vec<_>>());
    dictionary.set("W", [1, i64::from(width), 2].map(Object::Integer).to_vec());
    dictionary.set("Length", offset_value(rows.len() as u64));
    rows
}

/// What is appended: text of our own, and stream data that is not copied.
struct Body {
    original: Content,
    pieces: Vec<Content>,
    /// Octets of `pieces`.
    length: u64,
    text: Vec<u8>,
}

/// Where /ByteRange and /Contents of a signature are, from the beginning of the file.
struct Placeholder {
    byte_range: u64,
    contents: Range<u64>,
}

impl Body {
    /// Begins on a line of its own.
    fn after(original: &Content) -> Result<Self, PdfError> {
        let last = original.slice(original.len().saturating_sub(1)..original.len()).head(1)?;
        let text = if matches!(last[..], [b'\r' | b'\n']) { Vec::new() } else { b"\n".to_vec() };
        Ok(Self { original: original.clone(), pieces: Vec::new(), length: 0, text })
    }

    fn offset(&self) -> u64 {
        self.original.len() + self.length + self.text.len() as u64
    }

    fn text(&mut self, octets: &[u8]) {
        self.text.extend_from_slice(octets);
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.length += text.len() as u64;
        self.pieces.push(Content::from_vec(text));
    }

    fn object(&mut self, object: &Object) {
        let Object::Stream(stream) = object else { return object.write(&mut self.text) };
        let dictionary = stream.dictionary.clone().with("Length", offset_value(stream.data.len()));
        dictionary.write(&mut self.text);
        self.text(b"\nstream\n");
        self.flush();
        self.length += stream.data.len();
        self.pieces.push(stream.data.clone());
        self.text(b"\nendstream");
    }

    /// A dictionary with /ByteRange and /Contents after its other keys.
    fn signature(&mut self, object: &Object, octets: usize) -> Placeholder {
        object.write(&mut self.text);
        self.text.truncate(self.text.len().saturating_sub(b">>".len()));
        self.text(b"/ByteRange ");
        let byte_range = self.offset();
        let room = byte_range_text([0; 4]).len();
        self.text.resize(self.text.len() + room, b' ');
        self.text(b"/Contents ");
        let start = self.offset();
        self.text(b"<");
        self.text.resize(self.text.len() + 2 * octets, b'0');
        self.text(b">");
        let contents = start..self.offset();
        self.text(b">>");
        Placeholder { byte_range, contents }
    }

    fn finish(mut self, placeholder: Option<Placeholder>) -> Appended {
        self.flush();
        let added = self.original.len()..self.original.len() + self.length;
        let whole = Content::concat([vec![self.original], self.pieces].concat());
        let Some(Placeholder { byte_range, contents }) = placeholder else {
            return Appended { whole, added, signature: None };
        };
        let numbers = [0, contents.start, contents.end, whole.len() - contents.end];
        let whole = replaced(&whole, byte_range, byte_range_text(numbers).into_bytes());
        Appended { whole, added, signature: Some(SignatureGap { contents, byte_range: numbers }) }
    }
}

/// The array, always of the same length.
fn byte_range_text([a, b, c, d]: [u64; 4]) -> String {
    const WIDTH: usize = 1 + 4 * DIGITS + 3;
    format!("{:<WIDTH$}]", format!("[{a} {b} {c} {d}"))
}

/// Other octets of the same number at an offset.
fn replaced(whole: &Content, at: u64, octets: Vec<u8>) -> Content {
    let end = at + octets.len() as u64;
    Content::concat([whole.slice(0..at), Content::from_vec(octets), whole.slice(end..whole.len())])
}

impl Appended {
    /// The file with the signature in its place.
    ///
    /// # Errors
    /// It does not fit, or the update has no place for one.
    pub fn with_contents(self, der: &[u8]) -> Result<Content, PdfError> {
        let Some(SignatureGap { contents, .. }) = self.signature else {
            return Err(PdfError::BadUpdate("there is no place for a signature".to_owned()));
        };
        let room = usize::try_from((contents.end - contents.start - 2) / 2).unwrap_or(usize::MAX);
        if der.len() > room {
            return Err(PdfError::NoRoom { octets: der.len(), room });
        }
        Ok(replaced(&self.whole, contents.start + 1, hex::encode(der).into_bytes()))
    }
}
