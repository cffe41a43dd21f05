//! The versioned form of a card's state on disk.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "CARDSIM\n", of an encrypted body "CARDSEAL"
//!      8      2  version, big-endian
//!     10      4  length N of the body, big-endian
//!     14      N  body: the state in CBOR (RFC 8949), or that encrypted (`seal.rs`)
//!   14+N     32  SHA-256 of everything before it
//! ```

use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::StoreError;

const HEADER: usize = 14;
const CHECKSUM: usize = 32;

/// The version written here, and the newest one read. Older ones are read too: what they name otherwise has aliases
/// in the state's types, what they lack has defaults there.
///
/// - 1: RSA keys have 2048 bits and are called `Rsa2048`.
/// - 2: RSA keys of three sizes, P-384, Ed25519, X25519. Changes may follow the image (`journal.rs`), and it may be
///   encrypted.
pub const VERSION: u16 = 2;

/// Encodes a state. The bytes hold its secrets and are wiped when dropped.
///
/// # Errors
/// [`StoreError::Damaged`] when the state has no CBOR form, which no state of a card lacks.
pub fn encode(state: &impl Serialize, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let unencodable = |_| damaged(path, "the state cannot be encoded");
    // Measured beforehand, so that growing leaves no copies of its secrets in freed memory.
    let mut measure = Measure(0);
    ciborium::into_writer(state, &mut measure).map_err(unencodable)?;
    let Measure(length) = measure;
    let mut image = begin(length, Kind::Plain, path)?;
    ciborium::into_writer(state, &mut *image).map_err(unencodable)?;
    Ok(end(image))
}

/// Counts what is written to it.
struct Measure(usize);

impl io::Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes a state; `path` only names the file in errors.
///
/// # Errors
/// [`StoreError::NotAnImage`], [`StoreError::NewerVersion`], [`StoreError::Truncated`],
/// [`StoreError::Damaged`] or [`StoreError::PassphraseNeeded`], in this order of checks.
pub fn decode<T: DeserializeOwned>(image: &[u8], path: &Path) -> Result<T, StoreError> {
    let body = body(image, path)?;
    ciborium::from_reader(body).map_err(|error| damaged(path, &format!("its content is not a card: {error}")))
}

/// The body of an image.
pub(super) fn body<'a>(image: &'a [u8], path: &Path) -> Result<&'a [u8], StoreError> {
    let frame = Frame::split(image, path)?;
    match frame.kind {
        Kind::Sealed => Err(StoreError::PassphraseNeeded { path: path.to_owned() }),
        Kind::Plain if frame.rest.is_empty() => Ok(frame.body),
        Kind::Plain => Err(damaged(path, "bytes follow its end")),
    }
}

/// Whether a state file is encrypted.
pub(super) fn is_sealed(file: &[u8]) -> bool {
    file.starts_with(Kind::Sealed.magic())
}

/// Whether a body is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Plain,
    Sealed,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Plain => b"CARDSIM\n",
            Self::Sealed => b"CARDSEAL",
        }
    }
}

/// Puts header and checksum around a body.
pub(super) fn frame(body: &[u8], kind: Kind, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut image = begin(body.len(), kind, path)?;
    image.extend_from_slice(body);
    Ok(end(image))
}

/// The header, with room for a body of this length and its checksum.
fn begin(length: usize, kind: Kind, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let mut image = Zeroizing::new(Vec::with_capacity(HEADER + length + CHECKSUM));
    let length = u32::try_from(length).map_err(|_| damaged(path, "the state is too large"))?;
    image.extend_from_slice(kind.magic());
    image.extend_from_slice(&VERSION.to_be_bytes());
    image.extend_from_slice(&length.to_be_bytes());
    Ok(image)
}

fn end(mut image: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let checksum = Sha256::digest(&*image);
    image.extend_from_slice(&checksum);
    image
}

/// An image whose checksum was right, and what follows it.
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) version: u16,
    pub(super) body: &'a [u8],
    pub(super) checksum: [u8; CHECKSUM],
    pub(super) rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Takes an image apart.
    pub(super) fn split(bytes: &'a [u8], path: &Path) -> Result<Self, StoreError> {
        let (kind, version, length) = parse_header(bytes, path)?;
        if version > VERSION {
            return Err(StoreError::NewerVersion { path: path.to_owned(), found: version, newest: VERSION });
        }
        let signed_length = HEADER.saturating_add(length);
        let parts = bytes.split_at_checked(signed_length);
        let Some((signed, Some((checksum, rest)))) =
            parts.map(|(signed, rest)| (signed, rest.split_first_chunk::<CHECKSUM>()))
        else {
            return Err(truncated(path, signed_length.saturating_add(CHECKSUM), bytes.len()));
        };
        if Sha256::digest(signed).as_slice() != checksum {
            return Err(damaged(path, "its checksum does not match"));
        }
        let body = signed.get(HEADER..).unwrap_or_default();
        Ok(Self { kind, version, body, checksum: *checksum, rest })
    }
}

fn parse_header(image: &[u8], path: &Path) -> Result<(Kind, u16, usize), StoreError> {
    let kinds = [Kind::Plain, Kind::Sealed];
    let Some(kind) = kinds.into_iter().find(|kind| image.starts_with(kind.magic())) else {
        let begins_right = kinds.iter().any(|kind| kind.magic().starts_with(image));
        return Err(if begins_right {
            truncated(path, HEADER + CHECKSUM, image.len())
        } else {
            StoreError::NotAnImage { path: path.to_owned() }
        });
    };
    let Some([.., v1, v0, l3, l2, l1, l0]) = image.first_chunk::<HEADER>() else {
        return Err(truncated(path, HEADER + CHECKSUM, image.len()));
    };
    let length = u32::from_be_bytes([*l3, *l2, *l1, *l0]);
    let version = u16::from_be_bytes([*v1, *v0]);
    Ok((kind, version, usize::try_from(length).unwrap_or(usize::MAX / 2)))
}

fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what: what.to_owned() }
}

fn truncated(path: &Path, expected: usize, found: usize) -> StoreError {
    let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
    StoreError::Truncated { path: path.to_owned(), expected: number(expected), found: number(found) }
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
            prop_assert!(decoded(&[&Kind::Plain.magic()[..], &bytes].concat()).is_err());
        }
    }
}
