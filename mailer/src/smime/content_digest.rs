//! The content's digests, all computed while it passes by once.
use std::io::{self, Read};

use const_oid::ObjectIdentifier;
use zeroize::Zeroizing;

use crate::certificate::tlv::tag;
use crate::certificate::{DigestAlgorithm, RunningDigest};
use crate::content::Content;

/// How much content is taken at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// Computes digests.
pub(super) struct Digesting(Vec<(DigestAlgorithm, RunningDigest)>);

impl Digesting {
    /// Of nothing yet, by each of the algorithms once.
    pub(super) fn new(algorithms: impl IntoIterator<Item = DigestAlgorithm>) -> Self {
        let mut digests: Vec<(DigestAlgorithm, RunningDigest)> = Vec::new();
        for algorithm in algorithms {
            if digests.iter().all(|(known, _)| *known != algorithm) {
                digests.push((algorithm, RunningDigest::new(algorithm)));
            }
        }
        Self(digests)
    }

    pub(super) fn update(&mut self, content: &[u8]) {
        self.0.iter_mut().for_each(|(_, digest)| digest.update(content));
    }

    fn finish(self) -> Vec<(DigestAlgorithm, Vec<u8>)> {
        self.0.into_iter().map(|(algorithm, digest)| (algorithm, digest.finish())).collect()
    }
}

/// The content that was signed, with its digests.
pub(super) struct DigestedContent {
    pub(super) content: Content,
    digests: Vec<(DigestAlgorithm, Vec<u8>)>,
    /// What the SignedData names as digest algorithms.
    pub(super) named: Vec<ObjectIdentifier>,
}

impl DigestedContent {
    /// Content whose octets went through `digesting` already.
    pub(super) fn new(content: Content, digesting: Digesting, named: Vec<ObjectIdentifier>) -> Self {
        Self { content, digests: digesting.finish(), named }
    }

    /// Reads the content once.
    pub(super) fn read(
        content: &Content,
        mut digesting: Digesting,
        named: Vec<ObjectIdentifier>,
    ) -> io::Result<Self> {
        if !digesting.0.is_empty() {
            let mut buffer = Zeroizing::new(vec![0; CHUNK]);
            let mut reader = content.reader();
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => digesting.update(buffer.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Self::new(content.clone(), digesting, named))
    }

    /// The digest by this algorithm, if it was computed.
    pub(super) fn digest(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(known, _)| *known == algorithm).map(|(_, digest)| digest.as_slice())
    }

    /// Whether the content is one SET in DER: signed attributes could be passed off as such content.
    pub(super) fn is_set(&self) -> io::Result<bool> {
        let head = self.content.head(10)?;
        let (Some(&tag::SET), Some(&first)) = (head.first(), head.get(1)) else { return Ok(false) };
        let count = if first < 0x80 { 0 } else { usize::from(first & 0x7F) };
        let octets = match count {
            0 => head.get(1..2),
            1..=8 => head.get(2..2 + count),
            _ => None,
        };
        let Some(octets) = octets else { return Ok(false) };
        let length = octets.iter().fold(0_u64, |length, octet| (length << 8) | u64::from(*octet));
        Ok(length.checked_add(2 + count as u64) == Some(self.content.len()))
    }
}
