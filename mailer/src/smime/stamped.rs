//! A time stamp put into a SignedData that stands already (RFC 3161 appendix A): every signed octet stays as it is.
use super::attribute_plan::unsigned_time_stamp;
use super::object_identifiers::ID_SIGNED_DATA;
use crate::certificate::tlv::{Element, Malformed, element, set_of, tag};
use der::Encode;

/// The parts of a SignedData with one signer.
struct Parts<'a> {
    /// Version, digest algorithms, content, certificates, CRLs.
    before: Vec<&'a [u8]>,
    /// The fields of the SignerInfo before its unsigned attributes.
    signer: Vec<&'a [u8]>,
    value: &'a [u8],
    unsigned: Option<Element<'a>>,
}

fn parts(object: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut outer = Element::only(object, tag::SEQUENCE)?.elements();
    outer.expect(tag::OBJECT_IDENTIFIER)?;
    let inner = outer.expect(tag::context_constructed(0))?;
    let mut fields = Element::only(inner.contents, tag::SEQUENCE)?.elements();
    let mut all = Vec::new();
    while let Some(field) = fields.next()? {
        all.push(field);
    }
    let infos = all.pop().filter(|last| last.tag == tag::SET).ok_or(Malformed::Tag)?;
    let mut info = Element::only(infos.contents, tag::SEQUENCE)?.elements();
    let mut signer = Vec::new();
    let (mut value, mut unsigned) = (None, None);
    while let Some(field) = info.next()? {
        match (value, field.tag) {
            (None, tag::OCTET_STRING) => value = Some(field.contents),
            (Some(_), _) => {
                unsigned = Some(field);
                break;
            }
            _ => {}
        }
        signer.push(field.bytes);
    }
    info.finish()?;
    Ok(Parts {
        before: all.iter().map(|field| field.bytes).collect(),
        signer,
        value: value.ok_or(Malformed::Truncated)?,
        unsigned,
    })
}

/// The signature value of a SignedData (DER) with one signer; `None` when it has a time stamp already.
///
/// # Errors
/// It is no such object: why, in words.
pub fn signature_value(object: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let parts = parts(object).map_err(|problem| problem.to_string())?;
    let stamped = !super::attributes::time_stamp_tokens(parts.unsigned).is_empty();
    Ok((!stamped).then(|| parts.value.to_vec()))
}

/// The same SignedData with a time stamp among its unsigned attributes.
///
/// # Errors
/// It is no such object: why, in words.
pub fn signed_data_with_time_stamp(object: &[u8], token: &[u8]) -> Result<Vec<u8>, String> {
    let Parts { before, mut signer, unsigned, .. } = parts(object).map_err(|problem| problem.to_string())?;
    let mut attributes = vec![unsigned_time_stamp(token).map_err(|problem| problem.to_string())?];
    if let Some(unsigned) = unsigned {
        let mut elements = unsigned.elements();
        while let Some(attribute) = elements.next().map_err(|problem| problem.to_string())? {
            attributes.push(attribute.bytes.to_vec());
        }
    }
    let attributes = set_of(tag::context_constructed(1), attributes);
    signer.push(&attributes);
    let infos = element(tag::SET, &[&element(tag::SEQUENCE, &signer)]);
    let fields: Vec<&[u8]> = before.into_iter().chain([infos.as_slice()]).collect();
    let signed_data = element(tag::context_constructed(0), &[&element(tag::SEQUENCE, &fields)]);
    let identifier = ID_SIGNED_DATA.to_der().map_err(|problem| problem.to_string())?;
    Ok(element(tag::SEQUENCE, &[&identifier, &signed_data]))
}
