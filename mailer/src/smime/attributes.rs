//! Signed attributes, strictly read (RFC 5652 section 5.3 and 11, RFC 5035, RFC 6211); `attribute_plan` writes them.
use const_oid::ObjectIdentifier;
use der::Decode;
use jiff::Timestamp;
use sha1::{Digest, Sha1};
use spki::AlgorithmIdentifierOwned;
use x509_cert::name::Name;
use x509_cert::time::Time;

use super::content_info::object_identifier;
use super::object_identifiers::{
    CMS_ALGORITHM_PROTECTION, CONTENT_TYPE, MESSAGE_DIGEST, SHA1, SHA256, SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2, SIGNING_TIME, SMIME_CAPABILITIES, TIME_STAMP_TOKEN,
};
use super::verify::{SignatureFault, digest_algorithm};
use crate::certificate::tlv::{Element, Elements, Malformed, element, set_of, tag};
use crate::certificate::{Certificate, names, signature, timestamp};

/// The signed attributes of a SignerInfo, read.
pub(crate) struct SignedAttributes<'a> {
    attributes: Vec<Attribute<'a>>,
    /// Their SET in DER, with tag 31: what was signed (RFC 5652 section 5.4).
    pub(crate) der: Vec<u8>,
}

struct Attribute<'a> {
    attribute_type: ObjectIdentifier,
    values: Vec<Element<'a>>,
}

/// The most attributes in one SignerInfo.
const MOST_ATTRIBUTES: usize = 64;
/// The most time-stamp tokens of one signature that are kept.
const MOST_TIME_STAMPS: usize = 8;

impl<'a> SignedAttributes<'a> {
    /// Reads the element `[0] IMPLICIT SET OF Attribute`, or the SET itself.
    pub(crate) fn read(field: Element<'a>) -> Result<Self, SignatureFault> {
        let malformed = |_: Malformed| SignatureFault::malformed("the signed attributes are malformed");
        let mut elements = field.elements();
        let mut encoded = Vec::new();
        let mut attributes = Vec::new();
        while let Some(attribute) = elements.next().map_err(malformed)? {
            if attributes.len() >= MOST_ATTRIBUTES {
                return Err(SignatureFault::malformed("there are too many signed attributes"));
            }
            encoded.push(attribute.bytes.to_vec());
            attributes.push(read_attribute(attribute).map_err(malformed)?);
        }
        Ok(Self { attributes, der: set_of(tag::SET, encoded) })
    }

    /// The single value of an attribute that must be there at most once (RFC 5652 section 11).
    pub(crate) fn value(
        &self,
        attribute_type: ObjectIdentifier,
        name: &str,
    ) -> Result<Option<Element<'a>>, SignatureFault> {
        let mut found = self.attributes.iter().filter(|attribute| attribute.attribute_type == attribute_type);
        match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
            (None, _) => Ok(None),
            (Some([value]), None) => Ok(Some(*value)),
            _ => Err(SignatureFault::malformed(&format!(
                "the signed attribute {name} has not exactly one value, once"
            ))),
        }
    }

    /// Whether signing-certificate or signing-certificate-v2 is there.
    pub(crate) fn names_certificate(&self) -> bool {
        let types = [SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2];
        self.attributes.iter().any(|attribute| types.contains(&attribute.attribute_type))
    }

    /// Checks that content-type and message-digest are there once and fit the content.
    pub(crate) fn check_content(
        &self,
        content_type: ObjectIdentifier,
        content_digest: &[u8],
    ) -> Result<(), SignatureFault> {
        let missing =
            |name: &str| SignatureFault::malformed(&format!("the signed attribute {name} is missing"));
        let found = self.value(CONTENT_TYPE, "content-type")?.ok_or_else(|| missing("content-type"))?;
        if object_identifier(found).ok() != Some(content_type) {
            return Err(SignatureFault::malformed("the signed content type is not that of the message"));
        }
        let digest =
            self.value(MESSAGE_DIGEST, "message-digest")?.ok_or_else(|| missing("message-digest"))?;
        let same = digest.tag == tag::OCTET_STRING && digest.contents == content_digest;
        if same { Ok(()) } else { Err(SignatureFault::ContentChanged) }
    }

    /// Checks algorithm protection, if it is there (RFC 6211 section 4).
    pub(crate) fn check_algorithms(
        &self,
        digest: &AlgorithmIdentifierOwned,
        signature: &AlgorithmIdentifierOwned,
    ) -> Result<(), SignatureFault> {
        let Some(value) = self.value(CMS_ALGORITHM_PROTECTION, "CMSAlgorithmProtection")? else {
            return Ok(());
        };
        let protected = read_protection(value)
            .ok_or_else(|| SignatureFault::malformed("the algorithm protection is malformed"))?;
        if same_algorithm(&protected.0, digest) && same_algorithm(&protected.1, signature) {
            return Ok(());
        }
        Err(SignatureFault::malformed("the algorithms are not those that the signer used"))
    }

    /// Checks the signing-certificate attributes, if they are there, against the certificate that verified.
    pub(crate) fn check_certificate(&self, certificate: &Certificate) -> Result<(), SignatureFault> {
        for (attribute_type, name) in
            [(SIGNING_CERTIFICATE_V2, "signing-certificate-v2"), (SIGNING_CERTIFICATE, "signing-certificate")]
        {
            let Some(value) = self.value(attribute_type, name)? else { continue };
            let version_2 = attribute_type == SIGNING_CERTIFICATE_V2;
            let malformed =
                || SignatureFault::malformed(&format!("the signed attribute {name} is malformed"));
            let (algorithm, identifier) = certificate_identifier(value, version_2).ok_or_else(malformed)?;
            let hash = match algorithm {
                SHA1 => Sha1::digest(certificate.der()).to_vec(),
                other => signature::digest(digest_algorithm(other)?, certificate.der()),
            };
            if !identifies(identifier, &hash, certificate).ok_or_else(malformed)? {
                return Err(SignatureFault::OtherCertificate);
            }
        }
        Ok(())
    }

    /// The signer's claim of when.
    pub(crate) fn signing_time(&self) -> Result<Option<Timestamp>, SignatureFault> {
        let Some(value) = self.value(SIGNING_TIME, "signing-time")? else { return Ok(None) };
        let time = Time::from_der(value.bytes)
            .map_err(|_| SignatureFault::malformed("the signing time is malformed"))?;
        Ok(Some(timestamp(&time)))
    }

    /// The signer's SMIMECapabilities (DER), if there are any.
    pub(crate) fn capabilities(&self) -> Result<Option<Vec<u8>>, SignatureFault> {
        Ok(self.value(SMIME_CAPABILITIES, "SMIMECapabilities")?.map(|value| value.bytes.to_vec()))
    }
}

/// The time-stamp tokens among unsigned attributes (RFC 3161 appendix A). All other unsigned attributes are passed over,
/// unreadable ones too: nobody vouches for them.
pub(crate) fn time_stamp_tokens(unsigned: Option<Element<'_>>) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    let Some(mut rest) = unsigned.map(|field| field.elements()) else { return tokens };
    while let Ok(Some(attribute)) = rest.next() {
        let Ok(attribute) = read_attribute(attribute) else { continue };
        if attribute.attribute_type == TIME_STAMP_TOKEN {
            tokens.extend(attribute.values.iter().map(|value| value.bytes.to_vec()));
        }
    }
    tokens.truncate(MOST_TIME_STAMPS);
    tokens
}

/// The type of an attribute (DER), whose whole is read.
pub(super) fn attribute_type(attribute: &[u8]) -> Result<ObjectIdentifier, Malformed> {
    let element = Element::only(attribute, tag::SEQUENCE)?;
    Ok(read_attribute(element)?.attribute_type)
}

fn read_attribute(attribute: Element<'_>) -> Result<Attribute<'_>, Malformed> {
    let mut fields = Element::only(attribute.bytes, tag::SEQUENCE)?.elements();
    let attribute_type = object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)?;
    let mut set = fields.expect(tag::SET)?.elements();
    fields.finish()?;
    let mut values = Vec::new();
    while let Some(value) = set.next()? {
        values.push(value);
    }
    Ok(Attribute { attribute_type, values })
}

fn read_protection(value: Element<'_>) -> Option<(AlgorithmIdentifierOwned, AlgorithmIdentifierOwned)> {
    let mut fields = Element::only(value.bytes, tag::SEQUENCE).ok()?.elements();
    let digest = AlgorithmIdentifierOwned::from_der(fields.expect(tag::SEQUENCE).ok()?.bytes).ok()?;
    let signature = fields.expect(tag::context_constructed(1)).ok()?;
    fields.finish().ok()?;
    let signature =
        AlgorithmIdentifierOwned::from_der(&element(tag::SEQUENCE, &[signature.contents])).ok()?;
    Some((digest, signature))
}

/// Equal but for NULL and absent parameters, which mean the same for digests and RSA.
fn same_algorithm(left: &AlgorithmIdentifierOwned, right: &AlgorithmIdentifierOwned) -> bool {
    let parameters =
        |algorithm: &AlgorithmIdentifierOwned| algorithm.parameters.clone().filter(|found| !found.is_null());
    left.oid == right.oid && parameters(left) == parameters(right)
}

/// The first ESSCertID and its hash algorithm; the others speak of the issuers (RFC 5035 section 5.4).
fn certificate_identifier(value: Element<'_>, version_2: bool) -> Option<(ObjectIdentifier, Elements<'_>)> {
    let mut fields = Element::only(value.bytes, tag::SEQUENCE).ok()?.elements();
    let mut identifiers = fields.expect(tag::SEQUENCE).ok()?.elements();
    let mut identifier = identifiers.expect(tag::SEQUENCE).ok()?.elements();
    if !version_2 {
        return Some((SHA1, identifier));
    }
    let algorithm = match identifier.optional(tag::SEQUENCE).ok()? {
        Some(algorithm) => AlgorithmIdentifierOwned::from_der(algorithm.bytes).ok()?.oid,
        None => SHA256,
    };
    Some((algorithm, identifier))
}

/// Whether the rest of an ESSCertID, hash and perhaps issuer and serial number, names the certificate.
fn identifies(mut identifier: Elements<'_>, hash: &[u8], certificate: &Certificate) -> Option<bool> {
    let same_hash = identifier.expect(tag::OCTET_STRING).ok()?.contents == hash;
    let issuer_serial = identifier.optional(tag::SEQUENCE).ok()?;
    identifier.finish().ok()?;
    Some(same_hash && issuer_serial.map_or(Some(true), |found| same_issuer_and_serial(found, certificate))?)
}

fn same_issuer_and_serial(issuer_serial: Element<'_>, certificate: &Certificate) -> Option<bool> {
    let mut fields = issuer_serial.elements();
    let mut names_found = fields.expect(tag::SEQUENCE).ok()?.elements();
    let serial = fields.expect(tag::INTEGER).ok()?;
    let directory_name = names_found.expect(tag::context_constructed(4)).ok()?;
    let issuer = Name::from_der(directory_name.contents).ok()?;
    Some(
        serial.contents == certificate.serial_octets()
            && names::same_name(&issuer, certificate.issuer_name()),
    )
}
