//! Prepared OCSP answers of one authority, in one file: `ocsp/<subjectKeyIdentifier>.answers`.
//!
//! ```text
//! "SWOCSP01"                                                      8 octets
//! number of answers                                               8 octets
//! for each, ascending: serial number, right-aligned              20 octets
//!                      thisUpdate, nextUpdate, Unix seconds       8 octets each
//!                      place in the file, length                  8 octets each
//! for each: the answers, DER of OCSPResponse, to requests that name it by SHA-1 and by SHA-256
//! ```
//!
//! (A file that an earlier version wrote has one answer for both.) All numbers are big-endian. Who serves it needs no key
//! and looks at no answer's inside.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::crl_contents::RegisteredRevocations;
use super::layout::is_hexadecimal;
use super::life::Life;
pub use super::prepared_answer::Prepared;
use crate::ca::SerialNumber;
use crate::ca::crl::RevokedCertificate;
use crate::ca::ocsp::CertificateState;

/// Prepared answers that are about to be published.
#[derive(Clone, Debug, Default)]
pub struct NewAnswers(BTreeMap<[u8; SERIAL], Prepared>);

impl NewAnswers {
    /// Adds the answer about a certificate.
    pub fn insert(&mut self, serial_number: &SerialNumber, prepared: Prepared) {
        self.0.insert(key(serial_number), prepared);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend(octets(self.0.len()));
        let mut place = MAGIC.len() + 8 + self.0.len() * ENTRY;
        for (serial, prepared) in &self.0 {
            file.extend(serial);
            file.extend(prepared.this_update.as_second().to_be_bytes());
            file.extend(prepared.next_update.as_second().to_be_bytes());
            file.extend(octets(place));
            file.extend(octets(prepared.responses.len()));
            place += prepared.responses.len();
        }
        for prepared in self.0.values() {
            file.extend_from_slice(&prepared.responses);
        }
        file
    }

    /// Compares the answers with the registry: a certificate that is revoked there is revoked here, and no other is.
    ///
    /// # Errors
    /// The sentence that names the certificate.
    pub fn check(&self, registered: &RegisteredRevocations) -> Result<(), String> {
        let revoked: BTreeMap<[u8; SERIAL], _> =
            registered.revoked.iter().map(|entry| (key(&entry.serial_number), entry)).collect();
        for (serial, prepared) in &self.0 {
            for state in prepared.states().map_err(|error| error.to_string())? {
                if !agrees(state, revoked.get(serial).copied()) {
                    let serial = hex::encode(serial);
                    return Err(format!(
                        "the OCSP answer about {serial} does not say what the registry holds"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether an answer says what the registry holds.
fn agrees(said: CertificateState, revoked: Option<&RevokedCertificate>) -> bool {
    match (said, revoked) {
        (CertificateState::Good, None) => true,
        (CertificateState::Revoked { at, reason }, Some(entry)) => {
            at.as_second() == entry.revocation_date.as_second() && reason == entry.reason
        }
        _ => false,
    }
}

/// Published answers: an index in memory, the rest on the disk.
#[derive(Debug)]
pub struct PublishedAnswers {
    file: File,
    index: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    serial: [u8; SERIAL],
    this_update: Timestamp,
    next_update: Timestamp,
    place: u64,
    length: usize,
}

impl PublishedAnswers {
    /// Opens a file of answers.
    ///
    /// # Errors
    /// It is not there, or is not of this form.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = [0; 16];
        file.read_exact(&mut head)?;
        let (magic, count) = head.split_at(MAGIC.len());
        let count = usize::try_from(number(count).ok_or_else(broken)?).map_err(|_| broken())?;
        let length = count.checked_mul(ENTRY).filter(|length| *length as u64 <= size).ok_or_else(broken)?;
        if magic != MAGIC {
            return Err(broken());
        }
        let mut index = vec![0; length];
        file.read_exact(&mut index)?;
        let index = index.chunks_exact(ENTRY).map(Entry::parse).collect::<Option<Vec<_>>>();
        let index = index.filter(|index| index.is_sorted_by(|one, next| one.serial < next.serial));
        let index = index.ok_or_else(broken)?;
        let ends =
            |entry: &Entry| entry.place.checked_add(entry.length as u64).is_some_and(|end| end <= size);
        if index.iter().all(ends) { Ok(Self { file, index }) } else { Err(broken()) }
    }

    /// The life of the answer that ends first; none where there is none.
    pub fn first_to_end(&self) -> Option<Life> {
        let first = self.index.iter().min_by_key(|entry| entry.next_update)?;
        Some(Life { this_update: first.this_update, next_update: first.next_update })
    }

    /// The answers about a certificate.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, serial_number: &SerialNumber) -> io::Result<Option<Prepared>> {
        let key = key(serial_number);
        let found = self.index.binary_search_by(|entry| entry.serial.cmp(&key));
        let Some(entry) = found.ok().and_then(|place| self.index.get(place)) else { return Ok(None) };
        self.read(entry).map(Some)
    }

    fn read(&self, entry: &Entry) -> io::Result<Prepared> {
        let mut responses = vec![0; entry.length];
        self.file.read_exact_at(&mut responses, entry.place)?;
        Ok(Prepared { this_update: entry.this_update, next_update: entry.next_update, responses })
    }

    /// What every answer says.
    pub(super) fn states(&self) -> impl Iterator<Item = io::Result<(SerialNumber, CertificateState)>> {
        self.index.iter().flat_map(|entry| match self.states_of(entry) {
            Ok(states) => states.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    fn states_of(&self, entry: &Entry) -> io::Result<Vec<(SerialNumber, CertificateState)>> {
        let begin = entry.serial.iter().position(|octet| *octet != 0).unwrap_or(SERIAL - 1);
        let serial = SerialNumber::from_bytes(entry.serial.get(begin..).unwrap_or_default());
        let serial = serial.map_err(|_| broken())?;
        let states = self.read(entry)?.states().map_err(|_| broken())?;
        Ok(states.into_iter().map(|state| (serial.clone(), state)).collect())
    }
}

impl Entry {
    fn parse(octets: &[u8]) -> Option<Self> {
        let (serial, rest) = octets.split_first_chunk::<SERIAL>()?;
        let mut numbers = rest.chunks_exact(8).map(number);
        let mut next = || numbers.next().flatten();
        let time = |seconds: u64| Timestamp::from_second(i64::try_from(seconds).ok()?).ok();
        Some(Self {
            serial: *serial,
            this_update: time(next()?)?,
            next_update: time(next()?)?,
            place: next()?,
            length: usize::try_from(next()?).ok().filter(|length| *length <= LONGEST)?,
        })
    }
}

/// Where the answers of an authority lie, relative to the published directory.
pub(crate) fn path(subject_key_identifier: &[u8]) -> PathBuf {
    Path::new(FOLDER).join(format!("{}.answers", hex::encode(subject_key_identifier)))
}

/// Whether a file of answers is called so.
pub(super) fn is_answers_file(name: &str) -> bool {
    name.strip_suffix(".answers").is_some_and(is_hexadecimal)
}

/// Serial numbers of one length compare as they are sorted.
fn key(serial_number: &SerialNumber) -> [u8; SERIAL] {
    let mut key = [0; SERIAL];
    for (octet, own) in key.iter_mut().rev().zip(serial_number.as_bytes().iter().rev()) {
        *octet = *own;
    }
    key
}

fn number(octets: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(octets.try_into().ok()?))
}

fn octets(number: usize) -> [u8; 8] {
    u64::try_from(number).unwrap_or(u64::MAX).to_be_bytes()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a file of OCSP answers")
}

/// The folder of the answers.
pub(crate) const FOLDER: &str = "ocsp";
const MAGIC: &[u8; 8] = b"SWOCSP01";
/// RFC 5280 section 4.1.2.2.
const SERIAL: usize = 20;
const ENTRY: usize = SERIAL + 4 * 8;
/// An answer with its responder's certificate has about a thousand octets, and there are two.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn serial(octets: &[u8]) -> SerialNumber {
        SerialNumber::from_bytes(octets).unwrap()
    }

    fn written(file: &[u8]) -> io::Result<PublishedAnswers> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.answers");
        std::fs::write(&path, file).unwrap();
        PublishedAnswers::open(&path)
    }

    fn three() -> NewAnswers {
        let mut answers = NewAnswers::default();
        for number in [[0x01, 0x00], [0x00, 0xFF], [0x7F, 0x01]] {
            let time = Timestamp::from_second(i64::from(number[0]) + 100).unwrap();
            let prepared = Prepared { this_update: time, next_update: time, responses: number.repeat(3) };
            answers.insert(&serial(&number), prepared);
        }
        answers
    }

    #[test]
    fn what_is_written_is_found_and_nothing_else() {
        let published = written(&three().encode()).unwrap();
        for number in [[0x01, 0x00], [0x00, 0xFF], [0x7F, 0x01]] {
            let found = published.find(&serial(&number)).unwrap().unwrap();
            assert_eq!(
                (found.responses, found.this_update.as_second()),
                (number.repeat(3), i64::from(number[0]) + 100)
            );
        }
        assert!(published.find(&serial(&[0x02])).unwrap().is_none());
        assert!(written(&NewAnswers::default().encode()).unwrap().find(&serial(&[2])).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let good = three().encode();
        for length in 0..good.len() {
            assert!(written(&good[..length]).is_err(), "{length}");
        }
        for place in 0..16 + 3 * ENTRY {
            let mut bad = good.clone();
            bad[place] ^= 0x80;
            // It may still be readable, but never beyond its end.
            if let Ok(published) = written(&bad) {
                let _ = published.find(&serial(&[0x01, 0x00]));
            }
        }
    }
}
