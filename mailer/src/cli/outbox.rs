//! `mailer outbox`: what could not be sent, and why.
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::context::{Context, unique};
use super::report::{Exit, Failure, plain_words, print_text, tell};
use crate::keys::SecretSource;
use crate::ledger::distribution::settle;
use crate::ledger::{Event, Ledger};
use crate::message::address::Address;
use crate::message::terminal_text::safe_line;
use crate::transport::courier::{Courier, MaildirCourier, SmtpCourier};
use crate::transport::endpoint::Endpoint;
use crate::transport::maildir::{Maildir, UniqueName};
use crate::transport::outbox::{DeliveryState, Entry, Outbox as Store, Recipient};
use crate::trust::in_words;

/// Shows or sends what could not be sent before. The outbox holds protected messages only.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer outbox list\n  mailer outbox flush")]
pub(super) struct Outbox {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what waits, and why (the default)
    List {
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
    },
    /// Try again to send everything
    Flush {
        /// Read the mail password from this file or descriptor
        #[arg(long, value_name = "fd:N|PATH")]
        password_file: Option<SecretSource>,
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
    },
    /// Give up on a message: remove it from the outbox
    Remove {
        /// The name that `mailer outbox list` shows
        id: String,
    },
}

impl Outbox {
    pub(super) fn json(&self) -> bool {
        matches!(self.action, Some(Action::List { json: true } | Action::Flush { json: true, .. }))
    }

    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let json = self.json();
        let context = Context::load(home)?;
        let outbox = Store::open(&context.home.outbox())?;
        outbox.sweep(context.now);
        match self.action {
            None | Some(Action::List { .. }) => list(&outbox, json),
            Some(Action::Flush { password_file, .. }) => {
                flush(&context, &outbox, password_file.as_ref(), json)
            }
            Some(Action::Remove { id }) => {
                let _lock = outbox.lock()?;
                let entry = outbox.entry(&id)?;
                give_up(&context, &entry)?;
                outbox.remove(&entry)?;
                print_text(&format!("{id} was removed from the outbox; it will not be sent.\n"))?;
                Ok(Exit::Done)
            }
        }
    }
}

fn list(outbox: &Store, json: bool) -> Result<Exit, Failure> {
    let (entries, damaged) = readable_entries(outbox)?;
    if json {
        let entries: Vec<Value> = entries.iter().map(entry_json).collect();
        print_text(&format!("{}\n", json!({ "entries": entries, "damaged": damaged })))?;
    } else if entries.is_empty() {
        print_text("The outbox is empty.\n")?;
    } else {
        print_text(&entries.iter().map(entry_text).collect::<String>())?;
    }
    finish(Exit::Done, &damaged, json)
}

fn flush(
    context: &Context,
    outbox: &Store,
    password: Option<&SecretSource>,
    json: bool,
) -> Result<Exit, Failure> {
    let lock = outbox.lock()?;
    let (entries, mut damaged) = readable_entries(outbox)?;
    let before: usize = entries.iter().map(delivered).sum();
    let mut after = Vec::new();
    if !entries.is_empty() {
        let mut courier = courier(context, None, password)?;
        for entry in entries {
            // At the first delivery: what never left is not among the sent messages. What a distribution sends is kept there.
            let is_letter = entry.case.as_ref().is_none_or(|case| *case == entry.id);
            let unsent =
                if is_letter && delivered(&entry) == 0 { outbox.first_message(&entry).ok() } else { None };
            match outbox.deliver(entry, &lock, courier.as_mut()) {
                Ok(entry) => {
                    if delivered(&entry) > 0
                        && let Some(message) = unsent
                    {
                        keep_copy(context, &message)?;
                    }
                    write_down(context, outbox, &entry);
                    after.push(entry);
                }
                Err(problem) => damaged.push(problem.to_string()),
            }
        }
    }
    let exit = if after.iter().all(Entry::is_delivered) {
        Exit::Done
    } else if after.iter().map(delivered).sum::<usize>() > before {
        Exit::Partly
    } else {
        Exit::Failed
    };
    if json {
        let entries: Vec<Value> = after.iter().map(entry_json).collect();
        print_text(&format!("{}\n", json!({ "entries": entries, "damaged": damaged, "exit": exit.code() })))?;
    } else if after.is_empty() {
        print_text("The outbox is empty.\n")?;
    } else {
        print_text(&after.iter().map(entry_text).collect::<String>())?;
    }
    finish(exit, &damaged, json)
}

/// What became of an entry of a case goes into the ledger; where it cannot, the entry stays until it can.
pub(super) fn write_down(context: &Context, outbox: &Store, entry: &Entry) {
    let Some(id) = &entry.case else { return };
    let written = Ledger::open(&context.home.ledger()).and_then(|ledger| {
        let case = ledger.case(id)?;
        let lock = case.lock()?;
        Ok((case, lock))
    });
    let settled = written.map_err(|problem| problem.to_string()).and_then(|(case, _lock)| {
        settle(&case, outbox, entry, context.now).map_err(|problem| problem.to_string())
    });
    if let Err(problem) = settled {
        tell(&format!("mailer: {}", plain_words(&problem)));
    }
}

/// Whoever gets nothing because the entry was removed stands in the ledger.
fn give_up(context: &Context, entry: &Entry) -> Result<(), Failure> {
    let Some(id) = &entry.case else { return Ok(()) };
    // A case that is gone has nobody to tell.
    let Ok(case) = Ledger::open(&context.home.ledger())?.case(id) else { return Ok(()) };
    let _lock = case.lock()?;
    for recipient in entry.recipients() {
        let event = match recipient.state {
            DeliveryState::Delivered => Event::Submitted,
            DeliveryState::Attempted => Event::Attempted,
            _ => Event::NotTaken { reason: "it was removed from the outbox".to_owned(), is_final: true },
        };
        if let Ok(address) = recipient.address.parse::<Address>() {
            case.note(&address, event, context.now)?;
        }
    }
    Ok(())
}

pub(super) fn delivered(entry: &Entry) -> usize {
    entry.recipients().filter(|recipient| recipient.is_delivered()).count()
}

/// One's own copy: the message that the visible recipients got, protected as it is. Without it the message went all the same.
pub(super) fn keep_copy(context: &Context, message: &[u8]) -> Result<(), Failure> {
    let folder = context.home.sent();
    let name = UniqueName::new(context.now, &unique()?.word().replace('.', "-"));
    if let Err(problem) = Maildir::create(&folder).and_then(|sent| sent.deliver(&name, message)) {
        tell(&format!("mailer: no copy of the message could be kept in {}: {problem}", folder.display()));
    }
    Ok(())
}

/// Damaged entries are told of, and do not stop the others.
fn finish(exit: Exit, damaged: &[String], json: bool) -> Result<Exit, Failure> {
    if !json {
        for problem in damaged {
            tell(&format!("mailer: {}", safe_line(problem)));
        }
    }
    Ok(if damaged.is_empty() || exit == Exit::Failed { exit } else { Exit::Partly })
}

fn readable_entries(outbox: &Store) -> Result<(Vec<Entry>, Vec<String>), Failure> {
    let mut entries = Vec::new();
    let mut damaged = Vec::new();
    for entry in outbox.entries()? {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(problem) => damaged.push(problem.to_string()),
        }
    }
    Ok((entries, damaged))
}

/// Who carries messages away: the folder that was named, else the configured server, else the configured folder.
pub(super) fn courier(
    context: &Context,
    maildir: Option<&PathBuf>,
    password: Option<&SecretSource>,
) -> Result<Box<dyn Courier>, Failure> {
    match (maildir, &context.config.smtp, &context.config.maildir) {
        (Some(folder), _, _) | (None, None, Some(folder)) => {
            Ok(Box::new(MaildirCourier::new(folder.clone(), context.now, unique()?)))
        }
        (None, Some(url), _) => Ok(Box::new(SmtpCourier::new(
            Endpoint::smtp(url)?,
            context.tls_anchors()?,
            context.credentials(password)?,
        ))),
        (None, None, None) => {
            let message = "no way out is configured; add --smtp or --maildir to mailer setup";
            Err(Failure::new("no-way-out", message))
        }
    }
}

pub(super) fn entry_json(entry: &Entry) -> Value {
    let recipients: Vec<Value> = entry
        .recipients()
        .map(|recipient| {
            let (state, reason) = match &recipient.state {
                DeliveryState::Waiting { reason } => ("waiting", reason.clone()),
                DeliveryState::Refused { reason } => ("refused", Some(reason.clone())),
                DeliveryState::Attempted => ("uncertain", None),
                DeliveryState::Delivered => ("delivered", None),
            };
            json!({ "address": recipient.address, "state": state, "reason": reason.map(|text| safe_line(&text)) })
        })
        .collect();
    json!({ "id": entry.id, "created": entry.created.to_string(), "recipients": recipients })
}

fn entry_text(entry: &Entry) -> String {
    let recipients: String =
        entry.recipients().map(|recipient| format!("  {}\n", recipient_text(recipient))).collect();
    format!("{}, written {}\n{recipients}", entry.id, in_words(entry.created))
}

pub(super) fn recipient_text(recipient: &Recipient) -> String {
    let address = &recipient.address;
    safe_line(&match &recipient.state {
        DeliveryState::Delivered => format!("{address}: delivered"),
        DeliveryState::Attempted => format!(
            "{address}: uncertain, for nobody knows whether it is there; mailer document distribute --resume CASE --uncertain-again sends it again"
        ),
        DeliveryState::Waiting { reason: None } => format!("{address}: waiting"),
        DeliveryState::Waiting { reason: Some(reason) } => {
            format!("{address}: waiting: {}", plain_words(reason))
        }
        DeliveryState::Refused { reason } => format!("{address}: refused: {}", plain_words(reason)),
    })
}
