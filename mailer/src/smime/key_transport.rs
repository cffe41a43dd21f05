//! KeyTransRecipientInfo: the content key under an RSA key (RFC 5652 section 6.2.1, RFC 3370, RFC 3560).
use der::Encode;
use rand_core::TryCryptoRng;
use rsa::traits::PaddingScheme;
use rsa::{Oaep, Pkcs1v15Encrypt};
use sha2::Sha256;
use spki::AlgorithmIdentifierOwned;

use super::content_info::algorithm;
use super::encrypt::EncryptError;
use super::object_identifiers::{MGF1, P_SPECIFIED, RSAES_OAEP, SHA256};
use super::signer_info::CertificateIdentifier;
use crate::certificate::public_key::{RSA_ENCRYPTION, rsa_public_key};
use crate::certificate::rsa_pss::{read_digest, read_mask};
use crate::certificate::signature::SignatureProblem;
use crate::certificate::tlv::{Element, Malformed, element, tag};
use crate::certificate::{Acceptance, Certificate, DigestAlgorithm};
use crate::keys::{Hash, RsaEncryption};

const NULL: [u8; 2] = [0x05, 0x00];
const VERSION_0: [u8; 3] = [0x02, 0x01, 0x00];

/// Writes a KeyTransRecipientInfo for the certificate: RSAES-OAEP with SHA-256, or RSAES-PKCS1-v1_5.
pub(super) fn write<R: TryCryptoRng>(
    certificate: &Certificate,
    oaep: bool,
    content_key: &[u8],
    random: &mut R,
) -> Result<Vec<u8>, EncryptError> {
    let unsupported = |_| EncryptError::UnsupportedKey {
        who: certificate.subject(),
        algorithm: "an unusable RSA key".to_owned(),
    };
    let key = rsa_public_key(certificate.public_key(), Acceptance::Current).map_err(unsupported)?;
    let (algorithm, encrypted) = if oaep {
        let algorithm = algorithm(RSAES_OAEP, &oaep_sha256_parameters()?)?;
        (algorithm, Oaep::<Sha256>::new().encrypt(random, &key, content_key))
    } else {
        (algorithm(RSA_ENCRYPTION, &NULL)?, Pkcs1v15Encrypt.encrypt(random, &key, content_key))
    };
    let encrypted = element(tag::OCTET_STRING, &[&encrypted.map_err(|_| EncryptError::Randomness)?]);
    let recipient = issuer_and_serial_number(certificate)?;
    Ok(element(tag::SEQUENCE, &[&VERSION_0, &recipient, &algorithm, &encrypted]))
}

/// `IssuerAndSerialNumber ::= SEQUENCE { issuer Name, serialNumber CertificateSerialNumber }`
pub(super) fn issuer_and_serial_number(certificate: &Certificate) -> der::Result<Vec<u8>> {
    let serial = element(tag::INTEGER, &[certificate.serial_octets()]);
    Ok(element(tag::SEQUENCE, &[&certificate.issuer_der()?, &serial]))
}

/// RSAES-OAEP-params with SHA-256 for hash and MGF1 and the empty label (RFC 4055 section 4.1).
pub(super) fn oaep_sha256_parameters() -> der::Result<Vec<u8>> {
    let sha256 = algorithm(SHA256, &NULL)?;
    let hash = element(tag::context_constructed(0), &[&sha256]);
    let mask = element(tag::context_constructed(1), &[&algorithm(MGF1, &sha256)?]);
    Ok(element(tag::SEQUENCE, &[&hash, &mask]))
}

/// Whether a capability's parameters mean SHA-256 for both digests: as RFC 4055 writes them, or without the tags, as
/// RFC 3560 section 4 shows them.
pub(super) fn is_oaep_sha256(parameters: &[u8]) -> bool {
    let untagged = || -> der::Result<Vec<u8>> {
        let sha256 = algorithm(SHA256, &NULL)?;
        Ok(element(tag::SEQUENCE, &[&sha256, &algorithm(MGF1, &sha256)?]))
    };
    oaep(parameters) == Ok(RsaEncryption::oaep(Hash::Sha256))
        || untagged().is_ok_and(|untagged| untagged == parameters)
}

/// A KeyTransRecipientInfo, read.
pub(super) struct KeyTransRecipientInfo<'a> {
    pub(super) recipient: CertificateIdentifier<'a>,
    algorithm: AlgorithmIdentifierOwned,
    pub(super) encrypted_key: &'a [u8],
}

impl<'a> KeyTransRecipientInfo<'a> {
    pub(super) fn read(info: Element<'a>) -> Result<Self, Malformed> {
        use der::Decode;
        let mut fields = info.elements();
        fields.expect(tag::INTEGER)?;
        let recipient = CertificateIdentifier::read(&mut fields)?;
        let algorithm = AlgorithmIdentifierOwned::from_der(fields.expect(tag::SEQUENCE)?.bytes)
            .map_err(|_| Malformed::Tag)?;
        let encrypted_key = fields.expect(tag::OCTET_STRING)?.contents;
        fields.finish()?;
        Ok(Self { recipient, algorithm, encrypted_key })
    }

    /// How the key must be decrypted; an error in words when we cannot.
    pub(super) fn encryption(&self, content_key_length: usize) -> Result<RsaEncryption, String> {
        match self.algorithm.oid {
            RSA_ENCRYPTION => Ok(RsaEncryption::Pkcs1v15 { length: content_key_length }),
            RSAES_OAEP => {
                let parameters =
                    self.algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok());
                oaep(parameters.as_deref().unwrap_or_default())
            }
            other => Err(format!("the key encryption algorithm {other}")),
        }
    }
}

/// Digests of RSAES-OAEP-params; the label must be empty.
///
/// ```text
/// RSAES-OAEP-params ::= SEQUENCE { hashAlgorithm [0] HashAlgorithm DEFAULT sha1,
///     maskGenAlgorithm [1] MaskGenAlgorithm DEFAULT mgf1SHA1, pSourceAlgorithm [2] PSourceAlgorithm DEFAULT pSpecifiedEmpty }
/// ```
fn oaep(parameters: &[u8]) -> Result<RsaEncryption, String> {
    let malformed = |_: Malformed| "malformed RSA-OAEP parameters".to_owned();
    let within = |problem: SignatureProblem| match problem {
        SignatureProblem::Unsupported(what) => format!("RSA-OAEP with {what}"),
        SignatureProblem::Invalid => "malformed RSA-OAEP parameters".to_owned(),
    };
    // RFC 4055 section 4.1: absent fields mean SHA-1; absent parameters are not allowed.
    let mut fields = Element::only(parameters, tag::SEQUENCE).map_err(malformed)?.elements();
    let hash = fields.optional(tag::context_constructed(0)).map_err(malformed)?;
    let mask = fields.optional(tag::context_constructed(1)).map_err(malformed)?;
    let label = fields.optional(tag::context_constructed(2)).map_err(malformed)?;
    fields.finish().map_err(malformed)?;
    if !label.is_none_or(|label| is_empty_label(label.contents)) {
        return Err("RSA-OAEP with a label".to_owned());
    }
    let digest = hash.map_or(Ok(DigestAlgorithm::Sha1), |hash| read_digest(hash.contents)).map_err(within)?;
    let mask = mask.map_or(Ok(DigestAlgorithm::Sha1), |mask| read_mask(mask.contents)).map_err(within)?;
    Ok(RsaEncryption::Oaep { digest: for_key(digest), mask: for_key(mask) })
}

/// `pSpecified` with an empty OCTET STRING (RFC 4055 section 4.1).
fn is_empty_label(der: &[u8]) -> bool {
    let empty = element(tag::OCTET_STRING, &[]);
    algorithm(P_SPECIFIED, &empty).is_ok_and(|wanted| wanted == der)
}

fn for_key(digest: DigestAlgorithm) -> Hash {
    match digest {
        DigestAlgorithm::Sha1 => Hash::Sha1,
        DigestAlgorithm::Sha224 => Hash::Sha224,
        DigestAlgorithm::Sha256 => Hash::Sha256,
        DigestAlgorithm::Sha384 => Hash::Sha384,
        DigestAlgorithm::Sha512 => Hash::Sha512,
    }
}
