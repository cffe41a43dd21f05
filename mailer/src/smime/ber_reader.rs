//! BER from a stream, one element after the other (X.690 section 8): the outer layers of CMS objects of any length.
//!
//! The reader holds one buffer, whatever the input claims about lengths. Constructed elements are entered and left by
//! name; small ones are taken out whole, in DER; OCTET STRINGs pass by in pieces. Nothing recurses.
use std::io::{self, Read};

use super::ber::{self, BerError, CONSTRUCTED, CONSTRUCTED_OCTET_STRING, DEEPEST, Header};
use crate::certificate::tlv::{Element, tag};
use crate::content::Replay;

/// How much is read from the source at once.
const BUFFER: usize = 64 * 1024;
/// What all elements that are taken out of one message may have together.
const MOST_TAKEN: usize = 16 * 1024 * 1024;

/// Why a stream could not be read on.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is not the BER that belongs there.
    Malformed(String),
    /// It cannot be read at all.
    Io(io::Error),
}

impl From<BerError> for ReadError {
    fn from(problem: BerError) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<crate::certificate::tlv::Malformed> for ReadError {
    fn from(problem: crate::certificate::tlv::Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<io::Error> for ReadError {
    /// A transfer encoding that is broken is a malformed message, not a failing disk.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Malformed(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

/// Reads elements from a stream.
pub(super) struct Reader<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// What of the buffer is still to be read: `at..filled`.
    at: usize,
    filled: usize,
    /// Octets before `at` in the stream.
    position: u64,
    /// Where each entered element ends; `None` for the indefinite form.
    scopes: Vec<Option<u64>>,
    taken: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Replay) -> Self {
        Self {
            source: source.replay(),
            buffer: vec![0; BUFFER],
            at: 0,
            filled: 0,
            position: 0,
            scopes: Vec::new(),
            taken: 0,
        }
    }

    /// The identifier octet of the next element; `None` where the entered element (or the stream) ends.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        let scope = self.scopes.last().copied();
        if scope == Some(Some(self.position)) {
            return Ok(None);
        }
        match (self.lookahead(1)?.first().copied(), scope) {
            (None, None) | (Some(0), Some(None)) => Ok(None),
            (None, Some(_)) => Err(BerError::Truncated.into()),
            (Some(found), _) => Ok(Some(found)),
        }
    }

    /// Goes into the next element, which must be constructed and have this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Result<(), ReadError> {
        let header = self.header()?;
        if header.tag != tag {
            return Err(BerError::Unexpected(header.tag, tag).into());
        }
        self.open(&header)
    }

    /// Goes into the next element if it has this tag.
    pub(super) fn enter_optional(&mut self, tag: u8) -> Result<bool, ReadError> {
        let found = self.peek()? == Some(tag);
        if found {
            self.enter(tag)?;
        }
        Ok(found)
    }

    /// Leaves the element that was entered last; it must end here.
    pub(super) fn leave(&mut self) -> Result<(), ReadError> {
        match self.scopes.last().copied() {
            Some(Some(end)) if end == self.position => {}
            Some(None) if self.lookahead(2)? == [0, 0] => self.consume(2),
            _ => return Err(BerError::Trailing.into()),
        }
        self.scopes.pop();
        Ok(())
    }

    /// Nothing may follow.
    pub(super) fn finish(&mut self) -> Result<(), ReadError> {
        match self.lookahead(1)?.is_empty() && self.scopes.is_empty() {
            true => Ok(()),
            false => Err(BerError::Trailing.into()),
        }
    }

    /// Takes the next element out, in DER; it may have at most `most` octets.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<u8>, ReadError> {
        let bytes = self.take_apart(most)?;
        self.taken += bytes.len();
        if self.taken > MOST_TAKEN { Err(BerError::TooLong.into()) } else { Ok(bytes) }
    }

    /// The same for an element that is let go before the next is taken: it does not count towards what is taken in all.
    pub(super) fn take_apart(&mut self, most: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        self.pass(Some((&mut bytes, most)))?;
        Ok(match ber::to_der(&bytes)? {
            std::borrow::Cow::Borrowed(_) => bytes,
            std::borrow::Cow::Owned(der) => der,
        })
    }

    /// Takes the next element out, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8, most: usize) -> Result<Vec<u8>, ReadError> {
        match self.peek()? {
            Some(found) if found == tag => self.take(most),
            Some(CONSTRUCTED_OCTET_STRING) if tag == tag::OCTET_STRING => self.take(most),
            Some(found) => Err(BerError::Unexpected(found, tag).into()),
            None => Err(BerError::Truncated.into()),
        }
    }

    /// Takes the next element out if it has this tag.
    pub(super) fn optional(&mut self, tag: u8, most: usize) -> Result<Option<Vec<u8>>, ReadError> {
        if self.peek()? == Some(tag) { self.take(most).map(Some) } else { Ok(None) }
    }

    /// Passes over the next element, however long.
    pub(super) fn skip(&mut self) -> Result<(), ReadError> {
        self.pass(None)
    }

    /// Passes over the next element if it has this tag.
    pub(super) fn skip_optional(&mut self, tag: u8) -> Result<(), ReadError> {
        if self.peek()? == Some(tag) { self.skip() } else { Ok(()) }
    }

    /// Begins an OCTET STRING, in one piece or many. `tag` is its identifier when it is in one piece.
    pub(super) fn octets(&mut self, tag: u8) -> Result<Octets<'_, 'a>, ReadError> {
        let base = self.scopes.len();
        let header = self.header()?;
        if header.tag == tag {
            let left = header.length.ok_or(BerError::Length)? as u64;
            return Ok(Octets { reader: self, base, left, done: left == 0 });
        }
        if header.tag != tag | CONSTRUCTED {
            return Err(BerError::Unexpected(header.tag, tag).into());
        }
        self.open(&header)?;
        Ok(Octets { reader: self, base, left: 0, done: false })
    }

    fn open(&mut self, header: &Header) -> Result<(), ReadError> {
        if header.tag & CONSTRUCTED == 0 {
            return Err(BerError::Tag.into());
        }
        if self.scopes.len() >= DEEPEST {
            return Err(BerError::TooDeep.into());
        }
        self.scopes.push(header.length.map(|length| self.position + length as u64));
        Ok(())
    }

    /// Reads a header whose contents must fit into what they are in.
    fn header(&mut self) -> Result<Header, ReadError> {
        let header = Header::read(self.lookahead(Header::LONGEST)?)?;
        self.consume(header.size);
        if let Some(length) = header.length {
            let end = self.position.checked_add(length as u64).ok_or(BerError::Length)?;
            if self.limit().is_some_and(|limit| end > limit) {
                return Err(BerError::Truncated.into());
            }
        }
        Ok(header)
    }

    /// Where the innermost element of known length ends.
    fn limit(&self) -> Option<u64> {
        self.scopes.iter().rev().find_map(|scope| *scope)
    }

    /// Reads through one element, and keeps it if there is somewhere to keep it and it is not too long.
    fn pass(&mut self, mut keep: Option<(&mut Vec<u8>, usize)>) -> Result<(), ReadError> {
        let base = self.scopes.len();
        loop {
            let mut start = [0; Header::LONGEST];
            let ahead = self.lookahead(Header::LONGEST)?;
            start.iter_mut().zip(ahead).for_each(|(place, octet)| *place = *octet);
            let header = self.header()?;
            if let Some((kept, most)) = &mut keep {
                let length = header.length.unwrap_or(0);
                if length.saturating_add(kept.len() + header.size) > *most {
                    return Err(BerError::TooLong.into());
                }
                kept.extend_from_slice(start.get(..header.size).unwrap_or_default());
            }
            match header.length {
                Some(length) => {
                    self.pass_octets(length as u64, keep.as_mut().map(|(kept, _)| &mut **kept))?
                }
                None => self.open(&header)?,
            }
            while self.scopes.len() > base && self.peek()?.is_none() {
                self.leave()?;
                if let Some((kept, _)) = &mut keep {
                    kept.extend_from_slice(&[0, 0]);
                }
            }
            if self.scopes.len() == base {
                return Ok(());
            }
        }
    }

    fn pass_octets(&mut self, mut length: u64, mut keep: Option<&mut Vec<u8>>) -> Result<(), ReadError> {
        while length > 0 {
            if self.at == self.filled {
                self.lookahead(1)?;
            }
            let available = self.buffer.get(self.at..self.filled).unwrap_or_default();
            let now = usize::try_from(length).unwrap_or(usize::MAX).min(available.len());
            if now == 0 {
                return Err(BerError::Truncated.into());
            }
            if let Some(kept) = keep.as_deref_mut() {
                kept.extend_from_slice(available.get(..now).unwrap_or_default());
            }
            self.consume(now);
            length -= now as u64;
        }
        Ok(())
    }

    /// The next octets, at most `most` of them; fewer only where the stream, or an element of known length, ends.
    fn lookahead(&mut self, most: usize) -> Result<&[u8], ReadError> {
        if self.filled - self.at < most {
            self.buffer.copy_within(self.at..self.filled, 0);
            self.filled -= self.at;
            self.at = 0;
            while self.filled < most {
                match self.source.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                    Ok(0) => break,
                    Ok(read) => self.filled += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let inside = self.limit().map_or(u64::MAX, |limit| limit - self.position);
        let end = self.filled.min(self.at + most.min(usize::try_from(inside).unwrap_or(usize::MAX)));
        Ok(self.buffer.get(self.at..end).unwrap_or_default())
    }

    fn consume(&mut self, octets: usize) {
        self.at += octets;
        self.position += octets as u64;
    }
}

/// The octets of an OCTET STRING, read in order.
pub(super) struct Octets<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// How many elements were entered before this one.
    base: usize,
    /// What is left of the piece.
    left: u64,
    done: bool,
}

impl Octets<'_, '_> {
    /// Fills the buffer; answers how many octets there were, fewer than fit only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled = 0;
        while filled < buffer.len() {
            if self.left == 0 && !self.next_piece()? {
                break;
            }
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(room.len());
            let read = self.read(room.get_mut(..wanted).unwrap_or_default())?;
            filled += read;
            self.left -= read as u64;
        }
        Ok(filled)
    }

    /// Reads into a buffer that is not empty, past the reader's own where that has nothing to offer.
    fn read(&mut self, room: &mut [u8]) -> Result<usize, ReadError> {
        let reader = &mut *self.reader;
        let buffered = reader.buffer.get(reader.at..reader.filled).unwrap_or_default();
        let read = if buffered.is_empty() && room.len() >= BUFFER / 2 {
            match reader.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
                Err(error) => return Err(error.into()),
                Ok(read) => {
                    reader.position += read as u64;
                    read
                }
            }
        } else {
            let read = reader.lookahead(1)?.len().min(1);
            let available = reader.buffer.get(reader.at..reader.filled).unwrap_or_default();
            let read = if read == 0 { 0 } else { available.len().min(room.len()) };
            let (now, source) = (room.get_mut(..read), available.get(..read));
            now.unwrap_or_default().copy_from_slice(source.unwrap_or_default());
            reader.consume(read);
            read
        };
        if read == 0 { Err(BerError::Truncated.into()) } else { Ok(read) }
    }

    /// Finds the next piece that has octets; `false` when there is none.
    fn next_piece(&mut self) -> Result<bool, ReadError> {
        if self.done || self.reader.scopes.len() == self.base {
            self.done = true;
            return Ok(false);
        }
        loop {
            match self.reader.peek()? {
                None => {
                    self.reader.leave()?;
                    if self.reader.scopes.len() == self.base {
                        self.done = true;
                        return Ok(false);
                    }
                }
                Some(tag::OCTET_STRING) => {
                    let length = self.reader.header()?.length.unwrap_or(0);
                    if length > 0 {
                        self.left = length as u64;
                        return Ok(true);
                    }
                }
                Some(CONSTRUCTED_OCTET_STRING) => self.reader.enter(CONSTRUCTED_OCTET_STRING)?,
                Some(_) => return Err(BerError::Tag.into()),
            }
        }
    }
}

/// The one element that `der` is, which a [`Reader`] took out.
pub(super) fn whole(der: &[u8]) -> Result<Element<'_>, ReadError> {
    let tag = der.first().copied().ok_or(BerError::Truncated)?;
    Ok(Element::only(der, tag)?)
}
