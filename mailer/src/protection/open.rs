//! A received message becomes its content and a verdict (RFC 8551 section 3.7).
//!
//! Layers are taken off from the outside in. A signature speaks for the content only if no encryption lies inside it: who
//! signs something encrypted need not know what it says. The signer must be the author that the message shows in From, and
//! an envelope that anybody can change (AES-CBC) counts only around a trusted signature. What is only a part of the content
//! is never decrypted into it (EFAIL): see [`super::inner_parts`].
use std::io;

use super::labels::ClearanceSource;
use super::unwrapping::{Announced, Unwrapped, Unwrapping};
use crate::content::Content;
use crate::keys::{KeyRing, KeysError};
use crate::message::authors::senders;
use crate::message::canonical::received;
use crate::message::header_protection::{
    Around, Payload, Revealed, Scheme, is_announced, is_wrapped_message, reveal,
};
use crate::message::inert::inert;
use crate::message::mime::MimeError;
use crate::message::outer::{assemble_header, revealed_header, separate};
use crate::message::part::Part;
use crate::message::shown_text::Reading;
use crate::protection::inner_parts::{InnerPart, inner_parts};
use crate::readers::ClearanceProblem;
use crate::smime::receipt_request::Delivery;
use crate::smime::{DecompressError, DecryptError, EssError, SecurityLabel, SignedMessage};
use crate::trust::{Judge, Verdict};

/// How many layers of protection are taken off.
pub const MAXIMUM_LAYERS: usize = 10;

/// One layer that was taken off, from the outside in.
#[derive(Clone, Debug)]
pub enum Layer {
    /// An envelope that one of our keys opened.
    Encrypted {
        /// Whether the envelope itself proves that its content was not changed (AES-GCM, ChaCha20-Poly1305).
        authenticated: bool,
    },
    /// Compressed (RFC 3274), which proves nothing.
    Compressed,
    /// A signature, with the verdict about its signer.
    Signed(Verdict),
}

/// An opened message. The content is inside and comes out only through [`Opened::release`].
pub struct Opened {
    layers: Vec<Layer>,
    verdict: Verdict,
    header: Option<Revealed>,
    label: Option<SecurityLabel>,
    inner_parts: Vec<InnerPart>,
    innermost: Option<(SignedMessage, Delivery)>,
    content: Option<Content>,
}

/// When content is handed out although nothing proves whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasePolicy {
    /// Treat an unsigned message like an untrusted one.
    pub require_signed: bool,
    /// Hand out content of a signer who is not trusted, and content that anybody may have changed on its way.
    pub show_untrusted: bool,
}

/// Why a message could not be opened at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The envelope stays closed.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// It cannot be unpacked, or shall not.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The keys cannot be reached.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A CMS object of an unknown kind.
    #[error("the message is {0}, which this program cannot open")]
    Unsupported(&'static str),
    /// A label that the reader is not cleared for.
    #[error("the message is not for you: {0}; ask the issuance desk about your clearance")]
    Clearance(#[from] ClearanceProblem),
    /// The signatures of the message label it differently.
    #[error("the security labels inside and outside the message differ, so nobody can say who may read it")]
    LabelsDiffer,
    /// A label that cannot be read, or is not the same for all signers.
    #[error("nobody can say who may read the message: {0}")]
    Label(#[from] EssError),
    /// More layers than anybody needs.
    #[error("the message is protected more than {0} times over")]
    TooManyLayers(usize),
    /// A structure that nobody needs.
    #[error("the message is malformed: {0}")]
    Malformed(MimeError),
    /// The message could not be read, or the temporary file not be written.
    #[error("the message could not be read or its content not be kept: {0}")]
    Io(#[from] io::Error),
}

impl OpenError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decrypt(error) => error.code(),
            Self::Decompress(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Unsupported(_) => "unsupported",
            Self::Clearance(problem) => problem.code(),
            Self::LabelsDiffer => "labels-differ",
            Self::Label(error) => error.code(),
            Self::TooManyLayers(_) => "too-many-layers",
            Self::Malformed(error) => error.code(),
            Self::Io(_) => "input-output",
        }
    }
}

impl From<MimeError> for OpenError {
    fn from(error: MimeError) -> Self {
        match error {
            MimeError::Unreadable(problem) => Self::Io(io::Error::other(problem)),
            other => Self::Malformed(other),
        }
    }
}

/// Where the keys come from; asked at most once, and only for an encrypted message.
pub type KeySource<'a> = dyn FnMut() -> Result<Box<dyn KeyRing>, KeysError> + 'a;

/// Takes every layer of protection off a message and judges its signatures; for a reader who has no clearance.
///
/// # Errors
/// See [`OpenError`]. A broken signature is no error but a verdict.
pub fn open(
    original: &Content,
    keys: &mut KeySource<'_>,
    judge: &mut Judge<'_>,
) -> Result<Opened, OpenError> {
    open_cleared(original, keys, judge, &mut |_| Ok(None))
}

/// The same for a reader whose clearance can be asked for. It is checked before any envelope inside a labelled signature is
/// decrypted, and again when all layers are off.
///
/// # Errors
/// See [`OpenError`].
pub fn open_cleared<'f>(
    original: &Content,
    keys: &mut KeySource<'f>,
    judge: &mut Judge<'_>,
    clearance: &mut ClearanceSource<'f>,
) -> Result<Opened, OpenError> {
    let message = Part::read(original)?;
    if !may_be_protected(&message) {
        return Ok(Opened::unprotected(original, &message, Vec::new()));
    }
    let canonical = received(original)?;
    let message = Part::read(&canonical)?;
    let outer = separate(&message, &[]);
    let mut unwrapping = Unwrapping::new(keys, clearance);
    let entity = match unwrapping.unwrap(outer.entity(), judge)? {
        Unwrapped::Entity(entity) => entity,
        Unwrapped::Unreadable(verdict) => {
            let layers = unwrapping.judge_layers(judge, message.header());
            return Ok(Opened::withheld(layers, verdict));
        }
        Unwrapped::Changed => {
            let layers = unwrapping.judge_layers(judge, message.header());
            let verdict = match layers.last() {
                Some(Layer::Signed(verdict)) => verdict.clone(),
                _ => Verdict::unsigned(),
            };
            return Ok(Opened::withheld(layers, verdict));
        }
    };
    // What carries no protection passes untouched, line ends included.
    if unwrapping.is_unprotected() {
        let (inner, labels) = inner_parts(&canonical, judge)?;
        unwrapping.check_parts(&labels)?;
        return Ok(Opened::unprotected(original, &message, inner));
    }
    let mut content = Whole::new(&outer.fields, &entity, unwrapping.take_announced())?;
    let (layers, verdict) = judge_content(&unwrapping, judge, &mut content);
    if verdict.integrity_failed() {
        return Ok(Opened::withheld(layers, verdict));
    }
    let mut whole = content.content();
    let (inner_parts, labels) = inner_parts(&whole, judge)?;
    unwrapping.check_parts(&labels)?;
    if is_open_to_changes(&layers) {
        whole = inert(&whole)?;
    }
    let (header, label) = (Some(content.revealed), unwrapping.take_label());
    let innermost = unwrapping.take_innermost();
    Ok(Opened { layers, verdict, header, label, inner_parts, innermost, content: Some(whole) })
}

impl Opened {
    fn unprotected(original: &Content, message: &Part, inner_parts: Vec<InnerPart>) -> Self {
        let verdict = with_senders(Verdict::unsigned(), message.header());
        let content = Some(original.clone());
        Self { layers: Vec::new(), verdict, header: None, label: None, inner_parts, innermost: None, content }
    }

    fn withheld(layers: Vec<Layer>, verdict: Verdict) -> Self {
        let inner_parts = Vec::new();
        Self { layers, verdict, header: None, label: None, inner_parts, innermost: None, content: None }
    }

    /// The layers that were taken off, from the outside in.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Who signed the content, and whether to believe it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The innermost signature, which may ask for a receipt, and how the message came.
    pub fn innermost(&self) -> Option<&(SignedMessage, Delivery)> {
        self.innermost.as_ref()
    }

    /// The security label that its signatures carry, for which the reader was found cleared.
    pub fn label(&self) -> Option<&SecurityLabel> {
        self.label.as_ref()
    }

    /// How the header was protected, and where inside and outside disagree; only for a protected message with content.
    pub fn header(&self) -> Option<&Revealed> {
        self.header.as_ref()
    }

    /// How the content is to be read (RFC 9788 section 4.5: a Legacy Display is left out only of what its author encrypted).
    pub fn reading(&self) -> Reading {
        let is_cipher = self.header.as_ref().is_some_and(|header| header.scheme == Scheme::Cipher);
        Reading { omit_legacy_display: is_cipher && self.was_encrypted() }
    }

    /// Parts of the content that carry protection of their own, which says nothing about the rest.
    pub fn inner_parts(&self) -> &[InnerPart] {
        &self.inner_parts
    }

    /// Whether the content was encrypted on its way.
    pub fn was_encrypted(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Encrypted { .. }))
    }

    /// Whether the message meets the policy without any allowance: then a program may exit 0.
    pub fn is_acceptable(&self, policy: ReleasePolicy) -> bool {
        self.verdict.is_trusted() || (self.verdict.is_plainly_unsigned() && !policy.require_signed)
    }

    /// Hands the content out if the policy allows: an RFC 5322 message with CRLF line ends. Changed content never comes out,
    /// and what anybody may have changed comes out only as text and files.
    pub fn release(self, policy: ReleasePolicy) -> Option<Content> {
        let allowed =
            self.is_acceptable(policy) || (policy.show_untrusted && !self.verdict.integrity_failed());
        self.content.filter(|_| allowed)
    }
}

/// A message whose type already says that nothing in it is protected need not be looked through.
fn may_be_protected(message: &Part) -> bool {
    message.media_type().map_or(true, |known| {
        known.is_of_type("multipart") || known.is_of_type("message") || known.is_of_type("application")
    })
}

/// The message that outer fields and the innermost entity are together.
struct Whole<'f> {
    fields: &'f [u8],
    payload: Part,
    is_wrapped: bool,
    /// Where the payload protects no header: the protected header of a layer around it.
    announced: Option<Announced>,
    revealed: Revealed,
}

impl<'f> Whole<'f> {
    /// RFC 8551 section 3.1: a protected `message/rfc822` is the message itself with its header protected.
    fn new(fields: &'f [u8], entity: &Content, announced: Option<Announced>) -> Result<Self, OpenError> {
        let part = Part::read(entity)?;
        let wrapped =
            match part.media_type().map(|known| (known.essence == "message/rfc822").then_some(known)) {
                Ok(Some(media_type)) => {
                    let message = Part::read(&part.decoded_body()?.to_content()?)?;
                    Some(message).filter(|message| is_wrapped_message(fields, &media_type, message.header()))
                }
                _ => None,
            };
        let is_wrapped = wrapped.is_some();
        let payload = wrapped.unwrap_or(part);
        let announced = announced.filter(|_| !is_wrapped && !is_announced(payload.header()));
        let revealed = Revealed { scheme: Scheme::None, fields: Vec::new(), disagreements: Vec::new() };
        Ok(Self { fields, payload, is_wrapped, announced, revealed })
    }

    /// Puts the header together for what is known about the layers around.
    fn reveal(&mut self, around: Around) -> Vec<u8> {
        let header = self.payload.header();
        let (payload, around) = match &self.announced {
            _ if self.is_wrapped => (Payload::WrappedMessage(header), around),
            None => (Payload::Header(header), around),
            Some(Announced { header, around: own }) => {
                let was_signed = own.was_signed && around.was_signed;
                (Payload::Header(header), Around { was_signed, ..*own })
            }
        };
        self.revealed = reveal(self.fields, payload, around);
        self.header()
    }

    /// A message without any field outside is all inside, announced or not.
    fn header(&self) -> Vec<u8> {
        if self.revealed.scheme == Scheme::None && self.fields.is_empty() {
            return assemble_header(&[], self.payload.header());
        }
        revealed_header(&self.revealed.header(), self.payload.header())
    }

    fn content(&self) -> Content {
        Content::concat([Content::from_vec(self.header()), self.payload.body.clone()])
    }
}

/// The verdict about the content: of the signatures inside all encryption, the first that is not trusted, else the innermost.
fn overall(layers: &[Layer]) -> Verdict {
    let inside =
        layers.iter().rposition(|layer| matches!(layer, Layer::Encrypted { .. })).map_or(0, |last| last + 1);
    let verdicts: Vec<&Verdict> = layers
        .iter()
        .skip(inside)
        .filter_map(|layer| match layer {
            Layer::Signed(verdict) => Some(verdict),
            Layer::Encrypted { .. } | Layer::Compressed => None,
        })
        .collect();
    let doubtful = verdicts.iter().find(|verdict| !verdict.is_trusted());
    match doubtful.or(verdicts.last()) {
        Some(verdict) => (*verdict).clone(),
        None if is_open_to_changes(layers) => Verdict::unauthenticated(),
        None => Verdict::unsigned(),
    }
}

/// Whether an envelope that does not prove its content has no trusted signature inside that does.
fn is_open_to_changes(layers: &[Layer]) -> bool {
    let is_trusted = |layer: &Layer| matches!(layer, Layer::Signed(verdict) if verdict.is_trusted());
    layers.iter().enumerate().any(|(position, layer)| {
        matches!(layer, Layer::Encrypted { authenticated: false })
            && !layers.iter().skip(position + 1).any(is_trusted)
    })
}

fn with_senders(verdict: Verdict, header: &[u8]) -> Verdict {
    match senders(header) {
        senders if senders.is_empty() => verdict,
        senders => verdict.with_sender(&senders),
    }
}

/// Judges by the author that the protected header names, for that is whom the signer let speak: one who is named outside
/// alone is believed only where no header is protected. Where nothing proves the inside, the outside is shown.
fn judge_content(
    unwrapping: &Unwrapping<'_, '_>,
    judge: &mut Judge<'_>,
    content: &mut Whole<'_>,
) -> (Vec<Layer>, Verdict) {
    let was_encrypted = unwrapping.was_encrypted();
    let mut header = content.reveal(Around { was_encrypted, was_signed: true });
    let layers = unwrapping.judge_layers(judge, &header);
    let verdict = overall(&layers);
    if !verdict.is_trusted() {
        header = content.reveal(Around { was_encrypted, was_signed: false });
    }
    (layers, with_senders(verdict, &header))
}
