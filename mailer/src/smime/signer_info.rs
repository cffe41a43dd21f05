//! One SignerInfo: read, matched with its certificate, verified (RFC 5652 sections 5.3 to 5.6).
use std::io;

use const_oid::ObjectIdentifier;
use der::Decode;
use spki::AlgorithmIdentifierOwned;
use x509_cert::name::Name;

use super::attributes::{self, SignedAttributes};
use super::content_digest::DigestedContent;
use super::object_identifiers::ID_DATA;
use super::verify::{Signature, SignatureFault, digest_algorithm};
use crate::certificate::signature::{self, Acceptance, Message, Scheme, SignatureProblem};
use crate::certificate::tlv::{Element, Elements, Malformed, tag};
use crate::certificate::{Certificate, DigestAlgorithm, names};

/// The most certificates under one name that are tried.
const MOST_NAMESAKES: usize = 8;
/// The longest content that Ed25519 signs without signed attributes: it needs the whole of it (RFC 8419 section 3.2).
const LONGEST_BARE_ED25519: usize = 16 * 1024 * 1024;

/// How a CMS structure names a certificate (SignerIdentifier, RecipientIdentifier).
///
/// ```text
/// SignerIdentifier ::= CHOICE { issuerAndSerialNumber IssuerAndSerialNumber, subjectKeyIdentifier [0] SubjectKeyIdentifier }
/// ```
pub(super) enum CertificateIdentifier<'a> {
    IssuerAndSerialNumber { issuer: Name, serial: &'a [u8] },
    SubjectKeyIdentifier(&'a [u8]),
}

impl<'a> CertificateIdentifier<'a> {
    /// Reads the next element; `constructed_key_identifier` is the tag of `rKeyId` where that may stand instead of `[0]`.
    pub(super) fn read(fields: &mut Elements<'a>) -> Result<Self, Malformed> {
        let element = fields.next()?.ok_or(Malformed::Truncated)?;
        const KEY_IDENTIFIER: u8 = tag::context(0);
        match element.tag {
            KEY_IDENTIFIER => Ok(Self::SubjectKeyIdentifier(element.contents)),
            tag::SEQUENCE => {
                let mut parts = element.elements();
                let issuer =
                    Name::from_der(parts.expect(tag::SEQUENCE)?.bytes).map_err(|_| Malformed::Tag)?;
                let serial = parts.expect(tag::INTEGER)?.contents;
                parts.finish()?;
                Ok(Self::IssuerAndSerialNumber { issuer, serial })
            }
            other => Err(Malformed::Unexpected(other, tag::SEQUENCE)),
        }
    }

    /// Whether this names the certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            Self::IssuerAndSerialNumber { issuer, serial } => {
                *serial == certificate.serial_octets() && names::same_name(issuer, certificate.issuer_name())
            }
            Self::SubjectKeyIdentifier(identifier) => {
                certificate.subject_key_identifier().as_deref() == Some(*identifier)
            }
        }
    }
}

impl std::fmt::Display for CertificateIdentifier<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IssuerAndSerialNumber { issuer, serial } => {
                write!(formatter, "serial {} of {}", hex::encode(serial), names::in_words(issuer))
            }
            Self::SubjectKeyIdentifier(identifier) => write!(formatter, "key {}", hex::encode(identifier)),
        }
    }
}

pub(super) struct SignerInfo<'a> {
    pub(super) identifier: CertificateIdentifier<'a>,
    pub(super) digest_algorithm: AlgorithmIdentifierOwned,
    signed_attributes: Option<Element<'a>>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: &'a [u8],
    unsigned_attributes: Option<Element<'a>>,
}

impl<'a> SignerInfo<'a> {
    /// Reads the DER of a SignerInfo.
    ///
    /// ```text
    /// SignerInfo ::= SEQUENCE { version CMSVersion, sid SignerIdentifier, digestAlgorithm DigestAlgorithmIdentifier,
    ///     signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL, signatureAlgorithm SignatureAlgorithmIdentifier,
    ///     signature SignatureValue, unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }
    /// ```
    pub(super) fn read(info: &'a [u8]) -> Result<Self, SignatureFault> {
        Self::fields(info).map_err(|problem| SignatureFault::Malformed(problem.to_string()))
    }

    fn fields(info: &'a [u8]) -> Result<Self, Malformed> {
        let algorithm = |element: Element<'_>| {
            AlgorithmIdentifierOwned::from_der(element.bytes).map_err(|_| Malformed::Tag)
        };
        let mut fields = Element::only(info, tag::SEQUENCE)?.elements();
        fields.expect(tag::INTEGER)?;
        let identifier = CertificateIdentifier::read(&mut fields)?;
        let digest_algorithm = algorithm(fields.expect(tag::SEQUENCE)?)?;
        let signed_attributes = fields.optional(tag::context_constructed(0))?;
        let signature_algorithm = algorithm(fields.expect(tag::SEQUENCE)?)?;
        let signature = fields.expect(tag::OCTET_STRING)?.contents;
        let unsigned_attributes = fields.optional(tag::context_constructed(1))?;
        fields.finish()?;
        Ok(Self {
            identifier,
            digest_algorithm,
            signed_attributes,
            signature_algorithm,
            signature,
            unsigned_attributes,
        })
    }

    /// Verifies the signature. The certificate is the one that the identifier names and that verifies: a second
    /// certificate under the same name cannot stand in the way of the right one.
    pub(super) fn verify(
        &self,
        content_type: ObjectIdentifier,
        digested: &DigestedContent,
        candidates: &[&Certificate],
    ) -> io::Result<Result<Signature, SignatureFault>> {
        // Content that looks like signed attributes itself is refused: a signature over it would be one over other content.
        let is_bare_mail =
            self.signed_attributes.is_none() && content_type == ID_DATA && !digested.is_set()?;
        let checked = match self.check(content_type, digested, is_bare_mail) {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        let content = match checked.attributes {
            None if checked.scheme == Scheme::Ed25519 => digested.content.to_vec(LONGEST_BARE_ED25519)?,
            _ => None,
        };
        let message = match (&checked.attributes, &content) {
            (Some(attributes), _) => Message::Whole(&attributes.der),
            (None, Some(content)) => Message::Whole(content),
            (None, None) => Message::Digest(&checked.content_digest),
        };
        Ok(self.find(&checked, message, candidates))
    }

    /// Everything but the signature itself.
    fn check(
        &self,
        content_type: ObjectIdentifier,
        digested: &DigestedContent,
        is_bare_mail: bool,
    ) -> Result<Checked<'a>, SignatureFault> {
        let digest = digest_algorithm(self.digest_algorithm.oid)?;
        if !digested.named.contains(&self.digest_algorithm.oid) {
            return Err(SignatureFault::malformed(
                "its digest algorithm is not among those that the message names for its content",
            ));
        }
        let scheme = Scheme::of(&self.signature_algorithm, Some(digest)).map_err(fault)?;
        if scheme.digest() != digest {
            return Err(SignatureFault::malformed("digest and signature algorithm do not fit each other"));
        }
        let content_digest = digested.digest(digest).unwrap_or_default().to_vec();
        let attributes = self.signed_attributes.map(SignedAttributes::read).transpose()?;
        match &attributes {
            Some(attributes) => {
                attributes.check_content(content_type, &content_digest)?;
                attributes.check_algorithms(&self.digest_algorithm, &self.signature_algorithm)?;
            }
            // RFC 5652 section 5.3: only plain data may be signed without them.
            None if is_bare_mail => {}
            None => return Err(SignatureFault::malformed("the signed attributes are missing")),
        }
        Ok(Checked { digest, scheme, attributes, content_digest })
    }

    /// Finds the certificate that the signature verifies with.
    fn find(
        &self,
        checked: &Checked<'_>,
        message: Message<'_>,
        candidates: &[&Certificate],
    ) -> Result<Signature, SignatureFault> {
        let mut outcome = Err(SignatureFault::CertificateMissing);
        let named = candidates.iter().filter(|candidate| self.identifier.names(candidate));
        for certificate in named.take(MOST_NAMESAKES) {
            let key = certificate.public_key();
            outcome = signature::verify(key, checked.scheme, message, self.signature, Acceptance::Current)
                .map_err(fault)
                .and_then(|()| self.describe(certificate, checked.digest, checked.attributes.as_ref()));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn describe(
        &self,
        certificate: &Certificate,
        digest: DigestAlgorithm,
        attributes: Option<&SignedAttributes<'_>>,
    ) -> Result<Signature, SignatureFault> {
        let mut signature = Signature {
            certificate: certificate.clone(),
            signing_time: None,
            digest,
            capabilities: None,
            value: self.signature.to_vec(),
            time_stamp_tokens: attributes::time_stamp_tokens(self.unsigned_attributes),
            signed_attributes: attributes.map(|attributes| attributes.der.clone()),
            names_certificate: attributes.is_some_and(SignedAttributes::names_certificate),
        };
        if let Some(attributes) = attributes {
            attributes.check_certificate(certificate)?;
            signature.signing_time = attributes.signing_time()?;
            signature.capabilities = attributes.capabilities()?;
        }
        Ok(signature)
    }
}

/// A SignerInfo that keeps every rule.
struct Checked<'a> {
    digest: DigestAlgorithm,
    scheme: Scheme,
    attributes: Option<SignedAttributes<'a>>,
    content_digest: Vec<u8>,
}

fn fault(problem: SignatureProblem) -> SignatureFault {
    match problem {
        SignatureProblem::Invalid => SignatureFault::SignatureWrong,
        SignatureProblem::Unsupported(what) => {
            SignatureFault::Unsupported(format!("{what} is not supported"))
        }
    }
}
