//! Parts of a message that carry S/MIME protection of their own: below a mailing list's footer, or in a forwarded message.
//!
//! Each speaks for itself alone, never for the message around it. An encrypted part is named and stays closed: decrypted, it
//! would stand among parts that anybody may have put around it, and those could carry it away (EFAIL).
use std::io;

use super::open::OpenError;
use super::unwrapping::{Broken, has_broken_signature, judge_signed};
use crate::content::{Content, Replay};
use crate::message::attachment::safe_name;
use crate::message::authors::authors;
use crate::message::header_protection::{Around, Payload, Scheme, reveal};
use crate::message::mime::MimeError;
use crate::message::parse::{MAXIMUM_DEPTH, MAXIMUM_PARTS, read_header};
use crate::message::part::Part;
use crate::message::secured::{ObjectKind, Protection, protection};
use crate::smime::{self, SecurityLabel, SignedMessage};
use crate::trust::{Judge, Verdict};

/// The most protected parts that are looked into.
pub const MOST_PROTECTED_PARTS: usize = 16;

/// A protected part of a message.
#[derive(Clone, Debug)]
pub struct InnerPart {
    /// Where it stands: `2` is the second part of the message, `2.1` the first part of that.
    pub position: String,
    /// What it is, in words: `the text`, `the forwarded message "Crane"`.
    pub what: String,
    /// Its media type.
    pub media_type: String,
    /// How many octets the protection covers.
    pub extent: u64,
    /// What protects it.
    pub protection: InnerProtection,
}

/// What protects a part.
#[derive(Clone, Debug)]
pub enum InnerProtection {
    /// A signature over this part alone, with the verdict about its signer as author of the message that it stands in.
    Signed(Box<Verdict>),
    /// An envelope, which was not opened.
    Encrypted,
    /// Something that was not looked into: compressed, or one of too many.
    Other,
}

/// A security label that a part carries, and whether somebody trusted signed it.
pub(super) type PartLabel = (SecurityLabel, bool);

/// Finds the protected parts below the top of a message, and their labels.
///
/// # Errors
/// Nested too deep, too many parts, a label that cannot be read, or a message that cannot be read.
pub(super) fn inner_parts(
    message: &Content,
    judge: &mut Judge<'_>,
) -> Result<(Vec<InnerPart>, Vec<PartLabel>), OpenError> {
    let whole = Part::read(message)?;
    let mut walk = Walk { judge, looked_at: 0, found: Vec::new(), labels: Vec::new() };
    walk.children(&whole, &[], &Enclosing { header: whole.header(), name: None })?;
    Ok((walk.found, walk.labels))
}

/// The part at a position as a message of its own: nothing of what stands around it is in it. A message inside the message
/// comes with its own header.
///
/// # Errors
/// The message cannot be read.
pub fn separate_message(message: &Content, position: &str) -> Result<Option<Content>, MimeError> {
    let mut content = message.clone();
    for number in position.split('.') {
        let Ok(number) = number.parse::<usize>() else { return Ok(None) };
        let part = Part::read(&content)?;
        let inside = match part.media_type()?.is_of_type("message") {
            true => vec![part.decoded_body()?.to_content()?],
            false => part.parts()?.map(|(parts, _)| parts).unwrap_or_default(),
        };
        let Some(found) = number.checked_sub(1).and_then(|index| inside.into_iter().nth(index)) else {
            return Ok(None);
        };
        content = found;
    }
    Ok(Some(content))
}

/// The message that a part stands in.
struct Enclosing<'m> {
    header: &'m [u8],
    /// What it is called, if it stands in another message itself.
    name: Option<String>,
}

struct Walk<'w, 'j> {
    judge: &'w mut Judge<'j>,
    looked_at: usize,
    found: Vec<InnerPart>,
    labels: Vec<PartLabel>,
}

impl Walk<'_, '_> {
    fn part(
        &mut self,
        whole: &Content,
        position: &[usize],
        enclosing: &Enclosing<'_>,
    ) -> Result<(), OpenError> {
        if position.len() > MAXIMUM_DEPTH {
            return Err(OpenError::Malformed(MimeError::TooDeep(MAXIMUM_DEPTH)));
        }
        self.looked_at += 1;
        if self.looked_at > MAXIMUM_PARTS {
            return Ok(());
        }
        // What is broken further down is shown as it is, and as nothing else.
        let Some(part) = tolerated(Part::read(whole))? else { return Ok(()) };
        let Some(known) = tolerated(protection(&part))? else {
            return self.children(&part, position, enclosing);
        };
        let (extent, protection, inside) = match known {
            Protection::None => return self.children(&part, position, enclosing),
            _ if self.found.len() >= MOST_PROTECTED_PARTS => (whole.len(), InnerProtection::Other, None),
            Protection::Detached { content, signature } => {
                let (verdict, _) = self.verify(&signature, Some(&content), enclosing)?;
                (content.len(), InnerProtection::Signed(Box::new(verdict)), Some(content))
            }
            Protection::Object { kind: ObjectKind::Signed, cms } => {
                let (verdict, content) = self.verify(&cms, None, enclosing)?;
                (whole.len(), InnerProtection::Signed(Box::new(verdict)), content)
            }
            Protection::Object { kind: ObjectKind::Enveloped | ObjectKind::AuthEnveloped, .. } => {
                (whole.len(), InnerProtection::Encrypted, None)
            }
            Protection::Object { .. } => (whole.len(), InnerProtection::Other, None),
        };
        let covered = match &inside {
            Some(content) => tolerated(Part::read(content))?,
            None => None,
        };
        let is_whole_message = part.header().len() == enclosing.header.len() && enclosing.name.is_some();
        let what = match (&enclosing.name, is_whole_message) {
            (Some(name), true) => name.clone(),
            (Some(name), false) => format!("{} in {name}", description(covered.as_ref().unwrap_or(&part))),
            (None, _) => description(covered.as_ref().unwrap_or(&part)),
        };
        let media_type = part.media_type().map(|known| known.essence).unwrap_or_default();
        self.found.push(InnerPart { position: in_words(position), what, media_type, extent, protection });
        let Some(content) = inside else { return Ok(()) };
        self.part(&content, &[position, &[1]].concat(), enclosing)
    }

    /// The parts of a multipart, or the message in a part.
    fn children(
        &mut self,
        part: &Part,
        position: &[usize],
        enclosing: &Enclosing<'_>,
    ) -> Result<(), OpenError> {
        let Some(media_type) = tolerated(part.media_type())? else { return Ok(()) };
        if media_type.is_of_type("message") {
            return self.message(part, position);
        }
        let Some(Some((parts, _))) = tolerated(part.parts())? else { return Ok(()) };
        for (number, child) in parts.iter().enumerate() {
            self.part(child, &[position, &[number + 1]].concat(), enclosing)?;
        }
        Ok(())
    }

    /// A message inside the message has authors of its own.
    fn message(&mut self, part: &Part, position: &[usize]) -> Result<(), OpenError> {
        let Some(body) = tolerated(part.decoded_body())? else { return Ok(()) };
        let Some(content) = tolerated(body.to_content().map_err(MimeError::from))? else { return Ok(()) };
        let Some(message) = tolerated(Part::read(&content))? else { return Ok(()) };
        let enclosing = Enclosing { header: message.header(), name: Some(forwarded(message.header())) };
        self.part(&content, &[position, &[1]].concat(), &enclosing)
    }

    /// The verdict about a signature, and what it covers.
    fn verify(
        &mut self,
        cms: &dyn Replay,
        content: Option<&Content>,
        enclosing: &Enclosing<'_>,
    ) -> Result<(Verdict, Option<Content>), OpenError> {
        match smime::verify(cms, content, &[]) {
            Ok(signed) if signed.signers.is_empty() => Ok((Verdict::unsigned(), None)),
            Ok(signed) if has_broken_signature(&signed) => {
                Ok((self.judge.signed_message(&signed, &[]), None))
            }
            Ok(mut signed) => {
                let covered = signed.content.take().or_else(|| content.cloned());
                let verdict = self.judge(&signed, covered.as_ref(), enclosing)?;
                let label = SecurityLabel::of(&signed)?;
                self.labels.extend(label.map(|label| (label, verdict.is_trusted())));
                Ok((verdict, covered))
            }
            Err(error) => match Broken::from(error) {
                Broken::Unreadable(problem) => Ok((Verdict::unreadable(&problem), None)),
                Broken::Fails(error) => Err(error),
            },
        }
    }

    /// Judges by the author that a protected header inside names, else by the one of the message that the part stands in.
    fn judge(
        &mut self,
        signed: &SignedMessage,
        covered: Option<&Content>,
        enclosing: &Enclosing<'_>,
    ) -> Result<Verdict, OpenError> {
        let inside = covered.map(Part::read).transpose();
        if let Some(Some(inside)) = tolerated(inside)? {
            let around = Around { was_encrypted: false, was_signed: true };
            let revealed = reveal(enclosing.header, Payload::Header(inside.header()), around);
            if revealed.scheme != Scheme::None {
                return Ok(judge_signed(self.judge, signed, &authors(&revealed.header())));
            }
        }
        Ok(judge_signed(self.judge, signed, &authors(enclosing.header)))
    }
}

fn forwarded(header: &[u8]) -> String {
    match read_header(header).subject {
        subject if subject.is_empty() => "the forwarded message".to_owned(),
        subject => format!("the forwarded message \"{subject}\""),
    }
}

/// What a part is, in words.
fn description(part: &Part) -> String {
    let essence = part.media_type().map(|known| known.essence).unwrap_or_default();
    match (part.suggested_name(), essence.as_str()) {
        (_, "message/rfc822" | "message/global") => "the forwarded message".to_owned(),
        (Some(name), _) => format!("the attachment \"{}\"", safe_name(&name)),
        (None, essence) if essence.starts_with("text/") => "the text".to_owned(),
        (None, essence) if essence.starts_with("multipart/") => "several parts".to_owned(),
        (None, _) => "an attachment".to_owned(),
    }
}

/// `None` for what is malformed; only limits and files that fail are errors.
fn tolerated<T>(result: Result<T, MimeError>) -> Result<Option<T>, OpenError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MimeError::Unreadable(problem)) => Err(OpenError::Io(io::Error::other(problem))),
        Err(limit @ (MimeError::TooManyParts(_) | MimeError::TooDeep(_))) => Err(OpenError::Malformed(limit)),
        Err(_) => Ok(None),
    }
}

fn in_words(position: &[usize]) -> String {
    position.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
}
