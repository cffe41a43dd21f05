//! Alternative names: those that the purpose needs, and each in its proper form.
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use super::{CertificateRule, Sample};
use crate::ca::certificate::{ID_ON_SMTP_UTF8_MAILBOX, mail_text};
use crate::ca::mail_address::{MailAddress, ascii_domain};
use crate::ca::profile::extension::{EMAIL_PROTECTION, PIV_CARD_AUTHENTICATION, SERVER_AUTHENTICATION};

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "subject-alternative-name",
    clause: "RFC 5280 section 4.2.1.6, RFC 9598, S/MIME BR 7.1.4.2.1, SP 800-73-5 Part 1 section 3.4.1",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    if sample.is_authority() {
        return;
    }
    let Some((critical, SubjectAltName(names))) = sample.extension::<SubjectAltName>() else {
        if sample.has_purpose(EMAIL_PROTECTION) || sample.has_purpose(SERVER_AUTHENTICATION) {
            messages.push("it is missing".into());
        } else if sample.tbs.subject.is_empty() {
            messages.push("it is missing, and the subject is empty".into());
        }
        return;
    };
    if critical != sample.tbs.subject.is_empty() {
        messages.push("it must be critical exactly when the subject is empty".into());
    }
    if names.is_empty() {
        messages.push("it is empty".into());
    }
    for name in &names {
        check_name(name, messages);
    }
    let has_mail = names.iter().any(|name| mail_text(name).is_some());
    let is_server = |name: &GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
    if sample.has_purpose(EMAIL_PROTECTION) && !has_mail {
        messages.push("a certificate for mail without a mail address".into());
    }
    if sample.has_purpose(SERVER_AUTHENTICATION) && !names.iter().any(is_server) {
        messages.push("a server's certificate without DNS name or IP address".into());
    }
    if sample.has_purpose(PIV_CARD_AUTHENTICATION) && (has_mail || !names.iter().any(is_card_uuid)) {
        messages.push("a card's alternative name is its UUID, and no mail address".into());
    }
}

fn check_name(name: &GeneralName, messages: &mut Vec<String>) {
    match name {
        GeneralName::Rfc822Name(text) if !is_ascii_mailbox(text.as_str()) => {
            messages.push(format!("rfc822Name {text} is not an ASCII mail address with an A-label domain"));
        }
        GeneralName::OtherName(other) if other.type_id == ID_ON_SMTP_UTF8_MAILBOX => {
            check_mailbox(other, messages)
        }
        GeneralName::DnsName(text) if ascii_domain(text.as_str()).as_deref() != Some(text.as_str()) => {
            messages.push(format!("dNSName {text} is not a lower-case domain name of A-labels"));
        }
        GeneralName::IpAddress(octets) if !matches!(octets.as_bytes().len(), 4 | 16) => {
            messages.push("an iPAddress has neither 4 nor 16 octets".into());
        }
        GeneralName::UniformResourceIdentifier(text) if !text.as_str().contains(':') => {
            messages.push(format!("the URI {text} has no scheme"));
        }
        _ => (),
    }
}

fn is_ascii_mailbox(text: &str) -> bool {
    text.parse::<MailAddress>().is_ok_and(|address| address.to_string() == text && text.is_ascii())
}

/// RFC 9598 section 3: only for a local part that rfc822Name cannot hold; the domain as A-labels.
fn check_mailbox(name: &OtherName, messages: &mut Vec<String>) {
    let address = name.value.decode_as::<String>().ok().and_then(|text| {
        let address: MailAddress = text.parse().ok()?;
        (address.to_string() == text).then_some(address)
    });
    match address {
        None => messages.push("SmtpUTF8Mailbox is not a mail address with an A-label domain".into()),
        Some(address) if !address.is_internationalized() => {
            messages.push("SmtpUTF8Mailbox holds an address that rfc822Name can hold".into());
        }
        Some(_) => (),
    }
}

fn is_card_uuid(name: &GeneralName) -> bool {
    let GeneralName::UniformResourceIdentifier(text) = name else { return false };
    text.as_str().strip_prefix("urn:uuid:").is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(index, octet)| match index {
                8 | 13 | 18 | 23 => octet == b'-',
                _ => octet.is_ascii_hexdigit(),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        assert_clean, assert_finding, card_authentication, changed, extension_mut, good, mail_server,
        messages, replace, without,
    };
    use super::*;
    use crate::ca::certificate::TbsCertificate;
    use const_oid::AssociatedOid;
    use der::asn1::{Any, Ia5String, OctetString, Utf8StringRef};
    use x509_cert::name::Name;

    fn with(names: Vec<GeneralName>) -> TbsCertificate {
        let names = SubjectAltName(names);
        changed(|tbs| replace(tbs, &names))
    }

    fn mail(text: &str) -> GeneralName {
        GeneralName::Rfc822Name(Ia5String::new(text).unwrap())
    }

    fn mailbox(text: &str) -> GeneralName {
        let value = Any::encode_from(&Utf8StringRef::new(text).unwrap()).unwrap();
        GeneralName::OtherName(OtherName { type_id: ID_ON_SMTP_UTF8_MAILBOX, value })
    }

    fn dns(text: &str) -> GeneralName {
        GeneralName::DnsName(Ia5String::new(text).unwrap())
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing_or_empty() {
        assert_finding(&RULE, "missing", &without::<SubjectAltName>());
        assert_finding(&RULE, "without a mail address", &with(vec![dns("mail.example.org")]));
    }

    #[test]
    fn good_card_without_piv_extensions_bad_without_any_name() {
        let mut card = card_authentication();
        card.extensions.as_mut().unwrap().retain(|extension| extension.extn_id != SubjectAltName::OID);
        assert_eq!(messages(&RULE, &Sample { tbs: &card, outer_algorithm: None }), [""; 0]);
        card.subject = Name::default();
        assert_finding(&RULE, "the subject is empty", &card);
    }

    #[test]
    fn bad_critical_beside_a_subject() {
        let critical = changed(|tbs| extension_mut::<SubjectAltName>(tbs).critical = true);
        assert_finding(&RULE, "exactly when", &critical);
    }

    #[test]
    fn bad_mail_addresses() {
        for text in ["alice", "alice@EXAMPLE.org", "a..b@example.org", "alice@example"] {
            assert_finding(&RULE, "not an ASCII mail address", &with(vec![mail(text)]));
        }
    }

    #[test]
    fn bad_smtp_utf8_mailbox_with_an_ascii_local_part() {
        assert_finding(&RULE, "rfc822Name can hold", &with(vec![mailbox("alice@example.org")]));
    }

    #[test]
    fn bad_smtp_utf8_mailbox_with_a_u_label_domain() {
        assert_finding(&RULE, "A-label", &with(vec![mailbox("jürgen@bücher.example")]));
    }

    #[test]
    fn bad_dns_names() {
        for text in ["Mail.example.org", "*.example.org", "mail.example.org.", "192.0.2.1"] {
            assert_finding(&RULE, "not a lower-case domain", &with(vec![dns(text)]));
        }
    }

    #[test]
    fn bad_ip_address() {
        let short = GeneralName::IpAddress(OctetString::new(vec![127, 0, 0]).unwrap());
        assert_finding(&RULE, "neither 4 nor 16", &with(vec![short]));
    }

    #[test]
    fn bad_uri_without_scheme() {
        let uri = GeneralName::UniformResourceIdentifier(Ia5String::new("example.org").unwrap());
        assert_finding(&RULE, "no scheme", &with(vec![uri]));
    }

    #[test]
    fn bad_server_without_a_name() {
        let mut server = good(&mail_server());
        replace(&mut server, &SubjectAltName(vec![mail("postmaster@example.org")]));
        assert_finding(&RULE, "without DNS name", &server);
    }

    #[test]
    fn bad_mail_address_on_a_card() {
        let mut card = card_authentication();
        replace(&mut card, &SubjectAltName(vec![mail("alice@example.org")]));
        assert_finding(&RULE, "UUID, and no mail", &card);
    }
}
