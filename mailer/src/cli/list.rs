//! `mailer list`: the messages that were fetched or sent.
use std::path::PathBuf;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::json;

use super::context::Context;
use super::report::{Exit, Failure, print_text, tell};
use crate::content::Content;
use crate::message::confidentiality::HIDDEN_SUBJECT;
use crate::message::parse::{Readable, read_header};
use crate::message::part::Part;
use crate::message::secured::{ObjectKind, Protection, protection};
use crate::transport::maildir::{Entry, Maildir};
use crate::trust::in_words;

/// Lists the messages, oldest first. Nothing is decrypted, so the subject of an encrypted message is mostly [...]; read shows it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer list\n  mailer list --sent --json")]
pub(super) struct List {
    /// List sent messages
    #[arg(long)]
    sent: bool,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

/// Enough of a message for its header and, where it is opaque, the beginning of its object.
const START: u64 = 64 * 1024;

struct Line {
    number: usize,
    is_seen: bool,
    protection: &'static str,
    header: Readable,
}

impl List {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let maildir = store(&context, self.sent)?;
        let mut lines = Vec::new();
        for (position, entry) in entries(&maildir)?.iter().enumerate() {
            let start = maildir.read_start(entry, START).map_err(unreadable)?;
            lines.push(Line {
                number: position + 1,
                is_seen: entry.is_seen,
                protection: protection_in_a_word(&start),
                header: read_header(&start),
            });
        }
        print_text(&if self.json { as_json(&lines) } else { as_table(&lines, self.sent) })?;
        let is_hidden =
            |line: &&Line| line.protection == "encrypted" && line.header.subject == HIDDEN_SUBJECT;
        if let Some(Line { number, .. }) = lines.iter().find(is_hidden).filter(|_| !self.json) {
            let sent = if self.sent { "--sent " } else { "" };
            tell(&format!(
                "{HIDDEN_SUBJECT} is an encrypted subject; see it with: mailer read {sent}{number}"
            ));
        }
        Ok(Exit::Done)
    }
}

/// The message with a number of the list.
pub(super) fn numbered_entry(
    context: &Context,
    sent: bool,
    number: usize,
) -> Result<(Maildir, Entry), Failure> {
    let maildir = store(context, sent)?;
    let mut entries = entries(&maildir)?;
    if number == 0 || number > entries.len() {
        let message = match entries.len() {
            0 => "there are no messages yet; get them with: mailer fetch".to_owned(),
            count => format!("there is no message {number}; mailer list shows 1 to {count}"),
        };
        return Err(Failure::new("no-such-message", message));
    }
    Ok((maildir, entries.swap_remove(number - 1)))
}

/// All messages.
pub(super) fn all_entries(context: &Context, sent: bool) -> Result<(Maildir, Vec<Entry>), Failure> {
    let maildir = store(context, sent)?;
    let entries = entries(&maildir)?;
    Ok((maildir, entries))
}

fn store(context: &Context, sent: bool) -> Result<Maildir, Failure> {
    let folder = if sent { context.home.sent() } else { context.home.mail() };
    Maildir::create(&folder).map_err(|problem| Failure::file(&folder, &problem))
}

fn entries(maildir: &Maildir) -> Result<Vec<Entry>, Failure> {
    maildir.entries().map_err(unreadable)
}

#[allow(clippy::needless_pass_by_value)] // the shape that map_err wants
fn unreadable(problem: std::io::Error) -> Failure {
    Failure::new("mail-storage", format!("the mail store cannot be read: {problem}"))
}

/// What the outside shows; whether a signature is good, only reading tells.
fn protection_in_a_word(start: &[u8]) -> &'static str {
    let Ok(part) = Part::read(&Content::from_vec(start.to_vec())) else { return "other" };
    match protection(&part) {
        Ok(Protection::Object { kind: ObjectKind::Enveloped | ObjectKind::AuthEnveloped, .. }) => "encrypted",
        Ok(Protection::Object { kind: ObjectKind::Signed, .. } | Protection::Detached { .. }) => "signed",
        Ok(Protection::Object { .. }) => "other",
        Ok(Protection::None) => "plain",
        // Only the beginning was read: the type says what the rest will be.
        Err(_) => match part.media_type() {
            Ok(media_type) if media_type.essence == "multipart/signed" => "signed",
            Ok(media_type)
                if media_type.parameter("smime-type").is_some_and(|kind| kind.ends_with("nveloped-data")) =>
            {
                "encrypted"
            }
            _ => "other",
        },
    }
}

fn as_json(lines: &[Line]) -> String {
    let people = |list: &[crate::message::parse::Correspondent]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let messages: Vec<_> = lines
        .iter()
        .map(|line| {
            json!({
                "number": line.number,
                "date": line.header.date.map(|date| date.to_string()),
                "from": people(&line.header.from),
                "to": people(&line.header.to),
                "subject": line.header.subject,
                "protection": line.protection,
                "read": line.is_seen,
            })
        })
        .collect();
    format!("{}\n", json!({ "messages": messages }))
}

fn as_table(lines: &[Line], sent: bool) -> String {
    if lines.is_empty() {
        return "No messages.\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header([
        "No",
        "Date",
        if sent { "To" } else { "From" },
        "Subject",
        "State",
    ]);
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines {
        let people = if sent { &line.header.to } else { &line.header.from };
        let person = people.first().map(ToString::to_string).unwrap_or_default();
        let state = if line.is_seen || sent {
            line.protection.to_owned()
        } else {
            format!("{}, new", line.protection)
        };
        table.add_row([
            line.number.to_string(),
            line.header.date.map(in_words).unwrap_or_default(),
            shortened(&person, 34),
            shortened(&line.header.subject, 48),
            state,
        ]);
    }
    format!("{table}\n")
}

fn shortened(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let start: String = text.chars().take(longest - 1).collect();
    format!("{start}…")
}
