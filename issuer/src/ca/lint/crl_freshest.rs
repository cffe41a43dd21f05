//! freshestCRL: where a complete CRL's deltas lie.
use der::Decode;
use x509_cert::ext::pkix::FreshestCrl;
use x509_cert::ext::pkix::name::DistributionPointName;

use super::CrlRule;
use super::crl_distribution_points::is_http;
use crate::ca::crl::extensions::FRESHEST_CRL;
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule = CrlRule { name: "crl-freshest", clause: "RFC 5280 section 5.2.6", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    let Some(extension) = crl.extension(FRESHEST_CRL) else { return };
    if extension.critical {
        messages.push("it is critical".into());
    }
    let Ok(FreshestCrl(points)) = FreshestCrl::from_der(extension.extn_value.as_bytes()) else {
        return messages.push("it cannot be read".into());
    };
    if points.is_empty() {
        messages.push("it names no place".into());
    }
    for point in points {
        let is_place = matches!(
            &point.distribution_point,
            Some(DistributionPointName::FullName(names)) if !names.is_empty() && names.iter().all(is_http)
        );
        if !is_place {
            messages.push("a place is not an http URL".into());
        }
        if point.reasons.is_some() || point.crl_issuer.is_some() {
            messages.push("a place with reasons or another issuer, which a freshestCRL must not have".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_extension, partition};
    use super::*;
    use der::Encode;
    use der::asn1::OctetString;
    use x509_cert::ext::pkix::crl::dp::Reasons;

    fn with(change: impl FnOnce(&mut FreshestCrl)) -> Vec<u8> {
        changed_extension(&partition(), FRESHEST_CRL, |extension| {
            let mut freshest = FreshestCrl::from_der(extension.extn_value.as_bytes()).unwrap();
            change(&mut freshest);
            extension.extn_value = OctetString::new(freshest.to_der().unwrap()).unwrap();
        })
    }

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_critical() {
        let sample = changed_extension(&partition(), FRESHEST_CRL, |extension| extension.critical = true);
        assert_crl_finding(&RULE, "it is critical", &sample);
    }

    #[test]
    fn bad_no_place() {
        assert_crl_finding(&RULE, "no place", &with(|freshest| freshest.0.clear()));
    }

    #[test]
    fn bad_nameless() {
        let nameless = with(|freshest| freshest.0[0].distribution_point = None);
        assert_crl_finding(&RULE, "not an http URL", &nameless);
    }

    #[test]
    fn bad_some_reasons() {
        let partial = with(|freshest| freshest.0[0].reasons = Some(Reasons::KeyCompromise.into()));
        assert_crl_finding(&RULE, "must not have", &partial);
    }

    #[test]
    fn bad_garbage() {
        let garbage = changed_extension(&partition(), FRESHEST_CRL, |extension| {
            extension.extn_value = OctetString::new(vec![0x05, 0x00]).unwrap();
        });
        assert_crl_finding(&RULE, "cannot be read", &garbage);
    }
}
