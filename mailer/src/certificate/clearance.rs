//! What the holder of a certificate is cleared for, and what an authority may clear for (RFC 5913, RFC 5755 section 4.4.6).
use const_oid::ObjectIdentifier;

use super::tlv::{Element, Malformed, tag};
use super::{Certificate, CertificateError};

const SUBJECT_DIRECTORY_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.9");
/// `id-at-clearance`
const CLEARANCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.55");
/// `id-pe-authorityClearanceConstraints`
const CLEARANCE_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.21");
/// The most policies of one authority.
const MOST_POLICIES: usize = 64;

/// Classes of one security policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearance {
    /// The policy; another one's classes mean something else.
    pub policy: ObjectIdentifier,
    classes: ClassBits,
}

/// The first octet of a ClassList: unmarked is its highest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClassBits(u8);

impl ClassBits {
    /// The classes that are defined: unmarked to topSecret.
    const DEFINED: u8 = 0b1111_1100;
    const UNCLASSIFIED: Self = Self(0b0100_0000);
}

impl Clearance {
    /// The highest class, from 0 (unmarked) to 5 (topSecret): they rise in the basic hierarchy.
    pub fn highest(&self) -> Option<u16> {
        (0..=5_u16).rev().find(|class| self.classes.0 & (0x80 >> class) != 0)
    }

    /// What is left under an authority that may clear for these alone (RFC 5913 section 6).
    pub(crate) fn within(self, permitted: &[Self]) -> Option<Self> {
        let same = permitted.iter().find(|permitted| permitted.policy == self.policy)?;
        Some(Self { classes: ClassBits(self.classes.0 & same.classes.0), ..self })
    }
}

impl Certificate {
    /// The clearance in subjectDirectoryAttributes (RFC 5913 section 2): one at most.
    ///
    /// ```text
    /// SubjectDirectoryAttributes ::= SEQUENCE SIZE (1..MAX) OF Attribute
    /// Clearance ::= SEQUENCE { policyId OBJECT IDENTIFIER, classList ClassList DEFAULT {unclassified},
    ///     securityCategories SET OF SecurityCategory OPTIONAL }
    /// ClassList ::= BIT STRING { unmarked (0), unclassified (1), restricted (2), confidential (3), secret (4), topSecret (5) }
    /// ```
    ///
    /// The syntax of RFC 3281, with context tags, is read too (RFC 5755 section 4.4.6).
    ///
    /// # Errors
    /// It is malformed.
    pub fn clearance(&self) -> Result<Option<Clearance>, CertificateError> {
        let mut extensions = self.extensions().iter();
        let Some(found) = extensions.find(|found| found.extn_id == SUBJECT_DIRECTORY_ATTRIBUTES) else {
            return Ok(None);
        };
        read_attributes(found.extn_value.as_bytes()).map_err(|problem| {
            CertificateError(format!("the clearance in the certificate is malformed: {problem}"))
        })
    }

    /// `AuthorityClearanceConstraints ::= SEQUENCE SIZE (1..MAX) OF Clearance` (RFC 5913 section 3): no policy twice.
    pub(crate) fn clearance_constraints(&self) -> Result<Option<Vec<Clearance>>, CertificateError> {
        let mut extensions = self.extensions().iter();
        let Some(found) = extensions.find(|found| found.extn_id == CLEARANCE_CONSTRAINTS) else {
            return Ok(None);
        };
        read_constraints(found.extn_value.as_bytes()).map(Some).map_err(|problem| {
            CertificateError(format!("the clearance constraints of the authority are malformed: {problem}"))
        })
    }
}

fn read_constraints(der: &[u8]) -> Result<Vec<Clearance>, Malformed> {
    let mut elements = Element::only(der, tag::SEQUENCE)?.elements();
    let mut found: Vec<Clearance> = Vec::new();
    while let Some(element) = elements.next()? {
        let clearance = read_clearance(&Element::only(element.bytes, tag::SEQUENCE)?)?;
        if found.iter().any(|known| known.policy == clearance.policy) {
            return Err(Malformed::Twice);
        }
        if found.len() >= MOST_POLICIES {
            return Err(Malformed::TooMuch);
        }
        found.push(clearance);
    }
    if found.is_empty() { Err(Malformed::Empty) } else { Ok(found) }
}

fn read_attributes(der: &[u8]) -> Result<Option<Clearance>, Malformed> {
    let mut attributes = Element::only(der, tag::SEQUENCE)?.elements();
    let mut clearance = None;
    while let Some(attribute) = attributes.next()? {
        let mut fields = Element::only(attribute.bytes, tag::SEQUENCE)?.elements();
        let attribute_type = fields.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
        let mut values = fields.expect(tag::SET)?.elements();
        fields.finish()?;
        if attribute_type != CLEARANCE {
            continue;
        }
        if clearance.is_some() {
            return Err(Malformed::Twice);
        }
        clearance = Some(read_clearance(&values.expect(tag::SEQUENCE)?)?);
        values.finish()?;
    }
    Ok(clearance)
}

fn read_clearance(element: &Element<'_>) -> Result<Clearance, Malformed> {
    let mut fields = element.elements();
    let (policy_tag, list_tag, categories_tag) = match fields.peek() {
        Some(tag::OBJECT_IDENTIFIER) => (tag::OBJECT_IDENTIFIER, tag::BIT_STRING, tag::SET),
        _ => (tag::context(0), tag::context(1), tag::context_constructed(2)),
    };
    let policy = fields.expect(policy_tag)?.object_identifier()?;
    let classes = fields.optional(list_tag)?.map(|list| class_bits(list.contents)).transpose()?;
    // What somebody is cleared for besides does not take anything away: labels with categories are refused as a whole.
    fields.optional(categories_tag)?;
    fields.finish()?;
    Ok(Clearance { policy, classes: classes.unwrap_or(ClassBits::UNCLASSIFIED) })
}

/// Bits above topSecret are not defined and do not count.
fn class_bits(contents: &[u8]) -> Result<ClassBits, Malformed> {
    let (unused, bits) = contents.split_first().ok_or(Malformed::Truncated)?;
    let is_padded = match bits.last() {
        None => *unused == 0,
        Some(last) => *unused < 8 && last.trailing_zeros() >= u32::from(*unused),
    };
    if !is_padded {
        return Err(Malformed::Bits);
    }
    Ok(ClassBits(bits.first().copied().unwrap_or_default() & ClassBits::DEFINED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tlv::element;

    const POLICY: &[u8] = &[6, 3, 0x2A, 3, 4];

    fn attributes(values: &[&[u8]]) -> Vec<u8> {
        let set = element(tag::SET, values);
        let clearance: [&[u8]; 2] = [&[6, 3, 0x55, 4, 55], &set];
        let other = element(tag::SEQUENCE, &[&[6, 3, 0x55, 4, 6], &element(tag::SET, &[&[5, 0]])]);
        element(tag::SEQUENCE, &[&other, &element(tag::SEQUENCE, &clearance)])
    }

    fn read(fields: &[&[u8]]) -> Result<Option<u16>, Malformed> {
        let found = read_attributes(&attributes(&[&element(tag::SEQUENCE, fields)]))?;
        Ok(found.and_then(|found| found.highest()))
    }

    #[test]
    fn clearances_are_read_in_both_syntaxes() {
        assert_eq!(read(&[POLICY]), Ok(Some(1)));
        assert_eq!(read(&[POLICY, &[3, 2, 4, 0b1111_0000]]), Ok(Some(3)));
        assert_eq!(read(&[POLICY, &[3, 2, 2, 0b0000_0100]]), Ok(Some(5)));
        assert_eq!(read(&[POLICY, &[3, 1, 0]]), Ok(None));
        assert_eq!(read(&[POLICY, &[3, 2, 0, 0b0000_0001]]), Ok(None));
        assert_eq!(read(&[&[0x80, 2, 0x2A, 3], &[0x81, 2, 3, 0b0000_1000]]), Ok(Some(4)));
        assert_eq!(read_attributes(&element(tag::SEQUENCE, &[])), Ok(None));
    }

    #[test]
    fn malformed_clearances_are_refused() {
        for fields in [
            &[][..],
            &[&[3, 2, 4, 0xF0][..]],
            &[POLICY, &[3, 0]],
            &[POLICY, &[3, 2, 8, 0]],
            &[POLICY, &[3, 2, 4, 0xF8]],
            &[POLICY, &[3, 1, 1]],
            &[POLICY, POLICY],
            &[&[0x80, 2, 0x2A, 3][..], &[3, 2, 3, 8]],
        ] {
            assert!(read(fields).is_err(), "{fields:02X?}");
        }
        let one = element(tag::SEQUENCE, &[POLICY]);
        assert!(read_attributes(&attributes(&[&one, &one])).is_err());
        assert!(read_attributes(&[0x30, 0, 0]).is_err());
    }

    #[test]
    fn authorities_clear_only_for_what_they_may() {
        let clearance =
            |policy: u8, bits: u8| element(tag::SEQUENCE, &[&[6, 3, 0x2A, 3, policy], &[3, 2, 2, bits]]);
        let constraints = element(tag::SEQUENCE, &[&clearance(4, 0b0001_1100), &clearance(5, 0xFC)]);
        let constraints = read_constraints(&constraints).unwrap();
        let within = |policy, bits| {
            let der = clearance(policy, bits);
            let held = read_clearance(&Element::only(&der, tag::SEQUENCE).unwrap()).unwrap();
            held.within(&constraints).and_then(|left| left.highest())
        };
        assert_eq!(within(4, 0b0001_0000), Some(3));
        assert_eq!(within(4, 0b0110_0000), None);
        assert_eq!(within(5, 0b0000_0100), Some(5));
        assert_eq!(within(6, 0b0000_0100), None);
        for wrong in [
            element(tag::SEQUENCE, &[]),
            element(tag::SEQUENCE, &[&clearance(4, 0), &clearance(4, 4)]),
            element(tag::SEQUENCE, &[&[5, 0]]),
        ] {
            assert!(read_constraints(&wrong).is_err());
        }
    }
}
