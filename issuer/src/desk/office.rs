//! An opened home: configuration, registry, keys, clock, randomness.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use getrandom::SysRng;
use middleware::Locator;
use middleware::Signer;
use middleware::secret_source::SecretSource;
use rand_core::UnwrapErr;
use zeroize::Zeroizing;

use super::audit;
use super::audit::notary::{FirstKey, KeyInHome};
use super::audit::standing::StandingWitness;
use super::authority_key::{self, pin_source};
use super::ca::elsewhere::refuse_elsewhere;
use super::ca::standing::refuse_withdrawn;
use super::configuration::Configuration;
use super::external_lint::CommandLint;
use super::failure::Failure;
use super::observer::Observer;
use super::operator::{Chosen, Guard, OperatorCard};
use super::texts;
use crate::ca::{Authority, Certificate};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Home};
use crate::domain::{Actor, AuthorityName, Cardholder, Notary, Permission};
use crate::personalization::custody::{CustodyError, MasterKey};
use crate::registry::{Registry, RegistryUrl, Share};

/// What every command may need, before anything is opened.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// `--home`.
    pub home: Option<Home>,
    /// `--registry`.
    pub registry: Option<RegistryUrl>,
    /// `--operator`: a name, or the locator of a card.
    pub operator: Option<String>,
    /// `--operator-pin-file`.
    pub operator_pin: Option<SecretSource>,
    /// `--second-operator`, with `--second-operator-pin-file`.
    pub second_operator: Option<OperatorCard>,
    /// `--passphrase-file`.
    pub passphrase: SecretSource,
    /// `--key-pin-file`: the PIN of authorities' keys on tokens and cards.
    pub key_pin: Option<SecretSource>,
    /// `--json`.
    pub format: super::output::Format,
    /// The home was just written from a backup, which has no audit key.
    pub is_restored: bool,
}

/// An opened home.
pub struct Office {
    /// Where it is.
    pub home: Home,
    /// The organisation: the configuration that counts.
    pub config: Config,
    pub(super) configuration: Configuration,
    /// People, cards, certificates.
    pub registry: Registry,
    /// What time it is.
    pub clock: SystemClock,
    /// The operating system's randomness.
    pub random: UnwrapErr<SysRng>,
    passphrase: SecretSource,
    kept: Kept,
    key_pin: SecretSource,
    /// Who works here.
    pub(super) guard: Guard,
    /// Who watches what is done to cards.
    pub observer: Observer,
    surroundings: Surroundings,
    /// Who signs what is recorded; nobody where no key may.
    pub(super) notary: Option<Arc<KeyInHome>>,
    /// The witness that counts, and what it says against the registry.
    pub(super) witness: StandingWitness,
}

/// Which audit key may sign what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signs {
    /// That of the home; one that is new to the registry is made known.
    ByAnyKey,
    /// That of the home if the registry knows it.
    ByKnownKey,
}

/// Whether a passphrase is asked for each time or once.
enum Kept {
    Never,
    Once(Mutex<Option<Passphrase>>),
}

/// The passphrase that opens the home's keys.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Surroundings {
    /// Who does what is done: named with `--operator`, else whoever is logged in.
    ///
    /// # Errors
    /// A name that is none.
    pub fn actor(&self) -> Result<Actor, Failure> {
        let named = |text: &str| {
            Actor::new(text).map_err(|error| Failure::usage(format!("operator {text:?}: {error}")))
        };
        if let Some(operator) = self.operator.as_ref().filter(|text| text.parse::<Locator>().is_err()) {
            return named(operator);
        }
        let user = rustix::process::getuid().as_raw();
        let login = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
        let login = login.and_then(|login| Actor::new(&format!("{login} (user {user})")).ok());
        login.map_or_else(|| named(&format!("user {user}")), Ok)
    }

    /// The home that was named.
    ///
    /// # Errors
    /// None was.
    pub fn home(&self) -> Result<&Home, Failure> {
        self.home
            .as_ref()
            .ok_or_else(|| Failure::usage("name the issuer's home with --home DIR, or set ISSUER_HOME"))
    }

    /// The file of the registry, for messages.
    pub fn registry_file(&self) -> Option<String> {
        let home = || self.home.as_ref().map(Home::default_registry);
        match self.registry.clone().or_else(home)? {
            RegistryUrl::Sqlite(path) => Some(path.display().to_string()),
            url @ RegistryUrl::Postgres(_) => Some(url.to_string()),
        }
    }

    /// Opens the home.
    ///
    /// # Errors
    /// It is not there, or damaged.
    pub async fn open(&self) -> Result<Office, Failure> {
        self.open_to(Signs::ByAnyKey, Share::OfProcess).await
    }

    /// Opens the home for an action that is asked for: a check of the log writes nothing, whatever it finds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_do(&self, action: Permission) -> Result<Office, Failure> {
        let is_check = action == Permission::VerifyLog;
        self.open_to(if is_check { Signs::ByKnownKey } else { Signs::ByAnyKey }, Share::OfProcess).await
    }

    async fn open_to(&self, signs: Signs, share: Share) -> Result<Office, Failure> {
        let home = self.home()?.clone();
        let is_there = home.config_file().try_exists().map_err(|error| {
            let place = home.path().display();
            Failure::new(
                "io",
                format!("{place} cannot be looked into, so nobody knows whether an issuer is there: {error}"),
            )
        })?;
        if !is_there {
            let message =
                format!("there is no issuer at {}; make one with issuer init", home.path().display());
            return Err(Failure::new("no-home", message));
        }
        let config = Config::read(&home.config_file())?;
        let actor = self.actor()?;
        let url = self.registry.clone().unwrap_or_else(|| home.default_registry());
        let registry = Registry::open_share(&url, actor.clone(), share).await?;
        let card = self.operator_card(&config)?;
        let (configuration, config) = Configuration::compare(config, &registry).await?;
        let mut office = Office {
            home,
            config,
            configuration,
            registry,
            clock: SystemClock,
            random: UnwrapErr(SysRng),
            passphrase: self.passphrase.clone(),
            kept: Kept::Never,
            key_pin: pin_source(self),
            guard: Guard::new(actor, card, self.second_operator.clone()),
            observer: Observer::default(),
            surroundings: self.clone(),
            notary: None,
            witness: StandingWitness::default(),
        };
        if !self.is_restored {
            // A home that is where it belongs was restored to the end.
            office.registry.restored().await?;
        }
        let root = office.authority_certificate(AuthorityName::Root).await?;
        // The log keeps the name of its first root, whatever becomes of the root's key.
        let log = match office.registry.newest_checkpoint().await? {
            Some(newest) => newest.checkpoint.log,
            None => hex::encode(root.subject_key_identifier()),
        };
        let audit_keys = office.registry.audit_keys().await?;
        let is_signed = !audit_keys.is_empty() && !self.is_restored;
        let first = if is_signed { FirstKey::Lost } else { FirstKey::Made };
        let has_key = office.home.audit_key_file().exists();
        if signs == Signs::ByAnyKey {
            let notary = audit::notary::of_home(&office.home, log, first)?;
            office.notary = Some(Arc::clone(&notary));
            office.stand_by(office.configuration.witness()).await?;
            let key = notary.public_key();
            let is_known = audit_keys.iter().any(|known| known.public_key == key);
            let now = if is_known { office.clock.now() } else { office.time_in_log().await? };
            office.registry.set_notary(notary, now).await?;
        } else {
            if has_key || first == FirstKey::Lost {
                let notary = audit::notary::of_home(&office.home, log, FirstKey::Lost)?;
                office.notary = Some(Arc::clone(&notary));
                office.registry.set_known_notary(notary).await?;
            }
            office.stand_by(office.configuration.witness()).await?;
        }
        if office.registry.has_operators().await? {
            office.registry.act_as(None);
        }
        Ok(office)
    }

    /// Opens the home for something that not everybody may do.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Office::authorize`].
    pub async fn open_for(&self, action: Permission) -> Result<Office, Failure> {
        let office = self.open_to_do(action).await?;
        office.authorize(action).await?;
        Ok(office)
    }

    /// The operator's card: named on the command line, or in the configuration.
    fn operator_card(&self, config: &Config) -> Result<Chosen, Failure> {
        let pin = self.operator_pin.clone().unwrap_or(SecretSource::Terminal);
        let named = self.operator.as_ref().and_then(|text| text.parse::<Locator>().ok());
        match (named, &config.operator) {
            (Some(locator), _) => Ok(Chosen::Named(OperatorCard { locator, pin })),
            (None, Some(text)) => match text.parse() {
                Ok(locator) => Ok(Chosen::Configured(OperatorCard { locator, pin })),
                Err(error) => {
                    Err(Failure::new("config", format!("operator = {text:?} in config.toml: {error}")))
                }
            },
            (None, None) => Ok(Chosen::Nobody),
        }
    }
}

impl Office {
    /// Opens the home once more, for somebody who works beside this one in the same operator's name.
    ///
    /// # Errors
    /// As [`Surroundings::open`].
    pub async fn open_beside(surroundings: &Surroundings, actor: Option<Actor>) -> Result<Self, Failure> {
        let office = surroundings.open_to(Signs::ByAnyKey, Share::OfHand).await?;
        office.registry.act_as(actor);
        Ok(office)
    }

    /// What it was opened from.
    pub const fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Asks for the passphrase, unless it is kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn passphrase(&self) -> Result<Passphrase, Failure> {
        let read = || read_passphrase(&self.passphrase, &passphrase_of(&self.home));
        let Kept::Once(kept) = &self.kept else { return read() };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passphrase) = &*kept {
            return Ok(passphrase.clone());
        }
        Ok(kept.insert(read()?).clone())
    }

    /// Whether somebody said where the passphrase comes from, for this command alone.
    pub fn was_told_passphrase(&self) -> bool {
        self.passphrase != SecretSource::Terminal && matches!(self.kept, Kept::Never)
    }

    /// From now on the passphrase is asked for once, and kept in memory until it is forgotten or the office is closed.
    pub fn keep_passphrase(&mut self) {
        self.kept = Kept::Once(Mutex::new(None));
    }

    /// The same, if it is not kept already.
    pub(super) fn keep_passphrase_for_now(&mut self) {
        if matches!(self.kept, Kept::Never) {
            self.keep_passphrase();
        }
    }

    /// Wipes the passphrase that was kept: it is asked for again.
    pub fn forget_passphrase(&self) {
        if let Kept::Once(kept) = &self.kept {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Opens an authority with its key, to sign certificates.
    ///
    /// # Errors
    /// Its certificate is revoked; wrong passphrase, no key file, or a certificate that does not belong to the key.
    pub async fn authority(
        &self,
        name: AuthorityName,
        passphrase: &Passphrase,
    ) -> Result<Authority, Failure> {
        refuse_withdrawn(self, name).await?;
        refuse_elsewhere(self, name).await?;
        let certificate = self.authority_certificate(name).await?;
        self.authority_of(name, certificate, passphrase)
    }

    /// Opens an authority with one of its keys, to tell what became of its certificates: a revoked one too.
    ///
    /// # Errors
    /// As [`Office::authority`], but for the revocation.
    pub fn authority_of(
        &self,
        name: AuthorityName,
        certificate: Certificate,
        passphrase: &Passphrase,
    ) -> Result<Authority, Failure> {
        let signer = self.authority_signer(name, &certificate, passphrase)?;
        self.authority_with(certificate, signer)
    }

    /// An authority with its opened key.
    ///
    /// # Errors
    /// The certificate does not belong to the key.
    pub fn authority_with(
        &self,
        certificate: Certificate,
        signer: Box<dyn Signer>,
    ) -> Result<Authority, Failure> {
        let authority = Authority::open(certificate, signer)?;
        if self.config.external_lint.is_empty() {
            return Ok(authority);
        }
        let external = CommandLint(self.config.external_lint.clone());
        Ok(authority.with_external_lint(Box::new(external)))
    }

    /// The key of an authority's certificate.
    ///
    /// # Errors
    /// As [`Office::authority`].
    pub fn authority_signer(
        &self,
        name: AuthorityName,
        certificate: &Certificate,
        passphrase: &Passphrase,
    ) -> Result<Box<dyn Signer>, Failure> {
        authority_key::open(&self.home, name, certificate, passphrase, &self.key_pin)
    }

    /// Where PINs of keys on tokens and cards come from.
    pub fn key_pin(&self) -> &SecretSource {
        &self.key_pin
    }

    /// The certificate of an authority.
    ///
    /// # Errors
    /// The registry has none.
    pub async fn authority_certificate(&self, name: AuthorityName) -> Result<Certificate, Failure> {
        let authorities = self.registry.authorities().await?;
        let found = authorities.into_iter().find(|authority| authority.name == name);
        let found = found.ok_or_else(|| {
            Failure::new(
                "registry-damaged",
                format!("the registry has no certificate of the authority {name}"),
            )
        })?;
        Ok(Certificate::from_der(found.certificate)?)
    }

    /// Opens the master key.
    ///
    /// # Errors
    /// Wrong passphrase, no such file, or another issuer's: with it the cards of this registry would be lost.
    pub async fn master_key(&self, passphrase: &Passphrase) -> Result<MasterKey, Failure> {
        let path = self.home.master_key_file();
        let text = std::fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
        let named = |error: CustodyError| Failure {
            message: format!("{}: {error}", path.display()),
            ..Failure::from(error)
        };
        let mut roots = Vec::new();
        for key in self.registry.authority_keys().await? {
            if key.name == AuthorityName::Root {
                roots.push(hex::encode(Certificate::from_der(key.certificate)?.subject_key_identifier()));
            }
        }
        let ours = roots.join(", ");
        if let Some(theirs) =
            MasterKey::root_of(&text).map_err(named)?.filter(|theirs| !roots.contains(theirs))
        {
            let message = format!(
                "{} is the master key of another issuer (root {theirs}), the registry is that of root {ours}; put the file of this issuer back",
                path.display()
            );
            return Err(Failure::new("foreign-master-key", message));
        }
        MasterKey::from_file(&text, passphrase.as_str()).map_err(named)
    }

    /// The person with this mail address or staff identifier.
    ///
    /// # Errors
    /// Nobody has it.
    pub async fn cardholder(&self, text: &str) -> Result<Cardholder, Failure> {
        self.registry.cardholder_named(text).await?.ok_or_else(|| {
            let message = format!("nobody in the registry has the mail address or identifier {text:?}; look with issuer find, or add with issuer staff import");
            Failure::new("unknown-person", message).saying("failed-person-unknown", &[("text", text)])
        })
    }
}

impl Passphrase {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is asked for at a terminal.
fn passphrase_of(home: &Home) -> String {
    texts::say("said-passphrase", &[("home", &home.path().display().to_string())])
}

/// Asks for a passphrase.
///
/// # Errors
/// It cannot be read.
pub fn read_passphrase(source: &SecretSource, prompt: &str) -> Result<Passphrase, Failure> {
    let text = source
        .read(prompt)
        .map_err(|error| Failure::new("passphrase", format!("the passphrase cannot be read: {error}")))?;
    Ok(Passphrase(text))
}

/// Reads a file whole, up to `limit` bytes.
///
/// # Errors
/// It cannot be read, or is longer.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file(path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(Failure::new("too-large", format!("{}: longer than {limit} bytes", path.display())));
    }
    Ok(bytes)
}
