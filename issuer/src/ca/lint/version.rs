//! Version 3, and none of the fields that version 2 had.
use x509_cert::Version;

use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "version", clause: "RFC 5280 sections 4.1.2.1 and 4.1.2.8", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    if sample.tbs.version != Version::V3 {
        messages.push("the version is not 3".into());
    }
    if sample.tbs.issuer_unique_id.is_some() || sample.tbs.subject_unique_id.is_some() {
        messages.push("there is a unique identifier of issuer or subject".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed};
    use super::*;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_version_1() {
        assert_finding(&RULE, "version is not 3", &changed(|tbs| tbs.version = Version::V1));
    }

    #[test]
    fn bad_subject_unique_identifier() {
        let unique = der::asn1::BitString::from_bytes(&[1]).unwrap();
        assert_finding(&RULE, "unique identifier", &changed(|tbs| tbs.subject_unique_id = Some(unique)));
    }
}
