//! SignedData, written (RFC 5652 section 5, RFC 8551 section 3.5).
use der::Encode;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::object_identifiers::{ID_DATA, ID_SIGNED_DATA, SHA256};
use super::{attributes, content_info};
use crate::certificate::signature::{self, ECDSA_WITH_SHA256, PublicKeyKind, SHA256_WITH_RSA, Scheme};
use crate::certificate::tlv::{element, set_of, tag};
use crate::certificate::{Certificate, DigestAlgorithm};
use crate::keys::{KeyError, SignatureScheme, Signer, key_error_code};

/// Whether the content travels inside the CMS object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `multipart/signed`: the content stays outside.
    Detached,
    /// `application/pkcs7-mime; smime-type=signed-data`: the content is inside.
    Opaque,
}

/// The `micalg` parameter that belongs to our signatures (RFC 8551 section 3.5.3.2).
pub const MICALG: &str = "sha-256";

const NULL: [u8; 2] = [0x05, 0x00];
const VERSION_1: [u8; 3] = [0x02, 0x01, 0x01];

/// Who signs.
pub struct SigningIdentity<'a> {
    /// The private key.
    pub signer: &'a mut dyn Signer,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// CA certificates to send along.
    pub intermediates: &'a [Certificate],
}

/// Why no signature was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The card or the key refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate's key is of a kind that we do not sign with.
    #[error("the signing certificate's key is not supported: {0}; RSA and P-256 are")]
    UnsupportedKey(String),
    /// The signature just made does not verify with the certificate.
    #[error(
        "the signature does not match the signing certificate, so the card holds another key than its certificate says; take it to the issuance desk"
    )]
    WrongKey,
    /// Could not be encoded.
    #[error("the signature could not be encoded: {0}")]
    Encoding(#[from] der::Error),
}

impl SignError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => key_error_code(error),
            Self::UnsupportedKey(_) => "unsupported-key",
            Self::WrongKey => "wrong-key",
            Self::Encoding(_) => "not-encodable",
        }
    }
}

/// Signs canonical MIME content; answers the DER of the `ContentInfo`.
///
/// The finished signature is verified with the certificate before it is handed out.
///
/// # Errors
/// See [`SignError`].
pub fn sign(
    content: &[u8],
    form: Form,
    identity: SigningIdentity<'_>,
    signing_time: Timestamp,
) -> Result<Vec<u8>, SignError> {
    let prepared =
        PreparedSignature::new(Sha256::digest(content).into(), identity.certificate, signing_time)?;
    let value = identity.signer.sign(prepared.scheme(), prepared.digest())?;
    let inside = (form == Form::Opaque).then_some(content);
    prepared.finish(&value, inside, identity.intermediates)
}

/// A signature whose signed attributes are fixed and whose value is still to come from the card.
pub struct PreparedSignature {
    certificate: Certificate,
    scheme: Scheme,
    digest_algorithm: Vec<u8>,
    signature_algorithm: Vec<u8>,
    /// DER of the SET OF signed attributes, tag 31.
    attributes: Vec<u8>,
    digest: Vec<u8>,
}

impl PreparedSignature {
    /// Fixes the signed attributes for content with this SHA-256 digest.
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn new(
        content_digest: [u8; 32],
        certificate: &Certificate,
        signing_time: Timestamp,
    ) -> Result<Self, SignError> {
        let scheme = match signature::public_key_kind(certificate.public_key()) {
            Ok(PublicKeyKind::Rsa) => Scheme::RsaPkcs1(DigestAlgorithm::Sha256),
            Ok(PublicKeyKind::P256) => Scheme::Ecdsa(DigestAlgorithm::Sha256),
            Ok(PublicKeyKind::P384) => {
                return Err(SignError::UnsupportedKey("the elliptic curve P-384".to_owned()));
            }
            Err(algorithm) => return Err(SignError::UnsupportedKey(algorithm)),
        };
        let signature_algorithm = match scheme {
            Scheme::RsaPkcs1(_) => content_info::algorithm(SHA256_WITH_RSA, &NULL)?,
            Scheme::Ecdsa(_) => content_info::algorithm(ECDSA_WITH_SHA256, &[])?,
        };
        let digest_algorithm = content_info::algorithm(SHA256, &[])?;
        let attributes = attributes::write(
            ID_DATA,
            &content_digest,
            certificate,
            signing_time,
            &digest_algorithm,
            &signature_algorithm,
        )?;
        let digest = Sha256::digest(&attributes).to_vec();
        Ok(Self {
            certificate: certificate.clone(),
            scheme,
            digest_algorithm,
            signature_algorithm,
            attributes,
            digest,
        })
    }

    /// How the key signs.
    pub fn scheme(&self) -> SignatureScheme {
        match self.scheme {
            Scheme::RsaPkcs1(_) => SignatureScheme::RsaPkcs1(crate::keys::DigestAlgorithm::Sha256),
            Scheme::Ecdsa(_) => SignatureScheme::Ecdsa(crate::keys::DigestAlgorithm::Sha256),
        }
    }

    /// The SHA-256 digest of the signed attributes: what the key signs.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Puts the signature value in; `content` goes inside for the opaque form. Answers the DER of the `ContentInfo`.
    ///
    /// # Errors
    /// [`SignError::WrongKey`] when the value does not verify with the certificate.
    pub fn finish(
        self,
        signature: &[u8],
        content: Option<&[u8]>,
        intermediates: &[Certificate],
    ) -> Result<Vec<u8>, SignError> {
        signature::verify_digest(self.certificate.public_key(), self.scheme, &self.digest, signature)
            .map_err(|_| SignError::WrongKey)?;
        let encapsulated = match content {
            Some(content) => element(tag::context_constructed(0), &[&element(tag::OCTET_STRING, &[content])]),
            None => Vec::new(),
        };
        let mut certificates = vec![self.certificate.der().to_vec()];
        certificates.extend(intermediates.iter().map(|certificate| certificate.der().to_vec()));
        certificates.sort();
        certificates.dedup();
        let signed_data = element(
            tag::SEQUENCE,
            &[
                &VERSION_1,
                &element(tag::SET, &[&self.digest_algorithm]),
                &element(tag::SEQUENCE, &[&ID_DATA.to_der()?, &encapsulated]),
                &set_of(tag::context_constructed(0), certificates),
                &element(tag::SET, &[&self.signer_info(signature)?]),
            ],
        );
        Ok(content_info::write(ID_SIGNED_DATA, &signed_data)?)
    }

    /// ```text
    /// SignerInfo ::= SEQUENCE { version CMSVersion, sid SignerIdentifier, digestAlgorithm DigestAlgorithmIdentifier,
    ///     signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL, signatureAlgorithm SignatureAlgorithmIdentifier,
    ///     signature SignatureValue, unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }
    /// ```
    fn signer_info(&self, signature: &[u8]) -> Result<Vec<u8>, SignError> {
        let serial = element(tag::INTEGER, &[self.certificate.serial_octets()]);
        let issuer_and_serial = element(tag::SEQUENCE, &[&self.certificate.issuer_der()?, &serial]);
        let mut attributes = self.attributes.clone();
        if let Some(identifier) = attributes.first_mut() {
            *identifier = tag::context_constructed(0);
        }
        let signature = element(tag::OCTET_STRING, &[signature]);
        let parts: [&[u8]; 6] = [
            &VERSION_1,
            &issuer_and_serial,
            &self.digest_algorithm,
            &attributes,
            &self.signature_algorithm,
            &signature,
        ];
        Ok(element(tag::SEQUENCE, &parts))
    }
}
