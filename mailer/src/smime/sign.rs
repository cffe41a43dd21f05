//! SignedData, written (RFC 5652 section 5, RFC 8551 section 3.5).
use std::io::Read;

use const_oid::ObjectIdentifier;
use der::Encode;
use jiff::Timestamp;
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::attribute_plan::SignedAttributesPlan;
use super::attributes::attribute_type;
use super::content_info;
use super::der_rope::open_element;
use super::object_identifiers::{ID_DATA, ID_SIGNED_DATA};
use crate::certificate::public_key::{ED25519, PublicKeyKind, RSASSA_PSS, public_key_kind};
use crate::certificate::rsa_pss::PssParameters;
use crate::certificate::signature::{
    self, ECDSA_WITH_SHA256, ECDSA_WITH_SHA384, ECDSA_WITH_SHA512, Message, SHA256_WITH_RSA, Scheme,
};
use crate::certificate::tlv::{element, set_of, tag};
use crate::certificate::{Acceptance, Certificate, DigestAlgorithm, RunningDigest};
use crate::content::Content;
use crate::keys::{self, KeyError, SignatureScheme, Signer, key_error_code};

/// Whether the content travels inside the CMS object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `multipart/signed`: the content stays outside.
    Detached,
    /// `application/pkcs7-mime; smime-type=signed-data`: the content is inside.
    Opaque,
}

/// How RSA keys sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaPadding {
    /// RSASSA-PKCS1-v1_5, which every mail program reads.
    #[default]
    Pkcs1v15,
    /// RSASSA-PSS with SHA-256 and a salt of 32 octets (RFC 4056).
    Pss,
}

const NULL: [u8; 2] = [0x05, 0x00];
const VERSION_1: [u8; 3] = [0x02, 0x01, 0x01];
const VERSION_3: [u8; 3] = [0x02, 0x01, 0x03];
const CHUNK: usize = 64 * 1024;

/// Who signs.
pub struct SigningIdentity<'a> {
    /// The private key.
    pub signer: &'a mut dyn Signer,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// CA certificates to send along.
    pub intermediates: &'a [Certificate],
    /// How, if the key is RSA.
    pub rsa_padding: RsaPadding,
}

/// Why no signature was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The card or the key refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate's key is of a kind that we do not sign with.
    #[error("the signing certificate's key is not supported: {0}; RSA, P-256, P-384, P-521 and Ed25519 are")]
    UnsupportedKey(String),
    /// The signature just made does not verify with the certificate.
    #[error(
        "the signature does not match the signing certificate, so the card holds another key than its certificate says; take it to the issuance desk"
    )]
    WrongKey,
    /// A further attribute cannot be read.
    #[error("an attribute for the signature is no attribute in DER")]
    MalformedAttribute,
    /// A further attribute is of a type that stands there already (RFC 5652 section 5.3).
    #[error("the signed attribute {0} would stand in the signature twice")]
    AttributeTwice(ObjectIdentifier),
    /// Could not be encoded.
    #[error("the signature could not be encoded: {0}")]
    Encoding(#[from] der::Error),
    /// The content could not be read.
    #[error("the content cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl SignError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => key_error_code(error),
            Self::UnsupportedKey(_) => "unsupported-key",
            Self::WrongKey => "wrong-key",
            Self::MalformedAttribute => "attribute-malformed",
            Self::AttributeTwice(_) => "attribute-twice",
            Self::Encoding(_) => "not-encodable",
            Self::Io(_) => "input-output",
        }
    }
}

/// The algorithms that one key signs mail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningAlgorithm(Scheme);

impl SigningAlgorithm {
    /// The algorithm for a key: each curve with the digest of its strength (RFC 5754, RFC 8419), RSA with SHA-256.
    ///
    /// # Errors
    /// [`SignError::UnsupportedKey`].
    pub fn of(key: &SubjectPublicKeyInfoOwned, rsa_padding: RsaPadding) -> Result<Self, SignError> {
        let kind = public_key_kind(key).map_err(SignError::UnsupportedKey)?;
        let sha256 = DigestAlgorithm::Sha256;
        Ok(Self(match (kind, rsa_padding) {
            (PublicKeyKind::Rsa, RsaPadding::Pkcs1v15) => Scheme::RsaPkcs1(sha256),
            (PublicKeyKind::Rsa, RsaPadding::Pss) => Scheme::RsaPss(PssParameters::with(sha256)),
            (PublicKeyKind::P256, _) => Scheme::Ecdsa(sha256),
            (PublicKeyKind::P384, _) => Scheme::Ecdsa(DigestAlgorithm::Sha384),
            (PublicKeyKind::P521, _) => Scheme::Ecdsa(DigestAlgorithm::Sha512),
            (PublicKeyKind::Ed25519, _) => Scheme::Ed25519,
            (PublicKeyKind::RsaPss, _) => {
                return Err(SignError::UnsupportedKey("an RSA key for RSASSA-PSS only".to_owned()));
            }
            (PublicKeyKind::X25519, _) => return Err(SignError::UnsupportedKey("X25519".to_owned())),
            (PublicKeyKind::Dsa, _) => return Err(SignError::UnsupportedKey("DSA".to_owned())),
        }))
    }

    /// The digest of the content.
    pub fn digest(self) -> DigestAlgorithm {
        self.0.digest()
    }

    /// The `micalg` parameter that belongs to it (RFC 8551 section 3.5.3.2).
    pub fn micalg(self) -> &'static str {
        match self.digest() {
            DigestAlgorithm::Sha1 => "sha-1",
            DigestAlgorithm::Sha224 => "sha-224",
            DigestAlgorithm::Sha256 => "sha-256",
            DigestAlgorithm::Sha384 => "sha-384",
            DigestAlgorithm::Sha512 => "sha-512",
        }
    }

    /// In a word for programs: `rsa-sha256`, `rsa-pss-sha256`, `ecdsa-sha384`, `ed25519`.
    pub fn name(self) -> String {
        let digest = self.micalg().replace('-', "");
        match self.0 {
            Scheme::RsaPkcs1(_) => format!("rsa-{digest}"),
            Scheme::RsaPss(_) => format!("rsa-pss-{digest}"),
            Scheme::Ecdsa(_) => format!("ecdsa-{digest}"),
            Scheme::Dsa(_) => format!("dsa-{digest}"),
            Scheme::Ed25519 => "ed25519".to_owned(),
        }
    }

    /// How the key is asked.
    fn for_key(self) -> Result<SignatureScheme, SignError> {
        let digest = match self.digest() {
            DigestAlgorithm::Sha256 => keys::DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384 => keys::DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512 => keys::DigestAlgorithm::Sha512,
            weak => return Err(SignError::UnsupportedKey(format!("a signature with {weak}"))),
        };
        match self.0 {
            Scheme::RsaPkcs1(_) => Ok(SignatureScheme::RsaPkcs1(digest)),
            Scheme::RsaPss(_) => Ok(SignatureScheme::RsaPss(digest)),
            Scheme::Ecdsa(_) => Ok(SignatureScheme::Ecdsa(digest)),
            Scheme::Ed25519 => Ok(SignatureScheme::Ed25519),
            Scheme::Dsa(_) => Err(SignError::UnsupportedKey("DSA".to_owned())),
        }
    }

    /// The AlgorithmIdentifier of the signature.
    fn identifier(self) -> der::Result<Vec<u8>> {
        match self.0 {
            // RFC 5754 section 3.2 would allow rsaEncryption; the full name says more.
            Scheme::RsaPkcs1(_) => content_info::algorithm(SHA256_WITH_RSA, &NULL),
            Scheme::RsaPss(parameters) => content_info::algorithm(RSASSA_PSS, &parameters.write()?),
            Scheme::Ecdsa(DigestAlgorithm::Sha384) => content_info::algorithm(ECDSA_WITH_SHA384, &[]),
            Scheme::Ecdsa(DigestAlgorithm::Sha512) => content_info::algorithm(ECDSA_WITH_SHA512, &[]),
            Scheme::Ecdsa(_) => content_info::algorithm(ECDSA_WITH_SHA256, &[]),
            Scheme::Ed25519 | Scheme::Dsa(_) => content_info::algorithm(ED25519, &[]),
        }
    }
}

/// Signs canonical MIME content; answers the DER of the `ContentInfo`. Opaque content becomes part of the answer without
/// being copied.
///
/// The finished signature is verified with the certificate before it is handed out.
///
/// # Errors
/// See [`SignError`].
pub fn sign(
    content: &Content,
    form: Form,
    identity: SigningIdentity<'_>,
    signing_time: Timestamp,
) -> Result<Content, SignError> {
    let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
    let digest = digest(content, algorithm, &mut |_| {})?;
    let certificates = identity.intermediates;
    let made = make(&digest, identity, &SignedAttributesPlan::mail(signing_time))?;
    made.signed_data((form == Form::Opaque).then_some(content), certificates, &[])
}

/// Makes a signature of any kind, for content whose digest, by [`SigningAlgorithm::digest`], is known. The key is used once;
/// what may follow, a time stamp above all, needs it no more.
///
/// # Errors
/// See [`SignError`].
pub fn make(
    content_digest: &[u8],
    identity: SigningIdentity<'_>,
    plan: &SignedAttributesPlan,
) -> Result<MadeSignature, SignError> {
    let algorithm = SigningAlgorithm::of(identity.certificate.public_key(), identity.rsa_padding)?;
    let prepared = PreparedSignature::planned(content_digest, algorithm, identity.certificate, plan)?;
    let value = identity.signer.sign(prepared.scheme(), prepared.to_be_signed())?;
    prepared.checked(value)
}

/// The digest of content that is to be signed; `look` gets all its octets on the way.
///
/// # Errors
/// The content cannot be read.
pub fn digest(
    content: &Content,
    algorithm: SigningAlgorithm,
    look: &mut dyn FnMut(&[u8]),
) -> std::io::Result<Vec<u8>> {
    let mut running = RunningDigest::new(algorithm.digest());
    let mut buffer = Zeroizing::new(vec![0; CHUNK]);
    let mut reader = content.reader();
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(running.finish()),
            read => {
                let octets = buffer.get(..read).unwrap_or_default();
                running.update(octets);
                look(octets);
            }
        }
    }
}

/// A signature whose signed attributes are fixed and whose value is still to come from the card.
pub struct PreparedSignature {
    certificate: Certificate,
    algorithm: SigningAlgorithm,
    scheme: SignatureScheme,
    content_type: ObjectIdentifier,
    digest_algorithm: Vec<u8>,
    signature_algorithm: Vec<u8>,
    /// DER of the SET OF signed attributes, tag 31.
    attributes: Vec<u8>,
    /// Their digest, but for Ed25519.
    digest: Option<Vec<u8>>,
}

impl PreparedSignature {
    /// Fixes the signed attributes of mail for content with this digest (by [`SigningAlgorithm::digest`]).
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn new(
        content_digest: &[u8],
        algorithm: SigningAlgorithm,
        certificate: &Certificate,
        signing_time: Timestamp,
    ) -> Result<Self, SignError> {
        Self::planned(content_digest, algorithm, certificate, &SignedAttributesPlan::mail(signing_time))
    }

    /// Fixes the signed attributes that `plan` wants.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn planned(
        content_digest: &[u8],
        algorithm: SigningAlgorithm,
        certificate: &Certificate,
        plan: &SignedAttributesPlan,
    ) -> Result<Self, SignError> {
        let scheme = algorithm.for_key()?;
        let signature_algorithm = algorithm.identifier()?;
        // RFC 5754 section 2: parameters of the SHA-2 digests are absent.
        let digest_algorithm = content_info::algorithm(algorithm.digest().identifier(), &[])?;
        let attributes = plan.write(content_digest, certificate, &digest_algorithm, &signature_algorithm)?;
        let digest = (scheme != SignatureScheme::Ed25519).then(|| algorithm.digest().digest(&attributes));
        Ok(Self {
            certificate: certificate.clone(),
            algorithm,
            scheme,
            content_type: plan.content_type,
            digest_algorithm,
            signature_algorithm,
            attributes,
            digest,
        })
    }

    /// How the key signs.
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// What the key signs: the digest of the signed attributes, or for Ed25519 the attributes themselves.
    pub fn to_be_signed(&self) -> &[u8] {
        self.digest.as_deref().unwrap_or(&self.attributes)
    }

    /// Takes the signature value and verifies it with the certificate.
    ///
    /// # Errors
    /// [`SignError::WrongKey`] when the value does not verify.
    pub fn checked(self, value: Vec<u8>) -> Result<MadeSignature, SignError> {
        let message = Message::Whole(&self.attributes);
        let key = self.certificate.public_key();
        signature::verify(key, self.algorithm.0, message, &value, Acceptance::Current)
            .map_err(|_| SignError::WrongKey)?;
        Ok(MadeSignature { prepared: self, value })
    }

    /// Puts the signature value in; `content` goes inside for the opaque form. Answers the DER of the `ContentInfo`.
    ///
    /// # Errors
    /// [`SignError::WrongKey`] when the value does not verify with the certificate.
    pub fn finish(
        self,
        signature: &[u8],
        content: Option<&Content>,
        intermediates: &[Certificate],
    ) -> Result<Content, SignError> {
        self.checked(signature.to_vec())?.signed_data(content, intermediates, &[])
    }
}

/// A signature that verifies, to be written as often as needed: without a time stamp, with one, with another.
pub struct MadeSignature {
    prepared: PreparedSignature,
    value: Vec<u8>,
}

impl MadeSignature {
    /// The signature value: what a time stamp of the signature stamps (RFC 3161 appendix A).
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The type of the content.
    pub fn content_type(&self) -> ObjectIdentifier {
        self.prepared.content_type
    }

    /// The signed attributes as the DER of their SET (tag 31).
    pub fn signed_attributes(&self) -> &[u8] {
        &self.prepared.attributes
    }

    /// The digest algorithm of content and attributes.
    pub fn digest_algorithm(&self) -> DigestAlgorithm {
        self.prepared.algorithm.digest()
    }

    /// The DER of the `ContentInfo`, small where no content goes inside; see [`Self::signed_data`].
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn detached(&self, certificates: &[Certificate], unsigned: &[Vec<u8>]) -> Result<Vec<u8>, SignError> {
        let object = self.signed_data(None, certificates, unsigned)?;
        Ok(object.to_vec(usize::MAX)?.map(|octets| octets.to_vec()).unwrap_or_default())
    }

    /// The DER of the `ContentInfo`. `content` goes inside for the opaque form; `certificates` go along beside the signer's
    /// own; `unsigned` are unsigned attributes, each the DER of an `Attribute`.
    ///
    /// # Errors
    /// An unsigned attribute is malformed.
    pub fn signed_data(
        &self,
        content: Option<&Content>,
        certificates: &[Certificate],
        unsigned: &[Vec<u8>],
    ) -> Result<Content, SignError> {
        let own = &self.prepared;
        let mut along = vec![own.certificate.der().to_vec()];
        along.extend(certificates.iter().map(|certificate| certificate.der().to_vec()));
        along.sort();
        along.dedup();
        let mut after = set_of(tag::context_constructed(0), along);
        after.extend(element(tag::SET, &[&self.signer_info(unsigned)?]));

        let inside = content.map_or(0, Content::len);
        let rest = inside + after.len() as u64;
        let mut encapsulated = own.content_type.to_der()?;
        if content.is_some() {
            let octets = open_element(tag::OCTET_STRING, &[], inside);
            encapsulated.extend(open_element(tag::context_constructed(0), &octets, inside));
        }
        // RFC 5652 section 5.1.
        let version = if own.content_type == ID_DATA { VERSION_1 } else { VERSION_3 };
        let head = [
            &version[..],
            &element(tag::SET, &[&own.digest_algorithm]),
            &open_element(tag::SEQUENCE, &encapsulated, inside),
        ]
        .concat();
        let head = open_element(tag::SEQUENCE, &head, rest);
        let head = open_element(tag::context_constructed(0), &head, rest);
        let head = open_element(tag::SEQUENCE, &[ID_SIGNED_DATA.to_der()?, head].concat(), rest);
        Ok(Content::concat([
            Content::from_vec(head),
            content.cloned().unwrap_or_default(),
            Content::from_vec(after),
        ]))
    }

    /// ```text
    /// SignerInfo ::= SEQUENCE { version CMSVersion, sid SignerIdentifier, digestAlgorithm DigestAlgorithmIdentifier,
    ///     signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL, signatureAlgorithm SignatureAlgorithmIdentifier,
    ///     signature SignatureValue, unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }
    /// ```
    fn signer_info(&self, unsigned: &[Vec<u8>]) -> Result<Vec<u8>, SignError> {
        let own = &self.prepared;
        let serial = element(tag::INTEGER, &[own.certificate.serial_octets()]);
        let issuer_and_serial = element(tag::SEQUENCE, &[&own.certificate.issuer_der()?, &serial]);
        let mut attributes = own.attributes.clone();
        if let Some(identifier) = attributes.first_mut() {
            *identifier = tag::context_constructed(0);
        }
        let signature = element(tag::OCTET_STRING, &[&self.value]);
        for attribute in unsigned {
            attribute_type(attribute).map_err(|_| SignError::MalformedAttribute)?;
        }
        let unsigned = match unsigned {
            [] => Vec::new(),
            some => set_of(tag::context_constructed(1), some.to_vec()),
        };
        let parts: [&[u8]; 7] = [
            &VERSION_1,
            &issuer_and_serial,
            &own.digest_algorithm,
            &attributes,
            &own.signature_algorithm,
            &signature,
            &unsigned,
        ];
        Ok(element(tag::SEQUENCE, &parts))
    }
}
