//! The outermost structure of every CMS object (RFC 5652 section 3).
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
//! ```
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;

use super::ber_reader::{self, ReadError, Reader};
use crate::certificate::tlv::{Element, Malformed, element, tag};

const LONGEST_IDENTIFIER: usize = 128;
const LONGEST_ALGORITHM: usize = 16 * 1024;

/// Goes into a ContentInfo up to its content, whose type is answered.
pub(super) fn enter(reader: &mut Reader<'_>) -> Result<ObjectIdentifier, ReadError> {
    reader.enter(tag::SEQUENCE)?;
    read_object_identifier(reader)
}

/// Goes into the content, a SEQUENCE.
pub(super) fn enter_content(reader: &mut Reader<'_>) -> Result<(), ReadError> {
    reader.enter(tag::context_constructed(0))?;
    reader.enter(tag::SEQUENCE)
}

/// Leaves content and ContentInfo, which must end here, and the stream with them.
pub(super) fn leave(reader: &mut Reader<'_>) -> Result<(), ReadError> {
    for _ in 0..3 {
        reader.leave()?;
    }
    reader.finish()
}

/// The next element, an OBJECT IDENTIFIER.
pub(super) fn read_object_identifier(reader: &mut Reader<'_>) -> Result<ObjectIdentifier, ReadError> {
    let der = reader.expect(tag::OBJECT_IDENTIFIER, LONGEST_IDENTIFIER)?;
    Ok(object_identifier(ber_reader::whole(&der)?)?)
}

/// The next element, an AlgorithmIdentifier.
pub(super) fn read_algorithm(reader: &mut Reader<'_>) -> Result<AlgorithmIdentifierOwned, ReadError> {
    let der = reader.expect(tag::SEQUENCE, LONGEST_ALGORITHM)?;
    let malformed = |_| ReadError::Malformed("an algorithm identifier cannot be read".to_owned());
    AlgorithmIdentifierOwned::from_der(&der).map_err(malformed)
}

/// An OBJECT IDENTIFIER element as its value.
pub(crate) fn object_identifier(element: Element<'_>) -> Result<ObjectIdentifier, Malformed> {
    ObjectIdentifier::from_der(element.bytes).map_err(|_| Malformed::Tag)
}

/// An AlgorithmIdentifier in DER; `parameters` is an encoded element, or empty for absent parameters.
pub(crate) fn algorithm(algorithm: ObjectIdentifier, parameters: &[u8]) -> der::Result<Vec<u8>> {
    Ok(element(tag::SEQUENCE, &[&algorithm.to_der()?, parameters]))
}
