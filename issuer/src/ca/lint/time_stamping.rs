//! Time stamping: a purpose of its own, and a key that does nothing else.
use super::{CertificateRule, Sample};
use crate::ca::profile::extension::TIME_STAMPING;

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "time-stamping", clause: "RFC 3161 section 2.3", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    if sample.is_authority() || !sample.has_purpose(TIME_STAMPING) {
        return;
    }
    if !sample.purpose_is_critical_and_alone() {
        messages.push("time stamping must be critical and alone".into());
    }
    if !sample.only_signs() {
        messages.push("a time-stamping key is for digitalSignature and nonRepudiation alone".into());
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
        let mut tbs = good(&Profile::TimeStamping);
        extension_mut::<ExtendedKeyUsage>(&mut tbs).critical = false;
        assert_finding(&RULE, "critical and alone", &tbs);
    }

    #[test]
    fn bad_with_company() {
        let mut tbs = good(&Profile::TimeStamping);
        replace(&mut tbs, &ExtendedKeyUsage(vec![TIME_STAMPING, CLIENT_AUTHENTICATION]));
        assert_finding(&RULE, "critical and alone", &tbs);
    }

    #[test]
    fn bad_key_that_agrees() {
        let mut tbs = good(&Profile::TimeStamping);
        replace(&mut tbs, &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement));
        assert_finding(&RULE, "nonRepudiation alone", &tbs);
    }

    #[test]
    fn bad_key_that_signs_nothing() {
        let mut tbs = good(&Profile::TimeStamping);
        replace(&mut tbs, &KeyUsage(KeyUsages::KeyAgreement.into()));
        assert_finding(&RULE, "nonRepudiation alone", &tbs);
    }
}
