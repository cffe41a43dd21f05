//! Whether a certificate was revoked, as far as complete CRLs say (RFC 5280 section 6.3).
use const_oid::ObjectIdentifier;
use der::Decode;
use jiff::{SignedDuration, Timestamp};
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, KeyUsage};

use super::crl::{CertificateList, Revocation, encoded};
use crate::certificate::{Certificate, names};

const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const DELTA_CRL_INDICATOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// How far another computer's clock may be ahead of ours.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What to think of a certificate about which no usable CRL speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRevocation {
    /// It is not trusted.
    Reject,
    /// It is trusted, and the sentence says that revocation is unknown.
    Accept,
}

/// What CRLs say about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RevocationStatus {
    Good { this_update: Timestamp },
    Revoked(Revocation),
    Unknown(String),
}

/// Asks the newest list that is usable now; answers also which one that was.
pub(crate) fn status<'l>(
    certificate: &Certificate,
    issuer: &Certificate,
    lists: &'l [CertificateList],
    now: Timestamp,
) -> (RevocationStatus, Option<&'l CertificateList>) {
    let of_issuer = |list: &&CertificateList| names::same_name(list.issuer_name(), certificate.issuer_name());
    let mut lists: Vec<&CertificateList> = lists.iter().filter(of_issuer).collect();
    lists.sort_by_key(|list| std::cmp::Reverse(list.this_update()));
    let mut problem = None;
    for list in lists {
        match usable(list, certificate, issuer, now)
            .and_then(|()| list.find(certificate.serial_octets()).map_err(|error| error.0))
        {
            Ok(Some(revocation)) => return (RevocationStatus::Revoked(revocation), Some(list)),
            Ok(None) => return (RevocationStatus::Good { this_update: list.this_update() }, Some(list)),
            Err(why) => problem = problem.or(Some(why)),
        }
    }
    let why = problem.unwrap_or_else(|| format!("there is no CRL of {}", issuer.subject()));
    (RevocationStatus::Unknown(why), None)
}

/// Whether a list may say something about the certificate now.
fn usable(
    list: &CertificateList,
    certificate: &Certificate,
    issuer: &Certificate,
    now: Timestamp,
) -> Result<(), String> {
    let name = issuer.subject();
    if list.this_update() > now.saturating_add(CLOCK_TOLERANCE).unwrap_or(now) {
        return Err(format!("the CRL of {name} comes from the future"));
    }
    match list.next_update() {
        Some(next_update) if next_update > now => {}
        Some(next_update) => {
            return Err(format!("the newest CRL of {name} was good until {}", super::in_words(next_update)));
        }
        None => return Err(format!("the CRL of {name} does not say how long it is good")),
    }
    extensions_allow(list, certificate, issuer)?;
    let signs_crls =
        issuer.extension::<KeyUsage>().map_err(|error| error.0)?.is_none_or(|usage| usage.crl_sign());
    if !signs_crls {
        return Err(format!("{name} may not sign CRLs"));
    }
    list.verify_signature(issuer.public_key())
        .map_err(|_| format!("the signature of the CRL of {name} is wrong"))
}

/// Critical extensions that are not understood, deltas, and lists of another scope are refused.
fn extensions_allow(
    list: &CertificateList,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<(), String> {
    let name = issuer.subject();
    for extension in list.extensions() {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            AUTHORITY_KEY_IDENTIFIER => {
                let identifier = AuthorityKeyIdentifier::from_der(value)
                    .map_err(|_| format!("the CRL of {name} is malformed"))?;
                let wanted = identifier.key_identifier.map(|identifier| identifier.as_bytes().to_vec());
                let found = issuer.subject_key_identifier();
                if wanted.is_some() && found.is_some() && wanted != found {
                    return Err(format!("the CRL was signed with another key of {name}"));
                }
            }
            CRL_NUMBER => {}
            DELTA_CRL_INDICATOR => return Err(format!("the CRL of {name} is only a difference to another")),
            ISSUING_DISTRIBUTION_POINT => {
                let scope = IssuingDistributionPoint::from_der(value)
                    .map_err(|_| format!("the CRL of {name} is malformed"))?;
                if !in_scope(&scope, certificate) {
                    return Err(format!("the CRL of {name} is for other certificates"));
                }
            }
            other if extension.critical => {
                return Err(format!(
                    "the CRL of {name} has the critical extension {other}, which is not supported"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// RFC 5280 section 6.3.3 (b)(2). Indirect lists and lists of some reasons only are not supported, so never in scope.
fn in_scope(scope: &IssuingDistributionPoint, certificate: &Certificate) -> bool {
    let is_ca =
        matches!(certificate.extension::<BasicConstraints>(), Ok(Some(constraints)) if constraints.ca);
    let kind = !(scope.only_contains_user_certs && is_ca || scope.only_contains_ca_certs && !is_ca);
    let complete =
        !scope.only_contains_attribute_certs && !scope.indirect_crl && scope.only_some_reasons.is_none();
    kind && complete
        && scope.distribution_point.as_ref().is_none_or(|point| names_same_point(point, certificate))
}

/// Whether the certificate names one of the list's distribution points, octet by octet.
fn names_same_point(point: &DistributionPointName, certificate: &Certificate) -> bool {
    let DistributionPointName::FullName(list_names) = point else { return false };
    let Ok(Some(points)) = certificate.extension::<CrlDistributionPoints>() else { return false };
    let certificate_names = points.0.iter().filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(found)) => Some(found),
        _ => None,
    });
    let same =
        |one: &GeneralName, other: &GeneralName| encoded(one).is_some() && encoded(one) == encoded(other);
    certificate_names.flatten().any(|one| list_names.iter().any(|other| same(one, other)))
}
