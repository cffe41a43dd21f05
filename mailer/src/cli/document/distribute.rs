//! `mailer document distribute`: an official document to many, each for themselves, with a receipt asked of everybody.
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use serde_json::json;

use super::super::algorithms::AlgorithmOptions;
use super::super::asking::{Asking, Letter, letter_of};
use super::super::context::{Context, PinOptions, unique};
use super::super::headers::Headers;
use super::super::input::read_file;
use super::super::outbox::courier;
use super::super::recipient_list;
use super::super::report::{Exit, Failure, plain_words, print_text, tell};
use super::super::send::with_protected_header;
use super::super::signing::Desk;
use super::issue::issue;
use super::time::Stamps;
use super::{files, status};
use crate::content::Content;
use crate::keys::SecretSource;
use crate::ledger::distribution::{Distribution, DistributionError, Uncertain};
use crate::ledger::{Case, Delivery, DocumentFacts, Ledger, RecipientState};
use crate::message::address::Address;
use crate::message::build::{Attachment, Composed, Draft, Unique};
use crate::message::confidentiality::ConfidentialityLevel;
use crate::message::header_protection::Protecting;
use crate::message::mime::MimeError;
use crate::message::outer::assemble_header;
use crate::protection::protect;
use crate::smime::{Enveloping, ReceiptsFrom, SignedAttributesPlan};
use crate::transport::outbox::Outbox;

/// Sends a document to everybody on a list: signed, encrypted to each alone, with a receipt asked of everybody.
///
/// A PDF file that nobody has signed is signed first, as `mailer document sign` does. The mail is signed once; nobody sees who
/// else has it. Whoever has no certificate is told of, and the others get it. If the program is stopped anywhere,
/// `--resume` goes on; nobody gets the document twice. `mailer receipts` takes in what comes back, `mailer document status`
/// shows how it stands.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer document distribute notice.pdf --to staff.csv --subject 'Fees from January on'\n  mailer document distribute --resume 20261130T081500Z-1a2b3c4d"
)]
pub(in super::super) struct Distribute {
    /// The document
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// A file with an address a line, or a table with a column `mail`; class:NAME for a class of readers; or addresses. Repeat
    /// for several
    #[arg(long, value_name = "LIST", required_unless_present = "resume")]
    to: Vec<String>,
    /// The subject
    #[arg(long, required_unless_present = "resume")]
    subject: Option<String>,
    /// The text: a UTF-8 file, or - for standard input [default: a sentence that names the document]
    #[arg(long, value_name = "FILE|-")]
    body: Option<PathBuf>,
    /// Send the file as it is, without signing it
    #[arg(long)]
    as_it_is: bool,
    /// Receipts count until so many days from now
    #[arg(long, value_name = "NUMBER")]
    receipts_within_days: Option<u32>,
    /// Go on with a case that was stopped, or that some did not get
    #[arg(long, value_name = "CASE", conflicts_with_all = ["file", "to", "subject", "body", "as_it_is", "receipts_within_days"])]
    resume: Option<String>,
    /// With --resume: send again to those of whom nobody knows whether they have it
    #[arg(long, requires = "resume")]
    uncertain_again: bool,
    /// Deliver into this folder, which holds one Maildir for each address, instead of the configured way out
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Read the mail password from this file or descriptor
    #[arg(long, value_name = "fd:N|PATH")]
    password_file: Option<SecretSource>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(in super::super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Distribute {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        // Whatever can be refused is refused before the PIN is asked.
        let mut courier = courier(&context, self.maildir.as_ref(), self.password_file.as_ref())?;
        let ledger = Ledger::open(&context.home.ledger())?;
        let outbox = Outbox::open(&context.home.outbox())?;
        let outbox_lock = outbox.lock()?;
        let mut desk = Desk::new(&context, context.card(&self.pin)?, AlgorithmOptions::signing(false))?;
        let (case, letter) = match &self.resume {
            None => self.begin(&context, &ledger, &mut desk)?,
            Some(id) => {
                let case = ledger.case(id)?;
                let letter = letter_of(&case, &mut desk)?;
                (case, letter)
            }
        };
        let lock = case.lock()?;
        let distribution = Distribution {
            case: &case,
            lock: &lock,
            outbox: &outbox,
            outbox_lock: &outbox_lock,
            courier: courier.as_mut(),
            now: context.now,
        };
        let bar = progress(case.record().recipients.len());
        let uncertain = if self.uncertain_again { Uncertain::SendAgain } else { Uncertain::Leave };
        let states = distribution.run(
            uncertain,
            &mut |recipient| envelope(&mut desk, &letter, recipient),
            &mut || bar.inc(1),
        );
        bar.finish_and_clear();
        let states = states.map_err(|error| Failure::new(error.code(), error.to_string()))?;
        self.report(&case, &states)
    }

    /// Signs everything, and writes the case down before anything leaves.
    fn begin(
        &self,
        context: &Context,
        ledger: &Ledger,
        desk: &mut Desk<'_>,
    ) -> Result<(Case, Letter), Failure> {
        let recipients = recipient_list::recipients(context, &self.to)?;
        let file = self.file.as_ref().ok_or_else(|| Failure::usage("name the document"))?;
        let original = files::read(file)?;
        let mut unique = unique()?;
        let (name, content) = self.document(context, desk, file, &original)?;
        let octets = content.to_vec(MOST_OCTETS).map_err(MimeError::from)?.ok_or_else(|| {
            Failure::new("too-large", format!("{} is larger than {} MiB", file.display(), MOST_OCTETS >> 20))
        })?;
        let facts = DocumentFacts {
            name: name.clone(),
            octets: content.len(),
            sha256: hex::encode(crate::certificate::DigestAlgorithm::Sha256.digest(&octets)),
        };
        let composed = self.compose(context, &facts, octets.to_vec(), &mut unique)?;
        let until = self
            .receipts_within_days
            .map(|days| context.now + SignedDuration::from_hours(24 * i64::from(days)));
        let asking = Asking {
            context,
            ledger,
            plan: SignedAttributesPlan::mail(context.now),
            subject: self.subject.as_deref().unwrap_or_default(),
            document: Some(facts),
            receipts_from: ReceiptsFrom::AllReceipts,
            recipients: &recipients,
            receipts_until: until,
        };
        asking.open_case(desk, composed, &mut unique)
    }

    /// The document, signed if it is a PDF file that nobody has signed.
    fn document(
        &self,
        context: &Context,
        desk: &mut Desk<'_>,
        file: &std::path::Path,
        original: &Content,
    ) -> Result<(String, Content), Failure> {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if self.as_it_is || !files::is_pdf(original)? {
            return Ok((name, original.clone()));
        }
        let document = files::open(file, original)?;
        let signed = crate::documents::signature::signatures(&document)
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        if !signed.is_empty() {
            return Ok((name, original.clone()));
        }
        let stamps = Stamps::configured(context)?;
        Ok((name, issue(context, desk, &document, stamps)?))
    }

    fn compose(
        &self,
        context: &Context,
        facts: &DocumentFacts,
        content: Vec<u8>,
        unique: &mut Unique,
    ) -> Result<Composed, Failure> {
        let text = match &self.body {
            None => format!(
                "The document {} is attached. Its SHA-256 is {}.\nPlease confirm with a receipt that you have it.\n",
                facts.name, facts.sha256
            ),
            Some(path) => String::from_utf8(read_file(path)?)
                .map_err(|_| Failure::usage(format!("{} is not UTF-8 text", path.display())))?,
        };
        let draft = Draft {
            from: context.author()?,
            to: Vec::new(),
            cc: Vec::new(),
            subject: self.subject.clone().unwrap_or_default(),
            text,
            repeats_subject: true,
            attachments: vec![Attachment { name: facts.name.clone(), content }],
        };
        let headers = Headers::Protected(ConfidentialityLevel::default());
        with_protected_header(draft.compose(context.now, unique)?, headers, Protecting::Encrypted)
    }

    fn report(&self, case: &Case, states: &[RecipientState]) -> Result<Exit, Failure> {
        let submitted = states.iter().filter(|state| state.is_submitted()).count();
        let exit = match submitted {
            all if all == states.len() => Exit::Done,
            0 => Exit::Failed,
            _ => Exit::Partly,
        };
        let id = &case.record().id;
        if self.json {
            let mut object = status::case_json(case, states, &case.strangers_receipts()?);
            if let Some(object) = object.as_object_mut() {
                object.insert("command".to_owned(), json!("document distribute"));
                object.insert("exit".to_owned(), json!(exit.code()));
            }
            print_text(&format!("{object}\n"))?;
            return Ok(exit);
        }
        print_text(&format!("Case {id}: {submitted} of {} have it.\n", states.len()))?;
        for state in states.iter().filter(|state| !state.is_submitted()) {
            let why = plain_words(&status::delivery_in_words(&state.delivery));
            tell(&format!("  {}: {why}", state.address));
        }
        if states.iter().any(|state| state.delivery == Delivery::Uncertain) {
            tell(
                "Ask the uncertain ones, or send again with --resume and --uncertain-again: they may get it twice then.",
            );
        }
        if exit != Exit::Done {
            tell(&format!("Go on with: mailer document distribute --resume {id}"));
        }
        Ok(exit)
    }
}

const MOST_OCTETS: usize = crate::message::MAXIMUM_MESSAGE_BYTES;

/// The message for one recipient: nobody else can open it, or see who else has it.
fn envelope(
    desk: &mut Desk<'_>,
    letter: &Letter,
    recipient: &Address,
) -> Result<Result<Vec<u8>, String>, DistributionError> {
    let refused = |failure: Failure| DistributionError::Protect(failure.message);
    let certificate = match desk.one_recipient(recipient).map_err(refused)? {
        Ok(certificate) => certificate,
        Err(refusal) => return Ok(Err(refusal.message)),
    };
    let protected = protect::encrypt(&letter.entity, &[certificate], Enveloping::Automatic)
        .map_err(|error| DistributionError::Protect(error.to_string()))?;
    let mut message = assemble_header(&letter.fields, protected.header());
    protected.write_body(&mut message).map_err(|problem| DistributionError::Protect(problem.to_string()))?;
    Ok(Ok(message))
}

/// Nothing is shown where nobody looks.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} sent, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
