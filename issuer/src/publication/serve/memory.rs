//! What a server remembers from one start to the next: the highest number that each CRL had.
//!
//! Numbers of CRLs only grow (RFC 5280 section 5.2.3). A whole older publication that somebody put back, `.revision` included,
//! agrees with itself, and its CRLs are signed and good for days; only who saw the newer ones can tell. A file of the server's
//! own, outside the published directory:
//!
//! ```text
//! highest CRL numbers that were served
//! 5c1e...42.crl 02a7        the name of a CRL, and its number, hexadecimal; a CRL a line
//! ```
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::publication::layout::CrlName;
use crate::system_error::in_words;

/// cRLNumber: a longer one is higher.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CrlNumber(usize, Vec<u8>);

impl CrlNumber {
    /// Takes it big-endian.
    pub(super) fn new(octets: &[u8]) -> Self {
        let begin = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
        let octets = octets.get(begin..).unwrap_or_default();
        Self(octets.len(), octets.to_vec())
    }
}

/// The highest number of each CRL, by the name of its file.
pub(super) type Numbers = BTreeMap<String, CrlNumber>;

/// A file of highest numbers.
pub struct Memory {
    path: PathBuf,
    /// What it said when it was opened.
    pub(super) numbers: Numbers,
    /// Why it could not be written the last time.
    failure: Mutex<Option<String>>,
}

/// Why a file is no memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It holds something else.
    #[error("line {0} is none of a server's state")]
    Malformed(usize),
    /// Whoever puts an older publication back would put this back with it.
    #[error("it lies in the published directory")]
    InsidePublication,
}

impl Memory {
    /// Reads it, and shows that it can be written; one that is not there is begun.
    ///
    /// # Errors
    /// [`MemoryError`].
    pub fn open(path: &Path, published: &Path) -> Result<Self, MemoryError> {
        if folder_of(path).canonicalize()?.starts_with(published.canonicalize()?) {
            return Err(MemoryError::InsidePublication);
        }
        let numbers = raise(path, &Numbers::new())?;
        Ok(Self { path: path.to_owned(), numbers, failure: Mutex::default() })
    }

    /// Raises what is written to what `numbers` answers, durably; nothing where it answers nothing. Whether it was.
    pub(super) fn keep(&self, numbers: impl FnOnce() -> Option<Numbers>) -> bool {
        // Taken before it is asked: what is written last was asked last.
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(numbers) = numbers() else { return true };
        *failure = raise(&self.path, &numbers).err().map(|error| match error {
            MemoryError::Io(error) => in_words(&error),
            error => error.to_string(),
        });
        failure.is_none()
    }

    /// Why it could not be written the last time; none where it was.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Takes the higher of each number that is there and that is brought. Another server may write the same file: what it has seen
/// stays, because nobody writes between reading and writing.
fn raise(path: &Path, brought: &Numbers) -> Result<Numbers, MemoryError> {
    let _lock = lock(path)?;
    let mut numbers = match fs::read_to_string(path) {
        Ok(text) => parse(&text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => Numbers::new(),
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(MemoryError::Malformed(1)),
        Err(error) => return Err(error.into()),
    };
    for (name, number) in brought {
        let highest = numbers.entry(name.clone()).or_default();
        if *highest < *number {
            highest.clone_from(number);
        }
    }
    replace(path, &numbers)?;
    Ok(numbers)
}

/// Waits until no other server is writing. A file of its own, because the other one is replaced; it stays.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(folder_of(path).join(name))?;
    file.lock()?;
    Ok(file)
}

fn parse(text: &str) -> Result<Numbers, MemoryError> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, line)| line != TITLE) {
        return Err(MemoryError::Malformed(1));
    }
    let number = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        CrlName::parse(name)?;
        Some((name.to_owned(), CrlNumber::new(&hex::decode(number).ok()?)))
    };
    lines.map(|(place, line)| number(line).ok_or(MemoryError::Malformed(place))).collect()
}

fn text(numbers: &Numbers) -> String {
    let lines =
        numbers.iter().map(|(name, CrlNumber(_, octets))| format!("{name} {}\n", hex::encode(octets)));
    format!("{TITLE}\n{}", lines.collect::<String>())
}

fn replace(path: &Path, numbers: &Numbers) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(folder)?;
    file.write_all(text(numbers).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

const TITLE: &str = "highest CRL numbers that were served";

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let number = |name: &str, octets: &[u8]| (name.to_owned(), CrlNumber::new(octets));
        [number("00ff.crl", &[1, 0]), number("00ff-16-3-delta.crl", &[0xFF]), number("aa.crl", &[])].into()
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let ascending = [&[][..], &[1], &[0xFF], &[1, 0], &[1, 1], &[2, 0], &[1, 0, 0]];
        assert!(ascending.map(CrlNumber::new).is_sorted_by(|one, next| one < next));
        assert_eq!(CrlNumber::new(&[0, 0, 7]), CrlNumber::new(&[7]));
    }

    #[test]
    fn it_reads_back_and_anything_else_is_refused_by_its_line() {
        assert_eq!(parse(&text(&numbers())).unwrap(), numbers());
        assert_eq!(parse(&text(&Numbers::new())).unwrap(), Numbers::new());
        for (lines, place) in [
            ("", 1),
            ("17\n", 1),
            ("TITLE\n00ff.crl\n", 2),
            ("TITLE\n00ff.crl 01\n../00ff.crl 02\n", 3),
            ("TITLE\n00ff.crl 1\n", 2),
            ("TITLE\n00ff.crl 0g\n", 2),
            ("TITLE\n\n", 2),
        ] {
            let found = parse(&lines.replace("TITLE", TITLE));
            assert!(matches!(found, Err(MemoryError::Malformed(line)) if line == place), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_until_it_can() {
        let [folder, published] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = folder.path().join("state");
        let memory = Memory::open(&path, published.path()).unwrap();
        assert!(memory.keep(|| Some(numbers())) && memory.failure().is_none());
        assert_eq!(Memory::open(&path, published.path()).unwrap().numbers, numbers());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!memory.keep(|| Some(numbers())) && memory.failure().is_some());
        fs::remove_dir(&path).unwrap();
        assert!(memory.keep(|| Some(numbers())) && memory.failure().is_none());
    }

    /// Whatever order they write in.
    #[test]
    fn what_one_of_two_servers_has_seen_the_other_does_not_take_back() {
        let [folder, published] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = folder.path().join("state");
        let open = || Memory::open(&path, published.path()).unwrap();
        let seen = |name: &str, number: u8| Numbers::from([(name.to_owned(), CrlNumber::new(&[number]))]);
        let (one, other) = (open(), open());
        for (server, brought) in
            [(&one, seen("aa.crl", 7)), (&other, seen("aa.crl", 6)), (&other, seen("bb.crl", 2))]
        {
            assert!(server.keep(|| Some(brought)));
        }
        assert_eq!(open().numbers, seen("aa.crl", 7).into_iter().chain(seen("bb.crl", 2)).collect());

        // At once, as often as it takes for one to come between reading and writing of another.
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let server = open();
                scope.spawn(move || {
                    for count in 0..8_u8 {
                        let number = CrlNumber::new(&[1]);
                        assert!(server.keep(|| Some([(format!("{thread}{count}.crl"), number)].into())));
                    }
                });
            }
        });
        assert_eq!(open().numbers.len(), 2 + 4 * 8);
    }

    /// What is something else by now is not overwritten.
    #[test]
    fn a_state_that_became_something_else_is_told() {
        let [folder, published] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = folder.path().join("state");
        let memory = Memory::open(&path, published.path()).unwrap();
        fs::write(&path, "a diary\n").unwrap();
        assert!(!memory.keep(|| Some(numbers())));
        assert!(memory.failure().is_some_and(|why| why.contains("line 1")));
        assert_eq!(fs::read(&path).unwrap(), b"a diary\n");
    }

    #[test]
    fn it_lies_where_publications_do_not() {
        let [folder, published] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        fs::create_dir(published.path().join("crl")).unwrap();
        for inside in ["state", "crl/state"] {
            let opened = Memory::open(&published.path().join(inside), published.path());
            assert!(matches!(opened, Err(MemoryError::InsidePublication)), "{inside}");
        }
        let nowhere = Memory::open(&folder.path().join("nowhere/state"), published.path());
        assert!(matches!(nowhere, Err(MemoryError::Io(_))));
    }
}
