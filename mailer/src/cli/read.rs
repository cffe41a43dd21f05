//! `mailer read`: one message, with its verdict.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::context::{Context, PinOptions};
use super::list::numbered_entry;
use super::open::{PartOption, facts};
use super::outbox::courier;
use super::receipts::Wanted;
use super::report::{Exit, Failure, plain_words, print_text, tell};
use super::verdict::{Finding, ReleaseOptions};
use crate::config::ReceiptPolicy;
use crate::message::attachment::{safe_name, save};
use crate::message::parse::{self, Readable};
use crate::protection::open::Opened;
use crate::trust::in_words;

/// Reads a message: decrypted with the card, signature judged in one sentence (on stderr).
///
/// Nothing readable is written to the disk, except attachments into the folder that you name.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer read 3 --save-attachments ~/Documents")]
pub(super) struct Read {
    /// The number that `mailer list` shows
    #[arg(value_parser = message_number)]
    number: usize,
    /// Read a sent message
    #[arg(long)]
    sent: bool,
    /// Save the attachments into this folder; existing files are never overwritten
    #[arg(long, value_name = "DIR")]
    save_attachments: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseOptions,
    #[command(flatten)]
    part: PartOption,
    /// Verdict and header as one JSON object on stderr; the text alone on stdout
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Read {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let (maildir, entry) = numbered_entry(&context, self.sent, self.number)?;
        let message = maildir.content(&entry).map_err(|problem| {
            Failure::new("mail-storage", format!("message {} cannot be read: {problem}", self.number))
        })?;
        let policy = self.release.policy();
        let (opened, notes) = self.part.open(&context, &self.pin, &message, policy)?;
        let finding = Finding::new(&opened, policy, &notes);
        let asked = if self.sent { None } else { Asked::of(&context, &opened) };
        let reading = opened.reading();
        let Some(content) = opened.release(policy) else {
            finding.print(self.json, &json!({ "command": "read", "number": self.number }));
            return Ok(finding.exit);
        };
        let readable = parse::read(&content, reading)?;
        let saved =
            self.save_attachments.as_deref().map_or(Ok(Vec::new()), |folder| save_all(folder, &readable))?;
        let asked = asked.map(|asked| asked.answered(&context, &self.pin, &readable));
        if self.json {
            print_text(&readable.text)?;
            finding.print(true, &merged(self.number, &readable, &saved, asked.as_ref()));
        } else {
            finding.print(false, &Value::Null);
            print_text(&shown(&readable, &saved))?;
            if let Some(asked) = &asked {
                tell(&asked.in_words(self.number));
            }
        }
        // The mark is a convenience; a store that is read-only still shows its messages.
        if let Err(problem) = maildir.mark_seen(&entry) {
            tracing::warn!("message {} could not be marked as read: {problem}", self.number);
        }
        Ok(finding.exit)
    }
}

/// A receipt that the message asks for, where the user wants to hear of it.
struct Asked {
    wanted: Wanted,
    gives_itself: bool,
}

/// What became of it.
struct Answered {
    is_given: bool,
    /// What was done about it just now.
    sentence: Option<String>,
}

impl Asked {
    fn of(context: &Context, opened: &Opened) -> Option<Self> {
        let policy = context.config.receipts;
        if policy == ReceiptPolicy::Never {
            return None;
        }
        // What is not believed, or asks others, does not ask the user.
        let wanted = Wanted::of(context, opened).ok()?;
        let signer = opened.verdict().certificate();
        let gives_itself = policy == ReceiptPolicy::Automatic
            && signer.is_some_and(|signer| wanted.goes_only_to(signer))
            && context.pin.is_known()
            && !wanted.is_given();
        Some(Self { wanted, gives_itself })
    }

    /// Gives it where that was configured. The message is read all the same if it cannot be given.
    fn answered(self, context: &Context, pin: &PinOptions, readable: &Readable) -> Answered {
        if !self.gives_itself {
            return Answered { is_given: self.wanted.is_given(), sentence: None };
        }
        let given = courier(context, None, None)
            .and_then(|mut courier| self.wanted.give(context, pin, readable, courier.as_mut()));
        match given {
            Ok(given) => {
                given.tell_problem();
                Answered { is_given: true, sentence: Some(given.in_words()) }
            }
            Err(problem) => {
                tell(&format!("mailer: the receipt was not given: {}", plain_words(&problem.message)));
                Answered { is_given: false, sentence: None }
            }
        }
    }
}

impl Answered {
    fn in_words(&self, number: usize) -> String {
        match &self.sentence {
            Some(sentence) => sentence.clone(),
            None if self.is_given => "A receipt was asked for, and given.".to_owned(),
            None => format!("A receipt is asked for: mailer receipts give {number}"),
        }
    }
}

fn message_number(text: &str) -> Result<usize, &'static str> {
    text.parse().map_err(|_| "a message is named by its number, such as 3")
}

fn save_all(folder: &Path, readable: &Readable) -> Result<Vec<PathBuf>, Failure> {
    readable
        .attachments
        .iter()
        .map(|attached| save(folder, &attached.name, &mut attached.reader()))
        .collect::<Result<_, _>>()
        .map_err(|problem| Failure::file(folder, &problem))
}

fn merged(number: usize, readable: &Readable, saved: &[PathBuf], asked: Option<&Answered>) -> Value {
    let receipt = asked.map(|asked| json!({ "asked": true, "given": asked.is_given }));
    let mut object = json!({ "command": "read", "number": number, "saved": saved, "receipt": receipt });
    if let (Some(object), Some(facts)) = (object.as_object_mut(), facts(readable).as_object()) {
        object.extend(facts.clone());
    }
    object
}

fn shown(readable: &Readable, saved: &[PathBuf]) -> String {
    let mut shown = String::new();
    for (name, people) in [("From", &readable.from), ("To", &readable.to), ("Cc", &readable.cc)] {
        if !people.is_empty() {
            let people: Vec<String> = people.iter().map(ToString::to_string).collect();
            let _ = writeln!(shown, "{name}: {}", people.join(", "));
        }
    }
    if let Some(date) = readable.date {
        let _ = writeln!(shown, "Date: {}", in_words(date));
    }
    let _ = writeln!(shown, "Subject: {}\n\n{}", readable.subject, readable.text.trim_end_matches('\n'));
    for (position, attached) in readable.attachments.iter().enumerate() {
        if position == 0 {
            shown.push('\n');
        }
        let saved =
            saved.get(position).map(|path| format!(", saved as {}", path.display())).unwrap_or_default();
        let size = attached.length;
        let _ = writeln!(
            shown,
            "Attachment: {} ({}, {size} bytes){saved}",
            safe_name(&attached.name),
            attached.media_type
        );
    }
    shown
}
