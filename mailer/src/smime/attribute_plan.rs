//! Signed attributes, chosen and written; unsigned ones too (RFC 5652 section 5.3 and 11, RFC 5035, RFC 6211).
use const_oid::ObjectIdentifier;
use der::Encode;
use der::asn1::{GeneralizedTime, UtcTime};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::attributes::attribute_type;
use super::capabilities;
use super::object_identifiers::{
    CMS_ALGORITHM_PROTECTION, CONTENT_TYPE, ID_DATA, MESSAGE_DIGEST, SIGNING_CERTIFICATE_V2, SIGNING_TIME,
    SMIME_CAPABILITIES, TIME_STAMP_TOKEN,
};
use super::sign::SignError;
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, element, set_of, tag};

/// What a signer vouches for beside the content (RFC 5652 section 5.3).
///
/// Every signature has content-type, message-digest, signing-certificate-v2 and algorithm protection besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAttributesPlan {
    /// The type of the content.
    pub content_type: ObjectIdentifier,
    /// The signer's claim of when.
    pub signing_time: Option<Timestamp>,
    /// Whether our SMIMECapabilities are told (RFC 8551 section 2.5.2).
    pub capabilities: bool,
    /// Further attributes, each the DER of an `Attribute`, of types that are none of the above.
    pub further: Vec<Vec<u8>>,
}

impl SignedAttributesPlan {
    /// For mail (RFC 8551 section 2.5).
    pub fn mail(signing_time: Timestamp) -> Self {
        Self { capabilities: true, ..Self::detached_document(signing_time) }
    }

    /// For a document that tells the time of signing itself: PAdES, where it stands in `/M` and must not stand in the CMS
    /// object (EN 319 142-1 section 5.3).
    pub fn document() -> Self {
        Self { content_type: ID_DATA, signing_time: None, capabilities: false, further: Vec::new() }
    }

    /// For a file beside which the signature lies: CAdES (EN 319 122-1 section 6.3).
    pub fn detached_document(signing_time: Timestamp) -> Self {
        Self { signing_time: Some(signing_time), ..Self::document() }
    }

    /// The same with one attribute more: the DER of an `Attribute`.
    #[must_use]
    pub fn with(mut self, attribute: Vec<u8>) -> Self {
        self.further.push(attribute);
        self
    }

    /// The DER of their SET (tag 31): what is signed.
    pub(super) fn write(
        &self,
        content_digest: &[u8],
        certificate: &Certificate,
        digest_algorithm: &[u8],
        signature_algorithm: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let protection = protection(digest_algorithm, signature_algorithm)?;
        let mut attributes = vec![
            attribute(CONTENT_TYPE, &self.content_type.to_der()?)?,
            attribute(MESSAGE_DIGEST, &element(tag::OCTET_STRING, &[content_digest]))?,
            attribute(SIGNING_CERTIFICATE_V2, &signing_certificate_v2(certificate)?)?,
            attribute(CMS_ALGORITHM_PROTECTION, &protection)?,
        ];
        if let Some(moment) = self.signing_time {
            attributes.push(attribute(SIGNING_TIME, &time(moment)?)?);
        }
        if self.capabilities {
            attributes.push(attribute(SMIME_CAPABILITIES, &capabilities::ours()?)?);
        }
        attributes.extend(self.further.iter().cloned());
        check_types(&attributes)?;
        Ok(set_of(tag::SET, attributes))
    }
}

/// Each type stands there once (RFC 5652 section 5.3: no attribute is repeated).
fn check_types(attributes: &[Vec<u8>]) -> Result<(), SignError> {
    let mut seen = Vec::new();
    for attribute in attributes {
        let found = attribute_type(attribute).map_err(|_| SignError::MalformedAttribute)?;
        if seen.contains(&found) {
            return Err(SignError::AttributeTwice(found));
        }
        seen.push(found);
    }
    Ok(())
}

/// The unsigned attribute that carries a time stamp over the signature value (RFC 3161 appendix A); `token` is the DER of
/// its ContentInfo.
///
/// # Errors
/// The token is no single DER element.
pub fn unsigned_time_stamp(token: &[u8]) -> Result<Vec<u8>, SignError> {
    Element::only(token, tag::SEQUENCE).map_err(|_| SignError::MalformedAttribute)?;
    Ok(attribute(TIME_STAMP_TOKEN, token)?)
}

/// An `Attribute` of one value: `SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }`.
pub(crate) fn attribute(attribute_type: ObjectIdentifier, value: &[u8]) -> der::Result<Vec<u8>> {
    Ok(element(tag::SEQUENCE, &[&attribute_type.to_der()?, &element(tag::SET, &[value])]))
}

/// UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5652 section 11.3).
fn time(moment: Timestamp) -> der::Result<Vec<u8>> {
    let seconds =
        u64::try_from(moment.as_second()).map_err(|_| der::Error::from(der::ErrorKind::DateTime))?;
    let since_1970 = std::time::Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(since_1970) {
        Ok(time) => time.to_der(),
        Err(_) => GeneralizedTime::from_unix_duration(since_1970)?.to_der(),
    }
}

/// RFC 5035 section 3, with SHA-256, which is the default and so not written.
///
/// ```text
/// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies SEQUENCE OF PolicyInformation OPTIONAL }
/// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT {algorithm id-sha256}, certHash Hash,
///                            issuerSerial IssuerSerial OPTIONAL }
/// IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber CertificateSerialNumber }
/// ```
fn signing_certificate_v2(certificate: &Certificate) -> der::Result<Vec<u8>> {
    let hash = element(tag::OCTET_STRING, &[&Sha256::digest(certificate.der())]);
    let directory_name = element(tag::context_constructed(4), &[&certificate.issuer_der()?]);
    let serial = element(tag::INTEGER, &[certificate.serial_octets()]);
    let issuer_serial = element(tag::SEQUENCE, &[&element(tag::SEQUENCE, &[&directory_name]), &serial]);
    let identifier = element(tag::SEQUENCE, &[&hash, &issuer_serial]);
    Ok(element(tag::SEQUENCE, &[&element(tag::SEQUENCE, &[&identifier])]))
}

/// RFC 6211 section 2.
///
/// ```text
/// CMSAlgorithmProtection ::= SEQUENCE { digestAlgorithm DigestAlgorithmIdentifier,
///     signatureAlgorithm [1] SignatureAlgorithmIdentifier OPTIONAL, macAlgorithm [2] ... OPTIONAL }
/// ```
fn protection(digest_algorithm: &[u8], signature_algorithm: &[u8]) -> der::Result<Vec<u8>> {
    let inner = Element::only(signature_algorithm, tag::SEQUENCE).map_err(|_| der::ErrorKind::Failed)?;
    Ok(element(tag::SEQUENCE, &[digest_algorithm, &element(tag::context_constructed(1), &[inner.contents])]))
}
