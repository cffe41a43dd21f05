//! The form of a state file: a snapshot, and behind it one record for each change since.
//!
//! ```text
//! file     = snapshot record ...
//! snapshot = as `image.rs` says; of an encrypted file the body is: parameters, sealed body (`seal.rs`)
//! record   = 8  marker: the first bytes of the snapshot's checksum
//!            4  length N of the change, big-endian
//!            N  the change: a patch of the body (`patch.rs`), of an encrypted file sealed
//!           32  SHA-256 of: the checksum before this record, length, change
//! ```
//!
//! A record is durable before the next one is begun. So only the last one can be incomplete, and then its change
//! never happened. Anything wrong before that is damage: whoever reads on there could give back a spent PIN try.

use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::image::{self, Frame, Kind};
use super::seal::{Lock, PARAMETERS, Seal};
use super::{StoreError, patch};

const MARKER: usize = 8;
const LENGTH: usize = 4;
const CHECKSUM: usize = 32;
const OVERHEAD: usize = MARKER + LENGTH + CHECKSUM;

/// What a state file holds.
pub(super) struct Contents {
    /// The body of the image.
    pub(super) body: Zeroizing<Vec<u8>>,
    /// The version of the snapshot.
    pub(super) version: u16,
    /// Where the next record goes.
    pub(super) chain: Chain,
    /// Whether an incomplete record follows the last complete one.
    pub(super) is_torn: bool,
}

/// The end of a state file, to which records are added.
#[derive(Clone)]
pub(super) struct Chain {
    marker: [u8; MARKER],
    link: [u8; CHECKSUM],
    snapshot: u64,
    end: u64,
}

impl Chain {
    fn behind(snapshot: &Frame<'_>, length: usize) -> Self {
        let mut marker = [0; MARKER];
        marker.iter_mut().zip(snapshot.checksum).for_each(|(place, byte)| *place = byte);
        let end = u64::try_from(length).unwrap_or(u64::MAX);
        Self { marker, link: snapshot.checksum, snapshot: end, end }
    }

    /// Bytes in the file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes in records.
    pub(super) fn length_of_records(&self) -> u64 {
        self.end - self.snapshot
    }

    /// Bytes in the snapshot.
    pub(super) fn length_of_snapshot(&self) -> u64 {
        self.snapshot
    }

    /// The record of a change, and the chain as it is behind it.
    pub(super) fn record(
        &self,
        change: &[u8],
        seal: Option<&Seal>,
        path: &Path,
    ) -> Result<(Zeroizing<Vec<u8>>, Self), StoreError> {
        let sealed = seal.map(|seal| seal.seal(change, &self.link, path)).transpose()?;
        let change = sealed.as_deref().unwrap_or(change);
        let too_long =
            |_| StoreError::Damaged { path: path.to_owned(), what: "the state is too large".to_owned() };
        let length = u32::try_from(change.len()).map_err(too_long)?.to_be_bytes();
        let link = checksum(&self.link, length, change);
        let mut record = Zeroizing::new(Vec::with_capacity(OVERHEAD + change.len()));
        for part in [&self.marker[..], &length, change, &link] {
            record.extend_from_slice(part);
        }
        let end = self.end.saturating_add(length_of(&record));
        Ok((record, Self { link, end, ..self.clone() }))
    }
}

fn checksum(link: &[u8; CHECKSUM], length: [u8; LENGTH], change: &[u8]) -> [u8; CHECKSUM] {
    Sha256::new().chain_update(link).chain_update(length).chain_update(change).finalize().into()
}

/// The file of a state as a snapshot alone, and the chain behind it.
pub(super) fn snapshot(
    body: &[u8],
    seal: Option<&Seal>,
    path: &Path,
) -> Result<(Zeroizing<Vec<u8>>, Chain), StoreError> {
    let file = match seal {
        None => image::frame(body, Kind::Plain, path)?,
        Some(seal) => {
            let parameters = seal.parameters();
            let sealed = seal.seal(body, &context(image::VERSION, parameters), path)?;
            image::frame(&[&parameters[..], &sealed].concat(), Kind::Sealed, path)?
        }
    };
    let chain = Chain::behind(&Frame::split(&file, path)?, file.len());
    Ok((file, chain))
}

/// What a sealed snapshot is bound to besides its key.
fn context(version: u16, parameters: &[u8]) -> Vec<u8> {
    [b"card-sim state ", &version.to_be_bytes()[..], parameters].concat()
}

/// Reads a state file, an encrypted one with the lock.
pub(super) fn parse(file: &[u8], path: &Path, lock: &mut Lock) -> Result<Contents, StoreError> {
    let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
    let frame = Frame::split(file, path)?;
    let (mut body, seal) = match frame.kind {
        Kind::Plain => (Zeroizing::new(frame.body.to_vec()), None),
        Kind::Sealed => {
            let (parameters, sealed) = frame
                .body
                .split_at_checked(PARAMETERS)
                .ok_or_else(|| damaged("its encryption has no parameters".to_owned()))?;
            let seal = lock.key(parameters, path)?;
            let body = seal.unseal(sealed, &context(frame.version, parameters));
            (body.ok_or_else(|| damaged("its encrypted part was changed".to_owned()))?, Some(seal))
        }
    };
    if frame.version == 1 && !frame.rest.is_empty() {
        return Err(damaged("bytes follow its end".to_owned()));
    }
    let mut chain = Chain::behind(&frame, file.len() - frame.rest.len());
    let mut rest = frame.rest;
    let mut number = 0_u32;
    while !rest.is_empty() {
        number += 1;
        let Some((change, link, behind)) = complete_record(rest, &chain) else {
            let is_followed = rest.get(1..).unwrap_or_default().windows(MARKER).any(|at| at == chain.marker);
            if is_followed {
                return Err(damaged(format!("the checksum of its change number {number} does not match")));
            }
            break;
        };
        let unusable = || damaged(format!("its change number {number} does not fit"));
        let opened = seal.map(|seal| seal.unseal(change, &chain.link).ok_or_else(unusable)).transpose()?;
        body = patch::apply(&body, opened.as_deref().map_or(change, Vec::as_slice)).ok_or_else(unusable)?;
        chain = Chain { link, end: chain.end + length_of(rest) - length_of(behind), ..chain };
        rest = behind;
    }
    Ok(Contents { body, version: frame.version, chain, is_torn: !rest.is_empty() })
}

/// The change and the checksum of the first record, and what follows it; `None` when it is not whole.
fn complete_record<'a>(bytes: &'a [u8], chain: &Chain) -> Option<(&'a [u8], [u8; CHECKSUM], &'a [u8])> {
    let (marker, rest) = bytes.split_first_chunk::<MARKER>()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let (change, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let (link, rest) = rest.split_first_chunk::<CHECKSUM>()?;
    let is_whole = *marker == chain.marker && *link == checksum(&chain.link, *length, change);
    is_whole.then_some((change, *link, rest))
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file with these changes behind its first body, where each record ends, and all bodies.
    fn file(bodies: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let path = Path::new("sample");
        let (first, rest) = bodies.split_first().unwrap();
        let (snapshot, mut chain) = snapshot(first, None, path).unwrap();
        let (mut file, mut old) = (snapshot.to_vec(), first);
        let mut ends = vec![file.len()];
        for body in rest {
            let (record, next) = chain.record(&patch::diff(old, body), None, path).unwrap();
            file.extend_from_slice(&record);
            ends.push(file.len());
            (chain, old) = (next, body);
        }
        (file, ends)
    }

    fn parsed(file: &[u8]) -> Result<Contents, StoreError> {
        parse(file, Path::new("sample"), &mut Lock::default())
    }

    fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..6)
    }

    proptest! {
        #[test]
        fn the_last_body_comes_out(bodies in bodies()) {
            let contents = parsed(&file(&bodies).0).unwrap();
            prop_assert_eq!(&*contents.body, bodies.last().unwrap());
            prop_assert!(!contents.is_torn);
        }

        #[test]
        fn a_cut_file_has_the_last_body_that_is_whole(bodies in bodies(), cut in any::<prop::sample::Index>()) {
            let (file, ends) = file(&bodies);
            let length = cut.index(file.len() + 1);
            match ends.iter().rposition(|end| *end <= length) {
                Some(last) => {
                    let contents = parsed(&file[..length]).unwrap();
                    prop_assert_eq!(&*contents.body, &bodies[last]);
                    prop_assert_eq!(contents.is_torn, ends[last] != length);
                }
                None => prop_assert!(parsed(&file[..length]).is_err()),
            }
        }

        #[test]
        fn a_changed_byte_is_noticed_or_undoes_the_last_change_alone(
            bodies in bodies(),
            place in any::<prop::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let (mut file, ends) = file(&bodies);
            let place = place.index(file.len());
            file[place] ^= change;
            let before_last = ends.len().checked_sub(2).map(|last| ends[last]);
            match parsed(&file) {
                Ok(contents) => {
                    prop_assert!(before_last.is_some_and(|end| place >= end), "byte {}", place);
                    prop_assert!(contents.is_torn);
                    prop_assert_eq!(&*contents.body, &bodies[bodies.len() - 2]);
                }
                Err(error) => prop_assert!(before_last.is_none_or(|end| place < end), "{}", error),
            }
        }

        #[test]
        fn no_bytes_behind_a_snapshot_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut file, _) = file(&[vec![7; 50]]);
            file.extend(bytes);
            prop_assert_eq!(&*parsed(&file).unwrap().body, &[7; 50]);
        }
    }
}
