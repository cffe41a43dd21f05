//! `issuer request`: what the desk is asked to do.

use clap::Subcommand;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use crate::domain::{CardId, Permission, RequestCommand, RequestId, RequestKind};
use crate::registry::RequestRecord;

/// What is done with requests.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List what waits
    #[command(after_help = "Example:\n  issuer --home pki request list")]
    List,
    /// Ask for a renewal or a replacement
    #[command(
        after_help = "Example:\n  issuer --home pki request open replacement alice@example.org --why 'chip torn out'"
    )]
    Open {
        /// renewal, replacement or revocation
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(RequestKind::ALL.map(RequestKind::as_str)))]
        kind: String,
        /// Mail address or identifier
        person: String,
        /// Why, in words
        #[arg(long, default_value = "asked for at the desk")]
        why: String,
    },
    /// Agree to a request
    #[command(after_help = "Example:\n  issuer --home pki request approve 12")]
    Approve {
        /// Its number
        number: i64,
    },
    /// Refuse a request
    #[command(after_help = "Example:\n  issuer --home pki request refuse 12 --why 'leaves next week'")]
    Refuse {
        /// Its number
        number: i64,
        /// Why, in words
        #[arg(long)]
        why: String,
    },
    /// Take a request back
    #[command(after_help = "Example:\n  issuer --home pki request withdraw 12")]
    Withdraw {
        /// Its number
        number: i64,
    },
}

impl Command {
    /// What whoever gives it must be allowed to do.
    pub fn permission(&self) -> Permission {
        if matches!(self, Self::List) { Permission::Read } else { Permission::Request }
    }
}

/// A request, as listings show it.
#[derive(Serialize)]
pub(super) struct RequestView {
    number: i64,
    kind: &'static str,
    holder: String,
    why: String,
    state: &'static str,
    since: Option<String>,
}

impl RequestView {
    fn kind_said(&self) -> String {
        let key = match self.kind {
            "renewal" => "request-kind-renewal",
            "replacement" => "request-kind-replacement",
            _ => "request-kind-revocation",
        };
        texts::say(key, &[])
    }

    fn state_said(&self) -> String {
        let key = match self.state {
            "open" => "request-state-open",
            "approved" => "request-state-approved",
            "fulfilled" => "request-state-fulfilled",
            "refused" => "request-state-refused",
            "withdrawn" => "request-state-withdrawn",
            _ => "request-state-unknown",
        };
        texts::say(key, &[])
    }
}

/// Carries it out.
///
/// # Errors
/// No such request, or it is over.
pub async fn run(office: &Office, command: Command, format: Format) -> Result<Status, Failure> {
    let (id, command) = match command {
        Command::List => return list(office, format).await,
        Command::Open { kind, person, why } => return open(office, &kind, &person, &why, format).await,
        Command::Approve { number } => (RequestId(number), RequestCommand::Approve),
        Command::Refuse { number, why } => {
            (RequestId(number), RequestCommand::Refuse { why: line_of(&why)? })
        }
        Command::Withdraw { number } => (RequestId(number), RequestCommand::Withdraw),
    };
    office.registry.command_request(id, command, office.time_to_record().await?).await?;
    say(office, id, format).await
}

async fn open(
    office: &Office,
    kind: &str,
    person: &str,
    why: &str,
    format: Format,
) -> Result<Status, Failure> {
    let holder = office.cardholder(person).await?;
    let card: Option<CardId> = office.registry.card_of(holder.id).await?.map(|record| record.id);
    let kind = RequestKind::parse(kind).ok_or_else(|| Failure::usage("unknown kind of request"))?;
    let command = RequestCommand::Open { kind, holder: holder.id, card, why: line_of(why)? };
    let id = office.registry.open_request(command, office.time_to_record().await?).await?;
    say(office, id, format).await
}

/// A reason is one line that can be seen.
fn line_of(text: &str) -> Result<String, Failure> {
    let text = crate::domain::unicode::composed(text.trim());
    let is_fine = (1..=200).contains(&text.chars().count())
        && crate::domain::unicode::hidden_character(&text).is_none();
    if is_fine {
        return Ok(text);
    }
    Err(Failure::usage("a reason has 1 to 200 characters, and all of them can be seen"))
}

async fn say(office: &Office, id: RequestId, format: Format) -> Result<Status, Failure> {
    let view = view(office, &office.registry.request(id).await?).await?;
    match format {
        Format::Json => output::json(&view)?,
        Format::Text => {
            let (number, kind, state) = (view.number.to_string(), view.kind_said(), view.state_said());
            let values =
                [("number", number.as_str()), ("kind", &kind), ("holder", &view.holder), ("state", &state)];
            output::line(&texts::say("request-said", &values))?;
        }
    }
    Ok(Status::Done)
}

async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let mut views = Vec::new();
    for record in office.registry.pending_requests().await? {
        views.push(view(office, &record).await?);
    }
    match format {
        Format::Json => output::json(&views)?,
        Format::Text => {
            let rows = views.iter().map(|view| {
                vec![
                    view.number.to_string(),
                    view.kind_said(),
                    view.holder.clone(),
                    view.state_said(),
                    view.since.clone().unwrap_or_default(),
                    view.why.clone(),
                ]
            });
            let header = [
                "request-column-number",
                "request-column-kind",
                "batched-column-person",
                "request-column-state",
                "found-column-since",
                "request-column-why",
            ];
            let header = header.map(|key| texts::say(key, &[]));
            output::table(&header, rows.collect(), &texts::say("request-none", &[]))?;
        }
    }
    Ok(Status::Done)
}

async fn view(office: &Office, record: &RequestRecord) -> Result<RequestView, Failure> {
    let holder = office.registry.cardholder(record.holder).await?;
    let state = record.request.state();
    Ok(RequestView {
        number: record.id.0,
        kind: record.kind.as_str(),
        holder: holder.mail.as_str().to_owned(),
        why: record.why.clone(),
        state: state.name(),
        since: state.since().map(|since| since.to_string()),
    })
}
