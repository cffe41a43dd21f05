//! Document signing: a key that signs and does nothing else.
use super::{CertificateRule, Sample};
use crate::ca::profile::extension::{DOCUMENT_SIGNING, SERVER_AUTHENTICATION};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "document-signing", clause: "RFC 9336 sections 3 and 4", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    if sample.is_authority() || !sample.has_purpose(DOCUMENT_SIGNING) {
        return;
    }
    if sample.has_purpose(SERVER_AUTHENTICATION) {
        messages.push("documents and servers signed by one key".into());
    }
    if !sample.only_signs() {
        messages.push("a document-signing key is for digitalSignature and nonRepudiation alone".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, good, replace};
    use super::*;
    use crate::ca::Profile;
    use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages};

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_key_that_agrees() {
        let mut tbs = good(&Profile::DocumentSigning);
        replace(&mut tbs, &KeyUsage(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement));
        assert_finding(&RULE, "nonRepudiation alone", &tbs);
    }

    #[test]
    fn bad_server_that_signs_documents() {
        let mut tbs = good(&Profile::DocumentSigning);
        replace(&mut tbs, &ExtendedKeyUsage(vec![DOCUMENT_SIGNING, SERVER_AUTHENTICATION]));
        assert_finding(&RULE, "one key", &tbs);
    }
}
