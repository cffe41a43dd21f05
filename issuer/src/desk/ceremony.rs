//! `issuer init --ceremony FILE`: what shall be made is declared in a file, shown, confirmed by its digest, and recorded.
//!
//! ```toml
//! organization = "Example"
//! domains = ["example.org"]
//! base_url = "http://pki.example.org"
//! key_algorithm = "p256"                  # of keys that are made in files
//! crl_partitions = 16                     # these four may be left out
//! delta_crls = true
//! ocsp = true
//! witnesses = ["Alice Archer", "Bob Baker"]
//!
//! [keys]                                  # file, where nothing else is said
//! root = "pkcs11:token=CA;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so"
//! people = "card:pcsc:serial=12345678"
//! ```
use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use middleware::KeyAlgorithm;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::authority_key::{KeyLocation, KeyRecord};
use super::failure::Failure;
use super::init::Plan;
use super::office::read_file;
use super::output;
use crate::ca::Profile;
use crate::ca::profile::status_services::{DeltaCrls, OcspService};
use crate::ca::profile::{Branch, PivExtensions};
use crate::config::{Config, Home, write_new};
use crate::domain::AuthorityName;
use crate::domain::unicode::hidden_character;
use crate::registry::EmulatedCards;
use crate::toml_place;

/// A declaration that was reviewed and confirmed.
#[derive(Clone, Debug)]
pub struct Ceremony {
    declaration: String,
    digest: String,
    witnesses: Vec<String>,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    organization: String,
    organization_identifier: Option<String>,
    domains: Vec<String>,
    base_url: String,
    policy_arc: Option<String>,
    #[serde(default)]
    piv_extensions: bool,
    #[serde(default)]
    allow_emulated: bool,
    #[serde(default = "default_algorithm")]
    key_algorithm: String,
    crl_partitions: Option<u16>,
    #[serde(default)]
    delta_crls: bool,
    #[serde(default)]
    ocsp: bool,
    #[serde(default)]
    witnesses: Vec<String>,
    #[serde(default)]
    keys: Keys,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    root: Option<String>,
    people: Option<String>,
    servers: Option<String>,
}

fn default_algorithm() -> String {
    "p256".to_owned()
}

#[derive(Serialize)]
struct Record<'a> {
    declaration_sha256: &'a str,
    at: String,
    witnesses: &'a [String],
    keys: &'a [KeyRecord],
}

/// Reads a declaration and shows it; answers the plan when it is confirmed.
///
/// # Errors
/// Not such a file, or nobody confirmed it: then its digest is shown.
pub fn reviewed(file: &Path, confirmed: Option<&str>) -> Result<Plan, Failure> {
    let octets = read_file(file, LONGEST)?;
    let plan = plan(&octets).map_err(|reason| Failure::usage(format!("{}: {reason}", file.display())))?;
    let digest = plan.ceremony.as_ref().map(|ceremony| ceremony.digest.clone()).unwrap_or_default();
    match confirmed {
        Some(confirmed) if confirmed.eq_ignore_ascii_case(&digest) => Ok(plan),
        Some(_) => Err(Failure::new(
            "not-confirmed",
            format!(
                "{} is not the declaration that was confirmed: its digest is {digest}; review it again",
                file.display()
            ),
        )),
        None => {
            review(&plan).iter().for_each(|line| output::progress(line));
            Err(Failure::new(
                "not-confirmed",
                format!(
                    "nothing was made yet; if this is what you want, run the same command with --confirm {digest}"
                ),
            ))
        }
    }
}

/// What a declaration asks for.
///
/// # Errors
/// What is wrong with it, with its field.
pub(crate) fn plan(octets: &[u8]) -> Result<Plan, String> {
    let text = std::str::from_utf8(octets).map_err(|_| "it is not UTF-8".to_owned())?;
    let declared: Declaration = toml::from_str(text).map_err(|error| toml_place::said(&error, text))?;
    let piv = if declared.piv_extensions { PivExtensions::Included } else { PivExtensions::Omitted };
    let config = Config::new(
        &declared.organization,
        declared.organization_identifier.as_deref(),
        &declared.domains,
        &declared.base_url,
        declared.policy_arc.as_deref(),
        piv,
    )
    .and_then(|config| {
        config.with_status_services(
            declared.crl_partitions,
            if declared.delta_crls { DeltaCrls::Published } else { DeltaCrls::Omitted },
            if declared.ocsp { OcspService::Offered } else { OcspService::Absent },
        )
    })
    .map_err(|error| error.to_string())?;
    if let Some(bad) =
        declared.witnesses.iter().find(|name| name.trim().is_empty() || hidden_character(name).is_some())
    {
        return Err(format!("the witness {bad:?} has no name that can be seen"));
    }
    let mut keys = BTreeMap::new();
    for (name, location) in [
        (AuthorityName::Root, declared.keys.root),
        (AuthorityName::People, declared.keys.people),
        (AuthorityName::Servers, declared.keys.servers),
    ] {
        let location = location.as_deref().unwrap_or("file");
        keys.insert(
            name,
            location.parse::<KeyLocation>().map_err(|reason| format!("keys.{name}: {reason}"))?,
        );
    }
    Ok(Plan {
        config,
        emulated: if declared.allow_emulated { EmulatedCards::Allowed } else { EmulatedCards::Refused },
        key_algorithm: match declared.key_algorithm.as_str() {
            "p256" => KeyAlgorithm::P256,
            "p384" => KeyAlgorithm::P384,
            "rsa2048" => KeyAlgorithm::Rsa2048,
            "rsa3072" => KeyAlgorithm::Rsa3072,
            "rsa4096" => KeyAlgorithm::Rsa4096,
            other => {
                return Err(format!(
                    "key_algorithm {other:?}: write p256, p384, rsa2048, rsa3072 or rsa4096"
                ));
            }
        },
        keys,
        ceremony: Some(Ceremony {
            declaration: text.to_owned(),
            digest: hex::encode(Sha256::digest(octets)),
            witnesses: declared.witnesses,
        }),
    })
}

/// The plan in words.
fn review(plan: &Plan) -> Vec<String> {
    let organization = &plan.config.organization;
    let mut lines = vec![
        format!("A new certification authority of {}:", organization.name),
        format!("  mail addresses and servers in: {}", plan.config.domain_list()),
        format!("  certificates and CRLs at: {}", organization.base_url),
        format!("  policies below: {}", organization.policies),
    ];
    for (name, profile) in [
        (AuthorityName::Root, Profile::Root),
        (AuthorityName::People, Profile::IssuingAuthority(Branch::People)),
        (AuthorityName::Servers, Profile::IssuingAuthority(Branch::Servers)),
    ] {
        let location = plan.location(name);
        let key = match location {
            KeyLocation::File => format!("a new {} key in an encrypted file", plan.key_algorithm),
            elsewhere => format!("the key at {elsewhere}"),
        };
        lines.push(format!("  authority {name}: {key}, {} days", profile.maximum_days()));
    }
    let services = organization.status_services;
    if let Some(partitions) = services.partitions {
        lines.push(format!("  the CRL of the authority for people in {} partitions", partitions.count()));
    }
    if services.delta_crls == DeltaCrls::Published {
        lines.push("  delta CRLs of the authority for people".to_owned());
    }
    if services.ocsp == OcspService::Offered {
        lines.push(format!("  an OCSP responder at {}/ocsp", organization.base_url));
    }
    if plan.emulated == EmulatedCards::Allowed {
        lines.push("  EMULATED CARDS ARE ALLOWED: for trials, never for production".to_owned());
    }
    if let Some(ceremony) = &plan.ceremony {
        lines.push(format!(
            "  witnesses: {}",
            match ceremony.witnesses.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            }
        ));
    }
    lines
}

impl Ceremony {
    /// Keeps the declaration as it was, and what came of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn record(&self, home: &Home, keys: &[KeyRecord], at: Timestamp) -> Result<(), Failure> {
        let folder = home.ceremony();
        std::fs::create_dir(&folder).map_err(|error| Failure::file(&folder, &error))?;
        let record = Record {
            declaration_sha256: &self.digest,
            at: at.strftime("%FT%TZ").to_string(),
            witnesses: &self.witnesses,
            keys,
        };
        let json = serde_json::to_string_pretty(&record)
            .map_err(|error| Failure::new("ceremony", error.to_string()))?;
        for (name, text) in
            [("declaration.toml", self.declaration.as_str()), ("record.json", &format!("{json}\n"))]
        {
            let path = folder.join(name);
            write_new(&path, 0o444, text.as_bytes()).map_err(|error| Failure::file(&path, &error))?;
        }
        Ok(())
    }
}

/// A declaration is a page.
const LONGEST: u64 = 64 * 1024;
