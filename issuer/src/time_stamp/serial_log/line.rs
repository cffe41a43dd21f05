//! The form of a line.
use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use middleware::DigestAlgorithm;
use sha2::{Digest, Sha256};

use super::Chain;
use crate::ca::{Certificate, SerialNumber};

/// One stamp, as the log remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Its time, in whole milliseconds.
    pub time: Timestamp,
    /// Digest algorithm of the imprint.
    pub algorithm: DigestAlgorithm,
    /// The imprint.
    pub imprint: Vec<u8>,
    /// The policy.
    pub policy: ObjectIdentifier,
}

/// A line in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Number of the first line of its batch.
    pub batch: u64,
    /// What it says.
    pub entry: Entry,
    /// The chain value that it claims.
    pub(super) chain: Chain,
}

/// Longer lines are none of ours.
pub(super) const LONGEST: u64 = 1024;

/// The first line, with its end.
pub(super) fn header(certificate: &Certificate) -> String {
    format!("time-stamp-log 1 {}\n", hex::encode(Sha256::digest(certificate.as_der())))
}

/// The chain before the first entry.
pub(super) fn chain_of_header(header: &str) -> Chain {
    Sha256::digest(header.trim_end().as_bytes()).into()
}

/// Writes a line with its end, and answers its chain value.
pub(super) fn write(number: u64, batch: u64, entry: &Entry, before: &Chain) -> (String, Chain) {
    let text = format!(
        "{number} {batch} {} {} {} {} {}",
        entry.serial_number,
        entry.time,
        digest_name(entry.algorithm),
        hex::encode(&entry.imprint),
        entry.policy
    );
    let chain = chain(before, &text);
    (format!("{text} {}\n", hex::encode(chain)), chain)
}

impl Line {
    /// Reads a line without its end.
    ///
    /// Whether its chain value fits is another question.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let mut next = || fields.next();
        let line = Self {
            number: next()?.parse().ok()?,
            batch: next()?.parse().ok()?,
            entry: Entry {
                serial_number: next()?.parse().ok()?,
                time: next()?.parse().ok()?,
                algorithm: digest_named(next()?)?,
                imprint: hex::decode(next()?).ok()?,
                policy: ObjectIdentifier::new(next()?).ok()?,
            },
            chain: hex::decode(next()?).ok()?.try_into().ok()?,
        };
        (fields.next().is_none() && (1..=line.number).contains(&line.batch)).then_some(line)
    }

    /// Whether this is the line that was written after the one with this chain value.
    /// Its chain value was written in small digits; it does not cover itself.
    pub(super) fn follows(text: &str, before: &Chain) -> bool {
        let fits = |said: &str, written: &str| hex::encode(chain(before, said)) == written;
        text.rsplit_once(' ').is_some_and(|(said, written)| fits(said, written))
    }
}

fn chain(before: &Chain, text: &str) -> Chain {
    Sha256::new().chain_update(before).chain_update(text).finalize().into()
}

const fn digest_name(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Sha256 => "sha256",
        DigestAlgorithm::Sha384 => "sha384",
        DigestAlgorithm::Sha512 => "sha512",
    }
}

fn digest_named(name: &str) -> Option<DigestAlgorithm> {
    [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512]
        .into_iter()
        .find(|algorithm| digest_name(*algorithm) == name)
}
