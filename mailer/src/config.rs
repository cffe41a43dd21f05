//! What `mailer setup` remembers: a private TOML file. No PIN and no password is ever in it.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable_file::{create_private_folder, replace};

/// The folder with everything that belongs to one account.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

/// The account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The user's mail address.
    pub address: String,
    /// The user's name, as recipients see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Locator of the card.
    pub card: String,
    /// Where certificates are found: `file:DIR` or `http://HOST:PORT`.
    pub directory: String,
    /// Accept signers and recipients about whom no current CRL is at hand.
    #[serde(default)]
    pub accept_unknown_revocation: bool,
    /// `smtp://HOST:PORT` or `smtps://HOST:PORT`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<String>,
    /// `imap://HOST:PORT` or `imaps://HOST:PORT`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imap: Option<String>,
    /// The user name at both servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file whose first line is the password at both servers; without it the password is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A folder with one Maildir for each address, instead of servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maildir: Option<PathBuf>,
    /// Whose mail servers are ours, in PEM; without it the trust anchors decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_anchor: Option<String>,
    /// What stays readable of the header of encrypted mail: `baseline`, `shy`, `no-confidentiality` or `unprotected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<String>,
    /// What happens when a message asks for a receipt.
    #[serde(default, skip_serializing_if = "ReceiptPolicy::is_default")]
    pub receipts: ReceiptPolicy,
    /// How it is found out whether certificates were revoked.
    #[serde(default, skip_serializing_if = "RevocationConfig::is_default")]
    pub revocation: RevocationConfig,
    /// Who stamps documents and receipts with the time.
    #[serde(default, skip_serializing_if = "TimeStampConfig::is_default")]
    pub time_stamps: TimeStampConfig,
    /// Where classes of readers are found, if not in the directory.
    #[serde(default, skip_serializing_if = "ReadersConfig::is_default")]
    pub readers: ReadersConfig,
    /// Whose certificates are believed, for which mail domains. Copied here at setup, so that nobody can exchange the file.
    pub anchors: Vec<AnchorConfig>,
}

/// How it is found out whether certificates were revoked: the table `[revocation]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationConfig {
    /// What to think of a certificate about which nothing current is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_unknown: Option<WhenUnknown>,
    /// With `accept-stale`: hours for which the last CRL or OCSP answer counts after a newer one was due; 24 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_hours: Option<u32>,
    /// Ask neither directory nor responder: what was answered before must do.
    pub offline: bool,
    /// The OCSP responder that is asked: `http://HOST:PORT/PATH` or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp_responder: Option<String>,
    /// Whether an OCSP answer must repeat a number of ours.
    pub ocsp_nonce: OcspNonce,
    /// Ask also the servers that certificates of a configured anchor name.
    pub follow_certificate_addresses: bool,
    /// Hosts that may then be asked although they are this computer or in a private network.
    pub private_hosts: Vec<String>,
}

impl RevocationConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Who stamps documents and receipts with the time (RFC 3161): the table `[time_stamps]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeStampConfig {
    /// The servers, `http://HOST:PORT/PATH` or https; the next is asked when one fails.
    pub servers: Vec<String>,
    /// The policy that is asked for, an object identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Seconds that each server has; 10 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

impl TimeStampConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where classes of readers are found: the table `[readers]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadersConfig {
    /// Groups of this server are the classes, instead of the signed list in the directory: `ldap://HOST:PORT/BASE` or ldaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<String>,
}

impl ReadersConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens when a message asks for a receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptPolicy {
    /// `read` says so; the user gives it
    #[default]
    Ask,
    /// `read` gives it, if it goes to the signer alone and the PIN is known
    Automatic,
    /// `read` says nothing
    Never,
}

impl ReceiptPolicy {
    #[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde wants
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What to think of a certificate about which nothing current is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnknown {
    /// It is not trusted.
    Reject,
    /// The last answer counts for some hours more.
    AcceptStale,
    /// It is trusted.
    Accept,
}

/// Whether an OCSP answer must repeat a number of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OcspNonce {
    /// One is sent; answers made beforehand have none and count too.
    #[default]
    Send,
    /// One is sent and must come back.
    Require,
    /// None is sent.
    Omit,
}

/// A trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorConfig {
    /// The mail domains it may speak for, as A-labels; one that begins with a dot stands for everything below it. With none
    /// it counts for time stamps only.
    pub domains: Vec<String>,
    /// The CA certificate in PEM.
    pub certificate: String,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No `setup` yet.
    #[error("there is no mail account in {0}; make one with: mailer setup")]
    NotSetUp(String),
    /// Not what `setup` writes.
    #[error("the configuration {path} cannot be read: {problem}; repair it, or run mailer setup again")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder or file cannot be read or written.
    #[error("{path}: {problem}")]
    Storage {
        /// Which file or folder.
        path: String,
        /// Why not.
        problem: std::io::Error,
    },
    /// Neither `--home` nor a home directory.
    #[error("this user has no home directory; name a folder with --home")]
    NoHome,
}

impl ConfigError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSetUp(_) => "not-set-up",
            Self::Malformed { .. } => "malformed-configuration",
            Self::Storage { .. } => "configuration-storage",
            Self::NoHome => "no-home",
        }
    }
}

impl Home {
    /// The folder that was named, or else `$XDG_DATA_HOME/sealwright/mailer`.
    ///
    /// # Errors
    /// [`ConfigError::NoHome`].
    pub fn new(named: Option<PathBuf>) -> Result<Self, ConfigError> {
        let standard =
            || directories::BaseDirs::new().map(|folders| folders.data_dir().join("sealwright/mailer"));
        named.or_else(standard).map(Self).ok_or(ConfigError::NoHome)
    }

    /// Where the configuration is.
    pub fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Messages on their way out.
    pub fn outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }

    /// The Maildir of received messages, as they came: protected.
    pub fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// Who was sent what, and who has given a receipt.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// The newest list of classes of readers that was seen.
    pub fn classes(&self) -> PathBuf {
        self.0.join("classes")
    }

    /// Which receipts were given.
    pub fn receipts_given(&self) -> PathBuf {
        self.0.join("receipts-given")
    }

    /// The Maildir of sent messages, protected too.
    pub fn sent(&self) -> PathBuf {
        self.0.join("sent")
    }

    /// What correspondents' mail programs can read.
    pub fn correspondents_file(&self) -> PathBuf {
        self.0.join("correspondents.json")
    }

    /// How far the server's mailbox was read.
    pub fn position_file(&self) -> PathBuf {
        self.0.join("position.json")
    }

    /// Certificates and CRLs that the directory handed out.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        let path = self.config_file();
        let text = std::fs::read_to_string(&path).map_err(|problem| match problem.kind() {
            std::io::ErrorKind::NotFound => ConfigError::NotSetUp(self.0.display().to_string()),
            _ => storage(&path, problem),
        })?;
        // The parser's message may quote the file; its first line says enough.
        toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.display().to_string(),
            problem: error.message().to_owned(),
        })
    }

    /// Writes the configuration, mode 0600, and makes the folders, mode 0700.
    ///
    /// # Errors
    /// [`ConfigError::Storage`].
    pub fn save(&self, config: &Config) -> Result<(), ConfigError> {
        create_private_folder(&self.0).map_err(|problem| storage(&self.0, problem))?;
        let path = self.config_file();
        let text = toml::to_string_pretty(config).map_err(|error| ConfigError::Malformed {
            path: path.display().to_string(),
            problem: error.to_string(),
        })?;
        replace(&path, text.as_bytes()).map_err(|problem| storage(&path, problem))
    }
}

fn storage(path: &Path, problem: std::io::Error) -> ConfigError {
    ConfigError::Storage { path: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config() -> Config {
        Config {
            address: "alice@mail.test".to_owned(),
            name: Some("Alice \"A\" Müller".to_owned()),
            card: "sim:/cards/alice".to_owned(),
            directory: "file:/published".to_owned(),
            accept_unknown_revocation: false,
            smtp: Some("smtp://mail.test:587".to_owned()),
            imap: None,
            user: None,
            password_file: None,
            maildir: None,
            tls_anchor: None,
            headers: None,
            revocation: RevocationConfig {
                when_unknown: Some(WhenUnknown::AcceptStale),
                stale_hours: Some(12),
                ocsp_responder: Some("http://ocsp.mail.test/".to_owned()),
                ocsp_nonce: OcspNonce::Require,
                private_hosts: vec!["pki.mail.test".to_owned()],
                ..RevocationConfig::default()
            },
            time_stamps: TimeStampConfig {
                servers: vec!["http://time.mail.test/".to_owned()],
                policy: None,
                seconds: Some(5),
            },
            readers: ReadersConfig { ldap: Some("ldaps://dir.mail.test/dc=mail,dc=test".to_owned()) },
            receipts: ReceiptPolicy::Automatic,
            anchors: vec![AnchorConfig {
                domains: vec!["mail.test".to_owned()],
                certificate: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned(),
            }],
        }
    }

    #[test]
    fn what_is_saved_is_private_and_loads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(Some(folder.path().join("home"))).unwrap();
        assert!(matches!(home.load(), Err(ConfigError::NotSetUp(_))));
        home.save(&config()).unwrap();
        assert_eq!(home.load().unwrap(), config());
        assert_eq!(std::fs::metadata(home.config_file()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_configuration_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(Some(folder.path().to_owned())).unwrap();
        for text in ["address = 1", "nonsense", "address = \"a\"\nunknown = 1\n"] {
            std::fs::write(home.config_file(), text).unwrap();
            let problem = home.load().unwrap_err();
            assert!(
                matches!(problem, ConfigError::Malformed { .. })
                    && problem.to_string().contains("config.toml"),
                "{problem}"
            );
        }
    }
}
