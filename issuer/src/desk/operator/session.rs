//! An operator's card at the desk: proven once with its PIN, and watched as long as the session lasts.
//!
//! A session holds nothing of the card: no PIN, no connection, no security status. It remembers in which reader the card
//! was, and ends for good when that reader says that a card left or came.

use std::path::PathBuf;

use getrandom::SysRng;
use middleware::secret_source::SecretSource;
use middleware::{Card, KeyReference, LastTry, Locator, Pin, ReaderWatch};
use rand_core::UnwrapErr;

use super::super::failure::Failure;
use crate::ca::{CaError, Certificate, ProvenKey};
use crate::domain::ChainHash;

/// A card that was opened and has not proven its key yet.
pub(super) struct PresentedCard {
    card: Card,
    locator: Locator,
    certificate: Certificate,
    presence: Presence,
}

/// Where a card was when it proved its key.
pub(super) enum Presence {
    /// An emulated card without a reader is there as long as its state file is.
    File(PathBuf),
    /// A reader tells by its count of changes.
    Reader { watch: Box<ReaderWatch>, name: String, changes: u32 },
}

impl PresentedCard {
    /// Opens the card and reads the certificate of 9A.
    ///
    /// # Errors
    /// No card there, or none with a certificate for 9A.
    pub(super) fn open(locator: &Locator) -> Result<Self, Failure> {
        let named = |failure: Failure| failure.before(&format!("the operator's card {locator}"));
        let mut card = Card::open(locator).map_err(|error| named(error.into()))?;
        let presence = Presence::of(locator, card.reader_name())?;
        let der = card.certificate(KeyReference::Authentication).map_err(|error| named(error.into()))?;
        let der = der.ok_or_else(|| {
            named(Failure::new(
                "operator-unknown",
                "it has no certificate for its key 9A, so it is no operator's",
            ))
        })?;
        let certificate = Certificate::from_der(der)?;
        Ok(Self { card, locator: locator.clone(), certificate, presence })
    }

    /// What the card's key is known by.
    ///
    /// # Errors
    /// A key that cannot be encoded.
    pub(super) fn key(&self) -> Result<ChainHash, Failure> {
        key_of(&self.certificate)
    }

    /// The certificate of 9A.
    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Asks for the PIN and lets 9A sign a fresh challenge.
    ///
    /// # Errors
    /// A wrong PIN, a card that left, or a key that is not the certificate's.
    pub(super) fn prove(mut self, pin: &SecretSource, name: &str) -> Result<Presence, Failure> {
        let prompt = format!("PIN of {name}'s card ({})", self.locator);
        let unread = |error| Failure::new("pin", format!("the {prompt} cannot be read: {error}"));
        let text = pin.read(&prompt).map_err(unread)?;
        let pin = Pin::new(text.as_str()).map_err(|error| Failure::new("pin", error.to_string()))?;
        let mut key = self.card.key(KeyReference::Authentication, &pin, LastTry::Refuse)?;
        // It is the operator's key that does not sign, no authority's.
        let proven = ProvenKey::of_signer(&mut key, &mut UnwrapErr(SysRng)).map_err(|error| match error {
            CaError::Key(error) => Failure::from(error).before(&format!("{name}'s card {}", self.locator)),
            error => error.into(),
        })?;
        if proven.public_key() != self.certificate.public_key() {
            let message = format!("the card {} signed with another key than its certificate's", self.locator);
            return Err(Failure::new("operator-unknown", message));
        }
        if self.presence.is_there() {
            return Ok(self.presence);
        }
        Err(Failure::new("operator-card-gone", format!("the card {} left while it was asked", self.locator)))
    }
}

/// What a key is known by: the SHA-256 of its SubjectPublicKeyInfo.
///
/// # Errors
/// A key that cannot be encoded.
pub(super) fn key_of(certificate: &Certificate) -> Result<ChainHash, Failure> {
    use der::Encode;
    let encoded = certificate.public_key().to_der();
    encoded.map(|der| ChainHash::of(&der)).map_err(|error| Failure::new("malformed", error.to_string()))
}

impl Presence {
    fn of(locator: &Locator, reader: &str) -> Result<Self, Failure> {
        if let Locator::Emulated(file) = locator {
            return Ok(Self::File(file.clone()));
        }
        let mut watch = Box::<ReaderWatch>::default();
        let name = reader.to_owned();
        let changes = changes(&mut watch, &name)?;
        Ok(Self::Reader { watch, name, changes })
    }

    /// Whether the card has been there all the time.
    pub(super) fn is_there(&mut self) -> bool {
        match self {
            Self::File(file) => file.exists(),
            Self::Reader { watch, name, changes: before } => {
                changes(watch, name).is_ok_and(|now| now == *before)
            }
        }
    }
}

/// The reader's count of changes while it holds a card.
fn changes(watch: &mut ReaderWatch, name: &str) -> Result<u32, Failure> {
    let readers = watch.readers()?;
    let reader = readers.into_iter().find(|reader| reader.name == name && reader.has_card);
    let reader = reader.ok_or_else(|| {
        Failure::new("operator-card-gone", format!("the operator's card is no longer in the reader {name}"))
    })?;
    Ok(reader.changes)
}
