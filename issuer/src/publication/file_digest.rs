//! The SHA-256 of what is published, by which older files that somebody put back are told from those of the last publication.
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// SHA-256 of these octets, hexadecimal.
pub(super) fn of_contents(contents: &[u8]) -> String {
    hex::encode(Sha256::digest(contents))
}

/// The same of several files, by their names. Of two long ones, as a CRL of a million entries and its PEM form are, each is a
/// thread's.
pub(super) fn of_all(mut files: Vec<(&str, &[u8])>) -> Vec<(String, String)> {
    files.sort_by_key(|(_, contents)| contents.len());
    let longest = files.pop();
    let of_one = |(path, contents): (&str, &[u8])| (path.to_owned(), of_contents(contents));
    std::thread::scope(|scope| {
        let others = scope.spawn(move || files.into_iter().map(of_one).collect::<Vec<_>>());
        let longest = longest.map(of_one);
        let mut digests = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        digests.extend(longest);
        digests
    })
}

/// The same of a file, however long it is; none where there is none.
pub(super) fn of_file(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(octets) = buffer.get(..count).filter(|octets| !octets.is_empty()) else { break };
        digest.update(octets);
    }
    Ok(Some(hex::encode(digest.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_contents_have_one_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(of_file(&path).unwrap(), None);
        let all = of_all(vec![("b", b"abc"), ("a", b"abcd"), ("c", b"")]);
        let expected = [("c", b"".as_slice()), ("b", b"abc"), ("a", b"abcd")];
        assert_eq!(all, expected.map(|(name, contents)| (name.to_owned(), of_contents(contents))));
        assert_eq!(of_all(Vec::new()), []);
        // FIPS 180-4, the example of one block.
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_file(&path).unwrap().as_deref(), Some(expected));
        assert_eq!(of_contents(b"abc"), expected);
        assert!(of_file(folder.path()).is_err());
    }
}
