//! `issuer publish`: new CRLs, and everything public to every target: directories of files, and LDAP.
//!
//! - `cli`: what the command is told. - `signing`: new CRLs and OCSP answers, checked before they are kept;
//!   `revocation_lists`: the CRLs of one authority; `log_check`: what they are made from, beside the log;
//!   `revocation_dates`: since when they say that something is revoked.
//! - `root_list`: the root's CRL, carried from the machine that has its key.
//! - [`targets`]: where is published, what is remembered of it, `issuer target`.
//! - `to_directory`, `to_ldap`: one target, worked off; `offer`: CRLs and OCSP answers for a directory.
//! - `turn`: one run after the other.
//!
//! What changed was committed before, with its rows in the outbox; so was what is signed here. A target that is not
//! reached keeps its rows, and the others do not wait for it.

pub(in crate::desk) mod cli;
mod log_check;
mod offer;
mod report;
mod revocation_dates;
pub(in crate::desk) mod revocation_lists;
mod root_list;
mod signing;
pub mod targets;
mod to_directory;
mod to_ldap;
mod turn;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::audit;
use super::ca::due;
use super::failure::{Failure, Status};
use super::office::Office;
use super::output::Format;
use crate::ca::Certificate;
use crate::ca::profile::status_services::DeltaCrls;
use crate::clock::Clock;
use crate::publication::crl_succession::TrustedClock;
use crate::publication::retry::retry_at;
use crate::registry::Due;
pub use cli::Arguments;
use report::{DueReport, Summary, TargetReport};
use revocation_lists::Extent;
pub(in crate::desk) use root_list::{install_root_list, root_list};
use signing::News;
use targets::{Place, Target};

/// Signs new CRLs and OCSP answers of each authority, unless only what waits is wanted, and brings the targets up to date.
///
/// # Errors
/// Wrong passphrase, a CRL that must not follow its predecessor, or the only target cannot be reached. What was signed
/// stays in the registry; what was published before stays published.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let extent = if arguments.delta { Extent::DeltaOnly } else { Extent::Complete };
    if arguments.delta && office.config.organization.status_services.delta_crls == DeltaCrls::Omitted {
        return Err(Failure::usage(
            "this issuer has no delta CRLs (delta_crls in its config.toml); publish without --delta",
        ));
    }
    office.require_witness()?;
    // First the turn, then the time: what another run signed meanwhile is not of the future.
    let _turn = turn::wait(office).await?;
    let now = if arguments.pending { office.clock.now() } else { office.time_to_sign().await? };
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let targets = targets::chosen(office, arguments, now).await?;
    let unusable = compare_checkpoints(office, &targets).await?;
    let is_usable = |target: &Target| !unusable.contains_key(&target.record.id);
    let mut news = if arguments.pending {
        News::of_registry(office, now).await?
    } else {
        signing::sign(office, targets::first_directory(&targets, is_usable)?.as_ref(), extent, now).await?
    };
    news.warnings.extend(due::warnings(office, now).await?);
    news.due = office.registry.crls_due().await?;
    // Of a key that has ended, or is another home's, nothing is signed here.
    let mut signing = Vec::new();
    for key in &news.keys {
        if Certificate::from_der(key.certificate.clone())?.not_after() > now {
            signing.push((key.name, key.generation));
        }
    }
    news.due.retain(|due| signing.contains(&(due.authority, due.generation)));
    let due = if arguments.pending && arguments.to.is_none() { Due::At(now) } else { Due::All };
    let run = Run { office, news: &news, now, due, is_pending: arguments.pending, unusable };
    let mut summary = Summary::new(&news, DueReport::of(office, &news.due).await?);
    let mut failures = Vec::new();
    for target in &targets {
        match run.work_off(target).await {
            Ok(report) => summary.targets.push(report),
            Err(failure) => {
                summary.targets.push(TargetReport::failed(target, &failure));
                failures.push(failure);
            }
        }
    }
    if let ([target], Some(failure)) = (targets.as_slice(), failures.pop()) {
        return Err(if target.record.reached_at.is_none() { remembered(failure, target) } else { failure });
    }
    summary.tell(format)
}

/// Where nothing was ever published the name may be mistyped; it is kept all the same, for it may be right.
fn remembered(failure: Failure, target: &Target) -> Failure {
    let place = &target.record.place;
    let message = format!(
        "{}; {place} is remembered, and every publish tries it again; if it is not what you meant: issuer target forget {place}",
        failure.message
    );
    Failure { message, ..failure }
}

/// Compares the registry with what was published from it. A registry that was rolled back makes nothing known, anywhere: it
/// would take revocations back. A directory whose checkpoint cannot be read fails alone, when its turn comes.
async fn compare_checkpoints(office: &Office, targets: &[Target]) -> Result<BTreeMap<i64, Failure>, Failure> {
    let mut unusable = BTreeMap::new();
    for target in targets {
        let Place::Directory(path) = &target.place else { continue };
        let remembered = match target.record.checkpoint {
            Some(size) => Some(size),
            // Whoever made the desk forget it did not make the log.
            None => office.registry.published_checkpoint(&target.record.place).await?,
        };
        match audit::published::check(office, path, remembered).await {
            Ok(()) => {}
            Err(failure) if failure.code == "registry-rolled-back" => return Err(failure),
            Err(failure) => drop(unusable.insert(target.record.id, failure)),
        }
    }
    Ok(unusable)
}

/// One run over the targets.
struct Run<'a> {
    office: &'a Office,
    news: &'a News,
    now: Timestamp,
    due: Due,
    is_pending: bool,
    unusable: BTreeMap<i64, Failure>,
}

impl Run<'_> {
    const fn clock(&self) -> TrustedClock {
        TrustedClock { now: self.now, accepted: self.news.accepted }
    }

    /// Brings one target up to date and remembers how that went.
    async fn work_off(&self, target: &Target) -> Result<TargetReport, Failure> {
        let registry = &self.office.registry;
        if let (Due::At(now), Some(retry_at)) = (self.due, target.record.retry_at)
            && retry_at > now
        {
            return Ok(TargetReport::later(target, retry_at));
        }
        let worked = match (&target.place, self.unusable.get(&target.record.id)) {
            (_, Some(failure)) => Err(failure.clone()),
            (Place::Directory(path), None) => self.to_directory(target, path).await,
            (Place::Ldap(url), None) => self.to_ldap(target, url).await,
        };
        match worked {
            Ok(report) => {
                if let Place::Directory(path) = &target.place {
                    audit::published::put(self.office, path, &target.record).await?;
                }
                registry.target_reached(target.record.id, self.now).await?;
                Ok(report)
            }
            // Somebody else brings it up to date: nothing is wrong with it.
            Err(failure) if failure.code == "in-use" => Err(failure),
            Err(failure) => {
                let next = retry_at(self.now, target.record.failures);
                registry.target_failed(target.record.id, &failure.message, next).await?;
                Err(failure)
            }
        }
    }
}

/// What is published is read by everybody; the home is not for everybody.
pub(super) fn refuse_home(office: &Office, directory: &Path) -> Result<(), Failure> {
    let place = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (home, keys, target) = (place(office.home.path()), place(&office.home.keys()), place(directory));
    if home.starts_with(&target) || target.starts_with(keys) {
        let message = format!(
            "{} is the issuer's own home or holds it; publish into a folder of its own",
            directory.display()
        );
        return Err(Failure::new("own-home", message));
    }
    Ok(())
}
