//! The fields of a certificate, read strictly from their bytes (RFC 5280 sections 4.1 and 4.2).
use der::Decode;
use der::asn1::OctetString;
use jiff::Timestamp;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::Extension;
use x509_cert::name::Name;

use super::CertificateError;
use super::names::CanonicalName;
use super::signature::Signed;
use super::time::time;
use super::tlv::{Element, Elements, Malformed, tag};

/// The most extensions of a certificate; real ones have about a dozen.
const MOST_EXTENSIONS: usize = 100;

/// The most octets of a serial number: 20 (RFC 5280 section 4.1.2.2), and one for the sign.
const LONGEST_SERIAL_NUMBER: usize = 21;

/// The version of a certificate's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
    V3,
}

/// What a certificate says.
///
/// ```text
/// TBSCertificate ::= SEQUENCE {
///   version [0] EXPLICIT Version DEFAULT v1, serialNumber INTEGER, signature AlgorithmIdentifier, issuer Name,
///   validity SEQUENCE { notBefore Time, notAfter Time }, subject Name, subjectPublicKeyInfo SubjectPublicKeyInfo,
///   issuerUniqueID [1] IMPLICIT BIT STRING OPTIONAL, subjectUniqueID [2] IMPLICIT BIT STRING OPTIONAL,
///   extensions [3] EXPLICIT SEQUENCE SIZE (1..MAX) OF Extension OPTIONAL }
/// ```
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) serial_number: Vec<u8>,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) issuer: Name,
    pub(super) issuer_der: Vec<u8>,
    pub(super) canonical_issuer: CanonicalName,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: Name,
    pub(super) canonical_subject: CanonicalName,
    pub(super) public_key: SubjectPublicKeyInfoOwned,
    pub(super) extensions: Vec<Extension>,
}

impl Fields {
    pub(super) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let signed = Signed::parse(der).map_err(malformed("the signature"))?;
        let mut fields = signed.to_be_signed.elements();
        let version = version(&mut fields)?;
        let serial_number = serial_number(&mut fields)?;
        let algorithm = fields.expect(tag::SEQUENCE).map_err(malformed("the signature algorithm"))?;
        if algorithm.bytes != signed.algorithm.bytes {
            return Err(problem("it names two different signature algorithms"));
        }
        let issuer = fields.expect(tag::SEQUENCE).map_err(malformed("the issuer"))?;
        let (not_before, not_after) = validity(&mut fields).map_err(malformed("the validity"))?;
        let subject = fields.expect(tag::SEQUENCE).map_err(malformed("the subject"))?;
        let public_key = fields.expect(tag::SEQUENCE).map_err(malformed("the public key"))?;
        unique_identifiers(&mut fields, version)?;
        let extensions = extensions(&mut fields, version)?;
        fields.finish().map_err(malformed("the end"))?;
        let (issuer_name, subject_name) = (name(&issuer, "issuer")?, name(&subject, "subject")?);
        if issuer_name.is_empty() {
            return Err(problem("it does not name its issuer"));
        }
        Ok(Self {
            serial_number,
            algorithm: decoded(algorithm.bytes, "signature algorithm")?,
            canonical_issuer: CanonicalName::of(&issuer_name),
            issuer: issuer_name,
            issuer_der: issuer.bytes.to_vec(),
            not_before,
            not_after,
            canonical_subject: CanonicalName::of(&subject_name),
            subject: subject_name,
            public_key: decoded(public_key.bytes, "public key")?,
            extensions,
        })
    }
}

fn problem(what: &str) -> CertificateError {
    CertificateError(format!("the certificate is malformed: {what}"))
}

fn malformed(field: &'static str) -> impl FnOnce(Malformed) -> CertificateError {
    move |why| problem(&format!("{field}: {why}"))
}

fn decoded<'a, T: Decode<'a, Error = der::Error>>(
    bytes: &'a [u8],
    field: &str,
) -> Result<T, CertificateError> {
    T::from_der(bytes).map_err(|_| problem(&format!("the {field} cannot be read")))
}

fn name(element: &Element<'_>, field: &str) -> Result<Name, CertificateError> {
    decoded(element.bytes, field)
}

/// Section 4.1.2.1; the default is not written (X.690 section 11.5).
fn version(fields: &mut Elements<'_>) -> Result<Version, CertificateError> {
    let Some(outer) = fields.optional(tag::context_constructed(0)).map_err(malformed("the version"))? else {
        return Ok(Version::V1);
    };
    match outer.contents {
        [tag::INTEGER, 1, 1] => Ok(Version::V2),
        [tag::INTEGER, 1, 2] => Ok(Version::V3),
        _ => Err(problem("its version is unknown")),
    }
}

/// Section 4.1.2.2; numbers that are negative or zero are to be handled, too.
fn serial_number(fields: &mut Elements<'_>) -> Result<Vec<u8>, CertificateError> {
    let number = fields.expect(tag::INTEGER).and_then(|found| found.integer());
    let number = number.map_err(malformed("the serial number"))?;
    if number.len() > LONGEST_SERIAL_NUMBER {
        return Err(problem("its serial number is longer than 20 octets"));
    }
    Ok(number.to_vec())
}

fn validity(fields: &mut Elements<'_>) -> Result<(Timestamp, Timestamp), Malformed> {
    let mut dates = fields.expect(tag::SEQUENCE)?.elements();
    let mut date = || dates.next()?.as_ref().map_or(Err(Malformed::Truncated), time);
    let (not_before, not_after) = (date()?, date()?);
    dates.finish()?;
    Ok((not_before, not_after))
}

/// Section 4.1.2.8: only in versions 2 and 3; nothing is done with them.
fn unique_identifiers(fields: &mut Elements<'_>, version: Version) -> Result<(), CertificateError> {
    for number in [1, 2] {
        let identifier = fields.optional(tag::context(number)).map_err(malformed("a unique identifier"))?;
        if identifier.is_some() && version == Version::V1 {
            return Err(problem("it has unique identifiers but is of version 1"));
        }
    }
    Ok(())
}

/// Section 4.1.2.9 and 4.2: at least one, in version 3 only, none twice.
fn extensions(fields: &mut Elements<'_>, version: Version) -> Result<Vec<Extension>, CertificateError> {
    let of_extensions = || malformed("the extensions");
    let Some(outer) = fields.optional(tag::context_constructed(3)).map_err(of_extensions())? else {
        return Ok(Vec::new());
    };
    if version != Version::V3 {
        return Err(problem("it has extensions but is not of version 3"));
    }
    let mut list = Element::only(outer.contents, tag::SEQUENCE).map_err(of_extensions())?.elements();
    let mut found: Vec<Extension> = Vec::new();
    while let Some(element) = list.next().map_err(of_extensions())? {
        let extension = extension(&element).map_err(of_extensions())?;
        if found.len() >= MOST_EXTENSIONS {
            return Err(problem("it has too many extensions"));
        }
        if found.iter().any(|other| other.extn_id == extension.extn_id) {
            return Err(problem(&format!("it has the extension {} twice", extension.extn_id)));
        }
        found.push(extension);
    }
    if found.is_empty() { Err(problem("its list of extensions is empty")) } else { Ok(found) }
}

fn extension(element: &Element<'_>) -> Result<Extension, Malformed> {
    if element.tag != tag::SEQUENCE {
        return Err(Malformed::Unexpected(element.tag, tag::SEQUENCE));
    }
    let mut parts = element.elements();
    let extn_id = parts.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
    let critical = match parts.optional(tag::BOOLEAN)? {
        None => false,
        Some(found) if found.contents == [0xFF] => true,
        Some(_) => return Err(Malformed::Boolean),
    };
    let value = parts.expect(tag::OCTET_STRING)?;
    parts.finish()?;
    let extn_value = OctetString::new(value.contents).map_err(|_| Malformed::Length)?;
    Ok(Extension { extn_id, critical, extn_value })
}
