//! `mailer protect`: a message in, the same message signed and encrypted out; all of it, or nothing.
use std::path::PathBuf;

use clap::Args;
use mail_parser::HeaderName;
use serde_json::json;

use super::algorithms::{AlgorithmOptions, algorithms_json};
use super::context::{Context, PinOptions, unique};
use super::headers::{HeaderOptions, Headers};
use super::input::{content_of, stdin_content};
use super::report::{Exit, Failure, tell, write_out};
use super::signing::Desk;
use crate::content::Content;
use crate::message::address::{Address, parse_mailboxes};
use crate::message::authors::{AuthorProblem, authors};
use crate::message::binary;
use crate::message::build::Unique;
use crate::message::canonical::received;
use crate::message::header::Fields;
use crate::message::header_protection::Protecting;
use crate::message::mime::MimeError;
use crate::message::outer::{Separated, assemble_header, separate};
use crate::message::parse::addresses;
use crate::message::part::Part;
use crate::message::secured::{Protection, protection};
use crate::protection::protect;
use crate::smime::AlgorithmChoice;

/// Filter: a message of any length on stdin comes out signed and encrypted.
///
/// The header is protected with it (RFC 9788); outside stays of it what --headers leaves. Line ends become CRLF; a message that
/// is already signed is passed on byte for byte inside. Nothing comes out unless everything can succeed.
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
    #[command(flatten)]
    headers: HeaderOptions,
    /// Outcome as one JSON object on stderr
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    algorithms: AlgorithmOptions,
    #[command(flatten)]
    pin: PinOptions,
}

impl Protect {
    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        let context = Context::load(home)?;
        let mut unique = unique()?;
        let enveloping = self.algorithms.enveloping(!self.no_sign)?;
        let message = Part::read(&canonical(&stdin_content()?)?)?;
        let author = self.author(&context, message.header())?;
        let recipients = if self.no_encrypt { Vec::new() } else { self.recipients(message.header())? };
        let headers = self.headers.chosen(&context)?;
        let separated = self.with_protected_header(&message, &author, headers, &mut unique)?;
        let mut desk = Desk::new(&context, context.card(&self.pin)?, self.algorithms)?;
        let certificates = if self.no_encrypt { Vec::new() } else { desk.recipients(&recipients)? };
        let entity = separated.entity();
        let protected = if self.no_sign {
            protect::encrypt(&entity, &certificates, enveloping)?
        } else {
            let signed = desk.sign(&entity, &author, &unique.boundary())?;
            match self.no_encrypt {
                true => signed,
                false => protect::encrypt(&content_of(signed)?, &certificates, enveloping)?,
            }
        };
        let header = assemble_header(&separated.fields, protected.header());
        write_out(|out| {
            out.write_all(&header)?;
            protected.write_body(out)
        })?;
        if self.json {
            let signature = if self.no_sign { None } else { Some(desk.signing_algorithm()?) };
            let encryption = match self.no_encrypt {
                true => None,
                false => Some(AlgorithmChoice::of(&certificates, enveloping)?),
            };
            let recipients: Vec<String> = recipients.iter().map(ToString::to_string).collect();
            tell(
                &json!({
                    "command": "protect", "signed": !self.no_sign, "encrypted": !self.no_encrypt,
                    "headers": headers.to_string(),
                    "algorithms": algorithms_json(signature, encryption.as_ref()),
                    "from": author.to_string(), "recipients": recipients, "exit": 0,
                })
                .to_string(),
            );
        }
        Ok(Exit::Done)
    }

    /// The header that stays outside, and the entity with the header that goes inside.
    fn with_protected_header(
        &self,
        message: &Part,
        author: &Address,
        headers: Headers,
        unique: &mut Unique,
    ) -> Result<Separated, Failure> {
        let mut separated = not_a_message(separate(message, &["Bcc", "Resent-Bcc"]), unique)?;
        // A message without From, for which --from was given: what is signed must show its author.
        if message.fields().first("From").is_none() {
            let from = format!("From: {author}\r\n").into_bytes();
            separated.fields = [from, separated.fields].concat();
        }
        // Whoever signed it has said what its header is; only an envelope has more to hide.
        if self.no_encrypt && !matches!(protection(message)?, Protection::None) {
            return Ok(separated);
        }
        let protecting = if self.no_encrypt { Protecting::SignedOnly } else { Protecting::Encrypted };
        let (fields, entity_header) = headers.apply(separated.fields, separated.entity_header, protecting)?;
        Ok(Separated { fields, entity_header, body: separated.body })
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
            if Fields::split(message).0.first("Bcc").is_some() {
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
fn canonical(message: &Content) -> Result<Content, MimeError> {
    match protection(&Part::read(message)?)? {
        Protection::None => binary::canonical(message),
        Protection::Detached { .. } | Protection::Object { .. } => Ok(received(message)?),
    }
}

/// A protected `message/rfc822` is read as the message itself with its header protected (RFC 8551 section 3.1), so one that
/// is only passed on goes into a multipart.
fn not_a_message(separated: Separated, unique: &mut Unique) -> Result<Separated, MimeError> {
    let part = Part::read(&separated.entity())?;
    if part.media_type().is_ok_and(|known| known.essence != "message/rfc822") {
        return Ok(separated);
    }
    let boundary = unique.boundary();
    let header = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n");
    let body = Content::concat([
        Content::from_vec(format!("--{boundary}\r\n").into_bytes()),
        separated.entity(),
        Content::from_vec(format!("\r\n--{boundary}--\r\n").into_bytes()),
    ]);
    Ok(Separated { fields: separated.fields, entity_header: header.into_bytes(), body })
}
