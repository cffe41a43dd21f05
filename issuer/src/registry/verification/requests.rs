//! Requests, as their events tell them.

use super::super::error::RegistryError;
use super::super::rows::{snapshot_text, time_text};
use super::difference::{Findings, Told};
use super::{View, events, numbered, shown};
use crate::domain::{Request, RequestEvent};

const TABLE: &str = "requests";

pub(super) async fn compare(view: &mut View, findings: &mut Findings) -> Result<(), RegistryError> {
    let of = numbered(TABLE, "request");
    let mut after = of.start.clone();
    loop {
        let page = view.page(&of, &after).await?;
        for (id, row, lines) in page.subjects() {
            let id = shown(id);
            match row {
                None => findings.missing(TABLE, &id),
                Some(_) if lines.is_empty() => findings.without_event(TABLE, &id, true),
                Some(row) => findings.compare(TABLE, &id, row, told(events(lines)?)?),
            }
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

fn told(events: Vec<RequestEvent>) -> Result<Vec<(&'static str, Told)>, RegistryError> {
    let opened = events.first().cloned();
    let request = Request::replay(events);
    let state = request.state();
    let mut told = vec![
        ("state", Told::text(state.name())),
        ("since", Told::text(state.since().map(time_text).unwrap_or_default())),
        ("pending", Told::number(state.is_pending())),
        ("snapshot", Told::Json(snapshot_text(&request)?)),
    ];
    if let Some(RequestEvent::RequestOpened { kind, holder, card, why, .. }) = opened {
        told.extend([
            ("kind", Told::text(kind.as_str())),
            ("holder", Told::number(holder.0)),
            ("card", Told::optional(card, |card| Told::number(card.0))),
            ("why", Told::text(why)),
        ]);
    }
    Ok(told)
}
