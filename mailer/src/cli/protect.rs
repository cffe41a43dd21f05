//! `mailer protect`: a message in, the same message signed and encrypted out; all of it, or nothing.
use std::path::PathBuf;

use clap::Args;
use mail_parser::HeaderName;
use serde_json::json;

use super::context::{Context, PinOptions, unique};
use super::input::read_stdin;
use super::report::{Exit, Failure, print_bytes, tell};
use super::signing::{Desk, enveloping};
use crate::message::address::{Address, parse_mailboxes};
use crate::message::authors::{AuthorProblem, authors};
use crate::message::binary::without_binary_parts;
use crate::message::build::Unique;
use crate::message::canonical::{received, to_crlf};
use crate::message::mime::{Entity, MimeError};
use crate::message::outer::{assemble, separate};
use crate::message::parse::addresses;
use crate::message::secured::{Protection, protection};
use crate::protection::protect;

/// Filter: a message on stdin comes out signed and encrypted. The header stays outside and readable.
///
/// Line ends become CRLF; a message that is already signed is passed on byte for byte inside. Nothing comes out unless
/// everything succeeded.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer protect --from alice@mail.test --to bob@mail.test --pin-file fd:3 < plain.eml > protected.eml 3< pin"
)]
pub(super) struct Protect {
    /// The author; must be the account's address [default: the message's From]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// Recipient; several with commas or by repeating [default: the message's To and Cc]
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Sign only
    #[arg(long, conflicts_with = "no_sign")]
    no_encrypt: bool,
    /// Encrypt only
    #[arg(long)]
    no_sign: bool,
    /// Outcome as one JSON object on stderr
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pin: PinOptions,
}

impl Protect {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let mut unique = unique()?;
        let message = canonical(&read_stdin()?)?;
        let author = self.author(&context, &message)?;
        let recipients = if self.no_encrypt { Vec::new() } else { self.recipients(&message)? };
        let separated = separate(&message, &["Bcc", "Resent-Bcc"]);
        let mut desk = Desk::new(&context, context.card(&self.pin)?)?;
        let certificates = if self.no_encrypt { Vec::new() } else { desk.recipients(&recipients)? };
        let mut entity = not_a_message(separated.entity, &mut unique);
        if !self.no_sign {
            entity = desk.sign(&entity, &author, &unique.boundary())?;
        }
        if !self.no_encrypt {
            entity = protect::encrypt(&entity, &certificates, enveloping(!self.no_sign))?;
        }
        // A message without From, for which --from was given: what is signed must show its author.
        let from = match Entity::parse(&message).fields.first("From") {
            None => format!("From: {author}\r\n").into_bytes(),
            Some(_) => Vec::new(),
        };
        print_bytes(&assemble(&[from, separated.fields].concat(), &entity))?;
        if self.json {
            let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
            tell(
                &json!({
                    "command": "protect", "signed": !self.no_sign, "encrypted": !self.no_encrypt,
                    "from": author.to_string(), "recipients": recipients, "exit": 0,
                })
                .to_string(),
            );
        }
        Ok(Exit::Done)
    }

    /// Readers compare From with the certificate, so a message that names somebody else is refused here.
    fn author(&self, context: &Context, message: &[u8]) -> Result<Address, Failure> {
        let own = context.address()?;
        let claimed = self.from.clone().unwrap_or_else(|| own.clone());
        if claimed.key() != own.key() {
            return Err(Failure::new("not-your-address", format!("this account is {own}, not {claimed}")));
        }
        let named = match authors(message) {
            Err(AuthorProblem::Missing) if self.from.is_some() => Vec::new(),
            named => named?,
        };
        if named.is_empty() && self.from.is_none() {
            return Err(AuthorProblem::Missing.into());
        }
        let others: Vec<String> = named
            .into_iter()
            .filter(|author| author.parse::<Address>().map(|address| address.key()).ok() != Some(own.key()))
            .collect();
        if others.is_empty() {
            return Ok(own);
        }
        let message = format!("the message says it is from {}, not from {own}", others.join(", "));
        Err(Failure::new("not-your-address", message))
    }

    fn recipients(&self, message: &[u8]) -> Result<Vec<Address>, Failure> {
        let mut found = Vec::new();
        for list in &self.to {
            found.extend(parse_mailboxes(list)?.into_iter().map(|mailbox| mailbox.address));
        }
        if self.to.is_empty() {
            if Entity::parse(message).fields.first("Bcc").is_some() {
                return Err(Failure::usage(
                    "the message has a Bcc field: protect it once for --to the visible and once for each hidden recipient",
                ));
            }
            for correspondent in addresses(message, &[HeaderName::To, HeaderName::Cc]) {
                found.push(correspondent.address.parse()?);
            }
        }
        if found.is_empty() {
            return Err(Failure::usage("the message has no recipients; name them with --to"));
        }
        let mut known = Vec::new();
        found.retain(|address: &Address| {
            let key = address.key();
            let is_new = !known.contains(&key);
            known.push(key);
            is_new
        });
        Ok(found)
    }
}

/// CRLF everywhere but in binary parts, which become base64; what is already protected stays as it came.
fn canonical(message: &[u8]) -> Result<Vec<u8>, MimeError> {
    let as_received = received(message);
    match protection(&Entity::parse(&as_received))? {
        Protection::None => Ok(to_crlf(&without_binary_parts(message)?).into_owned()),
        Protection::Detached { .. } | Protection::Object { .. } => Ok(as_received.into_owned()),
    }
}

/// A protected `message/rfc822` is read as the message itself with its header protected (RFC 8551 section 3.1), so one that
/// is only passed on goes into a multipart.
fn not_a_message(entity: Vec<u8>, unique: &mut Unique) -> Vec<u8> {
    if Entity::parse(&entity).media_type().is_ok_and(|known| known.essence != "message/rfc822") {
        return entity;
    }
    let boundary = unique.boundary();
    let start = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n");
    [start.into_bytes(), entity, format!("\r\n--{boundary}--\r\n").into_bytes()].concat()
}
