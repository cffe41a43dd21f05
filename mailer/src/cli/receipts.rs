//! `mailer receipts`: receipts taken in and given (RFC 2634 section 2).
use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::algorithms::AlgorithmOptions;
use super::context::{Context, PinOptions, unique};
use super::document::time::Stamps;
use super::list::{all_entries, numbered_entry};
use super::open::{judging, open_message};
use super::outbox::{courier, delivered};
use super::report::{Exit, Failure, plain_words, print_text, tell};
use super::signing::Desk;
use crate::certificate::{Certificate, mail_address};
use crate::content::Content;
use crate::documents::sign::TimeStamper;
use crate::durable_file::{create_private_folder, replace};
use crate::keys::SecretSource;
use crate::ledger::matching::{self, Matched};
use crate::ledger::record::document_of;
use crate::ledger::{Case, Ledger};
use crate::message::address::Address;
use crate::message::build::receipt_fields;
use crate::message::outer::assemble;
use crate::message::parse::{self, Readable};
use crate::message::part::Part;
use crate::message::terminal_text::safe_line;
use crate::protection::open::{Opened, ReleasePolicy};
use crate::smime::receipt_check::claimed_identifier;
use crate::smime::{ReceiptRequest, ReceiptToSign, ReceivedReceipt, receipt_entity, unsigned_time_stamp};
use crate::time_stamping::NoTimeStamp;
use crate::transport::courier::Courier;
use crate::transport::outbox::{Outbox, OutboxError};
use crate::trust::{Judge, in_words};

/// Receipts: taken in (the default), and given.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer fetch && mailer receipts\n  mailer receipts give 3",
    args_conflicts_with_subcommands = true
)]
pub(super) struct Receipts {
    #[command(subcommand)]
    action: Option<Action>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put the receipts that came to the cases that they belong to (the default)
    Take {
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
    },
    Give(Give),
}

/// Confirms that you have a message: a receipt, signed on the card and stamped with the time, goes to its sender.
///
/// Only for a message whose signer is believed, that asks you for a receipt, and whose document is the one that it names.
/// One receipt is given for a message.
#[derive(Debug, Args)]
struct Give {
    /// The number that `mailer list` shows
    number: usize,
    /// Give it although one was given before
    #[arg(long)]
    again: bool,
    /// Deliver into this folder, which holds one Maildir for each address, instead of the configured way out
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Read the mail password from this file or descriptor
    #[arg(long, value_name = "fd:N|PATH")]
    password_file: Option<SecretSource>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Receipts {
    pub(super) fn json(&self) -> bool {
        self.json
            || matches!(
                &self.action,
                Some(Action::Take { json: true } | Action::Give(Give { json: true, .. }))
            )
    }

    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let json = self.json();
        let context = Context::load(home)?;
        match self.action {
            None | Some(Action::Take { .. }) => take(&context, json),
            Some(Action::Give(give)) => give.run(&context),
        }
    }
}

/// Enough of a message to see whether it is a receipt.
const START: u64 = 64 * 1024;
/// The largest message that can be a receipt.
const LARGEST_RECEIPT: usize = 1024 * 1024;

fn take(context: &Context, json: bool) -> Result<Exit, Failure> {
    let ledger = Ledger::open(&context.home.ledger())?;
    let (maildir, entries) = all_entries(context, false)?;
    let cases: Vec<Case> = ledger
        .cases()?
        .into_iter()
        .filter_map(|case| match case {
            Ok(case) => Some(case),
            Err(problem) => {
                tell(&format!("mailer: {}", plain_words(&problem.to_string())));
                None
            }
        })
        .collect();
    let known: std::collections::HashSet<[u8; 32]> = known_receipts(&cases)?;
    let (mut matched, mut strangers) = (Vec::new(), 0);
    let ((), notes) = judging(context, |judge| {
        for entry in &entries {
            let start = maildir.read_start(entry, START).unwrap_or_default();
            if !is_receipt(&start) {
                continue;
            }
            let message =
                maildir.content(entry).ok().and_then(|message| message.to_vec(LARGEST_RECEIPT).ok()?);
            let Some(message) = message else { continue };
            if known.contains(&digest(&message)) {
                continue;
            }
            match take_one(&cases, &message, judge)? {
                Some(found) => matched.push(found),
                None => strangers += 1,
            }
        }
        Ok(())
    })?;
    let exit = if matched.iter().all(|found| found.outcome.is_ok()) { Exit::Done } else { Exit::Partly };
    if json {
        let found: Vec<Value> = matched.iter().map(matched_json).collect();
        let object = json!({
            "command": "receipts", "receipts": found, "of_no_case": strangers,
            "notes": notes.iter().map(|note| safe_line(note)).collect::<Vec<_>>(), "exit": exit.code(),
        });
        print_text(&format!("{object}\n"))?;
        return Ok(exit);
    }
    if matched.is_empty() && strangers == 0 {
        print_text("No new receipts.\n")?;
    }
    for found in &matched {
        print_text(&format!("{}\n", plain_words(&matched_in_words(found))))?;
    }
    if strangers > 0 {
        tell(&format!("mailer: {strangers} receipts belong to no case of this account"));
    }
    notes.iter().for_each(|note| tell(&format!("mailer: note: {}", plain_words(note))));
    Ok(exit)
}

/// The receipts that the cases keep, by their digests.
fn known_receipts(cases: &[Case]) -> Result<std::collections::HashSet<[u8; 32]>, Failure> {
    let mut known = std::collections::HashSet::new();
    for case in cases {
        for state in case.states()? {
            let files = state.receipt.into_iter().map(|given| given.file);
            for file in files.chain(state.refused.into_iter().map(|(file, ..)| file)) {
                known.insert(digest(&case.kept(&file)?));
            }
        }
        for receipt in case.strangers_receipts()? {
            known.insert(digest(&case.kept(&receipt.file)?));
        }
    }
    Ok(known)
}

fn digest(message: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(message).into()
}

/// RFC 2634 section 2.4, step 10: a receipt says by its type what it is.
fn is_receipt(start: &[u8]) -> bool {
    let Ok(part) = Part::read(&Content::from_vec(start.to_vec())) else { return false };
    part.media_type().is_ok_and(|media_type| {
        matches!(media_type.essence.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
            && media_type
                .parameter("smime-type")
                .is_some_and(|kind| kind.eq_ignore_ascii_case("signed-receipt"))
    })
}

/// Puts it to its case; `None` where no case asked for it.
fn take_one(cases: &[Case], message: &[u8], judge: &mut Judge<'_>) -> Result<Option<Matched>, Failure> {
    let object = Part::read(&Content::from_vec(message.to_vec())).and_then(|part| part.decoded_body());
    let Ok(object) = object else { return Ok(None) };
    Ok(match ReceivedReceipt::read(&object, &[]) {
        Ok(received) => matching::take(cases, &received, message, judge)?,
        Err(problem) => match claimed_identifier(&object) {
            Some(named) => matching::refuse_unreadable(cases, &named, message, problem, judge.at)?,
            None => None,
        },
    })
}

fn matched_in_words(found: &Matched) -> String {
    let Matched { case, from, outcome } = found;
    match outcome {
        Ok(given) => match (given.proven, given.claimed) {
            (Some(proven), _) => {
                format!(
                    "{case}: receipt of {from}, given before {} by a trusted time stamp.",
                    in_words(proven)
                )
            }
            (None, Some(claimed)) => {
                format!("{case}: receipt of {from}, given {} by the recipient's clock.", in_words(claimed))
            }
            (None, None) => format!("{case}: receipt of {from}."),
        },
        Err(problem) if from.is_empty() => {
            format!("{case}: something that came as a receipt does not count and was kept: {problem}.")
        }
        Err(problem) => format!("{case}: a receipt of {from} does not count and was kept: {problem}."),
    }
}

fn matched_json(found: &Matched) -> Value {
    let problem = found.outcome.as_ref().err();
    json!({
        "case": found.case, "from": safe_line(&found.from), "counts": found.outcome.is_ok(),
        "problem": problem.map(|problem| json!({ "code": problem.code(), "message": safe_line(&problem.to_string()) })),
    })
}

impl Give {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let (maildir, entry) = numbered_entry(context, false, self.number)?;
        let message = maildir.content(&entry).map_err(|problem| {
            Failure::new("mail-storage", format!("message {} cannot be read: {problem}", self.number))
        })?;
        let mut courier = courier(context, self.maildir.as_ref(), self.password_file.as_ref())?;
        let (opened, _) = open_message(context, &self.pin, &message)?;
        let wanted = Wanted::of(context, &opened)?;
        if wanted.is_given() && !self.again {
            let message = "a receipt was given for this message before; --again gives another";
            return Err(Failure::new("receipt-given", message));
        }
        let reading = opened.reading();
        let policy = ReleasePolicy { require_signed: true, show_untrusted: false };
        let content = opened.release(policy).ok_or_else(not_asked)?;
        let given = wanted.give(context, &self.pin, &parse::read(&content, reading)?, courier.as_mut())?;
        self.report(&given)
    }

    fn report(&self, given: &GivenReceipt) -> Result<Exit, Failure> {
        let to: Vec<String> = given.receivers.iter().map(ToString::to_string).collect();
        let exit = if given.is_sent { Exit::Done } else { Exit::Partly };
        if self.json {
            let object = json!({
                "command": "receipts give", "to": to, "sent": given.is_sent,
                "time_stamped": given.is_stamped, "exit": exit.code(),
            });
            print_text(&format!("{object}\n"))?;
        } else {
            print_text(&format!("{}\n", given.in_words()))?;
        }
        given.tell_problem();
        Ok(exit)
    }
}

/// A receipt that a message asks of its reader.
pub(super) struct Wanted {
    receipt: ReceiptToSign,
    receivers: Vec<Address>,
    /// Is there once a receipt was given.
    mark: PathBuf,
}

/// A receipt that was signed and is on its way.
pub(super) struct GivenReceipt {
    receivers: Vec<Address>,
    is_sent: bool,
    is_stamped: bool,
    problem: Option<NoTimeStamp>,
}

impl Wanted {
    /// The receipt that a message asks of us.
    ///
    /// # Errors
    /// The message is not believed, asks for none, or asks others.
    pub(super) fn of(context: &Context, opened: &Opened) -> Result<Self, Failure> {
        let receipt = to_sign(opened, context.now)?;
        let own = context.address()?;
        let (_, delivery) = opened.innermost().ok_or_else(not_asked)?;
        if !receipt.request().receipts_from.asks(&[own.to_string()], *delivery) {
            return Err(Failure::new("receipt-not-asked", "the sender asks others for a receipt, not you"));
        }
        let mark = context.home.receipts_given().join(hex::encode(digest(receipt.content())));
        Ok(Self { receivers: receivers(receipt.request())?, receipt, mark })
    }

    /// Whether one was given before.
    pub(super) fn is_given(&self) -> bool {
        self.mark.exists()
    }

    /// Whether it goes to the signer of the message, and to nobody else.
    pub(super) fn goes_only_to(&self, signer: &Certificate) -> bool {
        let addresses = signer.mail_addresses();
        let is_own = |receiver: &Address| {
            addresses.iter().any(|own| mail_address::same_mailbox(own, &receiver.to_string()))
        };
        self.receivers.iter().all(is_own)
    }

    /// Signs it, has it stamped, and hands it over; `readable` is what the message says.
    ///
    /// # Errors
    /// The document that it would confirm is not there; the card; the outbox.
    pub(super) fn give(
        self,
        context: &Context,
        pin: &PinOptions,
        readable: &Readable,
        courier: &mut dyn Courier,
    ) -> Result<GivenReceipt, Failure> {
        check_document(readable, &self.receipt)?;
        let Self { receipt, receivers, mark } = self;
        let mut stamps = Stamps::configured(context)?;
        let mut desk = Desk::new(context, context.card(pin)?, AlgorithmOptions::signing(false))?;
        stamps.as_mut().map(|stamps| stamps.rehearse(&mut desk)).transpose()?;
        let (der, stamped) = desk.with_identity(|identity| {
            let intermediates = identity.intermediates;
            let signed = receipt.sign(identity)?;
            let stamped = stamps.as_mut().map(|stamps| stamps.stamp(signed.value()));
            let unsigned = match &stamped {
                Some(Ok(token)) => vec![unsigned_time_stamp(token)?],
                _ => Vec::new(),
            };
            Ok((signed.to_der(intermediates, &unsigned)?, stamped))
        })?;
        let mut unique = unique()?;
        let fields = receipt_fields(&context.author()?, &receivers, context.now, &mut unique);
        let message = assemble(&fields, &receipt_entity(&der));

        let outbox = Outbox::open(&context.home.outbox())?;
        let id = format!("{}-{}", context.now.strftime("%Y%m%dT%H%M%SZ"), unique.short());
        let own = context.address()?;
        let mut entry = outbox.store(&id, context.now, &own, &[(receivers.clone(), message)])?;
        // From here on it is given: the outbox has it.
        let noted = create_private_folder(&context.home.receipts_given()).and_then(|()| replace(&mark, b""));
        noted.map_err(|problem| Failure::file(&mark, &problem))?;
        match outbox.lock() {
            Ok(lock) => entry = outbox.deliver(entry, &lock, courier)?,
            Err(OutboxError::InUse) => {}
            Err(error) => return Err(error.into()),
        }
        let is_sent = delivered(&entry) == receivers.len();
        let is_stamped = matches!(stamped, Some(Ok(_)));
        Ok(GivenReceipt { receivers, is_sent, is_stamped, problem: stamped.and_then(Result::err) })
    }
}

impl GivenReceipt {
    /// Where it went.
    pub(super) fn in_words(&self) -> String {
        let to = self.receivers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self.is_sent {
            true => format!("The receipt was sent to {to}."),
            false => format!("The receipt for {to} is signed and waits in the outbox: mailer outbox flush"),
        }
    }

    /// Says why it has no time stamp, if one was to be had.
    pub(super) fn tell_problem(&self) {
        if let Some(problem) = &self.problem {
            tell(&format!("mailer: it has no time stamp: {}", plain_words(&problem.to_string())));
        }
    }
}

fn not_asked() -> Failure {
    Failure::new("receipt-not-asked", "the message asks for no receipt")
}

/// The receipt that the message asks for; only a message that is believed gets one.
fn to_sign(opened: &Opened, now: Timestamp) -> Result<ReceiptToSign, Failure> {
    if !opened.verdict().is_trusted() {
        return Err(Failure {
            exit: Exit::NotTrusted,
            ..Failure::new("not-trusted", format!("no receipt is given: {}", opened.verdict()))
        });
    }
    let (message, _) = opened.innermost().ok_or_else(not_asked)?;
    ReceiptToSign::answering(message, now).map_err(|problem| match problem.code() {
        "receipt-not-asked" => not_asked(),
        code => Failure::new(code, format!("no receipt is given: {problem}")),
    })
}

/// Whom the receipt goes to; every one must be a mail address.
fn receivers(request: &ReceiptRequest) -> Result<Vec<Address>, Failure> {
    let mut receivers = Vec::new();
    for entity in &request.receipts_to {
        for address in &entity.addresses {
            let parsed: Address = address.parse().map_err(|_| {
                Failure::new(
                    "bad-address",
                    format!("the receipt shall go to {}, which is no address", safe_line(address)),
                )
            })?;
            receivers.push(parsed);
        }
    }
    if receivers.is_empty() {
        return Err(Failure::new("bad-address", "the message does not say where the receipt shall go"));
    }
    Ok(receivers)
}

/// A request that names a document is answered only if that document is here.
fn check_document(readable: &Readable, receipt: &ReceiptToSign) -> Result<(), Failure> {
    let Some(named) = document_of(&receipt.request().signed_content_identifier) else { return Ok(()) };
    let is_named = |attached: &parse::Attached| {
        let octets = attached.to_vec(crate::message::MAXIMUM_MESSAGE_BYTES).ok().flatten();
        octets.is_some_and(|octets| hex::encode(digest(&octets)) == named)
    };
    if readable.attachments.iter().any(is_named) {
        return Ok(());
    }
    let message = "no receipt is given: the document that it would confirm is not in the message";
    Err(Failure { exit: Exit::NotTrusted, ..Failure::new("receipt-document-missing", message) })
}
