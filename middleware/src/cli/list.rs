//! `card list`: readers and the cards in them.
use comfy_table::{Table, presets};
use middleware::{Card, CardError, CardIdentity, Locator, ReaderStatus};
use serde_json::json;

use super::Report;

pub(super) fn run() -> anyhow::Result<Report> {
    let readers = middleware::list_readers()?;
    if readers.is_empty() {
        let text = "No card reader found. Is one connected, and is pcscd running?".to_owned();
        return Ok(Report { text, json: json!([]) });
    }
    let lines = readers.into_iter().map(|reader| {
        let (locator, identity) = (Locator::ReaderNamed(reader.name.clone()), identify(&reader));
        (reader, locator, identity)
    });
    Ok(report(lines))
}

/// The same for one card, which may be outside any reader.
pub(super) fn run_for(locator: &Locator, card: &mut Card) -> anyhow::Result<Report> {
    let reader = ReaderStatus { name: card.reader_name().to_owned(), atr: Some(card.atr().to_vec()) };
    Ok(report([(reader, locator.clone(), Some(card.identity()))]))
}

type Identity = Option<Result<CardIdentity, CardError>>;

fn report(lines: impl IntoIterator<Item = (ReaderStatus, Locator, Identity)>) -> Report {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["Reader", "Card", "Serial", "GUID"]);
    let mut objects = Vec::new();
    for (reader, locator, identity) in lines {
        table.add_row(row(&reader, identity.as_ref()));
        objects.push(object(&reader, &locator, identity.as_ref()));
    }
    Report { text: table.to_string(), json: json!(objects) }
}

/// `None` for an empty reader.
fn identify(reader: &ReaderStatus) -> Identity {
    reader.atr.as_ref()?;
    Some(Card::open(&Locator::ReaderNamed(reader.name.clone())).and_then(|mut card| card.identity()))
}

fn row(reader: &ReaderStatus, identity: Option<&Result<CardIdentity, CardError>>) -> [String; 4] {
    let name = reader.name.clone();
    match identity {
        None => [name, "-".into(), String::new(), String::new()],
        Some(Err(CardError::NotPiv(_))) => [name, "not a PIV card".into(), String::new(), String::new()],
        Some(Err(error)) => [name, error.to_string(), String::new(), String::new()],
        Some(Ok(identity)) => [
            name,
            if identity.emulated.is_some() { "PIV (emulated)".into() } else { "PIV".into() },
            identity.serial.map(|serial| serial.to_string()).unwrap_or_default(),
            identity.guid.map(hex::encode).unwrap_or_default(),
        ],
    }
}

fn object(
    reader: &ReaderStatus,
    locator: &Locator,
    identity: Option<&Result<CardIdentity, CardError>>,
) -> serde_json::Value {
    let card = match identity {
        None => serde_json::Value::Null,
        Some(Err(error)) => {
            json!({ "piv": false, "error": { "code": error.code(), "message": error.to_string() } })
        }
        Some(Ok(identity)) => json!({
            "piv": true,
            "guid": identity.guid.map(hex::encode),
            "serial": identity.serial,
            "emulated": identity.emulated.is_some(),
        }),
    };
    json!({
        "reader": reader.name,
        "locator": locator.to_string(),
        "atr": reader.atr.as_ref().map(hex::encode),
        "card": card,
    })
}
