//! `mailer document distribute`: an official document to many, each for themselves, with a receipt asked of everybody.
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::algorithms::AlgorithmOptions;
use super::super::context::{Context, PinOptions, unique};
use super::super::headers::Headers;
use super::super::input::{content_of, read_file};
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
use crate::ledger::{Case, Delivery, DocumentFacts, Ledger, RecipientState, Record};
use crate::message::address::Address;
use crate::message::build::{Attachment, Composed, Draft, Unique};
use crate::message::confidentiality::ConfidentialityLevel;
use crate::message::header_protection::Protecting;
use crate::message::mime::MimeError;
use crate::message::outer::{assemble, assemble_header, separate};
use crate::message::part::Part;
use crate::message::secured::{Protection, protection};
use crate::protection::protect;
use crate::smime::{self, Entity, Enveloping, ReceiptRequest, ReceiptsFrom};
use crate::smime::{SentRecord, SignedAttributesPlan};
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
    /// A file with an address a line, or a table with a column `mail`; or addresses. Repeat for several
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

/// What is sent to everybody: the header outside, and the signed entity.
pub(super) struct Letter {
    pub(super) fields: Vec<u8>,
    pub(super) entity: Content,
}

impl Distribute {
    pub(in super::super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        // Whatever can be refused is refused before the PIN is asked.
        let mut courier = courier(&context, self.maildir.as_ref(), self.password_file.as_ref())?;
        let ledger = Ledger::open(&context.home.ledger())?;
        let outbox = Outbox::open(&context.home.outbox())?;
        let mut desk = Desk::new(&context, context.card(&self.pin)?, AlgorithmOptions::signing(false))?;
        let outbox_lock = outbox.lock()?;
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
        let recipients = recipient_list::recipients(&self.to)?;
        let file = self.file.as_ref().ok_or_else(|| Failure::usage("name the document"))?;
        let original = files::read(file)?;
        let mut unique = unique()?;
        let oneself = desk.oneself()?;
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
        let author = context.author()?.address;
        let request = request(&facts, &author, context.now)?;
        let attribute =
            request.to_attribute().map_err(|error| Failure::new("not-encodable", error.to_string()))?;
        let plan = SignedAttributesPlan::mail(context.now).with(attribute);
        let plain = Content::from_vec(composed.entity);
        let (signed, made) = desk.sign_planned(&plain, &author, &plan, &unique.boundary())?;
        let letter = Letter { fields: composed.fields, entity: content_of(signed)? };
        let addresses = recipients.iter().map(ToString::to_string).collect();
        let sent = SentRecord::of(&made, &request, addresses, context.now);
        let id = format!("{}-{}", context.now.strftime("%Y%m%dT%H%M%SZ"), unique.short());
        let until = self
            .receipts_within_days
            .map(|days| context.now + SignedDuration::from_hours(24 * i64::from(days)));
        let about = (author.to_string(), self.subject.clone().unwrap_or_default());
        let own = protect::encrypt(&letter.entity, &[oneself], Enveloping::Authenticated)?;
        let own = in_memory(&letter.fields, &content_of(own)?)?;
        let case = ledger.create(Record::new(id, about, Some(facts), &sent, until), &own)?;
        Ok((case, letter))
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
            let mut object = status::case_json(case, states);
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
            tell("Ask the uncertain ones, or send again with --uncertain-again: they may get it twice then.");
        }
        if exit != Exit::Done {
            tell(&format!("Go on with: mailer document distribute --resume {id}"));
        }
        Ok(exit)
    }
}

const MOST_OCTETS: usize = crate::message::MAXIMUM_MESSAGE_BYTES;

/// Everybody is asked; the document is named, so that a receipt is bound to it.
fn request(facts: &DocumentFacts, author: &Address, at: Timestamp) -> Result<ReceiptRequest, Failure> {
    let identifier = facts.content_identifier(&author.to_string(), at, super::sign::new_identifier()?);
    Ok(ReceiptRequest {
        signed_content_identifier: identifier
            .ok_or_else(|| Failure::new("not-encodable", "the request for receipts cannot be made"))?,
        receipts_from: ReceiptsFrom::AllReceipts,
        receipts_to: vec![Entity::of(&author.to_string())],
    })
}

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

/// The letter of a case, opened with the card.
pub(super) fn letter_of(case: &Case, desk: &mut Desk<'_>) -> Result<Letter, Failure> {
    let message = Content::from_vec(case.message()?);
    let part = Part::read(&message)?;
    let outer = separate(&part, &["MIME-Version"]);
    let damaged =
        || Failure::new("ledger-damaged", "the message that the ledger keeps is not what was written");
    let Protection::Object { cms, .. } = protection(&Part::read(&outer.entity())?)? else {
        return Err(damaged());
    };
    let opened = smime::decrypt(&cms, desk.keys())
        .map_err(|error| Failure::new(error.code(), format!("the message that the ledger keeps: {error}")))?;
    Ok(Letter { fields: outer.fields, entity: opened.content })
}

fn in_memory(fields: &[u8], entity: &Content) -> Result<Vec<u8>, Failure> {
    let entity = entity.to_vec(usize::MAX).map_err(MimeError::from)?;
    Ok(assemble(fields, &entity.unwrap_or_default()))
}

/// Nothing is shown where nobody looks.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} sent, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
