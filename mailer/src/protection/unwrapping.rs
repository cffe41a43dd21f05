//! Layers of protection taken off an entity, from the outside in. Nothing is judged before the last is off: the protected
//! header inside says by whom.
use std::io;

use super::inner_parts::PartLabel;
use super::labels::{ClearanceQuestion, ClearanceSource, check, common_label};
use super::open::{KeySource, Layer, MAXIMUM_LAYERS, OpenError};
use crate::content::{Content, Replay};
use crate::keys::{KeyRing, KeysError};
use crate::message::authors::{AuthorProblem, authors};
use crate::message::canonical::received;
use crate::message::header_protection::{Around, is_announced};
use crate::message::mime::MimeError;
use crate::message::part::Part;
use crate::message::secured::{ObjectKind, Protection, protection};
use crate::smime::receipt_request::Delivery;
use crate::smime::{self, DecompressError, DecryptError, SecurityLabel, SignedMessage, VerifyError};
use crate::trust::{Judge, Verdict};

/// How far the layers came off.
pub(super) enum Unwrapped {
    /// Nothing is left to take off.
    Entity(Content),
    /// A protected form that is broken.
    Unreadable(Verdict),
    /// The last layer is a signature that does not fit its content.
    Changed,
}

/// A layer that was taken off, its signers still to be judged.
enum UnjudgedLayer {
    Encrypted { authenticated: bool },
    Compressed,
    Signed(SignedMessage),
}

impl UnjudgedLayer {
    fn signed(&self) -> Option<&SignedMessage> {
        match self {
            Self::Signed(message) => Some(message),
            Self::Encrypted { .. } | Self::Compressed => None,
        }
    }

    fn judge(&self, judge: &mut Judge<'_>, authors: &Result<Vec<String>, AuthorProblem>) -> Layer {
        match self {
            Self::Encrypted { authenticated } => Layer::Encrypted { authenticated: *authenticated },
            Self::Compressed => Layer::Compressed,
            Self::Signed(message) => Layer::Signed(judge_signed(judge, message, authors)),
        }
    }
}

/// The verdict about a signed message or part whose authors are these.
pub(super) fn judge_signed(
    judge: &mut Judge<'_>,
    message: &SignedMessage,
    authors: &Result<Vec<String>, AuthorProblem>,
) -> Verdict {
    match authors {
        Ok(authors) => judge.signed_message(message, authors),
        Err(problem) => judge.signed_message(message, &[]).without_clear_author(problem),
    }
}

/// The header of an entity that is itself protected, which says that the header of the message is protected in it: what
/// `protect` makes of a message that came signed and may not be changed.
pub(super) struct Announced {
    pub(super) header: Vec<u8>,
    /// How the layers around it protect it.
    pub(super) around: Around,
}

/// Takes layers off.
pub(super) struct Unwrapping<'k, 'f> {
    keys: &'k mut KeySource<'f>,
    clearance: &'k mut ClearanceSource<'f>,
    /// The label that the reader was found cleared for.
    cleared: Option<SecurityLabel>,
    ring: Option<Box<dyn KeyRing>>,
    layers: Vec<UnjudgedLayer>,
    announced: Option<Announced>,
}

impl<'k, 'f> Unwrapping<'k, 'f> {
    pub(super) fn new(keys: &'k mut KeySource<'f>, clearance: &'k mut ClearanceSource<'f>) -> Self {
        Self { keys, clearance, cleared: None, ring: None, layers: Vec::new(), announced: None }
    }

    /// Takes off every layer that there is.
    pub(super) fn unwrap(&mut self, entity: Content, judge: &mut Judge<'_>) -> Result<Unwrapped, OpenError> {
        let mut entity = entity;
        for _ in 0..=MAXIMUM_LAYERS {
            self.note_announced(&entity);
            let inner = match self.take_off(&entity, judge) {
                Ok(inner) => inner,
                Err(Broken::Fails(error)) => return Err(error),
                Err(Broken::Unreadable(problem)) => {
                    return Ok(Unwrapped::Unreadable(Verdict::unreadable(&problem)));
                }
            };
            match inner {
                None => {
                    self.check_label(judge)?;
                    return Ok(Unwrapped::Entity(entity));
                }
                Some(_) if self.has_broken_signature() => return Ok(Unwrapped::Changed),
                Some(content) => entity = received(&content)?,
            }
        }
        Err(OpenError::TooManyLayers(MAXIMUM_LAYERS))
    }

    /// What stands outside all layers announces nothing.
    fn note_announced(&mut self, entity: &Content) {
        let header = Part::read(entity).map(|part| part.header().to_vec()).unwrap_or_default();
        if !self.layers.is_empty() && is_announced(&header) {
            let was_signed = self.layers.iter().any(|layer| matches!(layer, UnjudgedLayer::Signed(_)));
            let around = Around { was_encrypted: self.was_encrypted(), was_signed };
            self.announced = Some(Announced { header, around });
        }
    }

    /// The content under the outermost layer; `None` where there is none.
    fn take_off(&mut self, entity: &Content, judge: &mut Judge<'_>) -> Result<Option<Content>, Broken> {
        match protection(&Part::read(entity)?)? {
            Protection::None => Ok(None),
            Protection::Detached { content, signature } => {
                let signed = smime::verify(&signature, Some(&content), &[])?;
                Ok(self.signed(signed, Some(content)))
            }
            Protection::Object { kind: ObjectKind::Signed, cms } => {
                let mut signed = smime::verify(&cms, None, &[])?;
                let content = signed.content.take();
                Ok(self.signed(signed, content))
            }
            Protection::Object { kind: ObjectKind::Enveloped | ObjectKind::AuthEnveloped, cms } => {
                // Before the card is asked for anything (RFC 2634 section 3).
                self.check_label(judge)?;
                Ok(Some(self.decrypt(&cms)?))
            }
            Protection::Object { kind: ObjectKind::Compressed, cms } => {
                let content = smime::decompress(&cms).map_err(OpenError::from)?;
                self.layers.push(UnjudgedLayer::Compressed);
                Ok(Some(content))
            }
            Protection::Object { kind: ObjectKind::Unknown, cms } => match smime::verify(&cms, None, &[]) {
                Err(error @ VerifyError::Malformed(_)) => Err(error.into()),
                _ => Err(OpenError::Unsupported("a cryptographic object of an unknown kind").into()),
            },
        }
    }

    /// A message of certificates only (RFC 8551 section 3.8) signs nothing: its entity stays as it is.
    fn signed(&mut self, signed: SignedMessage, content: Option<Content>) -> Option<Content> {
        if signed.signers.is_empty() && content.is_none() {
            return None;
        }
        self.layers.push(UnjudgedLayer::Signed(signed));
        Some(content.unwrap_or_default())
    }

    /// Whether the reader may see what the layers so far are around.
    fn check_label(&mut self, judge: &mut Judge<'_>) -> Result<(), OpenError> {
        let signed = self.layers.iter().filter_map(UnjudgedLayer::signed);
        let Some(label) = common_label(signed.clone())? else { return Ok(()) };
        if self.cleared.as_ref() == Some(&label) {
            return Ok(());
        }
        let signer_is_trusted = signed.clone().any(|layer| judge.signed_message(layer, &[]).is_trusted());
        self.ask(&label, signer_is_trusted)?;
        self.cleared = Some(label);
        Ok(())
    }

    /// The same for labels of parts inside, which may say something else than the message around them.
    pub(super) fn check_parts(&mut self, labels: &[PartLabel]) -> Result<(), OpenError> {
        labels.iter().try_for_each(|(label, signer_is_trusted)| self.ask(label, *signer_is_trusted))
    }

    fn ask(&mut self, label: &SecurityLabel, signer_is_trusted: bool) -> Result<(), OpenError> {
        let (ring, keys) = (&mut self.ring, &mut *self.keys);
        let mut certificates = || Ok(opened(ring, keys)?.certificates().to_vec());
        let mut question = ClearanceQuestion { label, signer_is_trusted, certificates: &mut certificates };
        check(&mut question, self.clearance)
    }

    /// The label that all labelled layers have.
    pub(super) fn take_label(&mut self) -> Option<SecurityLabel> {
        self.cleared.take()
    }

    fn decrypt(&mut self, cms: &dyn Replay) -> Result<Content, OpenError> {
        let ring = opened(&mut self.ring, self.keys)?;
        let decrypted = smime::decrypt(cms, ring)?;
        self.layers.push(UnjudgedLayer::Encrypted { authenticated: decrypted.authenticated });
        Ok(decrypted.content)
    }

    /// Whether no layer was there.
    pub(super) fn is_unprotected(&self) -> bool {
        self.layers.is_empty()
    }

    /// Whether one of the layers was an envelope.
    pub(super) fn was_encrypted(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, UnjudgedLayer::Encrypted { .. }))
    }

    /// What the innermost layer that says anything announces about the header.
    pub(super) fn take_announced(&mut self) -> Option<Announced> {
        self.announced.take()
    }

    /// Judges every layer by the authors whom the header names in From.
    pub(super) fn judge_layers(&self, judge: &mut Judge<'_>, header: &[u8]) -> Vec<Layer> {
        let authors = authors(header);
        self.layers.iter().map(|layer| layer.judge(judge, &authors)).collect()
    }

    /// The innermost signature, and how the signatures around it say that the message came (RFC 2634 section 2.2).
    pub(super) fn take_innermost(&mut self) -> Option<(SignedMessage, Delivery)> {
        let position = self.layers.iter().rposition(|layer| matches!(layer, UnjudgedLayer::Signed(_)))?;
        let mut rest = self.layers.split_off(position).into_iter();
        let Some(UnjudgedLayer::Signed(innermost)) = rest.next() else { return None };
        let outer = self.layers.iter().filter_map(UnjudgedLayer::signed);
        // An envelope inside the signature hides who signed what.
        let is_last = rest.next().is_none();
        is_last.then(|| (innermost, Delivery::told_by(outer)))
    }

    fn has_broken_signature(&self) -> bool {
        matches!(self.layers.last(), Some(UnjudgedLayer::Signed(signed)) if has_broken_signature(signed))
    }
}

/// The key ring, opened once.
fn opened<'r>(
    ring: &'r mut Option<Box<dyn KeyRing>>,
    keys: &mut KeySource<'_>,
) -> Result<&'r mut dyn KeyRing, KeysError> {
    if ring.is_none() {
        *ring = Some(keys()?);
    }
    Ok(ring.as_deref_mut().expect("the key ring was opened above"))
}

/// Whether a signature shows that the content is not what was signed.
pub(super) fn has_broken_signature(signed: &SignedMessage) -> bool {
    signed.signers.iter().any(|signer| signer.outcome.as_ref().is_err_and(|fault| fault.breaks_integrity()))
}

/// Why a layer cannot be taken off.
pub(super) enum Broken {
    /// It says so about the message.
    Unreadable(VerifyError),
    /// It says nothing about the message, or all there is to say.
    Fails(OpenError),
}

impl From<OpenError> for Broken {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Decrypt(DecryptError::Io(problem))
            | OpenError::Decompress(DecompressError::Io(problem)) => match MimeError::from(problem) {
                MimeError::Unreadable(problem) => Self::Fails(OpenError::Io(io::Error::other(problem))),
                damage => Self::Unreadable(VerifyError::Malformed(damage.to_string())),
            },
            other => Self::Fails(other),
        }
    }
}

impl From<MimeError> for Broken {
    fn from(error: MimeError) -> Self {
        match error {
            MimeError::Unreadable(_) | MimeError::TooManyParts(_) => Self::Fails(error.into()),
            damage => Self::Unreadable(VerifyError::Malformed(damage.to_string())),
        }
    }
}

impl From<VerifyError> for Broken {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Io(problem) => MimeError::from(problem).into(),
            other => Self::Unreadable(other),
        }
    }
}
