//! expiredCertsOnCRL: since when entries stay although their certificates expired.
use super::CrlRule;
use crate::ca::crl::extensions::{EXPIRED_CERTS_ON_CRL, kept_since};
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-expired-certificates", clause: "ITU-T X.509 section 9.5.2.8", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    let Some(extension) = crl.extension(EXPIRED_CERTS_ON_CRL) else { return };
    if extension.critical {
        messages.push("expiredCertsOnCRL is critical".into());
    }
    match kept_since(extension) {
        None => messages.push("expiredCertsOnCRL cannot be read".into()),
        Some(since) if since > crl.made() => {
            messages.push("expiredCertsOnCRL begins after the CRL was made".into());
        }
        Some(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_extensions, partition};
    use super::*;
    use der::asn1::OctetString;
    use x509_cert::ext::Extension;

    fn with(change: impl FnOnce(&mut Extension)) -> Vec<u8> {
        changed_extensions(&partition(), |extensions| {
            change(
                extensions.iter_mut().find(|extension| extension.extn_id == EXPIRED_CERTS_ON_CRL).unwrap(),
            );
        })
    }

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_critical() {
        assert_crl_finding(&RULE, "is critical", &with(|extension| extension.critical = true));
    }

    #[test]
    fn bad_utc_time() {
        let utc_time = OctetString::new(b"\x17\x0D300101000000Z".to_vec()).unwrap();
        assert_crl_finding(&RULE, "cannot be read", &with(|extension| extension.extn_value = utc_time));
    }

    #[test]
    fn bad_in_the_future() {
        let later = OctetString::new(b"\x18\x0F20310101000000Z".to_vec()).unwrap();
        assert_crl_finding(&RULE, "after the CRL was made", &with(|extension| extension.extn_value = later));
    }
}
