//! CRLs on the disk: those that arrived, and of those the ones that were found genuine, so that no older one comes back.
//!
//! For each question a folder; in it of each list `HASH.crl`, of a long one `HASH.index`, and once its signature was found
//! good, `HASH.genuine` (what the server needs to know to say that nothing changed). A list that is not genuine goes when the
//! next one arrives.
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::LARGEST_REVOCATION_LIST;
use crate::durable_file;
use crate::trust::CertificateList;

/// The most lists that are kept for one question.
const MOST_KEPT: usize = 256;

/// What a server said about the answer that held a list, to be repeated with the next question (RFC 9110 section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// The lists of one question.
pub(super) struct KeptLists {
    folder: PathBuf,
}

impl KeptLists {
    pub(super) fn new(cache: &Path, question: &[u8]) -> Self {
        Self { folder: cache.join("lists").join(hex::encode(Sha256::digest(question))) }
    }

    /// Every genuine list, with what the server said about it.
    pub(super) fn genuine(&self) -> Vec<(CertificateList, Validators)> {
        let marks = self.files(".genuine");
        let kept = marks.iter().take(MOST_KEPT).filter_map(|hash| {
            let validators = std::fs::read(self.path(hash, "genuine")).ok()?;
            Some((self.load(hash)?, serde_json::from_slice(&validators).unwrap_or_default()))
        });
        kept.collect()
    }

    /// Takes in a list as it arrives. What arrived before and was not genuine goes.
    ///
    /// # Errors
    /// It cannot be read or stored, or is too long; `None` when it is no CRL.
    pub(super) fn arrive(&self, list: &mut dyn Read) -> std::io::Result<Option<CertificateList>> {
        durable_file::create_private_folder(&self.folder)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        let mut hash = Sha256::new();
        let mut length = 0;
        each_piece(list, |piece| {
            length += piece.len() as u64;
            if length > LARGEST_REVOCATION_LIST {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            hash.update(piece);
            file.write_all(piece)
        })?;
        let hash = hex::encode(hash.finalize());
        self.sweep(&hash);
        // One that is there and whole stays, for its index knows it by its place; a damaged one makes room.
        if !self.is_whole(&hash) {
            file.persist(self.path(&hash, "crl")).map_err(|refused| refused.error)?;
        }
        Ok(self.load(&hash))
    }

    /// Marks a list as genuine and drops those that it supersedes.
    pub(super) fn keep(&self, list: &CertificateList, validators: &Validators) -> std::io::Result<()> {
        let hash = hex::encode(list.hash());
        let kept = self.genuine();
        if kept.iter().any(|(kept, _)| kept.supersedes(list)) {
            return Ok(());
        }
        let mark = serde_json::to_vec(validators)?;
        if std::fs::read(self.path(&hash, "genuine")).is_ok_and(|known| known == mark) {
            return Ok(());
        }
        durable_file::create_private_folder(&self.folder)?;
        if !self.path(&hash, "crl").exists() && !list.der().is_empty() {
            durable_file::replace(&self.path(&hash, "crl"), list.der())?;
        }
        durable_file::replace(&self.path(&hash, "genuine"), &mark)?;
        for (old, _) in kept.iter().filter(|(old, _)| list.supersedes(old)) {
            self.remove(&hex::encode(old.hash()));
        }
        Ok(())
    }

    fn load(&self, hash: &str) -> Option<CertificateList> {
        let (list, index) = (self.path(hash, "crl"), self.path(hash, "index"));
        CertificateList::from_file(&list, &index, LARGEST_REVOCATION_LIST).ok()
    }

    /// Whether the list of this hash is kept, octet for octet.
    fn is_whole(&self, hash: &str) -> bool {
        let mut digest = Sha256::new();
        let read = std::fs::File::open(self.path(hash, "crl")).and_then(|mut file| {
            each_piece(&mut file, |piece| {
                digest.update(piece);
                Ok(())
            })
        });
        read.is_ok() && hex::encode(digest.finalize()) == hash
    }

    /// Removes lists that are not genuine.
    fn sweep(&self, but: &str) {
        let genuine = self.files(".genuine");
        for hash in self.files(".crl").iter().filter(|hash| *hash != but && !genuine.contains(hash)) {
            self.remove(hash);
        }
    }

    fn remove(&self, hash: &str) {
        for kind in ["genuine", "index", "crl"] {
            let _ = std::fs::remove_file(self.path(hash, kind));
        }
    }

    /// The hashes for which there is a file of one kind.
    fn files(&self, ending: &str) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
    }

    fn path(&self, hash: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{hash}.{kind}"))
    }
}

/// Hands everything that `source` has to `take`, piece by piece.
fn each_piece(
    source: &mut dyn Read,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut buffer)?;
        match buffer.get(..count).unwrap_or_default() {
            [] => return Ok(()),
            piece => take(piece)?,
        }
    }
}
