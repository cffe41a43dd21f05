//! Search of files for what must not stand in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use base64ct::{Base64Unpadded, Encoding};

/// Every form in which a file could hold `secret`: as it is, hexadecimal, base64 at each of its three alignments, and
/// quoted-printable lines that break inside it (searched by its halves).
#[derive(Clone, Debug)]
pub struct Needle {
    forms: Vec<Vec<u8>>,
}

impl Needle {
    /// A text or key of at least six bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        assert!(secret.len() >= 6, "a shorter one would be found by chance");
        let mut forms = vec![secret.to_owned()];
        forms.push(hex::encode(secret).into_bytes());
        forms.push(hex::encode_upper(secret).into_bytes());
        forms.extend((0..3).filter_map(|shift| base64_inside(secret, shift)));
        Self { forms }
    }

    /// Whether the bytes hold it in any form.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        // Base64 and hexadecimal may be broken into lines.
        let joined: Vec<u8> = bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        self.forms.iter().any(|form| holds(bytes, form) || holds(&joined, form))
    }

    /// The files below a folder that hold it, in their names or their bytes.
    pub fn files_in(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for file in files(folder)? {
            if self.is_in(file.as_os_str().as_encoded_bytes()) || self.is_in(&fs::read(&file)?) {
                found.push(file);
            }
        }
        Ok(found)
    }
}

/// Every regular file below a folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The base64 characters that do not depend on what stands before or after the secret.
fn base64_inside(secret: &[u8], shift: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(secret);
    let text = Base64Unpadded::encode_string(&padded).into_bytes();
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text.get(first..last).map(<[u8]>::to_vec)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_in_every_form() {
        let needle = Needle::new("the secret");
        for before in ["", "x", "xy", "xyz"] {
            let text = format!("{before}the secret and more");
            assert!(needle.is_in(text.as_bytes()));
            assert!(needle.is_in(hex::encode(&text).as_bytes()));
            let mut encoded = Base64Unpadded::encode_string(text.as_bytes());
            encoded.insert_str(9, "\r\n");
            assert!(needle.is_in(encoded.as_bytes()), "{encoded}");
        }
        assert!(!needle.is_in(b"the secre and nothing else"));
    }
}
