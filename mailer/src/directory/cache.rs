//! What the directory answered before, for when it cannot be reached and for CA certificates, which do not change.
//!
//! One file per question: a line with the moment of the answer, then the DER elements one after another.
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::certificate::tlv::Elements;
use crate::durable_file;

/// How long an answer may stand in for an unreachable directory. How long a CRL or an OCSP answer is good, it says itself.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Address,
    CaCertificate,
    RevocationList,
    OcspAnswer,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Address => "addresses",
            Self::CaCertificate => "ca",
            Self::RevocationList => "crl",
            Self::OcspAnswer => "ocsp",
        }
    }
}

pub(super) struct Cache {
    root: PathBuf,
    now: Timestamp,
}

impl Cache {
    pub(super) fn new(root: &Path, now: Timestamp) -> Self {
        Self { root: root.to_owned(), now }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Keeps an answer. A cache that cannot be written is no error: it only saves time.
    pub(super) fn keep(&self, kind: Kind, question: &[u8], answer: &[Vec<u8>]) {
        let content = [format!("{}\n", self.now).into_bytes(), answer.concat()].concat();
        let path = self.path(kind, question);
        let kept = path
            .parent()
            .map_or(Ok(()), durable_file::create_private_folder)
            .and_then(|()| durable_file::replace(&path, &content));
        if let Err(error) = kept {
            tracing::debug!(%error, "the directory's answer was not kept");
        }
    }

    /// A kept answer that is not too old (nor from the future).
    pub(super) fn find(&self, kind: Kind, question: &[u8]) -> Option<Vec<Vec<u8>>> {
        let content = std::fs::read(self.path(kind, question)).ok()?;
        let line_end = content.iter().position(|byte| *byte == b'\n')?;
        let answered: Timestamp = std::str::from_utf8(content.get(..line_end)?).ok()?.parse().ok()?;
        let says_itself = matches!(kind, Kind::RevocationList | Kind::OcspAnswer);
        let is_old = !says_itself && self.now.duration_since(answered) > KEPT;
        if answered > self.now || is_old {
            return None;
        }
        let mut elements = Elements::new(content.get(line_end + 1..)?);
        let mut answer = Vec::new();
        while let Some(element) = elements.next().ok()? {
            answer.push(element.bytes.to_vec());
        }
        Some(answer)
    }

    /// File names are hashes: an address is no business of whoever lists the folder.
    fn path(&self, kind: Kind, question: &[u8]) -> PathBuf {
        self.root.join(kind.folder()).join(hex::encode(Sha256::digest(question)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_until_they_are_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let then: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let answer = vec![vec![0x30, 0], vec![0x30, 1, 5]];
        Cache::new(folder.path(), then).keep(Kind::CaCertificate, b"key", &answer);
        let later = |hours| Cache::new(folder.path(), then + SignedDuration::from_hours(hours));
        assert_eq!(later(24 * 6).find(Kind::CaCertificate, b"key"), Some(answer));
        assert_eq!(later(24 * 8).find(Kind::CaCertificate, b"key"), None);
        assert_eq!(later(-1).find(Kind::CaCertificate, b"key"), None);
        assert_eq!(later(1).find(Kind::RevocationList, b"key"), None);
        later(0).keep(Kind::RevocationList, b"key", &[vec![0x30, 0]]);
        assert!(later(24 * 60).find(Kind::RevocationList, b"key").is_some());
    }
}
