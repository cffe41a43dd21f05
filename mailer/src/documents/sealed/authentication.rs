//! The authentication code of an encrypted file, which only who has its key can make (ISO/TS 32004:2024).
//!
//! ```text
//! PdfMacIntegrityInfo ::= SEQUENCE { version INTEGER (0), dataDigest OCTET STRING,
//!     signatureDigest [0] IMPLICIT OCTET STRING OPTIONAL }
//! AuthenticatedData ::= SEQUENCE { version CMSVersion, recipientInfos RecipientInfos, macAlgorithm AlgorithmIdentifier,
//!     digestAlgorithm [1] AlgorithmIdentifier, encapContentInfo EncapsulatedContentInfo,
//!     authAttrs [2] IMPLICIT AuthAttributes, mac MessageAuthenticationCode }
//! PasswordRecipientInfo ::= SEQUENCE { version CMSVersion (0), keyDerivationAlgorithm [0] AlgorithmIdentifier,
//!     keyEncryptionAlgorithm AlgorithmIdentifier, encryptedKey OCTET STRING }
//! ```
use std::io::Read;

use aes::Aes256;
use aes_kw::AesKw;
use const_oid::ObjectIdentifier;
use der::Encode;
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::cipher::{CHUNK, random};
use super::error::SealedError;
use super::file_key::FileKey;
use crate::certificate::tlv::{Element, Elements, Malformed, element, set_of, tag};
use crate::certificate::{DigestAlgorithm, RunningDigest};
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Document, Object};

/// The length of `/KDFSalt`.
pub(super) const SALT: usize = 32;
/// The length of the codes that we write, as hexadecimal string with its brackets.
pub(super) const CODE_IN_HEXADECIMAL: usize = 2 * CODE + 2;
const CODE: usize = 328;
/// The longest code that is read.
const LONGEST_CODE: usize = 16 * 1024;
const KEY: usize = 32;
const WRAPPED_KEY: usize = KEY + 8;

const ID_CT_AUTH_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.2");
const PDF_MAC_INTEGRITY_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.0.32004.1.0");
const PDF_MAC_WRAP_KDF: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.0.32004.1.1");
const AES_256_WRAP: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.45");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// RFC 6211.
const ALGORITHM_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.52");

const VERSION_0: [u8; 3] = [tag::INTEGER, 1, 0];

/// The key of one code, and the same wrapped under a key that comes from the file's.
pub(super) struct CodeKey {
    key: Zeroizing<[u8; KEY]>,
    wrapped: [u8; WRAPPED_KEY],
}

impl CodeKey {
    pub(super) fn generate(file_key: &FileKey, salt: &[u8]) -> Result<Self, SealedError> {
        let key = Zeroizing::new(random::<KEY>()?);
        let mut wrapped = [0; WRAPPED_KEY];
        wrapping(file_key, salt)?.wrap_key(&key[..], &mut wrapped).map_err(|_| SealedError::Randomness)?;
        Ok(Self { key, wrapped })
    }

    /// The hexadecimal string with the code over a file of this SHA-256 digest.
    pub(super) fn code(&self, digest: &[u8]) -> Result<Vec<u8>, SealedError> {
        let der = self.encode(digest).map_err(|problem| SealedError::Malformed(problem.to_string()))?;
        let code = format!("<{}>", hex::encode_upper(der)).into_bytes();
        // Room was kept for exactly so many octets.
        if code.len() == CODE_IN_HEXADECIMAL {
            return Ok(code);
        }
        Err(SealedError::Malformed(format!("a code of {} octets", code.len())))
    }

    fn encode(&self, digest: &[u8]) -> Result<Vec<u8>, der::Error> {
        let sha256 = DigestAlgorithm::Sha256.identifier().to_der()?;
        let hmac = HMAC_SHA256.to_der()?;
        let info = element(tag::SEQUENCE, &[&VERSION_0, &element(tag::OCTET_STRING, &[digest])]);
        let message_digest = DigestAlgorithm::Sha256.digest(&info);
        let protection = element(
            tag::SEQUENCE,
            &[&element(tag::SEQUENCE, &[&sha256]), &element(tag::context_constructed(2), &[&hmac])],
        );
        let attributes = [
            attribute(CONTENT_TYPE, &PDF_MAC_INTEGRITY_INFO.to_der()?)?,
            attribute(MESSAGE_DIGEST, &element(tag::OCTET_STRING, &[&message_digest]))?,
            attribute(ALGORITHM_PROTECTION, &protection)?,
        ];
        let code = hmac_sha256(&self.key[..], &set_of(tag::SET, attributes.to_vec()));
        let recipient = element(
            tag::context_constructed(3),
            &[
                &VERSION_0,
                &element(tag::context_constructed(0), &[&PDF_MAC_WRAP_KDF.to_der()?]),
                &element(tag::SEQUENCE, &[&AES_256_WRAP.to_der()?]),
                &element(tag::OCTET_STRING, &[&self.wrapped]),
            ],
        );
        let content = element(tag::context_constructed(0), &[&element(tag::OCTET_STRING, &[&info])]);
        let data = element(
            tag::SEQUENCE,
            &[
                &VERSION_0,
                &element(tag::SET, &[&recipient]),
                &element(tag::SEQUENCE, &[&hmac]),
                &element(tag::context_constructed(1), &[&sha256]),
                &element(tag::SEQUENCE, &[&PDF_MAC_INTEGRITY_INFO.to_der()?, &content]),
                &set_of(tag::context_constructed(2), attributes.to_vec()),
                &element(tag::OCTET_STRING, &[&code]),
            ],
        );
        let content = element(tag::context_constructed(0), &[&data]);
        Ok(element(tag::SEQUENCE, &[&ID_CT_AUTH_DATA.to_der()?, &content]))
    }
}

/// Whether the trailer has an authentication code.
pub(super) fn has_code(file: &Document) -> bool {
    file.trailer().get("AuthCode").is_some()
}

/// Checks the code of a file: that it is over all of it, and right.
///
/// # Errors
/// [`SealedError::Damaged`] whatever is wrong with it; [`SealedError::Unsupported`].
pub(super) fn check(file: &Document, encryption: &Dictionary, file_key: &FileKey) -> Result<(), SealedError> {
    let code = match file.trailer().get("AuthCode") {
        Some(Object::Dictionary(code)) => code,
        _ => return Err(SealedError::Damaged),
    };
    if !code.name("MACLocation").is_some_and(|location| location.is("Standalone")) {
        return Err(SealedError::Unsupported("an authentication code inside a signature".to_owned()));
    }
    let der = code.get("MAC").and_then(Object::as_string).ok_or(SealedError::Damaged)?;
    let salt = encryption.get("KDFSalt").and_then(Object::as_string).ok_or(SealedError::Damaged)?;
    let gap = gap(file.content(), code, der)?;
    let code = Code::read(der).map_err(|_| SealedError::Damaged)?;
    let digest = code
        .digest
        .ok_or_else(|| SealedError::Unsupported("the hash function of the authentication code".to_owned()))?;
    let mut running = RunningDigest::new(digest);
    let content = file.content();
    for part in [content.slice(0..gap.start), content.slice(gap.end..content.len())] {
        let mut reader = part.reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => running.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    }
    code.verify(&running.finish(), digest, file_key, salt)
}

/// `/ByteRange` must leave out the code's own string and nothing else.
fn gap(content: &Content, code: &Dictionary, der: &[u8]) -> Result<std::ops::Range<u64>, SealedError> {
    let numbers: Option<Vec<u64>> = code
        .get("ByteRange")
        .and_then(Object::as_array)
        .and_then(|numbers| numbers.iter().map(|number| u64::try_from(number.as_integer()?).ok()).collect());
    let Some([0, start, end, last]) = numbers.as_deref() else { return Err(SealedError::Damaged) };
    let string = 2 * der.len() as u64 + 2;
    let is_whole = end.checked_add(*last) == Some(content.len()) && start.checked_add(string) == Some(*end);
    if !is_whole || der.len() > LONGEST_CODE {
        return Err(SealedError::Damaged);
    }
    // It is that string indeed.
    let found = content.slice(*start..*end).to_vec(2 * LONGEST_CODE + 2)?.ok_or(SealedError::Damaged)?;
    let inner =
        found.strip_prefix(b"<").and_then(|inner| inner.strip_suffix(b">")).ok_or(SealedError::Damaged)?;
    match hex::decode(inner) {
        Ok(octets) if octets == der => Ok(*start..*end),
        _ => Err(SealedError::Damaged),
    }
}

/// A code, taken apart.
struct Code<'a> {
    wrapped_key: &'a [u8],
    /// `None` for one that is not known.
    digest: Option<DigestAlgorithm>,
    info: &'a [u8],
    attributes: Element<'a>,
    code: &'a [u8],
}

impl<'a> Code<'a> {
    fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Element::only(der, tag::SEQUENCE)?.elements();
        expect_identifier(outer.expect(tag::OBJECT_IDENTIFIER)?, ID_CT_AUTH_DATA)?;
        let content = outer.expect(tag::context_constructed(0))?;
        outer.finish()?;
        let mut fields = Element::only(content.contents, tag::SEQUENCE)?.elements();
        expect_version(&mut fields)?;
        let recipients = fields.expect(tag::SET)?;
        let wrapped_key = wrapped_key(Element::only(recipients.contents, tag::context_constructed(3))?)?;
        expect_algorithm(fields.expect(tag::SEQUENCE)?, HMAC_SHA256)?;
        let digest = algorithm(fields.expect(tag::context_constructed(1))?)?;
        let mut encapsulated = fields.expect(tag::SEQUENCE)?.elements();
        expect_identifier(encapsulated.expect(tag::OBJECT_IDENTIFIER)?, PDF_MAC_INTEGRITY_INFO)?;
        let info = encapsulated.expect(tag::context_constructed(0))?;
        encapsulated.finish()?;
        let info = Element::only(info.contents, tag::OCTET_STRING)?.contents;
        let attributes = fields.expect(tag::context_constructed(2))?;
        let code = fields.expect(tag::OCTET_STRING)?.contents;
        // Attributes that are not authenticated are not allowed.
        fields.finish()?;
        let digest = DigestAlgorithm::from_identifier(digest).filter(|digest| digest.length() >= KEY);
        Ok(Self { wrapped_key, digest, info, attributes, code })
    }

    /// The code itself first, then what it protects.
    fn verify(
        &self,
        file_digest: &[u8],
        digest: DigestAlgorithm,
        file_key: &FileKey,
        salt: &[u8],
    ) -> Result<(), SealedError> {
        let mut key = Zeroizing::new([0; KEY]);
        if self.wrapped_key.len() != WRAPPED_KEY {
            return Err(SealedError::Damaged);
        }
        let unwrapped = wrapping(file_key, salt)?.unwrap_key(self.wrapped_key, &mut key[..]);
        unwrapped.map_err(|_| SealedError::Damaged)?;
        let protected = element(tag::SET, &[self.attributes.contents]);
        if !bool::from(hmac_sha256(&key[..], &protected).as_slice().ct_eq(self.code)) {
            return Err(SealedError::Damaged);
        }
        let found = self.attributes(digest).map_err(|_| SealedError::Damaged)?;
        let info = data_digest(self.info).map_err(|_| SealedError::Damaged)?;
        let is_right = bool::from(digest.digest(self.info).as_slice().ct_eq(found) & info.ct_eq(file_digest));
        if is_right { Ok(()) } else { Err(SealedError::Damaged) }
    }

    /// The message digest; each attribute must be there once, and name what is used.
    fn attributes(&self, digest: DigestAlgorithm) -> Result<&'a [u8], Malformed> {
        let (mut content_types, mut protections, mut digests) = (0, 0, Vec::new());
        let mut attributes = self.attributes.elements();
        while let Some(attribute) = attributes.next()? {
            let mut fields = Element::only(attribute.bytes, tag::SEQUENCE)?.elements();
            let kind = fields.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
            let values = fields.expect(tag::SET)?.contents;
            fields.finish()?;
            match kind {
                CONTENT_TYPE => {
                    content_types += 1;
                    expect_identifier(
                        Element::only(values, tag::OBJECT_IDENTIFIER)?,
                        PDF_MAC_INTEGRITY_INFO,
                    )?;
                }
                MESSAGE_DIGEST => digests.push(Element::only(values, tag::OCTET_STRING)?.contents),
                ALGORITHM_PROTECTION => {
                    protections += 1;
                    let mut fields = Element::only(values, tag::SEQUENCE)?.elements();
                    expect_algorithm(fields.expect(tag::SEQUENCE)?, digest.identifier())?;
                    expect_algorithm(fields.expect(tag::context_constructed(2))?, HMAC_SHA256)?;
                    fields.finish()?;
                }
                _ => {}
            }
        }
        match (content_types, protections, digests.as_slice()) {
            (1, 1, [digest]) => Ok(digest),
            _ => Err(Malformed::Twice),
        }
    }
}

/// The digest of the file; a signature's belongs to codes inside signatures.
fn data_digest(info: &[u8]) -> Result<&[u8], Malformed> {
    let mut fields = Element::only(info, tag::SEQUENCE)?.elements();
    expect_version(&mut fields)?;
    let digest = fields.expect(tag::OCTET_STRING)?.contents;
    fields.finish()?;
    Ok(digest)
}

fn wrapped_key(recipient: Element<'_>) -> Result<&[u8], Malformed> {
    let mut fields = recipient.elements();
    expect_version(&mut fields)?;
    expect_algorithm(fields.expect(tag::context_constructed(0))?, PDF_MAC_WRAP_KDF)?;
    expect_algorithm(fields.expect(tag::SEQUENCE)?, AES_256_WRAP)?;
    let key = fields.expect(tag::OCTET_STRING)?.contents;
    fields.finish()?;
    Ok(key)
}

/// The identifier of an algorithm that has no parameters, or NULL.
fn algorithm(field: Element<'_>) -> Result<ObjectIdentifier, Malformed> {
    const NULL: u8 = 0x05;
    let mut fields = field.elements();
    let identifier = fields.expect(tag::OBJECT_IDENTIFIER)?.object_identifier()?;
    fields.optional(NULL)?;
    fields.finish()?;
    Ok(identifier)
}

fn expect_algorithm(field: Element<'_>, wanted: ObjectIdentifier) -> Result<(), Malformed> {
    if algorithm(field)? == wanted { Ok(()) } else { Err(Malformed::ObjectIdentifier) }
}

/// Version 0, wherever there is one.
fn expect_version(fields: &mut Elements<'_>) -> Result<(), Malformed> {
    if fields.expect(tag::INTEGER)?.contents == [0] { Ok(()) } else { Err(Malformed::Integer) }
}

fn expect_identifier(field: Element<'_>, wanted: ObjectIdentifier) -> Result<(), Malformed> {
    if field.object_identifier()? == wanted { Ok(()) } else { Err(Malformed::ObjectIdentifier) }
}

fn attribute(kind: ObjectIdentifier, value: &[u8]) -> Result<Vec<u8>, der::Error> {
    Ok(element(tag::SEQUENCE, &[&kind.to_der()?, &element(tag::SET, &[value])]))
}

/// HKDF of the file's key gives the key that wraps the code's.
fn wrapping(file_key: &FileKey, salt: &[u8]) -> Result<AesKw<Aes256>, SealedError> {
    let mut key = Zeroizing::new([0; KEY]);
    let derivation = Hkdf::<Sha256>::new(Some(salt), file_key.octets());
    derivation.expand(b"PDFMAC", &mut key[..]).map_err(|_| SealedError::Damaged)?;
    AesKw::new_from_slice(&key[..]).map_err(|_| SealedError::Damaged)
}

fn hmac_sha256(key: &[u8], octets: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(octets);
    hmac.finalize().into_bytes().to_vec()
}
