//! `mailer open`: a protected message in, a readable one out, with a verdict.
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::algorithms::remember;
use super::context::{Context, PinOptions};
use super::input::stdin_content;
use super::labels::own_clearance;
use super::report::{Exit, Failure, write_out};
use super::verdict::{Finding, ReleaseOptions};
use crate::content::Content;
use crate::keys::KeyRing;
use crate::message::terminal_text::safe_text;
use crate::protection::inner_parts::separate_message;
use crate::protection::labels::ClearanceQuestion;
use crate::protection::open::{self as opening, Opened, ReleasePolicy};
use crate::trust::Judge;

/// Filter: a protected message of any length on stdin comes out readable, with a verdict on stderr.
///
/// A message that was changed gives nothing on stdout and exit code 4. A good signature of a signer who is not trusted
/// (unknown issuer, expired, revoked) gives the verdict and exit code 4, and content only with --show-untrusted; so does a
/// message that is encrypted without authentication (AES-CBC) and not signed inside, for anybody may have changed it: then
/// only as texts and files. Any other unsigned message gives its content and exit code 0. Parts that are signed by themselves
/// are told about; encrypted ones among other parts stay closed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer open --pin-file fd:3 < protected.eml > readable.eml 3< pin")]
pub(super) struct Open {
    #[command(flatten)]
    release: ReleaseOptions,
    #[command(flatten)]
    part: PartOption,
    /// Verdict as one JSON object on stderr
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Open {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let message = stdin_content()?;
        let policy = self.release.policy();
        let (opened, notes) = self.part.open(&context, &self.pin, &message, policy)?;
        let finding = Finding::new(&opened, policy, &notes);
        if let Some(content) = opened.release(policy) {
            if std::io::stdout().is_terminal() {
                write_out(|out| write_safely(&content, out))?;
            } else {
                write_out(|out| content.write_to(out))?;
            }
        }
        finding.print(self.json, &json!({ "command": "open" }));
        Ok(finding.exit)
    }
}

/// A part that is opened as a message of its own.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PartOption {
    /// Open this part alone, as a message of its own; its number is in the verdict about the whole message
    #[arg(long, value_name = "NUMBER")]
    part: Option<String>,
}

impl PartOption {
    /// Opens the message, or the part of it that was asked for: as a message that nobody put anything around.
    pub(super) fn open(
        &self,
        context: &Context,
        pin: &PinOptions,
        message: &Content,
        policy: ReleasePolicy,
    ) -> Result<(Opened, Vec<String>), Failure> {
        let opened = open_message(context, pin, message)?;
        let Some(position) = &self.part else { return Ok(opened) };
        let whole = opened.0.release(policy).ok_or_else(|| {
            Failure::new(
                "withheld",
                "the message around the part is withheld; see the verdict without --part",
            )
        })?;
        match separate_message(&whole, position)? {
            Some(part) => open_message(context, pin, &part),
            None => Err(Failure::new("no-such-part", format!("the message has no part {position}"))),
        }
    }
}

/// A piece at a time, cut at line ends, in a form that cannot steer a terminal.
fn write_safely(content: &Content, out: &mut dyn Write) -> std::io::Result<()> {
    let mut lines = BufReader::with_capacity(64 * 1024, content.reader());
    let mut line = Vec::new();
    while lines.by_ref().take(64 * 1024).read_until(b'\n', &mut line)? > 0 {
        out.write_all(safe_text(&String::from_utf8_lossy(&line)).as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// Opens a message with the configured card, anchors and directory, and remembers what trusted signers say they can read;
/// answers also why the directory could not be asked.
pub(super) fn open_message(
    context: &Context,
    pin: &PinOptions,
    message: &Content,
) -> Result<(Opened, Vec<String>), Failure> {
    let mut keys = || context.card(pin).map(|card| Box::new(card) as Box<dyn KeyRing>);
    let mut clearance = |question: &mut ClearanceQuestion<'_>| own_clearance(context, question);
    let (opened, mut notes) =
        judging(context, |judge| Ok(opening::open_cleared(message, &mut keys, judge, &mut clearance)?))?;
    if let Err(problem) = remember(context, &opened) {
        notes.push(problem.to_string());
    }
    Ok((opened, notes))
}

/// Judges with the configured anchors and directory; answers also why the directory could not be asked.
pub(super) fn judging<T>(
    context: &Context,
    judge_something: impl FnOnce(&mut Judge<'_>) -> Result<T, Failure>,
) -> Result<(T, Vec<String>), Failure> {
    let anchors = context.anchors()?;
    let mut directory = context.directory()?;
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut directory,
        at: context.now,
        unknown_revocation: context.unknown_revocation(),
    };
    let judged = judge_something(&mut judge)?;
    let mut notes: Vec<String> = directory.take_problems().iter().map(ToString::to_string).collect();
    notes.dedup();
    Ok((judged, notes))
}

/// Facts about a message for JSON.
pub(super) fn facts(readable: &crate::message::parse::Readable) -> Value {
    let people = |list: &[crate::message::parse::Correspondent]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let attachments: Vec<Value> = readable
        .attachments
        .iter()
        .map(|attached| {
            json!({
                "name": crate::message::attachment::safe_name(&attached.name),
                "media_type": attached.media_type,
                "bytes": attached.length,
            })
        })
        .collect();
    json!({
        "from": people(&readable.from),
        "to": people(&readable.to),
        "cc": people(&readable.cc),
        "date": readable.date.map(|date| date.to_string()),
        "subject": readable.subject,
        "attachments": attachments,
    })
}
