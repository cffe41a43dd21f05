//! BER to DER, as far as CMS writers use BER (X.690 section 8): indefinite lengths, lengths longer than needed,
//! OCTET STRINGs in pieces. Other programs stream, so their messages arrive this way.
use std::borrow::Cow;

use crate::certificate::tlv::{Element, Elements, Malformed, length_octets, tag};

/// The longest object that is read whole; a length in DER has at most four octets anyhow.
const LONGEST: usize = 1 << 30;
/// The deepest nesting that is followed.
const DEEPEST: usize = 48;
/// The most elements, so that many tiny ones cannot take much more memory than the message itself.
const MOST_ELEMENTS: usize = 1_000_000;
/// An OCTET STRING in pieces.
const CONSTRUCTED_OCTET_STRING: u8 = 0x24;

/// What keeps BER from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BerError {
    #[error("it ends too early")]
    Truncated,
    #[error("it has a length that cannot be")]
    Length,
    #[error("it has a tag that is not allowed")]
    Tag,
    #[error("it is longer than {LONGEST} bytes")]
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
    if bytes.len() > LONGEST {
        return Err(BerError::TooLong);
    }
    let mut reader = Reader { rest: bytes, elements: 0, canonical: true };
    let node = reader.element(0)?;
    if !reader.rest.is_empty() {
        return Err(BerError::Trailing);
    }
    if reader.canonical {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut der = Vec::with_capacity(bytes.len());
    node.write(&mut der);
    Ok(Cow::Owned(der))
}

/// The contents of an implicitly tagged OCTET STRING, which may be in pieces (tag `[0]` or constructed `[0]`).
pub(crate) fn octets(element: Element<'_>) -> Result<Cow<'_, [u8]>, Malformed> {
    const CONSTRUCTED: u8 = 0x20;
    if element.tag & CONSTRUCTED == 0 {
        return Ok(Cow::Borrowed(element.contents));
    }
    let mut whole = Vec::with_capacity(element.contents.len());
    let mut pieces: Elements<'_> = element.elements();
    while let Some(piece) = pieces.next()? {
        if piece.tag != tag::OCTET_STRING {
            return Err(Malformed::Unexpected(piece.tag, tag::OCTET_STRING));
        }
        whole.extend_from_slice(piece.contents);
    }
    Ok(Cow::Owned(whole))
}

/// An element with the length that its DER contents will have.
struct Node<'a> {
    tag: u8,
    length: usize,
    contents: Contents<'a>,
}

enum Contents<'a> {
    Primitive(&'a [u8]),
    Constructed(Vec<Node<'a>>),
    /// Pieces of an OCTET STRING, joined when written.
    Pieces(Vec<Node<'a>>),
}

impl Node<'_> {
    fn encoded_length(&self) -> usize {
        1 + length_octets(self.length).len() + self.length
    }

    fn write(&self, der: &mut Vec<u8>) {
        der.push(self.tag);
        der.extend(length_octets(self.length));
        self.write_contents(der);
    }

    fn write_contents(&self, der: &mut Vec<u8>) {
        match &self.contents {
            Contents::Primitive(bytes) => der.extend_from_slice(bytes),
            Contents::Constructed(nodes) => nodes.iter().for_each(|node| node.write(der)),
            Contents::Pieces(nodes) => nodes.iter().for_each(|node| node.write_contents(der)),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    elements: usize,
    /// Whether everything so far was DER already.
    canonical: bool,
}

impl<'a> Reader<'a> {
    fn element(&mut self, depth: usize) -> Result<Node<'a>, BerError> {
        if depth > DEEPEST {
            return Err(BerError::TooDeep);
        }
        self.elements += 1;
        if self.elements > MOST_ELEMENTS {
            return Err(BerError::TooManyElements);
        }
        let tag = self.octet()?;
        if tag & 0x1F == 0x1F || tag == 0 {
            return Err(BerError::Tag);
        }
        let constructed = tag & 0x20 != 0;
        let contents = match self.length()? {
            None if constructed => self.until_end_of_contents(depth)?,
            None => return Err(BerError::Length),
            Some(length) => {
                let contents = self.rest.get(..length).ok_or(BerError::Truncated)?;
                let after = self.rest.get(length..).unwrap_or_default();
                if !constructed {
                    self.rest = after;
                    return Ok(Node { tag, length, contents: Contents::Primitive(contents) });
                }
                self.rest = contents;
                let mut nodes = Vec::new();
                while !self.rest.is_empty() {
                    nodes.push(self.element(depth + 1)?);
                }
                self.rest = after;
                nodes
            }
        };
        self.constructed(tag, contents)
    }

    /// Joins the pieces of an OCTET STRING; leaves everything else as it is.
    fn constructed(&mut self, tag: u8, nodes: Vec<Node<'a>>) -> Result<Node<'a>, BerError> {
        if tag != CONSTRUCTED_OCTET_STRING {
            let length = nodes.iter().map(Node::encoded_length).sum();
            return Ok(Node { tag, length, contents: Contents::Constructed(nodes) });
        }
        self.canonical = false;
        if nodes.iter().any(|node| node.tag != tag::OCTET_STRING) {
            return Err(BerError::Tag);
        }
        let length = nodes.iter().map(|node| node.length).sum();
        Ok(Node { tag: tag::OCTET_STRING, length, contents: Contents::Pieces(nodes) })
    }

    fn until_end_of_contents(&mut self, depth: usize) -> Result<Vec<Node<'a>>, BerError> {
        self.canonical = false;
        let mut nodes = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(&[0, 0]) {
                self.rest = rest;
                return Ok(nodes);
            }
            nodes.push(self.element(depth + 1)?);
        }
    }

    /// A length; `None` is the indefinite form.
    fn length(&mut self) -> Result<Option<usize>, BerError> {
        let first = self.octet()?;
        if first < 0x80 {
            return Ok(Some(usize::from(first)));
        }
        if first == 0x80 {
            return Ok(None);
        }
        let mut length = 0_usize;
        for _ in 0..first & 0x7F {
            length = length.checked_mul(256).ok_or(BerError::Length)? | usize::from(self.octet()?);
        }
        let shortest = length_octets(length).len() == 1 + usize::from(first & 0x7F);
        self.canonical &= shortest;
        Ok(Some(length))
    }

    fn octet(&mut self) -> Result<u8, BerError> {
        let (first, rest) = self.rest.split_first().ok_or(BerError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }
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
        assert_eq!(to_der(&[0x04, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(), BerError::Length);
    }
}
