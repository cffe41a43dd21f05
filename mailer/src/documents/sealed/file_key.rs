//! From the seed in the recipients' envelopes to the key of the file (ISO 32000-2 sections 7.6.5.2 and 7.6.5.3).
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cipher::random;
use super::error::SealedError;
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Object};
use crate::keys::KeyRing;
use crate::smime::{DecryptError, Enveloping, Recipient, decrypt, encrypt};

const SEED: usize = 20;
/// Everything is allowed, and there must be an authentication code: bit 13 is 0 (Table 24, ISO/TS 32004 section 5).
const PERMISSIONS: u32 = 0xFFFF_EFFF;
/// Bit 13, which says that the code may be missing.
pub(super) const CODE_MAY_BE_MISSING: u32 = 1 << 12;
/// Recipients of one envelope.
const RECIPIENTS_PER_ENVELOPE: usize = 1_000;
/// The most envelopes of one file that are looked at, and their octets in all.
const MOST_ENVELOPES: usize = 64;
const MOST_OCTETS: usize = 16 * 1024 * 1024;

/// The key that encrypts strings and streams.
#[derive(Clone)]
pub(super) struct FileKey(Zeroizing<[u8; 32]>);

impl FileKey {
    pub(super) fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 over the seed and the envelopes as they stand in the file.
    fn derive(seed: &[u8], envelopes: &[Vec<u8>], metadata_is_plain: bool) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed);
        envelopes.iter().for_each(|envelope| hash.update(envelope));
        if metadata_is_plain {
            hash.update([0xFF; 4]);
        }
        Self(Zeroizing::new(hash.finalize().into()))
    }
}

/// A new key, and the envelopes from which the recipients get it.
pub(super) fn generate(recipients: &[Recipient]) -> Result<(FileKey, Vec<Vec<u8>>), SealedError> {
    let seed = Zeroizing::new(random::<SEED>()?);
    let secret = Zeroizing::new([&seed[..], &PERMISSIONS.to_be_bytes()].concat());
    let secret = Content::from_zeroizing(secret);
    if recipients.is_empty() {
        return Err(crate::smime::EncryptError::NoRecipient.into());
    }
    let mut envelopes = Vec::new();
    for recipients in recipients.chunks(RECIPIENTS_PER_ENVELOPE) {
        let envelope = encrypt(&secret, recipients, Enveloping::Document)?;
        let mut der = Vec::new();
        envelope.write_to(&mut der)?;
        envelopes.push(der);
    }
    Ok((FileKey::derive(&seed[..], &envelopes, false), envelopes))
}

/// What an envelope gave.
#[derive(Clone)]
pub(super) struct Unlocked {
    pub(super) key: FileKey,
    /// What the sender allows; nothing is said for filters that do not encrypt the whole file.
    pub(super) permissions: Option<u32>,
}

/// Opens a crypt filter with the first envelope that is for us; `is_default` where it encrypts all strings or streams.
pub(super) fn unlock(
    filter: &Dictionary,
    is_default: bool,
    ring: &mut dyn KeyRing,
) -> Result<Unlocked, SealedError> {
    let envelopes = recipients(filter)?;
    let metadata_is_plain = is_default && filter.get("EncryptMetadata") == Some(&Object::Boolean(false));
    let mut outcome = DecryptError::NotForUs;
    for envelope in &envelopes {
        match decrypt(envelope, ring) {
            Ok(opened) => {
                let secret = opened.content.to_vec(SEED + 4)?;
                let Some((seed, permissions)) =
                    secret.as_ref().and_then(|secret| secret.split_at_checked(SEED))
                else {
                    return Err(SealedError::Damaged);
                };
                let permissions = match <[u8; 4]>::try_from(permissions) {
                    Ok(octets) => Some(u32::from_be_bytes(octets)),
                    Err(_) if permissions.is_empty() => None,
                    Err(_) => return Err(SealedError::Damaged),
                };
                return Ok(Unlocked {
                    key: FileKey::derive(seed, &envelopes, metadata_is_plain),
                    permissions,
                });
            }
            Err(DecryptError::NotForUs) => {}
            // What others get need not be readable for us.
            Err(error @ (DecryptError::Malformed(_) | DecryptError::Unsupported(_))) => outcome = error,
            // An envelope that names us and does not open: another one would only cost the card more work.
            Err(error) => return Err(SealedError::Envelope(error)),
        }
    }
    Err(SealedError::Envelope(outcome))
}

/// `/Recipients`: an array, or one string for filters that do not encrypt the whole file.
fn recipients(filter: &Dictionary) -> Result<Vec<Vec<u8>>, SealedError> {
    let malformed = || SealedError::Malformed("its list of recipients (/Recipients)".to_owned());
    let strings = match filter.get("Recipients") {
        Some(Object::Array(elements)) => elements.as_slice(),
        Some(one @ Object::String(_)) => std::slice::from_ref(one),
        _ => return Err(malformed()),
    };
    let envelopes: Option<Vec<Vec<u8>>> =
        strings.iter().map(|string| string.as_string().map(<[u8]>::to_vec)).collect();
    let envelopes = envelopes.ok_or_else(malformed)?;
    let octets: usize = envelopes.iter().map(Vec::len).sum();
    if envelopes.is_empty() || envelopes.len() > MOST_ENVELOPES || octets > MOST_OCTETS {
        return Err(malformed());
    }
    Ok(envelopes)
}
