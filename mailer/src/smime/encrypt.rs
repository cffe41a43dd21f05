//! EnvelopedData and AuthEnvelopedData, written (RFC 5652 section 6, RFC 5083, RFC 5753).
use std::io::{self, Read, Write};

use der::Encode;
use getrandom::SysRng;
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::algorithm_choice::{AlgorithmChoice, EphemeralCurve, KeyEncryption};
use super::capabilities::Capabilities;
use super::content_cipher::{ContentTooLong, Sealing, TAG_LENGTH};
use super::der_rope::open_element;
use super::object_identifiers::{ID_CT_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA};
use super::{content_info, key_agreement, key_transport};
use crate::certificate::Certificate;
use crate::certificate::public_key::PublicKeyKind;
use crate::certificate::tlv::{element, set_of, tag};
use crate::content::{Content, Spool};

/// How content and keys are protected; see [`super::AlgorithmChoice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enveloping {
    /// The best that every recipient can read: authenticated wherever all can.
    Automatic,
    /// Authenticated whatever is known of the recipients: AES-256-GCM (AES-128-GCM or ChaCha20-Poly1305 where only that is
    /// read) in AuthEnvelopedData; RSA-OAEP with SHA-256, or ECDH.
    Authenticated,
    /// The same with ChaCha20-Poly1305 (RFC 8103), which few programs read.
    ChaCha20Poly1305,
    /// AES-256-CBC in EnvelopedData; RSA PKCS #1 v1.5, or ECDH. CBC proves nothing about the content: only ever
    /// around a signature.
    Compatible,
    /// The same for the key of an encrypted PDF file (ISO 32000-2 section 7.6.5): the curve of ephemeral keys is named.
    Document,
}

/// A certificate to encrypt to, with what its holder's program can read as far as it is known.
#[derive(Clone, Debug)]
pub struct Recipient {
    certificate: Certificate,
    ours: bool,
    remembered: Option<Capabilities>,
}

impl Recipient {
    /// Takes a certificate that nobody checked; `ours` says that its holder can read what our own users can.
    pub fn unchecked(certificate: Certificate, ours: bool) -> Self {
        Self { certificate, ours, remembered: None }
    }

    /// The same recipient as one of our own users, or not.
    #[must_use]
    pub fn counted_as_ours(self, ours: bool) -> Self {
        Self { ours, ..self }
    }

    /// The same recipient with what the last signed mail said; it outweighs everything else.
    #[must_use]
    pub fn with_capabilities(self, remembered: Option<Capabilities>) -> Self {
        Self { remembered, ..self }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What was remembered, else what the certificate says, else what our users can.
    pub(super) fn known_capabilities(&self) -> Option<Capabilities> {
        let certified = || Capabilities::of_certificate(&self.certificate);
        let own = || self.ours.then(Capabilities::among_ourselves);
        self.remembered.clone().or_else(certified).or_else(own)
    }
}

/// An envelope whose keys are wrapped and whose content is encrypted while it is written.
pub struct Encrypted {
    /// `enveloped-data` or `authEnveloped-data` (RFC 8551 section 3.2.2).
    pub smime_type: &'static str,
    content: Content,
    choice: AlgorithmChoice,
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

    /// The algorithms that protect it.
    pub fn algorithms(&self) -> &AlgorithmChoice {
        &self.choice
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
        let mut sealing = Sealing::new(self.choice.content, &self.key, &self.iv, &[])
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
        if self.choice.is_authenticated() {
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

/// Encrypts content to every recipient; randomness comes from the system. The keys are wrapped now, on all processors; the
/// content is encrypted when it is written.
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
    let choice = AlgorithmChoice::of(recipients, enveloping)?;
    let key = random_octets(choice.content.key_length(), &mut SysRng)?;
    let infos = wrap_side_by_side(recipients, &choice, &key)?;
    envelope(content, infos, key, choice, &mut SysRng)
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
    let choice = AlgorithmChoice::of(recipients, enveloping)?;
    let key = random_octets(choice.content.key_length(), random)?;
    let infos = wrap(recipients, &choice.keys, choice.curve, &key, random)?;
    envelope(content, infos, key, choice, random)
}

fn random_octets<R: TryCryptoRng>(length: usize, random: &mut R) -> Result<Zeroizing<Vec<u8>>, EncryptError> {
    let mut octets = Zeroizing::new(vec![0; length]);
    random.try_fill_bytes(&mut octets).map_err(|_| EncryptError::Randomness)?;
    Ok(octets)
}

/// A thread is worth its while for so many RSA encryptions; a key agreement costs ten times as much.
const RSA_PER_THREAD: usize = 16;

fn wrap_side_by_side(
    recipients: &[Recipient],
    choice: &AlgorithmChoice,
    content_key: &[u8],
) -> Result<Vec<Vec<u8>>, EncryptError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let is_rsa =
        |key: &KeyEncryption| matches!(key, KeyEncryption::RsaOaepSha256 | KeyEncryption::RsaPkcs1v15);
    let least = if choice.keys.iter().all(is_rsa) { RSA_PER_THREAD } else { 1 };
    let share = recipients.len().div_ceil(threads).max(least);
    let mut shares = recipients.chunks(share).zip(choice.keys.chunks(share));
    let Some((first, first_keys)) = shares.next() else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .map(|(recipients, keys)| {
                scope.spawn(|| wrap(recipients, keys, choice.curve, content_key, &mut SysRng))
            })
            .collect();
        let mut infos = wrap(first, first_keys, choice.curve, content_key, &mut SysRng)?;
        for thread in running {
            infos.extend(thread.join().map_err(|_| EncryptError::Randomness)??);
        }
        Ok(infos)
    })
}

/// One RecipientInfo for each recipient.
fn wrap<R: TryCryptoRng>(
    recipients: &[Recipient],
    keys: &[KeyEncryption],
    curve: EphemeralCurve,
    content_key: &[u8],
    random: &mut R,
) -> Result<Vec<Vec<u8>>, EncryptError> {
    let info = |(recipient, key): (&Recipient, &KeyEncryption)| {
        let certificate = &recipient.certificate;
        match key {
            KeyEncryption::RsaOaepSha256 => key_transport::write(certificate, true, content_key, random),
            KeyEncryption::RsaPkcs1v15 => key_transport::write(certificate, false, content_key, random),
            KeyEncryption::EcdhP256 => {
                key_agreement::write(certificate, PublicKeyKind::P256, curve, content_key, random)
            }
            KeyEncryption::EcdhP384 => {
                key_agreement::write(certificate, PublicKeyKind::P384, curve, content_key, random)
            }
            KeyEncryption::X25519 => {
                key_agreement::write(certificate, PublicKeyKind::X25519, curve, content_key, random)
            }
        }
    };
    recipients.iter().zip(keys).map(info).collect()
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
    choice: AlgorithmChoice,
    random: &mut R,
) -> Result<Encrypted, EncryptError> {
    let encryption = choice.content;
    let iv = random_octets(encryption.iv_length(), random)?.to_vec();
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
    Ok(Encrypted { smime_type, content: content.clone(), choice, key, iv, head, length })
}

/// What one key and nonce may encrypt: AES-GCM 2^39 - 256 bits (SP 800-38D section 5.2.1.1).
const LONGEST_AUTHENTICATED: u64 = (1 << 36) - 32;
const CHUNK: usize = 64 * 1024;
