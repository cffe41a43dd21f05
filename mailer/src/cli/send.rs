//! `mailer send`: a message written, protected, stored in the outbox, and handed over.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::algorithms::AlgorithmOptions;
use super::asking::{Asking, Letter, in_memory};
use super::classes::Classes;
use super::context::{Context, PinOptions, unique};
use super::headers::{HeaderOptions, Headers};
use super::input::{content_of, read_file};
use super::labels;
use super::outbox::{courier, delivered, entry_json, keep_copy, recipient_text, write_down};
use super::report::{Exit, Failure, print_text, tell};
use super::signing::Desk;
use crate::content::Content;
use crate::keys::SecretSource;
use crate::ledger::{Case, Ledger};
use crate::message::address::{Address, Mailbox, parse_mailboxes};
use crate::message::build::{Attachment, Composed, Draft, Unique};
use crate::message::header::Fields;
use crate::message::header_protection::Protecting;
use crate::protection::protect;
use crate::smime::{Entity, ReceiptsFrom, Recipient, SecurityLabel, SignedAttributesPlan};
use crate::transport::outbox::{Entry, Outbox, OutboxError, Protected};
use crate::trust::CheckedRecipient;

/// Writes a message: signed on the card (the PIN is asked once), encrypted to every recipient and to oneself.
///
/// Every recipient's certificate is found and checked first; if one is missing, expired, revoked or of an unknown CA, all of
/// them are named and nothing is sent. Each Bcc recipient gets an envelope of their own, so nobody sees them. The header is
/// protected with the message (RFC 9788): From, To, Cc and Date stay readable on the way, the subject of an encrypted message
/// does not.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer send --to 'Bob <bob@mail.test>' --cc carol@mail.test --subject Minutes --body minutes.txt --attach plan.pdf\n  mailer send --readers board --label 1.3.6.1.4.1.32473.1.6:confidential --subject Budget --body budget.txt"
)]
pub(super) struct Send {
    /// Recipient; several with commas or by repeating
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Recipient of a copy
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<String>,
    /// Hidden recipient of a copy
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<String>,
    /// Everybody of this class of readers, visible as recipients; repeat for several
    #[arg(long, value_name = "CLASS")]
    readers: Vec<String>,
    /// Sign a security label into the message, inside and around the encryption: the object identifier of a policy, a
    /// classification (0 to 5, or unmarked, unclassified, restricted, confidential, secret, top-secret), and a remark if you
    /// like. Every recipient, and you, must be cleared for it
    #[arg(long, value_name = "POLICY:CLASSIFICATION[:MARK]", value_parser = labels::label, conflicts_with_all = ["no_sign", "no_encrypt"])]
    label: Option<SecurityLabel>,
    /// The subject; in an encrypted message it is encrypted too (see --headers)
    #[arg(long)]
    subject: String,
    /// The text: a UTF-8 file, or - for standard input
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    body: PathBuf,
    /// Attach a file
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Sign only: everybody on the way can read it
    #[arg(long, conflicts_with = "no_sign")]
    no_encrypt: bool,
    /// Encrypt only: nobody can tell whether it is from you
    #[arg(long)]
    no_sign: bool,
    /// Ask every visible recipient for a signed receipt: mailer receipts takes them in, mailer document status shows them
    #[arg(long, conflicts_with = "no_sign")]
    request_receipt: bool,
    #[command(flatten)]
    headers: HeaderOptions,
    /// Deliver into this folder, which holds one Maildir for each address, instead of the configured way out
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Read the mail password from this file or descriptor
    #[arg(long, value_name = "fd:N|PATH")]
    password_file: Option<SecretSource>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    algorithms: AlgorithmOptions,
    #[command(flatten)]
    pin: PinOptions,
}

/// Whom a message goes to; everybody once, and visible rather than hidden.
struct Destinations {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    visible: Vec<Address>,
    hidden: Vec<Address>,
}

impl Send {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let destinations = self.destinations(&context)?;
        if self.request_receipt && destinations.visible.is_empty() {
            return Err(Failure::usage(
                "hidden recipients are not asked for receipts; name others with --to",
            ));
        }
        // Whatever can be refused is refused before the PIN is asked.
        let mut courier = courier(&context, self.maildir.as_ref(), self.password_file.as_ref())?;
        let headers = self.headers.chosen(&context)?;
        let protecting = if self.no_encrypt { Protecting::SignedOnly } else { Protecting::Encrypted };
        let draft = Draft {
            repeats_subject: headers.hides_subject(protecting),
            ..self.draft(&context, &destinations)?
        };
        let mut unique = unique()?;
        let composed = with_protected_header(draft.compose(context.now, &mut unique)?, headers, protecting)?;
        let author = &draft.from.address;
        let (messages, case) = self.protect(&context, &destinations, author, composed, &mut unique)?;
        let outbox = Outbox::open(&context.home.outbox())?;
        outbox.sweep(context.now);
        // While another process sends, the message is stored all the same, and waits.
        let lock = match outbox.lock() {
            Ok(lock) => Some(lock),
            Err(OutboxError::InUse) => None,
            Err(error) => return Err(error.into()),
        };
        let mut entry = match &case {
            // The outbox knows a letter by the name of its case.
            Some(case) => {
                let id = &case.record().id;
                outbox.store_for_case(id, id, context.now, author, &messages)?
            }
            None => {
                let id = format!("{}-{}", context.now.strftime("%Y%m%dT%H%M%SZ"), unique.short());
                outbox.store(&id, context.now, author, &messages)?
            }
        };
        if let Some(lock) = &lock {
            entry = outbox.deliver(entry, lock, courier.as_mut())?;
        }
        if entry.case.is_some() {
            write_down(&context, &outbox, &entry);
        }
        if delivered(&entry) > 0
            && let Some((_, message)) = messages.first()
        {
            keep_copy(&context, message)?;
        }
        self.tell(&entry)
    }

    fn destinations(&self, context: &Context) -> Result<Destinations, Failure> {
        let mut to = self.to.clone();
        let (mut classes, own) = (Classes::new(context), context.address()?.key());
        for name in &self.readers {
            // Whoever writes to a class of their own keeps a copy in any case.
            let members = classes.addresses(name)?;
            let others = members.iter().filter(|member| member.key() != own || members.len() == 1);
            to.extend(others.map(ToString::to_string));
        }
        Destinations::new(&to, &self.cc, &self.bcc)
    }

    fn draft(&self, context: &Context, destinations: &Destinations) -> Result<Draft, Failure> {
        let text = String::from_utf8(read_file(&self.body)?).map_err(|_| {
            Failure::usage(format!("{} is not UTF-8 text; attach it instead", self.body.display()))
        })?;
        let mut attachments = Vec::new();
        for path in &self.attach {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            attachments.push(Attachment { name, content: read_file(path)? });
        }
        Ok(Draft {
            from: context.author()?,
            to: destinations.to.clone(),
            cc: destinations.cc.clone(),
            subject: self.subject.clone(),
            text,
            repeats_subject: false,
            attachments,
        })
    }

    /// The visible recipients share one message; each hidden recipient gets one encrypted to nobody else but oneself.
    fn protect(
        &self,
        context: &Context,
        destinations: &Destinations,
        author: &Address,
        composed: Composed,
        unique: &mut Unique,
    ) -> Result<(Vec<Protected>, Option<Case>), Failure> {
        let enveloping = self.algorithms.enveloping(!self.no_sign)?;
        let mut desk = Desk::new(context, context.card(&self.pin)?, self.algorithms)?;
        let groups: Vec<Vec<Address>> = [&destinations.visible]
            .into_iter()
            .filter(|visible| !visible.is_empty())
            .cloned()
            .chain(destinations.hidden.iter().map(|address| vec![address.clone()]))
            .collect();
        let all: Vec<Address> = groups.concat();
        let mut cleared = |checked: &[CheckedRecipient]| match &self.label {
            Some(label) => labels::check_recipients(context, label, &all, checked),
            None => Ok(()),
        };
        let certificates =
            if self.no_encrypt { Vec::new() } else { desk.recipients_if(&all, "sent", &mut cleared)? };
        let plan = self.plan(context)?;
        let sign = |entity: &Content, desk: &mut Desk<'_>, boundary: String| {
            let (signed, _) = desk.sign_planned(entity, author, &plan, &boundary)?;
            content_of(signed)
        };
        let mut case = None;
        let letter = if self.request_receipt {
            let ledger = Ledger::open(&context.home.ledger())?;
            let asking = self.asking(context, &ledger, destinations, plan.clone());
            let (opened, letter) = asking.open_case(&mut desk, composed, unique)?;
            case = Some(opened);
            letter
        } else {
            let plain = Content::from_vec(composed.entity);
            let entity = if self.no_sign { plain } else { sign(&plain, &mut desk, unique.boundary())? };
            Letter { fields: composed.fields, entity }
        };
        if self.no_encrypt {
            let message = in_memory(&letter.fields, &letter.entity)?;
            return Ok((groups.into_iter().map(|group| (group, message.clone())).collect(), case));
        }
        let oneself = certificates.last().cloned();
        let mut others = certificates.into_iter();
        let mut messages = Vec::with_capacity(groups.len());
        for group in groups {
            let recipients: Vec<Recipient> =
                others.by_ref().take(group.len()).chain(oneself.clone()).collect();
            let mut protected = content_of(protect::encrypt(&letter.entity, &recipients, enveloping)?)?;
            // RFC 2634 section 1.1: signed around the envelope too, so that the label is seen before the card is asked.
            if self.label.is_some() {
                protected = sign(&protected, &mut desk, unique.boundary())?;
            }
            messages.push((group, in_memory(&letter.fields, &protected)?));
        }
        Ok((messages, case))
    }

    fn asking<'a>(
        &'a self,
        context: &'a Context,
        ledger: &'a Ledger,
        destinations: &'a Destinations,
        plan: SignedAttributesPlan,
    ) -> Asking<'a> {
        let asked = destinations.visible.iter().map(|address| Entity::of(&address.to_string()));
        Asking {
            context,
            ledger,
            plan,
            subject: &self.subject,
            document: None,
            receipts_from: ReceiptsFrom::ReceiptList(asked.collect()),
            recipients: &destinations.visible,
            receipts_until: None,
        }
    }

    /// What is signed beside the content, in every signature of the message alike.
    fn plan(&self, context: &Context) -> Result<SignedAttributesPlan, Failure> {
        let plan = SignedAttributesPlan::mail(context.now);
        let Some(label) = &self.label else { return Ok(plan) };
        let attribute =
            label.to_attribute().map_err(|error| Failure::new("not-encodable", error.to_string()))?;
        Ok(plan.with(attribute))
    }

    fn tell(&self, entry: &Entry) -> Result<Exit, Failure> {
        let exit = match delivered(entry) {
            _ if entry.is_delivered() => Exit::Done,
            0 => Exit::Failed,
            _ => Exit::Partly,
        };
        if self.json {
            let mut object = entry_json(entry);
            if let Some(object) = object.as_object_mut() {
                object.insert("case".to_owned(), json!(entry.case));
                object.insert("exit".to_owned(), json!(exit.code()));
            }
            print_text(&format!("{object}\n"))?;
            return Ok(exit);
        }
        match exit {
            Exit::Done => print_text(&format!(
                "Sent to {}.\n",
                entry.recipients().map(|recipient| recipient.address.as_str()).collect::<Vec<_>>().join(", ")
            ))?,
            _ => {
                tell(&format!(
                    "mailer: not everything was sent; the message waits in the outbox as {}:",
                    entry.id
                ));
                for recipient in entry.recipients() {
                    tell(&format!("  {}", recipient_text(recipient)));
                }
                tell("Try again with: mailer outbox flush");
            }
        }
        Ok(exit)
    }
}

/// The header that stays outside, and the entity with the header that goes inside.
pub(super) fn with_protected_header(
    composed: Composed,
    headers: Headers,
    protecting: Protecting,
) -> Result<Composed, Failure> {
    let (_, body) = Fields::split(&composed.entity);
    let entity_header =
        composed.entity.get(..composed.entity.len() - body.len()).unwrap_or_default().to_vec();
    let (fields, entity_header) = headers.apply(composed.fields, entity_header, protecting)?;
    let entity = [&entity_header[..], body].concat();
    Ok(Composed { fields, entity })
}

impl Destinations {
    fn new(to: &[String], cc: &[String], bcc: &[String]) -> Result<Self, Failure> {
        let mut known = Vec::new();
        let to = distinct(to, &mut known)?;
        let cc = distinct(cc, &mut known)?;
        let hidden: Vec<Address> =
            distinct(bcc, &mut known)?.into_iter().map(|mailbox| mailbox.address).collect();
        let visible: Vec<Address> = to.iter().chain(&cc).map(|mailbox| mailbox.address.clone()).collect();
        if visible.is_empty() && hidden.is_empty() {
            return Err(Failure::usage("name at least one recipient with --to, --cc, --bcc or --readers"));
        }
        Ok(Self { to, cc, visible, hidden })
    }
}

fn distinct(lists: &[String], known: &mut Vec<String>) -> Result<Vec<Mailbox>, Failure> {
    let mut mailboxes = Vec::new();
    for list in lists {
        for mailbox in parse_mailboxes(list)? {
            let key = mailbox.address.key();
            if !known.contains(&key) {
                known.push(key);
                mailboxes.push(mailbox);
            }
        }
    }
    Ok(mailboxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_written_to_once_and_rather_visibly() {
        let list = |text: &str| vec![text.to_owned()];
        let destinations = Destinations::new(
            &list("Bob <bob@x.test>, BOB@X.test"),
            &list("carol@x.test"),
            &list("bob@x.test, dave@x.test"),
        )
        .unwrap();
        let local =
            |addresses: &[Address]| addresses.iter().map(|a| a.local().to_owned()).collect::<Vec<_>>();
        assert_eq!(local(&destinations.visible), ["bob", "carol"]);
        assert_eq!(local(&destinations.hidden), ["dave"]);
        assert_eq!(Destinations::new(&[], &[], &[]).map(|_| ()).unwrap_err().exit, Exit::Usage);
    }
}
