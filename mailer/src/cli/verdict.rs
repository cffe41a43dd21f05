//! A verdict in words and in JSON.
use serde_json::{Value, json};

use super::report::{Exit, tell};
use crate::message::terminal_text::{safe_line, safe_text};
use crate::protection::open::{Layer, Opened, ReleasePolicy};
use crate::trust::Verdict;

/// When content comes out although nothing proves whose it is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct ReleaseOptions {
    /// Treat an unsigned message as not trusted
    #[arg(long)]
    require_signed: bool,
    /// Show unchanged content also where it is not trusted (still exit code 4)
    #[arg(long)]
    show_untrusted: bool,
}

impl ReleaseOptions {
    pub(super) fn policy(self) -> ReleasePolicy {
        ReleasePolicy { require_signed: self.require_signed, show_untrusted: self.show_untrusted }
    }
}

/// What was found out about an opened message, before its content is released.
pub(super) struct Finding {
    pub(super) exit: Exit,
    sentence: String,
    withheld: Option<&'static str>,
    notes: Vec<String>,
    json: Value,
}

impl Finding {
    /// `notes` explain what the verdict cannot know, for example that the directory was not reached.
    pub(super) fn new(opened: &Opened, policy: ReleasePolicy, notes: &[String]) -> Self {
        let notes: Vec<String> = notes.iter().map(|note| safe_line(note)).collect();
        let verdict = opened.verdict();
        let acceptable = opened.is_acceptable(policy);
        let withheld = if verdict.integrity_failed() {
            Some("The content is withheld: it is damaged, or not what was signed.")
        } else if acceptable || policy.show_untrusted {
            None
        } else {
            Some("The content is withheld; --show-untrusted shows it all the same.")
        };
        let exit = if acceptable { Exit::Done } else { Exit::NotTrusted };
        let json = json!({
            "verdict": verdict_json(verdict),
            "encrypted": opened.was_encrypted(),
            "layers": opened.layers().iter().map(layer_json).collect::<Vec<_>>(),
            "content": if withheld.is_none() { "shown" } else { "withheld" },
            "notes": notes,
            "exit": exit.code(),
        });
        let encryption = if opened.was_encrypted() { "It was encrypted." } else { "It was not encrypted." };
        Self {
            exit,
            sentence: format!("{} {encryption}", safe_text(&verdict.to_string())),
            withheld,
            notes,
            json,
        }
    }

    /// Tells the verdict on stderr: sentences, or one JSON object on a line of its own. `more` is merged into the object.
    pub(super) fn print(&self, json: bool, more: &Value) {
        if json {
            let mut object = self.json.clone();
            if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
                object.extend(more.clone());
            }
            tell(&object.to_string());
        } else {
            tell(&self.sentence);
            self.notes.iter().for_each(|note| tell(&format!("mailer: note: {note}")));
            if let Some(withheld) = self.withheld {
                tell(withheld);
            }
        }
    }
}

fn layer_json(layer: &Layer) -> Value {
    match layer {
        Layer::Encrypted { authenticated } => json!({ "is": "encrypted", "authenticated": authenticated }),
        Layer::Signed(verdict) => json!({ "is": "signed", "verdict": verdict_json(verdict) }),
    }
}

fn verdict_json(verdict: &Verdict) -> Value {
    let signer = verdict.certificate().map(|certificate| {
        json!({
            "subject": safe_line(&certificate.subject()),
            "issuer": safe_line(&certificate.issuer()),
            "serial_number": certificate.serial_number(),
            "addresses": certificate.mail_addresses().iter().map(|address| safe_line(address)).collect::<Vec<_>>(),
        })
    });
    json!({
        "code": verdict.code(),
        "trusted": verdict.is_trusted(),
        "signed": verdict.is_signed(),
        "sentence": safe_line(&verdict.to_string()),
        "signer": signer,
        "signing_time": verdict.signing_time().map(|time| time.to_string()),
    })
}
