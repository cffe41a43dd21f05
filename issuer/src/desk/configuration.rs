//! `issuer config`: what `config.toml` says of certificates counts as it was recorded.
//!
//! A desk without operators records an edited file when it is first used: that is an event, with what is different in it.
//! Where there are operators, an administrator accepts it before: until then it counts for nothing. What makes certificates is
//! refused by name; revocation and publication go on with the configuration that was recorded last, and say so. So it is
//! without operators, too, where another witness is named than one that speaks against the registry.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::config::Config;
use crate::domain::terms::Difference;
use crate::domain::{Act, GuardedAct, Permission, Terms};
use crate::registry::{Registry, RegistryError};

/// What is done with the configuration.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show what counts, and what is different in config.toml
    #[command(after_help = "Exit status: 0 the file is what counts, 4 it is another.\n\n\
            Example:\n  issuer --home pki config show")]
    Show,
    /// Let what config.toml says now count, as it was reviewed
    #[command(
        after_help = "Example:\n  issuer --home pki config show\n  issuer --home pki config accept 3f0c9a... --operator pcsc:"
    )]
    Accept {
        /// The SHA-256 of what the file says, as `config show` tells it
        #[arg(value_name = "SHA-256")]
        digest: String,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if matches!(self, Self::Show) { Permission::Read } else { Permission::Configuration }
    }
}

/// How the file stands to what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// It is what was recorded.
    Recorded,
    /// It is another; or nothing was recorded yet, by a program that did not.
    Other { before: Option<Terms> },
}

/// What an open office knows of its configuration file.
pub(super) struct Configuration {
    /// As the file says it.
    file: Config,
    standing: Mutex<Standing>,
}

impl Configuration {
    /// Compares the file with what was recorded, and answers what counts for now: where there are operators, the
    /// configuration that was recorded last.
    ///
    /// # Errors
    /// The registry, or what it remembers cannot be read.
    pub(super) async fn compare(file: Config, registry: &Registry) -> Result<(Self, Config), Failure> {
        let before = registry.recorded_terms().await?;
        let is_recorded = before.as_ref() == Some(&file.terms());
        let counts = match &before {
            Some(before) if !is_recorded && registry.has_operators().await? => file.on(before)?,
            _ => file.clone(),
        };
        let standing = if is_recorded { Standing::Recorded } else { Standing::Other { before } };
        Ok((Self { file, standing: Mutex::new(standing) }, counts))
    }

    /// The witness file that counts: the one that was recorded, however the file was edited since. One that is new counts at
    /// once, for it takes nothing away.
    pub(super) fn witness(&self) -> Option<PathBuf> {
        let recorded = match self.standing() {
            Standing::Other { before: Some(before) } => before.witness().map(PathBuf::from),
            _ => None,
        };
        recorded.or_else(|| self.file.witness.clone())
    }

    fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the file says that was not recorded; none where it is what was recorded.
    fn difference(&self) -> Option<Difference> {
        match self.standing() {
            Standing::Recorded => None,
            Standing::Other { before } => Some(self.file.terms().difference(before.as_ref())),
        }
    }

    /// Records what the file says.
    async fn record(&self, office: &Office, now: Timestamp) -> Result<(), RegistryError> {
        if let Standing::Other { before } = self.standing() {
            office.registry.record_terms(&self.file.terms(), before.as_ref(), now).await?;
            *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Standing::Recorded;
            office.follow_recorded(self.file.witness.clone()).await?;
        }
        Ok(())
    }
}

impl Office {
    /// After somebody was let through: an edited file is recorded, or stops what would make certificates.
    ///
    /// # Errors
    /// `configuration-changed`, in the log too.
    pub(super) async fn settle_configuration(&self, action: Permission) -> Result<(), Failure> {
        let Standing::Other { before } = self.configuration.standing() else { return Ok(()) };
        let has_operators = self.registry.has_operators().await?;
        let other_witness = self.witness.path() != self.configuration.file.witness;
        // By an edited line nobody is rid of a witness that speaks against the registry.
        let must_be_accepted = has_operators || (other_witness && self.witness.doubt().is_some());
        match action {
            Permission::VerifyLog if other_witness => {
                output::progress(&format!("warning: {}", self.changed(has_operators)));
                Ok(())
            }
            Permission::Read | Permission::VerifyLog | Permission::NewWitness | Permission::Configuration => {
                Ok(())
            }
            _ if !must_be_accepted || before.is_none() => {
                Ok(self.configuration.record(self, self.time_in_log().await?).await?)
            }
            action if action.makes_certificates() => {
                let why = self.changed(has_operators);
                if self.guard.is_recovering() {
                    let why = format!("{why}; with --recover the file must be put back as it was");
                    return Err(self.refused(None, action.as_str(), "configuration-changed", &why).await);
                }
                let operator = if has_operators { Some(self.operator(action).await?) } else { None };
                Err(self.refused(operator.as_ref(), action.as_str(), "configuration-changed", &why).await)
            }
            _ => {
                output::progress(&format!("warning: {}", self.changed(has_operators)));
                Ok(())
            }
        }
    }

    /// What is different, and what is to be done.
    fn changed(&self, has_operators: bool) -> String {
        format!(
            "config.toml is another than the one that counts ({}), and {} has not accepted it: issuer config show",
            self.configuration.difference().unwrap_or_default(),
            if has_operators { "an administrator" } else { "nobody" }
        )
    }
}

#[derive(Serialize)]
struct View {
    digest: String,
    counts: bool,
    says: Vec<String>,
    difference: Vec<String>,
}

/// Carries out what was asked.
///
/// # Errors
/// Nothing to accept, another file than was reviewed, or a second operator is needed.
pub async fn run(office: &mut Office, command: &Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Show => show(office, format).await,
        Command::Accept { digest } => accept(office, digest, format).await,
    }
}

async fn show(office: &Office, format: Format) -> Result<Status, Failure> {
    let (terms, difference) = (office.configuration.file.terms(), office.configuration.difference());
    let status = if difference.is_none() { Status::Done } else { Status::NotTrusted };
    let digest = terms.digest().to_string();
    let counts = difference.is_none();
    let difference = difference.unwrap_or_default().lines();
    if format == Format::Json {
        output::json(&View { digest, counts, says: office.config.terms().lines(), difference })?;
        return Ok(status);
    }
    for line in office.config.terms().lines() {
        output::line(&line)?;
    }
    if counts {
        output::line(&format!("That is what config.toml says (SHA-256 {digest})."))?;
        return Ok(status);
    }
    output::line("config.toml says something else, which is not recorded:")?;
    for line in difference {
        output::line(&format!("  {line}"))?;
    }
    output::line(&match office.registry.has_operators().await? {
        true => format!("An administrator lets it count with: issuer config accept {digest}"),
        false => format!("It is recorded when it is first used, or now with: issuer config accept {digest}"),
    })?;
    Ok(status)
}

async fn accept(office: &mut Office, digest: &str, format: Format) -> Result<Status, Failure> {
    let terms = office.configuration.file.terms();
    let Some(difference) = office.configuration.difference() else {
        return Err(Failure::new(
            "configuration-recorded",
            "config.toml is what was recorded; there is nothing to accept",
        ));
    };
    let found = terms.digest().to_string();
    if found != digest.trim().to_lowercase() {
        return Err(Failure::new(
            "not-reviewed",
            format!(
                "config.toml says something else than what was reviewed: its SHA-256 is {found}; look with: issuer config show"
            ),
        ));
    }
    let now = office.time_to_record().await?;
    let approved = office.approve(&act_of(office, &found, &difference).await?).await?;
    office.registry.spending(approved, now, office.configuration.record(office, now)).await?;
    office.config = office.configuration.file.clone();
    match format {
        Format::Json => output::json(&View {
            digest: found,
            counts: true,
            says: terms.lines(),
            difference: difference.lines(),
        })?,
        Format::Text => output::line(&format!("What config.toml says counts from now on: {difference}."))?,
    }
    Ok(Status::Done)
}

/// A new domain is that of somebody else until two have agreed, where two are demanded for that.
async fn act_of(office: &Office, digest: &str, difference: &Difference) -> Result<GuardedAct, Failure> {
    let demanded = office.registry.dual_control().await?;
    let act = match difference.has_new_domain() && demanded.contains(&Act::OtherDomain) {
        true => Act::OtherDomain,
        false => Act::Configuration,
    };
    Ok(GuardedAct::new(act, &format!("config {digest}: {difference}")))
}
