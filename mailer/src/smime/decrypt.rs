//! EnvelopedData and AuthEnvelopedData, read (RFC 5652 section 6, RFC 5083).
//!
//! Recipient infos are matched against every certificate of the key ring, never against a mail header; those of unknown
//! kinds are passed over. A key that does not fit, whatever the reason, costs the same pass over the content and ends in
//! the same error as content that was changed: nobody learns from us what an RSA decryption gave (RFC 3218).
use std::io;

use const_oid::ObjectIdentifier;
use getrandom::SysRng;
use rand_core::TryRng;
use zeroize::Zeroizing;

use super::ber_reader::{ReadError, Reader};
use super::envelope::Envelope;
use crate::certificate::tlv::Malformed;
use crate::content::{Content, Replay};
use crate::keys::{KeyError, KeyRing, KeysError};

/// What was in the envelope.
pub struct Decrypted {
    /// The content.
    pub content: Content,
    /// Whether the envelope itself proves that the content was not changed (AES-GCM, ChaCha20-Poly1305). CBC content
    /// never is.
    pub authenticated: bool,
}

/// Why the envelope stays closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// None of our certificates is a recipient.
    #[error("this message was not encrypted for any key of this card")]
    NotForUs,
    /// Damaged, or changed on the way; which of the two, and where, is not told.
    #[error("the message cannot be decrypted: it was damaged or changed on its way")]
    Damaged,
    /// Not an envelope.
    #[error("this is not an encrypted message but of the CMS content type {0}")]
    NotEnveloped(ObjectIdentifier),
    /// What is inside is no mail (RFC 8551 sections 2.4.3 and 2.4.4).
    #[error("what was encrypted is not a mail but of the CMS content type {0}")]
    NotMail(ObjectIdentifier),
    /// Malformed.
    #[error("the encrypted message is malformed: {0}")]
    Malformed(String),
    /// An algorithm that we do not know.
    #[error("the message cannot be decrypted: {0} is not supported")]
    Unsupported(String),
    /// The card refused.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The message could not be read, or the temporary file not be written.
    #[error("the message could not be read or its content not be kept: {0}")]
    Io(#[from] io::Error),
}

impl DecryptError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotForUs => "not-for-us",
            Self::Damaged => "damaged",
            Self::NotEnveloped(_) => "not-enveloped",
            Self::NotMail(_) => "encrypted-other-content",
            Self::Malformed(_) => "envelope-malformed",
            Self::Unsupported(_) => "unsupported-algorithm",
            Self::Keys(error) => error.code(),
            Self::Io(_) => "input-output",
        }
    }
}

impl From<Malformed> for DecryptError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<ReadError> for DecryptError {
    fn from(problem: ReadError) -> Self {
        match problem {
            ReadError::Malformed(problem) => Self::Malformed(problem),
            ReadError::Io(error) => Self::Io(error),
        }
    }
}

/// Opens an EnvelopedData or AuthEnvelopedData (DER or BER, of any length) with any key of the ring.
///
/// The content is kept in a [`Spool`](crate::content::Spool) until padding or tag are known to be right, and handed out
/// only then.
///
/// # Errors
/// See [`DecryptError`].
pub fn decrypt(cms: &dyn Replay, ring: &mut dyn KeyRing) -> Result<Decrypted, DecryptError> {
    let mut reader = Reader::new(cms);
    let envelope = Envelope::read(&mut reader, ring.certificates())?;
    let attempts = envelope.attempts()?;
    let length = envelope.encryption.key_length();
    let mut at_content = Some(reader);
    let mut associated_data = Vec::new();
    let mut outcome = DecryptError::NotForUs;
    for attempt in attempts {
        let found = match attempt.content_key(ring, length) {
            Err(error) if ends_the_search(&error) => return Err(error.into()),
            Err(KeysError::Key(KeyError::Unsupported(what))) => {
                outcome = DecryptError::Unsupported(what);
                continue;
            }
            Err(_) => None,
            Ok(found) => found.filter(|key| key.len() == length),
        };
        let is_real = found.is_some();
        let content_key = match found {
            Some(key) => key,
            None => random_key(length)?,
        };
        match envelope.open(cms, at_content.take(), &content_key, &mut associated_data)? {
            Some(content) if is_real => {
                return Ok(Decrypted { content, authenticated: envelope.encryption.is_authenticated() });
            }
            _ => outcome = DecryptError::Damaged,
        }
    }
    Err(outcome)
}

/// A key that merely cannot do it leaves the others to try; a card that is gone or a wrong PIN does not.
fn ends_the_search(error: &KeysError) -> bool {
    !matches!(
        error,
        KeysError::Key(KeyError::Unsupported(_) | KeyError::DecryptionFailed | KeyError::MalformedPeerKey)
    )
}

/// Takes the place of a content key that could not be had.
fn random_key(length: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; length]);
    SysRng.try_fill_bytes(&mut key).map_err(io::Error::other)?;
    Ok(key)
}
