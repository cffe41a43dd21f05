//! What nearly every command needs: the account, the time, the card, the directory, the secrets.
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::report::Failure;
use crate::certificate::Certificate;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Home, OcspNonce, WhenUnknown};
use crate::directory::Directory;
use crate::directory::settings::{CertificateAddresses, Network, NoncePolicy, Settings};
use crate::keys::{CardError, CardKeys, KeyError, KeysError, LastTry, Locator, PinProvider, SecretSource};
use crate::message::address::{Address, Mailbox};
use crate::message::build::Unique;
use crate::transport::Credentials;
use crate::transport::tls::TlsAnchors;
use crate::trust::{Anchor, Anchors, UnknownRevocation};

/// Where the PIN comes from.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PinOptions {
    /// Read the PIN from this file or descriptor instead of asking at the terminal
    #[arg(long, value_name = "fd:N|PATH")]
    pub(super) pin_file: Option<SecretSource>,
    /// Allow the last PIN try to be spent: another wrong PIN blocks the card
    #[arg(long)]
    pub(super) last_try: bool,
}

/// The account and the moment.
pub(super) struct Context {
    /// The account's folder.
    pub(super) home: Home,
    /// What setup remembered.
    pub(super) config: Config,
    /// The moment for which everything is judged.
    pub(super) now: Timestamp,
    /// The PIN, once it was asked.
    pub(super) pin: PinMemory,
}

/// The PIN for the rest of the command, however often the card is opened.
#[derive(Clone, Default)]
pub(super) struct PinMemory(Rc<RefCell<Option<Zeroizing<String>>>>);

impl PinMemory {
    /// Whether the user has been asked.
    pub(super) fn is_known(&self) -> bool {
        self.0.borrow().is_some()
    }
}

impl Context {
    /// Reads the account.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn load(home: Option<PathBuf>) -> Result<Self, Failure> {
        let home = Home::new(home)?;
        let config = home.load()?;
        Ok(Self { home, config, now: SystemClock.now(), pin: PinMemory::default() })
    }

    /// The user as author.
    ///
    /// # Errors
    /// The configured address cannot be read.
    pub(super) fn author(&self) -> Result<Mailbox, Failure> {
        Ok(Mailbox { display_name: self.config.name.clone(), address: self.address()? })
    }

    /// The user's address.
    ///
    /// # Errors
    /// The configured address cannot be read.
    pub(super) fn address(&self) -> Result<Address, Failure> {
        self.config
            .address
            .parse()
            .map_err(|error| Failure::new("malformed-configuration", format!("{error}")))
    }

    /// The configured trust anchors.
    ///
    /// # Errors
    /// A configured certificate cannot be read.
    pub(super) fn anchors(&self) -> Result<Anchors, Failure> {
        let mut anchors = Vec::new();
        for configured in &self.config.anchors {
            let certificates =
                Certificate::from_file_contents(configured.certificate.as_bytes()).map_err(|error| {
                    Failure::new("malformed-configuration", format!("the configured trust anchor: {error}"))
                })?;
            anchors.extend(
                certificates
                    .into_iter()
                    .map(|certificate| Anchor { certificate, domains: configured.domains.clone() }),
            );
        }
        Ok(Anchors(anchors))
    }

    /// The configured directory.
    ///
    /// # Errors
    /// Its location or the cache cannot be used.
    pub(super) fn directory(&self) -> Result<Directory, Failure> {
        self.directory_on(Network::Online)
    }

    /// The same; with [`Network::Offline`] nobody is asked, whatever is configured.
    ///
    /// # Errors
    /// Its location or the cache cannot be used.
    pub(super) fn directory_on(&self, network: Network) -> Result<Directory, Failure> {
        let configured = &self.config.revocation;
        let responder = configured.ocsp_responder.as_deref().map(responder).transpose()?;
        let certificate_addresses = match configured.follow_certificate_addresses {
            false => CertificateAddresses::Ignore,
            true => CertificateAddresses::Follow { private_hosts: configured.private_hosts.clone() },
        };
        let settings = Settings {
            network: if configured.offline || is_offline() { Network::Offline } else { network },
            responder,
            nonce: match configured.ocsp_nonce {
                OcspNonce::Send => NoncePolicy::Send,
                OcspNonce::Require => NoncePolicy::Require,
                OcspNonce::Omit => NoncePolicy::Omit,
            },
            certificate_addresses,
            ..Settings::default()
        };
        let location = self.config.directory.parse()?;
        Ok(Directory::open_with(&location, &self.home.cache(), self.now, settings)?)
    }

    /// Whether the user wants nobody to be asked.
    pub(super) fn is_offline(&self) -> bool {
        self.config.revocation.offline || is_offline()
    }

    /// What to think of unknown revocation.
    pub(super) fn unknown_revocation(&self) -> UnknownRevocation {
        const STALE_HOURS: u32 = 24;
        let configured = &self.config.revocation;
        match configured.when_unknown {
            None if self.config.accept_unknown_revocation => UnknownRevocation::Accept,
            None | Some(WhenUnknown::Reject) => UnknownRevocation::Reject,
            Some(WhenUnknown::Accept) => UnknownRevocation::Accept,
            Some(WhenUnknown::AcceptStale) => {
                let hours = configured.stale_hours.unwrap_or(STALE_HOURS);
                UnknownRevocation::AcceptStale { at_most: SignedDuration::from_hours(i64::from(hours)) }
            }
        }
    }

    /// Opens the card; the PIN is asked only when a key is used, and then once.
    ///
    /// # Errors
    /// No card, or one that cannot be read.
    pub(super) fn card(&self, options: &PinOptions) -> Result<CardKeys, KeysError> {
        let locator: Locator = self.config.card.parse()?;
        let source = options.pin_file.clone().unwrap_or(SecretSource::Terminal);
        let last_try = if options.last_try { LastTry::Spend } else { LastTry::Refuse };
        let open = || {
            let source = source.clone();
            CardKeys::open(&locator, Box::new(PinOnce { source, pin: self.pin.clone() }), last_try)
        };
        let mut opened = open();
        for _ in 0..TRIES_FOR_BUSY_CARD {
            if !is_busy(opened.as_ref().err()) {
                break;
            }
            std::thread::sleep(BETWEEN_TRIES);
            opened = open();
        }
        opened
    }

    /// Whose mail servers are ours.
    ///
    /// # Errors
    /// The configured certificate cannot be used.
    pub(super) fn tls_anchors(&self) -> Result<TlsAnchors, Failure> {
        let anchors: String = match &self.config.tls_anchor {
            Some(anchor) => anchor.clone(),
            None => self.config.anchors.iter().map(|anchor| anchor.certificate.as_str()).collect(),
        };
        Ok(TlsAnchors::from_pem(anchors.as_bytes())?)
    }

    /// User and password at the mail servers; `None` where no user is configured.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(super) fn credentials(
        &self,
        password_file: Option<&SecretSource>,
    ) -> Result<Option<Credentials>, Failure> {
        let Some(user) = self.config.user.clone() else { return Ok(None) };
        let configured = self.config.password_file.clone().map(SecretSource::File);
        let source = password_file.cloned().or(configured).unwrap_or(SecretSource::Terminal);
        let password = source.read(&format!("Password of {user} at the mail server: ")).map_err(|error| {
            Failure::new("password", format!("the mail password could not be read: {error}"))
        })?;
        Ok(Some(Credentials { user, password }))
    }
}

/// The address of an OCSP responder.
fn responder(text: &str) -> Result<url::Url, Failure> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        Failure::new("malformed-configuration", "ocsp_responder must be written as http://HOST:PORT/PATH")
    })
}

/// Whether the user wants no directory and no responder to be asked in this run; the command line says it once.
static OFFLINE: AtomicBool = AtomicBool::new(false);

/// From now on nobody is asked.
pub(super) fn go_offline() {
    OFFLINE.store(true, Ordering::Relaxed);
}

fn is_offline() -> bool {
    OFFLINE.load(Ordering::Relaxed)
}

/// An emulated card in-process belongs to one process at a time; filters that run side by side wait up to ten seconds.
const TRIES_FOR_BUSY_CARD: usize = 200;
const BETWEEN_TRIES: std::time::Duration = std::time::Duration::from_millis(50);

fn is_busy(error: Option<&KeysError>) -> bool {
    matches!(error, Some(KeysError::Key(KeyError::Card(CardError::InUse(_)))))
}

/// Words that occur nowhere else.
///
/// # Errors
/// The system gave no randomness.
pub(super) fn unique() -> Result<Unique, Failure> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new("randomness", format!("the system's random source failed: {error}")))?;
    Ok(Unique::new(seed))
}

/// Sixteen octets that nobody can guess.
///
/// # Errors
/// The system gave no randomness.
pub(super) fn new_identifier() -> Result<[u8; 16], Failure> {
    let mut identifier = [0; 16];
    getrandom::fill(&mut identifier)
        .map_err(|error| Failure::new("randomness", format!("the system's random source failed: {error}")))?;
    Ok(identifier)
}

/// Asks for the PIN the first time, and remembers it for the rest of the command.
struct PinOnce {
    source: SecretSource,
    pin: PinMemory,
}

impl PinProvider for PinOnce {
    fn pin(&mut self, prompt: &str) -> io::Result<Zeroizing<String>> {
        if let Some(pin) = self.pin.0.borrow().as_ref() {
            return Ok(pin.clone());
        }
        let pin = self.source.read(prompt)?;
        self.pin.0.replace(Some(pin.clone()));
        Ok(pin)
    }
}
