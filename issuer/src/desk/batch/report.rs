//! What a batch came to: while it runs, and at its end.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::queue::{Entry, Progress};
use super::rows::{Row, Unusable};
use super::worker::Watcher;
use crate::desk::failure::{Failure, Status};
use crate::desk::output::{self, Format};
use crate::desk::texts;
use crate::personalization::run::{Point, Progress as Step};

/// Shows a bar for the batch and one for each place at a terminal, else a line for each card.
pub struct Display {
    format: Format,
    total: usize,
    bars: Option<Bars>,
    ended: Mutex<usize>,
}

struct Bars {
    all: ProgressBar,
    several: MultiProgress,
    places: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Display {
    /// For a batch of `total` cards, of which `done` are done.
    pub fn new(format: Format, total: usize, done: usize) -> Self {
        let at_terminal = format == Format::Text && std::io::stderr().is_terminal();
        let bars = at_terminal.then(|| {
            let several = MultiProgress::new();
            let all = several.add(bar(total, "{bar:40} {pos}/{len} {msg} {eta}"));
            all.set_message(texts::say("batched-time-left", &[]));
            all.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            Bars { all, several, places: Mutex::new(BTreeMap::new()) }
        });
        Self { format, total, bars, ended: Mutex::new(done) }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            // Above the bars; where that fails, nobody watches any more.
            Some(bars) => {
                let _ = bars.several.println(text);
            }
            None if self.format == Format::Text => output::progress(text),
            None => {}
        }
    }

    fn place(&self, place: &str, change: impl FnOnce(&ProgressBar)) {
        let Some(bars) = &self.bars else { return };
        let mut places = bars.places.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = places.entry(place.to_owned()).or_insert_with(|| {
            bars.several.add(bar(0, "  {prefix}: {msg} {bar:20} {pos}/{len}").with_prefix(place.to_owned()))
        });
        change(bar);
    }
}

fn bar(length: usize, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_style(style)
}

impl Watcher for Display {
    fn begun(&self, place: &str, row: &Row) {
        self.place(place, |bar| {
            bar.set_position(0);
            bar.set_message(row.holder.mail.as_str().to_owned());
        });
    }

    fn step(&self, place: &str, step: &Step) {
        self.place(place, |bar| match step {
            Step::Begun { steps, .. } => bar.set_length(u64::try_from(*steps).unwrap_or(u64::MAX)),
            Step::Step { point: Point::Acted, .. } => bar.inc(1),
            _ => {}
        });
    }

    fn ended(&self, place: &str, row: &Row, progress: &Progress) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(progress, Progress::Waiting | Progress::HalfMade { .. }) {
            *ended += 1;
            if let Some(bars) = &self.bars {
                bars.all.inc(1);
            }
        }
        let (mail, total) = (row.holder.mail.as_str(), self.total);
        let (ended, total, what) = (ended.to_string(), total.to_string(), words(progress));
        let values =
            [("ended", ended.as_str()), ("total", &total), ("mail", mail), ("what", &what), ("place", place)];
        self.say(&texts::say("batched-ended", &values));
    }

    fn wanted(&self, place: &str, what: &str) {
        self.say(&format!("{place}: {what}"));
    }
}

/// One row at the end.
#[derive(Serialize)]
struct RowView {
    line: u64,
    person: String,
    /// `done`, `already-issued`, `half-made`, `not-begun`, `refused`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_guid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Shows every row, and how the batch is gone on with.
///
/// # Errors
/// Standard output cannot be written.
pub fn show(
    rows: &[Row],
    entries: &[Entry],
    unusable: &[Unusable],
    again: &str,
    fatal: Option<Failure>,
    format: Format,
) -> Result<Status, Failure> {
    let mut views: Vec<_> = rows.iter().zip(entries).map(|(row, entry)| view(row, &entry.progress)).collect();
    views.extend(unusable.iter().map(|row| RowView {
        line: row.line,
        person: row.person.clone(),
        result: "refused",
        card_guid: None,
        code: Some("malformed"),
        why: Some(row.why.clone()),
    }));
    views.sort_by_key(|view| view.line);
    let count = |results: &[&str]| views.iter().filter(|view| results.contains(&view.result)).count();
    let done = count(&["done", "already-issued"]);
    let (half_made, not_begun, refused) = (count(&["half-made"]), count(&["not-begun"]), count(&["refused"]));
    if format == Format::Json {
        output::json(&views)?;
    } else {
        table(&views)?;
        let counts = [
            ("done", done),
            ("all", views.len()),
            ("half", half_made),
            ("waiting", not_begun),
            ("refused", refused),
        ];
        let counts = counts.map(|(name, count)| (name, count.to_string()));
        let counts = counts.each_ref().map(|(name, count)| (*name, count.as_str()));
        output::line(&texts::say("batched-count", &counts))?;
        if half_made + not_begun > 0 {
            output::line(&texts::say("batched-go-on", &[("command", again)]))?;
        } else if done > 0 {
            output::line(&texts::say("batched-publish", &[]))?;
        }
    }
    match fatal {
        Some(failure) if done == 0 => Err(failure),
        Some(failure) => {
            output::progress(&format!("issuer: {failure}"));
            Ok(Status::Partly)
        }
        None if done == views.len() => Ok(Status::Done),
        None if done > 0 || half_made > 0 => Ok(Status::Partly),
        None => Ok(Status::Failed),
    }
}

fn table(views: &[RowView]) -> Result<(), Failure> {
    let rows = views.iter().map(|view| {
        let what = view.card_guid.clone().or_else(|| view.why.clone()).unwrap_or_default();
        let result = texts::say(result_key(view.result), &[]);
        vec![view.line.to_string(), view.person.clone(), result, what]
    });
    let columns =
        ["batched-column-line", "batched-column-person", "batched-column-result", "batched-column-reason"];
    let columns = columns.map(|key| texts::say(key, &[]));
    output::table(&columns, rows.collect(), &texts::say("batched-no-rows", &[]))
}

fn view(row: &Row, progress: &Progress) -> RowView {
    let (result, card_guid, code, why) = match progress {
        Progress::Waiting | Progress::Taken => ("not-begun", None, None, None),
        Progress::Done { guid, before: false } => ("done", Some(guid.to_string()), None, None),
        Progress::Done { guid, before: true } => ("already-issued", Some(guid.to_string()), None, None),
        Progress::HalfMade { why } => ("half-made", None, None, Some(why.clone())),
        Progress::Refused { code, why } => ("refused", None, Some(*code), Some(why.clone())),
    };
    RowView { line: row.line, person: row.holder.mail.as_str().to_owned(), result, card_guid, code, why }
}

fn words(progress: &Progress) -> String {
    match progress {
        Progress::Waiting | Progress::Taken => texts::say("batched-not-begun", &[]),
        Progress::Done { guid, .. } => texts::say("batched-card", &[("guid", &guid.to_string())]),
        Progress::HalfMade { why } => texts::say("batched-half-made-why", &[("why", why)]),
        Progress::Refused { why, .. } => texts::say("batched-refused-why", &[("why", why)]),
    }
}

fn result_key(result: &str) -> &'static str {
    match result {
        "done" => "batched-done",
        "already-issued" => "batched-already-issued",
        "half-made" => "batched-half-made",
        "not-begun" => "batched-not-begun",
        _ => "batched-refused",
    }
}
