//! issuingDistributionPoint: which certificates a CRL is about, and where it lies.
use der::Decode;
use x509_cert::ext::pkix::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::DistributionPointName;

use super::CrlRule;
use super::crl_distribution_points::is_http;
use crate::ca::crl::extensions::ISSUING_DISTRIBUTION_POINT;
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-issuing-distribution-point", clause: "RFC 5280 section 5.2.5", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    let Some(extension) = crl.extension(ISSUING_DISTRIBUTION_POINT) else { return };
    if !extension.critical {
        messages.push("it is not critical: a reader could take a part for the whole".into());
    }
    let Ok(point) = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()) else {
        return messages.push("it cannot be read".into());
    };
    let only =
        [point.only_contains_user_certs, point.only_contains_ca_certs, point.only_contains_attribute_certs];
    if only.iter().filter(|only| **only).count() > 1 {
        messages.push("it is about only one kind of certificate, and only about another".into());
    }
    let is_restricted = only.contains(&true) || point.indirect_crl || point.only_some_reasons.is_some();
    match &point.distribution_point {
        None if !is_restricted => messages.push("it is empty".into()),
        Some(DistributionPointName::FullName(names)) if names.is_empty() || !names.iter().all(is_http) => {
            messages.push("the distribution point is not an http URL".into());
        }
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => {
            messages.push("the distribution point has no full name".into());
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_extension, partition};
    use super::*;
    use der::Encode;
    use der::asn1::OctetString;

    fn with(change: impl FnOnce(&mut IssuingDistributionPoint)) -> Vec<u8> {
        changed_extension(&partition(), ISSUING_DISTRIBUTION_POINT, |extension| {
            let mut point = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()).unwrap();
            change(&mut point);
            extension.extn_value = OctetString::new(point.to_der().unwrap()).unwrap();
        })
    }

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_not_critical() {
        let sample = changed_extension(&partition(), ISSUING_DISTRIBUTION_POINT, |extension| {
            extension.critical = false
        });
        assert_crl_finding(&RULE, "not critical", &sample);
    }

    #[test]
    fn bad_empty() {
        assert_crl_finding(&RULE, "it is empty", &with(|point| point.distribution_point = None));
    }

    #[test]
    fn bad_users_and_authorities() {
        let both = with(|point| {
            point.only_contains_user_certs = true;
            point.only_contains_ca_certs = true;
        });
        assert_crl_finding(&RULE, "only about another", &both);
    }

    #[test]
    fn bad_nameless() {
        let nameless =
            with(|point| point.distribution_point = Some(DistributionPointName::FullName(Vec::new())));
        assert_crl_finding(&RULE, "not an http URL", &nameless);
    }

    #[test]
    fn bad_garbage() {
        let garbage = changed_extension(&partition(), ISSUING_DISTRIBUTION_POINT, |extension| {
            extension.extn_value = OctetString::new(vec![0x05, 0x00]).unwrap();
        });
        assert_crl_finding(&RULE, "cannot be read", &garbage);
    }
}
