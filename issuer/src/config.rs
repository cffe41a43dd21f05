//! The issuer's home directory and its `config.toml`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ca::Organization;
use crate::ca::profile::{PivExtensions, PolicyArc};
use crate::domain::unicode::{composed, hidden_character};
use crate::domain::{AuthorityName, DomainName};
use crate::registry::RegistryUrl;

/// Where an issuer keeps what it needs.
///
/// ```text
/// config.toml              the organisation, its domains, where its certificates are published
/// registry.db              people, cards, certificates (unless --registry names another place)
/// master.key               from which PUK and management key of each card derive; encrypted under the passphrase
/// keys/root.pem ...        keys of the authorities, encrypted PKCS#8 under the passphrase
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

    /// The registry that is used unless another is named.
    pub fn default_registry(&self) -> RegistryUrl {
        RegistryUrl::Sqlite(self.0.join("registry.db"))
    }
}

/// `config.toml`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all certificates share.
    pub organization: Organization,
    /// The organisation's domains: mail addresses and server names must lie in one of them.
    pub domains: Vec<DomainName>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{what}: {reason}")]
    Malformed {
        /// The file or the field.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// `config.toml` as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    organization: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_identifier: Option<String>,
    domains: Vec<String>,
    base_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_arc: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    piv_extensions: bool,
}

impl Config {
    /// Checks what `init` was told.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`] naming the field.
    pub fn new(
        organization: &str,
        organization_identifier: Option<&str>,
        domains: &[String],
        base_url: &str,
        policy_arc: Option<&str>,
        piv_extensions: PivExtensions,
    ) -> Result<Self, ConfigError> {
        let malformed = |what: &str, reason: String| ConfigError::Malformed { what: what.to_owned(), reason };
        let name = composed(organization.trim());
        if !(1..=64).contains(&name.chars().count()) || hidden_character(&name).is_some() {
            return Err(malformed(
                "organization",
                "must have 1 to 64 characters that can all be seen".to_owned(),
            ));
        }
        if domains.is_empty() {
            return Err(malformed("domains", "name one domain or more".to_owned()));
        }
        let domains = domains
            .iter()
            .map(|domain| DomainName::new(domain).map_err(|error| malformed("domain", error.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let policies = match policy_arc {
            Some(text) => {
                text.parse::<PolicyArc>().map_err(|error| malformed("policy arc", error.to_string()))?
            }
            None => PolicyArc::default(),
        };
        let organization = Organization {
            name,
            identifier: organization_identifier.map(str::to_owned),
            base_url: base_url_without_final_slash(base_url)
                .map_err(|reason| malformed("base URL", reason))?,
            policies,
            piv_extensions,
        };
        Ok(Self { organization, domains })
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
        let file: ConfigFile = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            what: path.display().to_string(),
            reason: error.message().to_owned(),
        })?;
        Self::new(
            &file.organization,
            file.organization_identifier.as_deref(),
            &file.domains,
            &file.base_url,
            file.policy_arc.as_deref(),
            if file.piv_extensions { PivExtensions::Included } else { PivExtensions::Omitted },
        )
        .map_err(|error| ConfigError::Malformed {
            what: path.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// Writes a new `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let file = ConfigFile {
            organization: self.organization.name.clone(),
            organization_identifier: self.organization.identifier.clone(),
            domains: self.domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
            base_url: self.organization.base_url.clone(),
            policy_arc: (self.organization.policies != PolicyArc::default())
                .then(|| self.organization.policies.to_string()),
            piv_extensions: self.organization.piv_extensions == PivExtensions::Included,
        };
        let text = toml::to_string(&file).map_err(|error| ConfigError::Malformed {
            what: path.display().to_string(),
            reason: error.to_string(),
        })?;
        write_new(path, 0o644, text.as_bytes())
            .map_err(|error| ConfigError::File { path: path.to_owned(), error })
    }

    /// Whether a mail address or server name lies in one of the organisation's domains.
    pub fn covers(&self, domain: &str) -> bool {
        self.domains.iter().any(|own| own.covers(domain))
    }

    /// The domains, for messages.
    pub fn domain_list(&self) -> String {
        self.domains.iter().map(DomainName::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Writes a file that must not exist yet, durably.
///
/// # Errors
/// It exists, or the system's error.
pub fn write_new(path: &Path, mode: u32, contents: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Relying parties fetch CRLs and CA certificates over plain HTTP: both are signed (RFC 5280 section 8).
fn base_url_without_final_slash(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let Some(rest) = text.strip_prefix("http://") else {
        return Err(format!(
            "{text:?} must begin with http:// (what is published there is signed; https:// would make readers need a certificate to check a certificate)"
        ));
    };
    let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&byte));
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || !is_plain {
        return Err(format!("{text:?} is not of the shape http://HOST[:PORT][/PATH]"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains() -> Vec<String> {
        vec!["example.org".to_owned()]
    }

    #[test]
    fn a_configuration_reads_back_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let config = Config::new(
            "Example GmbH",
            Some("NTRDE-1"),
            &domains(),
            "http://pki.example.org/x/",
            None,
            PivExtensions::Included,
        )
        .unwrap();
        config.write(&path).unwrap();
        let again = Config::read(&path).unwrap();
        assert_eq!(again.organization.name, "Example GmbH");
        assert_eq!(again.organization.identifier.as_deref(), Some("NTRDE-1"));
        assert_eq!(again.organization.base_url, "http://pki.example.org/x");
        assert!(again.covers("mail.example.org") && !again.covers("example.com"));
        assert!(config.write(&path).is_err(), "an existing configuration was overwritten");
    }

    #[test]
    fn a_base_url_is_plain_http() {
        for url in [
            "https://pki.example.org",
            "pki.example.org",
            "http://",
            "http://a b/",
            "http:///x",
            "http://a/?q",
        ] {
            let refused = Config::new("Example", None, &domains(), url, None, PivExtensions::default());
            assert!(
                matches!(refused, Err(ConfigError::Malformed { ref what, .. }) if what == "base URL"),
                "{url}"
            );
        }
    }

    #[test]
    fn a_misspelled_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "organisation = \"Example\"\n").unwrap();
        assert!(Config::read(&path).unwrap_err().to_string().contains("organisation"));
    }
}
