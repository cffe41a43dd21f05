//! CRL distribution points: where to ask whether it is revoked, over plain http.
use x509_cert::ext::pkix::CrlDistributionPoints;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "crl-distribution-points",
    clause: "RFC 5280 section 4.2.1.13, S/MIME BR 7.1.2.3",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let Some(points) = sample.required_below_root::<CrlDistributionPoints>("cRLDistributionPoints", messages)
    else {
        return;
    };
    if points.0.is_empty() {
        messages.push("there is none in them".into());
    }
    for point in &points.0 {
        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
            messages.push("a distribution point has no full name".into());
            continue;
        };
        if names.is_empty() || !names.iter().all(is_http) {
            messages.push("a distribution point is not an http URL".into());
        }
        if point.reasons.is_some() {
            messages.push("a distribution point has only some reasons".into());
        }
    }
}

pub(super) fn is_http(name: &GeneralName) -> bool {
    matches!(name, GeneralName::UniformResourceIdentifier(text) if text.as_str().starts_with("http://"))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, extension_mut, replace, without};
    use super::*;
    use crate::ca::certificate::TbsCertificate;
    use crate::ca::profile::extension::crl_distribution_points;
    use x509_cert::ext::pkix::crl::dp::{DistributionPoint, Reasons};

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing() {
        assert_finding(&RULE, "there is no cRLDistributionPoints", &without::<CrlDistributionPoints>());
    }

    #[test]
    fn bad_critical() {
        let critical = changed(|tbs| extension_mut::<CrlDistributionPoints>(tbs).critical = true);
        assert_finding(&RULE, "cRLDistributionPoints is critical", &critical);
    }

    #[test]
    fn bad_ldap() {
        let ldap = crl_distribution_points("ldap://pki.example.org/cn=x").unwrap();
        let sample = changed(|tbs: &mut TbsCertificate| *extension_mut::<CrlDistributionPoints>(tbs) = ldap);
        assert_finding(&RULE, "not an http URL", &sample);
    }

    #[test]
    fn bad_none_and_nameless() {
        let none = CrlDistributionPoints(Vec::new());
        assert_finding(&RULE, "none in them", &changed(|tbs| replace(tbs, &none)));
        let nameless = DistributionPoint { distribution_point: None, reasons: None, crl_issuer: None };
        let nameless = CrlDistributionPoints(vec![nameless]);
        assert_finding(&RULE, "no full name", &changed(|tbs| replace(tbs, &nameless)));
    }

    #[test]
    fn bad_some_reasons() {
        let partial = |tbs: &mut TbsCertificate| {
            let sample = Sample { tbs, outer_algorithm: None };
            let mut points = sample.extension::<CrlDistributionPoints>().unwrap().1;
            points.0[0].reasons = Some(Reasons::KeyCompromise.into());
            replace(tbs, &points);
        };
        assert_finding(&RULE, "only some reasons", &changed(partial));
    }
}
