//! Where a key came from: what the card attests of it, and whether that is believed.
//!
//! A card's attestation is believed only if it leads to one of the roots that the desk has pinned (a card's maker has
//! more than one, and changes them), and speaks of this very key, card and firmware. An emulated card has a root of its
//! own that nobody pins; it is taken where the registry allows emulated cards, and recorded as what it is.

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use middleware::{
    Attestation, AttestationError, CardError, CardIdentity, KeyReference, PinPolicy, Transaction,
};
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;

use super::error::PersonalizationError;
use super::plan::KeyOrigin;
use crate::registry::{AttestationRecord, KeyOriginRecord, PublicKeyHash};

/// What every attestation of an emulated card says.
const EMULATED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.2.1");
/// Firmware from which on an attestation names the card's serial number.
const NAMES_SERIAL: (u8, u8, u8) = (5, 0, 0);

/// The roots of cards' makers that the desk believes, and intermediate certificates below them; DER.
#[derive(Clone, Debug, Default)]
pub struct AttestationRoots(Vec<Vec<u8>>);

impl AttestationRoots {
    /// These certificates, DER.
    pub const fn new(certificates: Vec<Vec<u8>>) -> Self {
        Self(certificates)
    }
}

/// Why an attestation is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationRefusal {
    /// The desk has no roots.
    #[error(
        "the card attests its keys, and the desk has no root to believe it by: put the maker's root certificates (PEM) into the folder attestation-roots of the issuer's home"
    )]
    NoRoots,
    /// Forged, or of an unknown maker.
    #[error("the card's attestation of key {key} is not believed: {error}")]
    NotBelieved {
        /// Which key.
        key: KeyReference,
        /// Why.
        error: AttestationError,
    },
    /// It speaks of something else than what is before the desk.
    #[error(
        "the card's attestation of key {key} is about another {what} ({said}) than the one here ({here})"
    )]
    AboutAnother {
        /// Which key.
        key: KeyReference,
        /// Key, card, firmware.
        what: &'static str,
        /// What the attestation says.
        said: String,
        /// What the card is.
        here: String,
    },
    /// The key can be used with less than its PIN rule.
    #[error("the card attests that key {key} wants the PIN {said}, which is less than it must ({must})")]
    TooFewPins {
        /// Which key.
        key: KeyReference,
        /// What it says.
        said: PinPolicy,
        /// What is needed.
        must: PinPolicy,
    },
    /// A card that says it did not make a key that it was just told to make.
    #[error("the card says that it did not make key {0} itself, although it was told to")]
    NotMadeByCard(KeyReference),
    /// An emulated card that hides it.
    #[error("the card's attestation says that it is emulated, which the card itself hides")]
    HiddenEmulation,
}

/// Where a key of the card came from, with the card's attestation where it has one.
///
/// # Errors
/// [`PersonalizationError::Attestation`]; the card's own.
pub fn origin_of(
    transaction: &mut Transaction<'_>,
    key: KeyReference,
    public_key: &SubjectPublicKeyInfoOwned,
    identity: &CardIdentity,
    (origin, roots): (KeyOrigin, &AttestationRoots),
) -> Result<KeyOriginRecord, PersonalizationError> {
    if origin == KeyOrigin::Injected {
        return Ok(KeyOriginRecord::Injected);
    }
    let attestation = match transaction.attest(key) {
        Ok(attestation) => attestation,
        Err(CardError::Unsupported(_)) => return Ok(KeyOriginRecord::Generated),
        Err(CardError::NotAttested(key)) => return Err(AttestationRefusal::NotMadeByCard(key).into()),
        Err(error) => return Err(error.into()),
    };
    Ok(judge(&attestation, public_key, identity, roots)?)
}

/// Judges an attestation of a key of the card with this identity.
///
/// # Errors
/// [`AttestationRefusal`].
pub fn judge(
    attestation: &Attestation,
    public_key: &SubjectPublicKeyInfoOwned,
    identity: &CardIdentity,
    roots: &AttestationRoots,
) -> Result<KeyOriginRecord, AttestationRefusal> {
    let key = attestation.key;
    let not_believed = |error| AttestationRefusal::NotBelieved { key, error };
    let is_emulated = identity.emulated.is_some();
    let root = if is_emulated {
        attestation.verify().map_err(not_believed)?;
        None
    } else {
        // Before the chain: whoever pinned such a root is told what it is.
        if says_emulated(&attestation.certificate) {
            return Err(AttestationRefusal::HiddenEmulation);
        }
        if roots.0.is_empty() {
            return Err(AttestationRefusal::NoRoots);
        }
        attestation.verify_to_root(&roots.0).map_err(not_believed)?.pop()
    };
    fits(attestation, public_key, identity)?;
    let record = AttestationRecord {
        statement: attestation.certificate.clone(),
        issuer: attestation.issuer_certificate.clone(),
        root,
    };
    Ok(if is_emulated {
        KeyOriginRecord::AttestedByEmulatedCard(record)
    } else {
        KeyOriginRecord::Attested(record)
    })
}

/// Whether it speaks of this key, card and firmware, and of no weaker use of the PIN than the key must have.
fn fits(
    attestation: &Attestation,
    public_key: &SubjectPublicKeyInfoOwned,
    identity: &CardIdentity,
) -> Result<(), AttestationRefusal> {
    let key = attestation.key;
    let another =
        |what, said: String, here: String| AttestationRefusal::AboutAnother { key, what, said, here };
    if attestation.public_key != *public_key {
        return Err(another("key", short(&attestation.public_key), short(public_key)));
    }
    if attestation.firmware != identity.version {
        return Err(another("firmware", version(attestation.firmware), version(identity.version)));
    }
    let is_named = identity.version.is_some_and(|version| version >= NAMES_SERIAL);
    if (is_named || attestation.serial.is_some()) && attestation.serial != identity.serial {
        return Err(another("card", serial(attestation.serial), serial(identity.serial)));
    }
    let must = PinPolicy::standard(key);
    match attestation.pin_policy {
        Some(said) if strength(said) < strength(must) => {
            Err(AttestationRefusal::TooFewPins { key, said, must })
        }
        _ => Ok(()),
    }
}

/// By what a key's origin is found again.
///
/// # Errors
/// A key that cannot be encoded.
pub fn hash_of(public_key: &SubjectPublicKeyInfoOwned) -> Result<PublicKeyHash, PersonalizationError> {
    let der = public_key.to_der().map_err(|error| {
        crate::ca::CaError::Unsupported(format!("a public key that cannot be encoded: {error}"))
    })?;
    Ok(Sha256::digest(der).into())
}

fn says_emulated(statement: &[u8]) -> bool {
    Certificate::from_der(statement).is_ok_and(|certificate| {
        let extensions = certificate.tbs_certificate().extensions();
        extensions.is_some_and(|all| all.iter().any(|extension| extension.extn_id == EMULATED))
    })
}

const fn strength(policy: PinPolicy) -> u8 {
    match policy {
        PinPolicy::Once | PinPolicy::MatchOnce => 1,
        PinPolicy::Always | PinPolicy::MatchAlways => 2,
        _ => 0,
    }
}

fn short(key: &SubjectPublicKeyInfoOwned) -> String {
    let digest = Sha256::digest(key.subject_public_key.raw_bytes());
    hex::encode(digest.get(..8).unwrap_or_default())
}

fn version(version: Option<(u8, u8, u8)>) -> String {
    version.map_or_else(|| "none".to_owned(), |(major, minor, patch)| format!("{major}.{minor}.{patch}"))
}

fn serial(serial: Option<u32>) -> String {
    serial.map_or_else(|| "without serial number".to_owned(), |serial| format!("serial {serial}"))
}
