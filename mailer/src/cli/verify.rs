//! `mailer verify`: the verdict about a message or a CMS signature, and nothing of its content.
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::context::{Context, PinOptions};
use super::input::{file_content, stdin_content};
use super::open::{judging, open_message};
use super::report::{Exit, Failure, print_text};
use super::verdict::{Finding, verdict_json};
use crate::content::Content;
use crate::message::mime::MimeError;
use crate::message::terminal_text::safe_text;
use crate::protection::open::ReleasePolicy;
use crate::smime;
use crate::trust::Verdict;

/// Says who signed a message, and whether to believe it; prints no content.
///
/// Reads a mail of any length from a file or standard input. The card is needed only for an encrypted one. With --content, FILE
/// is a CMS signature (DER) over the octets of that file; with --cms alone it carries its content itself.
///
/// Exit code 0 means signed and trusted, 4 anything else that could be read, unsigned mail included.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer verify letter.eml\n  mailer verify --content report.pdf report.pdf.p7s --json"
)]
pub(super) struct Verify {
    /// The message [default: standard input]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// FILE is a CMS SignedData, not a mail
    #[arg(long)]
    cms: bool,
    /// The octets that the CMS SignedData in FILE signs
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Verify {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let input = self.file.as_deref().map_or_else(stdin_content, file_content)?;
        if self.cms || self.content.is_some() {
            return self.cms(&context, &input);
        }
        let (opened, notes) = open_message(&context, &self.pin, &input)?;
        let policy = ReleasePolicy { require_signed: true, show_untrusted: false };
        let finding = Finding::new(&opened, policy, &notes);
        if self.json {
            let mut object = finding.to_json(&json!({ "command": "verify" }));
            if let Some(object) = object.as_object_mut() {
                object.remove("content");
            }
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&finding.in_words())?;
        }
        Ok(finding.exit)
    }

    /// A CMS object names no author, so the signer is judged by the certificate's own addresses.
    fn cms(&self, context: &Context, object: &Content) -> Result<Exit, Failure> {
        let content = self.content.as_deref().map(file_content).transpose()?;
        let (verdict, notes) = judging(context, |judge| {
            Ok(match smime::verify(object, content.as_ref(), &[]) {
                Ok(signed) => judge.signed_message(&signed, &[]),
                Err(smime::VerifyError::Io(problem)) => return Err(MimeError::from(problem).into()),
                Err(problem) => Verdict::unreadable(&problem),
            })
        })?;
        let exit = if verdict.is_trusted() { Exit::Done } else { Exit::NotTrusted };
        if self.json {
            let notes: Vec<Value> = notes.iter().map(|note| json!(safe_text(note))).collect();
            let object = json!({
                "command": "verify", "verdict": verdict_json(&verdict), "encrypted": false, "notes": notes, "exit": exit.code(),
            });
            print_text(&format!("{object}\n"))?;
        } else {
            let notes: String = notes.iter().map(|note| format!("note: {}\n", safe_text(note))).collect();
            print_text(&format!("{}\n{notes}", safe_text(&verdict.to_string())))?;
        }
        Ok(exit)
    }
}
