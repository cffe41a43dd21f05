//! `issuer init`: a new certification authority.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jiff::Timestamp;
use middleware::KeyAlgorithm;
use middleware::secret_source::SecretSource;
use rand_core::CryptoRng;
use serde::Serialize;

use super::audit;
use super::audit::notary::FirstKey;
use super::authority_key::{self, KeyLocation, KeyRecord, pin_source};
use super::ceremony::Ceremony;
use super::failure::Failure;
use super::office::{Passphrase, Surroundings, read_passphrase};
use super::output::{self, Format};
use super::unfinished::UnfinishedFolder;
use crate::ca::lint::lint;
use crate::ca::profile::{Assurance, Branch, Validity};
use crate::ca::{self, Certificate, Organization, Profile, ProvenKey, SerialNumber};
use crate::clock::Clock;
use crate::config::{Config, Home, write_new};
use crate::domain::{Actor, AuthorityName};
use crate::personalization::custody::MasterKey;
use crate::personalization::domain_serial;
use crate::registry::{self, EmulatedCards, NewCertificate, Registry, RegistryUrl};

/// What a new issuer is like.
pub struct Plan {
    /// The organisation.
    pub config: Config,
    /// Whether emulated cards are personalised.
    pub emulated: EmulatedCards,
    /// Algorithm of the keys that are made in files.
    pub key_algorithm: KeyAlgorithm,
    /// Where the keys of the authorities are; in files unless it says otherwise.
    pub keys: BTreeMap<AuthorityName, KeyLocation>,
    /// What was declared, reviewed and confirmed, where it was.
    pub ceremony: Option<Ceremony>,
}

impl Plan {
    pub(super) fn location(&self, name: AuthorityName) -> KeyLocation {
        self.keys.get(&name).cloned().unwrap_or(KeyLocation::File)
    }
}

#[derive(Serialize)]
struct Summary {
    home: String,
    registry: String,
    root: String,
    root_serial: String,
    not_after: String,
}

/// Shorter passphrases are refused.
const MINIMUM_PASSPHRASE: usize = 8;

/// Makes the home: keys, certificates, registry, configuration; all or nothing.
///
/// # Errors
/// Something is there already, or cannot be written.
pub async fn run(
    surroundings: &Surroundings,
    plan: Plan,
    clock: &dyn Clock,
    random: &mut dyn CryptoRng,
) -> Result<(), Failure> {
    let home = surroundings.home()?;
    refuse_existing(home)?;
    let passphrase = new_passphrase(&surroundings.passphrase, "New passphrase for the issuer's keys")?;
    // Made beside its place and renamed at the end, so that there is a whole issuer or none.
    let staging = UnfinishedFolder::beside(home.path(), ".issuer-init-")?;
    let staged = Home::new(staging.path());
    let url = surroundings.registry.clone().unwrap_or_else(|| staged.default_registry());
    let pin = pin_source(surroundings);
    let place = (&url, surroundings.actor()?);
    let made = establish(&staged, place, &plan, (&passphrase, &pin), clock.now(), random).await?;
    plan.config.write(&staged.config_file())?;
    if let Some(ceremony) = &plan.ceremony {
        ceremony.record(&staged, &made.records, clock.now())?;
    }
    let root = made.root;
    staging.put_in_place(home.path())?;

    let url = surroundings.registry.clone().unwrap_or_else(|| home.default_registry());
    match surroundings.format {
        Format::Json => output::json(&Summary {
            home: home.path().display().to_string(),
            registry: url.to_string(),
            root: root.subject(),
            root_serial: root.serial_number().to_string(),
            not_after: root.not_after().to_string(),
        }),
        Format::Text => output::line(&format!(
            "The issuer of {} is ready in {}: root \"{}\" until {}, with authorities for people and for servers below it.",
            plan.config.organization.name,
            home.path().display(),
            root.subject(),
            root.not_after().strftime("%F"),
        )),
    }
}

pub(super) fn refuse_existing(home: &Home) -> Result<(), Failure> {
    let is_empty = match std::fs::read_dir(home.path()) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::file(home.path(), &error)),
    };
    if is_empty {
        return Ok(());
    }
    let what =
        if home.config_file().exists() { "there is an issuer already" } else { "the directory is not empty" };
    Err(Failure::new("exists", format!("{}: {what}; nothing was changed", home.path().display())))
}

/// A passphrase that nothing has yet, long enough, and asked for twice at a terminal.
pub(super) fn new_passphrase(source: &SecretSource, prompt: &str) -> Result<Passphrase, Failure> {
    let passphrase = read_passphrase(source, prompt)?;
    if passphrase.as_str().chars().count() < MINIMUM_PASSPHRASE {
        return Err(Failure::new(
            "weak-passphrase",
            format!("the passphrase must have {MINIMUM_PASSPHRASE} characters or more"),
        ));
    }
    if matches!(source, SecretSource::Terminal) {
        let again = read_passphrase(source, "The same again")?;
        if again.as_str() != passphrase.as_str() {
            return Err(Failure::new("passphrase", "the two passphrases differ; nothing was made"));
        }
    }
    Ok(passphrase)
}

/// What was made.
struct Made {
    root: Certificate,
    records: Vec<KeyRecord>,
}

async fn establish(
    home: &Home,
    (url, actor): (&RegistryUrl, Actor),
    plan: &Plan,
    (passphrase, pin): (&Passphrase, &SecretSource),
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Result<Made, Failure> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(home.keys())
        .map_err(|error| Failure::file(&home.keys(), &error))?;
    let mut registry = Registry::create(url, plan.emulated, actor, now).await?;

    let kind = (plan.key_algorithm, plan.emulated);
    let signer = |name| authority_key::establish(home, name, &plan.location(name), kind, passphrase, pin);
    let key = signer(AuthorityName::Root)?;
    let validity = Validity::for_days(now, Profile::Root.maximum_days());
    let mut root =
        ca::Authority::create_root(&plan.config.organization, key, SerialNumber::random(random), validity)?;
    let certificate = root.certificate().clone();
    let master_key = MasterKey::generate(random).to_file(
        passphrase.as_str(),
        certificate.subject_key_identifier(),
        random,
    )?;
    write_secret(&home.master_key_file(), &master_key)?;
    store(&registry, AuthorityName::Root, &certificate, now).await?;
    let log = hex::encode(certificate.subject_key_identifier());
    let notary = audit::notary::of_home(home, log, FirstKey::Made)?;
    registry.set_notary(notary, now).await?;
    registry.record_terms(&plan.config.terms(), None, now).await?;
    let mut records =
        vec![KeyRecord::new(AuthorityName::Root, &plan.location(AuthorityName::Root), &certificate)];
    let assurance = match plan.emulated {
        EmulatedCards::Allowed => Assurance::Emulated,
        EmulatedCards::Refused => Assurance::Production,
    };
    for (name, branch) in [(AuthorityName::People, Branch::People), (AuthorityName::Servers, Branch::Servers)]
    {
        let mut key = signer(name)?;
        let proven = ProvenKey::of_signer(key.as_mut(), random)?;
        let request = CertificateRequest {
            organization: &plan.config.organization,
            profile: Profile::IssuingAuthority(branch),
            assurance,
            key: &proven,
        };
        let issuing = certify(&registry, (AuthorityName::Root, &mut root), request, now, random).await?;
        store(&registry, name, &issuing, now).await?;
        records.push(KeyRecord::new(name, &plan.location(name), &issuing));
    }
    registry.close().await;
    Ok(Made { root: certificate, records })
}

/// What shall be certified.
pub(super) struct CertificateRequest<'a> {
    pub(super) organization: &'a Organization,
    pub(super) profile: Profile,
    pub(super) assurance: Assurance,
    pub(super) key: &'a ProvenKey,
}

/// Certifies a key of the organisation's own: stored before it is signed.
pub(super) async fn certify(
    registry: &Registry,
    (authority, signer): (AuthorityName, &mut ca::Authority),
    request: CertificateRequest<'_>,
    now: Timestamp,
    random: &mut dyn CryptoRng,
) -> Result<Certificate, Failure> {
    let CertificateRequest { organization, profile, assurance, key } = request;
    let validity = Validity::for_days(now, profile.maximum_days());
    let number = SerialNumber::random(random);
    let linted = lint(signer.prepare(organization, &profile, assurance, key, number.clone(), validity)?)?;
    let serial = domain_serial(&number)?;
    let reserved = NewCertificate {
        serial: serial.clone(),
        authority,
        profile: profile.name().to_owned(),
        subject: format!("{} ({})", organization.name, profile.name()),
        mail: None,
        on_card: None,
        not_before: validity.not_before,
        not_after: validity.not_after.min(signer.certificate().not_after()),
        to_be_signed: linted.as_der().to_vec(),
    };
    registry.reserve_certificate(&reserved, now).await?;
    let certificate = signer.sign(linted)?;
    registry.record_signature(&serial, certificate.as_der(), now).await?;
    registry.confirm_delivery(&serial, now).await?;
    Ok(certificate)
}

/// Enters an authority in the registry.
pub(super) async fn store(
    registry: &Registry,
    name: AuthorityName,
    certificate: &Certificate,
    now: Timestamp,
) -> Result<(), Failure> {
    let authority = registry::Authority { name, certificate: certificate.as_der().to_vec() };
    Ok(registry.add_authority(&authority, now).await?)
}

/// Writes a new file that only its owner reads.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    write_new(path, 0o600, text.as_bytes()).map_err(|error| Failure::file(path, &error))
}
