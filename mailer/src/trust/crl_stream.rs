//! A CRL read once from end to end, in little memory, and written as an index ([`super::crl_index`]).
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;

use der::Encode;
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use std::cmp::Reverse;

use super::crl::Header;
use super::crl_entry::Entry;
use super::crl_index::{BLOCK, FileState, IndexError, Preamble, ROOM, block_checksum};
use super::crl_record::{LONGEST_SERIAL_NUMBER, Record, serial_number};
use crate::certificate::CertificateError;
use crate::certificate::RunningDigest;
use crate::certificate::signature::Scheme;
use crate::certificate::tlv::{Element, Malformed, element, length_octets, tag};

/// The largest part of a list besides its entries, and the largest entry.
const LARGEST_PART: usize = 64 * 1024;
/// How much is sorted at once.
const RUN: usize = 1024 * 1024;
/// The most runs: 64 MiB of entries.
const MOST_RUNS: usize = 64;
/// The most issuers of an indirect list.
const MOST_ISSUERS: usize = 4096;

/// Reads a list and writes the blocks of its index.
pub(super) fn index(
    list: &mut dyn Read,
    file: FileState,
    scratch: &File,
    sink: &mut dyn Write,
) -> Result<Preamble, IndexError> {
    let mut reader = Reader::new(list);
    let (outer, _) = reader.open(tag::SEQUENCE)?;
    let (signed_end, signed_header) = reader.open(tag::SEQUENCE)?;
    let head = Head::read(&mut reader, &signed_header)?;
    let mut runs = Runs { scratch, arena: Vec::new(), records: Vec::new(), written: 0, bounds: Vec::new() };
    let mut issuers: HashMap<Vec<u8>, u16> = HashMap::new();
    let mut ends = None;
    if reader.position < signed_end && reader.peek()? == tag::SEQUENCE {
        ends = Some(reader.open(tag::SEQUENCE)?.0);
    }
    // The extensions come after the entries, and say how these are to be read: what depends on them is checked below.
    let lenient = head.lenient_header();
    let mut ordinal = 0;
    let mut entries = 0;
    let mut removed = false;
    while ends.is_some_and(|end| reader.position < end) {
        let bytes = reader.element()?;
        let entry =
            Entry::read(&Element::only(&bytes, tag::SEQUENCE).map_err(super::crl::malformed)?, &lenient)?;
        if let Some(name) = &entry.issuer {
            let der = name.to_der().map_err(|error| CertificateError(error.to_string()))?;
            let next = u16::try_from(issuers.len() + 1).unwrap_or(u16::MAX);
            ordinal = *issuers.entry(der).or_insert(next);
            if issuers.len() > MOST_ISSUERS {
                return Err(CertificateError("the CRL names too many issuers".to_owned()).into());
            }
        }
        removed |= entry.listing == super::crl_entry::Listing::Removed;
        entries += 1;
        if entry.serial_number.len() <= LONGEST_SERIAL_NUMBER {
            let record =
                Record { serial_number: entry.serial_number, listing: entry.listing, issuer: ordinal };
            runs.add(&record)?;
        }
    }
    check_end(ends.unwrap_or(reader.position), reader.position)?;
    let extensions = if reader.position < signed_end { reader.element()? } else { Vec::new() };
    check_end(signed_end, reader.position)?;
    let signed_digest = reader.finish_signed();
    let algorithm = reader.element()?;
    let value = reader.element()?;
    check_end(outer, reader.position)?;
    let skeleton = head.skeleton(&extensions, &algorithm, &value);
    let header = Header::read(&skeleton)?;
    let is_indirect = header.scope.as_ref().is_some_and(|scope| scope.indirect_crl);
    if !issuers.is_empty() && !is_indirect || removed && header.base.is_none() {
        let problem = "the CRL has entries that do not fit its kind";
        return Err(CertificateError(problem.to_owned()).into());
    }
    let blocks = runs.merge(sink)?;
    let mut named: Vec<(u16, Vec<u8>)> = issuers.into_iter().map(|(name, ordinal)| (ordinal, name)).collect();
    named.sort();
    let issuers = named.into_iter().map(|(_, name)| name).collect();
    let list_hash = reader.finish()?;
    Ok(Preamble { file, list_hash, skeleton, signed_digest, issuers, blocks, entries })
}

fn check_end(expected: u64, found: u64) -> Result<(), CertificateError> {
    if expected == found { Ok(()) } else { Err(super::crl::malformed(Malformed::Length)) }
}

/// What stands before the entries.
struct Head {
    version: Option<Vec<u8>>,
    fields: Vec<Vec<u8>>,
}

impl Head {
    /// Reads up to nextUpdate, and begins to hash with what was read.
    fn read(reader: &mut Reader<'_>, signed_header: &[u8]) -> Result<Self, IndexError> {
        let mut bytes = signed_header.to_vec();
        let version = (reader.peek()? == tag::INTEGER).then(|| reader.element()).transpose()?;
        bytes.extend(version.iter().flatten());
        let algorithm = reader.element()?;
        bytes.extend_from_slice(&algorithm);
        let identifier: AlgorithmIdentifierOwned =
            der::Decode::from_der(&algorithm).map_err(|_| super::crl::malformed(Malformed::Tag))?;
        let scheme = Scheme::of(&identifier, None).map_err(|error| CertificateError(error.to_string()))?;
        if scheme == Scheme::Ed25519 {
            let problem = "the signature of the CRL (Ed25519) needs all of it at once";
            return Err(CertificateError(problem.to_owned()).into());
        }
        reader.begin_signed(RunningDigest::new(scheme.digest()), &bytes);
        let mut fields = vec![algorithm, reader.element()?, reader.element()?];
        if matches!(reader.peek()?, tag::UTC_TIME | tag::GENERALIZED_TIME) {
            fields.push(reader.element()?);
        }
        Ok(Self { version, fields })
    }

    /// A header under which every kind of entry may be read.
    fn lenient_header(&self) -> Header {
        Header::permissive(self.version.is_none())
    }

    /// The list without its entries.
    fn skeleton(&self, extensions: &[u8], algorithm: &[u8], value: &[u8]) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = self.version.iter().map(Vec::as_slice).collect();
        parts.extend(self.fields.iter().map(Vec::as_slice));
        parts.push(extensions);
        let signed = element(tag::SEQUENCE, &parts);
        element(tag::SEQUENCE, &[&signed, algorithm, value])
    }
}

/// DER from a stream: counted, hashed as it passes.
struct Reader<'r> {
    from: BufReader<&'r mut dyn Read>,
    position: u64,
    whole: Sha256,
    signed: Option<RunningDigest>,
    peeked: Option<u8>,
}

impl<'r> Reader<'r> {
    fn new(from: &'r mut dyn Read) -> Self {
        let from = BufReader::with_capacity(64 * 1024, from);
        Self { from, position: 0, whole: Sha256::new(), signed: None, peeked: None }
    }

    fn begin_signed(&mut self, mut digest: RunningDigest, earlier: &[u8]) {
        digest.update(earlier);
        self.signed = Some(digest);
    }

    fn finish_signed(&mut self) -> Vec<u8> {
        self.signed.take().map(RunningDigest::finish).unwrap_or_default()
    }

    /// Nothing may follow.
    fn finish(mut self) -> Result<[u8; 32], IndexError> {
        let mut more = [0];
        if self.peeked.is_some() || self.from.read(&mut more)? != 0 {
            return Err(super::crl::malformed(Malformed::Trailing).into());
        }
        Ok(self.whole.finalize().into())
    }

    fn peek(&mut self) -> Result<u8, IndexError> {
        if let Some(octet) = self.peeked {
            return Ok(octet);
        }
        let mut octet = [0];
        self.from.read_exact(&mut octet).map_err(truncated)?;
        let [octet] = octet;
        self.peeked = Some(octet);
        Ok(octet)
    }

    fn take(&mut self, into: &mut Vec<u8>, count: usize) -> Result<(), IndexError> {
        let start = into.len();
        into.resize(start + count, 0);
        let mut from = start;
        if let (Some(octet), Some(first)) = (self.peeked, into.get_mut(start)) {
            *first = octet;
            self.peeked = None;
            from += 1;
        }
        self.from.read_exact(into.get_mut(from..).unwrap_or_default()).map_err(truncated)?;
        let taken = into.get(start..).unwrap_or_default();
        self.whole.update(taken);
        if let Some(digest) = &mut self.signed {
            digest.update(taken);
        }
        self.position += count as u64;
        Ok(())
    }

    /// Identifier and length octets, with the length that they say.
    fn header(&mut self) -> Result<(Vec<u8>, u64), IndexError> {
        let bad = || super::crl::malformed(Malformed::Length);
        let mut octets = Vec::with_capacity(6);
        self.take(&mut octets, 2)?;
        let first = octets.last().copied().unwrap_or_default();
        if first < 0x80 {
            return Ok((octets, u64::from(first)));
        }
        let count = usize::from(first & 0x7F);
        if count == 0 || count > 4 {
            return Err(bad().into());
        }
        self.take(&mut octets, count)?;
        let length = octets.iter().skip(2).fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
        if octets.get(1..) != Some(&length_octets(length)) {
            return Err(bad().into());
        }
        Ok((octets, length as u64))
    }

    /// Enters a constructed element: where it ends, and its header.
    fn open(&mut self, tag: u8) -> Result<(u64, Vec<u8>), IndexError> {
        let found = self.peek()?;
        if found != tag {
            return Err(super::crl::malformed(Malformed::Unexpected(found, tag)).into());
        }
        let (header, length) = self.header()?;
        Ok((self.position.saturating_add(length), header))
    }

    /// A whole element.
    fn element(&mut self) -> Result<Vec<u8>, IndexError> {
        let (mut bytes, length) = self.header()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= LARGEST_PART);
        let length = length.ok_or_else(|| CertificateError("a part of the CRL is too long".to_owned()))?;
        self.take(&mut bytes, length)?;
        Ok(bytes)
    }
}

fn truncated(error: io::Error) -> IndexError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => super::crl::malformed(Malformed::Truncated).into(),
        _ => error.into(),
    }
}

/// Records, sorted piece by piece on the disk.
struct Runs<'s> {
    scratch: &'s File,
    arena: Vec<u8>,
    records: Vec<(usize, usize)>,
    written: u64,
    bounds: Vec<(u64, u64)>,
}

impl Runs<'_> {
    fn add(&mut self, record: &Record<'_>) -> Result<(), IndexError> {
        let start = self.arena.len();
        record.write(&mut self.arena);
        self.records.push((start, self.arena.len()));
        if self.arena.len() >= RUN { self.close_run() } else { Ok(()) }
    }

    /// Writes the records at hand in their order.
    fn close_run(&mut self) -> Result<(), IndexError> {
        if self.records.is_empty() {
            return Ok(());
        }
        if self.bounds.len() >= MOST_RUNS {
            return Err(CertificateError("the CRL has too many entries".to_owned()).into());
        }
        let arena = &self.arena;
        let record = |(start, end): &(usize, usize)| arena.get(*start..*end).unwrap_or_default();
        self.records.sort_by(|one, other| serial_number(record(one)).cmp(&serial_number(record(other))));
        let mut sorted = Vec::with_capacity(arena.len());
        self.records.iter().for_each(|found| sorted.extend_from_slice(record(found)));
        self.scratch.write_all_at(&sorted, self.written)?;
        let end = self.written + sorted.len() as u64;
        self.bounds.push((self.written, end));
        self.written = end;
        self.arena.clear();
        self.records.clear();
        Ok(())
    }

    /// Merges the runs into blocks; answers how many.
    fn merge(mut self, sink: &mut dyn Write) -> Result<u64, IndexError> {
        self.close_run()?;
        (self.arena, self.records) = (Vec::new(), Vec::new());
        let mut runs: Vec<Run<'_>> = self
            .bounds
            .iter()
            .map(|(at, end)| Run { scratch: self.scratch, at: *at, end: *end, rest: Vec::new(), from: 0 })
            .collect();
        let mut heap = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next()?.map(|record| Reverse((Key(record), number))));
        }
        let mut blocks = Blocks { sink, block: vec![0; 2], count: 0, number: 0 };
        while let Some(Reverse((Key(record), number))) = heap.pop() {
            blocks.add(&record)?;
            if let Some(run) = runs.get_mut(number) {
                heap.extend(run.next()?.map(|record| Reverse((Key(record), number))));
            }
        }
        blocks.finish()
    }
}

/// A record in the order of its serial number.
#[derive(PartialEq, Eq)]
struct Key(Vec<u8>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (serial_number(&self.0), &self.0).cmp(&(serial_number(&other.0), &other.0))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A sorted run, read piece by piece.
struct Run<'s> {
    scratch: &'s File,
    at: u64,
    end: u64,
    rest: Vec<u8>,
    from: usize,
}

impl Run<'_> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, IndexError> {
        const PIECE: u64 = 16 * 1024;
        const LONGEST_RECORD: usize = 128;
        if self.rest.len() - self.from < LONGEST_RECORD && self.at < self.end {
            self.rest.drain(..self.from);
            self.from = 0;
            let start = self.rest.len();
            let more = usize::try_from((self.end - self.at).min(PIECE)).unwrap_or_default();
            self.rest.resize(start + more, 0);
            self.scratch.read_exact_at(self.rest.get_mut(start..).unwrap_or_default(), self.at)?;
            self.at += more as u64;
        }
        let rest = self.rest.get(self.from..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (_, after) = Record::read(rest).ok_or(IndexError::Damaged)?;
        let length = rest.len() - after.len();
        let record = rest.get(..length).unwrap_or_default().to_vec();
        self.from += length;
        Ok(Some(record))
    }
}

/// Blocks, filled and sealed one after another.
struct Blocks<'w> {
    sink: &'w mut dyn Write,
    block: Vec<u8>,
    count: u16,
    number: u64,
}

impl Blocks<'_> {
    fn add(&mut self, record: &[u8]) -> Result<(), IndexError> {
        if self.block.len() + record.len() > ROOM {
            self.seal()?;
        }
        self.block.extend_from_slice(record);
        self.count += 1;
        Ok(())
    }

    fn seal(&mut self) -> Result<(), IndexError> {
        self.block.resize(ROOM, 0);
        let count = self.count.to_be_bytes();
        self.block.iter_mut().zip(count).for_each(|(to, from)| *to = from);
        self.block.extend_from_slice(&block_checksum(self.number, &self.block));
        debug_assert_eq!(self.block.len(), BLOCK);
        self.sink.write_all(&self.block)?;
        self.block.truncate(0);
        self.block.resize(2, 0);
        (self.count, self.number) = (0, self.number + 1);
        Ok(())
    }

    fn finish(mut self) -> Result<u64, IndexError> {
        if self.count > 0 {
            self.seal()?;
        }
        Ok(self.number)
    }
}
