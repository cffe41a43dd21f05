//! Keys of the desk in files: made when they are first needed, by whoever needs them first.

use std::path::Path;

use middleware::{FileKey, KeyAlgorithm};

use super::failure::Failure;
use crate::config::write_new;

/// The key in a file.
///
/// # Errors
/// There is no such file, it holds no key, or the passphrase is wrong.
pub(super) fn open(path: &Path, passphrase: &str) -> Result<FileKey, Failure> {
    let pem = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    FileKey::from_encrypted_pkcs8_pem(&pem, passphrase)
        .map_err(|error| Failure { message: format!("{}: {error}", path.display()), ..Failure::from(error) })
}

/// The key in a file; if there is none, a new one. Of several who make it at once the first one counts, and the others
/// get that one's: a file has its name only with the whole key in it.
///
/// # Errors
/// As [`open`], or the file cannot be written.
pub(super) fn open_or_make(
    path: &Path,
    algorithm: KeyAlgorithm,
    passphrase: &str,
) -> Result<FileKey, Failure> {
    if path.exists() {
        return open(path, passphrase);
    }
    let key = FileKey::generate(algorithm)?;
    match write_new(path, 0o600, key.to_encrypted_pkcs8_pem(passphrase)?.as_bytes()) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => open(path, passphrase),
        Err(error) => Err(Failure::file(path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use middleware::Signer;

    use super::*;

    #[test]
    fn all_who_make_a_key_at_once_get_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.pem");
        let hands = 4;
        let start = Barrier::new(hands);
        let make = || {
            start.wait();
            open_or_make(&path, KeyAlgorithm::P256, "correct horse").unwrap()
        };
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..hands).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let kept = open(&path, "correct horse").unwrap();
        for key in &keys {
            assert_eq!(Signer::public_key(key), Signer::public_key(&kept));
        }
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "what the slower ones made is gone: {left:?}");
        assert_eq!(open_or_make(&path, KeyAlgorithm::P256, "wrong").err().unwrap().code, "wrong-passphrase");
    }
}
