//! `mailer document verify`: who signed a document, whether to believe it, and what was changed since.
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::certificate_files;
use super::super::context::Context;
use super::super::open::judging;
use super::super::report::{Exit, Failure, plain_words, print_text};
use super::super::verdict::verdict_json;
use super::files;
use crate::clock::{Clock, SystemClock};
use crate::content::Content;
use crate::documents::sealed::is_wrapper;
use crate::documents::verify::{DocumentReport, Judgement, SignatureReport, Standing, verify};
use crate::message::terminal_text::{safe_line, safe_text};
use crate::smime::{self, VerifyError};
use crate::trust::{
    Anchor, Anchors, Certificate, CertificateList, DocumentVerdict, Enclosed, Judge, Source,
    UnknownRevocation, Verdict, in_words,
};

/// Says who signed a document, whether to believe it, and what was changed since.
///
/// FILE is a signed PDF file, or the signature of another file (.p7s; the file itself stands beside it, or is named with
/// --content). With --anchor no account is needed: only these CA certificates count, and nobody is asked; what the document
/// brings along must do.
///
/// Exit code 0 means: every signature is intact, its signer is believed, and nothing was changed since that may not be.
/// Exit code 4 means anything else, an unsigned document included.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer document verify notice.pdf\n  mailer document verify contract.docx.p7s --json"
)]
pub(in super::super) struct Verify {
    /// The signed document, or the signature
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file that a signature (.p7s) is of [default: its name without .p7s]
    #[arg(long, value_name = "FILE")]
    content: Option<PathBuf>,
    /// Trust this CA (PEM or DER) and ask nobody, instead of the account's settings; repeat for several
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
}

/// What was judged.
enum Finding {
    Pdf(DocumentReport),
    Detached(Box<DocumentVerdict>),
}

impl Verify {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let content = files::read(&self.file)?;
        let (finding, mut notes) = if self.anchor.is_empty() {
            judging(&Context::load(home)?, |judge| self.judge(&content, judge))?
        } else {
            (self.by_anchors(&content)?, Vec::new())
        };
        let (code, trusted) = match &finding {
            Finding::Pdf(report) => (report.standing().code(), report.standing() == Standing::Trusted),
            Finding::Detached(found) => (found.verdict.code(), found.verdict.is_trusted()),
        };
        let exit = if trusted { Exit::Done } else { Exit::NotTrusted };
        if files::is_pdf(&content)? && files::open(&self.file, &content).is_ok_and(|file| is_wrapper(&file)) {
            notes
                .push("it is sealed; mailer document decrypt opens it, and judges what is inside".to_owned());
        }
        if self.json {
            let mut object = json!({
                "command": "document verify", "standing": code, "trusted": trusted, "exit": exit.code(),
                "notes": notes.iter().map(|note| safe_line(&plain_words(note))).collect::<Vec<_>>(),
            });
            if let (Some(object), Some(facts)) = (object.as_object_mut(), finding.to_json().as_object()) {
                object.extend(facts.clone());
            }
            print_text(&format!("{object}\n"))?;
        } else {
            let notes: String = notes.iter().map(|note| format!("note: {}\n", plain_words(note))).collect();
            print_text(&format!("{}{notes}", safe_text(&finding.in_words())))?;
        }
        Ok(exit)
    }

    fn judge(&self, content: &Content, judge: &mut Judge<'_>) -> Result<Finding, Failure> {
        if files::is_pdf(content)? && self.content.is_none() {
            return pdf_report(&self.file, content, judge).map(Finding::Pdf);
        }
        let beside = match &self.content {
            Some(path) => path.clone(),
            None => without_suffix(&self.file)?,
        };
        let found = detached(content, &files::read(&beside)?, judge)?;
        Ok(Finding::Detached(Box::new(found)))
    }

    /// Nobody is asked: the anchors, and what the document brings along.
    fn by_anchors(&self, content: &Content) -> Result<Finding, Failure> {
        let mut anchors = Anchors::default();
        for path in &self.anchor {
            for certificate in certificate_files::certificates(path)? {
                anchors.0.push(Anchor { certificate, domains: vec![EVERY_DOMAIN.to_owned()] });
            }
        }
        let mut judge = Judge {
            anchors: &anchors,
            source: &mut Nobody,
            at: SystemClock.now(),
            unknown_revocation: UnknownRevocation::Reject,
        };
        self.judge(content, &mut judge)
    }
}

/// Judges a PDF file; `name` is how it is called in errors.
pub(super) fn pdf_report(
    name: &Path,
    content: &Content,
    judge: &mut Judge<'_>,
) -> Result<DocumentReport, Failure> {
    let document = files::open(name, content)?;
    verify(&document, judge)
        .map_err(|error| Failure::new(error.code(), format!("{}: {error}", name.display())))
}

/// Whoever names an anchor for one document lets it speak for everybody.
const EVERY_DOMAIN: &str = "*";

/// Is never asked.
struct Nobody;

impl Source for Nobody {
    fn issuers_at_hand(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn issuers(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        Vec::new()
    }

    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        Vec::new()
    }
}

/// `contract.docx.p7s` signs `contract.docx`.
fn without_suffix(signature: &Path) -> Result<PathBuf, Failure> {
    let is_signature = signature.extension().is_some_and(|found| found.eq_ignore_ascii_case("p7s"));
    if is_signature {
        return Ok(signature.with_extension(""));
    }
    Err(Failure::new(
        "not-a-signature",
        format!(
            "{} is neither a PDF file nor a signature (.p7s); name the signature, or both: --content FILE SIGNATURE",
            signature.display()
        ),
    ))
}

/// A CAdES signature beside its file.
fn detached(
    signature: &Content,
    content: &Content,
    judge: &mut Judge<'_>,
) -> Result<DocumentVerdict, Failure> {
    let plain = DocumentVerdict::plain;
    let message = match smime::verify(signature, Some(content), &[]) {
        Ok(message) => message,
        Err(VerifyError::Io(problem)) => {
            return Err(Failure::new("input-output", format!("the file cannot be read: {problem}")));
        }
        Err(problem) => return Ok(plain(Verdict::unreadable(&problem))),
    };
    let mut verdicts = Vec::new();
    for report in &message.signers {
        verdicts.push(match &report.outcome {
            Err(fault) => plain(Verdict::faulty(&report.identifier, fault)),
            Ok(found) => {
                let lists = message.revocation_lists.iter();
                let enclosed = Enclosed {
                    certificates: message.certificates.clone(),
                    lists: lists.filter_map(|der| CertificateList::from_der(der).ok()).collect(),
                    answers: Vec::new(),
                };
                judge.document_signature(found, &enclosed)
            }
        });
    }
    // Every signer of an official document counts: the worst of them speaks.
    verdicts.sort_by_key(|found| (found.verdict.is_trusted(), !found.verdict.integrity_failed()));
    Ok(verdicts.into_iter().next().unwrap_or_else(|| plain(Verdict::unsigned())))
}

impl Finding {
    fn in_words(&self) -> String {
        match self {
            Self::Detached(found) => format!("{}\n", found.verdict),
            Self::Pdf(report) => pdf_in_words(report),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Detached(found) => {
                json!({ "signatures": [{ "kind": "detached", "verdict": verdict_json(&found.verdict) }] })
            }
            Self::Pdf(report) => pdf_json(report),
        }
    }
}

pub(super) fn pdf_json(report: &DocumentReport) -> Value {
    json!({
        "signatures": report.signatures.iter().map(signature_json).collect::<Vec<_>>(),
        "certified": report.certified.map(|permission| permission.number()),
        "uncovered_octets": report.uncovered,
    })
}

pub(super) fn pdf_in_words(report: &DocumentReport) -> String {
    let first = match report.standing() {
        Standing::Trusted => "Trusted: the document is as it was signed, apart from what is named below.",
        Standing::Unsigned => "Not trusted: this document is not signed.",
        Standing::Tampered => "NOT TRUSTED: the document is not what was signed.",
        Standing::Untrusted => "Not trusted: it is not known that who signed may be believed.",
    };
    let has_changes = report.signatures.iter().any(|signature| !signature.changes.is_empty());
    let first = match (report.standing(), has_changes) {
        (Standing::Trusted, false) => "Trusted: the document is as it was signed.",
        _ => first,
    };
    let mut words = format!("{first}\n");
    for signature in &report.signatures {
        words.push_str(&signature_in_words(signature));
    }
    words
}

fn signature_in_words(report: &SignatureReport) -> String {
    let level = report.level.map(|level| format!(" ({})", level.name())).unwrap_or_default();
    let judgement = match &report.judgement {
        Judgement::Signer(found) => match &found.forged_time_stamp {
            None => found.verdict.to_string(),
            Some(problem) => format!("Not trusted: {problem}; somebody put it there. {}", found.verdict),
        },
        Judgement::TimeStamp(Ok(moment)) => {
            format!("A trusted time stamp: all before it existed on {}.", in_words(*moment))
        }
        Judgement::TimeStamp(Err(problem)) => format!("A time stamp that proves nothing: {problem}."),
        Judgement::Defective(defect) => format!("Not trusted: the signature cannot be judged: {defect}."),
    };
    let mut lines = vec![format!("{}{level}: {judgement}", safe_line(&report.field))];
    if let Some(reason) = &report.reason {
        lines.push(format!("  Reason given: {}", safe_line(reason)));
    }
    if let Some(permission) = report.certifies {
        lines.push(format!("  It certifies the document: {}.", permission.in_words()));
    }
    for (change, allowed) in &report.changes {
        let allowed = if *allowed { "" } else { ", WHICH IS NOT ALLOWED" };
        lines.push(format!("  Since then {}{allowed}.", safe_line(&change.to_string())));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn signature_json(report: &SignatureReport) -> Value {
    let judgement = match &report.judgement {
        Judgement::Signer(found) => json!({
            "kind": "signature",
            "verdict": verdict_json(&found.verdict),
            "judged_as_of": found.as_of.map(|moment| moment.to_string()),
            "proven_by_document_alone": found.is_proven_by_enclosed,
            "forged_time_stamp": found.forged_time_stamp.as_ref().map(|problem| problem.code()),
        }),
        Judgement::TimeStamp(outcome) => json!({
            "kind": "time-stamp",
            "proven_time": outcome.as_ref().ok().map(ToString::to_string),
            "problem": outcome.as_ref().err().map(|problem| json!({ "code": problem.code(), "message": problem.to_string() })),
        }),
        Judgement::Defective(defect) => json!({
            "kind": "defective", "problem": { "code": defect.code(), "message": defect.to_string() },
        }),
    };
    let changes: Vec<Value> = report
        .changes
        .iter()
        .map(|(change, allowed)| {
            json!({ "code": change.code(), "sentence": safe_line(&change.to_string()), "allowed": allowed })
        })
        .collect();
    let mut object = json!({
        "field": safe_line(&report.field),
        "intact": !report.is_broken(),
        "trusted": report.is_trusted(),
        "level": report.level.map(|level| level.name()),
        "covers_octets": report.covers,
        "reason": report.reason.as_deref().map(safe_line),
        "certifies": report.certifies.map(|permission| permission.number()),
        "changes": changes,
    });
    if let (Some(object), Some(more)) = (object.as_object_mut(), judgement.as_object()) {
        object.extend(more.clone());
    }
    object
}
