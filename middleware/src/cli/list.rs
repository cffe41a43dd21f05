//! `card list`: readers and the cards in them.
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use comfy_table::{Table, presets};
use middleware::transport::{ReaderWatch, WatchedReader};
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

/// Prints what comes and goes, a line for each, until it is stopped.
pub(super) fn watch(as_json: bool) -> anyhow::Result<Report> {
    let mut watch = ReaderWatch::default();
    let mut known: Vec<WatchedReader> = Vec::new();
    loop {
        let now = watch.readers()?;
        for event in events(&known, &now) {
            let mut output = std::io::stdout().lock();
            let line = if as_json { event.to_json().to_string() } else { event.to_text() };
            if let Err(error) = writeln!(output, "{line}").and_then(|()| output.flush()) {
                // Whoever looked on has gone.
                anyhow::ensure!(
                    error.kind() == ErrorKind::BrokenPipe,
                    "standard output cannot be written: {error}"
                );
                return Ok(Report { text: String::new(), json: serde_json::Value::Null });
            }
        }
        known = now;
        watch.wait(LONGEST_WAIT)?;
    }
}

/// Something that happened to a reader.
struct Event {
    what: &'static str,
    reader: String,
}

impl Event {
    /// A card that came is asked who it is.
    fn identity(&self) -> Option<CardIdentity> {
        let open = || Card::open(&Locator::ReaderNamed(self.reader.clone()))?.identity();
        if self.what == INSERTED { open().ok() } else { None }
    }

    fn to_text(&self) -> String {
        let identity = self.identity();
        let serial =
            identity.as_ref().and_then(|identity| identity.serial).map(|serial| format!(", serial {serial}"));
        let guid =
            identity.and_then(|identity| identity.guid).map(|guid| format!(", GUID {}", hex::encode(guid)));
        format!("{}: {}{}{}", self.what, self.reader, serial.unwrap_or_default(), guid.unwrap_or_default())
    }

    fn to_json(&self) -> serde_json::Value {
        let identity = self.identity();
        json!({
            "event": self.what.replace(' ', "-"),
            "reader": self.reader,
            "serial": identity.as_ref().and_then(|identity| identity.serial),
            "guid": identity.and_then(|identity| identity.guid).map(hex::encode),
        })
    }
}

const INSERTED: &str = "card inserted";

/// What must have happened between two looks. A card pulled and inserted again shows in the reader's count of changes.
fn events(before: &[WatchedReader], now: &[WatchedReader]) -> Vec<Event> {
    let event = |what, reader: &WatchedReader| Event { what, reader: reader.name.clone() };
    let mut events = Vec::new();
    for old in before {
        let new = now.iter().find(|new| new.name == old.name);
        let is_same_card = new.is_some_and(|new| new.has_card && new.changes == old.changes);
        if old.has_card && !is_same_card {
            events.push(event("card removed", old));
        }
        if new.is_none() {
            events.push(event("reader removed", old));
        }
    }
    for new in now {
        let old = before.iter().find(|old| old.name == new.name);
        if old.is_none() {
            events.push(event("reader added", new));
        }
        let is_same_card = old.is_some_and(|old| old.has_card && new.changes == old.changes);
        if new.has_card && !is_same_card {
            events.push(event(INSERTED, new));
        }
    }
    events
}

/// A wait begins again after it; nothing is missed in between.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(has_card: bool, changes: u32) -> WatchedReader {
        WatchedReader { name: "reader".to_owned(), has_card, changes }
    }

    #[test]
    fn whatever_happened_between_two_looks_is_told() {
        let told = |before: &[WatchedReader], now: &[WatchedReader]| -> Vec<&'static str> {
            events(before, now).iter().map(|event| event.what).collect()
        };
        let (empty, full, again) = (reader(false, 0), reader(true, 1), reader(true, 3));
        assert_eq!(told(&[], std::slice::from_ref(&full)), ["reader added", "card inserted"]);
        assert_eq!(told(std::slice::from_ref(&empty), std::slice::from_ref(&full)), ["card inserted"]);
        assert_eq!(told(std::slice::from_ref(&full), std::slice::from_ref(&full)), Vec::<&str>::new());
        assert_eq!(told(std::slice::from_ref(&full), &[again]), ["card removed", "card inserted"]);
        assert_eq!(told(std::slice::from_ref(&full), &[reader(false, 2)]), ["card removed"]);
        assert_eq!(told(&[full], &[]), ["card removed", "reader removed"]);
    }
}
