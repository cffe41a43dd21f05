//! One entry of a CRL (RFC 5280 section 5.3).
use const_oid::ObjectIdentifier;
use der::Decode;
use der::asn1::GeneralizedTime;
use jiff::Timestamp;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::crl::Header;
use crate::certificate::tlv::{Element, Elements, Malformed, tag};
use crate::certificate::{CertificateError, timestamp};

/// Object identifiers as contents octets.
const REASON_CODE: &[u8] = &[0x55, 0x1D, 0x15];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1D, 0x18];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1D, 0x1D];
const BOOLEAN: u8 = 0x01;

/// Why a certificate was revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevocationReason {
    /// keyCompromise (1).
    KeyCompromise,
    /// cACompromise (2).
    CaCompromise,
    /// affiliationChanged (3).
    AffiliationChanged,
    /// superseded (4).
    Superseded,
    /// cessationOfOperation (5).
    CessationOfOperation,
    /// certificateHold (6).
    CertificateHold,
    /// privilegeWithdrawn (9).
    PrivilegeWithdrawn,
    /// aACompromise (10).
    AaCompromise,
}

/// removeFromCRL (8): an entry of a delta CRL that takes one of the complete list back.
const REMOVE_FROM_CRL: u8 = 8;

impl RevocationReason {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::KeyCompromise,
            2 => Self::CaCompromise,
            3 => Self::AffiliationChanged,
            4 => Self::Superseded,
            5 => Self::CessationOfOperation,
            6 => Self::CertificateHold,
            9 => Self::PrivilegeWithdrawn,
            10 => Self::AaCompromise,
            _ => return None,
        })
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }
}

impl std::fmt::Display for RevocationReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::KeyCompromise => "key compromise",
            Self::CaCompromise => "CA compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
            Self::CertificateHold => "on hold",
            Self::PrivilegeWithdrawn => "privilege withdrawn",
            Self::AaCompromise => "attribute authority compromise",
        })
    }
}

/// What is said about a revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When it was revoked.
    pub at: Timestamp,
    /// Why, if the CRL says.
    pub reason: Option<RevocationReason>,
    /// Since when the key is known or suspected to be in other hands (RFC 5280 section 5.3.2).
    pub invalid_since: Option<Timestamp>,
}

impl Revocation {
    /// From when on a signature is not to be believed.
    pub fn takes_effect(&self) -> Timestamp {
        self.invalid_since.map_or(self.at, |since| since.min(self.at))
    }
}

/// Whether a list names a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It does not.
    Absent,
    /// As revoked.
    Revoked(Revocation),
    /// As no longer revoked; only a delta CRL says that.
    Removed,
}

/// An entry, read.
pub(crate) struct Entry<'a> {
    pub(crate) serial_number: &'a [u8],
    pub(crate) listing: Listing,
    /// The certificateIssuer, which holds for the following entries too (RFC 5280 section 5.3.3).
    pub(crate) issuer: Option<Name>,
}

impl<'a> Entry<'a> {
    /// Reads an entry of a list with this header.
    ///
    /// # Errors
    /// It is malformed, or has a critical extension that is not understood: then nobody may rely on the list.
    pub(crate) fn read(element: &Element<'a>, header: &Header) -> Result<Self, CertificateError> {
        let mut fields = element.elements();
        if element.tag != tag::SEQUENCE {
            return Err(malformed());
        }
        // Not in the shortest form, it would not be found under its number.
        let serial_number =
            fields.expect(tag::INTEGER).and_then(|found| found.integer()).map_err(|_| malformed())?;
        let date = time_element(&mut fields).ok().flatten().ok_or_else(malformed)?;
        let at = timestamp(&Time::from_der(date.bytes).map_err(|_| malformed())?);
        let mut found = Extensions {
            revocation: Revocation { at, reason: None, invalid_since: None },
            removed: false,
            issuer: None,
        };
        if let Some(extensions) = fields.optional(tag::SEQUENCE).map_err(|_| malformed())? {
            if header.is_version_1 {
                return Err(CertificateError(
                    "an entry of the CRL has extensions but it is not of version 2".to_owned(),
                ));
            }
            found.read(extensions, header)?;
        }
        fields.finish().map_err(|_| malformed())?;
        let listing = if found.removed { Listing::Removed } else { Listing::Revoked(found.revocation) };
        Ok(Self { serial_number, listing, issuer: found.issuer })
    }
}

struct Extensions {
    revocation: Revocation,
    removed: bool,
    issuer: Option<Name>,
}

impl Extensions {
    fn read(&mut self, extensions: Element<'_>, header: &Header) -> Result<(), CertificateError> {
        let mut extensions = extensions.elements();
        while let Some(extension) = extensions.next().map_err(|_| malformed())? {
            let mut fields =
                Element::only(extension.bytes, tag::SEQUENCE).map_err(|_| malformed())?.elements();
            let identifier = fields.expect(tag::OBJECT_IDENTIFIER).map_err(|_| malformed())?;
            let critical = fields.optional(BOOLEAN).map_err(|_| malformed())?;
            let value = fields.expect(tag::OCTET_STRING).map_err(|_| malformed())?.contents;
            match identifier.contents {
                REASON_CODE => match value {
                    [0x0A, 1, REMOVE_FROM_CRL] if header.base.is_some() => self.removed = true,
                    [0x0A, 1, code] => self.revocation.reason = RevocationReason::from_code(*code),
                    _ => return Err(malformed()),
                },
                INVALIDITY_DATE => {
                    let date = GeneralizedTime::from_der(value).map_err(|_| malformed())?;
                    self.revocation.invalid_since = Some(timestamp(&Time::GeneralTime(date)));
                }
                CERTIFICATE_ISSUER if header.scope.as_ref().is_some_and(|scope| scope.indirect_crl) => {
                    self.issuer = Some(certificate_issuer(value)?);
                }
                _ if critical.is_some_and(|critical| critical.contents != [0]) => {
                    let name = ObjectIdentifier::from_bytes(identifier.contents).map_err(|_| malformed())?;
                    return Err(CertificateError(format!(
                        "the CRL has a critical entry extension ({name}) that is not supported"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The directory name of a certificateIssuer.
fn certificate_issuer(value: &[u8]) -> Result<Name, CertificateError> {
    let names = GeneralNames::from_der(value).map_err(|_| malformed())?;
    let directory = names.into_iter().find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    directory.ok_or_else(malformed)
}

pub(super) fn time_element<'a>(fields: &mut Elements<'a>) -> Result<Option<Element<'a>>, Malformed> {
    match fields.peek() {
        Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => fields.next(),
        _ => Ok(None),
    }
}

fn malformed() -> CertificateError {
    CertificateError("an entry of the CRL is malformed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tlv::element;

    #[test]
    fn a_serial_number_in_another_form_than_the_shortest_is_refused() {
        let date = element(tag::UTC_TIME, &[b"260501000000Z"]);
        let read = |serial: &[u8]| {
            let entry = element(tag::SEQUENCE, &[&element(tag::INTEGER, &[serial]), &date]);
            let element = Element::only(&entry, tag::SEQUENCE).unwrap();
            Entry::read(&element, &Header::permissive(false)).map(|entry| entry.serial_number.to_vec())
        };
        assert_eq!(read(&[5]).unwrap(), [5]);
        assert_eq!(read(&[0, 0x85]).unwrap(), [0, 0x85]);
        for serial in [&[][..], &[0, 5], &[0xFF, 0x85]] {
            assert!(read(serial).is_err(), "{serial:?}");
        }
    }
}
