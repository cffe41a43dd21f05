//! Where is published: `issuer target`, and what is remembered of each target.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use middleware::secret_source::SecretSource;
use serde::{Deserialize, Serialize};

use super::super::failure::{Failure, Status};
use super::super::office::{Office, read_file};
use super::super::output::{self, Format};
use super::super::texts;
use super::report::DueReport;
use super::{Arguments, refuse_home};
use crate::domain::Permission;
use crate::publication::PublishedDirectory;
use crate::publication::ldap::{Access, LdapTarget, LdapUrl};
use crate::registry::PublicationTarget;

/// What is done with targets.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List where is published, and what waits for it
    #[command(after_help = "Example:\n  issuer --home pki target list")]
    List,
    /// Publish there no longer; what is there stays
    #[command(after_help = "Example:\n  issuer --home pki target forget ldap://127.0.0.1/dc=example,dc=org")]
    Forget {
        /// The directory or URL, as the list shows it
        place: String,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if matches!(self, Self::List) { Permission::Read } else { Permission::Authority }
    }
}

/// A target that is worked off.
pub(super) struct Target {
    pub(super) record: PublicationTarget,
    pub(super) place: Place,
    settings: Settings,
    /// Given for this run, where no file is remembered.
    password: Option<SecretSource>,
}

/// Where it is.
pub(super) enum Place {
    Directory(PathBuf),
    Ldap(LdapUrl),
}

/// How an LDAP target is reached: never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_dn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    start_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorities_dn: Option<String>,
}

#[derive(Serialize)]
struct Line {
    target: String,
    waiting: u64,
    reached_at: Option<String>,
    failures: u32,
    retry_at: Option<String>,
    trouble: Option<String>,
    troubles: Vec<String>,
    /// Authorities of which something is revoked that is on no CRL yet, here or anywhere.
    crls_due: Vec<DueReport>,
}

impl Line {
    fn tell(&self) -> Result<(), Failure> {
        let never = texts::say("published-never", &[]);
        let (reached, count) = (self.reached_at.as_ref().unwrap_or(&never), self.waiting.to_string());
        let values = [("target", self.target.as_str()), ("at", reached), ("count", &count)];
        output::line(&texts::say("published-up-to-date", &values))?;
        if let Some(trouble) = &self.trouble {
            let next_run = texts::say("published-next-run", &[]);
            let (again, count) = (self.retry_at.as_ref().unwrap_or(&next_run), self.failures.to_string());
            let values = [("count", count.as_str()), ("at", again), ("why", trouble)];
            output::line(&format!("  {}", texts::say("published-failed", &values)))?;
        }
        self.troubles.iter().try_for_each(|trouble| output::line(&format!("  {trouble}")))
    }
}

/// `issuer target`.
///
/// # Errors
/// No such target.
pub async fn run(office: &Office, command: &Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::List => list(office, format).await,
        Command::Forget { place } => {
            let now = office.time_to_record().await?;
            let known = [place.clone(), absolute(Path::new(place))?.display().to_string()];
            for place in known {
                if office.registry.forget_target(&place, now).await? {
                    output::line(&texts::say("published-forgotten", &[("place", &place)]))?;
                    return Ok(Status::Done);
                }
            }
            let message = format!("nothing is published in {place}; look with: issuer target list");
            Err(Failure::new("unknown-target", message))
        }
    }
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let due = DueReport::of(office, &office.registry.crls_due().await?).await?;
    let mut lines = Vec::new();
    for target in office.registry.targets().await? {
        let waiting = office.registry.waiting(target.id).await?;
        lines.push(Line {
            target: target.place,
            waiting: target.waiting,
            reached_at: target.reached_at.map(|at| at.to_string()),
            failures: target.failures,
            retry_at: target.retry_at.map(|at| at.to_string()),
            trouble: target.trouble,
            troubles: waiting.into_iter().filter_map(|item| item.trouble).collect(),
            crls_due: due.clone(),
        });
    }
    if format == Format::Json {
        output::json(&lines)?;
        return Ok(Status::Done);
    }
    if lines.is_empty() {
        output::line(&texts::say("published-nowhere", &[]))?;
    }
    for line in &lines {
        line.tell()?;
    }
    for due in &due {
        output::line(&due.sentence())?;
    }
    Ok(Status::Done)
}

/// The targets of a run: the one that was named, which is remembered, or every one that is.
///
/// # Errors
/// There is none, or what was named is none.
pub(super) async fn chosen(
    office: &Office,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Vec<Target>, Failure> {
    let Some(to) = &arguments.to else {
        let known = office.registry.targets().await?;
        if known.is_empty() {
            let message = "nothing is published anywhere yet; name a directory or an LDAP URL: issuer publish --to /srv/pki";
            return Err(Failure::usage(message));
        }
        return known.into_iter().map(|record| Target::of(record, None)).collect();
    };
    let given = Settings::of(arguments)?;
    let place = Place::parse(to)?;
    let name = place.name(to)?;
    let known = office.registry.target(&name).await?;
    let is_other =
        known.as_ref().is_none_or(|known| given != Settings::default() && known.settings != given.text());
    if known.is_none() {
        // What cannot be a target is not remembered as one.
        match &place {
            Place::Directory(path) => {
                refuse_home(office, path)?;
                PublishedDirectory::open(path)?;
            }
            Place::Ldap(url) => given.check(url)?,
        }
    }
    let record = match known {
        Some(known) if !is_other => known,
        _ => office.registry.add_target(&name, &given.text(), now).await?,
    };
    Ok(vec![Target::of(record, arguments.bind_password_file.clone())?])
}

/// The first directory among them: what its readers have, deltas start from.
pub(super) fn first_directory(
    targets: &[Target],
    is_usable: impl Fn(&Target) -> bool,
) -> Result<Option<PublishedDirectory>, Failure> {
    let path = targets.iter().filter(|target| is_usable(target)).find_map(|target| match &target.place {
        Place::Directory(path) => Some(path),
        Place::Ldap(_) => None,
    });
    // One that cannot be opened says so when its turn comes; the others do not wait for it.
    let opened = path.map(|path| PublishedDirectory::open(path));
    match (targets.len(), opened) {
        (1, Some(Err(error))) => Err(error.into()),
        (_, opened) => Ok(opened.and_then(Result::ok)),
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, Failure> {
        match LdapUrl::parse(text).map_err(Failure::usage)? {
            Some(url) => Ok(Self::Ldap(url)),
            // A folder of such a name is nobody's wish.
            None if text.contains("://") => Err(Failure::usage(format!(
                "{text} is no place to publish to: name a directory, or ldap://HOST/BASE or ldaps://HOST/BASE; a directory is served over HTTP with: issuer serve --from DIR"
            ))),
            None => Ok(Self::Directory(PathBuf::from(text))),
        }
    }

    /// What it is remembered as.
    fn name(&self, text: &str) -> Result<String, Failure> {
        match self {
            Self::Ldap(_) => Ok(text.to_owned()),
            Self::Directory(path) => Ok(absolute(path)?.display().to_string()),
        }
    }
}

impl Target {
    fn of(record: PublicationTarget, password: Option<SecretSource>) -> Result<Self, Failure> {
        let settings = serde_json::from_str(&record.settings).map_err(|error| {
            Failure::new("registry-damaged", format!("the settings of {}: {error}", record.place))
        })?;
        Ok(Self { place: Place::parse(&record.place)?, record, settings, password })
    }

    /// The way to an LDAP target; its password is asked for here.
    pub(super) fn ldap(&self, url: LdapUrl) -> Result<LdapTarget, Failure> {
        let settings = &self.settings;
        let trusted = settings.ca_file.as_deref().map(|file| read_file(file, 1024 * 1024)).transpose()?;
        let remembered = settings.bind_password_file.clone().map(SecretSource::File);
        let source = self.password.clone().or(remembered).unwrap_or(SecretSource::Terminal);
        let login = match &settings.bind_dn {
            Some(name) => {
                let password = source.read(&format!("Password of {name}")).map_err(|error| {
                    Failure::new("password", format!("the password of {name} cannot be read: {error}"))
                })?;
                Some((name.clone(), password))
            }
            None => None,
        };
        let access = Access {
            trusted: trusted.as_deref(),
            start_tls: settings.start_tls,
            login,
            authorities: settings.authorities_dn.as_deref(),
        };
        LdapTarget::new(url, access).map_err(Failure::usage)
    }
}

impl Settings {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let file = match &arguments.bind_password_file {
            Some(SecretSource::File(path)) => Some(absolute(path)?),
            _ => None,
        };
        Ok(Self {
            bind_dn: arguments.bind_dn.clone(),
            bind_password_file: file,
            ca_file: arguments.ca_file.as_deref().map(absolute).transpose()?,
            start_tls: arguments.start_tls,
            authorities_dn: arguments.authorities_dn.clone(),
        })
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether a target can be reached this way at all.
    fn check(&self, url: &LdapUrl) -> Result<(), Failure> {
        let trusted = self.ca_file.as_deref().map(|file| read_file(file, 1024 * 1024)).transpose()?;
        let login = self.bind_dn.clone().map(|name| (name, zeroize::Zeroizing::new("unknown".to_owned())));
        let access =
            Access { trusted: trusted.as_deref(), start_tls: self.start_tls, login, authorities: None };
        LdapTarget::new(url.clone(), access).map(drop).map_err(Failure::usage)
    }
}

/// A path that means the same wherever the next run begins, and whether or not it is there.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let through_parent = || Some(std::fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    std::fs::canonicalize(path)
        .or_else(|_| through_parent().map_or_else(|| std::path::absolute(path), Ok))
        .map_err(|error| Failure::file(path, &error))
}
