//! What somebody may read, and whether that suffices for a label (RFC 2634 section 3, RFC 5755 section 4.4.6, RFC 5913).
use const_oid::ObjectIdentifier;

use crate::certificate::tlv::{Element, Malformed, tag};
use crate::certificate::{Certificate, CertificateError};
use crate::message::terminal_text::safe_line;
use crate::smime::{SecurityClassification, SecurityLabel};

const SUBJECT_DIRECTORY_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.9");
/// `id-at-clearance`
const CLEARANCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.55");

/// Up to which classification of one policy somebody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearance {
    /// The policy; another one's classifications mean something else.
    pub policy: ObjectIdentifier,
    /// The highest.
    pub highest: SecurityClassification,
}

/// Why somebody may not read something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClearanceProblem {
    /// The clearance does not reach.
    #[error("{label} needs a clearance for {needed}, and {}", held_in_words(*.held))]
    TooLow {
        /// The label in words.
        label: String,
        /// The classification in words.
        needed: String,
        /// What there is for this policy.
        held: Option<SecurityClassification>,
    },
    /// The label has distinctions that nobody here can compare.
    #[error("{0} has categories that this program does not know, so nobody can be found cleared for it")]
    Categories(String),
}

impl ClearanceProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLow { .. } => "clearance-missing",
            Self::Categories(_) => "label-categories-unknown",
        }
    }
}

/// Whether a clearance suffices. `held` is that for the label's own policy; unmarked (0) needs none, anything else does.
///
/// # Errors
/// Why not.
pub fn suffices(label: &SecurityLabel, held: Option<SecurityClassification>) -> Result<(), ClearanceProblem> {
    if !label.categories.is_empty() {
        return Err(ClearanceProblem::Categories(in_words(label)));
    }
    let needed = label.classification.unwrap_or(SecurityClassification::UNMARKED);
    if needed == SecurityClassification::UNMARKED || held.is_some_and(|held| held >= needed) {
        return Ok(());
    }
    let (label, needed) = (in_words(label), classification_in_words(needed));
    Err(ClearanceProblem::TooLow { label, needed, held })
}

/// A label in words, safe for a terminal.
pub fn in_words(label: &SecurityLabel) -> String {
    let classification = label.classification.unwrap_or(SecurityClassification::UNMARKED);
    let mark = label.privacy_mark.as_deref().map(|mark| format!(", \"{}\"", safe_line(mark)));
    format!(
        "the label {} of policy {}{}",
        classification_in_words(classification),
        label.policy,
        mark.unwrap_or_default()
    )
}

/// A classification in words.
pub fn classification_in_words(classification: SecurityClassification) -> String {
    let number = classification.number();
    classification.basic_name().map_or_else(|| number.to_string(), |name| format!("{name} ({number})"))
}

fn held_in_words(held: Option<SecurityClassification>) -> String {
    held.map_or_else(
        || "there is none for this policy".to_owned(),
        |held| format!("there is one for {} only", classification_in_words(held)),
    )
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
    Ok(clearance.flatten())
}

/// `None` for a list of no class at all.
fn read_clearance(element: &Element<'_>) -> Result<Option<Clearance>, Malformed> {
    let mut fields = element.elements();
    let (policy_tag, list_tag, categories_tag) = match fields.peek() {
        Some(tag::OBJECT_IDENTIFIER) => (tag::OBJECT_IDENTIFIER, tag::BIT_STRING, tag::SET),
        _ => (tag::context(0), tag::context(1), tag::context_constructed(2)),
    };
    let policy = fields.expect(policy_tag)?.object_identifier()?;
    let highest = match fields.optional(list_tag)? {
        None => Some(SecurityClassification::UNCLASSIFIED),
        Some(list) => highest_bit(list.contents)?,
    };
    // What somebody is cleared for besides does not take anything away: labels with categories are refused as a whole.
    fields.optional(categories_tag)?;
    fields.finish()?;
    Ok(highest.map(|highest| Clearance { policy, highest }))
}

/// The named bits rise in the basic hierarchy; those above topSecret are not defined and do not count.
fn highest_bit(contents: &[u8]) -> Result<Option<SecurityClassification>, Malformed> {
    let (unused, bits) = contents.split_first().ok_or(Malformed::Truncated)?;
    let is_padded = match bits.last() {
        None => *unused == 0,
        Some(last) => *unused < 8 && last.trailing_zeros() >= u32::from(*unused),
    };
    if !is_padded {
        return Err(Malformed::Bits);
    }
    let first = bits.first().copied().unwrap_or_default();
    let highest = (0..=5_u16).rev().find(|bit| first & (0x80 >> bit) != 0);
    Ok(highest.and_then(SecurityClassification::from_number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tlv::element;

    const POLICY: &[u8] = &[6, 3, 0x2A, 3, 4];

    fn attributes(values: &[&[u8]]) -> Vec<u8> {
        let clearance = [&[6, 3, 0x55, 4, 55], &element(tag::SET, values)[..]];
        let other = element(tag::SEQUENCE, &[&[6, 3, 0x55, 4, 6], &element(tag::SET, &[&[5, 0]])]);
        element(tag::SEQUENCE, &[&other, &element(tag::SEQUENCE, &clearance)])
    }

    fn read(fields: &[&[u8]]) -> Result<Option<u16>, Malformed> {
        let found = read_attributes(&attributes(&[&element(tag::SEQUENCE, fields)]))?;
        Ok(found.map(|found| found.highest.number()))
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
            &[&[3, 2, 4, 0xF0]],
            &[POLICY, &[3, 0]],
            &[POLICY, &[3, 2, 8, 0]],
            &[POLICY, &[3, 2, 4, 0xF8]],
            &[POLICY, &[3, 1, 1]],
            &[POLICY, POLICY],
            &[&[0x80, 2, 0x2A, 3], &[3, 2, 3, 8]],
        ] {
            assert!(read(fields).is_err(), "{fields:02X?}");
        }
        let one = element(tag::SEQUENCE, &[POLICY]);
        assert!(read_attributes(&attributes(&[&one, &one])).is_err());
        assert!(read_attributes(&[0x30, 0, 0]).is_err());
    }

    #[test]
    fn a_clearance_must_reach_the_classification() {
        let label = |classification: Option<u16>| SecurityLabel {
            policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
            classification: classification.and_then(SecurityClassification::from_number),
            privacy_mark: None,
            categories: Vec::new(),
        };
        let held = SecurityClassification::from_number;
        for (needed, holds, enough) in [
            (None, None, true),
            (Some(0), None, true),
            (Some(1), None, false),
            (Some(1), held(0), false),
            (Some(3), held(3), true),
            (Some(3), held(5), true),
            (Some(4), held(3), false),
            (Some(6), held(5), false),
        ] {
            assert_eq!(suffices(&label(needed), holds).is_ok(), enough, "{needed:?} {holds:?}");
        }
        let mut odd = label(None);
        odd.categories.push(crate::smime::SecurityCategory {
            category_type: ObjectIdentifier::new_unwrap("1.2.3"),
            value: vec![5, 0],
        });
        assert_eq!(suffices(&odd, held(5)).unwrap_err().code(), "label-categories-unknown");
        assert_eq!(
            suffices(&label(Some(4)), held(3)).unwrap_err().to_string(),
            "the label secret (4) of policy 1.2.3.4 needs a clearance for secret (4), and there is one for confidential (3) only"
        );
    }
}
