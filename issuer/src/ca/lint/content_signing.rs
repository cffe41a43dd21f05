//! Signing what is written on cards: a purpose of its own, and a key that does nothing else.
use super::{CertificateRule, Sample};
use crate::ca::profile::extension::PIV_CONTENT_SIGNING;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "content-signing",
    clause: "FIPS 201-3 section 4.2.1, SP 800-73-5 Part 1 section 3.1.2.1",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    if sample.is_authority() || !sample.has_purpose(PIV_CONTENT_SIGNING) {
        return;
    }
    if !sample.purpose_is_critical_and_alone() {
        messages.push("content signing must be critical and alone".into());
    }
    if !sample.only_signs() {
        messages.push("a content-signing key is for digitalSignature and nonRepudiation alone".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, extension_mut, good, replace};
    use super::*;
    use crate::ca::Profile;
    use crate::ca::profile::extension::CLIENT_AUTHENTICATION;
    use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_not_critical() {
        let mut tbs = good(&Profile::ContentSigning);
        extension_mut::<ExtendedKeyUsage>(&mut tbs).critical = false;
        assert_finding(&RULE, "critical and alone", &tbs);
    }

    #[test]
    fn bad_with_company() {
        let mut tbs = good(&Profile::ContentSigning);
        replace(&mut tbs, &ExtendedKeyUsage(vec![PIV_CONTENT_SIGNING, CLIENT_AUTHENTICATION]));
        assert_finding(&RULE, "critical and alone", &tbs);
    }

    #[test]
    fn bad_key_that_enciphers() {
        let mut tbs = good(&Profile::ContentSigning);
        replace(&mut tbs, &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment));
        assert_finding(&RULE, "nonRepudiation alone", &tbs);
    }
}
