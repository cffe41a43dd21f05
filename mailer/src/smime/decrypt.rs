//! EnvelopedData and AuthEnvelopedData, read (RFC 5652 section 6, RFC 5083).
//!
//! Recipient infos are matched against every certificate of the key ring, never against a mail header. Those of
//! unknown kinds are passed over.
use std::borrow::Cow;
use std::io;

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::ber::{self, BerError};
use super::content_cipher::{self, ContentEncryption, Opening};
use super::content_info::{self, object_identifier};
use super::key_agreement::KeyAgreeRecipientInfo;
use super::key_transport::KeyTransRecipientInfo;
use super::object_identifiers::{CONTENT_TYPE, ID_CT_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA};
use crate::certificate::tlv::{Element, Malformed, set_of, tag};
use crate::content::{Content, Replay};
use crate::keys::{KeyError, KeyRing, KeysError};

/// The most recipients that are looked at, and the most private-key operations that one message may cause.
const MOST_RECIPIENTS: usize = 10_000;
const MOST_KEY_OPERATIONS: usize = 16;

/// What was in the envelope.
pub struct Decrypted {
    /// The content.
    pub content: Content,
    /// Whether the envelope itself proves that the content was not changed (AES-GCM, ChaCha20-Poly1305). CBC content
    /// never is.
    pub authenticated: bool,
}

/// Why the envelope stays closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecryptError {
    /// None of our certificates is a recipient.
    #[error("this message was not encrypted for any key of this card")]
    NotForUs,
    /// Damaged, or changed on the way; which of the two, and where, is not told.
    #[error("the message cannot be decrypted: it was damaged or changed on its way")]
    Damaged,
    /// Not an envelope.
    #[error("this is not an encrypted message but of the CMS content type {0}")]
    NotEnveloped(ObjectIdentifier),
    /// What is inside is no mail (RFC 8551 sections 2.4.3 and 2.4.4).
    #[error("what was encrypted is not a mail but of the CMS content type {0}")]
    NotMail(ObjectIdentifier),
    /// Malformed.
    #[error("the encrypted message is malformed: {0}")]
    Malformed(String),
    /// An algorithm that we do not know.
    #[error("the message cannot be decrypted: {0} is not supported")]
    Unsupported(String),
    /// The card refused.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The message could not be read, or the temporary file not be written.
    #[error("the message could not be read or its content not be kept: {0}")]
    Io(#[from] io::Error),
}

impl DecryptError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotForUs => "not-for-us",
            Self::Damaged => "damaged",
            Self::NotEnveloped(_) => "not-enveloped",
            Self::NotMail(_) => "encrypted-other-content",
            Self::Malformed(_) => "envelope-malformed",
            Self::Unsupported(_) => "unsupported-algorithm",
            Self::Keys(error) => error.code(),
            Self::Io(_) => "input-output",
        }
    }
}

impl From<Malformed> for DecryptError {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<BerError> for DecryptError {
    fn from(problem: BerError) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// Opens an EnvelopedData or AuthEnvelopedData (DER or BER) with any key of the ring.
///
/// # Errors
/// See [`DecryptError`].
pub fn decrypt(cms: &dyn Replay, ring: &mut dyn KeyRing) -> Result<Decrypted, DecryptError> {
    let mut enveloped = Vec::new();
    cms.replay().read_to_end(&mut enveloped)?;
    let der = ber::to_der(&enveloped)?;
    let (content_type, content) = content_info::read(&der)?;
    let authenticated = match content_type {
        ID_ENVELOPED_DATA => false,
        ID_CT_AUTH_ENVELOPED_DATA => true,
        other => return Err(DecryptError::NotEnveloped(other)),
    };
    let envelope = Envelope::read(content, authenticated)?;
    let attempts = envelope.attempts(ring)?;
    let mut outcome = DecryptError::NotForUs;
    for attempt in attempts {
        match attempt.content_key(ring, envelope.encryption.key_length()) {
            Err(error) if ends_the_search(&error) => return Err(error.into()),
            Err(KeysError::Key(KeyError::Unsupported(what))) => outcome = DecryptError::Unsupported(what),
            Err(_) | Ok(None) => outcome = DecryptError::Damaged,
            Ok(Some(content_key)) => match envelope.open(&content_key) {
                Ok(content) => {
                    return Ok(Decrypted { content: Content::from_zeroizing(content), authenticated });
                }
                Err(content_cipher::NotDecrypted) => outcome = DecryptError::Damaged,
            },
        }
    }
    Err(outcome)
}

/// A key that merely cannot do it leaves the others to try; a card that is gone or a wrong PIN does not.
fn ends_the_search(error: &KeysError) -> bool {
    !matches!(
        error,
        KeysError::Key(KeyError::Unsupported(_) | KeyError::DecryptionFailed | KeyError::MalformedPeerKey)
    )
}

/// The parts of an envelope that are needed to open it.
struct Envelope<'a> {
    encryption: ContentEncryption,
    recipient_infos: Vec<Element<'a>>,
    /// Initialization vector or nonce.
    iv: Vec<u8>,
    encrypted: Cow<'a, [u8]>,
    /// Tag and associated data of AES-GCM.
    authentication_tag: &'a [u8],
    associated_data: Vec<u8>,
}

impl<'a> Envelope<'a> {
    fn read(content: Element<'a>, authenticated: bool) -> Result<Self, DecryptError> {
        let mut fields = content.elements();
        fields.expect(tag::INTEGER)?;
        fields.optional(tag::context_constructed(0))?;
        let recipient_infos = recipient_infos(fields.expect(tag::SET)?)?;
        let mut info = fields.expect(tag::SEQUENCE)?.elements();
        let content_type = object_identifier(info.expect(tag::OBJECT_IDENTIFIER)?)?;
        if content_type != ID_DATA {
            return Err(DecryptError::NotMail(content_type));
        }
        let algorithm = AlgorithmIdentifierOwned::from_der(info.expect(tag::SEQUENCE)?.bytes)
            .map_err(|_| Malformed::Tag)?;
        let encrypted = ber::octets(info.next()?.ok_or(Malformed::Truncated)?)?;
        info.finish()?;
        let (authentication_tag, associated_data) =
            if authenticated { authentication(&mut fields, content_type)? } else { (&[][..], Vec::new()) };
        let (encryption, iv) = cipher_parameters(&algorithm, authenticated, authentication_tag.len())?;
        Ok(Self { encryption, recipient_infos, iv, encrypted, authentication_tag, associated_data })
    }

    /// Every pair of a recipient info and a key of ours whose certificate it names, in the order of the ring.
    fn attempts(&self, ring: &dyn KeyRing) -> Result<Vec<Attempt<'a>>, DecryptError> {
        const KEY_AGREEMENT: u8 = tag::context_constructed(1);
        let mut attempts = Vec::new();
        let mut unsupported = None;
        for info in &self.recipient_infos {
            let found = match info.tag {
                tag::SEQUENCE => transport_attempts(*info, ring, self.encryption.key_length()),
                KEY_AGREEMENT => agreement_attempts(*info, ring),
                _ => Ok(Vec::new()),
            };
            match found {
                Ok(found) => attempts.extend(found),
                Err(what) => unsupported = Some(what),
            }
        }
        attempts.sort_by_key(|attempt| attempt.index);
        attempts.truncate(MOST_KEY_OPERATIONS);
        match unsupported {
            Some(what) if attempts.is_empty() => Err(DecryptError::Unsupported(what)),
            _ => Ok(attempts),
        }
    }

    fn open(&self, content_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, content_cipher::NotDecrypted> {
        let mut opening = Opening::new(self.encryption, content_key, &self.iv, &self.associated_data)
            .ok_or(content_cipher::NotDecrypted)?;
        let mut content = Zeroizing::new(Vec::with_capacity(self.encrypted.len()));
        opening.update(&self.encrypted, &mut content)?;
        opening.finish(self.authentication_tag, &mut content)?;
        Ok(content)
    }
}

/// One key operation that may yield the content key.
struct Attempt<'a> {
    /// Which certificate of the ring.
    index: usize,
    kind: AttemptKind<'a>,
}

enum AttemptKind<'a> {
    Transport { info: KeyTransRecipientInfo<'a> },
    Agreement { info: std::rc::Rc<KeyAgreeRecipientInfo<'a>>, wrapped: &'a [u8] },
}

impl Attempt<'_> {
    fn content_key(
        &self,
        ring: &mut dyn KeyRing,
        key_length: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeysError> {
        match &self.kind {
            AttemptKind::Transport { info } => {
                let encryption = info
                    .encryption(key_length)
                    .map_err(|what| KeysError::Key(KeyError::Unsupported(what)))?;
                ring.decrypt(self.index, encryption, info.encrypted_key).map(Some)
            }
            AttemptKind::Agreement { info, wrapped } => {
                let shared = ring.agree(self.index, &info.originator_key)?;
                Ok(info.unwrap_key(&shared, wrapped))
            }
        }
    }
}

/// An error in words when the info names one of our keys but we cannot use it.
fn transport_attempts<'a>(
    info: Element<'a>,
    ring: &dyn KeyRing,
    key_length: usize,
) -> Result<Vec<Attempt<'a>>, String> {
    let Ok(transport) = KeyTransRecipientInfo::read(info) else { return Ok(Vec::new()) };
    let Some(index) =
        ring.certificates().iter().position(|certificate| transport.recipient.names(certificate))
    else {
        return Ok(Vec::new());
    };
    transport.encryption(key_length)?;
    Ok(vec![Attempt { index, kind: AttemptKind::Transport { info: transport } }])
}

fn agreement_attempts<'a>(info: Element<'a>, ring: &dyn KeyRing) -> Result<Vec<Attempt<'a>>, String> {
    let Ok(agreement) = KeyAgreeRecipientInfo::read(info) else { return Ok(Vec::new()) };
    let agreement = std::rc::Rc::new(agreement);
    let mut attempts = Vec::new();
    for (recipient, wrapped) in &agreement.recipients {
        if let Some(index) = ring.certificates().iter().position(|certificate| recipient.names(certificate)) {
            agreement.check_algorithms()?;
            let info = std::rc::Rc::clone(&agreement);
            attempts.push(Attempt { index, kind: AttemptKind::Agreement { info, wrapped } });
        }
    }
    Ok(attempts)
}

fn recipient_infos(set: Element<'_>) -> Result<Vec<Element<'_>>, DecryptError> {
    let mut rest = set.elements();
    let mut infos = Vec::new();
    while let Some(info) = rest.next()? {
        if infos.len() >= MOST_RECIPIENTS {
            return Err(DecryptError::Malformed(format!("it has more than {MOST_RECIPIENTS} recipients")));
        }
        infos.push(info);
    }
    Ok(infos)
}

/// Reads authAttrs, mac and unauthAttrs. The attributes, as a SET in DER, are the associated data (RFC 5083 section 2.2);
/// they must name the content type (section 2.1).
fn authentication<'a>(
    fields: &mut crate::certificate::tlv::Elements<'a>,
    content_type: ObjectIdentifier,
) -> Result<(&'a [u8], Vec<u8>), DecryptError> {
    let mut associated_data = Vec::new();
    if let Some(attributes) = fields.optional(tag::context_constructed(1))? {
        let mut rest = attributes.elements();
        let mut encoded = Vec::new();
        while let Some(attribute) = rest.next()? {
            encoded.push(attribute.bytes.to_vec());
        }
        if !names_content_type(&encoded, content_type) {
            return Err(DecryptError::Malformed(
                "its authenticated attributes do not name the content type".to_owned(),
            ));
        }
        associated_data = set_of(tag::SET, encoded);
    }
    let authentication_tag = fields.expect(tag::OCTET_STRING)?.contents;
    fields.optional(tag::context_constructed(2))?;
    fields.finish()?;
    Ok((authentication_tag, associated_data))
}

fn names_content_type(attributes: &[Vec<u8>], content_type: ObjectIdentifier) -> bool {
    let value = |attribute: &[u8]| -> Result<Option<ObjectIdentifier>, Malformed> {
        let mut fields = Element::only(attribute, tag::SEQUENCE)?.elements();
        if object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)? != CONTENT_TYPE {
            return Ok(None);
        }
        let set = fields.expect(tag::SET)?;
        object_identifier(Element::only(set.contents, tag::OBJECT_IDENTIFIER)?).map(Some)
    };
    let found: Vec<ObjectIdentifier> =
        attributes.iter().filter_map(|attribute| value(attribute).ok().flatten()).collect();
    found == [content_type]
}

/// The content encryption algorithm with its initialization vector (or nonce).
fn cipher_parameters(
    algorithm: &AlgorithmIdentifierOwned,
    authenticated: bool,
    tag_length: usize,
) -> Result<(ContentEncryption, Vec<u8>), DecryptError> {
    let Some(encryption) = ContentEncryption::from_identifier(algorithm.oid) else {
        return Err(DecryptError::Unsupported(format!("the content encryption algorithm {}", algorithm.oid)));
    };
    match (authenticated, encryption.is_authenticated()) {
        (false, true) => {
            return Err(DecryptError::Unsupported(
                "AES-GCM in a plain envelope (it belongs into AuthEnvelopedData, RFC 5083)".to_owned(),
            ));
        }
        (true, false) => {
            return Err(DecryptError::Unsupported("AES-CBC in an authenticated envelope".to_owned()));
        }
        _ => {}
    }
    let parameters =
        algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok()).unwrap_or_default();
    let (iv, length) = encryption.read_parameters(&parameters)?;
    if authenticated && iv.len() != encryption.iv_length() {
        return Err(DecryptError::Unsupported(format!("an AES-GCM nonce of {} bytes", iv.len())));
    }
    if length != tag_length {
        return Err(DecryptError::Malformed(
            "its authentication tag has not the length that it names".to_owned(),
        ));
    }
    Ok((encryption, iv.to_vec()))
}
