//! Cards, as their events tell them.

use super::super::cards::live;
use super::super::error::RegistryError;
use super::super::rows::{snapshot_text, time_text};
use super::difference::{Columns, Findings, Told};
use super::{Line, View, events, numbered, shown, text};
use crate::domain::{Card, CardEvent};

const TABLE: &str = "cards";

pub(super) async fn compare(
    view: &mut View,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let of = numbered(TABLE, "card");
    let mut after = of.start.clone();
    loop {
        let page = view.page(&of, &after).await?;
        for (id, row, lines) in page.subjects() {
            judge(&shown(id), row, lines, is_whole, findings)?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

fn judge(
    id: &str,
    row: Option<&Columns>,
    lines: &[Line],
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let Some(row) = row else {
        findings.missing(TABLE, id);
        return Ok(());
    };
    if lines.is_empty() {
        // In the earliest registries a card could be there before anything happened to it.
        let is_strange = is_whole || text(row, "state")? != Card::default().state().name();
        findings.without_event(TABLE, id, is_strange);
        return Ok(());
    }
    findings.compare(TABLE, id, row, told(events(lines)?)?);
    Ok(())
}

fn told(events: Vec<CardEvent>) -> Result<Vec<(&'static str, Told)>, RegistryError> {
    let received = events.iter().rev().find_map(|event| match event {
        CardEvent::CardReceived { card, .. } => card.clone(),
        _ => None,
    });
    let card = Card::replay(events);
    let state = card.state();
    let mut told = vec![
        ("guid", Told::optional(card.guid(), |guid| Told::hex(guid.to_string()))),
        ("holder", Told::optional(state.holder(), |holder| Told::number(holder.0))),
        ("state", Told::text(state.name())),
        ("since", Told::text(state.since().map(time_text).unwrap_or_default())),
        ("live", Told::number(live(state))),
        ("snapshot", Told::Json(snapshot_text(&card)?)),
    ];
    told.extend(match received {
        Some(received) => [
            ("vendor_serial", Told::optional(received.vendor_serial, Told::number)),
            ("stock_guid", Told::optional(received.guid, |guid| Told::hex(guid.to_string()))),
            ("secrets_version", Told::number(received.secrets_version)),
        ],
        None => ["vendor_serial", "stock_guid", "secrets_version"].map(|column| (column, Told::Untold)),
    });
    Ok(told)
}
