//! Basic constraints: a CA says so, critically, and nobody else does.
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "basic-constraints", clause: "RFC 5280 section 4.2.1.9", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let certifies = sample.extension::<KeyUsage>().is_some_and(|(_, usage)| usage.key_cert_sign());
    let Some((critical, constraints)) = sample.extension::<BasicConstraints>() else {
        if certifies {
            messages.push("keyCertSign without basicConstraints".into());
        }
        return;
    };
    if constraints.ca && !critical {
        messages.push("a CA's are not critical".into());
    }
    if constraints.path_len_constraint.is_some() && !(constraints.ca && certifies) {
        messages.push("a path length without being a CA".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, extension_mut, good, replace};
    use super::*;
    use crate::ca::Profile;
    use crate::ca::profile::extension::{Criticality, extension};
    use x509_cert::ext::pkix::KeyUsages;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_certifying_without_constraints() {
        let sample = changed(|tbs| replace(tbs, &KeyUsage(KeyUsages::KeyCertSign.into())));
        assert_finding(&RULE, "without basicConstraints", &sample);
    }

    #[test]
    fn bad_not_critical() {
        let mut root = good(&Profile::Root);
        extension_mut::<BasicConstraints>(&mut root).critical = false;
        assert_finding(&RULE, "not critical", &root);
    }

    #[test]
    fn bad_path_length_on_a_leaf() {
        let constraints = BasicConstraints { ca: false, path_len_constraint: Some(1) };
        let constraints = extension(Criticality::Yes, &constraints).unwrap();
        let sample = changed(|tbs| tbs.extensions.as_mut().unwrap().push(constraints));
        assert_finding(&RULE, "path length", &sample);
    }
}
