//! Maildirs: one file a message; complete in `new` or `cur`, or not there at all.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::content::Content;
use crate::durable_file::{create_private_folder, sweep, sync_folder};

/// A folder with `tmp`, `new` and `cur`.
#[derive(Clone, Debug)]
pub struct Maildir {
    root: PathBuf,
}

/// The part of a file name that never changes; names sort by the time of delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UniqueName(String);

impl UniqueName {
    /// Delivery time and something that tells this message from all others: ASCII letters, digits, `-` and `_` count.
    pub fn new(delivered: Timestamp, distinction: &str) -> Self {
        let distinction: String =
            distinction.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        let nanoseconds = delivered.subsec_nanosecond().max(0);
        Self(format!("{:010}.M{nanoseconds:09}_{distinction}.sealwright", delivered.as_second().max(0)))
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let unique = name.split(':').next()?;
        (!unique.is_empty() && !unique.starts_with('.')).then(|| Self(unique.to_owned()))
    }

    /// What was handed to [`UniqueName::new`] as distinction, for names that it made.
    pub fn distinction(&self) -> Option<&str> {
        self.0
            .strip_suffix(".sealwright")?
            .split_once(".M")?
            .1
            .split_once('_')
            .map(|(_, distinction)| distinction)
    }

    fn order(&self) -> (u64, &str) {
        let (seconds, rest) = self.0.split_once('.').unwrap_or((&self.0, ""));
        (seconds.parse().unwrap_or(0), rest)
    }
}

/// One message in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its unchanging name.
    pub name: UniqueName,
    /// Whether it was read: in `cur` with the flag S.
    pub is_seen: bool,
    path: PathBuf,
}

impl Maildir {
    /// Opens a Maildir, making what is missing of it (mode 0700).
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn create(root: &Path) -> io::Result<Self> {
        for folder in ["tmp", "new", "cur"] {
            create_private_folder(&root.join(folder))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Opens a Maildir that must be there.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(root: &Path) -> io::Result<Self> {
        for folder in ["new", "cur"] {
            if !root.join(folder).is_dir() {
                let problem = format!("{} is not a Maildir: it has no folder {folder}", root.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, problem));
            }
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Delivers a message durably into `new`.
    ///
    /// # Errors
    /// The disk is full or the folder not writable; nothing appears in `new` then.
    pub fn deliver(&self, name: &UniqueName, message: &[u8]) -> io::Result<()> {
        let temporary = self.root.join("tmp").join(&name.0);
        let written = write_new(&temporary, message)
            .and_then(|()| fs::rename(&temporary, self.root.join("new").join(&name.0)));
        if let Err(error) = written {
            // Best effort: a leftover in tmp is never taken for a message.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        sync_folder(&self.root.join("new"))
    }

    /// Removes what a delivery that was killed left in `tmp` more than a day ago.
    pub fn sweep(&self, now: Timestamp) {
        sweep(&self.root.join("tmp"), now, |_| true);
    }

    /// Every message, oldest first.
    ///
    /// # Errors
    /// The folders cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for folder in ["new", "cur"] {
            for file in fs::read_dir(self.root.join(folder))? {
                let file = file?;
                let file_name = file.file_name();
                let Some((name, text)) =
                    file_name.to_str().and_then(|text| Some((UniqueName::from_file_name(text)?, text)))
                else {
                    continue;
                };
                let is_seen = text.rsplit_once(":2,").is_some_and(|(_, flags)| flags.contains('S'));
                entries.push(Entry { name, is_seen, path: file.path() });
            }
        }
        entries.sort_by(|a, b| a.name.order().cmp(&b.name.order()));
        entries.dedup_by(|a, b| a.name == b.name);
        Ok(entries)
    }

    /// The bytes of a message.
    ///
    /// # Errors
    /// It was removed meanwhile, cannot be read, or is larger than [`crate::message::MAXIMUM_MESSAGE_BYTES`].
    pub fn read(&self, entry: &Entry) -> io::Result<Vec<u8>> {
        let limit = crate::message::MAXIMUM_MESSAGE_BYTES as u64;
        if fs::metadata(&entry.path)?.len() > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the message is larger than 256 MiB"));
        }
        fs::read(&entry.path)
    }

    /// A message of any length, read from its file.
    ///
    /// # Errors
    /// It was removed meanwhile, or cannot be read.
    pub fn content(&self, entry: &Entry) -> io::Result<Content> {
        Content::from_file(File::open(&entry.path)?)
    }

    /// The first bytes of a message: enough for its header.
    ///
    /// # Errors
    /// As for [`Maildir::read`].
    pub fn read_start(&self, entry: &Entry, length: u64) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(File::open(&entry.path)?, length), &mut start)?;
        Ok(start)
    }

    /// Marks a message as read, by its name as Maildirs do it.
    ///
    /// # Errors
    /// The file cannot be renamed.
    pub fn mark_seen(&self, entry: &Entry) -> io::Result<()> {
        if entry.is_seen {
            return Ok(());
        }
        let file_name = entry.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut flags: Vec<char> =
            file_name.rsplit_once(":2,").map_or("", |(_, flags)| flags).chars().collect();
        flags.push('S');
        flags.sort_unstable();
        let flags: String = flags.into_iter().collect();
        fs::rename(&entry.path, self.root.join("cur").join(format!("{}:2,{flags}", entry.name.0)))
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(second: i64, distinction: &str) -> UniqueName {
        UniqueName::new(Timestamp::from_second(second).unwrap(), distinction)
    }

    #[test]
    fn messages_come_out_in_the_order_of_their_delivery_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(&folder.path().join("box")).unwrap();
        maildir.deliver(&name(2_000_000_000, "b"), b"second\n").unwrap();
        maildir.deliver(&name(1_999_999_999, "z"), b"first\r\n").unwrap();
        fs::write(folder.path().join("box/cur/999.x.host:2,RS"), b"older").unwrap();
        let entries = maildir.entries().unwrap();
        let contents: Vec<_> = entries.iter().map(|entry| maildir.read(entry).unwrap()).collect();
        assert_eq!(contents, [&b"older"[..], b"first\r\n", b"second\n"]);
        assert_eq!(entries.iter().map(|e| e.is_seen).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(entries[1].name.distinction(), Some("z"));
        assert_eq!(fs::metadata(&entries[2].path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn reading_marks_a_message_and_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(folder.path()).unwrap();
        maildir.deliver(&name(5, "a"), b"x").unwrap();
        let entry = maildir.entries().unwrap().remove(0);
        maildir.mark_seen(&entry).unwrap();
        let seen = maildir.entries().unwrap().remove(0);
        assert!(seen.is_seen && seen.name == entry.name);
        maildir.mark_seen(&seen).unwrap();
        assert_eq!(maildir.entries().unwrap(), [seen]);
    }

    #[test]
    fn a_delivery_that_was_killed_is_no_message() {
        let folder = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(folder.path()).unwrap();
        fs::write(folder.path().join("tmp").join(name(1, "a").0), b"half a mess").unwrap();
        assert!(maildir.entries().unwrap().is_empty());
        // Nobody knows whether it is still going on, until a day has passed.
        maildir.sweep(Timestamp::UNIX_EPOCH);
        // The same delivery cannot overwrite what is there, and another goes through.
        assert!(maildir.deliver(&name(1, "a"), b"x").is_err());
        maildir.deliver(&name(1, "b"), b"x").unwrap();
        maildir.sweep(Timestamp::MAX);
        assert_eq!(maildir.entries().unwrap().len(), 1);
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_no_maildir_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Maildir::open(folder.path()).unwrap_err().to_string().contains("is not a Maildir"));
    }
}
