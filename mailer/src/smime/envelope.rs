//! EnvelopedData and AuthEnvelopedData as streams: what stands before the content, the content, and what follows it.
use std::io::Write;

use const_oid::ObjectIdentifier;
use der::Encode;
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::ber_reader::{Reader, whole};
use super::content_cipher::{ContentEncryption, NotDecrypted, Opening, SHORTEST_TAG, TAG_LENGTH};
use super::content_digest::CHUNK;
use super::content_info::{self, object_identifier};
use super::decrypt::DecryptError;
use super::object_identifiers::{CONTENT_TYPE, ID_CT_AUTH_ENVELOPED_DATA, ID_DATA, ID_ENVELOPED_DATA};
use super::recipient_match::{Attempt, RecipientMatches};
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, Malformed, set_of, tag};
use crate::content::{Content, Replay, Spool};

const LONGEST_SMALL_FIELD: usize = 16 * 1024;
const LONGEST_ATTRIBUTES: usize = 256 * 1024;
/// What may be appended at the end of a chunk: the last block of CBC.
const LAST_BLOCK: usize = 64;

/// What stands before the content.
///
/// ```text
/// EnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, encryptedContentInfo EncryptedContentInfo,
///     unprotectedAttrs [1] IMPLICIT UnprotectedAttributes OPTIONAL }
/// AuthEnvelopedData ::= SEQUENCE { version CMSVersion, originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
///     recipientInfos RecipientInfos, authEncryptedContentInfo EncryptedContentInfo,
///     authAttrs [1] IMPLICIT AuthAttributes OPTIONAL, mac MessageAuthenticationCode,
///     unauthAttrs [2] IMPLICIT UnauthAttributes OPTIONAL }
/// EncryptedContentInfo ::= SEQUENCE { contentType ContentType,
///     contentEncryptionAlgorithm ContentEncryptionAlgorithmIdentifier,
///     encryptedContent [0] IMPLICIT OCTET STRING OPTIONAL }
/// ```
pub(super) struct Envelope {
    pub(super) encryption: ContentEncryption,
    /// Initialization vector or nonce.
    iv: Vec<u8>,
    /// The length of the tag that the algorithm's parameters name.
    tag_length: usize,
    recipients: RecipientMatches,
}

impl Envelope {
    /// Reads up to the encrypted content; recipient infos that name none of the certificates are passed over.
    pub(super) fn read(reader: &mut Reader<'_>, certificates: &[Certificate]) -> Result<Self, DecryptError> {
        let authenticated = match content_info::enter(reader)? {
            ID_ENVELOPED_DATA => false,
            ID_CT_AUTH_ENVELOPED_DATA => true,
            other => return Err(DecryptError::NotEnveloped(other)),
        };
        content_info::enter_content(reader)?;
        reader.expect(tag::INTEGER, LONGEST_SMALL_FIELD)?;
        reader.skip_optional(tag::context_constructed(0))?;
        let recipients = RecipientMatches::read(reader, certificates)?;
        reader.enter(tag::SEQUENCE)?;
        let content_type = content_info::read_object_identifier(reader)?;
        if content_type != ID_DATA {
            return Err(DecryptError::NotMail(content_type));
        }
        let algorithm = content_info::read_algorithm(reader)?;
        let (encryption, iv, tag_length) = cipher_parameters(&algorithm, authenticated)?;
        if reader.peek()?.is_none() {
            return Err(DecryptError::Malformed("it has no content".to_owned()));
        }
        Ok(Self { encryption, iv, tag_length, recipients })
    }

    /// The key operations that may yield the content key.
    pub(super) fn attempts(&self) -> Result<&[Attempt], DecryptError> {
        self.recipients.usable()
    }

    /// Decrypts the content; `None` when tag or padding are wrong, which is found out at the very end.
    ///
    /// The associated data stand after the content: where there are others than were known before, the content is read a
    /// second time. What was found is left in `associated_data` for the next key.
    pub(super) fn open(
        &self,
        cms: &dyn Replay,
        at_content: Option<Reader<'_>>,
        content_key: &[u8],
        associated_data: &mut Vec<u8>,
    ) -> Result<Option<Content>, DecryptError> {
        let first = match at_content {
            Some(mut reader) => self.pass(&mut reader, content_key, associated_data)?,
            None => self.pass(&mut at_content_again(cms)?, content_key, associated_data)?,
        };
        if first.associated_data == *associated_data {
            return Ok(first.content);
        }
        *associated_data = first.associated_data;
        let second = self.pass(&mut at_content_again(cms)?, content_key, associated_data)?;
        Ok(second.content.filter(|_| second.associated_data == *associated_data))
    }

    /// One pass over the content and what follows it.
    fn pass(
        &self,
        reader: &mut Reader<'_>,
        content_key: &[u8],
        associated_data: &[u8],
    ) -> Result<Pass, DecryptError> {
        let mut opening = Opening::new(self.encryption, content_key, &self.iv, associated_data);
        let mut spool = Spool::new();
        let mut encrypted = vec![0; CHUNK];
        let mut decrypted = Zeroizing::new(Vec::with_capacity(CHUNK + LAST_BLOCK));
        let mut octets = reader.octets(tag::context(0))?;
        loop {
            let filled = octets.fill(&mut encrypted)?;
            if let Some(cipher) = &mut opening
                && let Err(NotDecrypted) =
                    cipher.update(encrypted.get(..filled).unwrap_or_default(), &mut decrypted)
            {
                opening = None;
            }
            spool.write_all(&decrypted)?;
            decrypted.clear();
            if filled < CHUNK {
                break;
            }
        }
        reader.leave()?;
        let (found, authentication_tag) = self.tail(reader)?;
        content_info::leave(reader)?;
        let right = opening.is_some_and(|cipher| cipher.finish(&authentication_tag, &mut decrypted).is_ok());
        spool.write_all(&decrypted)?;
        let content = spool.finish()?;
        Ok(Pass { content: right.then_some(content), associated_data: found })
    }

    /// Reads what follows the content: the associated data and the tag of an authenticated envelope. The attributes, as a
    /// SET in DER, are the associated data (RFC 5083 section 2.2).
    fn tail(&self, reader: &mut Reader<'_>) -> Result<(Vec<u8>, Vec<u8>), DecryptError> {
        if !self.encryption.is_authenticated() {
            reader.skip_optional(tag::context_constructed(1))?;
            return Ok((Vec::new(), Vec::new()));
        }
        let mut associated_data = Vec::new();
        if let Some(attributes) = reader.optional(tag::context_constructed(1), LONGEST_ATTRIBUTES)? {
            associated_data = authenticated_attributes(whole(&attributes)?)?;
        }
        let authentication_tag = reader.expect(tag::OCTET_STRING, LONGEST_SMALL_FIELD)?;
        let authentication_tag = whole(&authentication_tag)?.contents.to_vec();
        reader.skip_optional(tag::context_constructed(2))?;
        if authentication_tag.len() != self.tag_length {
            return Err(DecryptError::Malformed(
                "its authentication tag has not the length that it names".to_owned(),
            ));
        }
        Ok((associated_data, authentication_tag))
    }
}

struct Pass {
    /// The content, if tag or padding are right.
    content: Option<Content>,
    associated_data: Vec<u8>,
}

fn at_content_again(cms: &dyn Replay) -> Result<Reader<'_>, DecryptError> {
    let mut reader = Reader::new(cms);
    Envelope::read(&mut reader, &[])?;
    Ok(reader)
}

/// The attributes as a SET in DER. There must be some, and they must name the content type, once.
fn authenticated_attributes(field: Element<'_>) -> Result<Vec<u8>, DecryptError> {
    let mut rest = field.elements();
    let (mut encoded, mut content_types) = (Vec::new(), Vec::new());
    while let Some(attribute) = rest.next()? {
        encoded.push(attribute.bytes.to_vec());
        let mut fields = Element::only(attribute.bytes, tag::SEQUENCE)?.elements();
        let attribute_type = object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)?;
        let values = fields.expect(tag::SET)?;
        fields.finish()?;
        if attribute_type == CONTENT_TYPE {
            content_types.push(content_type(values)?);
        }
    }
    if content_types != [ID_DATA] {
        return Err(DecryptError::Malformed(
            "its authenticated attributes do not name the content type, once".to_owned(),
        ));
    }
    Ok(set_of(tag::SET, encoded))
}

fn content_type(values: Element<'_>) -> Result<ObjectIdentifier, Malformed> {
    object_identifier(Element::only(values.contents, tag::OBJECT_IDENTIFIER)?)
}

/// The content encryption algorithm, its initialization vector (or nonce) and the length of its tag.
fn cipher_parameters(
    algorithm: &AlgorithmIdentifierOwned,
    authenticated: bool,
) -> Result<(ContentEncryption, Vec<u8>, usize), DecryptError> {
    let unsupported = |what: String| Err(DecryptError::Unsupported(what));
    let Some(encryption) = ContentEncryption::from_identifier(algorithm.oid) else {
        return unsupported(format!("the content encryption algorithm {}", algorithm.oid));
    };
    match (authenticated, encryption.is_authenticated()) {
        (false, true) => {
            return unsupported(format!(
                "{encryption} in a plain envelope (it belongs into AuthEnvelopedData, RFC 5083)"
            ));
        }
        (true, false) => return unsupported(format!("{encryption} in an authenticated envelope")),
        _ => {}
    }
    let parameters =
        algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok()).unwrap_or_default();
    let (iv, tag_length) = encryption.read_parameters(&parameters)?;
    if iv.len() != encryption.iv_length() {
        return unsupported(format!("{encryption} with an initialization vector of {} bytes", iv.len()));
    }
    if authenticated && !(SHORTEST_TAG..=TAG_LENGTH).contains(&tag_length) {
        return unsupported(format!("{encryption} with a tag of {tag_length} bytes"));
    }
    Ok((encryption, iv.to_vec(), tag_length))
}
