//! Authority information access: where the issuer's certificate is, over plain http.
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;

use super::crl_distribution_points::is_http;
use super::{CertificateRule, Sample};
use crate::ca::profile::extension::ID_AD_CA_ISSUERS;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "authority-information-access",
    clause: "RFC 5280 section 4.2.2.1, S/MIME BR 7.1.2.3",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let Some(access) =
        sample.required_below_root::<AuthorityInfoAccessSyntax>("authorityInfoAccess", messages)
    else {
        return;
    };
    if !access.0.iter().any(|description| description.access_method == ID_AD_CA_ISSUERS) {
        messages.push("it does not say where the issuer's certificate is".into());
    }
    if !access.0.iter().all(|description| is_http(&description.access_location)) {
        messages.push("a location is not an http URL".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, extension_mut, replace, without};
    use super::*;
    use crate::ca::profile::extension::authority_information_access;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_missing() {
        assert_finding(&RULE, "there is no authorityInfoAccess", &without::<AuthorityInfoAccessSyntax>());
    }

    #[test]
    fn bad_critical() {
        let critical = changed(|tbs| extension_mut::<AuthorityInfoAccessSyntax>(tbs).critical = true);
        assert_finding(&RULE, "authorityInfoAccess is critical", &critical);
    }

    #[test]
    fn bad_https() {
        let https = authority_information_access("https://pki.example.org/ca.cer", None).unwrap();
        let sample = changed(|tbs| *extension_mut::<AuthorityInfoAccessSyntax>(tbs) = https);
        assert_finding(&RULE, "not an http URL", &sample);
    }

    #[test]
    fn bad_without_issuer() {
        let none = AuthorityInfoAccessSyntax(Vec::new());
        assert_finding(&RULE, "issuer's certificate", &changed(|tbs| replace(tbs, &none)));
    }
}
