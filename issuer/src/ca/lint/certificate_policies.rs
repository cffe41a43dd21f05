//! Certificate policies: named, each once, never any-policy on a leaf, and one reserved mail policy at most.
use const_oid::ObjectIdentifier;
use x509_cert::ext::pkix::CertificatePolicies;

use super::{CertificateRule, Sample};
use crate::ca::profile::extension::EMAIL_PROTECTION;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "certificate-policies",
    clause: "RFC 5280 section 4.2.1.4, S/MIME BR 7.1.2.3 and 7.1.6.1",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let Some(policies) = sample.required_below_root::<CertificatePolicies>("certificatePolicies", messages)
    else {
        return;
    };
    let mut seen: Vec<ObjectIdentifier> = Vec::new();
    for policy in policies.0.iter().map(|policy| policy.policy_identifier) {
        if seen.contains(&policy) {
            messages.push(format!("policy {policy} is there twice"));
        }
        seen.push(policy);
    }
    if sample.is_authority() {
        return;
    }
    if seen.contains(&ANY_POLICY) {
        messages.push("anyPolicy in the certificate of an end entity".into());
    }
    let reserved =
        seen.iter().filter(|policy| SMIME_BASELINE.iter().any(|arc| is_below(**policy, *arc))).count();
    if reserved > 1 {
        messages.push("more than one reserved policy of the S/MIME Baseline Requirements".into());
    }
    if reserved > 0 && !sample.has_purpose(EMAIL_PROTECTION) {
        messages.push("a reserved policy for mail without emailProtection".into());
    }
}

fn is_below(policy: ObjectIdentifier, arc: ObjectIdentifier) -> bool {
    policy.parent().and_then(|parent| parent.parent()) == Some(arc)
}

/// anyPolicy.
const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");
/// Arc of the reserved policies, two above each.
const SMIME_BASELINE: [ObjectIdentifier; 1] = [ObjectIdentifier::new_unwrap("2.23.140.1.5")];

#[cfg(test)]
mod tests {
    use super::super::samples::{
        assert_clean, assert_finding, changed, extension_mut, good, replace, without,
    };
    use super::*;
    use crate::ca::certificate::TbsCertificate;
    use x509_cert::ext::pkix::certpolicy::PolicyInformation;

    fn policies(oids: &[&str]) -> CertificatePolicies {
        let policy = |oid: &&str| PolicyInformation {
            policy_identifier: ObjectIdentifier::new(oid).unwrap(),
            policy_qualifiers: None,
        };
        CertificatePolicies(oids.iter().map(policy).collect())
    }

    fn with(oids: &[&str]) -> TbsCertificate {
        let policies = policies(oids);
        changed(|tbs| replace(tbs, &policies))
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing() {
        assert_finding(&RULE, "there is no certificatePolicies", &without::<CertificatePolicies>());
    }

    #[test]
    fn bad_critical() {
        assert_finding(
            &RULE,
            "critical",
            &changed(|tbs| extension_mut::<CertificatePolicies>(tbs).critical = true),
        );
    }

    #[test]
    fn bad_any_policy() {
        assert_finding(&RULE, "anyPolicy", &with(&["2.5.29.32.0"]));
    }

    #[test]
    fn bad_twice() {
        assert_finding(&RULE, "there twice", &with(&["1.3.6.1.4.1.32473.1.1", "1.3.6.1.4.1.32473.1.1"]));
    }

    #[test]
    fn bad_two_reserved_policies() {
        assert_finding(&RULE, "more than one reserved", &with(&["2.23.140.1.5.4.2", "2.23.140.1.5.3.2"]));
    }

    #[test]
    fn bad_reserved_policy_on_a_server() {
        let mut server = good(&super::super::samples::mail_server());
        replace(&mut server, &policies(&["2.23.140.1.5.4.2"]));
        assert_finding(&RULE, "without emailProtection", &server);
    }
}
