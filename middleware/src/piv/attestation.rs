//! Attestation: the card's word, signed by its maker's key F9, that it generated a key itself (vendor command ATTEST).
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, SHA_256_WITH_RSA_ENCRYPTION,
    SHA_384_WITH_RSA_ENCRYPTION, SHA_512_WITH_RSA_ENCRYPTION,
};
use const_oid::db::rfc8410::ID_ED_25519;
use der::asn1::UintRef;
use der::{Decode, Encode};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use super::metadata::{PinPolicy, TouchPolicy};
use super::objects;
use super::transaction::Repeat;
use super::{CardError, DataObject, KeyReference, Transaction};
use crate::apdu::{CommandApdu, StatusWord};
use crate::keys::public_key::PublicKey;
use crate::keys::{DigestAlgorithm, SignatureScheme};

/// The vendor's arc of extensions.
const FIRMWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.7");
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");

/// Firmware that attests.
const ATTESTS: (u8, u8, u8) = (4, 3, 0);
/// Longer chains are not looked at.
const LONGEST_CHAIN: usize = 8;

/// What a card says of a key, and who signed that.
#[derive(Clone, Debug)]
pub struct Attestation {
    /// Which key.
    pub key: KeyReference,
    /// The statement, an X.509 certificate in DER whose subject's key is the one attested.
    pub certificate: Vec<u8>,
    /// The certificate of the card's key F9, in DER, which signed the statement.
    pub issuer_certificate: Vec<u8>,
    /// The key attested.
    pub public_key: SubjectPublicKeyInfoOwned,
    /// The card's firmware.
    pub firmware: Option<(u8, u8, u8)>,
    /// The card's serial number.
    pub serial: Option<u32>,
    /// When the card wants the PIN for the key.
    pub pin_policy: Option<PinPolicy>,
    /// When it wants a touch.
    pub touch_policy: Option<TouchPolicy>,
}

/// Why an attestation proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// The statement is not what the certificate of F9 signed.
    #[error("the attestation was not signed by the certificate that the card gives for it")]
    NotByTheCardsKey,
    /// No chain leads to a root that was given.
    #[error("the attestation certificate {0:?} was issued by none of the roots given")]
    NoPathToRoot(String),
    /// A certificate in the chain cannot be read.
    #[error("a certificate of the chain cannot be read: {0}")]
    Malformed(String),
}

impl Transaction<'_> {
    /// Lets the card attest that it generated a key.
    ///
    /// # Errors
    /// [`CardError::Unsupported`], by name, on a card without the command; [`CardError::NotAttested`] for a key that
    /// was imported; [`CardError::KeyNotFound`]; [`CardError::MalformedAnswer`].
    pub fn attest(&mut self, key: KeyReference) -> Result<Attestation, CardError> {
        self.requires(Some(ATTESTS), "attest a key")?;
        let command = CommandApdu::new("ATTEST", 0xF9, key.to_byte(), 0x00).expecting_data();
        let response = self.send(&command, Repeat::Safe)?;
        match response.status {
            StatusWord::OK => {}
            StatusWord::INSTRUCTION_NOT_SUPPORTED => {
                return Err(CardError::Unsupported("attest a key".to_owned()));
            }
            // Cards do not tell an empty key reference from an imported key.
            _ => {
                return Err(match self.key_metadata(key)? {
                    Some(_) => CardError::NotAttested(key),
                    None => CardError::KeyNotFound(key),
                });
            }
        }
        let issuer = self.read_object(DataObject::ATTESTATION_CERTIFICATE)?;
        let issuer = objects::certificate_from_bytes(&issuer)?
            .ok_or(CardError::ObjectNotFound(DataObject::ATTESTATION_CERTIFICATE))?;
        Attestation::read(key, response.data.to_vec(), issuer)
            .map_err(|error| CardError::MalformedAnswer(format!("an attestation that is none: {error}")))
    }
}

impl Attestation {
    fn read(key: KeyReference, certificate: Vec<u8>, issuer_certificate: Vec<u8>) -> der::Result<Self> {
        let parsed = Certificate::from_der(&certificate)?;
        let extension = |oid| extension(&parsed, oid);
        let policies = extension(POLICIES).unwrap_or_default();
        Ok(Self {
            key,
            public_key: public_key(&parsed)?,
            firmware: extension(FIRMWARE).and_then(|value| match *value {
                [major, minor, patch] => Some((major, minor, patch)),
                _ => None,
            }),
            serial: extension(SERIAL_NUMBER)
                .and_then(|value| UintRef::from_der(value).ok())
                .and_then(|number| number_of(number.as_bytes())),
            pin_policy: policies.first().and_then(|&byte| PinPolicy::from_byte(byte)),
            touch_policy: policies.get(1).and_then(|&byte| TouchPolicy::from_byte(byte)),
            certificate,
            issuer_certificate,
        })
    }

    /// Whether the certificate of F9 signed the statement. Who issued that certificate is
    /// [`Self::verify_to_root`]'s question: anybody can make an F9 of their own.
    ///
    /// # Errors
    /// [`AttestationError::NotByTheCardsKey`], [`AttestationError::Malformed`].
    pub fn verify(&self) -> Result<(), AttestationError> {
        let (statement, issuer) = (parse(&self.certificate)?, parse(&self.issuer_certificate)?);
        if is_issued_by(&statement, &issuer) { Ok(()) } else { Err(AttestationError::NotByTheCardsKey) }
    }

    /// Also follows the certificate of F9 up to one of the `trusted` certificates (DER) that signed itself; the others
    /// among them serve as links. Answers the chain above F9, the root last. Validity periods are not looked at: a
    /// card's maker gives none that means anything.
    ///
    /// # Errors
    /// Those of [`Self::verify`]; [`AttestationError::NoPathToRoot`].
    pub fn verify_to_root(&self, trusted: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, AttestationError> {
        self.verify()?;
        let mut given = Vec::new();
        for bytes in trusted {
            given.push((bytes, parse(bytes)?));
        }
        let mut current = parse(&self.issuer_certificate)?;
        let card_subject = current.tbs_certificate().subject().to_string();
        let mut chain = Vec::new();
        for _ in 0..LONGEST_CHAIN {
            let above =
                given.iter().find(|(_, issuer)| is_authority(issuer) && is_issued_by(&current, issuer));
            let Some((bytes, issuer)) = above else { break };
            chain.push((*bytes).clone());
            if is_issued_by(issuer, issuer) {
                return Ok(chain);
            }
            current = issuer.clone();
        }
        Err(AttestationError::NoPathToRoot(card_subject))
    }
}

fn parse(bytes: &[u8]) -> Result<Certificate, AttestationError> {
    Certificate::from_der(bytes).map_err(|error| AttestationError::Malformed(error.to_string()))
}

/// The contents of an extension; the vendor's are bare bytes, not DER.
fn extension(certificate: &Certificate, oid: ObjectIdentifier) -> Option<&[u8]> {
    let extensions = certificate.tbs_certificate().extensions()?;
    extensions
        .iter()
        .find(|extension| extension.extn_id == oid)
        .map(|extension| extension.extn_value.as_bytes())
}

fn public_key(certificate: &Certificate) -> der::Result<SubjectPublicKeyInfoOwned> {
    SubjectPublicKeyInfoOwned::from_der(&certificate.tbs_certificate().subject_public_key_info().to_der()?)
}

fn number_of(bytes: &[u8]) -> Option<u32> {
    let mut padded = [0; 4];
    padded.get_mut(4_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(u32::from_be_bytes(padded))
}

/// RFC 5280 section 4.2.1.9.
fn is_authority(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    constraints.is_ok_and(|constraints| constraints.is_some_and(|(_, constraints)| constraints.ca))
}

/// Whether the names fit and the signature is the issuer's.
fn is_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    if certificate.tbs_certificate().issuer() != issuer.tbs_certificate().subject() {
        return false;
    }
    let verified = || {
        let signed = certificate.tbs_certificate().to_der().ok()?;
        let (scheme, digest) = match certificate.signature_algorithm().oid {
            SHA_256_WITH_RSA_ENCRYPTION => {
                (SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256), sha256(&signed))
            }
            SHA_384_WITH_RSA_ENCRYPTION => {
                (SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha384), sha384(&signed))
            }
            SHA_512_WITH_RSA_ENCRYPTION => {
                (SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha512), sha512(&signed))
            }
            ECDSA_WITH_SHA_256 => (SignatureScheme::Ecdsa(DigestAlgorithm::Sha256), sha256(&signed)),
            ECDSA_WITH_SHA_384 => (SignatureScheme::Ecdsa(DigestAlgorithm::Sha384), sha384(&signed)),
            ECDSA_WITH_SHA_512 => (SignatureScheme::Ecdsa(DigestAlgorithm::Sha512), sha512(&signed)),
            ID_ED_25519 => (SignatureScheme::Ed25519, signed),
            _ => return None,
        };
        let key = PublicKey::try_from(&public_key(issuer).ok()?).ok()?;
        Some(key.verifies(scheme, &digest, certificate.signature().raw_bytes()))
    };
    verified().unwrap_or(false)
}

fn sha256(data: &[u8]) -> Vec<u8> {
    Sha256::digest(data).to_vec()
}

fn sha384(data: &[u8]) -> Vec<u8> {
    Sha384::digest(data).to_vec()
}

fn sha512(data: &[u8]) -> Vec<u8> {
    Sha512::digest(data).to_vec()
}
