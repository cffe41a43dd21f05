//! What the files of published CRLs are called, and what they lie at.
use std::path::{Path, PathBuf};

use super::partition::Partition;

/// What a CRL is called: whose it is, which part of it, and whether it is a delta.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrlName {
    /// The authority's subjectKeyIdentifier, hexadecimal.
    pub authority: String,
    /// The partition; `None` for all certificates.
    pub partition: Option<Partition>,
    /// A delta, or complete.
    pub kind: CrlKind,
}

/// Whether a CRL says everything or what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrlKind {
    /// Everything.
    Complete,
    /// What has changed since a complete one.
    Delta,
}

impl CrlName {
    /// The complete CRL of an authority, or of one of its partitions.
    pub fn complete(subject_key_identifier: &[u8], partition: Option<Partition>) -> Self {
        Self { authority: hex::encode(subject_key_identifier), partition, kind: CrlKind::Complete }
    }

    /// The delta to it.
    pub fn delta(&self) -> Self {
        Self { kind: CrlKind::Delta, ..self.clone() }
    }

    /// The complete one beside it.
    pub fn base(&self) -> Self {
        Self { kind: CrlKind::Complete, ..self.clone() }
    }

    /// Reads the name of a file.
    pub fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".crl")?;
        let (stem, kind) = match stem.strip_suffix("-delta") {
            Some(stem) => (stem, CrlKind::Delta),
            None => (stem, CrlKind::Complete),
        };
        let (authority, partition) = match stem.split_once('-') {
            Some((authority, partition)) => (authority, Some(Partition::parse(partition)?)),
            None => (stem, None),
        };
        is_hexadecimal(authority).then(|| Self { authority: authority.to_owned(), partition, kind })
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        let partition = self.partition.map(|partition| format!("-{partition}")).unwrap_or_default();
        let delta = if self.kind == CrlKind::Delta { "-delta" } else { "" };
        format!("{}{partition}{delta}.crl", self.authority)
    }

    /// Where it is published.
    pub fn url(&self, base_url: &str) -> String {
        format!("{base_url}/{FOLDER}/{}", self.file())
    }

    pub(crate) fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(self.file())
    }
}

/// Lower-case hexadecimal digits, as key identifiers and serial numbers are written in names.
pub(crate) fn is_hexadecimal(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet))
}

/// The folder of CRLs in the published directory.
pub(crate) const FOLDER: &str = "crl";

#[cfg(test)]
mod tests {
    use super::CrlName;

    #[test]
    fn names_of_crls_read_back_and_others_do_not() {
        for file in ["00ff.crl", "00ff-16-3.crl", "00ff-delta.crl", "00ff-16-15-delta.crl"] {
            assert_eq!(CrlName::parse(file).unwrap().file(), file);
        }
        for file in
            ["00FF.crl", ".crl", "-16-3.crl", "00-16.crl", "00-16-16.crl", "00-delta-delta.crl", "00.cer"]
        {
            assert_eq!(CrlName::parse(file), None, "{file}");
        }
    }
}
