//! The form of a CRL: version 2, one algorithm, and no empty list.
use super::CrlRule;
use crate::ca::algorithm;
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-form", clause: "RFC 5280 sections 5.1.1.2, 5.1.2.1 and 5.1.2.6", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    if crl.version != Some(1) {
        messages.push("the version is not 2".into());
    }
    if algorithm::scheme(&crl.signature).is_none() {
        messages.push(format!(
            "{} with these parameters is not an algorithm that we sign with",
            crl.signature.oid
        ));
    }
    if crl.signature != crl.outer_algorithm {
        messages.push("the algorithm inside differs from the one outside".into());
    }
    if crl.has_empty_list() {
        messages.push("revokedCertificates is there but empty".into());
    }
    if crl.issuer.is_empty() {
        messages.push("the issuer is empty".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_crl};
    use super::*;
    use const_oid::db::rfc5912::SHA_1_WITH_RSA_ENCRYPTION;
    use x509_cert::Version;
    use x509_cert::name::Name;

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_version() {
        assert_crl_finding(&RULE, "not 2", &changed_crl(|crl| crl.tbs_cert_list.version = Version::V1));
    }

    #[test]
    fn bad_sha_1() {
        let sample = changed_crl(|crl| crl.tbs_cert_list.signature.oid = SHA_1_WITH_RSA_ENCRYPTION);
        assert_crl_finding(&RULE, "not an algorithm", &sample);
        assert_crl_finding(&RULE, "differs", &sample);
    }

    #[test]
    fn bad_empty_list() {
        let sample = changed_crl(|crl| crl.tbs_cert_list.revoked_certificates = Some(Vec::new()));
        assert_crl_finding(&RULE, "there but empty", &sample);
    }

    #[test]
    fn bad_nameless() {
        assert_crl_finding(
            &RULE,
            "issuer is empty",
            &changed_crl(|crl| crl.tbs_cert_list.issuer = Name::default()),
        );
    }
}
