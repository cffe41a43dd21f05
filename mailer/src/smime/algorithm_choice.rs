//! Which algorithms protect one message: the best that every recipient can read.
//!
//! Among our own users, and wherever capabilities say so, content is authenticated (AES-GCM) and RSA keys encrypt with OAEP.
//! For the rest it is AES-256-CBC and RSAES-PKCS1-v1_5: Thunderbird, NSS and gpgsm 2.2 read nothing else.
use super::capabilities::Capabilities;
use super::content_cipher::ContentEncryption;
use super::encrypt::{EncryptError, Enveloping, Recipient};
use crate::certificate::public_key::{PublicKeyKind, public_key_kind};

/// The algorithms for one message and its recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmChoice {
    pub(super) content: ContentEncryption,
    /// One for each recipient.
    pub(super) keys: Vec<KeyEncryption>,
    pub(super) curve: EphemeralCurve,
}

/// Whether the curve of an ephemeral key is named beside it (RFC 5753 section 7.1.2): it is the recipient's in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EphemeralCurve {
    /// What every mail program reads.
    Absent,
    /// What some readers of PDF files cannot do without.
    Named,
}

/// How the content key reaches one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyEncryption {
    EcdhP256,
    EcdhP384,
    RsaOaepSha256,
    RsaPkcs1v15,
    X25519,
}

/// Authenticated content encryption, most wanted first.
const AUTHENTICATED: [ContentEncryption; 3] =
    [ContentEncryption::Aes256Gcm, ContentEncryption::ChaCha20Poly1305, ContentEncryption::Aes128Gcm];
const UNAUTHENTICATED: [ContentEncryption; 2] = [ContentEncryption::Aes256Cbc, ContentEncryption::Aes128Cbc];

impl AlgorithmChoice {
    /// Chooses for these recipients.
    ///
    /// # Errors
    /// [`EncryptError::NoRecipient`]; [`EncryptError::UnsupportedKey`] for a key that cannot be encrypted to.
    pub fn of(recipients: &[Recipient], enveloping: Enveloping) -> Result<Self, EncryptError> {
        if recipients.is_empty() {
            return Err(EncryptError::NoRecipient);
        }
        let known: Vec<Option<Capabilities>> = recipients.iter().map(Recipient::known_capabilities).collect();
        let first_read_by_all = |candidates: &[ContentEncryption], otherwise: fn() -> Capabilities| {
            candidates.iter().copied().find(|content| {
                known.iter().all(|known| match known {
                    Some(capabilities) => capabilities.reads(*content),
                    None => otherwise().reads(*content),
                })
            })
        };
        let content = match enveloping {
            Enveloping::Automatic => first_read_by_all(
                &[AUTHENTICATED.as_slice(), &UNAUTHENTICATED].concat(),
                Capabilities::of_strangers,
            )
            .unwrap_or(ContentEncryption::Aes256Cbc),
            // Whoever asks for it knows that the recipients can read it.
            Enveloping::Authenticated => first_read_by_all(&AUTHENTICATED, Capabilities::among_ourselves)
                .unwrap_or(ContentEncryption::Aes256Gcm),
            Enveloping::ChaCha20Poly1305 => ContentEncryption::ChaCha20Poly1305,
            Enveloping::Compatible | Enveloping::Document => ContentEncryption::Aes256Cbc,
        };
        let keys = recipients
            .iter()
            .zip(&known)
            .map(|(recipient, known)| KeyEncryption::of(recipient, known.as_ref(), enveloping))
            .collect::<Result<_, _>>()?;
        let curve = match enveloping {
            Enveloping::Document => EphemeralCurve::Named,
            _ => EphemeralCurve::Absent,
        };
        Ok(Self { content, keys, curve })
    }

    /// The content encryption in a word for programs, for example `aes-256-gcm`.
    pub fn content_encryption(&self) -> &'static str {
        match self.content {
            ContentEncryption::Aes128Cbc => "aes-128-cbc",
            ContentEncryption::Aes192Cbc => "aes-192-cbc",
            ContentEncryption::Aes256Cbc => "aes-256-cbc",
            ContentEncryption::TripleDesCbc => "des-ede3-cbc",
            ContentEncryption::Aes128Gcm => "aes-128-gcm",
            ContentEncryption::Aes192Gcm => "aes-192-gcm",
            ContentEncryption::Aes256Gcm => "aes-256-gcm",
            ContentEncryption::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    /// The kinds of key encryption in words for programs, each once.
    pub fn key_encryption(&self) -> Vec<&'static str> {
        let mut kinds = self.keys.clone();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.into_iter().map(KeyEncryption::name).collect()
    }

    /// Whether the envelope itself proves that its content was not changed.
    pub fn is_authenticated(&self) -> bool {
        self.content.is_authenticated()
    }
}

impl KeyEncryption {
    fn of(
        recipient: &Recipient,
        known: Option<&Capabilities>,
        enveloping: Enveloping,
    ) -> Result<Self, EncryptError> {
        let certificate = recipient.certificate();
        let unsupported = |algorithm| EncryptError::UnsupportedKey { who: certificate.subject(), algorithm };
        match public_key_kind(certificate.public_key()).map_err(unsupported)? {
            PublicKeyKind::P256 => Ok(Self::EcdhP256),
            PublicKeyKind::P384 => Ok(Self::EcdhP384),
            PublicKeyKind::X25519 => Ok(Self::X25519),
            PublicKeyKind::Rsa => {
                let oaep = match (enveloping, known) {
                    (Enveloping::Compatible | Enveloping::Document, _) | (Enveloping::Automatic, None) => {
                        false
                    }
                    (Enveloping::Authenticated | Enveloping::ChaCha20Poly1305, None) => true,
                    (_, Some(capabilities)) => capabilities.reads_oaep(),
                };
                Ok(if oaep { Self::RsaOaepSha256 } else { Self::RsaPkcs1v15 })
            }
            other => Err(unsupported(other.in_words().to_owned())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::EcdhP256 => "ecdh-p256-sha256",
            Self::EcdhP384 => "ecdh-p384-sha384",
            Self::RsaOaepSha256 => "rsa-oaep-sha256",
            Self::RsaPkcs1v15 => "rsa-pkcs1-v1.5",
            Self::X25519 => "x25519-hkdf-sha256",
        }
    }
}
