//! `issuer stock return`: a card comes back; with the card there, it is wiped, checked, and put into stock.

use clap::Args;
use jiff::Timestamp;
use middleware::{Card, Locator};
use serde::Serialize;

use super::failure::{Failure, Status};
use super::life_cycle::{self, WhichCard};
use super::office::Office;
use super::output::{self, Format};
use super::{texts, ways, which_card};
use crate::domain::{CardCommand, CardState};
use crate::personalization::run::Progress;
use crate::personalization::wipe;
use crate::registry::CardRecord;

/// Which card, and where it is if it shall be wiped.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The card
    #[arg(value_name = "CARD", long_help = which_card::HELP, help = which_card::HELP)]
    whose: String,
    /// Wipe it, check that nothing is left, and put it into stock: where it is
    #[arg(long, value_name = "LOCATOR")]
    card: Option<Locator>,
}

#[derive(Serialize)]
struct Summary {
    card: String,
    state: &'static str,
    wiped: bool,
}

/// Takes a card back.
///
/// # Errors
/// Nobody has it; it is another card, or one that cannot be wiped (nothing was changed then); something is left on it.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &arguments.whose).await?;
    let Some(locator) = &arguments.card else {
        if let CardState::Returned { since, .. } = record.card.state() {
            return Err(came_back(&record, *since));
        }
        return life_cycle::take_back(office, &WhichCard::new(&which_card::argument(&record)), format).await;
    };
    if let CardState::InStock { since } = record.card.state() {
        let message = format!("card {} is in stock since {since}: nobody has it", which_card::name(&record));
        return Err(Failure::new("card-state", message));
    }
    let now = office.time_to_record().await?;
    let mut card = Card::open(locator)?;
    wipe::refuse(&card.identity()?, &record)?;
    if !matches!(record.card.state(), CardState::Returned { .. }) {
        office.registry.command_card(record.id, CardCommand::Return, now).await?;
        office.observer.tell(&Progress::Recorded(record.id));
    }
    let returned = office.registry.card(record.id).await?;
    let mut progress = |progress| office.observer.tell(&progress);
    let wiped = wipe::wipe(&office.registry, &office.clock, &mut card, &returned, &mut progress).await;
    wiped.map_err(|error| {
        Failure::from(error)
            .and("the card came back and is not wiped: run the same command again, or destroy it")
    })?;
    office.observer.tell(&Progress::Recorded(record.id));
    let record = office.registry.card(record.id).await?;
    let summary =
        Summary { card: record.identity.to_string(), state: record.card.state().name(), wiped: true };
    match format {
        Format::Json => output::json(&summary)?,
        Format::Text => {
            let values = [("card", summary.card.as_str()), ("state", &texts::state(summary.state))];
            let wiped = texts::say("said-wiped", &values);
            output::line(&format!("{wiped} {}", texts::say("changed-publish", &[])))?;
        }
    }
    Ok(Status::Done)
}

/// Somebody took it back before.
fn came_back(record: &CardRecord, since: Timestamp) -> Failure {
    let card = which_card::argument(record);
    let next = if ways::can_be_wiped(record) {
        format!("wipe it with issuer stock return {card} --card LOCATOR, or record that it is destroyed")
    } else {
        "it cannot be wiped; record that it is destroyed".to_owned()
    };
    let message = format!(
        "card {} came back at {since}; nothing was changed. What is left to do: {next} (issuer mark {card} destroyed)",
        which_card::name(record)
    );
    Failure::new("card-returned", message)
}
