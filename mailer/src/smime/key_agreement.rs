//! KeyAgreeRecipientInfo: the content key under an ephemeral-static ECDH key (RFC 5753 section 3.1).
use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, KeyInit};
use const_oid::ObjectIdentifier;
use p256::elliptic_curve::sec1::ToSec1Point;
use rand_core::TryCryptoRng;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::content_info::{algorithm, object_identifier};
use super::encrypt::EncryptError;
use super::key_transport::issuer_and_serial_number;
use super::object_identifiers::{
    AES_128_WRAP, AES_192_WRAP, AES_256_WRAP, EC_PUBLIC_KEY, P256, STD_DH_SHA1_KDF, STD_DH_SHA256_KDF,
    STD_DH_SHA384_KDF, STD_DH_SHA512_KDF,
};
use super::signer_info::CertificateIdentifier;
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, Malformed, element, tag};

const VERSION_3: [u8; 3] = [0x02, 0x01, 0x03];
/// A key wrap adds one block of eight bytes (RFC 3394).
const WRAP_OVERHEAD: usize = 8;

/// Writes a KeyAgreeRecipientInfo: dhSinglePass-stdDH-sha256kdf with AES-256 key wrap and a fresh P-256 key.
///
/// ```text
/// KeyAgreeRecipientInfo ::= SEQUENCE { version CMSVersion, -- always set to 3
///     originator [0] EXPLICIT OriginatorIdentifierOrKey, ukm [1] EXPLICIT UserKeyingMaterial OPTIONAL,
///     keyEncryptionAlgorithm KeyEncryptionAlgorithmIdentifier, recipientEncryptedKeys RecipientEncryptedKeys }
/// OriginatorIdentifierOrKey ::= CHOICE { ..., originatorKey [1] OriginatorPublicKey }
/// RecipientEncryptedKeys ::= SEQUENCE OF SEQUENCE { rid KeyAgreeRecipientIdentifier, encryptedKey EncryptedKey }
/// ```
pub(super) fn write<R: TryCryptoRng>(
    certificate: &Certificate,
    content_key: &[u8],
    random: &mut R,
) -> Result<Vec<u8>, EncryptError> {
    let unusable = || EncryptError::UnsupportedKey {
        who: certificate.subject(),
        algorithm: "an unusable P-256 key".to_owned(),
    };
    let point = certificate.public_key().subject_public_key.raw_bytes();
    let theirs = p256::PublicKey::from_sec1_bytes(point).map_err(|_| unusable())?;
    let ephemeral = ephemeral_key(random)?;
    let shared = p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), theirs.as_affine());
    let wrap_algorithm = algorithm(AES_256_WRAP, &[])?;
    let info = shared_info(&wrap_algorithm, None, 32);
    let key = derive::<Sha256>(shared.raw_secret_bytes(), &info, 32);
    let mut wrapped = vec![0; content_key.len() + WRAP_OVERHEAD];
    let wrapper = AesKw::<Aes256>::new_from_slice(&key).map_err(|_| unusable())?;
    wrapper.wrap_key(content_key, &mut wrapped).map_err(|_| unusable())?;

    let public = ephemeral.public_key().to_sec1_point(false);
    let originator_key = element(
        tag::context_constructed(1),
        &[&algorithm(EC_PUBLIC_KEY, &[])?, &element(tag::BIT_STRING, &[&[0], public.as_bytes()])],
    );
    let encrypted_key = element(
        tag::SEQUENCE,
        &[&issuer_and_serial_number(certificate)?, &element(tag::OCTET_STRING, &[&wrapped])],
    );
    let parts: [&[u8]; 4] = [
        &VERSION_3,
        &element(tag::context_constructed(0), &[&originator_key]),
        &algorithm(STD_DH_SHA256_KDF, &wrap_algorithm)?,
        &element(tag::SEQUENCE, &[&encrypted_key]),
    ];
    Ok(element(tag::context_constructed(1), &parts))
}

/// A fresh P-256 key: random numbers until one lies in the group (FIPS 186-5 appendix A.2.2).
fn ephemeral_key<R: TryCryptoRng>(random: &mut R) -> Result<p256::SecretKey, EncryptError> {
    loop {
        let mut candidate = Zeroizing::new([0_u8; 32]);
        random.try_fill_bytes(candidate.as_mut_slice()).map_err(|_| EncryptError::Randomness)?;
        if let Ok(key) = p256::SecretKey::from_slice(candidate.as_slice()) {
            return Ok(key);
        }
    }
}

/// ```text
/// ECC-CMS-SharedInfo ::= SEQUENCE { keyInfo AlgorithmIdentifier, entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
///     suppPubInfo [2] EXPLICIT OCTET STRING } -- the length of the key-encryption key in bits, four bytes
/// ```
fn shared_info(wrap_algorithm: &[u8], user_keying_material: Option<&[u8]>, key_length: u8) -> Vec<u8> {
    let entity = user_keying_material
        .map(|material| element(tag::context_constructed(0), &[&element(tag::OCTET_STRING, &[material])]));
    let bits = (u32::from(key_length) * 8).to_be_bytes();
    let supplement = element(tag::context_constructed(2), &[&element(tag::OCTET_STRING, &[&bits])]);
    element(tag::SEQUENCE, &[wrap_algorithm, entity.as_deref().unwrap_or_default(), &supplement])
}

/// The key derivation function of ANSI X9.63 (SEC 1 section 3.6.1).
fn derive<D: Digest>(shared: &[u8], info: &[u8], length: u8) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(usize::from(length) + 64));
    for counter in 1_u32.. {
        if key.len() >= usize::from(length) {
            break;
        }
        let mut block = D::new_with_prefix(shared);
        block.update(counter.to_be_bytes());
        block.update(info);
        key.extend_from_slice(&block.finalize());
    }
    key.truncate(usize::from(length));
    key
}

/// A KeyAgreeRecipientInfo, read; only ephemeral-static ones are understood.
pub(super) struct KeyAgreeRecipientInfo<'a> {
    /// The ephemeral public key, an uncompressed point.
    pub(super) originator_key: &'a [u8],
    user_keying_material: Option<&'a [u8]>,
    key_derivation: ObjectIdentifier,
    wrap_algorithm: Element<'a>,
    /// Whom, and the content key wrapped for them.
    pub(super) recipients: Vec<(CertificateIdentifier<'a>, &'a [u8])>,
}

impl<'a> KeyAgreeRecipientInfo<'a> {
    pub(super) fn read(info: Element<'a>) -> Result<Self, Malformed> {
        let mut fields = info.elements();
        fields.expect(tag::INTEGER)?;
        let originator = fields.expect(tag::context_constructed(0))?;
        let originator_key = originator_key(originator)?;
        let material = fields.optional(tag::context_constructed(1))?;
        let user_keying_material = material
            .map(|material| Element::only(material.contents, tag::OCTET_STRING))
            .transpose()?
            .map(|found| found.contents);
        let mut algorithm = fields.expect(tag::SEQUENCE)?.elements();
        let key_derivation = object_identifier(algorithm.expect(tag::OBJECT_IDENTIFIER)?)?;
        let wrap_algorithm = algorithm.expect(tag::SEQUENCE)?;
        let mut keys = fields.expect(tag::SEQUENCE)?.elements();
        fields.finish()?;
        let mut recipients = Vec::new();
        while let Some(key) = keys.next()? {
            // A recipient named in another way (by a key identifier with a date) is not one of ours.
            recipients.extend(recipient(key).ok());
        }
        Ok(Self { originator_key, user_keying_material, key_derivation, wrap_algorithm, recipients })
    }

    /// Unwraps a content key with the X coordinate of the agreement; `None` when it does not unwrap.
    pub(super) fn unwrap_key(&self, shared: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let length = self.wrap_key_length().ok()?;
        let info = shared_info(self.wrap_algorithm.bytes, self.user_keying_material, length);
        let key = match self.key_derivation {
            STD_DH_SHA1_KDF => derive::<Sha1>(shared, &info, length),
            STD_DH_SHA256_KDF => derive::<Sha256>(shared, &info, length),
            STD_DH_SHA384_KDF => derive::<Sha384>(shared, &info, length),
            STD_DH_SHA512_KDF => derive::<Sha512>(shared, &info, length),
            _ => return None,
        };
        let mut content_key = Zeroizing::new(vec![0; wrapped.len().checked_sub(WRAP_OVERHEAD)?]);
        let unwrapped = match length {
            16 => AesKw::<Aes128>::new_from_slice(&key).ok()?.unwrap_key(wrapped, &mut content_key).is_ok(),
            24 => AesKw::<Aes192>::new_from_slice(&key).ok()?.unwrap_key(wrapped, &mut content_key).is_ok(),
            _ => AesKw::<Aes256>::new_from_slice(&key).ok()?.unwrap_key(wrapped, &mut content_key).is_ok(),
        };
        unwrapped.then_some(content_key)
    }

    /// Whether the algorithms are known; an error in words when not.
    pub(super) fn check_algorithms(&self) -> Result<(), String> {
        let known = [STD_DH_SHA1_KDF, STD_DH_SHA256_KDF, STD_DH_SHA384_KDF, STD_DH_SHA512_KDF];
        if !known.contains(&self.key_derivation) {
            return Err(format!("the key agreement algorithm {}", self.key_derivation));
        }
        self.wrap_key_length().map(|_| ())
    }

    fn wrap_key_length(&self) -> Result<u8, String> {
        let identifier =
            self.wrap_algorithm.elements().expect(tag::OBJECT_IDENTIFIER).and_then(object_identifier);
        match identifier {
            Ok(AES_128_WRAP) => Ok(16),
            Ok(AES_192_WRAP) => Ok(24),
            Ok(AES_256_WRAP) => Ok(32),
            Ok(other) => Err(format!("the key wrap algorithm {other}")),
            Err(problem) => Err(format!("a key wrap algorithm that cannot be read ({problem})")),
        }
    }
}

/// The point of `originatorKey [1] OriginatorPublicKey`; its curve, if named, must be P-256.
fn originator_key(originator: Element<'_>) -> Result<&[u8], Malformed> {
    let key = Element::only(originator.contents, tag::context_constructed(1))?;
    let mut fields = key.elements();
    let mut algorithm = fields.expect(tag::SEQUENCE)?.elements();
    if object_identifier(algorithm.expect(tag::OBJECT_IDENTIFIER)?)? != EC_PUBLIC_KEY {
        return Err(Malformed::Tag);
    }
    if let Some(curve) = algorithm.optional(tag::OBJECT_IDENTIFIER)?
        && object_identifier(curve)? != P256
    {
        return Err(Malformed::Tag);
    }
    let point = fields.expect(tag::BIT_STRING)?.contents;
    fields.finish()?;
    match point.split_first() {
        Some((0, point)) => Ok(point),
        _ => Err(Malformed::Length),
    }
}

fn recipient(key: Element<'_>) -> Result<(CertificateIdentifier<'_>, &[u8]), Malformed> {
    let mut fields = Element::only(key.bytes, tag::SEQUENCE)?.elements();
    let identifier = match fields.optional(tag::context_constructed(0))? {
        // rKeyId [0] IMPLICIT SEQUENCE { subjectKeyIdentifier OCTET STRING, ... }
        Some(identifier) => CertificateIdentifier::SubjectKeyIdentifier(
            identifier.elements().expect(tag::OCTET_STRING)?.contents,
        ),
        None => CertificateIdentifier::read(&mut fields)?,
    };
    let wrapped = fields.expect(tag::OCTET_STRING)?.contents;
    fields.finish()?;
    Ok((identifier, wrapped))
}
