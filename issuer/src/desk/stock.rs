//! `issuer stock`: blank cards.

pub mod cli;

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use middleware::{Card, Locator};
use serde::Serialize;
use zeroize::Zeroizing;

use super::failure::{Failure, Status};
use super::office::{Office, read_file};
use super::output::{self, Format};
use super::texts;
use super::views::CardView;
use super::which_card;
use crate::domain::{CardCommand, CardState, StockIdentity};
use crate::personalization::PersonalizationError;
use crate::personalization::{blank, stock_file, wipe};
use crate::registry::{CardRecord, EmulatedCards, NewStockCard, PresentedIdentity, RegistryError};

/// What is taken into stock.
pub enum Delivery {
    /// The card in a reader; it must have a serial number.
    Card(Locator),
    /// Serial numbers, as on a delivery note.
    Serials(Vec<u32>),
    /// Manufacturer's stock files with the cards' secrets.
    Files(Vec<PathBuf>),
}

#[derive(Default, Serialize)]
struct Added {
    added: Vec<String>,
    errors: Vec<ItemError>,
}

#[derive(Serialize)]
struct ItemError {
    item: String,
    code: &'static str,
    message: String,
}

/// Takes cards into stock; each stands for itself.
///
/// # Errors
/// Nothing could be taken in: the passphrase is wrong, no card is there, or the registry cannot be written.
pub async fn add(office: &mut Office, delivery: Delivery, format: Format) -> Result<Status, Failure> {
    let now = office.time_to_record().await?;
    let mut added = Added::default();
    if office.was_told_passphrase() && format == Format::Text && !matches!(delivery, Delivery::Files(_)) {
        output::progress(&texts::say("stock-passphrase-unused", &[]));
    }
    match delivery {
        Delivery::Card(locator) => {
            let mut card = Card::open(&locator)?;
            let identity = identity_of(office, &mut card, &locator).await?;
            match returned(office, identity).await? {
                Some(record) => restock(office, (&mut card, &locator), &record, now, &mut added).await?,
                None => {
                    refuse_foreign(office, identity, &mut card).await?;
                    receive(office, identity, None, now, &mut added).await?;
                }
            }
        }
        Delivery::Serials(serials) => {
            for serial in serials {
                receive(office, StockIdentity::VendorSerial(serial), None, now, &mut added).await?;
            }
        }
        Delivery::Files(files) => add_files(office, &files, now, &mut added).await?,
    }
    match format {
        Format::Json => output::json(&added)?,
        Format::Text => {
            for error in &added.errors {
                output::progress(&format!("{}: {}", error.item, error.message));
            }
            output::line(&match added.added.as_slice() {
                [] => texts::say("stock-none", &[]),
                [one] => texts::say("stock-one", &[("card", one)]),
                many => texts::say("stock-many", &[("count", &many.len().to_string())]),
            })?;
        }
    }
    Ok(match (added.errors.is_empty(), added.added.is_empty()) {
        (true, _) => Status::Done,
        (false, true) => Status::Failed,
        (false, false) => Status::Partly,
    })
}

/// The record of a card that came back to the desk and was not yet wiped.
async fn returned(office: &Office, identity: StockIdentity) -> Result<Option<CardRecord>, Failure> {
    let StockIdentity::VendorSerial(serial) = identity else { return Ok(None) };
    let shown = PresentedIdentity { vendor_serial: Some(serial), guid: None };
    let record = office.registry.card_presented(shown).await?;
    Ok(record.filter(|record| matches!(record.card.state(), CardState::Returned { .. })))
}

/// A card that would be taken into stock carries nobody's keys and certificates.
async fn refuse_foreign(office: &Office, identity: StockIdentity, card: &mut Card) -> Result<(), Failure> {
    let StockIdentity::VendorSerial(serial) = identity else { return Ok(()) };
    let shown = PresentedIdentity { vendor_serial: Some(serial), guid: None };
    let record = office.registry.card_presented(shown).await?;
    match &record {
        // It is not taken into stock a second time, whatever is on it.
        Some(known) if !matches!(known.card.state(), CardState::Unusable { .. }) => Ok(()),
        _ => Ok(blank::refuse_foreign(&office.registry, record.as_ref(), card).await?),
    }
}

/// Takes a returned card into stock again, once nothing of its last holder is on it.
async fn restock(
    office: &Office,
    (card, locator): (&mut Card, &Locator),
    record: &CardRecord,
    now: Timestamp,
    added: &mut Added,
) -> Result<(), Failure> {
    if let Some(left) = wipe::left_behind(card, record)? {
        return Err(Failure::new(
            "not-wiped",
            format!(
                "the card came back and still has {left}; wipe it: issuer stock return {} --card {locator}",
                which_card::argument(record)
            ),
        ));
    }
    office.registry.command_card(record.id, CardCommand::Restock, now).await?;
    added.added.push(record.identity.to_string());
    Ok(())
}

async fn identity_of(office: &Office, card: &mut Card, locator: &Locator) -> Result<StockIdentity, Failure> {
    let identity = card.identity()?;
    if identity.emulated.is_some() && office.registry.emulated_cards().await? == EmulatedCards::Refused {
        return Err(PersonalizationError::EmulatedCard.into());
    }
    identity.serial.map(StockIdentity::VendorSerial).ok_or_else(|| {
        let message = format!("the card in {locator} has no serial number, so the desk needs its manufacturer's secrets; take it in with: issuer stock add --file STOCK.toml");
        Failure::new("no-stock-secrets", message)
    })
}

async fn add_files(
    office: &mut Office,
    files: &[PathBuf],
    now: Timestamp,
    added: &mut Added,
) -> Result<(), Failure> {
    let passphrase = office.passphrase()?;
    let master_key = office.master_key(&passphrase).await?;
    for file in files {
        let item = file.display().to_string();
        let text = match read_file(file, 64 * 1024) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
            }
            Err(error) => {
                added.errors.push(ItemError { item, code: error.code, message: error.message });
                continue;
            }
        };
        match stock_file::read(&text) {
            Ok(card) => {
                let sealed = master_key.seal(&card.identity, &card.secrets, &mut office.random)?;
                receive(office, card.identity, Some(sealed), now, added).await?;
            }
            Err(error) => {
                added.errors.push(ItemError { item, code: "malformed", message: error.to_string() })
            }
        }
    }
    Ok(())
}

async fn receive(
    office: &Office,
    identity: StockIdentity,
    sealed_secrets: Option<Vec<u8>>,
    now: Timestamp,
    added: &mut Added,
) -> Result<(), Failure> {
    let item = identity.to_string();
    match office.registry.add_card(&NewStockCard { identity, sealed_secrets }, now).await {
        Ok(_) => added.added.push(item),
        Err(error @ RegistryError::CardTaken(_)) => {
            added.errors.push(ItemError { item, code: "duplicate", message: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Lists every card.
///
/// # Errors
/// The registry cannot be read.
pub async fn list(office: &Office, format: Format) -> Result<Status, Failure> {
    let cards = office.registry.cards().await?;
    let people: HashMap<_, _> =
        office.registry.cardholders().await?.into_iter().map(|person| (person.id, person)).collect();
    let holder = |card: &CardRecord| card.card.state().holder().and_then(|id| people.get(&id));
    let texts = texts::of(format);
    let views: Vec<_> = cards.iter().map(|card| CardView::new(card, holder(card), texts)).collect();
    match format {
        Format::Json => output::json(&views)?,
        Format::Text => table(&views, &texts.say("found-no-cards-at-all", &[]))?,
    }
    Ok(Status::Done)
}

pub(super) fn table(cards: &[CardView], empty: &str) -> Result<(), Failure> {
    let rows = cards.iter().map(|card| {
        let identity = match (card.serial, &card.stock_guid) {
            (Some(serial), _) => serial.to_string(),
            (None, guid) => guid.clone().unwrap_or_default(),
        };
        let state = texts::state(card.state);
        let state = match &card.next {
            Some(next) => texts::say("found-state-next", &[("state", &state), ("next", next)]),
            None => state,
        };
        vec![
            identity,
            card.guid.clone().unwrap_or_default(),
            state,
            card.holder.clone().unwrap_or_default(),
            card.since.clone().unwrap_or_default(),
        ]
    });
    let columns = [
        "found-column-identity",
        "found-column-guid",
        "found-column-state",
        "found-column-holder",
        "found-column-since",
    ];
    output::table(&columns.map(|key| texts::say(key, &[])), rows.collect(), empty)
}
