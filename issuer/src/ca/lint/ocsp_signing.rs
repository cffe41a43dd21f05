//! OCSP signing: a key that signs answers and nothing else, and ends soon because nobody checks it.
use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::Null;

use super::{CertificateRule, Sample};
use crate::ca::certificate::timestamp;
use crate::ca::profile::extension::{ID_PKIX_OCSP_NOCHECK, OCSP_SIGNING};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "ocsp-signing", clause: "RFC 6960 section 4.2.2.2, S/MIME BR 4.9.9", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let no_check = sample.tbs.extensions().iter().find(|extension| extension.extn_id == ID_PKIX_OCSP_NOCHECK);
    if !sample.has_purpose(OCSP_SIGNING) {
        if no_check.is_some() {
            messages.push("id-pkix-ocsp-nocheck without the purpose OCSP signing".into());
        }
        return;
    }
    if sample.is_authority() {
        return messages.push("a CA that could answer for the authority above it".into());
    }
    if sample.purposes() != [OCSP_SIGNING] as [ObjectIdentifier; 1] {
        messages.push("an OCSP responder's key with another purpose".into());
    }
    if !sample.only_signs() {
        messages.push("an OCSP responder's key is for signatures alone".into());
    }
    let Some(no_check) = no_check else {
        return messages.push("there is no id-pkix-ocsp-nocheck".into());
    };
    if no_check.critical || Null::from_der(no_check.extn_value.as_bytes()).is_err() {
        messages.push("id-pkix-ocsp-nocheck is critical or not NULL".into());
    }
    let validity = sample.tbs.validity;
    let seconds = timestamp(validity.not_after).as_second() - timestamp(validity.not_before).as_second();
    if seconds > LONGEST_DAYS * 86_400 {
        messages.push(format!(
            "nobody checks whether it is revoked, and yet it is valid for more than {LONGEST_DAYS} days"
        ));
    }
}

/// Nobody notices the misuse of such a key before it ends.
const LONGEST_DAYS: i64 = 90;

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, good, replace};
    use super::*;
    use crate::ca::Profile;
    use crate::ca::certificate::{TbsCertificate, time};
    use crate::ca::profile::extension::{Criticality, EMAIL_PROTECTION, extension, ocsp_no_check};
    use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

    fn changed_responder(change: impl FnOnce(&mut TbsCertificate)) -> TbsCertificate {
        let mut tbs = good(&Profile::OcspResponder);
        change(&mut tbs);
        tbs
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_no_check_on_a_persons_certificate() {
        let sample = changed(|tbs| tbs.extensions.as_mut().unwrap().push(ocsp_no_check().unwrap()));
        assert_finding(&RULE, "without the purpose", &sample);
    }

    #[test]
    fn bad_two_purposes() {
        let purposes = ExtendedKeyUsage(vec![OCSP_SIGNING, EMAIL_PROTECTION]);
        assert_finding(&RULE, "another purpose", &changed_responder(|tbs| replace(tbs, &purposes)));
    }

    #[test]
    fn bad_authority_that_answers() {
        let ca = BasicConstraints { ca: true, path_len_constraint: None };
        let ca = extension(Criticality::Yes, &ca).unwrap();
        let sample = changed_responder(|tbs| tbs.extensions.as_mut().unwrap().push(ca));
        assert_finding(&RULE, "above it", &sample);
    }

    #[test]
    fn bad_key_that_agrees() {
        let usage = KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement);
        assert_finding(&RULE, "signatures alone", &changed_responder(|tbs| replace(tbs, &usage)));
    }

    #[test]
    fn bad_without_no_check_and_critical() {
        let drop = |tbs: &mut TbsCertificate| {
            tbs.extensions.as_mut().unwrap().retain(|one| one.extn_id != ID_PKIX_OCSP_NOCHECK);
        };
        assert_finding(&RULE, "there is no id-pkix-ocsp-nocheck", &changed_responder(drop));
        let critical = |tbs: &mut TbsCertificate| {
            for one in tbs.extensions.as_mut().unwrap() {
                one.critical = one.extn_id == ID_PKIX_OCSP_NOCHECK;
            }
        };
        assert_finding(&RULE, "critical or not NULL", &changed_responder(critical));
    }

    #[test]
    fn bad_for_a_year() {
        let longer = |tbs: &mut TbsCertificate| {
            let begin = timestamp(tbs.validity.not_before);
            tbs.validity.not_after = time(begin + jiff::SignedDuration::from_hours(24 * 365)).unwrap();
        };
        assert_finding(&RULE, "more than 90 days", &changed_responder(longer));
    }
}
