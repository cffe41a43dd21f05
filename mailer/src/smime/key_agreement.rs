//! KeyAgreeRecipientInfo: the content key under an ephemeral-static ECDH key (RFC 5753 section 3.1, RFC 8418).
mod derivation;

use std::borrow::Cow;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use const_oid::ObjectIdentifier;
use der::Encode;
use p256::elliptic_curve::sec1::ToSec1Point;
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

pub(super) use self::derivation::KeyWrap;
use self::derivation::{KeyDerivation, shared_info};
use super::algorithm_choice::EphemeralCurve;
use super::content_info::{algorithm, object_identifier};
use super::encrypt::EncryptError;
use super::key_transport::issuer_and_serial_number;
use super::signer_info::CertificateIdentifier;
use crate::certificate::public_key::{EC_PUBLIC_KEY, P256, P384, PublicKeyKind, X25519};
use crate::certificate::tlv::{Element, Malformed, element, tag};
use crate::certificate::{Certificate, DigestAlgorithm};

const VERSION_3: [u8; 3] = [0x02, 0x01, 0x03];
const NULL: u8 = 0x05;
const P256_OCTETS: usize = 32;
const P384_OCTETS: usize = 48;

/// Writes a KeyAgreeRecipientInfo with a fresh key and AES-256 key wrap: for P-256 dhSinglePass-stdDH-sha256kdf, for P-384
/// sha384kdf, for X25519 hkdf-sha256.
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
    kind: PublicKeyKind,
    curve: EphemeralCurve,
    content_key: &[u8],
    random: &mut R,
) -> Result<Vec<u8>, EncryptError> {
    let unusable = || EncryptError::UnsupportedKey {
        who: certificate.subject(),
        algorithm: format!("an unusable {kind:?} key"),
    };
    let theirs = certificate.public_key().subject_public_key.raw_bytes();
    let (identifier, derivation, agreed) = match kind {
        PublicKeyKind::P256 => (
            EC_PUBLIC_KEY,
            KeyDerivation::X963(DigestAlgorithm::Sha256),
            agree_on(&ECDH_P256, P256_OCTETS, theirs, random)?,
        ),
        PublicKeyKind::P384 => (
            EC_PUBLIC_KEY,
            KeyDerivation::X963(DigestAlgorithm::Sha384),
            agree_on(&ECDH_P384, P384_OCTETS, theirs, random)?,
        ),
        PublicKeyKind::X25519 => {
            (X25519, KeyDerivation::Hkdf(DigestAlgorithm::Sha256), agree_on_x25519(theirs, random)?)
        }
        _ => return Err(unusable()),
    };
    let agreed = agreed.ok_or_else(unusable)?;
    let wrap_algorithm = algorithm(KeyWrap::Aes256.identifier(), &[])?;
    let info = shared_info(&wrap_algorithm, None, KeyWrap::Aes256);
    let wrapped = derivation
        .derive(&agreed.shared, None, &info, KeyWrap::Aes256)
        .and_then(|key| KeyWrap::Aes256.wrap(&key, content_key))
        .ok_or_else(unusable)?;

    let named_curve = match (curve, kind) {
        (EphemeralCurve::Named, PublicKeyKind::P256) => P256.to_der()?,
        (EphemeralCurve::Named, PublicKeyKind::P384) => P384.to_der()?,
        _ => Vec::new(),
    };
    let originator_key = element(
        tag::context_constructed(1),
        &[&algorithm(identifier, &named_curve)?, &element(tag::BIT_STRING, &[&[0], &agreed.public])],
    );
    let encrypted_key = element(
        tag::SEQUENCE,
        &[&issuer_and_serial_number(certificate)?, &element(tag::OCTET_STRING, &[&wrapped])],
    );
    let parts: [&[u8]; 4] = [
        &VERSION_3,
        &element(tag::context_constructed(0), &[&originator_key]),
        &algorithm(derivation.identifier(), &wrap_algorithm)?,
        &element(tag::SEQUENCE, &[&encrypted_key]),
    ];
    Ok(element(tag::context_constructed(1), &parts))
}

/// What an ephemeral key came to.
struct Agreed {
    /// The ephemeral public key.
    public: Vec<u8>,
    shared: Zeroizing<Vec<u8>>,
}

/// ECDH with a point of a NIST curve, whose numbers have so many octets; `None` when it is none.
///
/// This key lives for one operation on the host, which is most of what a letter costs: the faster library computes it.
fn agree_on<R: TryCryptoRng>(
    curve: &'static agreement::Algorithm,
    octets: usize,
    theirs: &[u8],
    random: &mut R,
) -> Result<Option<Agreed>, EncryptError> {
    let theirs = uncompressed(theirs);
    // The library would read more encodings of a key than the point (SEC 1 section 2.3.3).
    if theirs.len() != 1 + 2 * octets || theirs.first() != Some(&4) {
        return Ok(None);
    }
    // Random numbers until one lies in the group (FIPS 186-5 appendix A.2.2).
    let ephemeral = loop {
        let mut candidate = Zeroizing::new(vec![0; octets]);
        random.try_fill_bytes(&mut candidate).map_err(|_| EncryptError::Randomness)?;
        if let Ok(key) = PrivateKey::from_private_key(curve, &candidate) {
            break key;
        }
    };
    let theirs = UnparsedPublicKey::new(curve, theirs);
    let shared = agreement::agree(&ephemeral, theirs, (), |shared| Ok(Zeroizing::new(shared.to_vec())));
    let (Ok(shared), Ok(public)) = (shared, ephemeral.compute_public_key()) else { return Ok(None) };
    Ok(Some(Agreed { public: public.as_ref().to_vec(), shared }))
}

/// X25519; `None` for a key of small order, whose shared secret is zero (RFC 7748 section 6.1).
fn agree_on_x25519<R: TryCryptoRng>(theirs: &[u8], random: &mut R) -> Result<Option<Agreed>, EncryptError> {
    let Ok(theirs) = <[u8; 32]>::try_from(theirs) else { return Ok(None) };
    let mut secret = Zeroizing::new([0_u8; 32]);
    random.try_fill_bytes(secret.as_mut_slice()).map_err(|_| EncryptError::Randomness)?;
    let ephemeral = x25519_dalek::StaticSecret::from(*secret);
    let shared = ephemeral.diffie_hellman(&theirs.into());
    let public = x25519_dalek::PublicKey::from(&ephemeral).to_bytes().to_vec();
    let agreed = Agreed { public, shared: Zeroizing::new(shared.to_bytes().to_vec()) };
    Ok(shared.was_contributory().then_some(agreed))
}

/// A KeyAgreeRecipientInfo, read; only ephemeral-static ones are understood.
pub(super) struct KeyAgreeRecipientInfo<'a> {
    /// The ephemeral public key: an uncompressed point, or 32 octets of X25519.
    pub(super) originator_key: Cow<'a, [u8]>,
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
            // A recipient named in another way is not one of ours.
            recipients.extend(recipient(key).ok());
        }
        Ok(Self { originator_key, user_keying_material, key_derivation, wrap_algorithm, recipients })
    }

    /// Unwraps a content key with the X coordinate of the agreement; `None` when it does not unwrap.
    pub(super) fn unwrap_key(&self, shared: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let wrap = self.key_wrap().ok()?;
        let info = shared_info(self.wrap_algorithm.bytes, self.user_keying_material, wrap);
        let derivation = KeyDerivation::from_identifier(self.key_derivation)?;
        let key = derivation.derive(shared, self.user_keying_material, &info, wrap)?;
        wrap.unwrap(&key, wrapped)
    }

    /// Whether the algorithms are known; an error in words when not.
    pub(super) fn check_algorithms(&self) -> Result<(), String> {
        if KeyDerivation::from_identifier(self.key_derivation).is_none() {
            return Err(format!("the key agreement algorithm {}", self.key_derivation));
        }
        self.key_wrap().map(|_| ())
    }

    /// RFC 3565 section 2.3.2: no parameters; NULL is seen.
    fn key_wrap(&self) -> Result<KeyWrap, String> {
        let identifier =
            self.wrap_algorithm.elements().expect(tag::OBJECT_IDENTIFIER).and_then(object_identifier);
        match identifier {
            Ok(identifier) => KeyWrap::from_identifier(identifier)
                .ok_or_else(|| format!("the key wrap algorithm {identifier}")),
            Err(problem) => Err(format!("a key wrap algorithm that cannot be read ({problem})")),
        }
    }
}

/// The key of `originatorKey [1] OriginatorPublicKey`; a curve that is named must be one of ours.
fn originator_key(originator: Element<'_>) -> Result<Cow<'_, [u8]>, Malformed> {
    let key = Element::only(originator.contents, tag::context_constructed(1))?;
    let mut fields = key.elements();
    let mut algorithm = fields.expect(tag::SEQUENCE)?.elements();
    let identifier = object_identifier(algorithm.expect(tag::OBJECT_IDENTIFIER)?)?;
    let parameters = algorithm.next()?;
    let named = parameters.filter(|found| found.tag != NULL).map(object_identifier).transpose()?;
    if !matches!((identifier, named), (EC_PUBLIC_KEY, None | Some(P256 | P384)) | (X25519, None)) {
        return Err(Malformed::Tag);
    }
    let point = fields.expect(tag::BIT_STRING)?.contents;
    fields.finish()?;
    match point.split_first() {
        Some((0, point)) if identifier == EC_PUBLIC_KEY => Ok(uncompressed(point)),
        Some((0, point)) => Ok(Cow::Borrowed(point)),
        _ => Err(Malformed::Length),
    }
}

/// Cards take uncompressed points only; compressed ones are legal in a message (RFC 5480 section 2.2).
fn uncompressed(point: &[u8]) -> Cow<'_, [u8]> {
    let expanded = match (point.first(), point.len()) {
        (Some(2 | 3), 33) => p256::PublicKey::from_sec1_bytes(point)
            .map(|key| key.to_sec1_point(false).as_bytes().to_vec())
            .ok(),
        (Some(2 | 3), 49) => p384::PublicKey::from_sec1_bytes(point)
            .map(|key| key.to_sec1_point(false).as_bytes().to_vec())
            .ok(),
        _ => None,
    };
    expanded.map_or(Cow::Borrowed(point), Cow::Owned)
}

/// `RecipientKeyIdentifier ::= SEQUENCE { subjectKeyIdentifier OCTET STRING, date GeneralizedTime OPTIONAL, other ... }`
fn recipient(key: Element<'_>) -> Result<(CertificateIdentifier<'_>, &[u8]), Malformed> {
    let mut fields = Element::only(key.bytes, tag::SEQUENCE)?.elements();
    let identifier = match fields.optional(tag::context_constructed(0))? {
        Some(identifier) => CertificateIdentifier::SubjectKeyIdentifier(
            identifier.elements().expect(tag::OCTET_STRING)?.contents,
        ),
        None => CertificateIdentifier::read(&mut fields)?,
    };
    let wrapped = fields.expect(tag::OCTET_STRING)?.contents;
    fields.finish()?;
    Ok((identifier, wrapped))
}
