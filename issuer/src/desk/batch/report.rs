//! What a batch came to at its end.

use serde::Serialize;

use super::queue::{Entry, Progress};
use super::rows::{Row, Unusable};
use crate::desk::failure::{Failure, Status};
use crate::desk::output::{self, Format};
use crate::desk::texts;

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
    message: Option<String>,
    /// The same for whoever works there.
    #[serde(skip)]
    said: Option<String>,
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
        code: Some(row.why.code),
        message: Some(row.why.message.clone()),
        said: Some(row.why.said.clone()),
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
            output::progress(&format!("issuer: {}", texts::failure(&failure)));
            Ok(Status::Partly)
        }
        None if done == views.len() => Ok(Status::Done),
        None if done > 0 || half_made > 0 => Ok(Status::Partly),
        None => Ok(Status::Failed),
    }
}

fn table(views: &[RowView]) -> Result<(), Failure> {
    let rows = views.iter().map(|view| {
        let what: Vec<_> = view.card_guid.iter().chain(&view.said).cloned().collect();
        let what = what.join("; ");
        let result = texts::say(result_key(view.result), &[]);
        vec![view.line.to_string(), view.person.clone(), result, what]
    });
    let columns =
        ["batched-column-line", "batched-column-person", "batched-column-result", "batched-column-reason"];
    let columns = columns.map(|key| texts::say(key, &[]));
    output::table(&columns, rows.collect(), &texts::say("batched-no-rows", &[]))
}

fn view(row: &Row, progress: &Progress) -> RowView {
    let (result, card_guid, why) = match progress {
        Progress::Waiting | Progress::Taken => ("not-begun", None, None),
        Progress::Done { guid, before: false, as_ordered } => ("done", Some(guid), as_ordered.as_ref()),
        Progress::Done { guid, before: true, .. } => ("already-issued", Some(guid), None),
        Progress::HalfMade(why) => ("half-made", None, Some(why)),
        Progress::Refused(why) => ("refused", None, Some(why)),
    };
    RowView {
        line: row.line,
        person: row.holder.mail.as_str().to_owned(),
        result,
        card_guid: card_guid.map(ToString::to_string),
        code: why.map(|why| why.code),
        message: why.map(|why| why.message.clone()),
        said: why.map(|why| why.said.clone()),
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
