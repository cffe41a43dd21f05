//! What a log holds when it is opened: whole, torn by a power cut, or changed.
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::error::TimeStampError;
use super::line::{self, LONGEST, Line};
use super::{Chain, Medium};
use crate::ca::Certificate;

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Stamps.
    pub stamps: u64,
    /// The newest of their times.
    pub newest: Option<Timestamp>,
    /// Octets of a batch that a power cut tore; no stamp of it had left.
    pub torn: u64,
    /// Where the torn octets are kept: beside the log.
    pub kept: Option<PathBuf>,
    /// Length of what is whole.
    pub(super) length: u64,
    /// Chain value of the last line.
    pub(super) chain: Chain,
}

impl Summary {
    /// Chain value of the last line, in hexadecimal digits: it stands for everything before.
    pub fn chain(&self) -> String {
        hex::encode(self.chain)
    }
}

/// One line of the file, however it ends.
enum Read1 {
    End,
    /// Without its end; `None` for what is not text.
    Whole(Option<String>),
    /// The file ends before the line does, or the line is longer than any of ours.
    Cut,
}

/// Reads a log from its first line to its last.
pub(super) fn read(path: &Path, file: &File, certificate: &Certificate) -> Result<Summary, TimeStampError> {
    let io = |error| TimeStampError::Io { path: path.to_owned(), error };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    let header = line::header(certificate);
    let damaged = |line, reason| TimeStampError::DamagedLog { path: path.to_owned(), line, reason };
    match next(&mut reader).map_err(io)? {
        Read1::Whole(Some(text)) if text == header.trim_end() => {}
        Read1::Whole(Some(text)) if text.starts_with("time-stamp-log 1 ") => {
            let reason = "it is the log of another service; put this service's own log back".to_owned();
            return Err(TimeStampError::Malformed { path: path.to_owned(), reason });
        }
        _ => return Err(damaged(1, "it is not the header of a log")),
    }
    let mut summary = Summary {
        stamps: 0,
        newest: None,
        torn: 0,
        kept: None,
        length: u64::try_from(header.len()).unwrap_or_default(),
        chain: line::chain_of_header(&header),
    };
    let reason = loop {
        match next(&mut reader).map_err(io)? {
            Read1::End => return Ok(summary),
            Read1::Cut => break "it has no end",
            Read1::Whole(text) => match text.as_deref().map(|text| (text, Line::parse(text))) {
                Some((text, Some(line))) if line.number == summary.stamps + 1 => {
                    if !Line::follows(text, &summary.chain) {
                        break "its chain value does not fit";
                    }
                    summary.stamps = line.number;
                    summary.newest = summary.newest.max(Some(line.entry.time));
                    summary.chain = line.chain;
                    summary.length += u64::try_from(text.len() + 1).unwrap_or_default();
                }
                Some((_, Some(_))) => break "its number is not the next",
                _ => break "it is not of the form of a line",
            },
        }
    };
    match torn_after(&mut reader, &summary).map_err(io)? {
        Some(octets) => Ok(Summary { torn: octets, ..summary }),
        // The header is line 1.
        None => Err(damaged(summary.stamps + 2, reason)),
    }
}

/// How much a power cut tore, if what follows the last whole line is nothing else than that.
///
/// A batch that is being written can end early, and blocks of it can be missing, which then read as zeros. Neither leaves a
/// file without zeros that ends with a whole line; and no batch after it can have been begun.
fn torn_after(reader: &mut BufReader<&File>, summary: &Summary) -> io::Result<Option<u64>> {
    let end = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(summary.length))?;
    let (mut zeros, mut last) = (false, 0);
    loop {
        let chunk = reader.fill_buf()?;
        let Some(octet) = chunk.last() else { break };
        last = *octet;
        zeros |= chunk.contains(&0);
        let length = chunk.len();
        reader.consume(length);
    }
    if !zeros && last == b'\n' {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(summary.length))?;
    loop {
        match next(reader)? {
            Read1::End => return Ok(Some(end - summary.length)),
            Read1::Whole(Some(text))
                if Line::parse(&text).is_some_and(|line| line.batch > summary.stamps + 1) =>
            {
                return Ok(None);
            }
            Read1::Whole(_) | Read1::Cut => {}
        }
    }
}

/// Keeps the torn octets beside the log and takes them off it.
pub(super) fn heal(path: &Path, file: &File, summary: &mut Summary) -> Result<(), TimeStampError> {
    let kept = path.with_extension(format!("torn-{}", summary.stamps + 1));
    let copy = || -> io::Result<()> {
        let mut from = file;
        from.seek(SeekFrom::Start(summary.length))?;
        let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&kept)?;
        io::copy(&mut from.take(summary.torn), &mut to)?;
        to.flush()?;
        to.sync_all()
    };
    copy().map_err(|error| TimeStampError::Io { path: kept.clone(), error })?;
    let cut = file.try_clone().and_then(|mut log| Medium::cut(&mut log, summary.length));
    cut.map_err(|error| TimeStampError::Io { path: path.to_owned(), error })?;
    summary.kept = Some(kept);
    Ok(())
}

fn next(reader: &mut impl BufRead) -> io::Result<Read1> {
    let mut octets = Vec::new();
    let length = reader.take(LONGEST).read_until(b'\n', &mut octets)?;
    Ok(match (length, octets.pop()) {
        (0, _) => Read1::End,
        (_, Some(b'\n')) => Read1::Whole(String::from_utf8(octets).ok()),
        _ => Read1::Cut,
    })
}
