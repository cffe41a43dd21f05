//! Purposes: named, and those apart that must not share a certificate.
use const_oid::ObjectIdentifier;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage};

use super::{CertificateRule, Sample};
use crate::ca::profile::extension::{
    ANY_POLICY, EMAIL_PROTECTION, PIV_CARD_AUTHENTICATION, SERVER_AUTHENTICATION, SMART_CARD_LOGON,
    TIME_STAMPING,
};

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "extended-key-usage",
    clause: "RFC 5280 section 4.2.1.12, S/MIME BR 7.1.2.3, FIPS 201-3 section 4.2.2.2",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let Some((critical, ExtendedKeyUsage(purposes))) = sample.extension::<ExtendedKeyUsage>() else {
        // Between authorities of one organisation, for whatever either of them certifies (S/MIME BR 7.1.2.2 g).
        if !sample.is_root() && !is_for_everything(sample) {
            messages.push("it is missing".into());
        }
        return;
    };
    if sample.is_root() {
        messages.push("a root is not bound to purposes".into());
    }
    if purposes.is_empty() || purposes.contains(&ANY_EXTENDED_KEY_USAGE) {
        messages.push("any purpose is as good as none: name them".into());
    }
    if purposes.contains(&EMAIL_PROTECTION) && purposes.contains(&SERVER_AUTHENTICATION) {
        messages.push("mail and servers under one issuer or key".into());
    }
    if sample.is_authority() {
        return;
    }
    if purposes.contains(&EMAIL_PROTECTION)
        && purposes.iter().any(|purpose| NOT_BESIDE_MAIL.contains(purpose))
    {
        messages.push("a certificate for mail with a purpose that must not stand beside it".into());
    }
    if purposes.contains(&PIV_CARD_AUTHENTICATION) && (!critical || purposes.len() != 1) {
        messages.push("card authentication must be critical and alone".into());
    }
}

/// A cross-certificate: a CA's that permits any policy and does not end the path with it.
fn is_for_everything(sample: &Sample<'_>) -> bool {
    let policies = sample.extension::<CertificatePolicies>().map(|(_, all)| all.0).unwrap_or_default();
    let ends = sample.extension::<BasicConstraints>().and_then(|(_, all)| all.path_len_constraint);
    let any = |policy: &PolicyInformation| policy.policy_identifier == ANY_POLICY;
    sample.is_authority() && ends.is_none() && policies.len() == 1 && policies.iter().all(any)
}

/// anyExtendedKeyUsage.
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// Smart-card logon, code signing, time stamping, OCSP signing.
const NOT_BESIDE_MAIL: [ObjectIdentifier; 4] = [
    SMART_CARD_LOGON,
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"),
    TIME_STAMPING,
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
];

#[cfg(test)]
mod tests {
    use super::super::samples::{
        assert_clean, assert_finding, card_authentication, changed, extension_mut, good, replace, without,
    };
    use super::*;
    use crate::ca::Profile;
    use crate::ca::certificate::TbsCertificate;
    use crate::ca::profile::extension::{Criticality, extension};

    fn with(purposes: &[ObjectIdentifier]) -> TbsCertificate {
        let purposes = ExtendedKeyUsage(purposes.to_vec());
        changed(|tbs| replace(tbs, &purposes))
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing() {
        assert_finding(&RULE, "missing", &without::<ExtendedKeyUsage>());
    }

    #[test]
    fn bad_any_purpose() {
        assert_finding(&RULE, "as good as none", &with(&[ANY_EXTENDED_KEY_USAGE]));
    }

    #[test]
    fn bad_mail_and_server() {
        assert_finding(&RULE, "mail and servers", &with(&[EMAIL_PROTECTION, SERVER_AUTHENTICATION]));
    }

    #[test]
    fn bad_mail_and_logon() {
        assert_finding(&RULE, "beside it", &with(&[EMAIL_PROTECTION, SMART_CARD_LOGON]));
    }

    #[test]
    fn bad_card_authentication_not_critical() {
        let mut card = card_authentication();
        extension_mut::<ExtendedKeyUsage>(&mut card).critical = false;
        assert_finding(&RULE, "critical and alone", &card);
    }

    #[test]
    fn bad_card_authentication_with_company() {
        let mut card = card_authentication();
        replace(&mut card, &ExtendedKeyUsage(vec![PIV_CARD_AUTHENTICATION, EMAIL_PROTECTION]));
        assert_finding(&RULE, "critical and alone", &card);
    }

    #[test]
    fn bad_root_with_purposes() {
        let mut root = good(&Profile::Root);
        let purposes = extension(Criticality::No, &ExtendedKeyUsage(vec![EMAIL_PROTECTION])).unwrap();
        root.extensions.as_mut().unwrap().push(purposes);
        assert_finding(&RULE, "not bound", &root);
    }
}
