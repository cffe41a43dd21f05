//! `issuer report`: everything of a kind, as a table, as CSV or as JSON lines; a page at a time.

use std::collections::HashMap;
use std::io::Write;

use clap::ValueEnum;
use serde_json::{Map, Value};

use super::failure::{Failure, Status};
use super::office::Office;
use super::output::{self, Format};
use crate::domain::{CardState, Cardholder, CardholderId, StockIdentity};
use crate::registry::{CardRecord, CertificateRecord, LogEntry};

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
                sheet.row(vec![Some(state), Some(count.to_string())])?;
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

const fn header(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::People => &["name", "mail", "id", "employed_until", "left_at", "card_state", "card_guid"],
        Kind::Cards => {
            &["number", "serial", "stock_guid", "guid", "state", "since", "holder_name", "holder_mail"]
        }
        Kind::Certificates => &[
            "serial",
            "authority",
            "profile",
            "key",
            "subject",
            "mail",
            "not_before",
            "not_after",
            "state",
            "card_number",
            "holder_mail",
        ],
        Kind::Events => &["event", "at", "actor", "subject", "kind", "detail", "hash"],
        Kind::States => &["state", "cards"],
    }
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
            sheet.row(person_row(person, newest.get(&person.id)))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

fn person_row(person: &Cardholder, card: Option<&CardRecord>) -> Vec<Option<String>> {
    vec![
        Some(person.name.as_str().to_owned()),
        Some(person.mail.as_str().to_owned()),
        person.staff_id.as_ref().map(|id| id.as_str().to_owned()),
        person.employed_until.map(|day| day.to_string()),
        person.left.map(|at| at.to_string()),
        card.map(|card| card.card.state().name().to_owned()),
        card.and_then(|card| card.card.guid()).map(|guid| guid.to_string()),
    ]
}

async fn cards(office: &Office, state: Option<&str>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page = office.registry.cards_page(after, state).await?;
        let holders = page.rows.iter().filter_map(|card| card.card.state().holder());
        let people = office.registry.people_numbered(holders).await?;
        for card in &page.rows {
            let holder = card.card.state().holder().and_then(|id| people.get(&id));
            sheet.row(card_row(card, holder))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

fn card_row(record: &CardRecord, holder: Option<&Cardholder>) -> Vec<Option<String>> {
    let (serial, stock_guid) = match record.identity {
        StockIdentity::VendorSerial(serial) => (Some(serial.to_string()), None),
        StockIdentity::Guid(guid) => (None, Some(guid.to_string())),
    };
    let state = record.card.state();
    vec![
        Some(record.id.0.to_string()),
        serial,
        stock_guid,
        record.card.guid().map(|guid| guid.to_string()),
        Some(state.name().to_owned()),
        state.since().map(|since| since.to_string()),
        holder.map(|holder| holder.name.as_str().to_owned()),
        holder.map(|holder| holder.mail.as_str().to_owned()),
    ]
}

async fn certificates(office: &Office, state: Option<&str>, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = Vec::new();
    loop {
        let page = office.registry.certificates_page(&after, state).await?;
        let holders = page.rows.iter().filter_map(|certificate| certificate.holder);
        let people = office.registry.people_numbered(holders).await?;
        for certificate in &page.rows {
            let holder = certificate.holder.and_then(|id| people.get(&id));
            sheet.row(certificate_row(certificate, holder))?;
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

fn certificate_row(record: &CertificateRecord, holder: Option<&Cardholder>) -> Vec<Option<String>> {
    vec![
        Some(record.serial.to_string()),
        Some(record.authority.as_str().to_owned()),
        Some(record.profile.clone()),
        record.card_key.map(|key| key.as_str().to_owned()),
        Some(record.subject.clone()),
        record.mail.clone(),
        Some(record.not_before.to_string()),
        Some(record.not_after.to_string()),
        Some(record.state.state().name().to_owned()),
        record.card.map(|(card, _)| card.0.to_string()),
        holder.map(|holder| holder.mail.as_str().to_owned()),
    ]
}

async fn events(office: &Office, sheet: &mut Sheet) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let entries = office.registry.log_after(after).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = last.record.sequence;
        for LogEntry { record, hash } in entries {
            sheet.row(vec![
                Some(record.sequence.to_string()),
                Some(record.at.to_string()),
                Some(record.actor),
                Some(record.subject.to_string()),
                Some(record.kind),
                Some(record.detail),
                Some(hash.to_string()),
            ])?;
        }
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
        let header = header(arguments.kind);
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

    fn row(&mut self, cells: Vec<Option<String>>) -> Result<(), Failure> {
        match &mut self.form {
            Form::Table(rows) => {
                rows.push(cells.into_iter().map(Option::unwrap_or_default).collect());
                Ok(())
            }
            Form::Csv(writer) => {
                let cells = cells.into_iter().map(|cell| inert(cell.unwrap_or_default()));
                written(writer.write_record(cells))
            }
            Form::JsonLines => {
                let object: Map<String, Value> = self
                    .header
                    .iter()
                    .zip(cells)
                    .map(|(name, cell)| ((*name).to_owned(), cell.map_or(Value::Null, Value::String)))
                    .collect();
                let mut output = std::io::stdout().lock();
                output::judged(writeln!(output, "{}", Value::Object(object)))
            }
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self.form {
            Form::Table(rows) => {
                let header: Vec<_> =
                    self.header.iter().map(|name| name.to_uppercase().replace('_', " ")).collect();
                let header: Vec<_> = header.iter().map(String::as_str).collect();
                output::table(&header, rows, "There is nothing to report.")
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
