//! Objects of a damaged file: read where they stand, with what can be forgiven forgiven.
use std::collections::{BTreeMap, HashMap};

use super::super::error::PdfError;
use super::super::lexer::{Lexer, is_white_space};
use super::super::object::{Dictionary, Object, Reference, Stream};
use super::super::object_stream;
use super::super::parser::Parser;
use super::scan::{Place, places};
use crate::content::Content;

/// How far the end of a stream is looked for.
const MOST_STREAM: u64 = 4 << 30;

/// The newest state of every object of a file.
pub(super) struct Salvage<'c> {
    content: &'c Content,
    places: Vec<Place>,
    /// Where each object begins last.
    last: HashMap<Reference, u64>,
    newest: HashMap<u32, Newest>,
    /// Numbers and offsets of object streams.
    packed: Vec<(u32, u64)>,
    /// Of every section, oldest first.
    pub(super) trailers: Vec<Dictionary>,
    /// The object stream that was decoded last, and the offset at which it begins.
    unpacked: Option<(u64, Content)>,
}

/// Where an object stands last in the file.
#[derive(Clone, Copy)]
enum Newest {
    /// In the file itself; whether it could be read.
    Plain { reference: Reference, offset: u64, sound: bool },
    /// In the object stream that begins there.
    Packed { stream: u64, offset: u64 },
}

impl<'c> Salvage<'c> {
    /// Finds everything.
    pub(super) fn of(content: &'c Content) -> Result<Self, PdfError> {
        let places = places(content)?;
        let last = places.iter().filter_map(|place| Some((place.reference?, place.offset))).collect();
        let (newest, packed, trailers) = (HashMap::new(), Vec::new(), Vec::new());
        let mut salvage = Self { content, places, last, newest, packed, trailers, unpacked: None };
        let mut end = 0;
        for index in 0..salvage.places.len() {
            let Some(place) = salvage.places.get(index).copied().filter(|place| place.offset >= end) else {
                continue;
            };
            match place.reference {
                Some(reference) => end = salvage.take(reference, place.offset)?.unwrap_or(end),
                None => salvage.take_trailer(place.offset),
            }
        }
        if !salvage.is_encrypted() {
            for (number, offset) in std::mem::take(&mut salvage.packed) {
                salvage.unpack(number, offset)?;
            }
        }
        Ok(salvage)
    }

    /// Notes the object that begins here; where it ends, if it can be read.
    fn take(&mut self, reference: Reference, offset: u64) -> Result<Option<u64>, PdfError> {
        let found = self.read(offset);
        let newest = Newest::Plain { reference, offset, sound: found.is_ok() };
        self.newest.insert(reference.number, newest);
        let Ok((object, end)) = found else { return Ok(None) };
        if is_signature(&object) {
            return Err(PdfError::Signed);
        }
        if let Object::Stream(stream) = &object {
            if stream.dictionary.is_type("XRef") {
                self.trailers.push(stream.dictionary.clone());
            } else if stream.dictionary.is_type("ObjStm") {
                self.packed.push((reference.number, offset));
            }
        }
        Ok(Some(end))
    }

    fn take_trailer(&mut self, offset: u64) {
        let mut lexer = Lexer::new(self.content, offset);
        if lexer.token().is_ok_and(|token| token.is("trailer"))
            && let Ok(Object::Dictionary(trailer)) = Parser::new(&mut lexer).value()
        {
            self.trailers.push(trailer);
        }
    }

    /// Whether any trailer so far says so.
    pub(super) fn is_encrypted(&self) -> bool {
        self.trailers.iter().any(|trailer| trailer.get("Encrypt").is_some())
    }

    /// Notes the objects of an object stream that begins here, where no later state of them is known.
    fn unpack(&mut self, number: u32, at: u64) -> Result<(), PdfError> {
        let (Object::Stream(stream), _) = self.read(at)? else { return Ok(()) };
        let (octets, objects) = object_stream::contents(&stream, number, at)?;
        for (number, offset) in objects {
            let is_newer = match self.newest.get(&number) {
                Some(Newest::Plain { offset: other, .. } | Newest::Packed { stream: other, .. }) => {
                    *other < at
                }
                None => true,
            };
            if is_newer {
                self.newest.insert(number, Newest::Packed { stream: at, offset });
            }
            let value = Parser::new(&mut Lexer::new(&octets, offset)).value();
            if value.is_ok_and(|object| is_signature(&object)) {
                return Err(PdfError::Signed);
            }
        }
        Ok(())
    }

    /// Every object number there is, with its generation.
    pub(super) fn references(&self) -> BTreeMap<u32, u16> {
        let generation = |newest: &Newest| match newest {
            Newest::Plain { reference, .. } => reference.generation,
            Newest::Packed { .. } => 0,
        };
        self.newest.iter().map(|(number, newest)| (*number, generation(newest))).collect()
    }

    /// The newest state of an object; `Null` where there is none.
    pub(super) fn object(&mut self, reference: Reference) -> Result<Object, PdfError> {
        match self.newest.get(&reference.number).copied() {
            Some(Newest::Plain { reference: found, offset, sound }) if found == reference => {
                let read = self.read(offset);
                match (sound, read) {
                    (true, Ok((object, _))) => Ok(object),
                    (_, Err(PdfError::Damaged { at, what })) => {
                        Err(PdfError::damaged(at, format!("{what}; {reference} is needed and would be lost")))
                    }
                    (_, Err(other)) => Err(other),
                    (false, Ok(_)) => Err(PdfError::damaged(offset, format!("{reference} would be lost"))),
                }
            }
            Some(Newest::Packed { stream, offset }) if reference.generation == 0 => {
                let octets = self.unpacked(stream)?;
                Parser::new(&mut Lexer::new(&octets, offset)).value()
            }
            _ => Ok(Object::Null),
        }
    }

    fn unpacked(&mut self, at: u64) -> Result<Content, PdfError> {
        if let Some((known, octets)) = &self.unpacked
            && *known == at
        {
            return Ok(octets.clone());
        }
        let (Object::Stream(stream), _) = self.read(at)? else {
            return Err(PdfError::damaged(at, "an object stream is none"));
        };
        let (octets, _) = object_stream::contents(&stream, 0, at)?;
        self.unpacked = Some((at, octets.clone()));
        Ok(octets)
    }

    /// The object that begins here, and where it ends. Forgiven are a wrong /Length and a missing `endobj`.
    fn read(&self, offset: u64) -> Result<(Object, u64), PdfError> {
        let mut lexer = Lexer::new(self.content, offset);
        let strict = Parser::new(&mut lexer).indirect(&|length| self.length(length));
        if let Ok(found) = strict {
            return Ok((found.object, found.span.end));
        }
        lexer.skip_to(offset);
        let mut parser = Parser::new(&mut lexer);
        parser.header()?;
        let value = parser.value()?;
        let end = lexer.offset();
        lexer.skip_white_space()?;
        let at = lexer.offset();
        match (value, lexer.token()) {
            (Object::Dictionary(dictionary), Ok(keyword)) if keyword.is("stream") => {
                lexer.take_end_of_line()?;
                let start = lexer.offset();
                let (data, end) = self.until_endstream(start)?;
                Ok((Object::Stream(Stream { dictionary, data }), end))
            }
            (value, Ok(keyword)) if keyword.is("endobj") => Ok((value, lexer.offset())),
            (value, _) if self.begins_something(at) => Ok((value, end)),
            _ => Err(PdfError::damaged(at, "an object has no end")),
        }
    }

    /// The number that a stream's /Length refers to, if it is where it stands last.
    fn length(&self, reference: Reference) -> Result<Object, PdfError> {
        let Some(offset) = self.last.get(&reference) else { return Ok(Object::Null) };
        let mut lexer = Lexer::new(self.content, *offset);
        let mut parser = Parser::new(&mut lexer);
        parser.header()?;
        parser.value()
    }

    /// Stream data up to the keyword, without the end of line before it.
    fn until_endstream(&self, start: u64) -> Result<(Content, u64), PdfError> {
        const KEYWORD: &[u8] = b"endstream";
        const CHUNK: u64 = 64 << 10;
        let overlap = KEYWORD.len() as u64 - 1;
        let most = self.content.len().min(start.saturating_add(MOST_STREAM));
        let mut from = start;
        while from < most {
            let chunk = self.content.slice(from..(from + CHUNK + overlap).min(most));
            let octets = chunk.head(usize::try_from(CHUNK + overlap).unwrap_or(usize::MAX))?;
            if let Some(found) = memchr::memmem::find(&octets, KEYWORD) {
                let keyword = from + found as u64;
                let tail = self.content.slice(keyword.saturating_sub(2).max(start)..keyword).head(2)?;
                let line_end = match tail[..] {
                    [b'\r', b'\n'] => 2,
                    [.., b'\r' | b'\n'] => 1,
                    _ => 0,
                };
                let mut lexer = Lexer::new(self.content, keyword + KEYWORD.len() as u64);
                let end = lexer.offset();
                let end =
                    if lexer.token().is_ok_and(|token| token.is("endobj")) { lexer.offset() } else { end };
                return Ok((self.content.slice(start..keyword - line_end), end));
            }
            from += CHUNK;
        }
        Err(PdfError::damaged(start, "a stream has no end"))
    }

    /// Whether an object, a cross-reference or a trailer begins here, or the file ends.
    fn begins_something(&self, at: u64) -> bool {
        if self.places.binary_search_by_key(&at, |place| place.offset).is_ok() {
            return true;
        }
        let mut lexer = Lexer::new(self.content, at);
        while lexer.peek().is_ok_and(|octet| octet.is_some_and(is_white_space)) {
            let _ = lexer.next();
        }
        ["xref", "startxref"].iter().any(|keyword| lexer.take_all(keyword.as_bytes()).unwrap_or_default())
    }
}

/// A signature dictionary (section 12.8.1).
fn is_signature(object: &Object) -> bool {
    match object {
        Object::Dictionary(dictionary) => {
            dictionary.get("ByteRange").is_some() || dictionary.iter().any(|(_, value)| is_signature(value))
        }
        Object::Array(elements) => elements.iter().any(is_signature),
        _ => false,
    }
}
