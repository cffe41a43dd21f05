//! What a certificate shows as an object (PKCS#11 Base 3.0 section 4.6.3).
use der::{Decode, Reader, SliceReader, Tag, TagMode, TagNumber};
use x509_cert::time::Validity;

use crate::attribute::{self, Attributes};
use middleware::Hash;

/// CKC_X_509.
const X_509: std::ffi::c_ulong = 0;
/// CK_CERTIFICATE_CATEGORY_TOKEN_USER.
const TOKEN_USER: std::ffi::c_ulong = 1;

/// Adds a certificate's attributes, names and numbers as they stand in it; `None` when it is no certificate.
pub(crate) fn describe(der: &[u8], attributes: &mut Attributes) -> Option<()> {
    let parts = Parts::of(der).ok()?;
    attributes.set_number(attribute::CLASS, crate::object::class::CERTIFICATE);
    attributes.set_number(attribute::CERTIFICATE_TYPE, X_509);
    attributes.set_number(attribute::CERTIFICATE_CATEGORY, TOKEN_USER);
    attributes.set_flag(attribute::TRUSTED, false);
    attributes.set(attribute::VALUE, der);
    attributes.set(attribute::SUBJECT, parts.subject);
    attributes.set(attribute::ISSUER, parts.issuer);
    attributes.set(attribute::SERIAL_NUMBER, parts.serial_number);
    attributes.set(attribute::PUBLIC_KEY_INFO, parts.public_key);
    // The first three bytes of SHA-1 (section 4.6.2).
    attributes.set(attribute::CHECK_VALUE, Hash::Sha1.of(&[der]).get(..3)?);
    attributes.set(attribute::START_DATE, &date(parts.validity.not_before));
    attributes.set(attribute::END_DATE, &date(parts.validity.not_after));
    Some(())
}

/// The subject, as it stands in a certificate.
pub(crate) fn subject(der: &[u8]) -> Option<&[u8]> {
    Parts::of(der).ok().map(|parts| parts.subject)
}

/// The SubjectPublicKeyInfo, as it stands in a certificate.
pub(crate) fn public_key(der: &[u8]) -> Option<&[u8]> {
    Parts::of(der).ok().map(|parts| parts.public_key)
}

struct Parts<'a> {
    serial_number: &'a [u8],
    issuer: &'a [u8],
    validity: Validity,
    subject: &'a [u8],
    public_key: &'a [u8],
}

impl<'a> Parts<'a> {
    /// TBSCertificate ::= SEQUENCE { version \[0\] EXPLICIT, serialNumber, signature, issuer, validity, subject,
    /// subjectPublicKeyInfo, ... } (RFC 5280 section 4.1)
    fn of(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|certificate| {
            let parts = certificate.sequence(|tbs| {
                let _version = tbs.context_specific::<u8>(TagNumber(0), TagMode::Explicit)?;
                let serial_number = tbs.tlv_bytes()?;
                Tag::Integer.assert_eq(tag_of(serial_number)?)?;
                tbs.tlv_bytes()?;
                let issuer = tbs.tlv_bytes()?;
                let validity = Validity::decode(tbs)?;
                let subject = tbs.tlv_bytes()?;
                let public_key = tbs.tlv_bytes()?;
                while !tbs.is_finished() {
                    tbs.tlv_bytes()?;
                }
                Ok::<_, der::Error>(Self { serial_number, issuer, validity, subject, public_key })
            })?;
            certificate.tlv_bytes()?;
            certificate.tlv_bytes()?;
            Ok::<_, der::Error>(parts)
        })?;
        reader.finish()?;
        Ok(parts)
    }
}

fn tag_of(element: &[u8]) -> der::Result<Tag> {
    Tag::peek(&SliceReader::new(element)?)
}

/// `CK_DATE`: `YYYYMMDD`.
fn date(time: x509_cert::time::Time) -> [u8; 8] {
    let time = time.to_date_time();
    let text = format!("{:04}{:02}{:02}", time.year(), time.month(), time.day());
    text.as_bytes().try_into().unwrap_or(*b"00000000")
}
