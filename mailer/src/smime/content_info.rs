//! The outermost structure of every CMS object (RFC 5652 section 3).
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType ContentType, content [0] EXPLICIT ANY DEFINED BY contentType }
//! ```
use const_oid::ObjectIdentifier;
use der::{Decode, Encode};

use crate::certificate::tlv::{Element, Malformed, element, tag};

/// Content type and content of a ContentInfo in DER.
pub(crate) fn read(der: &[u8]) -> Result<(ObjectIdentifier, Element<'_>), Malformed> {
    let mut fields = Element::only(der, tag::SEQUENCE)?.elements();
    let content_type = object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)?;
    let content = fields.expect(tag::context_constructed(0))?;
    fields.finish()?;
    Ok((content_type, Element::only(content.contents, tag::SEQUENCE)?))
}

/// An OBJECT IDENTIFIER element as its value.
pub(crate) fn object_identifier(element: Element<'_>) -> Result<ObjectIdentifier, Malformed> {
    ObjectIdentifier::from_der(element.bytes).map_err(|_| Malformed::Tag)
}

/// An AlgorithmIdentifier in DER; `parameters` is an encoded element, or empty for absent parameters.
pub(crate) fn algorithm(algorithm: ObjectIdentifier, parameters: &[u8]) -> der::Result<Vec<u8>> {
    Ok(element(tag::SEQUENCE, &[&algorithm.to_der()?, parameters]))
}
