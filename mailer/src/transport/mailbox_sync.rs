//! New messages from a server or a Maildir into our own Maildir: each once, none lost, nothing removed at the source.
//!
//! A file name in our Maildir carries the origin of its message (`V<validity>U<uid>` or a hash of the foreign file name),
//! so a fetch that was killed and starts again does not store a message twice, even without its position file.
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::imap::{Position, RemoteMessage, Visit, fetch_new};
use super::maildir::{Maildir, UniqueName};
use super::tls::TlsAnchors;
use super::{Credentials, TransportError};
use crate::durable_file::replace;
use crate::transport::endpoint::Endpoint;

/// What a fetch brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// How many messages are new.
    pub new: usize,
    /// UIDs of messages left on the server because they are too large.
    pub too_large: Vec<u32>,
    /// UIDs of messages that the server did not hand out; the next fetch asks again.
    pub unavailable: Vec<u32>,
}

/// Our own Maildir, as the destination of fetches.
pub struct Store<'a> {
    maildir: &'a Maildir,
    position_file: PathBuf,
    known: HashSet<String>,
    /// Contents already here, compared only when the server renumbered its mailbox.
    contents: Option<HashSet<[u8; 32]>>,
    now: Timestamp,
    fetched: Fetched,
}

#[derive(Serialize, Deserialize)]
struct PositionFile {
    account: String,
    uid_validity: u32,
    last_uid: u32,
}

impl<'a> Store<'a> {
    /// Stores into `maildir` and remembers the position in `position_file`.
    ///
    /// # Errors
    /// The Maildir cannot be read.
    pub fn open(maildir: &'a Maildir, position_file: &Path, now: Timestamp) -> Result<Self, TransportError> {
        let entries = maildir.entries().map_err(storage)?;
        let known = entries.iter().filter_map(|entry| entry.name.distinction().map(str::to_owned)).collect();
        let position_file = position_file.to_owned();
        Ok(Self { maildir, position_file, known, contents: None, now, fetched: Fetched::default() })
    }

    /// Fetches what is new on an IMAP server.
    ///
    /// # Errors
    /// See [`TransportError`]; what was stored before stays, and the next fetch goes on behind it.
    pub fn from_imap(
        mut self,
        endpoint: &Endpoint,
        anchors: &TlsAnchors,
        credentials: &Credentials,
    ) -> Result<Fetched, TransportError> {
        let account = format!("{}@{endpoint}", credentials.user);
        let position = self.position(&account);
        let known = self.known.clone();
        let is_known = |validity, uid| known.contains(&origin(validity, uid));
        let visit = fetch_new(endpoint, anchors, credentials, position, &is_known, &mut |message| {
            if position.is_some_and(|known| known.uid_validity != message.uid_validity) {
                self.compare_contents()?;
            }
            self.store_remote(&message)?;
            self.remember(&account, message.position)
        })?;
        self.finish(&account, visit)
    }

    /// Copies what is new in another Maildir, which stays as it is.
    ///
    /// # Errors
    /// A Maildir cannot be read or written.
    pub fn from_maildir(mut self, source: &Maildir) -> Result<Fetched, TransportError> {
        for entry in source.entries().map_err(storage)? {
            let origin = format!("F{}", short_hash(format!("{:?}", entry.name).as_bytes()));
            if !self.known.contains(&origin) {
                let content = source.read(&entry).map_err(storage)?;
                self.deliver(origin, &content)?;
            }
        }
        Ok(self.fetched)
    }

    fn store_remote(&mut self, message: &RemoteMessage) -> Result<(), TransportError> {
        let origin = origin(message.uid_validity, message.uid);
        if self.known.contains(&origin) {
            return Ok(());
        }
        if let Some(contents) = &mut self.contents
            && !contents.insert(Sha256::digest(&message.content).into())
        {
            return Ok(());
        }
        self.deliver(origin, &message.content)
    }

    fn deliver(&mut self, origin: String, content: &[u8]) -> Result<(), TransportError> {
        // The count keeps messages of one fetch in their order.
        let step = jiff::SignedDuration::from_nanos(i64::try_from(self.fetched.new).unwrap_or(i64::MAX));
        let delivered = self.now.checked_add(step).unwrap_or(self.now);
        self.maildir.deliver(&UniqueName::new(delivered, &origin), content).map_err(storage)?;
        self.known.insert(origin);
        self.fetched.new += 1;
        Ok(())
    }

    fn compare_contents(&mut self) -> Result<(), TransportError> {
        if self.contents.is_none() {
            let mut contents = HashSet::new();
            for entry in self.maildir.entries().map_err(storage)? {
                contents.insert(Sha256::digest(self.maildir.read(&entry).map_err(storage)?).into());
            }
            self.contents = Some(contents);
        }
        Ok(())
    }

    fn position(&self, account: &str) -> Option<Position> {
        let file: PositionFile = serde_json::from_slice(&std::fs::read(&self.position_file).ok()?).ok()?;
        (file.account == account)
            .then_some(Position { uid_validity: file.uid_validity, last_uid: file.last_uid })
    }

    fn remember(&self, account: &str, position: Position) -> Result<(), TransportError> {
        let file = PositionFile {
            account: account.to_owned(),
            uid_validity: position.uid_validity,
            last_uid: position.last_uid,
        };
        let json = serde_json::to_vec(&file).map_err(|error| TransportError::Storage(error.to_string()))?;
        replace(&self.position_file, &json).map_err(storage)
    }

    fn finish(mut self, account: &str, visit: Visit) -> Result<Fetched, TransportError> {
        self.remember(account, visit.position)?;
        self.fetched.too_large = visit.too_large;
        self.fetched.unavailable = visit.unavailable;
        Ok(self.fetched)
    }
}

fn origin(uid_validity: u32, uid: u32) -> String {
    format!("V{uid_validity}U{uid:010}")
}

fn short_hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes).get(..16).unwrap_or_default())
}

fn storage(error: std::io::Error) -> TransportError {
    TransportError::Storage(format!("the mail store cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(2_000_000_000).unwrap()
    }

    fn remote(uid_validity: u32, uid: u32, content: &str) -> RemoteMessage {
        let position = Position { uid_validity, last_uid: uid };
        RemoteMessage { uid_validity, uid, content: content.as_bytes().to_vec(), position }
    }

    #[test]
    fn a_maildir_is_copied_once_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let source = Maildir::create(&folder.path().join("source")).unwrap();
        let own = Maildir::create(&folder.path().join("own")).unwrap();
        let position = folder.path().join("position");
        for (number, text) in ["one", "two", "three"].iter().enumerate() {
            let name = UniqueName::new(Timestamp::from_second(number as i64).unwrap(), text);
            source.deliver(&name, text.as_bytes()).unwrap();
        }
        let before = source.entries().unwrap();
        let fetch = || Store::open(&own, &position, now()).unwrap().from_maildir(&source).unwrap().new;
        assert_eq!((fetch(), fetch()), (3, 0));
        assert_eq!(source.entries().unwrap(), before);
        // Reading marks the source's copy, which renames it; it is still the same message.
        source.mark_seen(&before[0]).unwrap();
        assert_eq!(fetch(), 0);
        let texts: Vec<_> = own.entries().unwrap().iter().map(|entry| own.read(entry).unwrap()).collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
    }

    #[test]
    fn a_fetch_that_was_killed_before_its_position_was_written_stores_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let own = Maildir::create(&folder.path().join("own")).unwrap();
        let position = folder.path().join("position");
        Store::open(&own, &position, now()).unwrap().store_remote(&remote(7, 1, "a")).unwrap();
        let mut again = Store::open(&own, &position, now()).unwrap();
        again.store_remote(&remote(7, 1, "a")).unwrap();
        again.store_remote(&remote(7, 2, "a")).unwrap();
        assert_eq!((again.fetched.new, own.entries().unwrap().len()), (1, 2));
    }

    #[test]
    fn a_renumbered_mailbox_brings_only_what_is_not_here_yet() {
        let folder = tempfile::tempdir().unwrap();
        let own = Maildir::create(&folder.path().join("own")).unwrap();
        let position = folder.path().join("position");
        let mut first = Store::open(&own, &position, now()).unwrap();
        first.store_remote(&remote(7, 1, "a")).unwrap();
        first.remember("me", Position { uid_validity: 7, last_uid: 1 }).unwrap();
        let mut second = Store::open(&own, &position, now()).unwrap();
        assert_eq!(second.position("me"), Some(Position { uid_validity: 7, last_uid: 1 }));
        assert_eq!(second.position("another account"), None);
        second.compare_contents().unwrap();
        second.store_remote(&remote(8, 1, "a")).unwrap();
        second.store_remote(&remote(8, 2, "b")).unwrap();
        assert_eq!((second.fetched.new, own.entries().unwrap().len()), (1, 2));
    }
}
