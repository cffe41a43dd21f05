//! Key usage: there, critical, what the kind of key can do, and signing apart from encryption.
use der::flagset::FlagSet;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use super::{CertificateRule, Sample};
use crate::ca::algorithm::KeyKind;
use crate::ca::profile::extension::{PIV_CARD_AUTHENTICATION, SERVER_AUTHENTICATION};

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "key-usage",
    clause: "RFC 5280 section 4.2.1.3, RFC 8813, S/MIME BR 7.1.2.3",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let Some((critical, KeyUsage(usage))) = sample.extension::<KeyUsage>() else {
        return messages.push("it is missing".into());
    };
    if !critical {
        messages.push("it is not critical".into());
    }
    if usage.is_empty() {
        return messages.push("no usage is set".into());
    }
    let authority = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    if sample.is_authority() {
        if !usage.contains(KeyUsages::KeyCertSign) || !usage.contains(KeyUsages::CRLSign) {
            messages.push("a CA without keyCertSign and cRLSign".into());
        }
        return;
    }
    if !(usage & authority).is_empty() {
        messages.push("keyCertSign or cRLSign without being a CA".into());
    }
    check_leaf(sample, usage - authority, messages);
}

fn check_leaf(sample: &Sample<'_>, usage: FlagSet<KeyUsages>, messages: &mut Vec<String>) {
    let signing = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation;
    let management = match KeyKind::of(&sample.tbs.subject_public_key_info) {
        Ok(KeyKind::Rsa) => KeyUsages::KeyEncipherment | KeyUsages::DataEncipherment,
        Ok(KeyKind::P256 | KeyKind::P384) => {
            KeyUsages::KeyAgreement | KeyUsages::EncipherOnly | KeyUsages::DecipherOnly
        }
        Err(_) => return,
    };
    if !(usage - (signing | management)).is_empty() {
        messages.push("a usage that this kind of key cannot have".into());
    }
    let mixed = !(usage & signing).is_empty() && !(usage & management).is_empty();
    if mixed && !sample.has_purpose(SERVER_AUTHENTICATION) {
        messages.push("signing and encryption in one certificate".into());
    }
    if sample.has_purpose(PIV_CARD_AUTHENTICATION) && usage != FlagSet::from(KeyUsages::DigitalSignature) {
        messages.push("a card authentication key is for digitalSignature alone".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        assert_clean, assert_finding, card_authentication, changed, extension_mut, good, replace, without,
    };
    use super::*;
    use crate::ca::Profile;
    use crate::ca::certificate::TbsCertificate;

    fn with(usages: impl Into<FlagSet<KeyUsages>>) -> TbsCertificate {
        let usage = KeyUsage(usages.into());
        changed(|tbs| replace(tbs, &usage))
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing() {
        assert_finding(&RULE, "missing", &without::<KeyUsage>());
    }

    #[test]
    fn bad_not_critical() {
        assert_finding(
            &RULE,
            "not critical",
            &changed(|tbs| extension_mut::<KeyUsage>(tbs).critical = false),
        );
    }

    #[test]
    fn bad_empty() {
        assert_finding(&RULE, "no usage", &with(FlagSet::<KeyUsages>::default()));
    }

    #[test]
    fn bad_leaf_that_certifies() {
        assert_finding(
            &RULE,
            "without being a CA",
            &with(KeyUsages::DigitalSignature | KeyUsages::KeyCertSign),
        );
    }

    #[test]
    fn bad_authority_that_cannot_sign_a_crl() {
        let mut root = good(&Profile::Root);
        replace(&mut root, &KeyUsage(KeyUsages::KeyCertSign.into()));
        assert_finding(&RULE, "without keyCertSign and cRLSign", &root);
    }

    #[test]
    fn bad_elliptic_curve_key_that_enciphers() {
        // RFC 8813 section 3.
        assert_finding(&RULE, "cannot have", &with(KeyUsages::KeyEncipherment));
    }

    #[test]
    fn bad_signing_and_agreement_together() {
        assert_finding(
            &RULE,
            "in one certificate",
            &with(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement),
        );
    }

    #[test]
    fn bad_non_repudiation_on_card_authentication() {
        let mut tbs = card_authentication();
        replace(&mut tbs, &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::NonRepudiation));
        assert_finding(&RULE, "digitalSignature alone", &tbs);
    }
}
