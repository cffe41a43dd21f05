//! The extensions of a CRL: whose it is and which number it has, each once.
use const_oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber};

use super::CrlRule;
use crate::ca::crl::extensions::{DELTA_CRL_INDICATOR, ISSUING_DISTRIBUTION_POINT};
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-extensions", clause: "RFC 5280 sections 5.2.1 and 5.2.3", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    if crl.authority_key_identifier().is_none() {
        messages.push("there is no authorityKeyIdentifier with a keyIdentifier".into());
    }
    match crl.number() {
        None => messages.push("there is no cRLNumber".into()),
        Some(_) if is_long_number(crl) => messages.push("cRLNumber has more than 20 octets".into()),
        Some(_) => (),
    }
    let mut seen: Vec<ObjectIdentifier> = Vec::new();
    for extension in &crl.extensions {
        let oid = extension.extn_id;
        if seen.contains(&oid) {
            messages.push(format!("extension {oid} is there twice"));
        }
        seen.push(oid);
        if extension.critical && [AuthorityKeyIdentifier::OID, CrlNumber::OID].contains(&oid) {
            messages.push(format!("extension {oid} is critical"));
        } else if extension.critical && !MAY_BE_CRITICAL.contains(&oid) {
            messages.push(format!("extension {oid} is critical and unknown"));
        }
    }
}

/// What a reader of this profile understands (RFC 5280 section 5.2).
const MAY_BE_CRITICAL: [ObjectIdentifier; 2] = [ISSUING_DISTRIBUTION_POINT, DELTA_CRL_INDICATOR];

/// Tag and length of the INTEGER come before its octets; the sign's counts.
fn is_long_number(crl: &CrlView<'_>) -> bool {
    crl.extension(CrlNumber::OID).is_some_and(|number| number.extn_value.as_bytes().len() > 2 + 20)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_crl};
    use super::*;
    use der::asn1::OctetString;
    use x509_cert::crl::CertificateList;
    use x509_cert::ext::Extension;

    fn extensions(crl: &mut CertificateList) -> &mut Vec<Extension> {
        crl.tbs_cert_list.crl_extensions.as_mut().unwrap()
    }

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_without_number() {
        let sample =
            changed_crl(|crl| extensions(crl).retain(|extension| extension.extn_id != CrlNumber::OID));
        assert_crl_finding(&RULE, "no cRLNumber", &sample);
    }

    /// A CRL whose number is an INTEGER of these octets.
    fn numbered(octets: &[u8]) -> Vec<u8> {
        let integer = [&[2, u8::try_from(octets.len()).unwrap()], octets].concat();
        changed_crl(|crl| {
            let number = extensions(crl).iter_mut().find(|extension| extension.extn_id == CrlNumber::OID);
            number.unwrap().extn_value = OctetString::new(integer).unwrap();
        })
    }

    #[test]
    fn bad_long_number() {
        assert_crl_finding(&RULE, "more than 20 octets", &numbered(&[0x7F; 21]));
    }

    #[test]
    fn bad_number_that_is_long_by_its_sign() {
        let octets = [&[0][..], &[0xFF; 20]].concat();
        assert_crl_finding(&RULE, "more than 20 octets", &numbered(&octets));
    }

    #[test]
    fn bad_unknown_critical() {
        let unknown = Extension {
            extn_id: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.9"),
            critical: true,
            extn_value: OctetString::new(vec![5, 0]).unwrap(),
        };
        assert_crl_finding(&RULE, "critical and unknown", &changed_crl(|crl| extensions(crl).push(unknown)));
    }

    #[test]
    fn bad_without_authority() {
        let sample =
            changed_crl(|crl| extensions(crl).retain(|extension| extension.extn_id == CrlNumber::OID));
        assert_crl_finding(&RULE, "no authorityKeyIdentifier", &sample);
    }

    #[test]
    fn bad_critical_and_twice() {
        let sample = changed_crl(|crl| {
            let mut again = extensions(crl)[0].clone();
            again.critical = true;
            extensions(crl).push(again);
        });
        assert_crl_finding(&RULE, "there twice", &sample);
        assert_crl_finding(&RULE, "is critical", &sample);
    }
}
