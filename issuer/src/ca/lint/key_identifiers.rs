//! Key identifiers: by them chains are built, and our published files are named.
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};

use super::{CertificateRule, Sample};
use crate::ca::certificate::key_identifier;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "key-identifiers",
    clause: "RFC 5280 sections 4.2.1.1 and 4.2.1.2, S/MIME BR 7.1.2.3",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let subject = sample.required_extension::<SubjectKeyIdentifier>("subjectKeyIdentifier", messages);
    if subject.is_some_and(|identifier| identifier.0 != key_identifier(&sample.tbs.subject_public_key_info)) {
        messages.push("subjectKeyIdentifier is not the SHA-1 of the key".into());
    }
    let Some(authority) =
        sample.required_below_root::<AuthorityKeyIdentifier>("authorityKeyIdentifier", messages)
    else {
        return;
    };
    if authority.key_identifier.is_none() {
        messages.push("authorityKeyIdentifier has no keyIdentifier".into());
    }
    if authority.authority_cert_issuer.is_some() || authority.authority_cert_serial_number.is_some() {
        messages.push("authorityKeyIdentifier names the issuer's certificate, not only its key".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, extension_mut, without};
    use super::*;
    use crate::ca::certificate::TbsCertificate;
    use der::Encode;
    use der::asn1::OctetString;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_without_subject_key_identifier() {
        assert_finding(&RULE, "no subjectKeyIdentifier", &without::<SubjectKeyIdentifier>());
    }

    #[test]
    fn bad_without_authority_key_identifier() {
        assert_finding(&RULE, "no authorityKeyIdentifier", &without::<AuthorityKeyIdentifier>());
    }

    #[test]
    fn bad_critical() {
        let critical = changed(|tbs| extension_mut::<SubjectKeyIdentifier>(tbs).critical = true);
        assert_finding(&RULE, "subjectKeyIdentifier is critical", &critical);
        let critical = changed(|tbs| extension_mut::<AuthorityKeyIdentifier>(tbs).critical = true);
        assert_finding(&RULE, "authorityKeyIdentifier is critical", &critical);
    }

    #[test]
    fn bad_identifier_of_another_key() {
        let other = OctetString::new(vec![0x04, 0x02, 1, 2]).unwrap();
        let sample = changed(|tbs| extension_mut::<SubjectKeyIdentifier>(tbs).extn_value = other);
        assert_finding(&RULE, "SHA-1 of the key", &sample);
    }

    #[test]
    fn bad_issuer_and_serial_number() {
        let name_issuer = |tbs: &mut TbsCertificate| {
            let identifier = AuthorityKeyIdentifier {
                key_identifier: None,
                authority_cert_issuer: Some(Vec::new()),
                authority_cert_serial_number: None,
            };
            let encoded = OctetString::new(identifier.to_der().unwrap()).unwrap();
            extension_mut::<AuthorityKeyIdentifier>(tbs).extn_value = encoded;
        };
        assert_finding(&RULE, "no keyIdentifier", &changed(name_issuer));
        assert_finding(&RULE, "issuer's certificate", &changed(name_issuer));
    }
}
