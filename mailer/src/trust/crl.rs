//! A CRL with the bytes it came in; its entries are searched where they lie (RFC 5280 section 5).
use std::sync::Arc;

use const_oid::ObjectIdentifier;
use der::asn1::GeneralizedTime;
use der::{Decode, Encode};
use jiff::Timestamp;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::certificate::signature::{self, Acceptance, SignatureProblem, Signed};
use crate::certificate::tlv::{Element, Elements, Malformed, tag};
use crate::certificate::{CertificateError, names, timestamp};

const REASON_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// A CRL, parsed as far as its header, with its original bytes.
#[derive(Clone)]
pub struct CertificateList(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    extensions: Extensions,
}

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

impl RevocationReason {
    fn from_code(code: u8) -> Option<Self> {
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

/// What a CRL says about a revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When it was revoked.
    pub at: Timestamp,
    /// Why, if the CRL says.
    pub reason: Option<RevocationReason>,
    /// Since when the key is known or suspected to be in other hands (RFC 5280 section 5.3.2).
    pub invalid_since: Option<Timestamp>,
}

/// The parts of a TBSCertList that are looked at more than once.
struct Parts<'a> {
    algorithm: Element<'a>,
    issuer: Element<'a>,
    this_update: Element<'a>,
    next_update: Option<Element<'a>>,
    revoked: Elements<'a>,
    extensions: Option<Element<'a>>,
}

impl CertificateList {
    /// Parses one DER CRL.
    ///
    /// # Errors
    /// When it is not one, or names another algorithm inside than outside (RFC 5280 section 5.1.1.2).
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = |problem: String| CertificateError(format!("the CRL is malformed: {problem}"));
        let asn1 = |problem: der::Error| malformed(problem.to_string());
        let parts = parts(der).map_err(|problem| malformed(problem.to_string()))?;
        let signed = Signed::parse(der).map_err(|problem| malformed(problem.to_string()))?;
        let time =
            |element: &Element<'_>| Time::from_der(element.bytes).map(|time| timestamp(&time)).map_err(asn1);
        if parts.algorithm.bytes != signed.algorithm.bytes {
            return Err(malformed("it names two different signature algorithms".to_owned()));
        }
        let contents = Contents {
            algorithm: AlgorithmIdentifierOwned::from_der(signed.algorithm.bytes).map_err(asn1)?,
            issuer: Name::from_der(parts.issuer.bytes).map_err(asn1)?,
            this_update: time(&parts.this_update)?,
            next_update: parts.next_update.as_ref().map(time).transpose()?,
            extensions: parts
                .extensions
                .map(|found| Extensions::from_der(found.contents))
                .transpose()
                .map_err(asn1)?
                .unwrap_or_default(),
            der: der.to_vec(),
        };
        Ok(Self(Arc::new(contents)))
    }

    /// The bytes it came in.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// When it was issued.
    pub fn this_update(&self) -> Timestamp {
        self.0.this_update
    }

    /// Until when a newer one is due.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update
    }

    pub(crate) fn issuer_name(&self) -> &Name {
        &self.0.issuer
    }

    pub(crate) fn extensions(&self) -> &[Extension] {
        &self.0.extensions
    }

    /// Verifies the CRL's signature with its issuer's key.
    pub(crate) fn verify_signature(
        &self,
        issuer_key: &SubjectPublicKeyInfoOwned,
    ) -> Result<(), SignatureProblem> {
        let signed = Signed::parse(&self.0.der).map_err(|_| SignatureProblem::Invalid)?;
        let to_be_signed = signed.to_be_signed.bytes;
        signature::verify_signed(
            issuer_key,
            &self.0.algorithm,
            to_be_signed,
            signed.signature,
            Acceptance::Current,
        )
    }

    /// Looks for a serial number (its contents octets); goes through every entry, because a critical entry extension
    /// that is not understood forbids the use of the whole list (RFC 5280 section 5.3).
    pub(crate) fn find(&self, serial_number: &[u8]) -> Result<Option<Revocation>, CertificateError> {
        let malformed = |problem: Malformed| CertificateError(format!("the CRL is malformed: {problem}"));
        let mut entries = parts(&self.0.der).map_err(malformed)?.revoked;
        let mut found = None;
        while let Some(entry) = entries.next().map_err(malformed)? {
            let mut fields = entry.elements();
            let serial = fields.expect(tag::INTEGER).map_err(malformed)?;
            let matches = found.is_none() && serial.contents == serial_number;
            if matches || has_critical_extension(entry.contents) {
                let revocation = revocation(&mut fields)?;
                found = found.or(matches.then_some(revocation));
            }
        }
        Ok(found)
    }
}

impl std::fmt::Debug for CertificateList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "CertificateList({}, {})", names::in_words(&self.0.issuer), self.0.this_update)
    }
}

fn parts(der: &[u8]) -> Result<Parts<'_>, Malformed> {
    let mut fields = Signed::parse(der)?.to_be_signed.elements();
    fields.optional(tag::INTEGER)?;
    let algorithm = fields.expect(tag::SEQUENCE)?;
    let issuer = fields.expect(tag::SEQUENCE)?;
    let this_update = time_element(&mut fields)?.ok_or(Malformed::Truncated)?;
    let next_update = time_element(&mut fields)?;
    let revoked =
        fields.optional(tag::SEQUENCE)?.map_or_else(|| Elements::new(&[]), |found| found.elements());
    let extensions = fields.optional(tag::context_constructed(0))?;
    fields.finish()?;
    Ok(Parts { algorithm, issuer, this_update, next_update, revoked, extensions })
}

fn time_element<'a>(fields: &mut Elements<'a>) -> Result<Option<Element<'a>>, Malformed> {
    match fields.peek() {
        Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => fields.next(),
        _ => Ok(None),
    }
}

/// Whether a BOOLEAN TRUE may be among the bytes; a cheap look before the extensions are decoded.
fn has_critical_extension(entry: &[u8]) -> bool {
    entry.windows(3).any(|window| window == [0x01, 0x01, 0xFF])
}

/// Reads date and extensions of an entry.
fn revocation(fields: &mut Elements<'_>) -> Result<Revocation, CertificateError> {
    let malformed = || CertificateError("an entry of the CRL is malformed".to_owned());
    let date = time_element(fields).ok().flatten().ok_or_else(malformed)?;
    let mut revocation = Revocation {
        at: timestamp(&Time::from_der(date.bytes).map_err(|_| malformed())?),
        reason: None,
        invalid_since: None,
    };
    let Some(extensions) = fields.optional(tag::SEQUENCE).map_err(|_| malformed())? else {
        return Ok(revocation);
    };
    for extension in Extensions::from_der(extensions.bytes).map_err(|_| malformed())? {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            REASON_CODE => match value {
                [0x0A, 1, code] => revocation.reason = RevocationReason::from_code(*code),
                _ => return Err(malformed()),
            },
            INVALIDITY_DATE => {
                let date = GeneralizedTime::from_der(value).map_err(|_| malformed())?;
                revocation.invalid_since = Some(timestamp(&Time::GeneralTime(date)));
            }
            other if extension.critical => {
                return Err(CertificateError(format!(
                    "the CRL has a critical entry extension ({other}) that is not supported"
                )));
            }
            _ => {}
        }
    }
    Ok(revocation)
}

/// Encodes a name, for comparisons octet by octet.
pub(crate) fn encoded(value: &impl Encode) -> Option<Vec<u8>> {
    value.to_der().ok()
}
