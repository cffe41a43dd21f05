//! Security labels that are signed into a message (RFC 2634 section 3).
use const_oid::ObjectIdentifier;
use der::Encode;

use super::attribute_plan::attribute;
use super::ess::EssError;
use super::object_identifiers::SECURITY_LABEL;
use super::verify::SignedMessage;
use crate::certificate::tlv::{Element, Malformed, element, set_of, tag};

/// `ub-privacy-mark-length INTEGER ::= 128` for a PrintableString; a UTF8String may be longer, but not endless.
const LONGEST_PRINTABLE_MARK: usize = 128;
const LONGEST_MARK: usize = 4096;
/// `ub-security-categories INTEGER ::= 64`
const MOST_CATEGORIES: usize = 64;
const PRINTABLE_STRING: u8 = 0x13;

/// Who may see a message.
///
/// ```text
/// ESSSecurityLabel ::= SET { security-policy-identifier SecurityPolicyIdentifier,
///     security-classification SecurityClassification OPTIONAL, privacy-mark ESSPrivacyMark OPTIONAL,
///     security-categories SecurityCategories OPTIONAL }
/// ESSPrivacyMark ::= CHOICE { pString PrintableString (SIZE (1..128)), utf8String UTF8String (SIZE (1..MAX)) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityLabel {
    /// The policy that says what the rest means.
    pub policy: ObjectIdentifier,
    /// How sensitive it is.
    pub classification: Option<SecurityClassification>,
    /// A remark for people, letter by letter as it was written: not safe for a terminal, and no rule of access.
    pub privacy_mark: Option<String>,
    /// Finer distinctions, defined by the policy.
    pub categories: Vec<SecurityCategory>,
}

/// `SecurityClassification ::= INTEGER (0..256)`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityClassification(u16);

impl SecurityClassification {
    /// unmarked (0)
    pub const UNMARKED: Self = Self(0);
    /// unclassified (1)
    pub const UNCLASSIFIED: Self = Self(1);
    /// restricted (2)
    pub const RESTRICTED: Self = Self(2);
    /// confidential (3)
    pub const CONFIDENTIAL: Self = Self(3);
    /// secret (4)
    pub const SECRET: Self = Self(4);
    /// top-secret (5)
    pub const TOP_SECRET: Self = Self(5);

    /// A value of the basic hierarchy or of a policy; `None` beyond 256.
    pub fn from_number(number: u16) -> Option<Self> {
        (number <= 256).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Its name in the basic hierarchy (X.411); other numbers mean what the policy says.
    pub fn basic_name(self) -> Option<&'static str> {
        let names = ["unmarked", "unclassified", "restricted", "confidential", "secret", "top-secret"];
        names.get(usize::from(self.0)).copied()
    }

    fn to_der(self) -> Vec<u8> {
        match self.0.to_be_bytes() {
            [0, low @ 0..0x80] => element(tag::INTEGER, &[&[low]]),
            octets => element(tag::INTEGER, &[&octets]),
        }
    }

    fn read(element: &Element<'_>) -> Result<Self, Malformed> {
        let number = match element.integer()? {
            [low @ 0..0x80] => u16::from(*low),
            [high @ 0..0x80, low] => u16::from_be_bytes([*high, *low]),
            _ => return Err(Malformed::Integer),
        };
        Self::from_number(number).ok_or(Malformed::Integer)
    }
}

/// `SecurityCategory ::= SEQUENCE { type [0] OBJECT IDENTIFIER, value [1] ANY DEFINED BY type }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityCategory {
    /// What the value is.
    pub category_type: ObjectIdentifier,
    /// One element in DER.
    pub value: Vec<u8>,
}

impl SecurityCategory {
    fn to_der(&self) -> Vec<u8> {
        let category_type = element(tag::context(0), &[self.category_type.as_bytes()]);
        element(tag::SEQUENCE, &[&category_type, &element(tag::context_constructed(1), &[&self.value])])
    }

    fn read(element: &Element<'_>) -> Result<Self, Malformed> {
        let mut fields = Element::only(element.bytes, tag::SEQUENCE)?.elements();
        let category_type = fields.expect(tag::context(0))?.object_identifier()?;
        let mut values = fields.expect(tag::context_constructed(1))?.elements();
        fields.finish()?;
        let value = values.next()?.ok_or(Malformed::Truncated)?.bytes.to_vec();
        values.finish()?;
        Ok(Self { category_type, value })
    }
}

impl SecurityLabel {
    /// The signed attribute eSSSecurityLabel.
    ///
    /// # Errors
    /// It cannot be encoded: an empty or too long privacy mark, too many categories, a category without one value.
    pub fn to_attribute(&self) -> der::Result<Vec<u8>> {
        let der = self.to_der()?;
        match Self::read(&der) {
            Ok(_) => attribute(SECURITY_LABEL, &der),
            Err(_) => Err(der::ErrorKind::Failed.into()),
        }
    }

    /// The members of a SET stand in the order of their tags (X.690 section 10.3).
    fn to_der(&self) -> der::Result<Vec<u8>> {
        let classification = self.classification.map(SecurityClassification::to_der).unwrap_or_default();
        let mark = self.privacy_mark.as_ref().map(|mark| element(tag::UTF8_STRING, &[mark.as_bytes()]));
        let categories = match self.categories.as_slice() {
            [] => Vec::new(),
            some => set_of(tag::SET, some.iter().map(SecurityCategory::to_der).collect()),
        };
        let mark = mark.unwrap_or_default();
        Ok(element(tag::SET, &[&classification, &self.policy.to_der()?, &mark, &categories]))
    }

    /// Reads an ESSSecurityLabel in DER.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_der(der: &[u8]) -> Result<Self, EssError> {
        Self::read(der).map_err(EssError::malformed("security label"))
    }

    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Element::only(der, tag::SET)?.elements();
        let classification = fields.optional(tag::INTEGER)?;
        let classification = classification.map(|found| SecurityClassification::read(&found)).transpose()?;
        let policy = fields.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
        let privacy_mark = match fields.peek() {
            Some(found @ (tag::UTF8_STRING | PRINTABLE_STRING)) => Some(mark(&fields.expect(found)?)?),
            _ => None,
        };
        let categories = fields.optional(tag::SET)?.map(|set| categories(&set)).transpose()?;
        fields.finish()?;
        Ok(Self { policy, classification, privacy_mark, categories: categories.unwrap_or_default() })
    }

    /// The label of a verified message. If one of its signers labels it, every one must, and all alike (section 3.1.1);
    /// signers whose signature cannot be verified are not heard.
    ///
    /// # Errors
    /// A label is malformed, or not the same everywhere.
    pub fn of(message: &SignedMessage) -> Result<Option<Self>, EssError> {
        let mut labels = Vec::new();
        for signature in message.signers.iter().filter_map(|signer| signer.outcome.as_ref().ok()) {
            labels.push(signature.signed_attribute(SECURITY_LABEL)?);
        }
        labels.dedup();
        match labels.as_slice() {
            [] | [None] => Ok(None),
            [Some(label)] => Self::from_der(label).map(Some),
            _ => Err(EssError::Different("security label")),
        }
    }
}

fn mark(element: &Element<'_>) -> Result<String, Malformed> {
    let most = if element.tag == PRINTABLE_STRING { LONGEST_PRINTABLE_MARK } else { LONGEST_MARK };
    match element.contents.len() {
        0 => return Err(Malformed::Empty),
        length if length > most => return Err(Malformed::TooMuch),
        _ => {}
    }
    let is_printable = |octet: &u8| octet.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(octet);
    if element.tag == PRINTABLE_STRING && !element.contents.iter().all(is_printable) {
        return Err(Malformed::Text);
    }
    String::from_utf8(element.contents.to_vec()).map_err(|_| Malformed::Text)
}

fn categories(set: &Element<'_>) -> Result<Vec<SecurityCategory>, Malformed> {
    let mut elements = set.elements();
    let (mut found, mut encoded): (Vec<SecurityCategory>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    while let Some(element) = elements.next()? {
        if found.len() >= MOST_CATEGORIES {
            return Err(Malformed::TooMuch);
        }
        found.push(SecurityCategory::read(&element)?);
        encoded.push(element.bytes);
    }
    if found.is_empty() {
        return Err(Malformed::Empty);
    }
    if encoded.is_sorted() { Ok(found) } else { Err(Malformed::Order) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> SecurityLabel {
        SecurityLabel {
            policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
            classification: Some(SecurityClassification::CONFIDENTIAL),
            privacy_mark: Some("Nur für den Dienstgebrauch".to_owned()),
            categories: vec![SecurityCategory {
                category_type: ObjectIdentifier::new_unwrap("1.2.3.4.5"),
                value: vec![0x0C, 1, b'x'],
            }],
        }
    }

    #[test]
    fn labels_are_read_as_they_were_written() {
        let bare = SecurityLabel {
            policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
            classification: None,
            privacy_mark: None,
            categories: Vec::new(),
        };
        for label in [label(), bare] {
            assert_eq!(SecurityLabel::from_der(&label.to_der().unwrap()).unwrap(), label);
            label.to_attribute().unwrap();
        }
        let empty = SecurityLabel { privacy_mark: Some(String::new()), ..label() };
        assert!(empty.to_attribute().is_err());
        let mut nonsense = label();
        nonsense.categories[0].value = vec![5, 0, 5, 0];
        assert!(nonsense.to_attribute().is_err());
    }

    #[test]
    fn classifications_are_numbers_up_to_256() {
        for number in [0, 1, 5, 127, 128, 255, 256] {
            let classification = SecurityClassification::from_number(number).unwrap();
            let label = SecurityLabel { classification: Some(classification), ..label() };
            let read = SecurityLabel::from_der(&label.to_der().unwrap()).unwrap();
            assert_eq!(read.classification.unwrap().number(), number);
        }
        assert!(SecurityClassification::from_number(257).is_none());
        assert!(SecurityClassification::SECRET < SecurityClassification::TOP_SECRET);
        assert_eq!(SecurityClassification::SECRET.basic_name(), Some("secret"));
        assert_eq!(SecurityClassification::from_number(10).unwrap().basic_name(), None);
    }

    #[test]
    fn malformed_labels_are_refused() {
        const POLICY: &[u8] = &[6, 3, 0x2A, 3, 4];
        let with = |parts: &[&[u8]]| SecurityLabel::from_der(&element(tag::SET, parts));
        assert_eq!(with(&[POLICY, b"\x13\x02ok"]).unwrap().privacy_mark.unwrap(), "ok");
        let category = |last: u8| element(tag::SEQUENCE, &[&[0x80, 1, 0x2A], &[0xA1, 3, 4, 1, last]]);
        let (one, two) = (category(1), category(2));
        assert_eq!(with(&[POLICY, &element(tag::SET, &[&one, &two])]).unwrap().categories.len(), 2);
        for parts in [
            &[][..],
            &[&[2, 1, 3][..]],
            &[POLICY, &[2, 1, 3]],
            &[&[2, 1, 0x80], POLICY],
            &[&[2, 2, 1, 1], POLICY],
            &[&[2, 2, 0, 3], POLICY],
            &[POLICY, b"\x13\x00"],
            &[POLICY, b"\x13\x02a_"],
            &[POLICY, b"\x0C\x01\xFF"],
            &[POLICY, &[0x13, 0x81, 0x81], &[b'a'; 129]],
            &[POLICY, &[0x31, 0]],
            &[POLICY, &element(tag::SET, &[&two, &one])],
            &[POLICY, &element(tag::SET, &[&[0x30, 3, 0x80, 1, 0x2A]])],
            &[POLICY, &element(tag::SET, &[&one.repeat(65)])],
            &[POLICY, POLICY],
        ] {
            assert_eq!(with(parts).unwrap_err().code(), "ess-attribute-malformed", "{parts:02X?}");
        }
    }
}
