//! What a CRL says of itself: RFC 5280 section 5.2.
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{GeneralizedTime, OctetString, Uint};
use der::{Decode, Encode};
use jiff::Timestamp;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BaseCrlNumber, CrlNumber, FreshestCrl, IssuingDistributionPoint,
};
use x509_cert::time::Time;

use super::CrlScope;
use crate::ca::certificate::{time, timestamp};
use crate::ca::error::CaError;
use crate::ca::profile::extension::{Criticality, extension, uri};

/// The DER of the `Extensions` of a CRL: authorityKeyIdentifier and cRLNumber always, which section 5.2 makes
/// mandatory, the others as the scope has them.
pub(super) fn encode(
    key_identifier: &OctetString,
    number: u64,
    scope: &CrlScope,
) -> Result<Vec<u8>, CaError> {
    let authority =
        AuthorityKeyIdentifier { key_identifier: Some(key_identifier.clone()), ..Default::default() };
    let mut extensions =
        vec![extension(Criticality::No, &authority)?, extension(Criticality::No, &CrlNumber(uint(number)?))?];
    if let Some(base) = scope.base_number {
        extensions.push(extension(Criticality::Yes, &BaseCrlNumber(uint(base)?))?);
    }
    if let Some(url) = &scope.distribution_point {
        let point = IssuingDistributionPoint {
            distribution_point: Some(full_name(url)?),
            only_contains_user_certs: false,
            only_contains_ca_certs: false,
            only_some_reasons: None,
            indirect_crl: false,
            only_contains_attribute_certs: false,
        };
        let extn_value = point.to_der().and_then(OctetString::new).map_err(malformed)?;
        extensions.push(Extension { extn_id: ISSUING_DISTRIBUTION_POINT, critical: true, extn_value });
    }
    if let Some(url) = &scope.freshest {
        let distribution_point = Some(full_name(url)?);
        let point = DistributionPoint { distribution_point, reasons: None, crl_issuer: None };
        extensions.push(extension(Criticality::No, &FreshestCrl(vec![point]))?);
    }
    if let Some(since) = scope.keeps_expired_since {
        let value = generalized_time(since)?.to_der().and_then(OctetString::new).map_err(malformed)?;
        extensions.push(Extension { extn_id: EXPIRED_CERTS_ON_CRL, critical: false, extn_value: value });
    }
    extensions.to_der().map_err(malformed)
}

/// The only URI of an issuingDistributionPoint, where it has one.
pub(super) fn distribution_point(extension: &Extension) -> Option<String> {
    let point = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()).ok()?;
    match point.distribution_point? {
        DistributionPointName::FullName(names) => match names.as_slice() {
            [GeneralName::UniformResourceIdentifier(url)] => Some(url.to_string()),
            _ => None,
        },
        DistributionPointName::NameRelativeToCRLIssuer(_) => None,
    }
}

/// The time of an expiredCertsOnCRL.
pub(crate) fn kept_since(extension: &Extension) -> Option<Timestamp> {
    let time = GeneralizedTime::from_der(extension.extn_value.as_bytes()).ok()?;
    Some(timestamp(Time::GeneralTime(time)))
}

fn full_name(url: &str) -> Result<DistributionPointName, CaError> {
    Ok(DistributionPointName::FullName(vec![uri(url)?]))
}

fn uint(number: u64) -> Result<Uint, CaError> {
    Uint::new(&number.to_be_bytes()).map_err(malformed)
}

fn generalized_time(since: Timestamp) -> Result<GeneralizedTime, CaError> {
    Ok(match time(since)? {
        Time::UtcTime(time) => GeneralizedTime::from_date_time(time.to_date_time()),
        Time::GeneralTime(time) => time,
    })
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("CRL extension", error)
}

/// deltaCRLIndicator.
pub(crate) const DELTA_CRL_INDICATOR: ObjectIdentifier = BaseCrlNumber::OID;
/// issuingDistributionPoint. (The crate x509-cert 0.3.0 gives its type the identifier of subjectInfoAccess.)
pub(crate) const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// freshestCRL.
pub(crate) const FRESHEST_CRL: ObjectIdentifier = FreshestCrl::OID;
/// expiredCertsOnCRL, ITU-T X.509 section 9.5.2.8.
pub(crate) const EXPIRED_CERTS_ON_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.60");
