//! `mailer document decrypt`: a sealed document opened with the card, and judged.
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::context::{Context, PinOptions};
use super::super::open::judging;
use super::super::report::{Exit, Failure, plain_words, print_text};
use super::super::verdict::ReleaseOptions;
use super::files;
use super::verify::{pdf_in_words, pdf_json, pdf_report};
use crate::content::Content;
use crate::documents::sealed::{Integrity, Opened, SealedError, open};
use crate::documents::verify::{DocumentReport, Standing};
use crate::message::attachment::save;
use crate::message::terminal_text::{safe_line, safe_text};
use crate::protection::open::ReleasePolicy;
use crate::smime::DecryptError;

/// Opens a sealed document with the card, and says who signed it and whether to believe it.
///
/// The PIN is asked once. Nothing is written before it is known that the whole document came through. A document that was
/// changed after it was signed is not written (exit code 4); one whose signer is not believed only with --show-untrusted (still
/// exit code 4). An unsigned one is written with a word about that, if its seal proves that nobody changed it on its way; who
/// sealed it, nothing proves. Without --output it gets the name that it was sealed with, beside FILE, and replaces nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer document decrypt notice-sealed.pdf")]
pub(in super::super) struct Decrypt {
    /// The sealed document
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The result [default: the document's own name, beside FILE]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseOptions,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

/// What is inside, and how it stands.
struct Found {
    opened: Opened,
    /// `None` for what is no PDF file: there a signature would stand beside it.
    report: Option<DocumentReport>,
    /// Why a PDF file cannot be judged.
    unreadable: Option<Failure>,
    notes: Vec<String>,
}

impl Decrypt {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let told = self.output.clone();
        let told = told.map(|told| files::output(&self.file, Some(told), PathBuf::new())).transpose()?;
        let sealed = files::read(&self.file)?;
        let mut card = context.card(&self.pin)?;
        let opened = open(&sealed, &mut card).map_err(|error| refused(&self.file, &error))?;
        // The card is another's to use while the directory is asked.
        drop(card);
        let found = Found::judge(&context, opened)?;
        let policy = self.release.policy();
        let (exit, shown) = (found.exit(policy), found.is_shown(policy));
        let output = if shown { Some(self.write(told, &found.opened)?) } else { None };
        self.report(&found, output.as_deref(), exit)?;
        Ok(exit)
    }

    fn write(&self, told: Option<PathBuf>, opened: &Opened) -> Result<PathBuf, Failure> {
        if let Some(output) = told {
            files::write_private(&output, &opened.document)?;
            return Ok(output);
        }
        let folder = self.file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        save(folder, opened.file_name.as_str(), &mut opened.document.reader())
            .map(|path| path.strip_prefix("./").map(Path::to_owned).unwrap_or(path))
            .map_err(|problem| Failure::file(folder, &problem))
    }

    fn report(&self, found: &Found, output: Option<&Path>, exit: Exit) -> Result<(), Failure> {
        if self.json {
            let mut object = json!({
                "command": "document decrypt", "output": output.map(|path| path.display().to_string()),
                "name": safe_line(found.opened.file_name.as_str()),
                "seal_is_intact": found.opened.integrity == Integrity::Authenticated,
                "standing": found.code(), "trusted": found.standing() == Standing::Trusted,
                "content": if output.is_some() { "written" } else { "withheld" },
                "notes": found.notes.iter().map(|note| safe_line(&plain_words(note))).collect::<Vec<_>>(),
                "exit": exit.code(),
            });
            let facts = found.report.as_ref().map(pdf_json);
            if let (Some(object), Some(facts)) =
                (object.as_object_mut(), facts.as_ref().and_then(serde_json::Value::as_object))
            {
                object.extend(facts.clone());
            }
            return print_text(&format!("{object}\n"));
        }
        let mut words = match (&found.report, found.standing()) {
            _ if found.unreadable.is_some() => {
                let problem = found.unreadable.as_ref().map(|failure| plain_words(&failure.message));
                format!("Not trusted: the document cannot be judged: {}\n", problem.unwrap_or_default())
            }
            (Some(report), standing) if standing != Standing::Unsigned => safe_text(&pdf_in_words(report)),
            _ if found.opened.integrity == Integrity::Authenticated => {
                "Not signed: nothing says who wrote this document. Nobody changed it since it was sealed.\n"
                    .to_owned()
            }
            _ => "Not trusted: this document is not signed, and its seal does not prove that nobody changed it.\n"
                .to_owned(),
        };
        words.extend(found.notes.iter().map(|note| format!("note: {}\n", safe_line(&plain_words(note)))));
        let file = self.file.display();
        match output {
            Some(output) => words.push_str(&format!("{file} was opened as {}.\n", output.display())),
            None if found.standing() == Standing::Tampered => {
                words.push_str("The document is withheld: it is not what was signed.\n");
            }
            None => words.push_str("The document is withheld; --show-untrusted writes it all the same.\n"),
        }
        print_text(&words)
    }
}

impl Found {
    fn judge(context: &Context, opened: Opened) -> Result<Self, Failure> {
        if !files::is_pdf(&opened.document)? {
            return Ok(Self { opened, report: None, unreadable: None, notes: Vec::new() });
        }
        let name = PathBuf::from(opened.file_name.as_str());
        let document: &Content = &opened.document;
        let (found, notes) = judging(context, |judge| Ok(pdf_report(&name, document, judge)))?;
        let (report, unreadable) = match found {
            Ok(report) => (Some(report), None),
            Err(failure) => (None, Some(failure)),
        };
        Ok(Self { opened, report, unreadable, notes })
    }

    fn standing(&self) -> Standing {
        let otherwise = if self.unreadable.is_some() { Standing::Untrusted } else { Standing::Unsigned };
        self.report.as_ref().map_or(otherwise, DocumentReport::standing)
    }

    fn code(&self) -> &'static str {
        self.unreadable.as_ref().map_or(self.standing().code(), |failure| failure.code)
    }

    /// As for mail: unsigned is acceptable where the encryption proves that nothing was changed.
    fn is_acceptable(&self, policy: ReleasePolicy) -> bool {
        match self.standing() {
            Standing::Trusted => true,
            Standing::Unsigned => self.opened.integrity == Integrity::Authenticated && !policy.require_signed,
            Standing::Tampered | Standing::Untrusted => false,
        }
    }

    fn is_shown(&self, policy: ReleasePolicy) -> bool {
        self.is_acceptable(policy) || (policy.show_untrusted && self.standing() != Standing::Tampered)
    }

    fn exit(&self, policy: ReleasePolicy) -> Exit {
        if self.is_acceptable(policy) { Exit::Done } else { Exit::NotTrusted }
    }
}

/// What was changed on its way is not to be trusted; a key that is not here is only a failure.
fn refused(file: &Path, error: &SealedError) -> Failure {
    let failure = Failure::new(error.code(), format!("{}: {error}", file.display()));
    let is_damage = matches!(
        error,
        SealedError::Damaged | SealedError::CodeMissing | SealedError::Envelope(DecryptError::Damaged)
    );
    if is_damage { Failure { exit: Exit::NotTrusted, ..failure } } else { failure }
}
