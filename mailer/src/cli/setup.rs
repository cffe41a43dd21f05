//! `mailer setup`: the account remembered, after everything that can be checked was checked.
use std::path::{Path, PathBuf};

use clap::Args;

use super::context::{Context, PinMemory, PinOptions};
use super::headers::Headers;
use super::report::{Exit, Failure, print_text, tell};
use crate::certificate::Certificate;
use crate::clock::{Clock, SystemClock};
use crate::config::{
    AnchorConfig, Config, Home, ReadersConfig, ReceiptPolicy, RevocationConfig, TimeStampConfig,
};
use crate::directory::Location;
use crate::durable_file::create_private_folder;
use crate::keys::{Locator, SecretSource};
use crate::message::address::Address;
use crate::message::terminal_text::safe_line;
use crate::readers::ldap::LdapUrl;
use crate::transport::endpoint::Endpoint;
use crate::transport::tls::TlsAnchors;

/// Remembers the account: address, card, trust anchor, directory, servers. A second setup replaces the first; messages stay.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  mailer setup --address alice@mail.test --name 'Alice Adams' --card pcsc: --anchor anchor.pem --anchor-domain mail.test \\
    --directory http://certificates.mail.test:8080 --smtp smtp://mail.test --imap imaps://mail.test --user alice@mail.test")]
pub(super) struct Setup {
    /// Your mail address
    #[arg(long)]
    address: Address,
    /// Your name, as recipients see it
    #[arg(long)]
    name: Option<String>,
    /// The card: pcsc:, pcsc:READER NAME, pcsc:serial=..., sim:FILE
    #[arg(long, value_name = "LOCATOR")]
    card: Locator,
    /// The CA certificate to trust (PEM or DER)
    #[arg(long, value_name = "FILE")]
    anchor: PathBuf,
    /// A mail domain that the anchor may speak for (.DOMAIN: every domain below it); repeat for several
    #[arg(long = "anchor-domain", value_name = "DOMAIN", required = true)]
    anchor_domains: Vec<String>,
    /// Where certificates are found: file:DIR or http://HOST:PORT
    #[arg(long, value_name = "LOCATION")]
    directory: Location,
    /// Outgoing server: smtp://HOST:PORT (STARTTLS) or smtps://HOST:PORT
    #[arg(long, value_name = "URL")]
    smtp: Option<String>,
    /// Incoming server: imap://HOST:PORT (STARTTLS) or imaps://HOST:PORT
    #[arg(long, value_name = "URL")]
    imap: Option<String>,
    /// User name at both servers
    #[arg(long)]
    user: Option<String>,
    /// File whose first line is the password at both servers; without it the password is asked each time
    #[arg(long, value_name = "PATH")]
    password_file: Option<SecretSource>,
    /// The CA certificate of the mail servers (PEM) [default: the anchor]
    #[arg(long, value_name = "FILE")]
    tls_anchor: Option<PathBuf>,
    /// A folder with one Maildir for each address, used where no server is configured
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// What stays readable of the header of encrypted mail; see send --help
    #[arg(long, value_name = "POLICY")]
    headers: Option<Headers>,
    /// A time-stamp server (RFC 3161), http or https; repeat for others that are asked when it fails
    #[arg(long = "time-stamp-server", value_name = "URL")]
    time_stamp_servers: Vec<String>,
    /// Where classes of readers are groups (groupOfNames, groupOfUniqueNames): ldap://HOST:PORT/BASE or ldaps://HOST:PORT/BASE
    /// [default: the signed list in the directory]
    #[arg(long, value_name = "URL")]
    readers_ldap: Option<String>,
    /// What happens when a message asks for a receipt
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    receipts: ReceiptPolicy,
    /// Believe certificates about whose revocation nothing is known (no current CRL at hand)
    #[arg(long)]
    accept_unknown_revocation: bool,
}

impl Setup {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let home = Home::new(home)?;
        let config = self.config()?;
        home.save(&config)?;
        if let Some(folder) = &config.maildir {
            create_private_folder(folder).map_err(|problem| Failure::file(folder, &problem))?;
        }
        let context = Context { home, config, now: SystemClock.now(), pin: PinMemory::default() };
        for warning in warnings(&context) {
            tell(&format!("mailer: note: {}", safe_line(&warning)));
        }
        print_text(&format!(
            "{} is set up in {}.\n",
            context.config.address,
            context.home.config_file().display()
        ))?;
        Ok(Exit::Done)
    }

    fn config(&self) -> Result<Config, Failure> {
        if self.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
            return Err(Failure::usage("the name contains a control character"));
        }
        for (url, parse) in [(&self.smtp, Endpoint::smtp as fn(&str) -> _), (&self.imap, Endpoint::imap)] {
            url.as_deref()
                .map(parse)
                .transpose()
                .map_err(|error| Failure { exit: Exit::Usage, ..error.into() })?;
        }
        if self.imap.is_some() && self.user.is_none() {
            return Err(Failure::usage("--imap needs --user: no server hands out mail without a login"));
        }
        Ok(Config {
            address: self.address.to_string(),
            name: self.name.clone(),
            card: absolute_locator(&self.card)?.to_string(),
            directory: absolute_location(&self.directory)?.to_string(),
            accept_unknown_revocation: self.accept_unknown_revocation,
            revocation: RevocationConfig::default(),
            smtp: self.smtp.clone(),
            imap: self.imap.clone(),
            user: self.user.clone(),
            password_file: self.password_path()?,
            maildir: self.maildir.as_deref().map(absolute).transpose()?,
            tls_anchor: self.tls_anchor.as_deref().map(tls_anchor).transpose()?,
            headers: self.headers.map(|headers| headers.to_string()),
            time_stamps: self.time_stamps()?,
            readers: self.readers()?,
            receipts: self.receipts,
            anchors: vec![AnchorConfig { domains: self.domains()?, certificate: anchor(&self.anchor)? }],
        })
    }

    fn time_stamps(&self) -> Result<TimeStampConfig, Failure> {
        for server in &self.time_stamp_servers {
            let url = url::Url::parse(server).ok();
            if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
                let message =
                    format!("{server:?} is not the address of a time-stamp server: http://HOST:PORT/PATH");
                return Err(Failure::usage(message));
            }
        }
        Ok(TimeStampConfig { servers: self.time_stamp_servers.clone(), ..TimeStampConfig::default() })
    }

    fn readers(&self) -> Result<ReadersConfig, Failure> {
        if let Some(url) = &self.readers_ldap {
            url.parse::<LdapUrl>().map_err(|error| Failure { exit: Exit::Usage, ..error.into() })?;
        }
        Ok(ReadersConfig { ldap: self.readers_ldap.clone() })
    }

    fn domains(&self) -> Result<Vec<String>, Failure> {
        let a_labels = |text: &str| {
            let (dot, domain) = match text.strip_prefix('.') {
                Some(parent) => (".", parent),
                None => ("", text.strip_prefix('@').unwrap_or(text)),
            };
            idna::domain_to_ascii_strict(domain)
                .ok()
                .filter(|labels| !labels.split('.').any(str::is_empty))
                .map(|labels| format!("{dot}{labels}"))
                .ok_or_else(|| Failure::usage(format!("{text:?} is not a domain name")))
        };
        self.anchor_domains
            .iter()
            .flat_map(|list| list.split(','))
            .map(|domain| a_labels(domain.trim()))
            .collect()
    }

    fn password_path(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.password_file {
            None | Some(SecretSource::Terminal) => Ok(None),
            Some(SecretSource::File(path)) => Ok(Some(absolute(path)?)),
            Some(SecretSource::Descriptor(_)) => Err(Failure::usage(
                "a descriptor cannot be remembered: name a file here, or give --password-file fd:N to send and fetch",
            )),
            Some(SecretSource::Pinentry(_)) => Err(Failure::usage(
                "pinentry cannot be remembered: name a file here, or give --password-file pinentry to send and fetch",
            )),
        }
    }
}

/// What will not work yet; none of it keeps the account from being made.
fn warnings(context: &Context) -> Vec<String> {
    let mut warnings = Vec::new();
    match context.card(&PinOptions { pin_file: None, last_try: false }) {
        Err(problem) => warnings.push(format!("the card cannot be read now: {problem}")),
        Ok(card) => match card.signing_certificate() {
            None => warnings.push("the card holds no signature certificate (9C)".to_owned()),
            Some(certificate) => {
                let addresses = certificate.mail_addresses();
                if !addresses.iter().any(|address| address.eq_ignore_ascii_case(&context.config.address)) {
                    let signs_for = certificate.mail_addresses_in_words();
                    warnings.push(format!("the card signs for {signs_for}, not for this address"));
                }
            }
        },
    }
    let found = context
        .directory()
        .and_then(|mut directory| Ok(directory.certificates_for(&context.config.address)?));
    match found {
        Err(problem) => warnings.push(problem.message),
        Ok(found) if found.is_empty() => {
            warnings.push("the directory has no certificate for this address yet".to_owned())
        }
        Ok(_) => {}
    }
    if let Some(path) = &context.config.password_file
        && is_open_to_others(path)
    {
        warnings.push(format!("other users can read the password in {}; chmod 600 it", path.display()));
    }
    warnings
}

fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o077 != 0)
}

fn anchor(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|problem| Failure::file(path, &problem))?;
    let certificates = Certificate::from_file_contents(&bytes)
        .map_err(|problem| Failure::new("bad-anchor", format!("{}: {problem}", path.display())))?;
    certificates.iter().map(pem).collect()
}

fn tls_anchor(path: &Path) -> Result<String, Failure> {
    let pem = anchor(path)?;
    TlsAnchors::from_pem(pem.as_bytes())?;
    Ok(pem)
}

fn pem(certificate: &Certificate) -> Result<String, Failure> {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, certificate.der()).map_err(|problem| {
        Failure::new("bad-anchor", format!("the certificate cannot be written as PEM: {problem}"))
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|problem| Failure::file(path, &problem))
}

fn absolute_locator(locator: &Locator) -> Result<Locator, Failure> {
    Ok(match locator {
        Locator::Emulated(path) => Locator::Emulated(absolute(path)?),
        other => other.clone(),
    })
}

fn absolute_location(location: &Location) -> Result<Location, Failure> {
    Ok(match location {
        Location::File(path) => Location::File(absolute(path)?),
        other => other.clone(),
    })
}
