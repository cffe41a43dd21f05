//! The index of a long CRL: made once, when the list arrives, and searched on the disk.
//!
//! The list is read once from end to end, in little memory: its signed part is hashed for the signature, its entries are
//! sorted in runs on the disk and merged. The index holds what the signature needs (the list without its entries, and
//! the hash), so that nothing of the list is read again. It belongs to one file: when that changes, or the index is damaged,
//! the index is made anew.
//!
//! ```text
//! index    = block* preamble trailer
//! block    = count (2) record* zeroes checksum (8): 4096 octets, the records in the order of their serial numbers
//! record   = length (1) serial-number flags (1) date (5) [reason (1)] [invalidity date (5)] [issuer (2)]
//! preamble = JSON, see Preamble
//! trailer  = magic (8) offset of the preamble (8) length of the preamble (4) SHA-256 of the preamble (32)
//! ```
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use der::Decode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::name::Name;

use super::crl_entry::Listing;
use super::crl_record::{Record, serial_number};
use super::crl_stream;
use crate::certificate::{CertificateError, names};
use crate::durable_file::create_private_folder;

pub(super) const BLOCK: usize = 4096;
const CHECKSUM: usize = 8;
/// What of a block may hold records.
pub(super) const ROOM: usize = BLOCK - CHECKSUM;
const MAGIC: &[u8; 8] = b"SWCRLIX1";
const TRAILER: usize = 52;
/// The largest preamble: a list without its entries, and the issuers of an indirect one.
const LARGEST_PREAMBLE: u32 = 4 * 1024 * 1024;

/// An index, open.
pub(crate) struct CrlIndex {
    list: PathBuf,
    index: PathBuf,
    preamble: Arc<Preamble>,
    open: Mutex<Arc<File>>,
}

/// What stands in an index beside the entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Preamble {
    /// The file of the list, as it was when the index was made.
    pub(super) file: FileState,
    /// SHA-256 of the list.
    pub(super) list_hash: [u8; 32],
    /// The list without its entries.
    pub(super) skeleton: Vec<u8>,
    /// The hash of the signed part by the signature's algorithm.
    pub(super) signed_digest: Vec<u8>,
    /// The names in certificateIssuer extensions, which records count from 1.
    pub(super) issuers: Vec<Vec<u8>>,
    pub(super) blocks: u64,
    pub(super) entries: u64,
}

/// By what one sees that a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileState {
    length: u64,
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl FileState {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let facts = file.metadata()?;
        Ok(Self {
            length: facts.len(),
            device: facts.dev(),
            inode: facts.ino(),
            modified: (facts.mtime(), facts.mtime_nsec()),
        })
    }
}

/// Why an index cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("the CRL or its index cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("the index of the CRL is damaged")]
    Damaged,
    #[error("{0}")]
    List(#[from] CertificateError),
}

impl From<IndexError> for CertificateError {
    fn from(problem: IndexError) -> Self {
        match problem {
            IndexError::List(problem) => problem,
            other => Self(other.to_string()),
        }
    }
}

impl CrlIndex {
    /// Opens the index of the list in the file `list`; makes it when there is none, or a damaged one, or one of another
    /// state of that file.
    ///
    /// # Errors
    /// The list cannot be read, is malformed, is signed in a way that needs the whole list at once, or has an entry that
    /// is not understood.
    pub(crate) fn open_or_make(list: &Path, index: &Path) -> Result<Self, CertificateError> {
        let state = File::open(list).and_then(|file| FileState::of(&file)).map_err(IndexError::Io)?;
        let opened = match open(index) {
            Ok((file, preamble)) if preamble.file == state => (file, preamble),
            _ => make(list, index)?,
        };
        let (file, preamble) = opened;
        Ok(Self {
            list: list.to_owned(),
            index: index.to_owned(),
            preamble: Arc::new(preamble),
            open: Mutex::new(Arc::new(file)),
        })
    }

    /// The list without its entries: header, extensions, signature.
    pub(crate) fn skeleton(&self) -> &[u8] {
        &self.preamble.skeleton
    }

    /// The hash that was signed.
    pub(crate) fn signed_digest(&self) -> &[u8] {
        &self.preamble.signed_digest
    }

    /// SHA-256 of the list.
    pub(crate) fn list_hash(&self) -> &[u8; 32] {
        &self.preamble.list_hash
    }

    /// How many certificates are listed.
    pub(crate) fn entries(&self) -> u64 {
        self.preamble.entries
    }

    /// Looks for a certificate. An index that turns out damaged is made anew, once.
    pub(crate) fn find(
        &self,
        list_issuer: &Name,
        issuer: &Name,
        serial: &[u8],
    ) -> Result<Listing, CertificateError> {
        let file = Arc::clone(&self.open.lock().unwrap_or_else(PoisonError::into_inner));
        match self.search(&file, list_issuer, issuer, serial) {
            Err(IndexError::Damaged | IndexError::Io(_)) => {
                let (file, preamble) = make(&self.list, &self.index)?;
                if preamble.list_hash != self.preamble.list_hash {
                    return Err(CertificateError("the CRL changed while it was used".to_owned()));
                }
                let file = Arc::new(file);
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&file);
                Ok(self.search(&file, list_issuer, issuer, serial)?)
            }
            found => Ok(found?),
        }
    }

    fn search(
        &self,
        file: &File,
        list_issuer: &Name,
        issuer: &Name,
        serial: &[u8],
    ) -> Result<Listing, IndexError> {
        // The first block that begins with this serial number or a later one; it may begin in the block before.
        let (mut low, mut high) = (0, self.preamble.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            let block = self.block(file, middle)?;
            let first = serial_number(block.get(2..ROOM).unwrap_or_default()).ok_or(IndexError::Damaged)?;
            if first < serial {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for number in low.saturating_sub(1)..self.preamble.blocks {
            let block = self.block(file, number)?;
            let count = block.first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
            let mut rest = block.get(2..ROOM).unwrap_or_default();
            for _ in 0..count {
                let (record, after) = Record::read(rest).ok_or(IndexError::Damaged)?;
                rest = after;
                match record.serial_number.cmp(serial) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Greater => return Ok(Listing::Absent),
                    std::cmp::Ordering::Equal => {
                        if self.is_about(record.issuer, list_issuer, issuer)? {
                            return Ok(record.listing);
                        }
                    }
                }
            }
        }
        Ok(Listing::Absent)
    }

    fn is_about(&self, ordinal: u16, list_issuer: &Name, issuer: &Name) -> Result<bool, IndexError> {
        let Some(position) = usize::from(ordinal).checked_sub(1) else {
            return Ok(names::same_name(list_issuer, issuer));
        };
        let named = self.preamble.issuers.get(position).ok_or(IndexError::Damaged)?;
        Ok(names::same_name(&Name::from_der(named).map_err(|_| IndexError::Damaged)?, issuer))
    }

    fn block(&self, file: &File, number: u64) -> Result<[u8; BLOCK], IndexError> {
        let mut block = [0; BLOCK];
        file.read_exact_at(&mut block, number * BLOCK as u64)?;
        let (contents, checksum) = block.split_at(ROOM);
        if checksum == block_checksum(number, contents) { Ok(block) } else { Err(IndexError::Damaged) }
    }
}

/// Seals a block: its checksum says also where it belongs.
pub(super) fn block_checksum(number: u64, contents: &[u8]) -> [u8; CHECKSUM] {
    let hash = Sha256::new().chain_update(number.to_be_bytes()).chain_update(contents).finalize();
    let mut checksum = [0; CHECKSUM];
    checksum.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    checksum
}

fn open(path: &Path) -> Result<(File, Preamble), IndexError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, length.saturating_sub(TRAILER as u64))?;
    let (magic, rest) = trailer.split_first_chunk::<8>().ok_or(IndexError::Damaged)?;
    let (offset, rest) = rest.split_first_chunk::<8>().ok_or(IndexError::Damaged)?;
    let (size, hash) = rest.split_first_chunk::<4>().ok_or(IndexError::Damaged)?;
    let (offset, size) = (u64::from_be_bytes(*offset), u32::from_be_bytes(*size));
    let fits = offset.checked_add(u64::from(size) + TRAILER as u64) == Some(length);
    if magic != MAGIC || size > LARGEST_PREAMBLE || !fits {
        return Err(IndexError::Damaged);
    }
    let mut preamble = vec![0; usize::try_from(size).map_err(|_| IndexError::Damaged)?];
    file.read_exact_at(&mut preamble, offset)?;
    if Sha256::digest(&preamble).as_slice() != hash {
        return Err(IndexError::Damaged);
    }
    let preamble: Preamble = serde_json::from_slice(&preamble).map_err(|_| IndexError::Damaged)?;
    if preamble.blocks.checked_mul(BLOCK as u64) != Some(offset) {
        return Err(IndexError::Damaged);
    }
    Ok((file, preamble))
}

/// Makes an index beside the old one and puts it in its place: mode 0600 in a folder of mode 0700.
fn make(list: &Path, index: &Path) -> Result<(File, Preamble), IndexError> {
    let folder = index.parent().unwrap_or(Path::new("."));
    create_private_folder(folder)?;
    let new = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    let scratch = tempfile::tempfile_in(folder)?;
    let mut source = File::open(list)?;
    let state = FileState::of(&source)?;
    let mut sink = io::BufWriter::with_capacity(64 * 1024, new.as_file());
    let preamble = crl_stream::index(&mut source, state, &scratch, &mut sink)?;
    if FileState::of(&source)? != state {
        return Err(CertificateError("the CRL changed while it was read".to_owned()).into());
    }
    write_preamble(&mut sink, &preamble)?;
    sink.flush()?;
    drop(sink);
    let file = new.persist(index).map_err(|refused| refused.error)?;
    // What persist answers is open for writing too; the index is only read from now on.
    drop(file);
    open(index)
}

fn write_preamble(sink: &mut dyn Write, preamble: &Preamble) -> Result<(), IndexError> {
    let text = serde_json::to_vec(preamble).map_err(io::Error::other)?;
    let size = u32::try_from(text.len()).ok().filter(|size| *size <= LARGEST_PREAMBLE);
    let size = size.ok_or_else(|| CertificateError("the header of the CRL is too long".to_owned()))?;
    sink.write_all(&text)?;
    sink.write_all(MAGIC)?;
    sink.write_all(&(preamble.blocks * BLOCK as u64).to_be_bytes())?;
    sink.write_all(&size.to_be_bytes())?;
    sink.write_all(&Sha256::digest(&text))?;
    Ok(())
}

/// Whether a file is long enough to be worth an index.
pub(crate) fn is_long(length: u64) -> bool {
    const LONG: u64 = 256 * 1024;
    length > LONG
}

/// Reads a list from a file: a short one whole, a long one through its index. One in PEM, or one that can have no index (its signature
/// needs all of it at once) is held in memory.
///
/// # Errors
/// It cannot be read, is longer than `largest`, or is no CRL.
pub(crate) fn load(
    list: &Path,
    index: &Path,
    largest: u64,
) -> Result<super::CertificateList, CertificateError> {
    let file = File::open(list).map_err(IndexError::Io)?;
    let length = file.metadata().map_err(IndexError::Io)?.len();
    if length > largest {
        return Err(CertificateError(format!("the CRL is longer than {largest} bytes")));
    }
    if is_long(length) {
        match CrlIndex::open_or_make(list, index) {
            Ok(index) => return super::CertificateList::from_index(index),
            Err(error) => tracing::debug!(%error, "no index of the CRL could be made"),
        }
    }
    let mut bytes = Vec::new();
    file.take(largest).read_to_end(&mut bytes).map_err(IndexError::Io)?;
    if bytes.starts_with(b"-----BEGIN X509 CRL-----") {
        let (_, der) = der::pem::decode_vec(&bytes)
            .map_err(|problem| CertificateError(format!("the CRL is malformed: {problem}")))?;
        return super::CertificateList::from_vec(der);
    }
    super::CertificateList::from_vec(bytes)
}
