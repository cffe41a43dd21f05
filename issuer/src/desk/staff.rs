//! `issuer staff`: people.

use std::path::Path;

use serde::Serialize;

use super::failure::{Failure, Status};
use super::office::{Office, read_file};
use super::output::{self, Format};
use super::staff_file::{self, BadRow};
use crate::clock::Clock;
use crate::domain::{CardState, Cardholder, NewCardholder};
use crate::registry::{CardRecord, RegistryError};

/// A list longer than this is not one.
const LIMIT: u64 = 64 * 1024 * 1024;

#[derive(Default, Serialize)]
struct Imported {
    added: usize,
    unchanged: usize,
    errors: Vec<BadRow>,
}

#[derive(Serialize)]
pub(super) struct PersonView {
    name: String,
    mail: String,
    id: Option<String>,
    card: Option<String>,
    card_guid: Option<String>,
}

/// Adds the people of a CSV file. Rows that cannot be used are named; the others go in.
///
/// # Errors
/// The file cannot be read, or its header is not one.
pub async fn import(office: &Office, file: &Path, format: Format) -> Result<Status, Failure> {
    let bytes = read_file(file, LIMIT)?;
    let rows = staff_file::read(&bytes, &office.config).map_err(|bad| {
        Failure::new("csv", format!("{}, row {}, {}: {}", file.display(), bad.row, bad.field, bad.message))
    })?;
    let mut imported = Imported::default();
    for row in rows {
        match row {
            Err(bad) => imported.errors.push(bad),
            Ok(row) => match office.registry.add_cardholder(&row.person, office.clock.now()).await {
                Ok(_) => imported.added += 1,
                Err(error) => match taken_field(&error) {
                    Some(_) if is_registered(office, &row.person).await? => imported.unchanged += 1,
                    Some(field) => {
                        imported.errors.push(BadRow {
                            row: row.row,
                            field: field.to_owned(),
                            code: "duplicate",
                            message: error.to_string(),
                        });
                    }
                    None => return Err(error.into()),
                },
            },
        }
    }
    match format {
        Format::Json => output::json(&imported)?,
        Format::Text => report(&imported, file)?,
    }
    Ok(match (imported.errors.is_empty(), imported.added + imported.unchanged) {
        (true, _) => Status::Done,
        (false, 0) => Status::Failed,
        (false, _) => Status::Partly,
    })
}

fn report(imported: &Imported, file: &Path) -> Result<(), Failure> {
    for bad in &imported.errors {
        output::progress(&format!("{}, row {}, {}: {}", file.display(), bad.row, bad.field, bad.message));
    }
    let unchanged = match imported.unchanged {
        0 => String::new(),
        known => format!(", {known} known already"),
    };
    let refused = match imported.errors.len() {
        0 => String::new(),
        refused => format!(", {refused} refused: correct those rows and import the file again"),
    };
    output::line(&format!("{} added{unchanged}{refused}.", imported.added))
}

fn taken_field(error: &RegistryError) -> Option<&'static str> {
    match error {
        RegistryError::MailTaken { .. } => Some("mail"),
        RegistryError::StaffIdTaken { .. } => Some("id"),
        _ => None,
    }
}

/// Whether exactly this person is there already: importing a list twice changes nothing.
async fn is_registered(office: &Office, person: &NewCardholder) -> Result<bool, Failure> {
    let known = office.registry.cardholder_named(person.mail.as_str()).await?;
    Ok(known.is_some_and(|known| {
        known.name == person.name && known.staff_id == person.staff_id && known.mail == person.mail
    }))
}

/// Lists everybody and their cards.
///
/// # Errors
/// The registry cannot be read.
pub async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let (people, cards) = (office.registry.cardholders().await?, office.registry.cards().await?);
    let views: Vec<_> = people.iter().map(|person| view(person, &cards)).collect();
    match format {
        Format::Json => output::json(&views)?,
        Format::Text => table(&views, "Nobody is registered; add people with: issuer staff import FILE.csv")?,
    }
    Ok(Status::Done)
}

pub(super) fn view(person: &Cardholder, cards: &[CardRecord]) -> PersonView {
    let mut of_person = cards.iter().rev().filter(|card| card.card.state().holder() == Some(person.id));
    let newest = of_person.clone().next();
    let live = of_person.find(|card| !matches!(card.card.state(), CardState::Revoked { .. }));
    let card = live.or(newest);
    PersonView {
        name: person.name.as_str().to_owned(),
        mail: person.mail.as_str().to_owned(),
        id: person.staff_id.as_ref().map(|id| id.as_str().to_owned()),
        card: card.map(|card| card.card.state().name().to_owned()),
        card_guid: card.and_then(|card| card.card.guid()).map(|guid| guid.to_string()),
    }
}

pub(super) fn table(people: &[PersonView], empty: &str) -> Result<(), Failure> {
    let rows = people.iter().map(|person| {
        let card = match (&person.card, &person.card_guid) {
            (Some(state), Some(guid)) => format!("{state} ({guid})"),
            _ => "none".to_owned(),
        };
        vec![person.name.clone(), person.mail.clone(), person.id.clone().unwrap_or_default(), card]
    });
    output::table(&["NAME", "MAIL", "ID", "CARD"], rows.collect(), empty)
}
