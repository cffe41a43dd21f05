//! A verdict in words and in JSON.
use serde_json::{Value, json};

use super::labels::{label_json, sentence};
use super::report::{Exit, plain_words, tell};
use crate::message::header_protection::Revealed;
use crate::message::terminal_text::{safe_line, safe_text};
use crate::protection::inner_parts::{InnerPart, InnerProtection};
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
    /// Of the security label, of parts that are protected by themselves, and of contradictions in the header.
    remarks: Vec<String>,
    withheld: Option<&'static str>,
    notes: Vec<String>,
    json: Value,
}

impl Finding {
    /// `notes` explain what the verdict cannot know, for example that the directory was not reached.
    pub(super) fn new(opened: &Opened, policy: ReleasePolicy, notes: &[String]) -> Self {
        let notes: Vec<String> = notes.iter().map(|note| safe_line(&plain_words(note))).collect();
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
            "label": opened.label().map(label_json),
            "header": opened.header().map(header_json),
            "parts": opened.inner_parts().iter().map(part_json).collect::<Vec<_>>(),
            "content": if withheld.is_none() { "shown" } else { "withheld" },
            "notes": notes,
            "exit": exit.code(),
        });
        let mut remarks: Vec<String> = opened.label().map(sentence).into_iter().collect();
        remarks.extend(opened.inner_parts().iter().map(part_in_words));
        let disagreements = opened.header().map(|header| &header.disagreements[..]).unwrap_or_default();
        remarks.extend(disagreements.iter().filter(|found| found.is_alarming()).map(ToString::to_string));
        let encryption = if opened.was_encrypted() { "It was encrypted." } else { "It was not encrypted." };
        Self {
            exit,
            sentence: format!("{} {encryption}", safe_text(&verdict.to_string())),
            remarks: remarks.iter().map(|remark| safe_line(remark)).collect(),
            withheld,
            notes,
            json,
        }
    }

    /// The verdict without the content, in words: what `verify` prints.
    pub(super) fn in_words(&self) -> String {
        let mut words = format!("{}\n", self.sentence);
        words.extend(self.remarks.iter().map(|remark| format!("{remark}\n")));
        words.extend(self.notes.iter().map(|note| format!("note: {note}\n")));
        words
    }

    /// The JSON object, with `more` merged into it.
    pub(super) fn to_json(&self, more: &Value) -> Value {
        let mut object = self.json.clone();
        if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
            object.extend(more.clone());
        }
        object
    }

    /// Tells the verdict on stderr: sentences, or one JSON object on a line of its own. `more` is merged into the object.
    pub(super) fn print(&self, json: bool, more: &Value) {
        if json {
            tell(&self.to_json(more).to_string());
        } else {
            tell(&self.sentence);
            self.remarks.iter().for_each(|remark| tell(remark));
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
        Layer::Compressed => json!({ "is": "compressed" }),
        Layer::Signed(verdict) => json!({ "is": "signed", "verdict": verdict_json(verdict) }),
    }
}

fn header_json(header: &Revealed) -> Value {
    let fields: Vec<Value> = header
        .fields
        .iter()
        .map(|field| json!({ "name": safe_line(&field.name), "protection": field.protection.code() }))
        .collect();
    let disagreements: Vec<Value> = header
        .disagreements
        .iter()
        .map(|found| json!({ "code": found.code(), "sentence": safe_line(&found.to_string()) }))
        .collect();
    json!({ "protection": header.scheme.code(), "fields": fields, "disagreements": disagreements })
}

fn part_json(part: &InnerPart) -> Value {
    let (is, verdict) = match &part.protection {
        InnerProtection::Signed(verdict) => ("signed", verdict_json(verdict)),
        InnerProtection::Encrypted => ("encrypted", Value::Null),
        InnerProtection::Other => ("other", Value::Null),
    };
    json!({
        "position": part.position, "what": safe_line(&part.what), "media_type": safe_line(&part.media_type), "extent": part.extent,
        "is": is, "verdict": verdict,
    })
}

fn part_in_words(part: &InnerPart) -> String {
    let InnerPart { position, what, .. } = part;
    match &part.protection {
        InnerProtection::Signed(verdict) => {
            format!("Part {position} alone, {what} ({} octets): {verdict}", part.extent)
        }
        InnerProtection::Encrypted => {
            format!(
                "Part {position}, {what}, is encrypted and stays closed, for it stands among other parts; --part {position} opens it alone."
            )
        }
        InnerProtection::Other => {
            format!("Part {position}, {what}, is protected in a way that was not looked into.")
        }
    }
}

pub(super) fn verdict_json(verdict: &Verdict) -> Value {
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
        "proven_time": verdict.proven_time().map(|time| time.to_string()),
        "author": verdict.author().code(),
        "revocation": revocation_json(verdict),
        "not_covered": verdict.not_covered().map(safe_line),
        "others": verdict.others().iter().map(verdict_json).collect::<Vec<_>>(),
    })
}

/// What is known about revocation, and how old that is.
fn revocation_json(verdict: &Verdict) -> Value {
    let evidence = verdict.evidence();
    json!({
        "status": verdict.revocation().code(),
        "by": evidence.map(|evidence| evidence.kind.code()),
        "as_of": evidence.map(|evidence| evidence.as_of.to_string()),
        "stale_since": evidence.and_then(|evidence| evidence.stale_since).map(|since| since.to_string()),
    })
}
