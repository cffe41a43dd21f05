//! Who was sent what, who has given a receipt for it, and what came instead: kept so that it can be proven later.
//!
//! A **case** is one message for which receipts were asked: a folder with `record.json` (what was sent, to whom; never changed),
//! `message.eml` (the signed message, encrypted to its sender alone), `journal` (one line an event, appended and on the disk
//! before anything follows from it) and `receipts`, `refused` (what came back, as it came).
//!
//! - this file: the folder of cases; [`record`]: what was sent; [`journal`]: what happened since.
//! - [`distribution`]: a case handed to the outbox, recipient by recipient.
//! - [`matching`]: a receipt that came, and the case that it belongs to.
pub mod distribution;
pub mod journal;
pub mod matching;
pub mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::journal::{Delivery, Event, Given, RecipientState, StrangersReceipt};
pub use self::record::{DocumentFacts, Record};
use crate::durable_file::{create_private_folder, replace, sync_folder};
use crate::message::address::Address;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file or folder.
    #[error("the ledger's {path} cannot be used: {problem}")]
    Storage {
        /// Which one.
        path: String,
        /// Why not.
        problem: io::Error,
    },
    /// Not what we write.
    #[error("the ledger's {path} is damaged: {problem}; restore it from a backup")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// No such case.
    #[error("there is no case {0} in the ledger; mailer document status shows them")]
    NoSuchCase(String),
    /// Another process works on it.
    #[error("another mailer works on the case {0}; try again when it is done")]
    InUse(String),
}

impl LedgerError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Storage { .. } => "ledger-storage",
            Self::Damaged { .. } => "ledger-damaged",
            Self::NoSuchCase(_) => "no-such-case",
            Self::InUse(_) => "case-in-use",
        }
    }

    fn storage(path: &Path, problem: io::Error) -> Self {
        Self::Storage { path: path.display().to_string(), problem }
    }

    fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.display().to_string(), problem: problem.into() }
    }
}

/// The folder of cases.
#[derive(Clone, Debug)]
pub struct Ledger {
    root: PathBuf,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    folder: PathBuf,
    record: Record,
}

/// Keeps other processes from working on a case; released when dropped, and by the system when we die.
#[derive(Debug)]
pub struct CaseLock {
    _file: File,
}

const RECORD: &str = "record.json";
const MESSAGE: &str = "message.eml";
const JOURNAL: &str = "journal";
const RECEIPTS: &str = "receipts";
const REFUSED: &str = "refused";
/// What a case is made in before it is one.
const UNFINISHED: &str = ".new-";

impl Ledger {
    /// Opens the folder, making it if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> Result<Self, LedgerError> {
        create_private_folder(root).map_err(|problem| LedgerError::storage(root, problem))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Opens a case; when this returns, a power cut cannot lose it. `message` is the signed message, encrypted to its sender.
    ///
    /// # Errors
    /// The disk is full or not writable: then there is no case.
    pub fn create(&self, record: Record, message: &[u8]) -> Result<Case, LedgerError> {
        let unfinished = self.root.join(format!("{UNFINISHED}{}", record.id));
        let folder = self.root.join(&record.id);
        let make = || -> io::Result<()> {
            for inner in [RECEIPTS, REFUSED] {
                create_private_folder(&unfinished.join(inner))?;
            }
            replace(&unfinished.join(MESSAGE), message)?;
            replace(&unfinished.join(JOURNAL), b"")?;
            replace(&unfinished.join(RECORD), &serde_json::to_vec_pretty(&record)?)?;
            fs::rename(&unfinished, &folder)?;
            sync_folder(&self.root)
        };
        make().map_err(|problem| LedgerError::storage(&folder, problem))?;
        Ok(Case { folder, record })
    }

    /// All cases, oldest first, each readable or not.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub fn cases(&self) -> Result<Vec<Result<Case, LedgerError>>, LedgerError> {
        let storage = |problem| LedgerError::storage(&self.root, problem);
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(storage)? {
            let path = entry.map_err(storage)?.path();
            let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.is_dir() && !is_hidden {
                folders.push(path);
            }
        }
        folders.sort();
        Ok(folders.into_iter().map(Case::load).collect())
    }

    /// One case by its name.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchCase`], or it is damaged.
    pub fn case(&self, id: &str) -> Result<Case, LedgerError> {
        let is_name = !id.is_empty() && !id.starts_with('.') && !id.contains('/');
        let folder = self.root.join(id);
        if !is_name || !folder.is_dir() {
            return Err(LedgerError::NoSuchCase(id.to_owned()));
        }
        Case::load(folder)
    }
}

impl Case {
    fn load(folder: PathBuf) -> Result<Self, LedgerError> {
        let path = folder.join(RECORD);
        let json = fs::read(&path).map_err(|problem| LedgerError::storage(&path, problem))?;
        let record: Record =
            serde_json::from_slice(&json).map_err(|error| LedgerError::damaged(&path, error.to_string()))?;
        if record.version != Record::VERSION {
            let problem = format!("version {} is not known to this program", record.version);
            return Err(LedgerError::damaged(&path, problem));
        }
        Ok(Self { folder, record })
    }

    /// What was sent.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The signed message, encrypted to its sender.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn message(&self) -> Result<Vec<u8>, LedgerError> {
        let path = self.folder.join(MESSAGE);
        fs::read(&path).map_err(|problem| LedgerError::storage(&path, problem))
    }

    /// Claims the case.
    ///
    /// # Errors
    /// [`LedgerError::InUse`].
    pub fn lock(&self) -> Result<CaseLock, LedgerError> {
        let path = self.folder.join(".lock");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|problem| LedgerError::storage(&path, problem))?;
        match file.try_lock() {
            Ok(()) => Ok(CaseLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(LedgerError::InUse(self.record.id.clone())),
            Err(fs::TryLockError::Error(problem)) => Err(LedgerError::storage(&path, problem)),
        }
    }

    /// Writes an event down; when this returns, a power cut cannot lose it.
    ///
    /// # Errors
    /// The disk is full or not writable.
    pub fn note(&self, recipient: &Address, event: Event, at: Timestamp) -> Result<(), LedgerError> {
        self.note_all(vec![(recipient.clone(), event)], at)
    }

    /// The same for several events, in their order; the disk is waited for once.
    ///
    /// # Errors
    /// The disk is full or not writable: some of them, from the first one on, may be written down.
    pub fn note_all(&self, events: Vec<(Address, Event)>, at: Timestamp) -> Result<(), LedgerError> {
        let lines =
            events.into_iter().map(|(recipient, event)| journal::line(&recipient.to_string(), event, at));
        self.append(&lines.collect::<String>())
    }

    fn append(&self, lines: &str) -> Result<(), LedgerError> {
        if lines.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(JOURNAL);
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            journal::heal(&mut file)?;
            file.write_all(lines.as_bytes())?;
            file.sync_data()
        };
        append().map_err(|problem| LedgerError::storage(&path, problem))
    }

    /// How it stands with every recipient, in the order of the record.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn states(&self) -> Result<Vec<RecipientState>, LedgerError> {
        let path = self.folder.join(JOURNAL);
        let text = fs::read(&path).map_err(|problem| LedgerError::storage(&path, problem))?;
        journal::states(&self.record, &text).map_err(|problem| LedgerError::damaged(&path, problem))
    }

    /// Receipts that came from others than the recipients; none of them counts.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn strangers_receipts(&self) -> Result<Vec<StrangersReceipt>, LedgerError> {
        let path = self.folder.join(JOURNAL);
        let text = fs::read(&path).map_err(|problem| LedgerError::storage(&path, problem))?;
        journal::strangers(&self.record, &text).map_err(|problem| LedgerError::damaged(&path, problem))
    }

    /// Keeps a receipt as it came, good or refused; answers its file's name.
    ///
    /// # Errors
    /// The disk is full or not writable.
    pub fn keep(&self, is_good: bool, stem: &str, message: &[u8]) -> Result<String, LedgerError> {
        let folder = if is_good { RECEIPTS } else { REFUSED };
        let name = format!("{folder}/{stem}.eml");
        let path = self.folder.join(&name);
        replace(&path, message).map_err(|problem| LedgerError::storage(&path, problem))?;
        Ok(name)
    }

    /// A file that was kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kept(&self, name: &str) -> Result<Vec<u8>, LedgerError> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(|problem| LedgerError::storage(&path, problem))
    }
}
