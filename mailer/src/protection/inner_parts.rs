//! Parts of a message that carry S/MIME protection of their own: below a mailing list's footer, or in a forwarded message.
//!
//! Each speaks for itself alone, never for the message around it. An encrypted part is named and stays closed: decrypted, it
//! would stand among parts that anybody may have put around it, and those could carry it away (EFAIL).
use std::io;

use super::open::{Broken, OpenError, has_broken_signature, judge_signed};
use crate::content::Content;
use crate::message::authors::{AuthorProblem, authors};
use crate::message::mime::MimeError;
use crate::message::parse::{MAXIMUM_DEPTH, MAXIMUM_PARTS};
use crate::message::part::Part;
use crate::message::secured::{ObjectKind, Protection, protection};
use crate::smime;
use crate::trust::{Judge, Verdict};

/// The most protected parts that are looked into.
pub const MOST_PROTECTED_PARTS: usize = 16;

/// A protected part of a message.
#[derive(Clone, Debug)]
pub struct InnerPart {
    /// Where it stands: `2` is the second part of the message, `2.1` the first part of that.
    pub position: String,
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
    Signed(Verdict),
    /// An envelope, which was not opened.
    Encrypted,
    /// Something that was not looked into: compressed, or one of too many.
    Other,
}

/// Finds the protected parts below the top of a message.
///
/// # Errors
/// Nested too deep, too many parts, or a message that cannot be read.
pub(super) fn inner_parts(message: &Content, judge: &mut Judge<'_>) -> Result<Vec<InnerPart>, OpenError> {
    let header = Part::read(message)?;
    let mut walk = Walk { judge, looked_at: 0, found: Vec::new() };
    walk.children(&header, &[], &authors(header.header()))?;
    Ok(walk.found)
}

type Authors = Result<Vec<String>, AuthorProblem>;

struct Walk<'w, 'j> {
    judge: &'w mut Judge<'j>,
    looked_at: usize,
    found: Vec<InnerPart>,
}

impl Walk<'_, '_> {
    fn part(&mut self, whole: &Content, position: &[usize], authors: &Authors) -> Result<(), OpenError> {
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
            return self.children(&part, position, authors);
        };
        let (extent, protection, inside) = match known {
            Protection::None => return self.children(&part, position, authors),
            _ if self.found.len() >= MOST_PROTECTED_PARTS => (whole.len(), InnerProtection::Other, None),
            Protection::Detached { content, signature } => {
                let verdict = self.verify(&signature, Some(&content), authors)?;
                (content.len(), InnerProtection::Signed(verdict), Some(content))
            }
            Protection::Object { kind: ObjectKind::Signed, cms } => {
                let verdict = self.verify(&cms, None, authors)?;
                (whole.len(), InnerProtection::Signed(verdict), None)
            }
            Protection::Object { kind: ObjectKind::Enveloped | ObjectKind::AuthEnveloped, .. } => {
                (whole.len(), InnerProtection::Encrypted, None)
            }
            Protection::Object { .. } => (whole.len(), InnerProtection::Other, None),
        };
        let media_type = part.media_type().map(|known| known.essence).unwrap_or_default();
        self.found.push(InnerPart { position: in_words(position), media_type, extent, protection });
        let Some(content) = inside else { return Ok(()) };
        self.part(&content, &[position, &[1]].concat(), authors)
    }

    /// The parts of a multipart, or the message in a part.
    fn children(&mut self, part: &Part, position: &[usize], authors: &Authors) -> Result<(), OpenError> {
        let Some(media_type) = tolerated(part.media_type())? else { return Ok(()) };
        if media_type.is_of_type("message") {
            return self.message(part, position);
        }
        let Some(Some((parts, _))) = tolerated(part.parts())? else { return Ok(()) };
        for (number, child) in parts.iter().enumerate() {
            self.part(child, &[position, &[number + 1]].concat(), authors)?;
        }
        Ok(())
    }

    /// A message inside the message has authors of its own.
    fn message(&mut self, part: &Part, position: &[usize]) -> Result<(), OpenError> {
        let Some(body) = tolerated(part.decoded_body())? else { return Ok(()) };
        let Some(content) = tolerated(body.to_content().map_err(MimeError::from))? else { return Ok(()) };
        let Some(message) = tolerated(Part::read(&content))? else { return Ok(()) };
        self.part(&content, &[position, &[1]].concat(), &authors(message.header()))
    }

    fn verify(
        &mut self,
        cms: &dyn crate::content::Replay,
        content: Option<&Content>,
        authors: &Authors,
    ) -> Result<Verdict, OpenError> {
        match smime::verify(cms, content, &[]) {
            Ok(signed) if signed.signers.is_empty() => Ok(Verdict::unsigned()),
            Ok(signed) if has_broken_signature(&signed) => Ok(self.judge.signed_message(&signed, &[])),
            Ok(signed) => Ok(judge_signed(self.judge, &signed, authors)),
            Err(error) => match Broken::from(error) {
                Broken::Unreadable(problem) => Ok(Verdict::unreadable(&problem)),
                Broken::Fails(error) => Err(error),
            },
        }
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
