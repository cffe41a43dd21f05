//! Objects that lie compressed in object streams (ISO 32000-2 section 7.5.7).
use std::sync::{Arc, Mutex, PoisonError};

use super::cross_reference::Location;
use super::document::Document;
use super::error::PdfError;
use super::filters;
use super::lexer::{Lexer, Token};
use super::object::{Object, Reference, Stream};
use super::parser::Parser;
use crate::content::Content;

/// The most decoded octets of one object stream.
const MOST_DECODED: usize = 16 << 20;
/// How many decoded octets are kept for the next object, in one or several streams.
const KEPT: u64 = 2 << 20;

/// Object streams that were decoded last.
#[derive(Debug, Default)]
pub(super) struct ObjectStreams(Mutex<Vec<Arc<Decoded>>>);

#[derive(Debug)]
struct Decoded {
    number: u32,
    /// Where the object stream itself is.
    at: u64,
    octets: Content,
    /// Object numbers and offsets in `octets`.
    objects: Vec<(u32, u64)>,
}

impl ObjectStreams {
    /// The object with this number at this position of an object stream.
    pub(super) fn object(
        &self,
        document: &Document,
        number: u32,
        stream: u32,
        index: u32,
        steps: usize,
    ) -> Result<Object, PdfError> {
        let decoded = self.decoded(document, stream, steps)?;
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let Some((_, offset)) = decoded.objects.get(position).filter(|(found, _)| *found == number) else {
            let what = format!("object stream {stream} does not have object {number} at position {index}");
            return Err(PdfError::damaged(decoded.at, what));
        };
        let mut lexer = Lexer::new(&decoded.octets, *offset);
        Parser::new(&mut lexer).value().map_err(|problem| inside(problem, stream, decoded.at))
    }

    fn decoded(&self, document: &Document, stream: u32, steps: usize) -> Result<Arc<Decoded>, PdfError> {
        let kept = |known: &[Arc<Decoded>]| known.iter().position(|decoded| decoded.number == stream);
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(position) = kept(&known) {
                let decoded = known.remove(position);
                known.push(Arc::clone(&decoded));
                return Ok(decoded);
            }
        }
        let decoded = Arc::new(decode(document, stream, steps)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(Arc::clone(&decoded));
        while known.len() > 1 && known.iter().map(|decoded| decoded.octets.len()).sum::<u64>() > KEPT {
            known.remove(0);
        }
        Ok(decoded)
    }
}

fn decode(document: &Document, number: u32, steps: usize) -> Result<Decoded, PdfError> {
    let Some(Location::Offset { offset: at, generation: 0 }) = document.location(number) else {
        let what =
            format!("the cross-reference wants object stream {number}, which is not in the file itself");
        return Err(PdfError::damaged(0, what));
    };
    if document.is_ciphered() {
        return Err(PdfError::Encrypted);
    }
    match document.object_in(Reference { number, generation: 0 }, steps + 1)? {
        Object::Stream(stream) if stream.dictionary.is_type("ObjStm") => {
            let (octets, objects) = contents(&stream, number, at)?;
            Ok(Decoded { number, at, octets, objects })
        }
        _ => Err(PdfError::damaged(at, format!("object {number} is no object stream"))),
    }
}

/// The decoded octets of an object stream, and the numbers and offsets of the objects in it.
pub(super) fn contents(
    stream: &Stream,
    number: u32,
    at: u64,
) -> Result<(Content, Vec<(u32, u64)>), PdfError> {
    let wrong = |what: &str| PdfError::damaged(at, format!("object stream {number} has {what}"));
    let octets = Content::from_vec(filters::decoded(stream, &filters::direct, MOST_DECODED, at)?);
    let count = |key| stream.dictionary.get(key)?.as_integer().and_then(|value| u64::try_from(value).ok());
    let (Some(count), Some(first)) = (count("N"), count("First")) else {
        return Err(wrong("no /N or /First that can be"));
    };
    // Each object has a number, an offset and itself, with white space between them.
    if count > octets.len() / 4 || first > octets.len() {
        return Err(wrong("fewer octets than its /N and /First say"));
    }
    let mut lexer = Lexer::new(&octets, 0);
    let mut objects = Vec::new();
    for _ in 0..count {
        let (Token::Integer(number), Token::Integer(offset)) = (lexer.token()?, lexer.token()?) else {
            return Err(wrong("a header that is not of numbers"));
        };
        let (number, offset) = (u32::try_from(number).ok(), u64::try_from(offset).ok());
        let offset = offset.and_then(|offset| offset.checked_add(first));
        let (Some(number), Some(offset)) = (number, offset.filter(|offset| *offset < octets.len())) else {
            return Err(wrong("a number in its header that cannot be"));
        };
        objects.push((number, offset));
    }
    let mut numbers: Vec<u32> = objects.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    if let Some([twice, _]) = numbers.windows(2).find(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(wrong(&format!("object {twice} twice, so it can be read in two ways")));
    }
    Ok((octets, objects))
}

/// An offset inside a decoded stream helps nobody: the stream's own is given.
fn inside(problem: PdfError, stream: u32, at: u64) -> PdfError {
    match problem {
        PdfError::Damaged { at: inside, what } => {
            PdfError::damaged(at, format!("at octet {inside} of object stream {stream}, decoded: {what}"))
        }
        other => other,
    }
}
