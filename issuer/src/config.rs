//! The issuer's `config.toml`; `home`: the directory where it lies; `terms`: what of it a registry remembers;
//! `card_profile`: the kinds of cards that it names; `new_file`: how files that are new are written.

mod card_profile;
mod home;
mod new_file;
mod terms;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ca::Organization;
use crate::ca::crl::partition::Partitions;
use crate::ca::profile::status_services::{DeltaCrls, OcspService};
use crate::ca::profile::{PivExtensions, PolicyArc, StatusServices};
use crate::domain::unicode::{composed, hidden_character};
use crate::domain::{CardProfile, DomainName};
use crate::system_error::in_words;
use crate::toml_place;

pub use home::Home;
pub use new_file::write_new;

/// `config.toml`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What all certificates share.
    pub organization: Organization,
    /// The organisation's domains: mail addresses and server names must lie in one of them.
    pub domains: Vec<DomainName>,
    /// The locator of the operator's card, where commands name none.
    pub operator: Option<String>,
    /// A file outside the registry that every checkpoint of the log is added to.
    pub witness: Option<PathBuf>,
    /// A command that sees every certificate before it is signed; none where it is empty.
    pub external_lint: Vec<String>,
    /// The kinds of cards that have a name.
    pub profiles: BTreeMap<String, CardProfile>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read or written.
    #[error("{}: {}", .path.display(), in_words(error))]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    crl_partitions: Option<u16>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    delta_crls: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ocsp: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    witness: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    external_lint: Vec<String>,
    /// Tables: the last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    profiles: card_profile::ProfilesFile,
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
            identifier: organization_identifier
                .map(|text| {
                    checked_identifier(text).map_err(|reason| malformed("organization identifier", reason))
                })
                .transpose()?,
            base_url: base_url_without_final_slash(base_url)
                .map_err(|reason| malformed("base URL", reason))?,
            policies,
            piv_extensions,
            status_services: StatusServices::default(),
        };
        Ok(Self {
            organization,
            domains,
            operator: None,
            witness: None,
            external_lint: Vec::new(),
            profiles: BTreeMap::new(),
        })
    }

    /// The same with these ways to learn of revocations.
    ///
    /// # Errors
    /// A number of partitions that is not from 2 to 1024.
    pub fn with_status_services(
        mut self,
        crl_partitions: Option<u16>,
        delta_crls: DeltaCrls,
        ocsp: OcspService,
    ) -> Result<Self, ConfigError> {
        let refused = |count| ConfigError::Malformed {
            what: "number of CRL partitions".to_owned(),
            reason: format!("{count} is not from 2 to 1024"),
        };
        let partitions =
            crl_partitions.map(|count| Partitions::new(count).ok_or_else(|| refused(count))).transpose()?;
        self.organization.status_services = StatusServices { partitions, delta_crls, ocsp };
        Ok(self)
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a `config.toml`; `what` names it in messages.
    fn parse(text: &str, what: &str) -> Result<Self, ConfigError> {
        let malformed = |reason: String| ConfigError::Malformed { what: what.to_owned(), reason };
        let file: ConfigFile =
            toml::from_str(text).map_err(|error| malformed(toml_place::said(&error, text)))?;
        Self::new(
            &file.organization,
            file.organization_identifier.as_deref(),
            &file.domains,
            &file.base_url,
            file.policy_arc.as_deref(),
            if file.piv_extensions { PivExtensions::Included } else { PivExtensions::Omitted },
        )
        .and_then(|config| {
            config.with_status_services(
                file.crl_partitions,
                if file.delta_crls { DeltaCrls::Published } else { DeltaCrls::Omitted },
                if file.ocsp { OcspService::Offered } else { OcspService::Absent },
            )
        })
        .and_then(|config| {
            Ok(Self {
                operator: file.operator,
                witness: file.witness,
                external_lint: file.external_lint,
                profiles: card_profile::checked(file.profiles)?,
                ..config
            })
        })
        .map_err(|error| malformed(error.to_string()))
    }

    /// Writes a new `config.toml`.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let text = toml::to_string(&self.file()).map_err(|error| ConfigError::Malformed {
            what: path.display().to_string(),
            reason: error.to_string(),
        })?;
        write_new(path, 0o644, text.as_bytes())
            .map_err(|error| ConfigError::File { path: path.to_owned(), error })
    }

    fn file(&self) -> ConfigFile {
        let services = self.organization.status_services;
        ConfigFile {
            organization: self.organization.name.clone(),
            organization_identifier: self.organization.identifier.clone(),
            domains: self.domains.iter().map(|domain| domain.as_str().to_owned()).collect(),
            base_url: self.organization.base_url.clone(),
            policy_arc: (self.organization.policies != PolicyArc::default())
                .then(|| self.organization.policies.to_string()),
            piv_extensions: self.organization.piv_extensions == PivExtensions::Included,
            crl_partitions: services.partitions.map(Partitions::count),
            delta_crls: services.delta_crls == DeltaCrls::Published,
            ocsp: services.ocsp == OcspService::Offered,
            operator: self.operator.clone(),
            witness: self.witness.clone(),
            external_lint: self.external_lint.clone(),
            profiles: card_profile::written(&self.profiles),
        }
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

/// Relying parties fetch CRLs and CA certificates over plain HTTP: both are signed (RFC 5280 section 8).
fn base_url_without_final_slash(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let Some(rest) = text.strip_prefix("http://") else {
        return Err(format!(
            "{text:?} must begin with http:// (what is published there is signed; https:// would make readers need a certificate to check a certificate)"
        ));
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if !is_authority(authority) {
        return Err(format!(
            "{text:?} is not of the shape http://HOST[:PORT][/PATH]: {authority:?} is no host name in ASCII and no IP address"
        ));
    }
    if !is_path(path) {
        return Err(format!(
            "{text:?} is not of the shape http://HOST[:PORT][/PATH]: what cannot stand in a path is written as %HH (RFC 3986 section 3.3)"
        ));
    }
    Ok(text.to_owned())
}

/// `host [ ":" port ]`, RFC 3986 section 3.2, without user information.
fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        None if host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) =>
        {
            host.parse::<Ipv4Addr>().is_ok()
        }
        None => host.is_ascii() && !host.contains('%') && DomainName::new(host).is_ok(),
    };
    is_host && port.is_none_or(is_port)
}

/// `path-abempty`, RFC 3986 section 3.3.
fn is_path(path: &str) -> bool {
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let is_fine = match byte {
            b'%' => [rest.next(), rest.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte),
        };
        if !is_fine {
            return false;
        }
    }
    true
}

/// Scheme, country, `-`, reference: ETSI EN 319 412-1 section 5.1.4, S/MIME Baseline Requirements appendix A.
fn checked_identifier(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_well_formed = || {
        let (registry, reference) = text.split_once('-')?;
        let (scheme, place) = registry.split_at_checked(3)?;
        let (country, subdivision) = place.split_at_checked(2)?;
        let is_upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_subdivision = |text: &str| {
            (1..=3).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let is_known = ["VAT", "NTR", "PSD", "LEI", "GOV", "INT"].contains(&scheme) && is_upper(country);
        let is_placed = subdivision.is_empty() || subdivision.strip_prefix('+').is_some_and(is_subdivision);
        let is_reference = !reference.is_empty() && reference.bytes().all(|byte| byte.is_ascii_graphic());
        (is_known && is_placed && is_reference && text.len() <= 64).then_some(())
    };
    match is_well_formed() {
        Some(()) => Ok(text.to_owned()),
        None => Err(format!(
            "{text:?} is not of the shape NTRDE-HRB12345: a scheme (VAT, NTR, PSD, LEI, GOV or INT), a country, '-' and the number there"
        )),
    }
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
        .and_then(|config| config.with_status_services(Some(16), DeltaCrls::Published, OcspService::Offered))
        .unwrap();
        config.write(&path).unwrap();
        let again = Config::read(&path).unwrap();
        assert_eq!(again.organization.status_services, config.organization.status_services);
        assert_eq!(again.organization.name, "Example GmbH");
        assert_eq!(again.organization.identifier.as_deref(), Some("NTRDE-1"));
        assert_eq!(again.organization.base_url, "http://pki.example.org/x");
        assert!(again.covers("mail.example.org") && !again.covers("example.com"));
        assert!(config.write(&path).is_err(), "an existing configuration was overwritten");
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        let text = "organization = \"Example\"\ndomains = [\"example.org\"]\nbase_url = \"http://pki.example.org\"\n\n[profiles.guest]\nkeys = [\"9A\"]\n";
        let error = Config::parse(text, "config.toml").unwrap_err().to_string();
        assert!(error.starts_with("config.toml: line 6: "), "{error}");
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
            "http://a/%zz",
            "http://a/%4",
            "http://a/x y",
            "http://user@a/",
            "http://a:0/",
            "http://a:+1/",
            "http://a:70000/",
            "http://-a/",
            "http://a..b/",
            "http://a_b/",
            "http://%61/",
            "http://bücher.example/",
            "http://1.2.3/",
            "http://[::1/",
            "http://[1.2.3.4]/",
        ] {
            let refused = Config::new("Example", None, &domains(), url, None, PivExtensions::default());
            assert!(
                matches!(refused, Err(ConfigError::Malformed { ref what, .. }) if what == "base URL"),
                "{url}"
            );
        }
    }

    #[test]
    fn a_base_url_names_a_host_or_an_address() {
        for url in [
            "http://localhost",
            "http://pki.example.org:8080/a/b%20c",
            "http://192.0.2.1",
            "http://[2001:db8::1]:80/x",
            "http://xn--bcher-kva.example",
        ] {
            assert!(base_url_without_final_slash(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_domain_in_unicode_is_kept_in_a_labels() {
        let make = |domain: &str| {
            Config::new("Example", None, &[domain.to_owned()], "http://a", None, PivExtensions::default())
        };
        assert_eq!(make("BÜCHER.example").unwrap().domain_list(), "xn--bcher-kva.example");
        assert_eq!(make("bu\u{308}cher.example").unwrap().domain_list(), "xn--bcher-kva.example");
        assert!(make("buch\u{200B}er.example").is_err());
    }

    #[test]
    fn an_organization_identifier_has_scheme_country_and_number() {
        for text in ["NTRDE-HRB12345", "VATBE-0876866142", "NTRUS+CA-12345", "LEIXG-AEYE00EKXESVZUUEBP67"] {
            assert_eq!(checked_identifier(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "12345",
            "NTRDE",
            "NTRDE-",
            "NTRde-1",
            "XYZDE-1",
            "NTRD-1",
            "NTRUS+-1",
            "NTRDE-a b",
            "NTRÄÖ-1",
        ] {
            assert!(checked_identifier(text).is_err(), "{text:?}");
        }
        assert!(checked_identifier(&format!("NTRDE-{}", "1".repeat(59))).is_err());
    }

    #[test]
    fn a_misspelled_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "organisation = \"Example\"\n").unwrap();
        assert!(Config::read(&path).unwrap_err().to_string().contains("organisation"));
    }
}
