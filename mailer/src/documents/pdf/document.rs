//! The reader: objects are found by the cross-reference and read when they are asked for.
use std::ops::Range;

use super::cross_reference::{self, Chain, Location, RevisionMark};
use super::error::PdfError;
use super::filters;
use super::lexer::Lexer;
use super::object::{Dictionary, Object, Reference, Stream};
use super::object_stream::ObjectStreams;
use super::pages::Pages;
use super::parser::{Indirect, Parser};
use crate::content::Content;

/// How much may stand before `%PDF-`.
const MOST_JUNK: usize = 1024;
/// How many references one after the other are followed, and how many objects are needed to find one.
const MOST_STEPS: usize = 32;
/// Where a linearised file says that it is one (section F.3.3).
const LINEARIZED_WITHIN: u64 = 1024;

/// A PDF file as it is read: strictly, and lazily.
#[derive(Debug)]
pub struct Document {
    content: Content,
    chain: Chain,
    version: (u8, u8),
    linearized: bool,
    streams: ObjectStreams,
}

impl Document {
    /// Reads the cross-reference and finds the catalog (ISO 32000-2 section 7.5).
    ///
    /// Octets before `%PDF-` are tolerated where offsets count from the beginning of the file nevertheless.
    ///
    /// # Errors
    /// It is no PDF file, or a damaged one: nothing is repaired.
    pub fn open(content: &Content) -> Result<Self, PdfError> {
        let (header, version) = header(content)?;
        let chain = cross_reference::read(content)?;
        if header > 0 && begins_section(content, chain.revisions.last(), header)? {
            let what =
                "offsets fit both with and without the octets before %PDF-, so it can be read in two ways";
            return Err(PdfError::damaged(0, what));
        }
        let linearized = linearized(content, header).is_some_and(|octets| octets == content.len());
        let streams = ObjectStreams::default();
        let mut document = Self { content: content.clone(), chain, version, linearized, streams };
        if !document.is_ciphered() {
            let (_, catalog) = document.catalog()?;
            if let Some(Object::Name(name)) = document.get(&catalog, "Version")?
                && let Some(later) = version_of(&name.0).filter(|later| *later > version)
            {
                document.version = later;
            }
        }
        Ok(document)
    }

    /// The whole file.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The newest trailer; /Info and /ID of an older one where it lacks them.
    pub fn trailer(&self) -> &Dictionary {
        &self.chain.trailer
    }

    /// The root of the document (section 7.7.2).
    ///
    /// # Errors
    /// It is no dictionary, or cannot be read.
    pub fn catalog(&self) -> Result<(Reference, Dictionary), PdfError> {
        let root = self.chain.trailer.get("Root").and_then(Object::as_reference);
        let root = root.ok_or_else(|| self.damaged_trailer("the trailer refers to no catalog (/Root)"))?;
        match self.object(root)? {
            Object::Dictionary(catalog) if catalog.get("Type").is_none() || catalog.is_type("Catalog") => {
                Ok((root, catalog))
            }
            _ => Err(self.damaged_trailer("/Root refers to something that is no catalog")),
        }
    }

    fn damaged_trailer(&self, what: &str) -> PdfError {
        let newest = self.chain.revisions.last();
        PdfError::damaged(newest.map_or(0, |newest| newest.start_cross_reference), what)
    }

    /// An indirect object; `Null` where there is none (section 7.3.10). In an encrypted file its strings are still encrypted.
    ///
    /// # Errors
    /// It is damaged, or stands where another object should be.
    pub fn object(&self, reference: Reference) -> Result<Object, PdfError> {
        self.object_in(reference, 0)
    }

    /// The same; `steps` is how many objects were needed to come here.
    pub(super) fn object_in(&self, reference: Reference, steps: usize) -> Result<Object, PdfError> {
        match self.location(reference.number) {
            Some(Location::Offset { offset, generation }) if generation == reference.generation => {
                Ok(self.indirect(offset, reference, steps)?.object)
            }
            Some(Location::InStream { stream, index }) if reference.generation == 0 => {
                self.streams.object(self, reference.number, stream, index, steps)
            }
            _ => Ok(Object::Null),
        }
    }

    fn indirect(&self, offset: u64, reference: Reference, steps: usize) -> Result<Indirect, PdfError> {
        if steps > MOST_STEPS {
            return Err(PdfError::TooDeep { at: offset, what: "the length of a stream", most: MOST_STEPS });
        }
        let mut lexer = self.lexer_at(offset, reference)?;
        let found = Parser::new(&mut lexer).indirect(&|length| self.object_in(length, steps + 1))?;
        if found.reference != reference {
            return Err(wrong_object(offset, reference, found.reference));
        }
        Ok(found)
    }

    fn lexer_at(&self, offset: u64, reference: Reference) -> Result<Lexer<'_>, PdfError> {
        if offset >= self.content.len() {
            let what = format!("{reference} is said to be here, after the end of the file");
            return Err(PdfError::damaged(offset, what));
        }
        Ok(Lexer::new(&self.content, offset))
    }

    /// Follows references to a value that is none.
    ///
    /// # Errors
    /// An object is damaged, or references lead nowhere.
    pub fn resolve(&self, object: &Object) -> Result<Object, PdfError> {
        let mut found = object.clone();
        for _ in 0..MOST_STEPS {
            match found {
                Object::Reference(reference) => found = self.object(reference)?,
                value => return Ok(value),
            }
        }
        let at = object.as_reference().map_or(0, |reference| self.place(reference.number));
        Err(PdfError::TooDeep { at, what: "a reference to a reference", most: MOST_STEPS })
    }

    /// The value of a key, references followed; none when it is absent or null.
    ///
    /// # Errors
    /// Those of [`Self::resolve`].
    pub fn get(&self, dictionary: &Dictionary, key: &str) -> Result<Option<Object>, PdfError> {
        let Some(value) = dictionary.get(key) else { return Ok(None) };
        Ok(Some(self.resolve(value)?).filter(|value| !matches!(value, Object::Null)))
    }

    /// Every object number in use and where its object is, in order.
    pub fn locations(&self) -> impl Iterator<Item = (u32, Location)> {
        self.chain.map.locations()
    }

    /// Where an object is.
    pub fn location(&self, number: u32) -> Option<Location> {
        self.chain.map.location(number)
    }

    /// The octets from an object's number to the end of its `endobj`; none when there is no such object in the file itself.
    ///
    /// # Errors
    /// The object is damaged.
    pub fn span(&self, reference: Reference) -> Result<Option<Range<u64>>, PdfError> {
        match self.location(reference.number) {
            Some(Location::Offset { offset, generation }) if generation == reference.generation => {
                Ok(Some(self.indirect(offset, reference, 0)?.span))
            }
            _ => Ok(None),
        }
    }

    /// The octets of the value of a key in an object's dictionary; none when it is no direct value or not in the file itself.
    ///
    /// # Errors
    /// The object is damaged.
    pub fn value_span(&self, reference: Reference, key: &str) -> Result<Option<Range<u64>>, PdfError> {
        let Some(span) = self.span(reference)? else { return Ok(None) };
        let mut lexer = Lexer::new(&self.content, span.start);
        let mut parser = Parser::new(&mut lexer);
        parser.header()?;
        parser.value_span(key)
    }

    /// A stream's octets with its filters undone: Flate, LZW, their predictors, ASCIIHex, ASCII85 and RunLength.
    ///
    /// # Errors
    /// There would be more than `most` octets; the filter is another; the file is encrypted.
    pub fn decoded(&self, stream: &Stream, most: usize) -> Result<Vec<u8>, PdfError> {
        if self.is_ciphered() && !stream.dictionary.is_type("XRef") {
            return Err(PdfError::Encrypted);
        }
        filters::decoded(stream, &|object| self.resolve(object), most, 0)
    }

    /// The pages, found one after the other.
    pub fn pages(&self) -> Pages<'_> {
        Pages::new(self)
    }

    /// The states in which the file was, oldest first; never empty.
    pub fn revisions(&self) -> &[RevisionMark] {
        &self.chain.revisions
    }

    /// The document as it was when the file ended there.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn at_revision(&self, end: u64) -> Result<Self, PdfError> {
        Self::open(&self.content.slice(0..end))
    }

    /// Whether the trailer has /Encrypt.
    pub fn is_encrypted(&self) -> bool {
        self.chain.trailer.get("Encrypt").is_some()
    }

    /// Whether strings or streams are really encrypted: the crypt filter Identity leaves them as they are (section 7.6.5).
    pub(super) fn is_ciphered(&self) -> bool {
        let Some(encrypt) = self.chain.trailer.get("Encrypt") else { return false };
        let Ok(Object::Dictionary(encrypt)) = self.resolve(encrypt) else { return true };
        let version = encrypt.get("V").and_then(Object::as_integer);
        let identity = |key| encrypt.get(key).is_none_or(|filter| *filter == Object::name("Identity"));
        !(matches!(version, Some(4 | 5)) && identity("StmF") && identity("StrF"))
    }

    /// Whether the file is linearised and was not changed since (Annex F).
    pub fn is_linearized(&self) -> bool {
        self.linearized
    }

    /// Major and minor version: the later of the header's and the catalog's.
    pub fn version(&self) -> (u8, u8) {
        self.version
    }

    /// Both strings of /ID (section 14.4).
    pub fn file_identifier(&self) -> Option<[Vec<u8>; 2]> {
        let identifier = self.resolve(self.chain.trailer.get("ID")?).ok()?;
        let [first, second] = identifier.as_array()? else { return None };
        Some([first.as_string()?.to_vec(), second.as_string()?.to_vec()])
    }

    /// Looks whether an object of the right number begins at every offset of the cross-reference.
    ///
    /// # Errors
    /// The first for which it does not.
    pub fn check_offsets(&self) -> Result<(), PdfError> {
        let mut lexer = Lexer::new(&self.content, 0);
        for (number, location) in self.locations() {
            match location {
                Location::Offset { offset, generation } => {
                    let reference = Reference { number, generation };
                    self.lexer_at(offset, reference)?;
                    lexer.skip_to(offset);
                    let (found, _) = Parser::new(&mut lexer).header()?;
                    if found != reference {
                        return Err(wrong_object(offset, reference, found));
                    }
                }
                Location::InStream { stream, .. } => {
                    if !matches!(self.location(stream), Some(Location::Offset { generation: 0, .. })) {
                        let what = format!(
                            "the cross-reference puts object {number} into an object stream that is not there"
                        );
                        return Err(self.damaged_trailer(&what));
                    }
                }
            }
        }
        Ok(())
    }

    /// Where in the file an object is, or the object stream in which it is: for messages.
    pub(super) fn place(&self, number: u32) -> u64 {
        let stream = match self.location(number) {
            Some(Location::InStream { stream, .. }) => self.location(stream),
            location => location,
        };
        match stream {
            Some(Location::Offset { offset, .. }) => offset,
            _ => 0,
        }
    }

    /// The lowest object number that was never used.
    pub(super) fn next_number(&self) -> u32 {
        let size = self.chain.trailer.get("Size").and_then(Object::as_integer);
        let size = size.and_then(|size| u32::try_from(size).ok()).unwrap_or_default();
        size.max(self.chain.map.highest().saturating_add(1))
    }
}

/// Offset and version of the header (section 7.5.2).
pub(super) fn header(content: &Content) -> Result<(u64, (u8, u8)), PdfError> {
    const MARK: &[u8] = b"%PDF-";
    let head = content.head(MOST_JUNK + 16)?;
    let found = memchr::memmem::find(&head, MARK).filter(|found| *found <= MOST_JUNK);
    let found = found.ok_or(PdfError::NotPdf("it does not begin with %PDF-"))?;
    let version = head.get(found + MARK.len()..).and_then(version_of);
    let version = version.ok_or(PdfError::NotPdf("no version follows %PDF-"))?;
    Ok((found as u64, version))
}

/// `1.7`: two digits with a point between them.
fn version_of(text: &[u8]) -> Option<(u8, u8)> {
    match text {
        [major, b'.', minor, ..] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some((major - b'0', minor - b'0'))
        }
        _ => None,
    }
}

/// Whether a cross-reference section also begins so many octets later.
fn begins_section(content: &Content, newest: Option<&RevisionMark>, later: u64) -> Result<bool, PdfError> {
    let Some(offset) = newest.and_then(|newest| newest.start_cross_reference.checked_add(later)) else {
        return Ok(false);
    };
    let mut lexer = Lexer::new(content, offset);
    lexer.skip_white_space()?;
    Ok(lexer.take_all(b"xref")? || Parser::new(&mut lexer).header().is_ok())
}

/// The length that a linearised file says it has (section F.3.3).
fn linearized(content: &Content, header: u64) -> Option<u64> {
    let mut lexer = Lexer::new(content, header);
    let mut parser = Parser::new(&mut lexer);
    let (_, at) = parser.header().ok()?;
    let value = parser.value().ok()?;
    let dictionary = value.as_dictionary().filter(|_| at < header + LINEARIZED_WITHIN)?;
    dictionary.get("Linearized")?;
    u64::try_from(dictionary.get("L")?.as_integer()?).ok()
}

/// What the cross-reference leads to is something else: also a way to show different things to different readers.
fn wrong_object(offset: u64, wanted: Reference, found: Reference) -> PdfError {
    PdfError::damaged(offset, format!("{found} stands where the cross-reference has {wanted}"))
}
