//! What an authority says of those below it: only an authority says it, and so that nobody can overlook it.
use const_oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::ext::pkix::{InhibitAnyPolicy, NameConstraints, PolicyConstraints, PolicyMappings};

use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "constraints",
    clause: "RFC 5280 sections 4.2.1.5, 4.2.1.10, 4.2.1.11 and 4.2.1.14",
    check,
};

/// Each with its name, and whether it must be critical.
const CONSTRAINTS: [(ObjectIdentifier, &str, bool); 4] = [
    (PolicyMappings::OID, "policyMappings", false),
    (NameConstraints::OID, "nameConstraints", true),
    (PolicyConstraints::OID, "policyConstraints", true),
    (InhibitAnyPolicy::OID, "inhibitAnyPolicy", true),
];

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    for extension in sample.tbs.extensions() {
        let known = CONSTRAINTS.iter().find(|(oid, ..)| *oid == extension.extn_id);
        let Some((_, name, must_be_critical)) = known else { continue };
        if !sample.is_authority() {
            messages.push(format!("{name} is in a certificate that is not an authority's"));
        }
        if *must_be_critical && !extension.critical {
            messages.push(format!("{name} is not critical"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, good};
    use super::*;
    use crate::ca::Profile;
    use der::asn1::OctetString;
    use x509_cert::ext::Extension;

    /// INTEGER 0.
    fn inhibit_any_policy(critical: bool) -> Extension {
        let extn_value = OctetString::new(vec![2, 1, 0]).unwrap();
        Extension { extn_id: InhibitAnyPolicy::OID, critical, extn_value }
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_in_a_persons_certificate() {
        let sample = changed(|tbs| tbs.extensions.as_mut().unwrap().push(inhibit_any_policy(true)));
        assert_finding(&RULE, "not an authority's", &sample);
    }

    #[test]
    fn bad_not_critical() {
        let mut root = good(&Profile::Root);
        root.extensions.as_mut().unwrap().push(inhibit_any_policy(false));
        assert_finding(&RULE, "inhibitAnyPolicy is not critical", &root);
    }
}
