//! A received message becomes its content and a verdict (RFC 8551 section 3.7).
//!
//! Layers are taken off from the outside in. A signature speaks for the content only if no encryption lies inside it: who
//! signs something encrypted need not know what it says. The signer must be the author that the message shows in From, and
//! an envelope that anybody can change (AES-CBC) counts only around a trusted signature.
use zeroize::Zeroizing;

use crate::content::Content;
use crate::keys::{KeyRing, KeysError};
use crate::message::authors::{AuthorProblem, authors, senders};
use crate::message::canonical::received;
use crate::message::mime::{Entity, MimeError};
use crate::message::outer::{assemble, separate, with_plain_header};
use crate::message::secured::{ObjectKind, Protection, protection};
use crate::smime::{self, DecryptError, SignedMessage, VerifyError};
use crate::trust::{Judge, Verdict};

/// How many layers of protection are taken off.
pub const MAXIMUM_LAYERS: usize = 10;

/// One layer that was taken off, from the outside in.
#[derive(Clone, Debug)]
pub enum Layer {
    /// An envelope that one of our keys opened.
    Encrypted {
        /// Whether the envelope itself proves that its content was not changed (AES-GCM).
        authenticated: bool,
    },
    /// A signature, with the verdict about its signer.
    Signed(Verdict),
}

/// An opened message. The content is inside and comes out only through [`Opened::release`].
pub struct Opened {
    layers: Vec<Layer>,
    verdict: Verdict,
    content: Option<Zeroizing<Vec<u8>>>,
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
    /// The keys cannot be reached.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Compressed, or a CMS object of an unknown kind.
    #[error("the message is {0}, which this program cannot open")]
    Unsupported(&'static str),
    /// More layers than anybody needs.
    #[error("the message is protected more than {0} times over")]
    TooManyLayers(usize),
}

impl OpenError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Decrypt(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Unsupported(_) => "unsupported",
            Self::TooManyLayers(_) => "too-many-layers",
        }
    }
}

/// Where the keys come from; asked at most once, and only for an encrypted message.
pub type KeySource<'a> = dyn FnMut() -> Result<Box<dyn KeyRing>, KeysError> + 'a;

/// Takes every layer of protection off a message and judges its signatures.
///
/// # Errors
/// See [`OpenError`]. A broken signature is no error but a verdict.
pub fn open(original: &[u8], keys: &mut KeySource<'_>, judge: &mut Judge<'_>) -> Result<Opened, OpenError> {
    let message = received(original);
    let outer = separate(&message, &[]);
    let mut unwrapping = Unwrapping { keys, ring: None, layers: Vec::new() };
    let entity = match unwrapping.unwrap(outer.entity)? {
        Unwrapped::Entity(entity) => entity,
        Unwrapped::Unreadable(verdict) => {
            return Ok(Opened { layers: unwrapping.judge_layers(judge, &message), verdict, content: None });
        }
        Unwrapped::Changed => {
            let layers = unwrapping.judge_layers(judge, &message);
            let verdict = match layers.last() {
                Some(Layer::Signed(verdict)) => verdict.clone(),
                _ => Verdict::unsigned(),
            };
            return Ok(Opened { layers, verdict, content: None });
        }
    };
    // What carries no protection passes untouched, line ends included.
    let content = Zeroizing::new(match unwrapping.layers.is_empty() {
        true => original.to_vec(),
        false => whole_message(&outer.fields, &entity),
    });
    let layers = unwrapping.judge_layers(judge, &content);
    let verdict = match senders(&content) {
        senders if senders.is_empty() => overall(&layers),
        senders => overall(&layers).with_sender(&senders),
    };
    let content = (!verdict.integrity_failed()).then_some(content);
    Ok(Opened { layers, verdict, content })
}

impl Opened {
    /// The layers that were taken off, from the outside in.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Who signed the content, and whether to believe it.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Whether the content was encrypted on its way.
    pub fn was_encrypted(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Encrypted { .. }))
    }

    /// Whether the message meets the policy without any allowance: then a program may exit 0.
    pub fn is_acceptable(&self, policy: ReleasePolicy) -> bool {
        self.verdict.is_trusted() || (self.verdict.is_plainly_unsigned() && !policy.require_signed)
    }

    /// Hands the content out if the policy allows: an RFC 5322 message with CRLF line ends. Changed content never comes out.
    pub fn release(self, policy: ReleasePolicy) -> Option<Zeroizing<Vec<u8>>> {
        let allowed =
            self.is_acceptable(policy) || (policy.show_untrusted && !self.verdict.integrity_failed());
        self.content.filter(|_| allowed)
    }
}

enum Unwrapped {
    /// Nothing is left to take off.
    Entity(Zeroizing<Vec<u8>>),
    /// A protected form that is broken.
    Unreadable(Verdict),
    /// The last layer is a signature that does not fit its content.
    Changed,
}

enum UnjudgedLayer {
    Encrypted { authenticated: bool },
    Signed(SignedMessage),
}

impl UnjudgedLayer {
    fn judge(&self, judge: &mut Judge<'_>, authors: &Result<Vec<String>, AuthorProblem>) -> Layer {
        match self {
            Self::Encrypted { authenticated } => Layer::Encrypted { authenticated: *authenticated },
            Self::Signed(message) => Layer::Signed(match authors {
                Ok(authors) => judge.signed_message(message, authors),
                Err(problem) => judge.signed_message(message, &[]).without_clear_author(problem),
            }),
        }
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
            Layer::Encrypted { .. } => None,
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

struct Unwrapping<'k, 'f> {
    keys: &'k mut KeySource<'f>,
    ring: Option<Box<dyn KeyRing>>,
    layers: Vec<UnjudgedLayer>,
}

impl Unwrapping<'_, '_> {
    fn unwrap(&mut self, entity: Vec<u8>) -> Result<Unwrapped, OpenError> {
        let mut entity = Zeroizing::new(entity);
        for _ in 0..=MAXIMUM_LAYERS {
            let inner = match protection(&Entity::parse(&entity)) {
                Err(problem) => return Ok(Unwrapped::Unreadable(malformed(&problem))),
                Ok(Protection::None) => None,
                Ok(Protection::Detached { content, signature }) => {
                    match smime::verify(&signature, Some(&Content::from_vec(content.to_vec())), &[]) {
                        Ok(signed) => self.signed(signed, Some(content.to_vec())),
                        Err(error) => return Ok(Unwrapped::Unreadable(Verdict::unreadable(&error))),
                    }
                }
                Ok(Protection::Object { kind: ObjectKind::Signed, der }) => {
                    match smime::verify(&der, None, &[]) {
                        Ok(mut signed) => {
                            let content =
                                signed.content.take().map(|content| in_memory(&content)).transpose()?;
                            let content = content.map(|content| content.to_vec());
                            self.signed(signed, content)
                        }
                        Err(error) => return Ok(Unwrapped::Unreadable(Verdict::unreadable(&error))),
                    }
                }
                Ok(Protection::Object { kind: ObjectKind::Enveloped | ObjectKind::AuthEnveloped, der }) => {
                    Some(self.decrypt(der)?)
                }
                Ok(Protection::Object { kind: ObjectKind::Compressed, .. }) => {
                    return Err(OpenError::Unsupported("compressed (RFC 3274)"));
                }
                Ok(Protection::Object { kind: ObjectKind::Unknown, der }) => {
                    return match smime::verify(&der, None, &[]) {
                        Err(error @ VerifyError::Malformed(_)) => {
                            Ok(Unwrapped::Unreadable(Verdict::unreadable(&error)))
                        }
                        _ => Err(OpenError::Unsupported("a cryptographic object of an unknown kind")),
                    };
                }
            };
            match inner {
                None => return Ok(Unwrapped::Entity(entity)),
                Some(_) if self.has_broken_signature() => return Ok(Unwrapped::Changed),
                Some(content) => entity = Zeroizing::new(received(&content).into_owned()),
            }
        }
        Err(OpenError::TooManyLayers(MAXIMUM_LAYERS))
    }

    /// A message of certificates only (RFC 8551 section 3.8) signs nothing: its entity stays as it is.
    fn signed(&mut self, signed: SignedMessage, content: Option<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        if signed.signers.is_empty() && content.is_none() {
            return None;
        }
        self.layers.push(UnjudgedLayer::Signed(signed));
        Some(Zeroizing::new(content.unwrap_or_default()))
    }

    fn decrypt(&mut self, der: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if self.ring.is_none() {
            self.ring = Some((self.keys)()?);
        }
        let ring = self.ring.as_deref_mut().expect("the key ring was opened above");
        let decrypted = smime::decrypt(&der, ring)?;
        self.layers.push(UnjudgedLayer::Encrypted { authenticated: decrypted.authenticated });
        in_memory(&decrypted.content)
    }

    /// Judges every layer by the authors whom `shown` names in From.
    fn judge_layers(&self, judge: &mut Judge<'_>, shown: &[u8]) -> Vec<Layer> {
        let authors = authors(shown);
        self.layers.iter().map(|layer| layer.judge(judge, &authors)).collect()
    }

    fn has_broken_signature(&self) -> bool {
        let Some(UnjudgedLayer::Signed(signed)) = self.layers.last() else { return false };
        signed
            .signers
            .iter()
            .any(|signer| signer.outcome.as_ref().is_err_and(|fault| fault.breaks_integrity()))
    }
}

fn in_memory(content: &Content) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let content = content.to_vec(usize::MAX).map_err(DecryptError::Io)?;
    Ok(content.unwrap_or_default())
}

fn malformed(problem: &MimeError) -> Verdict {
    Verdict::unreadable(&VerifyError::Malformed(problem.to_string()))
}

/// RFC 8551 section 3.1: a protected `message/rfc822` is the message itself with its header protected.
fn whole_message(fields: &[u8], entity: &[u8]) -> Vec<u8> {
    let parsed = Entity::parse(entity);
    let is_message = parsed.media_type().is_ok_and(|known| known.essence == "message/rfc822");
    match parsed.decoded_body() {
        Ok(body) if is_message => with_plain_header(&body),
        _ => assemble(fields, entity),
    }
}
