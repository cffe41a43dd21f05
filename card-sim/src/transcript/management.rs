//! Secret values that a transcript names, the management key among them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::crypto::SymmetricAlgorithm;
use crate::piv::{algorithm, pin};
use crate::secret::SecretBytes;

/// The name under which the management key is given: `encrypt()`, `decrypt()` and `@ authenticate` use it.
const MANAGEMENT_KEY: &str = "management key";

/// Values for the names in brackets.
#[derive(Clone, Default)]
pub struct SecretValues(BTreeMap<String, SecretBytes>);

/// Why a value cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A line is not `NAME = VALUE`.
    #[error("line {number}: write NAME = VALUE, for example PIN = 123456")]
    NotAValue {
        /// The line.
        number: usize,
    },
    /// A value is not of the form that its name asks for.
    #[error("{name}: {what}")]
    Unfit {
        /// The name.
        name: String,
        /// What is asked for.
        what: &'static str,
    },
}

impl SecretValues {
    /// What every YubiKey leaves the factory with.
    #[must_use]
    pub fn factory() -> Self {
        Self(BTreeMap::from([
            ("PIN".to_owned(), pin::padded(b"123456")),
            ("PUK".to_owned(), pin::padded(b"12345678")),
            (MANAGEMENT_KEY.to_owned(), SecretBytes::new([1, 2, 3, 4, 5, 6, 7, 8].repeat(3))),
        ]))
    }

    /// Reads lines `NAME = VALUE` and puts them in place of what was there. Values of `PIN...` and `PUK...` are up to
    /// eight characters, which are padded; all others are hexadecimal.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn read(&mut self, text: &str) -> Result<(), ValueError> {
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(ValueError::NotAValue { number })?;
            self.set(name.trim(), value.trim())?;
        }
        Ok(())
    }

    /// Gives one name its value, written as in [`Self::read`].
    ///
    /// # Errors
    /// [`ValueError::Unfit`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ValueError> {
        let unfit = |what| ValueError::Unfit { name: name.to_owned(), what };
        let bytes = if name.split(' ').any(|word| matches!(word, "PIN" | "PUK")) {
            match value.len() {
                1..=pin::LENGTH => pin::padded(value.as_bytes()),
                _ => return Err(unfit("a PIN or PUK has one to eight characters")),
            }
        } else {
            SecretBytes::new(hex::decode(value).map_err(|_| unfit("write the value in hexadecimal digits"))?)
        };
        self.0.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&SecretBytes> {
        self.0.get(name)
    }

    pub(super) fn management_key(&self) -> Option<ManagementKey> {
        self.get(MANAGEMENT_KEY).cloned().map(ManagementKey)
    }
}

/// A management key; the command that uses it says its algorithm.
#[derive(Clone)]
pub struct ManagementKey(pub SecretBytes);

impl ManagementKey {
    /// The algorithms that have keys of this length, the likeliest first. A card gives 3DES challenges to everyone.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = SymmetricAlgorithm> {
        use SymmetricAlgorithm::{Aes128, Aes192, Aes256, TripleDes};
        let length = self.0.expose().len();
        [Aes192, TripleDes, Aes128, Aes256].into_iter().filter(move |each| each.key_length() == length)
    }

    pub(super) fn encrypt(&self, algorithm: SymmetricAlgorithm, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        algorithm.encrypt_block(&self.0, block)
    }

    pub(super) fn decrypt(&self, algorithm: SymmetricAlgorithm, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        algorithm.decrypt_block(&self.0, block)
    }
}

/// The algorithm that a command names for the management key, if it uses that key.
pub(super) fn algorithm_of(command: &[u8]) -> Option<SymmetricAlgorithm> {
    match command {
        [_, 0x87, identifier, 0x9B, ..] => algorithm::symmetric(*identifier),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_their_names_ask() {
        let mut values = SecretValues::factory();
        values.read("# mine\nPIN = 654321\n\nPUK 2 = abcdefgh\nmanagement key 2 = 00ff\n").unwrap();
        assert!(values.get("PIN").unwrap().matches(b"654321\xFF\xFF"));
        assert!(values.get("PUK").unwrap().matches(b"12345678"));
        assert!(values.get("PUK 2").unwrap().matches(b"abcdefgh"));
        assert!(values.get("management key 2").unwrap().matches(&[0x00, 0xFF]));
        for (text, what) in [
            ("PIN: 1", "line 1: write NAME = VALUE"),
            ("PIN = 123456789", "PIN: a PIN or PUK has one to eight"),
            ("PIN =", "PIN: a PIN or PUK has one to eight"),
            ("key = xyz", "key: write the value in hexadecimal"),
        ] {
            let told = SecretValues::default().read(text).unwrap_err().to_string();
            assert!(told.starts_with(what), "{told}");
        }
    }
}
