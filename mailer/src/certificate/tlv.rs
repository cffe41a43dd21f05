//! ASN.1 elements in DER, read and written with their bytes kept (X.690 section 8.1 and 10.1).
//!
//! Signatures cover bytes, not values: whatever is signed is handed on exactly as it came.
use const_oid::ObjectIdentifier;

/// Universal and context tags, as single identifier octets.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0C;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, constructed.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xA0 | number
    }
}

/// Bytes that are not the DER that was expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it ends too early")]
    Truncated,
    #[error("a length is not encoded as DER demands")]
    Length,
    #[error("it has a tag that is not allowed")]
    Tag,
    #[error("there is {0:02X} where {1:02X} belongs")]
    Unexpected(u8, u8),
    #[error("something follows where nothing may")]
    Trailing,
    #[error("a truth value is not written as DER demands")]
    Boolean,
    #[error("a number is not written as DER demands")]
    Integer,
    #[error("an object identifier is not one")]
    ObjectIdentifier,
    #[error("a date is not written as DER demands")]
    Time,
    #[error("a string of bits is not written as DER demands")]
    Bits,
    #[error("a text has characters that are not allowed")]
    Text,
    #[error("a name cannot be read")]
    Name,
    #[error("something that must say something is empty")]
    Empty,
    #[error("something stands there twice")]
    Twice,
    #[error("a subtree has a minimum or maximum distance")]
    Distance,
    #[error("the members of a set are not in the order that DER demands")]
    Order,
    #[error("it is longer, or has more parts, than is read")]
    TooMuch,
}

/// One element: its identifier octet, its contents, and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    pub(crate) bytes: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads exactly one element with this tag that fills `bytes`.
    pub(crate) fn only(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut elements = Elements::new(bytes);
        let element = elements.expect(tag)?;
        elements.finish()?;
        Ok(element)
    }

    /// The contents of an INTEGER: at least one octet, none more than needed (X.690 section 8.3.2).
    pub(crate) fn integer(&self) -> Result<&'a [u8], Malformed> {
        match self.contents {
            [] => Err(Malformed::Integer),
            [first, second, ..] if (*first == 0 && *second < 0x80) || (*first == 0xFF && *second >= 0x80) => {
                Err(Malformed::Integer)
            }
            octets => Ok(octets),
        }
    }

    /// The object identifier.
    pub(crate) fn object_identifier(&self) -> Result<ObjectIdentifier, Malformed> {
        ObjectIdentifier::from_bytes(self.contents).map_err(|_| Malformed::ObjectIdentifier)
    }

    /// The elements inside a constructed one.
    pub(crate) fn elements(&self) -> Elements<'a> {
        Elements::new(self.contents)
    }
}

/// Elements one after another.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next element, whatever its tag; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, header, length) = header(self.rest)?;
        let end = header.checked_add(length).ok_or(Malformed::Length)?;
        let bytes = self.rest.get(..end).ok_or(Malformed::Truncated)?;
        let contents = bytes.get(header..).ok_or(Malformed::Truncated)?;
        self.rest = self.rest.get(end..).unwrap_or_default();
        Ok(Some(Element { tag, contents, bytes }))
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        match self.next()? {
            Some(element) if element.tag == tag => Ok(element),
            Some(element) => Err(Malformed::Unexpected(element.tag, tag)),
            None => Err(Malformed::Truncated),
        }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.rest.first() == Some(&tag) { self.next() } else { Ok(None) }
    }

    /// The identifier octet of the next element.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Nothing may follow.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
    }
}

/// Identifier octet, size of the header, length of the contents.
fn header(bytes: &[u8]) -> Result<(u8, usize, usize), Malformed> {
    let tag = *bytes.first().ok_or(Malformed::Truncated)?;
    if tag & 0x1F == 0x1F || tag == 0 {
        return Err(Malformed::Tag);
    }
    let first = *bytes.get(1).ok_or(Malformed::Truncated)?;
    if first < 0x80 {
        return Ok((tag, 2, usize::from(first)));
    }
    let count = usize::from(first & 0x7F);
    if count == 0 || count > size_of::<u32>() {
        return Err(Malformed::Length);
    }
    let octets = bytes.get(2..2 + count).ok_or(Malformed::Truncated)?;
    let length = octets.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
    let minimal = octets.first() != Some(&0) && length >= 0x80;
    if minimal { Ok((tag, 2 + count, length)) } else { Err(Malformed::Length) }
}

/// The octets of a length.
pub(crate) fn length_octets(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![short],
        _ => {
            let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
            let count = u8::try_from(octets.len()).unwrap_or(u8::MAX);
            [vec![0x80 | count], octets].concat()
        }
    }
}

/// Writes one element around the given parts.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    bytes.extend(length_octets(length));
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// Writes a SET OF: the elements in the order that DER demands (X.690 section 11.6).
pub(crate) fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    element(tag, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_survive_writing_and_reading() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let bytes = element(tag::OCTET_STRING, &[&vec![7; length]]);
            let read = Element::only(&bytes, tag::OCTET_STRING).unwrap();
            assert_eq!(read.contents.len(), length);
        }
    }

    #[test]
    fn lengths_longer_than_needed_are_refused() {
        assert_eq!(Element::only(&[0x04, 0x81, 0x01, 0xAA], 0x04).unwrap_err(), Malformed::Length);
        assert_eq!(Element::only(&[0x04, 0x82, 0x00, 0x80], 0x04).unwrap_err(), Malformed::Length);
        assert_eq!(Element::only(&[0x30, 0x80, 0x00, 0x00], 0x30).unwrap_err(), Malformed::Length);
        assert_eq!(Element::only(&[0x04, 0x02, 0x01], 0x04).unwrap_err(), Malformed::Truncated);
        assert_eq!(Element::only(&[0x04, 0x00, 0x00], 0x04).unwrap_err(), Malformed::Trailing);
    }

    #[test]
    fn a_set_is_written_in_der_order() {
        let set = set_of(tag::SET, vec![vec![4, 1, 2], vec![2, 1, 9], vec![4, 1, 1]]);
        assert_eq!(set, [0x31, 9, 2, 1, 9, 4, 1, 1, 4, 1, 2]);
    }
}
