//! The log of serial numbers: one line for every stamp, on the disk before its answer leaves.
//!
//! ```text
//! time-stamp-log 1 <SHA-256 of the service's certificate>
//! <number> <batch> <serial number> <genTime> <digest> <imprint> <policy> <chain>
//! 1 1 4f3a...09 2026-11-30T06:28:00.123Z sha256 9f86...08 1.3.6.1.4.1.32473.1.4 77ab...c1
//! ```
//!
//! - *number* counts the lines from 1; *batch* is the number of the first line that reached the disk together with this one.
//! - *chain* is the SHA-256 of the chain before (of the header line, for the first) and of the line up to it: a line cannot
//!   be changed, added or taken out without changing every chain after it. Whoever keeps `number` and `chain` of the last
//!   line elsewhere can show later that nothing before it was changed.
//!
//! What is durable: [`SerialLog::append`] answers at once, and its [`Durable`] completes when the line has been written and
//! synchronised (`fdatasync`). Lines that arrive while the disk is busy go to it together, in one write and one
//! synchronisation. A batch is written only after the one before it is durable; so after a power cut only the last can be
//! torn, and none of its stamps had left.
//!
//! - [`mod@line`]: the form of a line; `recovery`: what is found at the start; `writer`: batches.
pub mod line;
mod recovery;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::error::TimeStampError;
use crate::ca::Certificate;
pub use line::Entry;
pub use recovery::Summary;
pub use writer::{Durable, Refused};

/// An open log; nobody else has it.
pub struct SerialLog {
    writer: writer::Writer,
    summary: Summary,
}

impl SerialLog {
    /// The header of a new log, to be written when the service is made.
    pub fn header(certificate: &Certificate) -> String {
        line::header(certificate)
    }

    /// Opens the log of a service, and heals it where a power cut tore its last batch.
    ///
    /// # Errors
    /// [`TimeStampError::DamagedLog`], [`TimeStampError::InUse`], the log of another service, or the file system's.
    pub fn open(path: &Path, certificate: &Certificate) -> Result<Self, TimeStampError> {
        let io = |error| TimeStampError::Io { path: path.to_owned(), error };
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TimeStampError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let mut summary = recovery::read(path, &file, certificate)?;
        if summary.torn > 0 {
            recovery::heal(path, &file, &mut summary)?;
        }
        let writer = writer::Writer::start(file, &summary).map_err(io)?;
        Ok(Self { writer, summary })
    }

    /// Checks a log from its first line to its last, and changes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(path: &Path, certificate: &Certificate) -> Result<Summary, TimeStampError> {
        let file = File::open(path).map_err(|error| TimeStampError::Io { path: path.to_owned(), error })?;
        recovery::read(path, &file, certificate)
    }

    /// What was found when it was opened.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Adds the line that `make` makes; it is told the newest time in the log. Lines stand in the order in which `make` is
    /// called, one call after the other.
    ///
    /// # Errors
    /// What `make` refuses, or [`Refused::Broken`] when nothing can be made durable any more.
    pub fn append<E>(
        &self,
        make: impl FnOnce(Option<Timestamp>) -> Result<Entry, E>,
    ) -> Result<(Entry, Durable), Refused<E>> {
        self.writer.append(make)
    }

    /// Completes when nothing can be made durable any more; the answer is why.
    pub async fn broken(&self) -> String {
        self.writer.broken().await
    }
}

/// Where lines go: a file, or in tests one that fails.
trait Medium: Send + 'static {
    /// Adds octets at the end.
    fn append(&mut self, octets: &[u8]) -> io::Result<()>;
    /// Makes them durable.
    fn synchronise(&mut self) -> io::Result<()>;
    /// Takes what follows this length off again, durably.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, octets)
    }

    fn synchronise(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.sync_all()
    }
}

/// The chain value of a line.
type Chain = [u8; 32];

#[cfg(test)]
mod tests;
