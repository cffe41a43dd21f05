//! A key shows itself: before it is certified, and again against the certificate read back from the card.

use middleware::{Card, CardError, FreshPin, KeyError, KeyReference, LastTry, Pin, Transaction};
use rand_core::CryptoRng;
use spki::SubjectPublicKeyInfoOwned;

use super::error::PersonalizationError;
use crate::ca::possession::{KeyManagementChallenge, ProvenKey, SigningChallenge};
use crate::ca::{CaError, Certificate};
use crate::domain::CardKey;

/// The key reference of a staff card's key.
pub const fn key_reference(key: CardKey) -> KeyReference {
    match key {
        CardKey::Authentication => KeyReference::Authentication,
        CardKey::DigitalSignature => KeyReference::DigitalSignature,
        CardKey::KeyManagement => KeyReference::KeyManagement,
        CardKey::CardAuthentication => KeyReference::CardAuthentication,
    }
}

/// The PIN for the keys of one transaction. A card writes its retry counter at every VERIFY, so it is verified as rarely as
/// the keys allow: 9C wants it before each use, 9A and 9D once, 9E never (SP 800-73-5 Part 1 table 5).
pub struct Verification<'p> {
    pin: &'p Pin,
    is_verified: bool,
}

impl<'p> Verification<'p> {
    /// Not verified yet.
    pub const fn with(pin: &'p Pin) -> Self {
        Self { pin, is_verified: false }
    }

    /// Verifies it, unless it was in this transaction.
    fn once(&mut self, transaction: &mut Transaction<'_>) -> Result<(), CardError> {
        if !self.is_verified {
            drop(self.again(transaction)?);
        }
        Ok(())
    }

    fn again<'tx, 'card>(
        &mut self,
        transaction: &'tx mut Transaction<'card>,
    ) -> Result<FreshPin<'tx, 'card>, CardError> {
        let fresh = transaction.verify_pin(self.pin, LastTry::Refuse)?;
        self.is_verified = true;
        Ok(fresh)
    }
}

/// Lets a key of the card prove that it is the private half of `public_key`: a fresh challenge is signed, or for 9D a
/// fresh value decrypted or agreed. The PIN is verified where the key wants it; 9C signs with the PIN fresh.
///
/// # Errors
/// [`CaError::NotProven`], or the card's refusal.
pub fn prove_possession<R: CryptoRng + ?Sized>(
    transaction: &mut Transaction<'_>,
    key: CardKey,
    public_key: &SubjectPublicKeyInfoOwned,
    pin: &mut Verification<'_>,
    random: &mut R,
) -> Result<ProvenKey, PersonalizationError> {
    let reference = key_reference(key);
    if key == CardKey::KeyManagement {
        pin.once(transaction)?;
        return Ok(match KeyManagementChallenge::fresh(public_key, random)? {
            KeyManagementChallenge::Decryption(challenge) => {
                let decrypted =
                    transaction.decrypt(reference, challenge.encryption(), challenge.ciphertext())?;
                challenge.verify(&decrypted)?
            }
            KeyManagementChallenge::Agreement(challenge) => {
                let shared = transaction.agree(reference, challenge.peer())?;
                challenge.verify(&shared)?
            }
        });
    }
    let challenge = SigningChallenge::fresh(public_key, random)?;
    let (scheme, digest) = (challenge.scheme(), challenge.digest());
    let signature = match key {
        CardKey::DigitalSignature => pin.again(transaction)?.sign(reference, public_key, scheme, digest)?,
        CardKey::CardAuthentication => transaction.sign(reference, public_key, scheme, digest)?,
        CardKey::Authentication | CardKey::KeyManagement => {
            pin.once(transaction)?;
            transaction.sign(reference, public_key, scheme, digest)?
        }
    };
    Ok(challenge.verify(&signature)?)
}

/// Reads the certificate of a key back from the card, compares it with `expected`, and exercises the key against it.
///
/// # Errors
/// [`PersonalizationError::ReadBackDiffers`], [`PersonalizationError::CertificateMismatch`], or the card's refusal.
pub fn read_back<R: CryptoRng + ?Sized>(
    transaction: &mut Transaction<'_>,
    key: CardKey,
    expected: &[u8],
    pin: &mut Verification<'_>,
    random: &mut R,
) -> Result<(), PersonalizationError> {
    let stored = transaction.certificate(key_reference(key))?;
    let Some(stored) = stored.filter(|stored| stored == expected) else {
        return Err(PersonalizationError::ReadBackDiffers { what: format!("{key} certificate") });
    };
    against(transaction, key, &stored, pin, random)
}

/// Exercises a key of the card against a certificate, DER.
///
/// # Errors
/// [`PersonalizationError::CertificateMismatch`] when the certificate names another key, or the card's refusal.
pub fn exercise<R: CryptoRng + ?Sized>(
    card: &mut Card,
    key: CardKey,
    certificate: &[u8],
    pin: &Pin,
    random: &mut R,
) -> Result<(), PersonalizationError> {
    against(&mut card.transaction()?, key, certificate, &mut Verification::with(pin), random)
}

fn against<R: CryptoRng + ?Sized>(
    transaction: &mut Transaction<'_>,
    key: CardKey,
    certificate: &[u8],
    pin: &mut Verification<'_>,
    random: &mut R,
) -> Result<(), PersonalizationError> {
    let certificate = Certificate::from_der(certificate.to_vec())?;
    match prove_possession(transaction, key, certificate.public_key(), pin, random) {
        Ok(_) => Ok(()),
        Err(
            PersonalizationError::Ca(CaError::NotProven(_))
            | PersonalizationError::Card(CardError::KeyMismatch(_))
            | PersonalizationError::Key(KeyError::Card(CardError::KeyMismatch(_))),
        ) => Err(PersonalizationError::CertificateMismatch { key }),
        Err(error) => Err(error),
    }
}
