//! EnvelopedData and AuthEnvelopedData, written (RFC 5652 section 6, RFC 5083, RFC 5753).
use std::io::{self, Read, Write};

use der::Encode;
use getrandom::SysRng;
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::content_cipher::{ContentEncryption, ContentTooLong, Sealing, TAG_LENGTH};
use super::der_rope::open_element;
use super::key_transport::KeyTransport;
use super::object_identifiers::{ID_CT_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA};
use super::{content_info, key_agreement, key_transport};
use crate::certificate::Certificate;
use crate::certificate::public_key::{PublicKeyKind, public_key_kind};
use crate::certificate::tlv::{element, set_of, tag};
use crate::content::{Content, Spool};

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

/// An envelope whose keys are wrapped and whose content is encrypted while it is written.
pub struct Encrypted {
    /// `enveloped-data` or `authEnveloped-data` (RFC 8551 section 3.2.2).
    pub smime_type: &'static str,
    content: Content,
    encryption: ContentEncryption,
    key: Zeroizing<Vec<u8>>,
    /// Initialization vector or nonce.
    iv: Vec<u8>,
    /// Everything before the encrypted content.
    head: Vec<u8>,
    length: u64,
}

impl Encrypted {
    /// How many octets [`Self::write_to`] writes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Never: an envelope has recipients.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Encrypts the content in one pass and writes the DER of the `ContentInfo`.
    ///
    /// # Errors
    /// Those of the content and of `out`.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut sealing = Sealing::new(self.encryption, &self.key, &self.iv, &[])
            .ok_or_else(|| io::Error::other("the content key does not fit its algorithm"))?;
        out.write_all(&self.head)?;
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        let mut encrypted = Vec::with_capacity(CHUNK + 16);
        let mut reader = self.content.reader();
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            sealing
                .update(buffer.get(..read).unwrap_or_default(), &mut encrypted)
                .map_err(|ContentTooLong| io::Error::other("the content is too long for its cipher"))?;
            out.write_all(&encrypted)?;
            encrypted.clear();
        }
        let authentication_tag = sealing.finish(&mut encrypted);
        if self.encryption.is_authenticated() {
            encrypted.extend(element(tag::OCTET_STRING, &[&authentication_tag]));
        }
        out.write_all(&encrypted)
    }

    /// The whole envelope, spooled.
    ///
    /// # Errors
    /// Those of the content and of the temporary file.
    pub fn into_content(self) -> io::Result<Content> {
        let mut spool = Spool::new();
        self.write_to(&mut spool)?;
        spool.finish()
    }
}

impl std::fmt::Debug for Encrypted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Encrypted({}, {} octets)", self.smime_type, self.len())
    }
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
        "cannot encrypt to {who}: its key is {algorithm}, and only RSA (2048 bits or more), P-256, P-384 and X25519 are supported"
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
    /// The content could not be read.
    #[error("the content cannot be read: {0}")]
    Io(#[from] io::Error),
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
            Self::Io(_) => "input-output",
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
    content: &Content,
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
    content: &Content,
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
    let encryption = if authenticated { ContentEncryption::Aes256Gcm } else { ContentEncryption::Aes256Cbc };
    let mut content_key = Zeroizing::new(vec![0_u8; encryption.key_length()]);
    random.try_fill_bytes(&mut content_key).map_err(|_| EncryptError::Randomness)?;
    let transport = if authenticated { KeyTransport::OaepSha256 } else { KeyTransport::Pkcs1v15 };
    let infos = recipients
        .iter()
        .map(|recipient| recipient_info(&recipient.certificate, transport, &content_key, random))
        .collect::<Result<Vec<Vec<u8>>, EncryptError>>()?;
    envelope(content, infos, content_key, encryption, random)
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
        kind @ (PublicKeyKind::P256 | PublicKeyKind::P384 | PublicKeyKind::X25519) => {
            key_agreement::write(certificate, kind, content_key, random)
        }
        other => Err(unsupported(format!("{other:?}"))),
    }
}

/// ```text
/// EnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, encryptedContentInfo EncryptedContentInfo,
///     unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
/// AuthEnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, authEncryptedContentInfo EncryptedContentInfo,
///     authAttrs [1] IMPLICIT AuthAttributes OPTIONAL, mac MessageAuthenticationCode,
///     unauthAttrs [2] IMPLICIT UnauthAttributes OPTIONAL }
/// EncryptedContentInfo ::= SEQUENCE { contentType ContentType, contentEncryptionAlgorithm AlgorithmIdentifier,
///     encryptedContent [0] IMPLICIT OCTET STRING OPTIONAL }
/// ```
fn envelope<R: TryCryptoRng>(
    content: &Content,
    infos: Vec<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    encryption: ContentEncryption,
    random: &mut R,
) -> Result<Encrypted, EncryptError> {
    let mut iv = vec![0_u8; encryption.iv_length()];
    random.try_fill_bytes(&mut iv).map_err(|_| EncryptError::Randomness)?;
    let authenticated = encryption.is_authenticated();
    if authenticated && content.len() > LONGEST_AUTHENTICATED {
        return Err(EncryptError::TooLong);
    }
    let encrypted_length = encryption.encrypted_length(content.len());
    let after = if authenticated { TAG_LENGTH as u64 + 2 } else { 0 };
    let rest = encrypted_length + after;
    let algorithm = content_info::algorithm(encryption.identifier(), &encryption.parameters(&iv))?;
    let encrypted = open_element(tag::context(0), &[], encrypted_length);
    let info = [ID_DATA.to_der()?, algorithm, encrypted].concat();
    let info = open_element(tag::SEQUENCE, &info, encrypted_length);
    // RFC 5652 section 6.1: version 0 if every recipient is one of key transport by issuer and serial number, else 2;
    // RFC 5083 section 2.1: always 0.
    let only_transport = infos.iter().all(|info| info.first() == Some(&tag::SEQUENCE));
    let version = if authenticated || only_transport { 0 } else { 2 };
    let head = [&[tag::INTEGER, 1, version][..], &set_of(tag::SET, infos), &info].concat();
    let head = open_element(tag::SEQUENCE, &head, rest);
    let head = open_element(tag::context_constructed(0), &head, rest);
    let (content_type, smime_type) = if authenticated {
        (ID_CT_AUTH_ENVELOPED_DATA, "authEnveloped-data")
    } else {
        (ID_ENVELOPED_DATA, "enveloped-data")
    };
    let head = open_element(tag::SEQUENCE, &[content_type.to_der()?, head].concat(), rest);
    let length = head.len() as u64 + rest;
    Ok(Encrypted { smime_type, content: content.clone(), encryption, key, iv, head, length })
}

/// What one key and nonce may encrypt: AES-GCM 2^39 - 256 bits (SP 800-38D section 5.2.1.1).
const LONGEST_AUTHENTICATED: u64 = (1 << 36) - 32;
const CHUNK: usize = 64 * 1024;
