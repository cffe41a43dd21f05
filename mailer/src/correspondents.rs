//! What correspondents' programs can read, remembered from their signed mail (RFC 8551 section 2.7.2).
//!
//! One private JSON file in the account's folder. Only signatures that are trusted, by their author, are remembered, and of
//! each author the one that was signed last; an older mail that is read again changes nothing.
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::durable_file::replace;
use crate::smime::{Capabilities, LONGEST_CAPABILITIES};

/// The most correspondents that are remembered; the one whose last mail is the oldest makes room.
const MOST: usize = 10_000;
/// The largest file that is read: [`MOST`] of ordinary length fit many times over.
const LARGEST_FILE: u64 = 32 * 1024 * 1024;
/// A clock that goes ahead by more would keep newer mail from counting.
const TOLERATED_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// The remembered correspondents of one account.
#[derive(Debug)]
pub struct Correspondents {
    path: PathBuf,
    file: Contents,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// By the key of the mail address.
    correspondents: BTreeMap<String, Remembered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    signing_time: Timestamp,
    /// SMIMECapabilities, DER in hexadecimal.
    capabilities: String,
}

/// Why the memory of correspondents cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorrespondentsError {
    /// The file cannot be read or written.
    #[error("{path}, which remembers what correspondents can read, cannot be used: {problem}")]
    Storage {
        /// The file.
        path: String,
        /// Why not.
        problem: io::Error,
    },
    /// Not what was written.
    #[error(
        "what is remembered of correspondents in {path} cannot be read: {problem}; remove the file: it fills again as their mail is read"
    )]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CorrespondentsError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Storage { .. } => "correspondents-storage",
            Self::Malformed { .. } => "correspondents-malformed",
        }
    }
}

/// What a trusted signature says about its author's program.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The key of the author's address.
    pub address: &'a str,
    /// When it was signed, by the author's clock.
    pub signing_time: Timestamp,
    /// SMIMECapabilities in DER.
    pub capabilities: &'a [u8],
}

impl Correspondents {
    /// Reads the memory; a file that is not there yet remembers nobody.
    ///
    /// # Errors
    /// See [`CorrespondentsError`].
    pub fn load(path: &Path) -> Result<Self, CorrespondentsError> {
        let storage = |problem| storage(path, problem);
        let malformed =
            |problem: String| CorrespondentsError::Malformed { path: path.display().to_string(), problem };
        let file = match std::fs::metadata(path) {
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => Contents::default(),
            Err(problem) => return Err(storage(problem)),
            Ok(facts) if facts.len() > LARGEST_FILE => return Err(malformed("it is too large".to_owned())),
            Ok(_) => serde_json::from_slice(&std::fs::read(path).map_err(storage)?).map_err(
                |problem: serde_json::Error| {
                    malformed(format!(
                        "line {}, column {} is not as it was written",
                        problem.line(),
                        problem.column()
                    ))
                },
            )?,
        };
        Ok(Self { path: path.to_owned(), file })
    }

    /// What is remembered of an address (its key).
    pub fn capabilities(&self, address: &str) -> Option<Capabilities> {
        let der = hex::decode(&self.file.correspondents.get(address)?.capabilities).ok()?;
        Capabilities::from_der(&der).ok()
    }

    /// Remembers what is new in the announcements; several processes may do so at once.
    ///
    /// # Errors
    /// See [`CorrespondentsError`].
    pub fn remember(
        path: &Path,
        announcements: &[Announcement<'_>],
        now: Timestamp,
    ) -> Result<(), CorrespondentsError> {
        if !announcements.iter().any(|announcement| is_sound(announcement, now)) {
            return Ok(());
        }
        let storage = |problem| storage(path, problem);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))
            .map_err(storage)?;
        lock.lock().map_err(storage)?;
        let mut memory = Self::load(path)?;
        let mut changed = false;
        for announcement in announcements.iter().filter(|announcement| is_sound(announcement, now)) {
            changed |= memory.take_in(announcement);
        }
        if changed {
            memory.forget_the_oldest();
            let text = serde_json::to_vec_pretty(&memory.file)
                .map_err(|problem| storage(io::Error::other(problem)))?;
            replace(&memory.path, &text).map_err(storage)?;
        }
        Ok(())
    }

    /// Whether it was newer than what was there.
    fn take_in(&mut self, announcement: &Announcement<'_>) -> bool {
        let known = self.file.correspondents.get(announcement.address);
        if known.is_some_and(|known| known.signing_time >= announcement.signing_time) {
            return false;
        }
        let remembered = Remembered {
            signing_time: announcement.signing_time,
            capabilities: hex::encode(announcement.capabilities),
        };
        self.file.correspondents.insert(announcement.address.to_owned(), remembered);
        true
    }

    fn forget_the_oldest(&mut self) {
        while self.file.correspondents.len() > MOST {
            let oldest =
                self.file.correspondents.iter().min_by_key(|(_, remembered)| remembered.signing_time);
            let Some(address) = oldest.map(|(address, _)| address.clone()) else { return };
            self.file.correspondents.remove(&address);
        }
    }
}

fn is_sound(announcement: &Announcement<'_>, now: Timestamp) -> bool {
    announcement.signing_time.duration_since(now) <= TOLERATED_AHEAD
        && announcement.capabilities.len() <= LONGEST_CAPABILITIES
        && Capabilities::from_der(announcement.capabilities).is_ok()
}

fn storage(path: &Path, problem: io::Error) -> CorrespondentsError {
    CorrespondentsError::Storage { path: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BOB: &str = "bob@mail.test";
    /// AES-256-CBC; and AES-256-GCM before it.
    const CBC: &str = "300d300b060960864801650304012a";
    const GCM: &str = "301a300b060960864801650304012e300b060960864801650304012a";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn remember(path: &Path, address: &str, signing_time: &str, capabilities: &str) {
        let capabilities = hex::decode(capabilities).unwrap();
        let announcement =
            Announcement { address, signing_time: time(signing_time), capabilities: &capabilities };
        Correspondents::remember(path, &[announcement], time("2026-06-10T00:00:00Z")).unwrap();
    }

    fn remembered(path: &Path, address: &str) -> Option<Capabilities> {
        Correspondents::load(path).unwrap().capabilities(address)
    }

    fn capabilities(text: &str) -> Option<Capabilities> {
        Some(Capabilities::from_der(&hex::decode(text).unwrap()).unwrap())
    }

    #[test]
    fn the_newest_signature_counts_in_whatever_order_mail_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("correspondents.json");
        assert_eq!(remembered(&path, BOB), None);
        remember(&path, BOB, "2026-06-02T00:00:00Z", GCM);
        remember(&path, BOB, "2026-06-01T00:00:00Z", CBC);
        assert_eq!(remembered(&path, BOB), capabilities(GCM));
        remember(&path, BOB, "2026-06-03T00:00:00Z", CBC);
        assert_eq!(remembered(&path, BOB), capabilities(CBC));
        assert_eq!(remembered(&path, "carol@mail.test"), None);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_clock_ahead_and_malformed_capabilities_are_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("correspondents.json");
        remember(&path, BOB, "2026-06-12T00:00:00Z", GCM);
        remember(&path, BOB, "2026-06-01T00:00:00Z", "3000ff");
        assert!(!path.exists());
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("correspondents.json");
        let remembered_then = |day: i64| Remembered {
            signing_time: Timestamp::from_second(day * 86_400).unwrap(),
            capabilities: CBC.to_owned(),
        };
        let correspondents =
            (0..10_000).map(|day| (format!("p{day}@x.test"), remembered_then(day))).collect();
        std::fs::write(&path, serde_json::to_vec(&Contents { correspondents }).unwrap()).unwrap();
        remember(&path, BOB, "2026-06-01T00:00:00Z", GCM);
        assert_eq!(remembered(&path, "p0@x.test"), None);
        assert_eq!(remembered(&path, "p1@x.test"), capabilities(CBC));
        assert_eq!(remembered(&path, BOB), capabilities(GCM));
    }

    #[test]
    fn a_damaged_memory_is_named_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("correspondents.json");
        for text in ["", "[]", "null", "{\"version\":9}", "{}", "{\"correspondents\":{\"a\":1}}", "nonsense"]
        {
            std::fs::write(&path, text).unwrap();
            let error = Correspondents::load(&path).unwrap_err();
            assert_eq!(error.code(), "correspondents-malformed");
            assert!(error.to_string().contains("correspondents.json"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn side_by_side_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("correspondents.json");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope
                    .spawn(move || remember(path, &format!("p{number}@x.test"), "2026-06-01T00:00:00Z", GCM));
            }
        });
        for number in 0..8 {
            assert_eq!(remembered(&path, &format!("p{number}@x.test")), capabilities(GCM));
        }
    }
}
