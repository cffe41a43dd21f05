//! `issuer hold`, `release`, `mark` and `stock return`: what happens to a card after it was issued and needs no card.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::failure::{Failure, Status};
use super::invalidity_date::refuse_before_there_was_a_key;
use super::office::Office;
use super::output::{self, Format};
use super::{texts, ways, which_card};
use crate::domain::{CardCommand, CardState, Loss, Usability};
use crate::registry::CardRecord;

/// Which card.
#[derive(Args, Debug)]
pub struct WhichCard {
    /// The card
    #[arg(value_name = "CARD", long_help = which_card::HELP, help = which_card::HELP)]
    pub(super) card: String,
}

impl WhichCard {
    /// The card that this text names.
    pub(super) fn new(card: &str) -> Self {
        Self { card: card.to_owned() }
    }
}

/// Which card, and what became of it.
#[derive(Args, Debug)]
pub struct Mark {
    #[command(flatten)]
    which: WhichCard,
    /// What it is now
    #[arg(value_enum, value_name = "STATE")]
    state: MarkAs,
    /// Since when the keys were not their holder's alone, where known: 2026-11-20 or 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::cli::parse_time)]
    invalid_since: Option<Timestamp>,
}

/// What a card can be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MarkAs {
    /// The holder uses it: the transport PIN is changed, or a blocked PIN was set anew
    Active,
    /// Too many wrong PINs
    PinBlocked,
    /// Nobody knows where it is: its certificates are revoked (key-compromise)
    Lost,
    /// Somebody took it: likewise
    Stolen,
    /// It does not work any more: its certificates are revoked (cessation-of-operation)
    Damaged,
    /// It is shredded: that cannot be undone
    Destroyed,
}

#[derive(Serialize)]
struct Summary {
    card: String,
    holder: Option<String>,
    state: &'static str,
    since: Option<String>,
    undo: Option<String>,
}

/// Suspends a card and its certificates.
///
/// # Errors
/// The card is not in use.
pub async fn hold(office: &Office, which: &WhichCard, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &which.card).await?;
    carry_out(office, &record, CardCommand::Hold, None, format).await
}

/// Ends a hold.
///
/// # Errors
/// The card is not on hold.
pub async fn release(office: &Office, which: &WhichCard, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &which.card).await?;
    carry_out(office, &record, CardCommand::Release, None, format).await
}

/// Takes a card back.
///
/// # Errors
/// Nobody has it.
pub async fn take_back(office: &Office, which: &WhichCard, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &which.card).await?;
    carry_out(office, &record, CardCommand::Return, None, format).await
}

/// Records what became of a card.
///
/// # Errors
/// The card's state does not allow it; the message says why.
pub async fn mark(office: &Office, mark: &Mark, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &mark.which.card).await?;
    let command = match mark.state {
        MarkAs::Active => match record.card.state() {
            CardState::Issued { usability: Usability::PinBlocked, .. } => CardCommand::UnblockPin,
            _ => CardCommand::Activate,
        },
        MarkAs::PinBlocked => CardCommand::BlockPin,
        MarkAs::Lost => CardCommand::ReportLoss { loss: Loss::Lost },
        MarkAs::Stolen => CardCommand::ReportLoss { loss: Loss::Stolen },
        MarkAs::Damaged => CardCommand::ReportDamage,
        MarkAs::Destroyed => CardCommand::Destroy,
    };
    if mark.invalid_since.is_some() && !matches!(mark.state, MarkAs::Lost | MarkAs::Stolen) {
        return Err(Failure::usage("--invalid-since belongs to a card that is lost or stolen"));
    }
    carry_out(office, &record, command, mark.invalid_since, format).await
}

async fn carry_out(
    office: &Office,
    record: &CardRecord,
    command: CardCommand,
    invalid_since: Option<Timestamp>,
    format: Format,
) -> Result<Status, Failure> {
    let certificates = office.registry.certificates_of_card(record.id).await?;
    refuse_before_there_was_a_key(&certificates, invalid_since)?;
    let was_handed_out = record.card.state().is_live();
    let now = match command.takes_trust_away() {
        true => office.time_to_revoke().await?,
        false => office.time_to_record().await?,
    };
    let card = office.registry.command_card_since(record.id, command, invalid_since, now).await?;
    let record = CardRecord { card, ..record.clone() };
    let state = record.card.state();
    let holder = match state.holder() {
        Some(id) => Some(office.registry.cardholder(id).await?),
        None => None,
    };
    let mail = holder.as_ref().map(|holder| holder.mail.as_str());
    let undo = ways::back(&record, mail);
    let summary = Summary {
        card: which_card::name(&record),
        holder: mail.map(str::to_owned),
        state: state.name(),
        since: state.since().map(|since| since.to_string()),
        undo,
    };
    match format {
        Format::Json => output::json(&summary)?,
        Format::Text => {
            let said = texts::state(state.name());
            let mut sentence = match mail {
                Some(mail) => {
                    let values = [("card", summary.card.as_str()), ("holder", mail), ("state", &said)];
                    texts::say("changed-card-of", &values)
                }
                None => texts::say("changed-card", &[("card", &summary.card), ("state", &said)]),
            };
            let concerns_certificates =
                !matches!(command, CardCommand::Activate | CardCommand::BlockPin | CardCommand::UnblockPin);
            if was_handed_out && concerns_certificates {
                sentence = format!("{sentence} {}", texts::say("changed-publish", &[]));
            }
            output::line(&sentence)?;
            output::line(&what_now(&record, mail))?;
        }
    }
    Ok(Status::Done)
}

/// What goes back from here; where nothing does, and the card is at the desk, what comes next.
fn what_now(record: &CardRecord, mail: Option<&str>) -> String {
    let ways = ways::of(record, mail);
    if let Some(back) = ways.iter().find(|way| way.undoes) {
        return texts::say("changed-back", &[("way", &back.in_one_line())]);
    }
    if matches!(record.card.state(), CardState::Destroyed { .. }) {
        return texts::say("undo-destroyed", &[]);
    }
    match ways.first().filter(|_| matches!(record.card.state(), CardState::Returned { .. })) {
        Some(next) => texts::say("changed-next", &[("way", &next.in_one_line())]),
        None => texts::say("changed-no-way-back", &[]),
    }
}
