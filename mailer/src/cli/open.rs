//! `mailer open`: a protected message in, a readable one out, with a verdict.
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::context::{Context, PinOptions};
use super::input::read_stdin;
use super::report::{Exit, Failure, print_bytes};
use super::verdict::{Finding, ReleaseOptions};
use crate::keys::KeyRing;
use crate::message::terminal_text::safe_text;
use crate::protection::open::{self as opening, Opened};
use crate::trust::Judge;

/// Filter: a protected message on stdin comes out readable, with a verdict on stderr.
///
/// A message that was changed gives nothing on stdout and exit code 4. A good signature of a signer who is not trusted
/// (unknown issuer, expired, revoked) gives the verdict and exit code 4, and content only with --show-untrusted; so does a
/// message that is encrypted without authentication (AES-CBC) and not signed inside, for anybody may have changed it. Any
/// other unsigned message gives its content and exit code 0.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer open --pin-file fd:3 < protected.eml > readable.eml 3< pin")]
pub(super) struct Open {
    #[command(flatten)]
    release: ReleaseOptions,
    /// Verdict as one JSON object on stderr
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Open {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let message = read_stdin()?;
        let policy = self.release.policy();
        let (opened, notes) = open_message(&context, &self.pin, &message)?;
        let finding = Finding::new(&opened, policy, &notes);
        if let Some(content) = opened.release(policy) {
            if std::io::stdout().is_terminal() {
                print_bytes(safe_text(&String::from_utf8_lossy(&content)).as_bytes())?;
            } else {
                print_bytes(&content)?;
            }
        }
        finding.print(self.json, &json!({ "command": "open" }));
        Ok(finding.exit)
    }
}

/// Opens a message with the configured card, anchors and directory; answers also why the directory could not be asked.
pub(super) fn open_message(
    context: &Context,
    pin: &PinOptions,
    message: &[u8],
) -> Result<(Opened, Vec<String>), Failure> {
    let anchors = context.anchors()?;
    let mut directory = context.directory()?;
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut directory,
        at: context.now,
        unknown_revocation: context.unknown_revocation(),
    };
    let mut keys = || context.card(pin).map(|card| Box::new(card) as Box<dyn KeyRing>);
    let opened = opening::open(message, &mut keys, &mut judge)?;
    let mut notes: Vec<String> = directory.take_problems().iter().map(ToString::to_string).collect();
    notes.dedup();
    Ok((opened, notes))
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
                "bytes": attached.content.len(),
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
