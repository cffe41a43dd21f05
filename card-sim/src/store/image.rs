//! The versioned form of a card's state on disk.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "CARDSIM\n"
//!      8      2  version, big-endian
//!     10      4  length N of the body, big-endian
//!     14      N  body: the state in CBOR (RFC 8949)
//!   14+N     32  SHA-256 of everything before it
//! ```

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::StoreError;

const MAGIC: &[u8; 8] = b"CARDSIM\n";
const HEADER: usize = 14;
const CHECKSUM: usize = 32;
const ORDINARY_BODY: usize = 1 << 17;

/// The version written here, and the newest one read. Older ones are read too: what they name otherwise has aliases
/// in the state's types, what they lack has defaults there.
///
/// - 1: RSA keys have 2048 bits and are called `Rsa2048`.
/// - 2: RSA keys of three sizes, P-384, Ed25519, X25519.
pub const VERSION: u16 = 2;

/// Encodes a state. The bytes hold its secrets and are wiped when dropped.
///
/// # Errors
/// [`StoreError::Damaged`] when the state has no CBOR form, which no state of a card lacks.
pub fn encode(state: &impl Serialize, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unencodable = || StoreError::Damaged { path: path.to_owned(), what: "the state cannot be encoded" };
    // Room for an ordinary card, so that growing leaves no copies of its secrets in freed memory.
    let mut body = Zeroizing::new(Vec::with_capacity(ORDINARY_BODY));
    ciborium::into_writer(state, &mut *body).map_err(|_| unencodable())?;
    let length = u32::try_from(body.len()).map_err(|_| unencodable())?;
    let mut image = Zeroizing::new(Vec::with_capacity(HEADER + body.len() + CHECKSUM));
    image.extend_from_slice(MAGIC);
    image.extend_from_slice(&VERSION.to_be_bytes());
    image.extend_from_slice(&length.to_be_bytes());
    image.extend_from_slice(&body);
    let checksum = Sha256::digest(&*image);
    image.extend_from_slice(&checksum);
    Ok(image)
}

/// Decodes a state; `path` only names the file in errors.
///
/// # Errors
/// [`StoreError::NotAnImage`], [`StoreError::NewerVersion`], [`StoreError::Truncated`] or
/// [`StoreError::Damaged`], in this order of checks.
pub fn decode<T: DeserializeOwned>(image: &[u8], path: &Path) -> Result<T, StoreError> {
    let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
    let (version, length) = parse_header(image, path)?;
    if version > VERSION {
        return Err(StoreError::NewerVersion { path: path.to_owned(), found: version, newest: VERSION });
    }
    let expected = HEADER + length + CHECKSUM;
    if image.len() < expected {
        return Err(truncated(path, expected, image.len()));
    }
    if image.len() > expected {
        return Err(damaged("bytes follow its end"));
    }
    let (signed, checksum) = image.split_at(HEADER + length);
    if Sha256::digest(signed).as_slice() != checksum {
        return Err(damaged("its checksum does not match"));
    }
    let body = signed.get(HEADER..).unwrap_or_default();
    ciborium::from_reader(body).map_err(|_| damaged("its content is not a card"))
}

fn parse_header(image: &[u8], path: &Path) -> Result<(u16, usize), StoreError> {
    if !image.starts_with(MAGIC) {
        let begins_right = !image.is_empty() && MAGIC.starts_with(image);
        return Err(if begins_right || image.is_empty() {
            truncated(path, HEADER + CHECKSUM, image.len())
        } else {
            StoreError::NotAnImage { path: path.to_owned() }
        });
    }
    let Some([.., v1, v0, l3, l2, l1, l0]) = image.first_chunk::<HEADER>() else {
        return Err(truncated(path, HEADER + CHECKSUM, image.len()));
    };
    let length = u32::from_be_bytes([*l3, *l2, *l1, *l0]);
    Ok((u16::from_be_bytes([*v1, *v0]), usize::try_from(length).unwrap_or(usize::MAX / 2)))
}

fn truncated(path: &Path, expected: usize, found: usize) -> StoreError {
    let as_u64 = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    StoreError::Truncated { path: path.to_owned(), expected: as_u64(expected), found: as_u64(found) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        encode(&vec![1u32, 2, 3], Path::new("sample")).unwrap().to_vec()
    }

    fn decoded(image: &[u8]) -> Result<Vec<u32>, StoreError> {
        decode(image, Path::new("sample"))
    }

    #[test]
    fn an_image_gives_its_state_back() {
        assert_eq!(decoded(&sample()).unwrap(), vec![1, 2, 3]);
    }

    #[test]
    fn every_truncation_is_called_truncated() {
        let image = sample();
        for length in 0..image.len() {
            let result = decoded(&image[..length]);
            assert!(matches!(result, Err(StoreError::Truncated { .. })), "{length}: {result:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let image = sample();
        for bit in 0..image.len() * 8 {
            let mut flipped = image.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decoded(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut image = sample();
        image[9] = 3;
        assert!(matches!(decoded(&image), Err(StoreError::NewerVersion { found: 3, newest: 2, .. })));
    }

    #[test]
    fn bytes_after_the_end_are_damage() {
        let image = [&sample()[..], &[0]].concat();
        assert!(matches!(decoded(&image), Err(StoreError::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decoded(&bytes).is_err());
            prop_assert!(decoded(&[&MAGIC[..], &bytes].concat()).is_err());
        }
    }
}
