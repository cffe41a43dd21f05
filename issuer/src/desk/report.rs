//! `issuer report`: everything of a kind, as a table, as CSV or as JSON lines; a page at a time.

use std::collections::HashMap;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use super::views::{CardView, CertificateView, EventView, PersonView};
use crate::domain::{CardState, CardholderId};
use crate::registry::CardRecord;

/// What `report` was told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// What of
    #[arg(value_enum)]
    kind: Kind,
    /// Only cards or certificates in this state: "on hold", active, revoked...
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// As CSV (RFC 4180); --json gives one JSON object a line
    #[arg(long)]
    csv: bool,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Everybody, with the newest card of each
    People,
    /// Every card
    Cards,
    /// Every certificate
    Certificates,
    /// The log
    Events,
    /// How many cards are in each state
    States,
}

/// The states of certificates, as the registry names them.
const CERTIFICATE_STATES: [&str; 5] = ["to be signed", "signed", "delivered", "on hold", "revoked"];

/// Writes a report.
///
/// # Errors
/// A state that is none, or a registry that cannot be read.
pub async fn run(office: &Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    let state = state(arguments)?;
    let mut sheet = Sheet::new(arguments, format)?;
    match arguments.kind {
        Kind::People => people(office, &mut sheet).await?,
        Kind::Cards => cards(office, state.as_deref(), &mut sheet).await?,
        Kind::Certificates => certificates(office, state.as_deref(), &mut sheet).await?,
        Kind::Events => events(office, &mut sheet).await?,
        Kind::States => {
            for (state, count) in office.registry.card_counts().await? {
                sheet.row(&CountView { state, cards: count })?;
            }
        }
    }
    sheet.finish()?;
    Ok(Status::Done)
}

/// The state as the registry names it, however it was typed.
fn state(arguments: &Arguments) -> Result<Option<String>, Failure> {
    let Some(text) = &arguments.state else { return Ok(None) };
    let names: &[&str] = match arguments.kind {
        Kind::Cards => &CardState::NAMES,
        Kind::Certificates => &CERTIFICATE_STATES,
        _ => return Err(Failure::usage("--state is for cards and certificates")),
    };
    let typed = text.replace('-', " ");
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(&typed));
    found
        .map(|name| Some((*name).to_owned()))
        .ok_or_else(|| Failure::usage(format!("{text:?} is no state; there are: {}", names.join(", "))))
}

async fn people(office: &Office, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page = office.registry.people_page(after).await?;
        let ids: Vec<_> = page.rows.iter().map(|person| person.id).collect();
        let mut newest: HashMap<CardholderId, CardRecord> = HashMap::new();
        for card in office.registry.cards_of_all(&ids).await? {
            if let Some(holder) = card.card.state().holder() {
                newest.entry(holder).or_insert(card);
            }
        }
        for person in &page.rows {
            sheet.row(&PersonView::new(person, newest.get(&person.id)))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

async fn cards(office: &Office, state: Option<&str>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page = office.registry.cards_page(after, state).await?;
        let holders = page.rows.iter().filter_map(|card| card.card.state().holder());
        let people = office.registry.people_numbered(holders).await?;
        for card in &page.rows {
            let holder = card.card.state().holder().and_then(|id| people.get(&id));
            sheet.row(&CardView::new(card, holder, texts::of(Format::Json)))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

async fn certificates(office: &Office, state: Option<&str>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = Vec::new();
    loop {
        let page = office.registry.certificates_page(&after, state).await?;
        let holders = page.rows.iter().filter_map(|certificate| certificate.holder);
        let people = office.registry.people_numbered(holders).await?;
        for certificate in &page.rows {
            let holder = certificate.holder.and_then(|id| people.get(&id));
            sheet.row(&CertificateView::new(certificate, holder))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

async fn events(office: &Office, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let entries = office.registry.log_after(after).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = last.record.sequence;
        for entry in entries {
            sheet.row(&EventView::new(entry))?;
        }
    }
}

/// How many cards are in a state.
#[derive(Serialize)]
struct CountView {
    state: String,
    cards: u64,
}

const fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::People => PersonView::FIELDS,
        Kind::Cards => CardView::FIELDS,
        Kind::Certificates => CertificateView::FIELDS,
        Kind::Events => EventView::FIELDS,
        Kind::States => &["state", "cards"],
    }
}

/// Where the rows go.
struct Sheet {
    header: &'static [&'static str],
    form: Form,
}

enum Form {
    /// Kept until the widths of all columns are known.
    Table(Vec<Vec<String>>),
    Csv(Box<csv::Writer<std::io::Stdout>>),
    JsonLines,
}

impl Sheet {
    fn new(arguments: &Arguments, format: Format) -> Result<Self, Failure> {
        let header = fields(arguments.kind);
        let form = match (arguments.csv, format) {
            (true, Format::Json) => return Err(Failure::usage("say either --csv or --json")),
            (true, Format::Text) => {
                let mut writer = csv::Writer::from_writer(std::io::stdout());
                written(writer.write_record(header))?;
                Form::Csv(Box::new(writer))
            }
            (false, Format::Json) => Form::JsonLines,
            (false, Format::Text) => Form::Table(Vec::new()),
        };
        Ok(Self { header, form })
    }

    /// One row: a JSON object, or its values in the order of the header.
    fn row(&mut self, view: &impl Serialize) -> Result<(), Failure> {
        let unwritable = |error: serde_json::Error| Failure::new("io", error.to_string());
        if matches!(self.form, Form::JsonLines) {
            let line = serde_json::to_string(view).map_err(unwritable)?;
            let mut output = std::io::stdout().lock();
            return output::judged(writeln!(output, "{line}"));
        }
        let object = serde_json::to_value(view).map_err(unwritable)?;
        let cells = self.header.iter().map(|name| match object.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        });
        match &mut self.form {
            Form::Table(rows) => rows.push(cells.collect()),
            Form::Csv(writer) => written(writer.write_record(cells.map(inert)))?,
            Form::JsonLines => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Table(rows) => {
                let header: Vec<_> =
                    self.header.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
                let header: Vec<_> = header.iter().map(String::as_str).collect();
                output::table(&header, rows, &texts::say("report-nothing", &[]))
            }
            Form::Csv(mut writer) => output::judged(writer.flush()),
            Form::JsonLines => output::judged(std::io::stdout().flush()),
        }
    }
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe in front, which the spreadsheet hides.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

fn written(result: csv::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.is_io_error() => match error.into_kind() {
            csv::ErrorKind::Io(error) => output::judged(Err(error)),
            _ => Ok(()),
        },
        Err(error) => Err(Failure::new("io", error.to_string())),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_formula() {
        assert_eq!(inert("=1+2".to_owned()), "'=1+2");
        assert_eq!(inert("Alice Ng".to_owned()), "Alice Ng");
    }
}
