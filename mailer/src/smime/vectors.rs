//! The ciphers of envelopes one by one, for published vectors only (see [`crate::fuzz`]).
use const_oid::ObjectIdentifier;
use zeroize::Zeroizing;

use super::content_cipher::{ContentEncryption, Opening};
use super::key_agreement::KeyWrap;

/// Decrypts in pieces; `None` where nonce or key have a length that is not used, the inner one where it does not open.
pub(crate) fn open_content(
    algorithm: ObjectIdentifier,
    key: &[u8],
    iv: &[u8],
    associated_data: &[u8],
    encrypted: &[u8],
    tag: &[u8],
) -> Option<Option<Zeroizing<Vec<u8>>>> {
    let encryption = ContentEncryption::from_identifier(algorithm)?;
    let mut opening = Opening::new(encryption, key, iv, associated_data)?;
    let mut content = Zeroizing::new(Vec::new());
    // Pieces of many lengths, so that none of the joints is at a block's edge only.
    let mut rest = encrypted;
    for length in [1, 7, 16, 33].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(length));
        if opening.update(piece, &mut content).is_err() {
            return Some(None);
        }
        rest = after;
    }
    Some(opening.finish(tag, &mut content).is_ok().then_some(content))
}

/// Unwraps a content key (RFC 3394) with a key-encryption key of 16, 24 or 32 octets; `None` where it does not unwrap.
pub(crate) fn unwrap_key(
    algorithm: ObjectIdentifier,
    key: &[u8],
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    KeyWrap::from_identifier(algorithm)?.unwrap(key, wrapped)
}
