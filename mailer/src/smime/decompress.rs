//! CompressedData, read (RFC 3274): zlib, as a stream.
use std::io::{self, Write};

use const_oid::ObjectIdentifier;
use flate2::{Decompress, FlushDecompress, Status};
use zeroize::Zeroizing;

use super::ber_reader::{ReadError, Reader};
use super::content_digest::CHUNK;
use super::content_info;
use super::object_identifiers::{ID_CT_COMPRESSED_DATA, ID_DATA, ZLIB_COMPRESS};
use crate::certificate::tlv::tag;
use crate::content::{Content, Replay, Spool};

/// The longest content that is unpacked.
const LONGEST: u64 = 4 << 30;
/// From here on the content may be at most so many times as long as its compressed form: real mail stays far below.
const RATIO: u64 = 200;
const FREE_OF_RATIO: u64 = 16 << 20;
const LONGEST_SMALL_FIELD: usize = 16 * 1024;

/// Why the content could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// Not a CompressedData.
    #[error("this is not a compressed message but of the CMS content type {0}")]
    NotCompressed(ObjectIdentifier),
    /// What is inside is no mail (RFC 8551 section 2.4.5).
    #[error("what was compressed is not a mail but of the CMS content type {0}")]
    NotMail(ObjectIdentifier),
    /// Malformed, or damaged.
    #[error("the compressed message is malformed: {0}")]
    Malformed(String),
    /// An algorithm that we do not know.
    #[error("the message cannot be unpacked: the compression algorithm {0} is not supported")]
    Unsupported(ObjectIdentifier),
    /// It would fill the disk.
    #[error(
        "the message would become suspiciously long when it is unpacked; that was stopped after {0} bytes"
    )]
    Bomb(u64),
    /// The message could not be read, or the temporary file not be written.
    #[error("the message could not be read or its content not be kept: {0}")]
    Io(#[from] io::Error),
}

impl DecompressError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotCompressed(_) => "not-compressed",
            Self::NotMail(_) => "compressed-other-content",
            Self::Malformed(_) => "compressed-malformed",
            Self::Unsupported(_) => "unsupported-algorithm",
            Self::Bomb(_) => "decompression-bomb",
            Self::Io(_) => "input-output",
        }
    }
}

impl From<ReadError> for DecompressError {
    fn from(problem: ReadError) -> Self {
        match problem {
            ReadError::Malformed(problem) => Self::Malformed(problem),
            ReadError::Io(error) => Self::Io(error),
        }
    }
}

/// Unpacks a CompressedData (DER or BER, of any length).
///
/// ```text
/// CompressedData ::= SEQUENCE { version CMSVersion, compressionAlgorithm CompressionAlgorithmIdentifier,
///     encapContentInfo EncapsulatedContentInfo }
/// ```
///
/// # Errors
/// See [`DecompressError`].
pub fn decompress(cms: &dyn Replay) -> Result<Content, DecompressError> {
    let mut reader = Reader::new(cms);
    let found = content_info::enter(&mut reader)?;
    if found != ID_CT_COMPRESSED_DATA {
        return Err(DecompressError::NotCompressed(found));
    }
    content_info::enter_content(&mut reader)?;
    reader.expect(tag::INTEGER, LONGEST_SMALL_FIELD)?;
    let algorithm = content_info::read_algorithm(&mut reader)?.oid;
    if algorithm != ZLIB_COMPRESS {
        return Err(DecompressError::Unsupported(algorithm));
    }
    reader.enter(tag::SEQUENCE)?;
    let content_type = content_info::read_object_identifier(&mut reader)?;
    if content_type != ID_DATA {
        return Err(DecompressError::NotMail(content_type));
    }
    reader.enter(tag::context_constructed(0))?;
    let content = unpack(&mut reader)?;
    reader.leave()?;
    reader.leave()?;
    content_info::leave(&mut reader)?;
    Ok(content)
}

fn unpack(reader: &mut Reader<'_>) -> Result<Content, DecompressError> {
    let mut octets = reader.octets(tag::OCTET_STRING)?;
    let mut unpacking = Unpacking {
        zlib: Decompress::new(true),
        spool: Spool::new(),
        unpacked: Zeroizing::new(vec![0; CHUNK]),
        ended: false,
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        let filled = octets.fill(&mut buffer)?;
        unpacking.update(buffer.get(..filled).unwrap_or_default())?;
        if filled < CHUNK {
            break;
        }
    }
    if !unpacking.ended {
        return Err(DecompressError::Malformed("the compressed content ends too early".to_owned()));
    }
    Ok(unpacking.spool.finish()?)
}

struct Unpacking {
    zlib: Decompress,
    spool: Spool,
    unpacked: Zeroizing<Vec<u8>>,
    /// Whether the zlib stream has ended, its checksum being right.
    ended: bool,
}

impl Unpacking {
    fn update(&mut self, mut compressed: &[u8]) -> Result<(), DecompressError> {
        let malformed = |problem: &str| DecompressError::Malformed(problem.to_owned());
        loop {
            if self.ended {
                return match compressed {
                    [] => Ok(()),
                    _ => Err(malformed("something follows the compressed content")),
                };
            }
            let (read_before, written_before) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self
                .zlib
                .decompress(compressed, &mut self.unpacked, FlushDecompress::None)
                .map_err(|_| malformed("the compressed content is damaged"))?;
            let read = self.zlib.total_in() - read_before;
            let written = self.zlib.total_out() - written_before;
            let written = usize::try_from(written).unwrap_or(usize::MAX);
            self.spool.write_all(self.unpacked.get(..written).unwrap_or_default())?;
            self.check_length()?;
            compressed = compressed.get(usize::try_from(read).unwrap_or(usize::MAX)..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            // Output that fills the buffer may have more behind it, even when all input is read.
            if !self.ended && compressed.is_empty() && written < self.unpacked.len() {
                return Ok(());
            }
            if !self.ended && read == 0 && written == 0 {
                return Err(malformed("the compressed content is damaged"));
            }
        }
    }

    fn check_length(&self) -> Result<(), DecompressError> {
        let (read, written) = (self.zlib.total_in(), self.zlib.total_out());
        let too_dense = written > FREE_OF_RATIO && written / RATIO > read;
        if written > LONGEST || too_dense { Err(DecompressError::Bomb(written)) } else { Ok(()) }
    }
}
