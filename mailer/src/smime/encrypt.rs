//! EnvelopedData and AuthEnvelopedData, written (RFC 5652 section 6, RFC 5083, RFC 5753).
use der::Encode;
use getrandom::SysRng;
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::content_cipher::{IV_LENGTH, NONCE_LENGTH, encrypt_cbc, encrypt_gcm, gcm_parameters};
use super::key_transport::KeyTransport;
use super::object_identifiers::{
    AES_256_CBC, AES_256_GCM, ID_CT_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA,
};
use super::{content_info, key_agreement, key_transport};
use crate::certificate::Certificate;
use crate::certificate::signature::{PublicKeyKind, public_key_kind};
use crate::certificate::tlv::{element, set_of, tag};

/// How content and keys are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enveloping {
    /// Authenticated if every recipient is ours, compatible otherwise.
    Automatic,
    /// AES-256-GCM in AuthEnvelopedData; RSA-OAEP with SHA-256, or ECDH.
    Authenticated,
    /// AES-256-CBC in EnvelopedData; RSA PKCS #1 v1.5, or ECDH. CBC proves nothing about the content: only ever
    /// around a signature.
    Compatible,
}

/// A certificate to encrypt to.
#[derive(Clone, Debug)]
pub struct Recipient {
    certificate: Certificate,
    ours: bool,
}

impl Recipient {
    /// Takes a certificate that nobody checked; `ours` says that its holder can read what our own users can.
    pub fn unchecked(certificate: Certificate, ours: bool) -> Self {
        Self { certificate, ours }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// The finished envelope.
#[derive(Debug)]
pub struct Encrypted {
    /// DER of the `ContentInfo`.
    pub der: Vec<u8>,
    /// `enveloped-data` or `authEnveloped-data` (RFC 8551 section 3.2.2).
    pub smime_type: &'static str,
}

/// Why no envelope was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptError {
    /// No recipient.
    #[error("there is nobody to encrypt to")]
    NoRecipient,
    /// A recipient's key is of a kind that we cannot encrypt to.
    #[error(
        "cannot encrypt to {who}: its key is {algorithm}, and only RSA (2048 bits or more) and P-256 are supported"
    )]
    UnsupportedKey {
        /// The recipient.
        who: String,
        /// The key's algorithm.
        algorithm: String,
    },
    /// The computer gave no randomness.
    #[error("the system's random source failed")]
    Randomness,
    /// The content is longer than AES-GCM allows.
    #[error("the message is too long to encrypt")]
    TooLong,
    /// Could not be encoded.
    #[error("the envelope could not be encoded: {0}")]
    Encoding(#[from] der::Error),
}

impl EncryptError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRecipient => "no-recipient",
            Self::UnsupportedKey { .. } => "unsupported-key",
            Self::Randomness => "no-randomness",
            Self::TooLong => "too-long",
            Self::Encoding(_) => "not-encodable",
        }
    }
}

/// Encrypts content to every recipient; randomness comes from the system.
///
/// All recipients can see each other's issuer and serial number: a blind copy needs an envelope of its own.
///
/// # Errors
/// See [`EncryptError`].
pub fn encrypt(
    content: &[u8],
    recipients: &[Recipient],
    enveloping: Enveloping,
) -> Result<Encrypted, EncryptError> {
    encrypt_with(content, recipients, enveloping, &mut SysRng)
}

/// The same, with randomness handed in.
///
/// # Errors
/// See [`EncryptError`].
pub fn encrypt_with<R: TryCryptoRng>(
    content: &[u8],
    recipients: &[Recipient],
    enveloping: Enveloping,
    random: &mut R,
) -> Result<Encrypted, EncryptError> {
    if recipients.is_empty() {
        return Err(EncryptError::NoRecipient);
    }
    let authenticated = match enveloping {
        Enveloping::Automatic => recipients.iter().all(|recipient| recipient.ours),
        Enveloping::Authenticated => true,
        Enveloping::Compatible => false,
    };
    let mut content_key = Zeroizing::new([0_u8; 32]);
    random.try_fill_bytes(content_key.as_mut_slice()).map_err(|_| EncryptError::Randomness)?;
    let transport = if authenticated { KeyTransport::OaepSha256 } else { KeyTransport::Pkcs1v15 };
    let infos = recipients
        .iter()
        .map(|recipient| recipient_info(&recipient.certificate, transport, content_key.as_slice(), random))
        .collect::<Result<Vec<Vec<u8>>, EncryptError>>()?;
    if authenticated {
        auth_enveloped_data(content, infos, &content_key, random)
    } else {
        enveloped_data(content, infos, &content_key, random)
    }
}

fn recipient_info<R: TryCryptoRng>(
    certificate: &Certificate,
    transport: KeyTransport,
    content_key: &[u8],
    random: &mut R,
) -> Result<Vec<u8>, EncryptError> {
    let unsupported = |algorithm| EncryptError::UnsupportedKey { who: certificate.subject(), algorithm };
    match public_key_kind(certificate.public_key()).map_err(unsupported)? {
        PublicKeyKind::Rsa => key_transport::write(certificate, transport, content_key, random),
        PublicKeyKind::P256 => key_agreement::write(certificate, content_key, random),
        PublicKeyKind::P384 => Err(unsupported("on the elliptic curve P-384".to_owned())),
    }
}

/// ```text
/// EnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, encryptedContentInfo EncryptedContentInfo,
///     unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
/// ```
fn enveloped_data<R: TryCryptoRng>(
    content: &[u8],
    infos: Vec<Vec<u8>>,
    content_key: &[u8; 32],
    random: &mut R,
) -> Result<Encrypted, EncryptError> {
    let mut iv = [0_u8; IV_LENGTH];
    random.try_fill_bytes(&mut iv).map_err(|_| EncryptError::Randomness)?;
    let algorithm = content_info::algorithm(AES_256_CBC, &element(tag::OCTET_STRING, &[&iv]))?;
    let encrypted = encrypt_cbc(content_key, &iv, content);
    // RFC 5652 section 6.1: version 0 if every recipient is one of key transport by issuer and serial number, else 2.
    let version = if infos.iter().all(|info| info.first() == Some(&tag::SEQUENCE)) { 0 } else { 2 };
    let enveloped = element(
        tag::SEQUENCE,
        &[
            &[tag::INTEGER, 1, version],
            &set_of(tag::SET, infos),
            &encrypted_content_info(&algorithm, &encrypted)?,
        ],
    );
    Ok(Encrypted { der: content_info::write(ID_ENVELOPED_DATA, &enveloped)?, smime_type: "enveloped-data" })
}

/// ```text
/// AuthEnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, authEncryptedContentInfo EncryptedContentInfo,
///     authAttrs [1] IMPLICIT AuthAttributes OPTIONAL, mac MessageAuthenticationCode,
///     unauthAttrs [2] IMPLICIT UnauthAttributes OPTIONAL }
/// ```
fn auth_enveloped_data<R: TryCryptoRng>(
    content: &[u8],
    infos: Vec<Vec<u8>>,
    content_key: &[u8; 32],
    random: &mut R,
) -> Result<Encrypted, EncryptError> {
    let mut nonce = [0_u8; NONCE_LENGTH];
    random.try_fill_bytes(&mut nonce).map_err(|_| EncryptError::Randomness)?;
    let algorithm = content_info::algorithm(AES_256_GCM, &gcm_parameters(&nonce))?;
    let (encrypted, authentication_tag) =
        encrypt_gcm(content_key, &nonce, content).ok_or(EncryptError::TooLong)?;
    let enveloped = element(
        tag::SEQUENCE,
        &[
            &[tag::INTEGER, 1, 0],
            &set_of(tag::SET, infos),
            &encrypted_content_info(&algorithm, &encrypted)?,
            &element(tag::OCTET_STRING, &[&authentication_tag]),
        ],
    );
    Ok(Encrypted {
        der: content_info::write(ID_CT_AUTH_ENVELOPED_DATA, &enveloped)?,
        smime_type: "authEnveloped-data",
    })
}

fn encrypted_content_info(algorithm: &[u8], encrypted: &[u8]) -> der::Result<Vec<u8>> {
    Ok(element(tag::SEQUENCE, &[&ID_DATA.to_der()?, algorithm, &element(tag::context(0), &[encrypted])]))
}
