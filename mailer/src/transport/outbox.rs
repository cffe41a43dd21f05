//! What is to be sent, on disk before the first byte leaves (RFC 5321 section 4.5.4.1).
//!
//! An entry is one `send`: the protected messages (`ID.0.eml`, `ID.1.eml`, ...) and, written last, `ID.json`, which names
//! them with their recipients. Without its JSON file an entry does not exist. Only protected bytes are kept here.
//!
//! An entry of a case of the ledger stays, delivered or not, until the ledger has written down what became of it; and nobody is
//! handed it twice: a delivery is marked as attempted before it begins, and one of which nobody knows the end is not repeated
//! unless somebody says so.
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::courier::Courier;
use super::smtp::RecipientReply;
use crate::durable_file::{create_private_folder, replace, replace_all, sweep, sync_folder};
use crate::message::address::Address;

/// A protected message with everybody who gets it in one envelope.
pub type Protected = (Vec<Address>, Vec<u8>);

/// The folder of entries.
#[derive(Clone, Debug)]
pub struct Outbox {
    root: PathBuf,
}

/// One `send`, with what became of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    version: u8,
    /// Names the entry in commands.
    pub id: String,
    /// When it was stored.
    pub created: Timestamp,
    /// The sender's address.
    pub sender: String,
    /// The case of the ledger that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// One for the visible recipients together, one for each hidden recipient.
    pub envelopes: Vec<Envelope>,
}

/// One protected message with the recipients that get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    message: String,
    /// Who gets it.
    pub recipients: Vec<Recipient>,
}

/// One recipient of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// The address.
    pub address: String,
    /// What became of the delivery.
    pub state: DeliveryState,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum DeliveryState {
    /// Not tried yet, or to be tried again.
    Waiting {
        /// Why the last try failed.
        reason: Option<String>,
    },
    /// The server will not take it; it is tried again only by `outbox flush`.
    Refused {
        /// The server's words.
        reason: String,
    },
    /// Of a case: it was being handed over when the program or the connection ended. Nobody knows whether it is there.
    Attempted,
    /// The server, or the Maildir, has it.
    Delivered,
}

/// A damaged entry, or one that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The folder or a file in it.
    #[error("the outbox file {path} cannot be used: {problem}")]
    Storage {
        /// Which file or folder.
        path: String,
        /// Why not.
        problem: io::Error,
    },
    /// Another process is sending.
    #[error("another mailer is sending from this outbox; try again when it is done")]
    InUse,
    /// Not the JSON that we write.
    #[error(
        "the outbox entry {path} is damaged: {problem}; move it away, its message is in the .eml files beside it"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No such entry.
    #[error("there is no outbox entry {0}; mailer outbox list shows them")]
    NoSuchEntry(String),
}

impl OutboxError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Storage { .. } => "outbox-storage",
            Self::InUse => "outbox-in-use",
            Self::Damaged { .. } => "outbox-damaged",
            Self::NoSuchEntry(_) => "no-such-entry",
        }
    }
}

/// Keeps other processes from sending the same entries; released when dropped, and by the system when we die.
#[derive(Debug)]
pub struct OutboxLock {
    _file: File,
}

impl Outbox {
    /// Opens the folder, making it if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(root: &Path) -> Result<Self, OutboxError> {
        create_private_folder(root).map_err(|problem| storage(root, problem))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Claims the outbox for sending.
    ///
    /// # Errors
    /// [`OutboxError::InUse`].
    pub fn lock(&self) -> Result<OutboxLock, OutboxError> {
        let path = self.root.join(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|problem| storage(&path, problem))?;
        match file.try_lock() {
            Ok(()) => Ok(OutboxLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(OutboxError::InUse),
            Err(fs::TryLockError::Error(problem)) => Err(storage(&path, problem)),
        }
    }

    /// Stores an entry; when this returns, a power cut cannot lose it.
    ///
    /// # Errors
    /// The disk is full or not writable: then there is no entry.
    pub fn store(
        &self,
        id: &str,
        created: Timestamp,
        sender: &Address,
        messages: &[Protected],
    ) -> Result<Entry, OutboxError> {
        let entry = Entry::new(id, None, created, sender, messages);
        self.write(&[(&entry, messages)])?;
        Ok(entry)
    }

    /// The same for a case of the ledger.
    ///
    /// # Errors
    /// The disk is full or not writable: then there is no entry.
    pub fn store_for_case(
        &self,
        id: &str,
        case: &str,
        created: Timestamp,
        sender: &Address,
        messages: &[Protected],
    ) -> Result<Entry, OutboxError> {
        let entry = Entry::new(id, Some(case), created, sender, messages);
        self.write(&[(&entry, messages)])?;
        Ok(entry)
    }

    /// Stores several entries of a case of the ledger, each with its name and its messages; the disk is waited for but twice.
    ///
    /// # Errors
    /// The disk is full or not writable: then there may be some of the entries.
    pub fn store_all_for_case(
        &self,
        case: &str,
        created: Timestamp,
        sender: &Address,
        messages: &[(String, Vec<Protected>)],
    ) -> Result<Vec<Entry>, OutboxError> {
        let entry =
            |(id, messages): &(String, Vec<Protected>)| Entry::new(id, Some(case), created, sender, messages);
        let entries: Vec<Entry> = messages.iter().map(entry).collect();
        let messages = messages.iter().map(|(_, messages)| &messages[..]);
        self.write(&entries.iter().zip(messages).collect::<Vec<_>>())?;
        Ok(entries)
    }

    /// The messages are on the disk before the first entry names one of them.
    fn write(&self, entries: &[(&Entry, &[Protected])]) -> Result<(), OutboxError> {
        let failed = |problem| storage(&self.root, problem);
        let mut files: Vec<(PathBuf, &[u8])> = Vec::new();
        for (entry, messages) in entries {
            let names = entry.envelopes.iter().map(|envelope| self.root.join(&envelope.message));
            files.extend(names.zip(messages.iter().map(|(_, content)| &content[..])));
        }
        replace_all(&self.root, &files).map_err(failed)?;
        let json = entries.iter().map(|(entry, _)| Ok((self.path(entry), self.json(entry)?)));
        let json: Vec<(PathBuf, Vec<u8>)> = json.collect::<Result<_, OutboxError>>()?;
        let json: Vec<(PathBuf, &[u8])> = json.iter().map(|(path, json)| (path.clone(), &json[..])).collect();
        replace_all(&self.root, &json).map_err(failed)
    }

    /// All entries, oldest first, each readable or not.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub fn entries(&self) -> Result<Vec<Result<Entry, OutboxError>>, OutboxError> {
        let mut names = Vec::new();
        for file in fs::read_dir(&self.root).map_err(|problem| storage(&self.root, problem))? {
            let path = file.map_err(|problem| storage(&self.root, problem))?.path();
            let is_temporary = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.extension().is_some_and(|extension| extension == "json") && !is_temporary {
                names.push(path);
            }
        }
        names.sort();
        Ok(names.iter().map(|path| self.read(path)).collect())
    }

    /// One entry by its name.
    ///
    /// # Errors
    /// [`OutboxError::NoSuchEntry`], or it is damaged.
    pub fn entry(&self, id: &str) -> Result<Entry, OutboxError> {
        let known = self.entries()?.into_iter().flatten().find(|entry| entry.id == id);
        known.ok_or_else(|| OutboxError::NoSuchEntry(id.to_owned()))
    }

    /// Tries to deliver what waits or was refused; records each envelope's outcome before the next is tried. A finished
    /// entry is removed, unless it is of a case.
    ///
    /// # Errors
    /// The outcome could not be recorded. That a message was not delivered is no error here: it is in the entry.
    pub fn deliver(
        &self,
        mut entry: Entry,
        _lock: &OutboxLock,
        courier: &mut dyn Courier,
    ) -> Result<Entry, OutboxError> {
        for number in 0..entry.envelopes.len() {
            let sender: Option<Address> = entry.sender.parse().ok();
            let Some(envelope) = entry.envelopes.get(number) else { continue };
            let pending: Vec<usize> = envelope.pending();
            if pending.is_empty() {
                continue;
            }
            let path = self.root.join(&envelope.message);
            let message = fs::read(&path).map_err(|problem| storage(&path, problem))?;
            let repeats = if entry.case.is_some() { Repeats::Never } else { Repeats::RatherThanLose };
            if repeats == Repeats::Never {
                for recipient in entry.chosen(number, &pending) {
                    recipient.state = DeliveryState::Attempted;
                }
                self.update(&entry)?;
            }
            carry(sender.as_ref(), entry.chosen(number, &pending), &message, courier, repeats);
            if entry.is_delivered() && entry.case.is_none() {
                // That the entry is gone says it as well.
                return self.remove(&entry).map(|()| entry);
            }
            self.update(&entry)?;
        }
        Ok(entry)
    }

    /// The message of the first envelope.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn first_message(&self, entry: &Entry) -> Result<Vec<u8>, OutboxError> {
        let name = entry.envelopes.first().map(|envelope| envelope.message.as_str()).unwrap_or_default();
        let path = self.root.join(name);
        fs::read(&path).map_err(|problem| storage(&path, problem))
    }

    /// Removes files that a process that was killed left half written more than a day ago. A message without its entry
    /// stays: it may be what was left of a damaged one.
    pub fn sweep(&self, now: Timestamp) {
        sweep(&self.root, now, |name| name.starts_with(".new-"));
    }

    /// Removes an entry with its messages.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub fn remove(&self, entry: &Entry) -> Result<(), OutboxError> {
        let path = self.path(entry);
        // The JSON file first: without it the entry is gone, whatever happens to the rest.
        fs::remove_file(&path).map_err(|problem| storage(&path, problem))?;
        for envelope in &entry.envelopes {
            let path = self.root.join(&envelope.message);
            fs::remove_file(&path).map_err(|problem| storage(&path, problem))?;
        }
        sync_folder(&self.root).map_err(|problem| storage(&self.root, problem))
    }

    fn update(&self, entry: &Entry) -> Result<(), OutboxError> {
        let path = self.path(entry);
        replace(&path, &self.json(entry)?).map_err(|problem| storage(&path, problem))
    }

    fn json(&self, entry: &Entry) -> Result<Vec<u8>, OutboxError> {
        let failed = |error| storage(&self.path(entry), io::Error::other(error));
        serde_json::to_vec_pretty(entry).map_err(failed)
    }

    fn read(&self, path: &Path) -> Result<Entry, OutboxError> {
        let damaged = |problem: String| OutboxError::Damaged { path: path.display().to_string(), problem };
        let json = fs::read(path).map_err(|problem| storage(path, problem))?;
        let entry: Entry = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        if entry.version != 1 {
            return Err(damaged(format!("version {} is not known to this program", entry.version)));
        }
        let is_plain = |name: &str| !name.starts_with('.') && !name.contains('/');
        if path != self.path(&entry) || !entry.envelopes.iter().all(|envelope| is_plain(&envelope.message)) {
            return Err(damaged("it names files that are not its own".to_owned()));
        }
        Ok(entry)
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(format!("{}.json", entry.id))
    }
}

/// What is done where nobody knows whether a message is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    Never,
    RatherThanLose,
}

impl Envelope {
    /// The positions of those who are to be tried.
    fn pending(&self) -> Vec<usize> {
        let is_pending = |recipient: &Recipient| {
            !matches!(recipient.state, DeliveryState::Delivered | DeliveryState::Attempted)
        };
        let recipients = self.recipients.iter().enumerate();
        recipients.filter(|(_, recipient)| is_pending(recipient)).map(|(position, _)| position).collect()
    }
}

impl Entry {
    /// Lets those be tried again of whom nobody knows whether they have it.
    pub fn repeat_attempted(&mut self) {
        for recipient in self.envelopes.iter_mut().flat_map(|envelope| &mut envelope.recipients) {
            if recipient.state == DeliveryState::Attempted {
                recipient.state = DeliveryState::Waiting { reason: None };
            }
        }
    }

    fn chosen(&mut self, envelope: usize, positions: &[usize]) -> Vec<&mut Recipient> {
        let recipients = self.envelopes.get_mut(envelope).map(|envelope| envelope.recipients.iter_mut());
        let numbered = recipients.into_iter().flatten().enumerate();
        numbered
            .filter(|(position, _)| positions.contains(position))
            .map(|(_, recipient)| recipient)
            .collect()
    }

    /// Nobody has it yet.
    fn new(
        id: &str,
        case: Option<&str>,
        created: Timestamp,
        sender: &Address,
        messages: &[Protected],
    ) -> Self {
        let waiting = |address: &Address| Recipient {
            address: address.to_string(),
            state: DeliveryState::Waiting { reason: None },
        };
        let envelopes = messages.iter().enumerate().map(|(number, (recipients, _))| Envelope {
            message: format!("{id}.{number}.eml"),
            recipients: recipients.iter().map(waiting).collect(),
        });
        let (id, case, sender) = (id.to_owned(), case.map(str::to_owned), sender.to_string());
        Self { version: 1, id, created, sender, case, envelopes: envelopes.collect() }
    }

    /// All recipients of all envelopes.
    pub fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.envelopes.iter().flat_map(|envelope| &envelope.recipients)
    }

    /// Whether everybody got it.
    pub fn is_delivered(&self) -> bool {
        self.recipients().all(Recipient::is_delivered)
    }
}

impl Recipient {
    /// Whether the server or Maildir has it.
    pub fn is_delivered(&self) -> bool {
        self.state == DeliveryState::Delivered
    }
}

fn carry(
    sender: Option<&Address>,
    pending: Vec<&mut Recipient>,
    message: &[u8],
    courier: &mut dyn Courier,
    repeats: Repeats,
) {
    let addresses: Result<Vec<Address>, _> =
        pending.iter().map(|recipient| recipient.address.parse()).collect();
    let replies = match (sender, addresses) {
        (Some(sender), Ok(addresses)) => courier
            .deliver(sender, &addresses, message)
            .map_err(|error| (error.is_unconfirmed(), error.to_string())),
        _ => Err((false, "the entry names an address that cannot be read".to_owned())),
    };
    match replies {
        // It stays marked as attempted.
        Err((true, _)) if repeats == Repeats::Never => {}
        Err((_, reason)) => {
            for recipient in pending {
                recipient.state = DeliveryState::Waiting { reason: Some(reason.clone()) };
            }
        }
        Ok(replies) => {
            for (recipient, reply) in pending.into_iter().zip(replies) {
                recipient.state = match reply {
                    RecipientReply::Accepted => DeliveryState::Delivered,
                    RecipientReply::Refused { reply, is_transient: true } => {
                        DeliveryState::Waiting { reason: Some(reply) }
                    }
                    RecipientReply::Refused { reply, is_transient: false } => {
                        DeliveryState::Refused { reason: reply }
                    }
                };
            }
        }
    }
}

fn storage(path: &Path, problem: io::Error) -> OutboxError {
    OutboxError::Storage { path: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests;
