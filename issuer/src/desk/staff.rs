//! `issuer staff`: people.

use clap::{Args, Subcommand};

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use super::views::{PersonView, newest_cards};
use super::{staff_import, staff_leavers};
use crate::domain::Permission;

/// What is done with people.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Take over a list of people: a CSV file with the columns `name,mail[,id][,until]`, or an LDAP directory
    #[command(
        after_help = "Without --preview and --apply, new people are added, and a row that differs from what is known is refused.\n\
            Exit status: 0 done, 3 some rows were refused, 1 all were.\n\n\
            Examples:\n  issuer --home pki staff import staff.csv\n  issuer --home pki staff import staff.csv --preview\n  \
            issuer --home pki staff import 'ldaps://ldap.example.org/ou=people,dc=example,dc=org' --ca-file ca.pem --apply"
    )]
    Import(staff_import::Arguments),
    /// List who left and still has a card, or revoke what they have
    #[command(
        after_help = "Examples:\n  issuer --home pki staff leavers\n  issuer --home pki staff leavers --revoke"
    )]
    Leavers(staff_leavers::Arguments),
    /// List everybody and their cards
    #[command(after_help = "Example:\n  issuer --home pki staff list --json")]
    List(ListArguments),
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Import(_) => Permission::Staff,
            Self::Leavers(arguments) => arguments.permission(),
            Self::List(_) => Permission::Read,
        }
    }
}

/// Nothing to say yet.
#[derive(Args, Debug)]
pub struct ListArguments {}

/// Carries it out.
///
/// # Errors
/// As the command says.
pub async fn run(office: &Office, command: Command, format: Format) -> Result<Status, Failure> {
    match command {
        Command::Import(arguments) => staff_import::run(office, &arguments, format).await,
        Command::Leavers(arguments) => staff_leavers::run(office, &arguments, format).await,
        Command::List(_) => list(office, format).await,
    }
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let (people, cards) = (office.registry.cardholders().await?, office.registry.cards().await?);
    let newest = newest_cards(&cards);
    let views = people.iter().map(|person| PersonView::new(person, newest.get(&person.id).copied()));
    let views: Vec<_> = views.collect();
    match format {
        Format::Json => output::json(&views)?,
        Format::Text => table(&views, &texts::say("found-nobody-at-all", &[]))?,
    }
    Ok(Status::Done)
}

pub(super) fn table(people: &[PersonView], empty: &str) -> Result<(), Failure> {
    let rows = people.iter().map(|person| {
        let card = match (person.card_state, &person.card_guid) {
            (Some(state), Some(guid)) => {
                texts::say("found-card", &[("state", &texts::state(state)), ("guid", guid)])
            }
            _ => texts::say("found-no-card", &[]),
        };
        let name = match &person.left_at {
            Some(_) => texts::say("found-person-left", &[("name", &person.name)]),
            None => person.name.clone(),
        };
        vec![name, person.mail.clone(), person.id.clone().unwrap_or_default(), card]
    });
    let columns = ["found-column-name", "found-column-mail", "found-column-id", "found-column-card"];
    output::table(&columns.map(|key| texts::say(key, &[])), rows.collect(), empty)
}
