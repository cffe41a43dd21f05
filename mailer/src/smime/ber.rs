//! BER to DER, as far as CMS writers use BER (X.690 section 8): indefinite lengths, lengths longer than needed,
//! OCTET STRINGs in pieces. For structures that are small enough to be held; content streams by
//! [`super::ber_reader`]. Nothing here calls itself: however deep the input, the stack stays as it is.
use std::borrow::Cow;

use crate::certificate::tlv::{length_octets, tag};

/// The deepest nesting that is followed.
pub(super) const DEEPEST: usize = 48;
/// The most elements, so that many tiny ones cannot take much more memory than the message itself.
const MOST_ELEMENTS: usize = 500_000;
/// An OCTET STRING in pieces.
pub(super) const CONSTRUCTED_OCTET_STRING: u8 = 0x24;
/// The bit of an identifier octet that says that there are elements inside.
pub(super) const CONSTRUCTED: u8 = 0x20;

/// What keeps BER from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BerError {
    #[error("it ends too early")]
    Truncated,
    #[error("it has a length that cannot be")]
    Length,
    #[error("it has a tag that is not allowed")]
    Tag,
    #[error("there is {0:02X} where {1:02X} belongs")]
    Unexpected(u8, u8),
    #[error("one of its parts is too long")]
    TooLong,
    #[error("it is nested too deeply")]
    TooDeep,
    #[error("it has too many parts")]
    TooManyElements,
    #[error("something follows its end")]
    Trailing,
}

/// The same value in DER (but for the order of sets, which is left as it is); borrowed when nothing had to change.
pub(crate) fn to_der(bytes: &[u8]) -> Result<Cow<'_, [u8]>, BerError> {
    if u32::try_from(bytes.len()).is_err() {
        return Err(BerError::TooLong);
    }
    if scan(bytes, &mut |_| {})? {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut tokens = Vec::new();
    scan(bytes, &mut |token| tokens.push(token))?;
    Ok(Cow::Owned(write(bytes, &tokens)))
}

/// What a scan meets, in the order of the bytes. The range of contents is `start..end`.
#[derive(Clone, Copy)]
enum Token {
    Primitive {
        tag: u8,
        start: u32,
        end: u32,
    },
    /// Part of an OCTET STRING: contents without a header of their own.
    Piece {
        start: u32,
        end: u32,
    },
    Open(u8),
    Close,
}

/// An element whose contents are being read.
struct Scope {
    /// Where it ends; `None` for the indefinite form.
    end: Option<usize>,
    /// Whether it is an OCTET STRING in pieces.
    pieces: bool,
    /// Whether its header and end are written: not those of pieces inside pieces.
    written: bool,
}

/// Walks through exactly one element; answers whether it is DER already.
fn scan(bytes: &[u8], emit: &mut dyn FnMut(Token)) -> Result<bool, BerError> {
    let mut canonical = true;
    let mut scopes: Vec<Scope> = Vec::new();
    let mut at = 0;
    for _ in 0..MOST_ELEMENTS {
        let limit = scopes.iter().rev().find_map(|scope| scope.end).unwrap_or(bytes.len());
        let header = Header::read(bytes.get(at..limit).ok_or(BerError::Truncated)?)?;
        canonical &= header.canonical;
        let start = at + header.size;
        let end =
            header.length.map(|length| start.checked_add(length).ok_or(BerError::Length)).transpose()?;
        if end.is_some_and(|end| end > limit) {
            return Err(BerError::Truncated);
        }
        let in_pieces = scopes.last().is_some_and(|scope| scope.pieces);
        let pieces = header.tag == CONSTRUCTED_OCTET_STRING;
        if in_pieces && !pieces && header.tag != tag::OCTET_STRING {
            return Err(BerError::Tag);
        }
        if header.tag & CONSTRUCTED == 0 {
            let end = end.ok_or(BerError::Length)?;
            let (first, last) = (offset(start)?, offset(end)?);
            emit(match in_pieces {
                true => Token::Piece { start: first, end: last },
                false => Token::Primitive { tag: header.tag, start: first, end: last },
            });
            at = end;
        } else {
            if scopes.len() >= DEEPEST {
                return Err(BerError::TooDeep);
            }
            canonical &= !pieces;
            if !in_pieces {
                emit(Token::Open(if pieces { tag::OCTET_STRING } else { header.tag }));
            }
            scopes.push(Scope { end, pieces, written: !in_pieces });
            at = start;
        }
        at = close_scopes(bytes, at, &mut scopes, emit);
        if scopes.is_empty() {
            return if at == bytes.len() { Ok(canonical) } else { Err(BerError::Trailing) };
        }
    }
    Err(BerError::TooManyElements)
}

/// Leaves every element that ends here; answers where the next begins.
fn close_scopes(bytes: &[u8], mut at: usize, scopes: &mut Vec<Scope>, emit: &mut dyn FnMut(Token)) -> usize {
    while let Some(scope) = scopes.last() {
        match scope.end {
            Some(end) if at == end => {}
            None if bytes.get(at..).is_some_and(|rest| rest.starts_with(&[0, 0])) => at += 2,
            _ => break,
        }
        if scope.written {
            emit(Token::Close);
        }
        scopes.pop();
    }
    at
}

fn offset(at: usize) -> Result<u32, BerError> {
    u32::try_from(at).map_err(|_| BerError::TooLong)
}

/// Writes DER from its end to its beginning: so every length is known when it is needed.
fn write(bytes: &[u8], tokens: &[Token]) -> Vec<u8> {
    let contents = |start: u32, end: u32| bytes.get(start as usize..end as usize).unwrap_or_default();
    let mut reversed: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut ends = Vec::new();
    for token in tokens.iter().rev() {
        match *token {
            Token::Close => ends.push(reversed.len()),
            Token::Piece { start, end } => reversed.extend(contents(start, end).iter().rev()),
            Token::Primitive { tag, start, end } => {
                reversed.extend(contents(start, end).iter().rev());
                reversed.extend(length_octets((end - start) as usize).iter().rev());
                reversed.push(tag);
            }
            Token::Open(tag) => {
                let length = reversed.len() - ends.pop().unwrap_or_default();
                reversed.extend(length_octets(length).iter().rev());
                reversed.push(tag);
            }
        }
    }
    reversed.reverse();
    reversed
}

/// Identifier and length octets.
pub(super) struct Header {
    pub(super) tag: u8,
    /// How many octets the header has.
    pub(super) size: usize,
    /// The length of the contents; `None` for the indefinite form.
    pub(super) length: Option<usize>,
    /// Whether the length is written as DER demands.
    canonical: bool,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BerError> {
        let (tag, first) = match *bytes {
            [tag, first, ..] => (tag, first),
            _ => return Err(BerError::Truncated),
        };
        if tag & 0x1F == 0x1F || tag == 0 {
            return Err(BerError::Tag);
        }
        if first < 0x80 {
            return Ok(Self { tag, size: 2, length: Some(usize::from(first)), canonical: true });
        }
        if first == 0x80 {
            let constructed = tag & CONSTRUCTED != 0;
            let header = Self { tag, size: 2, length: None, canonical: false };
            return if constructed { Ok(header) } else { Err(BerError::Length) };
        }
        let size = 2 + usize::from(first & 0x7F);
        let octets = match bytes.get(2..size) {
            Some(octets) => octets,
            // Lengths beyond eight octets cannot be, however many of their octets are there.
            None if size > Self::LONGEST => return Err(BerError::Length),
            None => return Err(BerError::Truncated),
        };
        let shift =
            |length: usize, octet: &u8| length.checked_mul(256).map(|length| length | usize::from(*octet));
        let length = octets.iter().try_fold(0_usize, shift).ok_or(BerError::Length)?;
        let canonical = length_octets(length).len() == size - 1;
        Ok(Self { tag, size, length: Some(length), canonical })
    }

    /// The longest header that a stream is searched for.
    pub(super) const LONGEST: usize = 2 + 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_is_handed_back_untouched() {
        let der = [0x30, 0x06, 0x02, 0x01, 0x05, 0x04, 0x01, 0xAA];
        assert!(matches!(to_der(&der), Ok(Cow::Borrowed(same)) if same == der));
    }

    #[test]
    fn indefinite_lengths_and_pieces_become_definite_and_whole() {
        let ber = [
            0x30, 0x80, 0x24, 0x80, 0x04, 0x02, 1, 2, 0x24, 0x03, 0x04, 0x01, 3, 0, 0, 0x02, 0x81, 0x01, 5,
            0, 0,
        ];
        assert_eq!(to_der(&ber).unwrap().as_ref(), [0x30, 0x08, 0x04, 0x03, 1, 2, 3, 0x02, 0x01, 5]);
    }

    #[test]
    fn depth_and_ends_are_limited() {
        assert_eq!(to_der(&[0x30, 0x80].repeat(1000)).unwrap_err(), BerError::TooDeep);
        assert_eq!(to_der(&[0x30, 0x80, 0x02, 0x01]).unwrap_err(), BerError::Truncated);
        assert_eq!(to_der(&[0x04, 0x80, 0, 0]).unwrap_err(), BerError::Length);
        assert_eq!(to_der(&[0x04, 0x00, 0x00]).unwrap_err(), BerError::Trailing);
        assert_eq!(to_der(&[0x04, 0x88, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(), BerError::Truncated);
        assert_eq!(to_der(&[0x04, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(), BerError::Length);
        assert_eq!(to_der(&[0x30, 0x03, 0x04, 0x02, 0xAA, 0xBB]).unwrap_err(), BerError::Truncated);
    }

    #[test]
    fn nothing_but_octet_strings_are_pieces_of_one() {
        assert_eq!(to_der(&[0x24, 0x80, 0x02, 0x01, 5, 0, 0]).unwrap_err(), BerError::Tag);
        assert_eq!(to_der(&[0x24, 0x80, 0, 0]).unwrap().as_ref(), [0x04, 0x00]);
    }

    #[test]
    fn the_number_of_elements_is_limited() {
        let many = [[0x30, 0x80].as_slice(), &[0x05, 0x00].repeat(MOST_ELEMENTS), &[0, 0]].concat();
        assert_eq!(to_der(&many).unwrap_err(), BerError::TooManyElements);
    }
}
