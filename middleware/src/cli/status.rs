//! `card status`: who the card is, what state its PIN is in, which keys it has.
use std::fmt::Write as _;

use middleware::{Card, CardIdentity, EmulatedMark, PinStatus, holder_state};
use serde_json::json;

use super::Report;
use super::certificates::CertificateSummary;

pub(super) fn run(card: &mut Card) -> anyhow::Result<Report> {
    let identity = card.identity()?;
    let mut transaction = card.transaction()?;
    let pin = transaction.pin_status()?;
    let puk_tries_left = transaction.puk_tries_left()?;
    drop(transaction);
    let contents = card.contents()?;
    let keys: Vec<CertificateSummary> =
        contents.keys.iter().map(|key| CertificateSummary::of_entry(key)).collect();
    let activated = identity.guid.map(|guid| holder_state::is_activated(&guid));

    let mut text = String::new();
    writeln!(text, "Reader     {}", card.reader_name())?;
    writeln!(text, "ATR        {}", hex::encode(card.atr()))?;
    writeln!(
        text,
        "GUID       {}",
        identity.guid.map_or("none: the card was never issued".into(), hex::encode)
    )?;
    if let Some(serial) = identity.serial {
        writeln!(text, "Serial     {serial}")?;
    }
    if let Some((major, minor, patch)) = identity.version {
        writeln!(text, "Version    {major}.{minor}.{patch}")?;
    }
    if let Some(mark) = identity.emulated {
        writeln!(text, "Emulated   {}", describe_mark(mark))?;
    }
    writeln!(text, "PIN        {}", describe_pin(pin, puk_tries_left, activated))?;
    writeln!(text, "PUK        {}", describe_puk(puk_tries_left))?;
    if keys.is_empty() {
        writeln!(text, "Keys       none that can be seen")?;
    }
    for (number, key) in keys.iter().enumerate() {
        let label = if number == 0 { "Keys" } else { "" };
        writeln!(text, "{label:<10} {}", key.one_line())?;
    }
    let json = json!({
        "reader": card.reader_name(),
        "atr": hex::encode(card.atr()),
        "guid": identity.guid.map(hex::encode),
        "serial": identity.serial,
        "version": version(&identity),
        "emulated": identity.emulated.map(|mark| json!({ "seeded": mark.seeded, "cloned": mark.cloned })),
        "pin": pin_object(pin),
        "puk": { "tries_left": puk_tries_left },
        "transport_pin_changed": activated,
        "keys": keys.iter().map(CertificateSummary::to_json).collect::<Vec<_>>(),
    });
    Ok(Report { text, json })
}

fn version(identity: &CardIdentity) -> Option<String> {
    identity.version.map(|(major, minor, patch)| format!("{major}.{minor}.{patch}"))
}

fn describe_mark(mark: EmulatedMark) -> &'static str {
    match mark {
        EmulatedMark { cloned: true, .. } => "yes, and copied: its keys exist more than once",
        EmulatedMark { seeded: true, .. } => "yes, made from a seed: its keys can be made again",
        EmulatedMark { .. } => "yes",
    }
}

fn describe_pin(pin: PinStatus, puk_tries_left: Option<u8>, activated: Option<bool>) -> String {
    let state = match pin {
        PinStatus::Verified => "verified by another program".to_owned(),
        PinStatus::NotVerified { tries_left: 1 } => "1 try left".to_owned(),
        PinStatus::NotVerified { tries_left } => format!("{tries_left} tries left"),
        PinStatus::Blocked if puk_tries_left == Some(0) => {
            return "blocked, and so is the PUK that could unblock it".to_owned();
        }
        PinStatus::Blocked => return "blocked; unblock it with the PUK: card unblock".to_owned(),
    };
    match activated {
        Some(false) => format!("{state}; transport PIN not changed as far as known here: card change-pin"),
        _ => state,
    }
}

fn describe_puk(tries_left: Option<u8>) -> String {
    match tries_left {
        None => "the card does not tell its tries".to_owned(),
        Some(0) => "blocked; the issuance desk must replace or reset the card".to_owned(),
        Some(1) => "1 try left".to_owned(),
        Some(left) => format!("{left} tries left"),
    }
}

fn pin_object(pin: PinStatus) -> serde_json::Value {
    match pin {
        PinStatus::Verified => json!({ "state": "verified", "tries_left": null }),
        PinStatus::NotVerified { tries_left } => json!({ "state": "not-verified", "tries_left": tries_left }),
        PinStatus::Blocked => json!({ "state": "blocked", "tries_left": 0 }),
    }
}
