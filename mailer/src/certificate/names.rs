//! Distinguished names: compared as RFC 5280 section 7.1 says, shown in words.
use const_oid::ObjectIdentifier;
use der::asn1::Any;
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{Name, RelativeDistinguishedName};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// PKCS #9 emailAddress, the old place of a mail address.
pub(crate) const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// Whether two names are the same: same attributes in the same order, texts without regard to case and spacing.
pub(crate) fn same_name(left: &Name, right: &Name) -> bool {
    left.len() == right.len() && starts_with(left, right)
}

/// Whether `name` lies in the subtree of `base`: the relative names of `base` are its first ones.
pub(crate) fn starts_with(name: &Name, base: &Name) -> bool {
    let mut relative = name.iter_rdn();
    base.iter_rdn().all(|wanted| relative.next().is_some_and(|found| same_relative_name(found, wanted)))
}

fn same_relative_name(left: &RelativeDistinguishedName, right: &RelativeDistinguishedName) -> bool {
    left.len() == right.len() && left.iter().all(|one| right.iter().any(|other| same_attribute(one, other)))
}

fn same_attribute(left: &AttributeTypeAndValue, right: &AttributeTypeAndValue) -> bool {
    if left.oid != right.oid {
        return false;
    }
    match (text(&left.value), text(&right.value)) {
        (Some(one), Some(other)) => folded(&one) == folded(&other),
        _ => left.value == right.value,
    }
}

/// Case folded, outer spaces removed, inner runs of spaces as one.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
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
    }

    #[test]
    fn a_name_from_a_stranger_cannot_steer_the_terminal() {
        assert_eq!(printable("A\u{1b}[2Jlice\u{202E}"), "A\u{FFFD}[2Jlice\u{FFFD}");
        assert_eq!(printable(&"ä".repeat(201)), "ä".repeat(200) + "…");
    }
}
