//! `issuer staff leavers`: who left and still has a card; and the end of it.

use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use crate::domain::{Permission, PersonCommand, RevocationReason};

/// What `staff leavers` was told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Revoke the cards and certificates of all of them (cessation-of-operation)
    #[arg(long)]
    revoke: bool,
}

impl Arguments {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if self.revoke { Permission::Revoke } else { Permission::Read }
    }
}

#[derive(Serialize)]
struct Leaver {
    name: String,
    mail: String,
    left_at: Option<String>,
    employed_until: Option<String>,
    revoked: Option<usize>,
}

/// Lists them, or revokes.
///
/// # Errors
/// The registry cannot be read or written.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    // By a clock that is far ahead nobody is employed any more.
    let now = if arguments.revoke { office.time_to_revoke().await? } else { office.time_in_log().await? };
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut leavers = Vec::new();
    for person in office.registry.leavers_with_cards(today).await? {
        let mut revoked = None;
        if arguments.revoke {
            if person.left.is_none() {
                office.registry.command_person(person.id, &PersonCommand::Leave, now).await?;
            }
            let reason = RevocationReason::CessationOfOperation;
            let done = office.registry.revoke_cardholder(person.id, reason, None, now).await?;
            revoked = Some(done.certificates.len());
        }
        leavers.push(Leaver {
            name: person.name.as_str().to_owned(),
            mail: person.mail.as_str().to_owned(),
            left_at: person.left.map(|at| at.to_string()),
            employed_until: person.employed_until.map(|day| day.to_string()),
            revoked,
        });
    }
    match format {
        Format::Json => output::json(&leavers)?,
        Format::Text => show(&leavers, arguments)?,
    }
    Ok(Status::Done)
}

fn show(leavers: &[Leaver], arguments: &Arguments) -> Result<(), Failure> {
    let rows = leavers.iter().map(|leaver| {
        let since = match (&leaver.left_at, &leaver.employed_until) {
            (Some(at), _) => texts::say("leaver-left", &[("at", at)]),
            (None, Some(day)) => texts::say("leaver-until", &[("day", day)]),
            (None, None) => String::new(),
        };
        let count = leaver.revoked.map(|count| count.to_string());
        let revoked =
            count.map(|count| texts::say("leaver-revoked", &[("count", &count)])).unwrap_or_default();
        vec![leaver.name.clone(), leaver.mail.clone(), since, revoked]
    });
    let header = ["found-column-name", "found-column-mail", "found-column-since"];
    let [name, mail, since] = header.map(|key| texts::say(key, &[]));
    output::table(&[name, mail, since, String::new()], rows.collect(), &texts::say("leaver-none", &[]))?;
    match (leavers.is_empty(), arguments.revoke) {
        (true, _) => Ok(()),
        (false, true) => output::line(&texts::say("leaver-publish", &[])),
        (false, false) => output::line(&texts::say("leaver-revoke", &[])),
    }
}
