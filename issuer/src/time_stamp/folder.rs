//! Where a time-stamp service keeps what it needs.
use std::io::Read;
use std::path::{Path, PathBuf};

use const_oid::ObjectIdentifier;
use jiff::Timestamp;
use middleware::{FileKey, Signer};
use serde::{Deserialize, Serialize};

use super::error::TimeStampError;
use super::token::Accuracy;
use crate::ca::Certificate;
use crate::ca::certificate::pem_blocks;
use crate::ca::signed_data::SignerIdentity;
use crate::toml_place;

/// A folder of this kind is all that the service needs:
///
/// ```text
/// tsa.toml          policy, accuracy, limits
/// key.pem           its key, encrypted PKCS#8 under a passphrase of its own
/// certificate.pem   its certificate
/// chain.pem         the certificates above it, the root last
/// serials.log       every stamp it gave
/// ```
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `tsa.toml`.
    pub fn settings_file(&self) -> PathBuf {
        self.0.join("tsa.toml")
    }

    /// `key.pem`.
    pub fn key_file(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    /// `certificate.pem`.
    pub fn certificate_file(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    /// `chain.pem`.
    pub fn chain_file(&self) -> PathBuf {
        self.0.join("chain.pem")
    }

    /// `serials.log`.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("serials.log")
    }

    /// Reads `tsa.toml`.
    ///
    /// # Errors
    /// [`TimeStampError::Missing`], or not such a file.
    pub fn settings(&self) -> Result<Settings, TimeStampError> {
        let path = self.settings_file();
        if !path.exists() {
            return Err(TimeStampError::Missing(self.0.clone()));
        }
        Settings::from_toml(&read(&path)?).map_err(|reason| TimeStampError::Malformed { path, reason })
    }

    /// Reads the service's certificate.
    ///
    /// # Errors
    /// Not such a file.
    pub fn certificate(&self) -> Result<Certificate, TimeStampError> {
        let path = self.certificate_file();
        Certificate::from_pem(&read(&path)?)
            .map_err(|error| TimeStampError::Malformed { path, reason: error.to_string() })
    }

    /// Reads the certificate and those above it: who signs.
    ///
    /// # Errors
    /// Not such files.
    pub fn identity(&self) -> Result<SignerIdentity, TimeStampError> {
        let path = self.chain_file();
        let chain = pem_blocks(read(&path)?.as_bytes())
            .iter()
            .map(|block| Certificate::from_pem(&block.text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TimeStampError::Malformed { path, reason: error.to_string() })?;
        Ok(SignerIdentity::new(self.certificate()?, &chain)?)
    }

    /// Opens the key, in as many copies as stamps shall be signed at a time.
    ///
    /// # Errors
    /// [`TimeStampError::Key`], [`TimeStampError::KeyMismatch`].
    pub fn keys(
        &self,
        passphrase: &str,
        certificate: &Certificate,
        copies: usize,
    ) -> Result<Vec<Box<dyn Signer + Send>>, TimeStampError> {
        let path = self.key_file();
        let failed = |error| TimeStampError::Key { path: path.clone(), error };
        let first = FileKey::from_encrypted_pkcs8_pem(&read(&path)?, passphrase).map_err(failed)?;
        if Signer::public_key(&first) != certificate.public_key() {
            return Err(TimeStampError::KeyMismatch(path));
        }
        let secret = first.to_pkcs8_der().map_err(failed)?;
        let copy = |_| Ok(Box::new(FileKey::from_pkcs8_der(&secret)?) as Box<dyn Signer + Send>);
        (0..copies.max(1)).map(copy).collect::<Result<_, _>>().map_err(failed)
    }
}

/// `tsa.toml`, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The policy of every stamp.
    pub policy: ObjectIdentifier,
    /// How exact the clock is.
    pub accuracy: Accuracy,
    /// Requests that one peer may send in a second.
    pub stamps_per_second: u32,
}

/// `tsa.toml` as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    policy: String,
    accuracy_milliseconds: u32,
    stamps_per_second_per_peer: u32,
}

impl Settings {
    /// Takes the contents of a settings file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let file: SettingsFile = toml::from_str(text).map_err(|error| toml_place::said(&error, text))?;
        if file.stamps_per_second_per_peer == 0 {
            return Err("stamps_per_second_per_peer must be 1 or more".to_owned());
        }
        Ok(Self {
            policy: ObjectIdentifier::new(&file.policy)
                .map_err(|error| format!("policy {:?}: {error}", file.policy))?,
            accuracy: Accuracy::from_milliseconds(file.accuracy_milliseconds)
                .ok_or("accuracy_milliseconds must be a number from 1 to 3600000")?,
            stamps_per_second: file.stamps_per_second_per_peer,
        })
    }

    /// The contents of a settings file.
    ///
    /// # Errors
    /// They cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(&SettingsFile {
            policy: self.policy.to_string(),
            accuracy_milliseconds: self.accuracy.milliseconds(),
            stamps_per_second_per_peer: self.stamps_per_second,
        })
        .map_err(|error| error.to_string())
    }
}

/// Whether a certificate counts at a time.
///
/// # Errors
/// [`TimeStampError::OutsideValidity`].
pub fn check_validity(certificate: &Certificate, now: Timestamp) -> Result<(), TimeStampError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    // The last second counts as a whole.
    if not_before <= now && now.as_second() <= not_after.as_second() {
        Ok(())
    } else {
        Err(TimeStampError::OutsideValidity { now, not_before, not_after })
    }
}

/// The files of a service are small.
fn read(path: &Path) -> Result<String, TimeStampError> {
    let io = |error| TimeStampError::Io { path: path.to_owned(), error };
    let mut text = String::new();
    std::fs::File::open(path).map_err(io)?.take(1 << 20).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_as_they_were_written() {
        let settings = Settings {
            policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
            accuracy: Accuracy::from_milliseconds(1500).unwrap(),
            stamps_per_second: 7,
        };
        assert_eq!(Settings::from_toml(&settings.to_toml().unwrap()), Ok(settings));
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        let good = "policy = '1.2.3'\naccuracy_milliseconds = 1\nstamps_per_second_per_peer = 1\n";
        assert!(Settings::from_toml(good).is_ok());
        for (from, to, word) in [
            ("'1.2.3'", "'one'", "policy"),
            ("milliseconds = 1", "milliseconds = 0", "accuracy_milliseconds"),
            ("peer = 1", "peer = 0", "stamps_per_second_per_peer"),
            ("policy", "polity", "polity"),
        ] {
            let refused = Settings::from_toml(&good.replace(from, to)).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
