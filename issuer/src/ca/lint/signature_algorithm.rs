//! The signature algorithm: one that is still sound, with its parameters exactly as written down, the same
//! inside and outside.
use super::{CertificateRule, Sample};
use crate::ca::algorithm;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "signature-algorithm",
    clause: "RFC 5280 section 4.1.1.2, RFC 4055, RFC 5758",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let algorithm = &sample.tbs.signature;
    if algorithm::scheme(algorithm).is_none() {
        messages
            .push(format!("{} with these parameters is not an algorithm that we sign with", algorithm.oid));
    }
    if sample.outer_algorithm.is_some_and(|outer| outer != algorithm) {
        messages.push("the algorithm inside differs from the one outside".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, messages};
    use super::*;
    use const_oid::db::rfc5912::{SHA_1_WITH_RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION};
    use spki::AlgorithmIdentifierOwned;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_sha_1() {
        assert_finding(
            &RULE,
            "not an algorithm",
            &changed(|tbs| tbs.signature.oid = SHA_1_WITH_RSA_ENCRYPTION),
        );
    }

    #[test]
    fn bad_rsa_without_null() {
        let bare = AlgorithmIdentifierOwned { oid: SHA_256_WITH_RSA_ENCRYPTION, parameters: None };
        assert_finding(&RULE, "not an algorithm", &changed(|tbs| tbs.signature = bare));
    }

    #[test]
    fn bad_inside_and_outside_differ() {
        let tbs = changed(|_| ());
        let mut outer = tbs.signature.clone();
        outer.oid = SHA_1_WITH_RSA_ENCRYPTION;
        let found = messages(&RULE, &Sample { tbs: &tbs, outer_algorithm: Some(&outer) });
        assert!(found.iter().any(|message| message.contains("differs")), "{found:?}");
    }
}
