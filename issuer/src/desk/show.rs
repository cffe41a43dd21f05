//! `issuer show`: one card in full: what it is, what happened to it, what comes next and what can be undone.

use serde::Serialize;

use super::card_keys::{self, KeyView};
use super::failure::{Failure, Status};
use super::half_done::{self, HalfDoneView};
use super::life_cycle::WhichCard;
use super::office::Office;
use super::output::{self, Format};
use super::views::{CardView, EventView};
use super::ways::{self, WayView};
use super::{find, texts, which_card};
use crate::domain::{CardState, Subject};

#[derive(Serialize)]
struct Shown {
    /// What it is called.
    card: String,
    #[serde(skip)]
    identity: String,
    #[serde(flatten)]
    view: CardView,
    /// The name of the profile by which it was made.
    card_profile: Option<String>,
    /// Since when somebody beside the desk may know its PUK.
    puk_exposed_since: Option<String>,
    /// What was begun with it and is not done, and how to go on.
    half_done: Option<HalfDoneView>,
    keys: Vec<KeyView>,
    ways: Vec<WayView>,
    history: Vec<EventView>,
}

/// Shows a card.
///
/// # Errors
/// There is none.
pub async fn run(office: &Office, which: &WhichCard, format: Format) -> Result<Status, Failure> {
    let record = which_card::find(office, &which.card).await?;
    let state = record.card.state();
    let holder = match state.holder() {
        Some(id) => Some(office.registry.cardholder(id).await?),
        None => None,
    };
    let mail = holder.as_ref().map(|holder| holder.mail.as_str().to_owned());
    let history = office.registry.history(&Subject::Card(record.id)).await?;
    let shown = Shown {
        card: which_card::name(&record),
        identity: record.identity.to_string(),
        view: CardView::new(&record, holder.as_ref(), texts::of(format)),
        card_profile: record.card.profile().map(str::to_owned),
        puk_exposed_since: record.card.puk().exposed_since().map(|since| since.to_string()),
        half_done: half_done::of(office, &record, "LOCATOR").await?,
        keys: card_keys::of(office, &record).await?,
        ways: ways::of(&record, mail.as_deref()),
        history: history.into_iter().map(EventView::new).collect(),
    };
    match format {
        Format::Json => output::json(&shown)?,
        Format::Text => text(&shown, state)?,
    }
    Ok(Status::Done)
}

fn text(shown: &Shown, state: &CardState) -> Result<(), Failure> {
    let said = texts::state(state.name());
    let mut values = vec![("card", shown.card.as_str()), ("identity", &shown.identity), ("state", &said)];
    values.extend(shown.view.since.as_deref().map(|since| ("since", since)));
    values.extend(shown.view.holder.as_deref().map(|holder| ("holder", holder)));
    let key = match (&shown.view.holder, &shown.view.since) {
        (Some(_), _) if state.is_live() => "show-card-of",
        (Some(_), _) => "show-card-last-of",
        (None, Some(_)) => "show-card-since",
        (None, None) => "show-card",
    };
    output::line(&texts::say(key, &values))?;
    if let Some(profile) = &shown.card_profile {
        output::line(&texts::say("show-profile", &[("profile", profile)]))?;
    }
    if let Some(since) = &shown.puk_exposed_since {
        output::line(&texts::say("show-puk-exposed", &[("since", since)]))?;
    }
    if let Some(open) = &shown.half_done {
        output::line(&open.sentence())?;
    }
    let keys = shown.keys.iter().map(|key| {
        let origin = texts::say(origin_key(key.origin), &[]);
        let state = texts::say(find::state_key(key.state), &[]);
        vec![key.key.to_owned(), key.serial.clone(), state, key.not_after.clone(), origin]
    });
    if !shown.keys.is_empty() {
        let header = [
            "show-column-key",
            "show-column-certificate",
            "show-column-state",
            "show-column-until",
            "show-column-origin",
        ];
        output::table(&header.map(|key| texts::say(key, &[])), keys.collect(), "")?;
    }
    for (undoes, title) in [(false, "show-next"), (true, "show-back")] {
        let ways: Vec<_> = shown.ways.iter().filter(|way| way.undoes == undoes).collect();
        if ways.is_empty() {
            continue;
        }
        output::line(&texts::say(title, &[]))?;
        for way in ways {
            let command =
                way.command.as_deref().map(|command| format!("\n      {command}")).unwrap_or_default();
            output::line(&format!("  - {}{command}", way.said()))?;
        }
    }
    if shown.ways.is_empty() {
        output::line(&texts::say(&format!("undo-{}", texts::key_of(state.name())), &[]))?;
    }
    let rows = shown.history.iter().map(|event| {
        let what = texts::event(&event.kind);
        vec![event.event.to_string(), event.at.clone(), what, event.actor.clone()]
    });
    output::line("")?;
    let header = ["show-column-event", "show-column-at", "show-column-what", "show-column-by"];
    output::table(&header.map(|key| texts::say(key, &[])), rows.collect(), "")
}

/// Where a key came from, as the registry names it.
fn origin_key(origin: Option<&str>) -> &'static str {
    match origin {
        Some("attested") => "show-origin-attested",
        Some("attested by an emulated card") => "show-origin-attested-by-an-emulated-card",
        Some("generated") => "show-origin-generated",
        Some("injected") => "show-origin-injected",
        _ => "show-origin-not-recorded",
    }
}
