//! CMS `SignedData` (RFC 5652 section 5) with its content inside and one signer: what our services sign.
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::{Any, Int, Null, OctetString, SetOfVec};
use der::{Decode, Encode, EncodeValue, Sequence, Tagged};
use jiff::Timestamp;
use middleware::{DigestAlgorithm, SignatureScheme, Signer};
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::algorithm::{self, Digester, KeyKind};
use super::authority::checked_signature;
use super::certificate::{Certificate, time};
use super::error::CaError;
use super::possession::verify_signature;

/// Who signs: everything about a signer that is the same in each of its signatures.
pub struct SignerIdentity {
    certificate: Certificate,
    chain: Vec<Any>,
    identifier: IssuerAndSerialNumber,
    signing_certificate: Attribute,
    scheme: SignatureScheme,
    digest: DigestAlgorithm,
}

/// Whether what is signed travels with the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Inside (`eContent`).
    Inside,
    /// Elsewhere: an external signature.
    Elsewhere,
}

/// Whether the certificates travel with the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// The signer's, and those of the authorities above it that are no root.
    Included,
    /// The signer's alone.
    SignerAlone,
    /// None.
    Omitted,
}

impl SignerIdentity {
    /// A signer by its certificate; `authorities` are those above it, in any order.
    ///
    /// # Errors
    /// A key or name that cannot be named in CMS.
    pub fn new(certificate: Certificate, authorities: &[Certificate]) -> Result<Self, CaError> {
        let scheme = KeyKind::of(certificate.public_key())?.scheme();
        let tbs = certificate.tbs();
        let identifier =
            IssuerAndSerialNumber { issuer: tbs.issuer.clone(), serial_number: tbs.serial_number.clone() };
        let above = authorities.iter().filter(|authority| !authority.is_self_issued());
        let chain = std::iter::once(&certificate).chain(above).map(|one| Any::from_der(one.as_der()));
        Ok(Self {
            chain: chain.collect::<Result<_, _>>().map_err(malformed)?,
            signing_certificate: signing_certificate(&certificate, &identifier)?,
            digest: algorithm::digest_of(scheme)?,
            identifier,
            scheme,
            certificate,
        })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs: a `ContentInfo` in DER. Signed attributes are contentType, signingTime, messageDigest and
    /// signingCertificateV2 (RFC 5035 section 3).
    ///
    /// # Errors
    /// The key's failure, or a signature that does not verify: it never leaves.
    pub fn sign(
        &self,
        signer: &mut dyn Signer,
        content_type: ObjectIdentifier,
        content: &[u8],
        signing_time: Timestamp,
        certificates: Certificates,
    ) -> Result<Vec<u8>, CaError> {
        let attributes = self.signed_attributes(content_type, content, signing_time).map_err(malformed)?;
        let signature = self.signature(signer, &attributes)?;
        let info = self.signer_info(attributes, signature, algorithm::identifier(self.scheme)?)?;
        self.assemble(content_type, Some(content), info, certificates)
    }

    /// Signs what is written on a card (SP 800-73-5 Part 1 section 3.1.2.1): a `ContentInfo` in DER. Signed attributes
    /// are contentType, messageDigest and pivSigner-DN; an RSA signature is named rsaEncryption (SP 800-78-5 section 3.2.2).
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn sign_for_card(
        &self,
        signer: &mut dyn Signer,
        content_type: ObjectIdentifier,
        content: (&[u8], Content),
        certificates: Certificates,
    ) -> Result<Vec<u8>, CaError> {
        let (content, place) = content;
        let attributes = self.card_attributes(content_type, content).map_err(malformed)?;
        let signature = self.signature(signer, &attributes)?;
        let algorithm = match self.scheme {
            SignatureScheme::RsaPkcs1(_) => {
                AlgorithmIdentifierOwned { oid: rfc5912::RSA_ENCRYPTION, parameters: Some(Any::from(Null)) }
            }
            scheme => algorithm::identifier(scheme)?,
        };
        let info = self.signer_info(attributes, signature, algorithm)?;
        self.assemble(content_type, (place == Content::Inside).then_some(content), info, certificates)
    }

    /// The digest that the signer's algorithm uses.
    pub fn digest_algorithm(&self) -> AlgorithmIdentifierOwned {
        algorithm::digest_identifier(self.digest)
    }

    /// That digest of something.
    pub fn digest(&self, data: &[u8]) -> Vec<u8> {
        Digester::digest(self.digest, data)
    }

    fn card_attributes(
        &self,
        content_type: ObjectIdentifier,
        content: &[u8],
    ) -> der::Result<SetOfVec<Attribute>> {
        let message_digest = OctetString::new(self.digest(content))?;
        let subject = Any::from_der(&self.certificate.tbs().subject.to_der()?)?;
        SetOfVec::try_from(vec![
            attribute(rfc5911::ID_CONTENT_TYPE, &content_type)?,
            attribute(rfc5911::ID_MESSAGE_DIGEST, &message_digest)?,
            Attribute { oid: PIV_SIGNER_DN, values: SetOfVec::try_from(vec![subject])? },
        ])
    }

    fn signature(
        &self,
        signer: &mut dyn Signer,
        attributes: &SetOfVec<Attribute>,
    ) -> Result<Vec<u8>, CaError> {
        let signed = Digester::digest(self.digest, &attributes.to_der().map_err(malformed)?);
        checked_signature(signer, self.scheme, &signed)
    }

    fn signed_attributes(
        &self,
        content_type: ObjectIdentifier,
        content: &[u8],
        signing_time: Timestamp,
    ) -> der::Result<SetOfVec<Attribute>> {
        let message_digest = OctetString::new(Digester::digest(self.digest, content))?;
        let signing_time = time(signing_time).map_err(|_| der::ErrorKind::DateTime)?;
        SetOfVec::try_from(vec![
            attribute(rfc5911::ID_CONTENT_TYPE, &content_type)?,
            attribute(rfc5911::ID_SIGNING_TIME, &signing_time)?,
            attribute(rfc5911::ID_MESSAGE_DIGEST, &message_digest)?,
            self.signing_certificate.clone(),
        ])
    }

    fn signer_info(
        &self,
        attributes: SetOfVec<Attribute>,
        signature: Vec<u8>,
        signature_algorithm: AlgorithmIdentifierOwned,
    ) -> Result<SignerInfo, CaError> {
        Ok(SignerInfo {
            version: 1,
            identifier: self.identifier.clone(),
            digest_algorithm: algorithm::digest_identifier(self.digest),
            signed_attributes: Some(attributes),
            signature_algorithm,
            signature: OctetString::new(signature).map_err(malformed)?,
        })
    }

    fn assemble(
        &self,
        content_type: ObjectIdentifier,
        content: Option<&[u8]>,
        signer_info: SignerInfo,
        certificates: Certificates,
    ) -> Result<Vec<u8>, CaError> {
        let assemble = || -> der::Result<Vec<u8>> {
            let chain = match certificates {
                Certificates::Included => Some(self.chain.clone()),
                Certificates::SignerAlone => Some(self.chain.iter().take(1).cloned().collect()),
                Certificates::Omitted => None,
            };
            let signed_data = SignedData {
                // Section 5.1: the issuer and serial number of the signer ask for no more than 1.
                version: if content_type == rfc5911::ID_DATA { 1 } else { 3 },
                digest_algorithms: SetOfVec::try_from(vec![signer_info.digest_algorithm.clone()])?,
                content: EncapsulatedContentInfo {
                    content_type,
                    content: content.map(|content| OctetString::new(content.to_vec())).transpose()?,
                },
                certificates: chain.map(SetOfVec::try_from).transpose()?,
                signer_infos: SetOfVec::try_from(vec![signer_info])?,
            };
            ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content: any(&signed_data)? }.to_der()
        };
        assemble().map_err(malformed)
    }
}

/// The content of a `SignedData`, unverified.
///
/// # Errors
/// Not the DER of one with its content inside.
pub fn unverified_content(der: &[u8]) -> Result<Vec<u8>, CaError> {
    let content = signed_data(der)?.content.content.map(|content| content.as_bytes().to_vec());
    content.ok_or_else(|| CaError::malformed("signed data", "its content is not inside"))
}

/// The certificates that travel with a `SignedData`, DER.
///
/// # Errors
/// Not the DER of one.
pub fn enclosed_certificates(der: &[u8]) -> Result<Vec<Vec<u8>>, CaError> {
    let certificates = signed_data(der)?.certificates.map(SetOfVec::into_vec).unwrap_or_default();
    certificates.iter().map(|certificate| certificate.to_der().map_err(malformed)).collect()
}

/// Verifies what is written on a card (SP 800-73-5 Part 1 section 3.1.2.1): one signer, whose certificate this is, over
/// contentType and messageDigest. `content` is what was signed where it is not inside; whether the certificate is
/// believed is another question.
///
/// # Errors
/// [`CaError::NotProven`], or not the DER of a `SignedData`.
pub fn verify_for_card(
    der: &[u8],
    content_type: ObjectIdentifier,
    content: Option<&[u8]>,
    certificate: &Certificate,
) -> Result<(), CaError> {
    let signed = signed_data(der)?;
    let inside = signed.content.content.as_ref().map(OctetString::as_bytes);
    let content = content.or(inside).ok_or(CaError::NotProven("what was signed is not there"))?;
    let [info] = signed.signer_infos.as_slice() else {
        return Err(CaError::NotProven("there is not exactly one signer"));
    };
    let tbs = certificate.tbs();
    let signer =
        IssuerAndSerialNumber { issuer: tbs.issuer.clone(), serial_number: tbs.serial_number.clone() };
    if info.identifier != signer {
        return Err(CaError::NotProven("the signer is another"));
    }
    let attributes = info.signed_attributes.as_ref().ok_or(CaError::NotProven("nothing is signed"))?;
    let digest = algorithm::digest_named(&info.digest_algorithm)?;
    let message_digest = OctetString::new(Digester::digest(digest, content)).map_err(malformed)?;
    let says = [
        attribute(rfc5911::ID_CONTENT_TYPE, &content_type).map_err(malformed)?,
        attribute(rfc5911::ID_MESSAGE_DIGEST, &message_digest).map_err(malformed)?,
    ];
    let is_about_this = signed.content.content_type == content_type
        && says.iter().all(|wanted| attributes.iter().any(|attribute| attribute == wanted));
    if !is_about_this {
        return Err(CaError::NotProven("something else was signed"));
    }
    let scheme = match info.signature_algorithm.oid {
        rfc5912::RSA_ENCRYPTION => SignatureScheme::RsaPkcs1(digest),
        _ => algorithm::scheme(&info.signature_algorithm).ok_or_else(|| {
            CaError::Unsupported(format!("the signature algorithm {}", info.signature_algorithm.oid))
        })?,
    };
    let hash = Digester::digest(algorithm::digest_of(scheme)?, &attributes.to_der().map_err(malformed)?);
    verify_signature(certificate.public_key(), scheme, &hash, info.signature.as_bytes())
}

fn signed_data(der: &[u8]) -> Result<SignedData, CaError> {
    let outer = ContentInfo::from_der(der).map_err(malformed)?;
    if outer.content_type != rfc5911::ID_SIGNED_DATA {
        return Err(CaError::malformed("signed data", "it is something else"));
    }
    outer.content.decode_as().map_err(malformed)
}

/// The signer's certificate, named by its SHA-256 (the default, therefore absent), issuer and serial number.
fn signing_certificate(
    certificate: &Certificate,
    identifier: &IssuerAndSerialNumber,
) -> Result<Attribute, CaError> {
    let hash = Digester::digest(DigestAlgorithm::Sha256, certificate.as_der());
    let attribute = || -> der::Result<Attribute> {
        let identified = EssCertIdV2 {
            certificate_hash: OctetString::new(hash)?,
            issuer_serial: IssuerSerial {
                issuer: vec![GeneralName::DirectoryName(identifier.issuer.clone())],
                serial_number: identifier.serial_number.clone(),
            },
        };
        attribute(ID_AA_SIGNING_CERTIFICATE_V2, &SigningCertificateV2 { certificates: vec![identified] })
    };
    attribute().map_err(malformed)
}

fn attribute<T: Encode + Tagged + EncodeValue>(oid: ObjectIdentifier, value: &T) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![any(value)?])? })
}

fn any<T: Encode>(value: &T) -> der::Result<Any> {
    Any::from_der(&value.to_der()?)
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("signed data", error)
}

/// ```text
/// ContentInfo ::= SEQUENCE {
///   contentType ContentType,
///   content [0] EXPLICIT ANY DEFINED BY contentType }
/// ```
#[derive(Sequence)]
struct ContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: Any,
}

/// ```text
/// SignedData ::= SEQUENCE {
///   version CMSVersion,
///   digestAlgorithms DigestAlgorithmIdentifiers,
///   encapContentInfo EncapsulatedContentInfo,
///   certificates [0] IMPLICIT CertificateSet OPTIONAL,
///   crls [1] IMPLICIT RevocationInfoChoices OPTIONAL,
///   signerInfos SignerInfos }
/// ```
#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    content: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    signer_infos: SetOfVec<SignerInfo>,
}

/// ```text
/// EncapsulatedContentInfo ::= SEQUENCE {
///   eContentType ContentType,
///   eContent [0] EXPLICIT OCTET STRING OPTIONAL }
/// ```
#[derive(Sequence)]
struct EncapsulatedContentInfo {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    content: Option<OctetString>,
}

/// ```text
/// SignerInfo ::= SEQUENCE {
///   version CMSVersion,
///   sid SignerIdentifier,
///   digestAlgorithm DigestAlgorithmIdentifier,
///   signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL,
///   signatureAlgorithm SignatureAlgorithmIdentifier,
///   signature SignatureValue,
///   unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }
/// ```
#[derive(Sequence, der::ValueOrd)]
struct SignerInfo {
    version: u8,
    identifier: IssuerAndSerialNumber,
    digest_algorithm: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    signed_attributes: Option<SetOfVec<Attribute>>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: OctetString,
}

/// ```text
/// IssuerAndSerialNumber ::= SEQUENCE {
///   issuer Name,
///   serialNumber CertificateSerialNumber }
/// ```
#[derive(Clone, PartialEq, Eq, Sequence, der::ValueOrd)]
struct IssuerAndSerialNumber {
    issuer: Name,
    serial_number: Int,
}

/// ```text
/// SigningCertificateV2 ::= SEQUENCE {
///   certs SEQUENCE OF ESSCertIDv2,
///   policies SEQUENCE OF PolicyInformation OPTIONAL }
/// ```
#[derive(Sequence)]
struct SigningCertificateV2 {
    certificates: Vec<EssCertIdV2>,
}

/// ```text
/// ESSCertIDv2 ::= SEQUENCE {
///   hashAlgorithm AlgorithmIdentifier DEFAULT {algorithm id-sha256},
///   certHash Hash,
///   issuerSerial IssuerSerial OPTIONAL }
/// ```
#[derive(Sequence)]
struct EssCertIdV2 {
    certificate_hash: OctetString,
    issuer_serial: IssuerSerial,
}

/// ```text
/// IssuerSerial ::= SEQUENCE {
///   issuer GeneralNames,
///   serialNumber CertificateSerialNumber }
/// ```
#[derive(Sequence)]
struct IssuerSerial {
    issuer: Vec<GeneralName>,
    serial_number: Int,
}

/// pivSigner-DN, FIPS 201-3 appendix B.
const PIV_SIGNER_DN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.6.5");
/// id-aa-signingCertificateV2, RFC 5035 section 3.
const ID_AA_SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
