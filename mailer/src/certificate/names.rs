//! Distinguished names: compared as RFC 5280 section 7.1 says, shown in words.
use const_oid::ObjectIdentifier;
use der::asn1::Any;
use der::{Encode, Tag, Tagged};
use unicode_normalization::UnicodeNormalization;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

use super::tlv::{Element, element, tag};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// PKCS #9 emailAddress, the old place of a mail address.
pub(crate) const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// A name in the form in which names are compared: two names are the same when their canonical forms are equal.
///
/// Attributes in the same order; texts by their characters, whatever string type holds them, without regard to case and
/// to spacing (LDAP string preparation, RFC 4518 section 2). Within one relative name the order does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CanonicalName(Vec<Vec<u8>>);

impl CanonicalName {
    /// The canonical form of a name.
    pub(crate) fn of(name: &Name) -> Self {
        Self(name.iter_rdn().map(canonical_relative_name).collect())
    }

    /// Whether it lies in the subtree of `base`: the relative names of `base` are its first ones.
    pub(crate) fn is_below(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

/// Whether two names are the same: same attributes in the same order, texts without regard to case and spacing.
pub(crate) fn same_name(left: &Name, right: &Name) -> bool {
    left == right || CanonicalName::of(left) == CanonicalName::of(right)
}

fn canonical_relative_name(name: &RelativeDistinguishedName) -> Vec<u8> {
    let mut attributes: Vec<Vec<u8>> = name.iter().map(canonical_attribute).collect();
    attributes.sort();
    attributes.dedup();
    attributes.concat()
}

fn canonical_attribute(attribute: &AttributeTypeAndValue) -> Vec<u8> {
    let value = match text(&attribute.value) {
        Some(text) => element(tag::UTF8_STRING, &[prepared(&text).as_bytes()]),
        None => attribute.value.to_der().unwrap_or_default(),
    };
    element(tag::SEQUENCE, &[attribute.oid.as_bytes(), &value])
}

/// RFC 4518 section 2: characters mapped, case folded, compatibility forms unified, insignificant spaces removed.
fn prepared(text: &str) -> String {
    let folded: String = if text.is_ascii() {
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
    } else {
        let fold = |character: char| character.to_uppercase().flat_map(char::to_lowercase);
        text.nfkc().filter_map(mapped).flat_map(fold).nfkc().collect()
    };
    folded.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// RFC 4518 section 2.2: what stands for a space, and what stands for nothing.
fn mapped(character: char) -> Option<char> {
    match character {
        '\u{AD}'
        | '\u{34F}'
        | '\u{1806}'
        | '\u{180B}'..='\u{180E}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFFC}' => None,
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => None,
        '\t'..='\r' | '\u{85}' => Some(' '),
        control if control.is_control() => None,
        other => Some(other),
    }
}

/// The text of a string value; `None` for what is no string.
fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| (unit << 8) | u16::from(*byte)))
                .collect();
            String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
        }
        _ => None,
    }
}

/// The text of a UTF8String as it is encoded.
pub(crate) fn utf8_string(der: &[u8]) -> Option<String> {
    let contents = Element::only(der, tag::UTF8_STRING).ok()?.contents;
    String::from_utf8(contents.to_vec()).ok()
}

/// The texts of all attributes of one type.
pub(crate) fn attribute_texts(name: &Name, attribute: ObjectIdentifier) -> Vec<String> {
    name.iter().filter(|found| found.oid == attribute).filter_map(|found| text(&found.value)).collect()
}

/// A name for people: the common name, or else the whole name.
pub(crate) fn in_words(name: &Name) -> String {
    let common_name = attribute_texts(name, COMMON_NAME).pop();
    printable(&common_name.unwrap_or_else(|| name.to_string()))
}

/// Text from a stranger made safe for a terminal, and not endless: only to be shown, never to be compared.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => harmless(text.get(..end).unwrap_or_default()) + "…",
        None => harmless(text),
    }
}

/// Text from a stranger made safe for a terminal: no control characters, no direction overrides.
pub(crate) fn harmless(text: &str) -> String {
    let replace = |character: char| {
        let overrides = matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
        if character.is_control() || overrides { '\u{FFFD}' } else { character }
    };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn case_and_spacing_do_not_matter_but_order_does() {
        let name = |text| Name::from_str(text).unwrap();
        assert!(same_name(&name("CN=Alice  Example,O=Mail"), &name("CN=alice example,O=MAIL")));
        assert!(!same_name(&name("CN=Alice,O=Mail"), &name("O=Mail,CN=Alice")));
        assert!(!same_name(&name("CN=Alice,O=Mail"), &name("CN=Alice")));
        assert!(!same_name(&name("CN=Alice,O=Mail"), &name("CN=Alice,O=Mails")));
        assert!(!same_name(&name("CN=Alice,O=Mail"), &name("CN=AliceO=Mail")));
        assert!(same_name(&name("CN=Alice+O=Mail"), &name("O=mail+CN=alice")));
    }

    #[test]
    fn subtrees_are_counted_from_the_top() {
        let canonical = |text| CanonicalName::of(&Name::from_str(text).unwrap());
        // RFC 4514 writes the top last.
        assert!(canonical("CN=Alice,O=Mail,C=DE").is_below(&canonical("O=mail,C=de")));
        assert!(!canonical("O=Mail,C=DE").is_below(&canonical("CN=Alice,O=Mail,C=DE")));
        assert!(!canonical("CN=Alice,O=Mail,C=DE").is_below(&canonical("CN=Alice")));
    }

    #[test]
    fn texts_are_prepared_before_they_are_compared() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("e\u{301}", "\u{C9}"),
            ("\u{FB01}nal", "Final"),
            ("a\u{A0}\u{2003} b", " A b "),
            ("soft\u{AD}hyphen", "softhyphen"),
        ] {
            assert_eq!(prepared(one), prepared(other), "{one}");
        }
        assert_ne!(prepared("ab"), prepared("a b"));
        assert_ne!(prepared("a"), prepared("\u{E0}"));
    }

    #[test]
    fn a_name_from_a_stranger_cannot_steer_the_terminal() {
        assert_eq!(printable("A\u{1b}[2Jlice\u{202E}"), "A\u{FFFD}[2Jlice\u{FFFD}");
        assert_eq!(printable(&"ä".repeat(201)), "ä".repeat(200) + "…");
    }
}
