//! The issuer's home directory: which file is where.

use std::path::{Path, PathBuf};

use crate::domain::AuthorityName;
use crate::registry::RegistryUrl;

/// Where an issuer keeps what it needs.
///
/// ```text
/// config.toml              the organisation, its domains, where its certificates are published
/// registry.db              people, cards, certificates (unless --registry names another place)
/// master.key               from which PUK and management key of each card derive; encrypted under the passphrase
/// attestation-roots/       root certificates of cards' makers, whose word on where a key was made is believed
/// keys/root.pem ...        keys of the authorities, of the list of classes and of what is written on cards, encrypted PKCS#8 under the passphrase
/// keys/audit.pem           the key that signs checkpoints of the log (mode 0600, not under the passphrase)
/// ceremony/                what was declared when the issuer was made, and the record of it
/// publication.turn         empty; held by the publication that is under way
/// tsa/                     the time-stamp service, unless it is made elsewhere
/// ```
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The home in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// `master.key`.
    pub fn master_key_file(&self) -> PathBuf {
        self.0.join("master.key")
    }

    /// `keys`.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// `keys/NAME.pem`.
    pub fn key_file(&self, authority: AuthorityName) -> PathBuf {
        self.keys().join(format!("{authority}.pem"))
    }

    /// `keys/NAME.location`: where the key of an authority is that is not in a file of the home.
    pub fn key_location_file(&self, name: AuthorityName) -> PathBuf {
        self.keys().join(format!("{name}.location"))
    }

    /// `keys/NAME-KEY.pem`: a later key of an authority, by its subjectKeyIdentifier.
    pub fn key_file_of(&self, authority: AuthorityName, key_identifier: &[u8]) -> PathBuf {
        self.keys().join(format!("{authority}-{}.pem", hex::encode(key_identifier)))
    }

    /// `keys/NAME-KEY.location`: where a later key of an authority is that is not in a file of the home.
    pub fn key_location_file_of(&self, name: AuthorityName, key_identifier: &[u8]) -> PathBuf {
        self.keys().join(format!("{name}-{}.location", hex::encode(key_identifier)))
    }

    /// `ceremony`: what was declared when the issuer was made, and what came of it.
    pub fn ceremony(&self) -> PathBuf {
        self.0.join("ceremony")
    }

    /// `keys/audit.pem`: the key that signs checkpoints of the log.
    pub fn audit_key_file(&self) -> PathBuf {
        self.keys().join("audit.pem")
    }

    /// `keys/reader-classes.pem`: the key that signs the list of classes of readers.
    pub fn class_list_key_file(&self) -> PathBuf {
        self.keys().join("reader-classes.pem")
    }

    /// `keys/content-signer.pem`: the key that signs what is written on cards.
    pub fn content_signer_key_file(&self) -> PathBuf {
        self.keys().join("content-signer.pem")
    }

    /// `attestation-roots`: root certificates of cards' makers that the desk believes.
    pub fn attestation_roots(&self) -> PathBuf {
        self.0.join("attestation-roots")
    }

    /// `keys/ocsp.pem`: the key that signs prepared OCSP answers.
    pub fn ocsp_key_file(&self) -> PathBuf {
        self.keys().join("ocsp.pem")
    }

    /// `keys/ocsp-rsa.pem`: the one for authorities whose key is RSA.
    pub fn ocsp_rsa_key_file(&self) -> PathBuf {
        self.keys().join("ocsp-rsa.pem")
    }

    /// `keys/ocsp-NAME.pem`: its certificate of an authority.
    pub fn ocsp_certificate_file(&self, name: AuthorityName) -> PathBuf {
        self.keys().join(format!("ocsp-{name}.pem"))
    }

    /// `witness.begun`: which witness file of `config.toml` was begun.
    pub fn witness_mark_file(&self) -> PathBuf {
        self.0.join("witness.begun")
    }

    /// `log.checked`: how far the log of the registry was checked before somebody was let in.
    pub fn checked_log_file(&self) -> PathBuf {
        self.0.join("log.checked")
    }

    /// `publication.turn`: held by the publication that is under way.
    pub fn publication_turn_file(&self) -> PathBuf {
        self.0.join("publication.turn")
    }

    /// `tsa`: the time-stamp service that is used unless another is named.
    pub fn time_stamp_folder(&self) -> PathBuf {
        self.0.join("tsa")
    }

    /// The registry that is used unless another is named.
    pub fn default_registry(&self) -> RegistryUrl {
        RegistryUrl::Sqlite(self.0.join("registry.db"))
    }
}
