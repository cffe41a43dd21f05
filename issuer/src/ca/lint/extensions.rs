//! Extensions in general: each once, each readable, none critical that nobody knows.
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Decode;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
    CrlDistributionPoints, ExtendedKeyUsage, InhibitAnyPolicy, KeyUsage, NameConstraints, PolicyConstraints,
    PolicyMappings, SubjectAltName, SubjectKeyIdentifier,
};

use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "extensions", clause: "RFC 5280 section 4.2", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let mut seen: Vec<ObjectIdentifier> = Vec::new();
    for extension in sample.tbs.extensions() {
        let oid = extension.extn_id;
        if seen.contains(&oid) {
            messages.push(format!("extension {oid} is there twice"));
        }
        seen.push(oid);
        match DECODERS.iter().find(|(known, _)| *known == oid) {
            Some((_, decodes)) if !decodes(extension) => {
                messages.push(format!("extension {oid} cannot be read"))
            }
            None if extension.critical => messages.push(format!("extension {oid} is critical and unknown")),
            _ => (),
        }
    }
}

fn decodes<T: for<'a> Decode<'a>>(extension: &Extension) -> bool {
    T::from_der(extension.extn_value.as_bytes()).is_ok()
}

type Decoder = (ObjectIdentifier, fn(&Extension) -> bool);

/// The extensions whose inside we know.
const DECODERS: [Decoder; 13] = [
    (AuthorityKeyIdentifier::OID, decodes::<AuthorityKeyIdentifier>),
    (SubjectKeyIdentifier::OID, decodes::<SubjectKeyIdentifier>),
    (KeyUsage::OID, decodes::<KeyUsage>),
    (CertificatePolicies::OID, decodes::<CertificatePolicies>),
    (PolicyMappings::OID, decodes::<PolicyMappings>),
    (SubjectAltName::OID, decodes::<SubjectAltName>),
    (BasicConstraints::OID, decodes::<BasicConstraints>),
    (NameConstraints::OID, decodes::<NameConstraints>),
    (PolicyConstraints::OID, decodes::<PolicyConstraints>),
    (InhibitAnyPolicy::OID, decodes::<InhibitAnyPolicy>),
    (ExtendedKeyUsage::OID, decodes::<ExtendedKeyUsage>),
    (CrlDistributionPoints::OID, decodes::<CrlDistributionPoints>),
    (AuthorityInfoAccessSyntax::OID, decodes::<AuthorityInfoAccessSyntax>),
];

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, extension_mut};
    use super::*;
    use der::asn1::OctetString;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_twice() {
        let repeat = |tbs: &mut crate::ca::certificate::TbsCertificate| {
            let first = tbs.extensions()[0].clone();
            tbs.extensions.as_mut().unwrap().push(first);
        };
        assert_finding(&RULE, "there twice", &changed(repeat));
    }

    #[test]
    fn bad_garbage_inside() {
        let garbage = OctetString::new(vec![0xFF, 0x00]).unwrap();
        assert_finding(
            &RULE,
            "cannot be read",
            &changed(|tbs| extension_mut::<KeyUsage>(tbs).extn_value = garbage),
        );
    }

    #[test]
    fn bad_unknown_critical() {
        let unknown = Extension {
            extn_id: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.9"),
            critical: true,
            extn_value: OctetString::new(vec![5, 0]).unwrap(),
        };
        assert_finding(
            &RULE,
            "critical and unknown",
            &changed(|tbs| tbs.extensions.as_mut().unwrap().push(unknown)),
        );
    }
}
