//! `mailer document status`: who has a document, and who has given a receipt for it.
use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::report::{Exit, Failure, plain_words, print_text, tell};
use crate::ledger::{Case, Delivery, Ledger, RecipientState, StrangersReceipt};
use crate::message::terminal_text::safe_line;
use crate::trust::in_words;

/// Shows who has a document, and who has given a receipt for it.
///
/// Take in what came back first: `mailer fetch && mailer receipts`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer document status\n  mailer document status 20261130T081500Z-1a2b3c4d"
)]
pub(in super::super) struct Status {
    /// The case [default: an overview of all]
    #[arg(value_name = "CASE")]
    case: Option<String>,
    /// Only those who have given no receipt
    #[arg(long, requires = "case")]
    missing: bool,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
}

impl Status {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let ledger = Ledger::open(&context.home.ledger())?;
        match &self.case {
            Some(id) => self.one(&ledger.case(id)?),
            None => self.all(&ledger),
        }
    }

    fn one(&self, case: &Case) -> Result<Exit, Failure> {
        let mut states = case.states()?;
        if self.missing {
            states.retain(|state| state.receipt.is_none());
        }
        let strangers = case.strangers_receipts()?;
        if self.json {
            print_text(&format!("{}\n", case_json(case, &states, &strangers)))?;
            return Ok(Exit::Done);
        }
        let record = case.record();
        let mut table = table(["recipient", "delivery", "receipt"]);
        for state in &states {
            table.add_row([
                safe_line(&state.address),
                plain_words(&delivery_in_words(&state.delivery)),
                plain_words(&receipt_in_words(state)),
            ]);
        }
        let document = record.document.as_ref().map(|document| format!("{}, ", safe_line(&document.name)));
        print_text(&format!(
            "{}: {}{}, signed {}\n{table}\n",
            record.id,
            document.unwrap_or_default(),
            safe_line(&record.subject),
            in_words(record.signed)
        ))?;
        print_text(&not_counted(&states, &strangers))?;
        Ok(Exit::Done)
    }

    fn all(&self, ledger: &Ledger) -> Result<Exit, Failure> {
        let mut table =
            table(["case", "document", "subject", "recipients", "have it", "uncertain", "receipts"]);
        let (mut objects, mut exit) = (Vec::new(), Exit::Done);
        for case in ledger.cases()? {
            let facts = case.and_then(|case| Ok((case.states()?, case.strangers_receipts()?, case)));
            let (states, strangers, case) = match facts {
                Ok(facts) => facts,
                Err(problem) => {
                    tell(&format!("mailer: {}", plain_words(&problem.to_string())));
                    exit = Exit::Partly;
                    continue;
                }
            };
            let record = case.record();
            let count =
                |is_so: fn(&RecipientState) -> bool| states.iter().filter(|state| is_so(state)).count();
            let (have, receipts) =
                (count(RecipientState::is_submitted), count(|state| state.receipt.is_some()));
            let document = record.document.as_ref().map(|document| document.name.clone()).unwrap_or_default();
            table.add_row([
                record.id.clone(),
                safe_line(&document),
                safe_line(&record.subject),
                states.len().to_string(),
                have.to_string(),
                count(|state| state.delivery == Delivery::Uncertain).to_string(),
                receipts.to_string(),
            ]);
            objects.push(case_json(&case, &states, &strangers));
        }
        if self.json {
            print_text(&format!("{}\n", json!({ "cases": objects, "exit": exit.code() })))?;
        } else if objects.is_empty() {
            print_text("Nothing was sent with receipts asked for.\n")?;
        } else {
            print_text(&format!("{table}\n"))?;
        }
        Ok(exit)
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}

/// How far a message got, in words.
pub(super) fn delivery_in_words(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Pending => "not sent yet".to_owned(),
        Delivery::Stored => "in the outbox".to_owned(),
        Delivery::Uncertain => "uncertain: the program ended while it was handed over".to_owned(),
        Delivery::Submitted(at) => format!("sent {}", in_words(*at)),
        Delivery::NotTaken { reason, is_final: true } => format!("refused: {reason}"),
        Delivery::NotTaken { reason, is_final: false } => format!("not sent: {reason}"),
    }
}

/// A line for each receipt that does not count, with the file that was kept.
fn not_counted(states: &[RecipientState], strangers: &[StrangersReceipt]) -> String {
    let own = states.iter().flat_map(|state| {
        state.refused.iter().map(|(file, _, reason)| (state.address.as_str(), file.as_str(), reason.as_str()))
    });
    let of_others = strangers
        .iter()
        .map(|receipt| (receipt.from.as_str(), receipt.file.as_str(), receipt.reason.as_str()));
    own.chain(of_others)
        .map(|(from, file, reason)| {
            let from = if from.is_empty() { "somebody" } else { from };
            let line = format!("A receipt of {from} does not count: {reason} ({file})");
            format!("{}\n", plain_words(&line))
        })
        .collect()
}

fn receipt_in_words(state: &RecipientState) -> String {
    let refused = match state.refused.len() {
        0 => String::new(),
        1 => "; one does not count".to_owned(),
        count => format!("; {count} do not count"),
    };
    let given = match &state.receipt {
        None => "-".to_owned(),
        Some(given) => match (given.proven, given.claimed) {
            (Some(proven), _) => format!("given before {} by a trusted time stamp", in_words(proven)),
            (None, Some(claimed)) => format!("given {} by the recipient's clock", in_words(claimed)),
            (None, None) => "given".to_owned(),
        },
    };
    format!("{given}{refused}")
}

/// A case with its recipients, for programs.
pub(super) fn case_json(case: &Case, states: &[RecipientState], strangers: &[StrangersReceipt]) -> Value {
    let record = case.record();
    let recipients: Vec<Value> = states
        .iter()
        .map(|state| {
            let (delivery, at, reason) = match &state.delivery {
                Delivery::Pending => ("pending", None, None),
                Delivery::Stored => ("stored", None, None),
                Delivery::Uncertain => ("uncertain", None, None),
                Delivery::Submitted(at) => ("submitted", Some(at.to_string()), None),
                Delivery::NotTaken { reason, is_final } => {
                    (if *is_final { "refused" } else { "not-sent" }, None, Some(safe_line(reason)))
                }
            };
            let receipt = state.receipt.as_ref().map(|given| {
                json!({
                    "claimed": given.claimed.map(|time| time.to_string()),
                    "proven": given.proven.map(|time| time.to_string()),
                    "signer": safe_line(&given.signer), "file": given.file,
                })
            });
            let refused: Vec<Value> = state
                .refused
                .iter()
                .map(
                    |(file, code, reason)| json!({ "file": file, "code": code, "reason": safe_line(reason) }),
                )
                .collect();
            json!({
                "address": safe_line(&state.address), "delivery": delivery, "submitted": at, "reason": reason,
                "receipt": receipt, "refused_receipts": refused,
            })
        })
        .collect();
    json!({
        "case": record.id, "subject": safe_line(&record.subject), "signed": record.signed.to_string(),
        "document": record.document.as_ref().map(|document| json!({
            "name": safe_line(&document.name), "octets": document.octets, "sha256": document.sha256,
        })),
        "receipts_until": record.receipts_until.map(|until| until.to_string()),
        "recipients": recipients,
        "refused_receipts_of_others": strangers.iter().map(|receipt| json!({
            "from": safe_line(&receipt.from), "file": receipt.file, "code": receipt.code, "reason": safe_line(&receipt.reason),
        })).collect::<Vec<_>>(),
    })
}
