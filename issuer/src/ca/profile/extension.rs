//! One function per extension of RFC 5280 section 4.2.
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Encode;
use der::asn1::{Any, Ia5String, Null, OctetString, Utf8StringRef};
use der::flagset::FlagSet;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName, OtherName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CertificatePolicies, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};

use super::{CardHolder, CardUuid, MailServer};
use crate::ca::certificate::ID_ON_SMTP_UTF8_MAILBOX;
use crate::ca::error::CaError;
use crate::ca::mail_address::{MailAddress, ascii_domain};

/// anyPolicy, section 4.2.1.4.
pub(crate) const ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32.0");

/// keyIdentifier only, section 4.2.1.1.
pub(crate) fn authority_key_identifier(key: &OctetString) -> Result<Extension, CaError> {
    let identifier = AuthorityKeyIdentifier { key_identifier: Some(key.clone()), ..Default::default() };
    extension(Criticality::No, &identifier)
}

/// Section 4.2.1.2.
pub(crate) fn subject_key_identifier(key: &OctetString) -> Result<Extension, CaError> {
    extension(Criticality::No, &SubjectKeyIdentifier(key.clone()))
}

/// Section 4.2.1.3.
pub(crate) fn key_usage(usages: impl Into<FlagSet<KeyUsages>>) -> Result<Extension, CaError> {
    extension(Criticality::Yes, &KeyUsage(usages.into()))
}

/// Section 4.2.1.4; no qualifiers.
pub(crate) fn certificate_policies(policies: &[ObjectIdentifier]) -> Result<Extension, CaError> {
    let policy =
        |oid: &ObjectIdentifier| PolicyInformation { policy_identifier: *oid, policy_qualifiers: None };
    extension(Criticality::No, &CertificatePolicies(policies.iter().map(policy).collect()))
}

/// Section 4.2.1.10, critical: mail addresses in these domains and below them, and no other names that could be meant.
pub(crate) fn permitted_mail_domains(domains: &[String]) -> Result<Extension, CaError> {
    let subtree = |base: String| {
        let base = Ia5String::new(&base).map_err(|error| CaError::malformed("domain", error))?;
        Ok::<_, CaError>(GeneralSubtree { base: GeneralName::Rfc822Name(base), minimum: 0, maximum: None })
    };
    let mut permitted = Vec::new();
    for domain in domains {
        permitted.push(subtree(domain.clone())?);
        permitted.push(subtree(format!(".{domain}"))?);
    }
    let constraints = NameConstraints { permitted_subtrees: Some(permitted), excluded_subtrees: None };
    extension(Criticality::Yes, &constraints)
}

/// Section 4.2.1.9.
pub(crate) fn basic_constraints(path_length: Option<u8>) -> Result<Extension, CaError> {
    extension(Criticality::Yes, &BasicConstraints { ca: true, path_len_constraint: path_length })
}

/// Section 4.2.1.12.
pub(crate) fn extended_key_usage(
    critical: Criticality,
    purposes: &[ObjectIdentifier],
) -> Result<Extension, CaError> {
    extension(critical, &ExtendedKeyUsage(purposes.to_vec()))
}

/// One distribution point, http, section 4.2.1.13.
pub(crate) fn crl_distribution_points(url: &str) -> Result<Extension, CaError> {
    let name = DistributionPointName::FullName(vec![uri(url)?]);
    let point = DistributionPoint { distribution_point: Some(name), reasons: None, crl_issuer: None };
    extension(Criticality::No, &CrlDistributionPoints(vec![point]))
}

/// caIssuers, http, section 4.2.2.1, and the OCSP responder where there is one.
pub(crate) fn authority_information_access(url: &str, ocsp: Option<&str>) -> Result<Extension, CaError> {
    let mut access = Vec::new();
    if let Some(ocsp) = ocsp {
        access.push(AccessDescription { access_method: ID_AD_OCSP, access_location: uri(ocsp)? });
    }
    access.push(AccessDescription { access_method: ID_AD_CA_ISSUERS, access_location: uri(url)? });
    extension(Criticality::No, &AuthorityInfoAccessSyntax(access))
}

/// id-pkix-ocsp-nocheck, RFC 6960 section 4.2.2.2.1: nobody asks whether a responder's own certificate is revoked.
pub(crate) fn ocsp_no_check() -> Result<Extension, CaError> {
    let value = Null.to_der().and_then(OctetString::new);
    Ok(Extension {
        extn_id: ID_PKIX_OCSP_NOCHECK,
        critical: false,
        extn_value: value.map_err(|error| CaError::malformed("certificate extension", error))?,
    })
}

/// rfc822Name, or SmtpUTF8Mailbox for a non-ASCII local part (RFC 9598 section 3): 9C and 9D.
pub(crate) fn mail_alternative_name(holder: &CardHolder) -> Result<Extension, CaError> {
    if holder.mail.is_empty() {
        let reason = "a certificate for mail needs one".into();
        return Err(CaError::Field { field: "mail address", value: String::new(), reason });
    }
    extension(Criticality::No, &SubjectAltName(holder.mail.iter().map(mailbox).collect::<Result<_, _>>()?))
}

/// `urn:uuid:`, SP 800-73-5 Part 1 section 3.4.1: 9A and 9E.
///
/// There is no FASC-N beside it. A FASC-N identifies a card by an agency code that only agencies of the
/// United States have; the CHUID of anybody else's card carries 9999 there, the same on all cards, and
/// readers take the UUID.
pub(crate) fn card_alternative_name(card: CardUuid) -> Result<Extension, CaError> {
    extension(Criticality::No, &SubjectAltName(vec![uri(&format!("urn:uuid:{card}"))?]))
}

/// dNSName and iPAddress.
pub(crate) fn server_alternative_name(server: &MailServer) -> Result<Extension, CaError> {
    let mut names = Vec::new();
    for dns_name in &server.dns_names {
        let refuse = || CaError::Field {
            field: "DNS name",
            value: dns_name.clone(),
            reason: "it is not a domain name (wildcards are not certified)".into(),
        };
        let ascii = ascii_domain(dns_name).ok_or_else(refuse)?;
        names.push(GeneralName::DnsName(Ia5String::new(&ascii).map_err(|_| refuse())?));
    }
    names.extend(server.ip_addresses.iter().map(|address| GeneralName::from(*address)));
    if names.is_empty() {
        let reason = "a server certificate needs one, or an IP address".into();
        return Err(CaError::Field { field: "DNS name", value: String::new(), reason });
    }
    extension(Criticality::No, &SubjectAltName(names))
}

/// Whether whoever does not understand an extension must refuse the certificate.
#[derive(Clone, Copy)]
pub(crate) enum Criticality {
    Yes,
    No,
}

pub(crate) fn extension<T: Encode + AssociatedOid>(
    critical: Criticality,
    value: &T,
) -> Result<Extension, CaError> {
    let encoded = value.to_der().and_then(OctetString::new);
    Ok(Extension {
        extn_id: T::OID,
        critical: matches!(critical, Criticality::Yes),
        extn_value: encoded.map_err(|error| CaError::malformed("certificate extension", error))?,
    })
}

fn mailbox(address: &MailAddress) -> Result<GeneralName, CaError> {
    let text = address.to_string();
    let malformed = |error: der::Error| CaError::malformed("mail address", error);
    if !address.is_internationalized() {
        return Ok(GeneralName::Rfc822Name(Ia5String::new(&text).map_err(malformed)?));
    }
    let value = Utf8StringRef::new(&text).and_then(|text| Any::encode_from(&text)).map_err(malformed)?;
    Ok(GeneralName::OtherName(OtherName { type_id: ID_ON_SMTP_UTF8_MAILBOX, value }))
}

pub(crate) fn uri(text: &str) -> Result<GeneralName, CaError> {
    let text = Ia5String::new(text).map_err(|error| CaError::malformed("URI", error))?;
    Ok(GeneralName::UniformResourceIdentifier(text))
}

/// id-ad-caIssuers.
pub(crate) const ID_AD_CA_ISSUERS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");
/// id-ad-ocsp.
pub(crate) const ID_AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
/// id-pkix-ocsp-nocheck.
pub(crate) const ID_PKIX_OCSP_NOCHECK: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.5");
/// id-kp-OCSPSigning.
pub(crate) const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
/// id-kp-serverAuth.
pub(crate) const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// id-kp-clientAuth.
pub(crate) const CLIENT_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// id-kp-emailProtection.
pub(crate) const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// id-kp-timeStamping.
pub(crate) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// id-kp-documentSigning, RFC 9336.
pub(crate) const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");
/// Microsoft smart card logon.
pub(crate) const SMART_CARD_LOGON: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.2");
/// id-PIV-content-signing, FIPS 201-3 appendix B.
pub(crate) const PIV_CONTENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.6.7");
/// id-PIV-cardAuth, FIPS 201-3 appendix B.
pub(crate) const PIV_CARD_AUTHENTICATION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.6.8");
