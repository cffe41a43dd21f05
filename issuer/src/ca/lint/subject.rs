//! The subject: plain, bounded attributes, each once; no person on the certificate of the card itself.
use const_oid::ObjectIdentifier;
use const_oid::db::rfc3280::EMAIL_ADDRESS;
use const_oid::db::rfc4519;
use der::Tag;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::SubjectAltName;

use super::{CertificateRule, Sample};
use crate::ca::certificate::mail_text;
use crate::ca::profile::extension::PIV_CARD_AUTHENTICATION;
use crate::ca::profile::name::UPPER_BOUND;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "subject",
    clause: "RFC 5280 section 4.1.2.6 and appendix A.1, S/MIME BR 7.1.4.2.2, SP 800-73-5 Part 1",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let subject = &sample.tbs.subject;
    if subject.is_empty() && sample.is_authority() {
        messages.push("the name of a CA is empty".into());
    }
    let mut seen: Vec<ObjectIdentifier> = Vec::new();
    for relative in subject.iter_rdn() {
        if relative.len() != 1 {
            messages.push(format!("a relative distinguished name has {} attributes", relative.len()));
        }
        for attribute in relative.iter() {
            check_attribute(attribute, messages);
            if ONCE.contains(&attribute.oid) && seen.contains(&attribute.oid) {
                messages.push(format!("attribute {} is there twice", attribute.oid));
            }
            seen.push(attribute.oid);
        }
    }
    check_mail_address(sample, messages);
    let personal = [rfc4519::CN, rfc4519::SN, rfc4519::GIVEN_NAME];
    if sample.has_purpose(PIV_CARD_AUTHENTICATION)
        && !sample.is_authority()
        && seen.iter().any(|oid| personal.contains(oid))
    {
        messages.push("a certificate for card authentication names a person".into());
    }
}

/// A mail address in the subject is one that the alternative names say, too (emailAddress, PKCS #9).
fn check_mail_address(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let names =
        sample.extension::<SubjectAltName>().map(|(_, SubjectAltName(names))| names).unwrap_or_default();
    let is_named =
        |text: &str| names.iter().filter_map(mail_text).any(|address| address.eq_ignore_ascii_case(text));
    for attribute in sample.tbs.subject.iter_rdn().flat_map(|relative| relative.iter()) {
        let is_address = attribute.oid == EMAIL_ADDRESS;
        let text = std::str::from_utf8(attribute.value.value()).unwrap_or_default();
        if is_address && !is_named(text) {
            messages.push(format!("the mail address {text} is not among the alternative names"));
        }
    }
}

fn check_attribute(attribute: &AttributeTypeAndValue, messages: &mut Vec<String>) {
    let oid = attribute.oid;
    let tag = der::Tagged::tag(&attribute.value);
    // Domain components and mail addresses are IA5String (RFC 5280 section 4.1.2.4); the rest is a
    // DirectoryString.
    if !matches!(tag, Tag::Utf8String | Tag::PrintableString | Tag::Ia5String) {
        return messages.push(format!("attribute {oid} is neither a UTF8String nor a PrintableString"));
    }
    if oid == rfc4519::C && attribute.value.value().len() != 2 {
        messages.push("the country is not two letters".into());
    }
    let Ok(text) = std::str::from_utf8(attribute.value.value()) else {
        return messages.push(format!("attribute {oid} is not UTF-8"));
    };
    if text.trim().is_empty() || text.trim() != text {
        messages.push(format!("attribute {oid} is empty, or begins or ends with a space"));
    }
    if text.chars().any(char::is_control) {
        messages.push(format!("attribute {oid} holds a control character"));
    }
    if text.chars().any(is_invisible) {
        messages.push(format!(
            "attribute {oid} holds a character that nobody sees, or that turns the text around"
        ));
    }
    if text.chars().count() > UPPER_BOUND {
        messages.push(format!("attribute {oid} is longer than {UPPER_BOUND} characters"));
    }
}

/// Marks of direction, joiners and fillers (Unicode Standard Annex 9, and section 23.2).
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Those that say who it is.
const ONCE: [ObjectIdentifier; 6] =
    [rfc4519::C, rfc4519::O, rfc4519::CN, rfc4519::SN, rfc4519::GIVEN_NAME, rfc4519::SERIAL_NUMBER];

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, card_authentication, changed, messages, name};
    use super::*;
    use x509_cert::name::Name;

    fn named(text: &str) -> crate::ca::certificate::TbsCertificate {
        let subject = name(text);
        changed(|tbs| tbs.subject = subject)
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_two_attributes_in_one_relative_name() {
        assert_finding(&RULE, "has 2 attributes", &named("CN=Alice+SN=Example"));
    }

    #[test]
    fn bad_two_common_names() {
        assert_finding(&RULE, "there twice", &named("CN=Alice,CN=Bob"));
    }

    #[test]
    fn bad_long_name() {
        assert_finding(&RULE, "longer than 64", &named(&format!("CN={}", "a".repeat(65))));
    }

    #[test]
    fn bad_control_character() {
        assert_finding(&RULE, "control character", &named("CN=Before\\0dAfter"));
    }

    #[test]
    fn bad_text_that_is_turned_around() {
        assert_finding(&RULE, "turns the text around", &named("CN=Alice\u{202E}ecilA"));
    }

    #[test]
    fn bad_mail_address_of_somebody_else() {
        // IA5String "bob@example.org".
        let other = "1.2.840.113549.1.9.1=#160F626F62406578616D706C652E6F7267";
        assert_finding(&RULE, "not among the alternative names", &named(other));
        let own = "1.2.840.113549.1.9.1=#1611616C696365406578616D706C652E6F7267";
        let sample = named(own);
        assert_eq!(messages(&RULE, &Sample { tbs: &sample, outer_algorithm: None }), [""; 0]);
    }

    #[test]
    fn bad_padded_name() {
        assert_finding(&RULE, "with a space", &named("CN=Alice\\20"));
    }

    #[test]
    fn bad_bmp_string() {
        // UTF-16 BMPString "Al".
        assert_finding(&RULE, "neither a UTF8String", &named("2.5.4.3=#1E040041006C"));
    }

    #[test]
    fn bad_long_country() {
        assert_finding(&RULE, "not two letters", &named("2.5.4.6=#1303474252"));
    }

    #[test]
    fn bad_nameless_authority() {
        let mut root = super::super::samples::good(&crate::ca::Profile::Root);
        root.subject = Name::default();
        assert_finding(&RULE, "CA is empty", &root);
    }

    #[test]
    fn bad_person_on_card_authentication() {
        let mut tbs = card_authentication();
        tbs.subject = name("CN=Alice");
        assert_finding(&RULE, "names a person", &tbs);
    }
}
