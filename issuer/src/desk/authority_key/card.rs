//! A key of a PIV card that signs for as long as the program runs: the PIN is verified before every signature and logged
//! out after it.
use middleware::{Card, CardError, KeyError, KeyReference, LastTry, Locator, Pin, SignatureScheme, Signer};
use spki::SubjectPublicKeyInfoOwned;

use super::super::failure::Failure;
use crate::ca::Certificate;
use crate::registry::EmulatedCards;

/// See the module.
pub(super) struct SignerOnCard {
    card: Card,
    key: KeyReference,
    pin: Pin,
    public_key: SubjectPublicKeyInfoOwned,
}

impl SignerOnCard {
    /// Opens the card. Its public key is the one that is `known`; otherwise the card says it, or its certificate.
    pub(super) fn open(
        locator: &Locator,
        key: KeyReference,
        pin: &str,
        known: Option<&SubjectPublicKeyInfoOwned>,
        emulated: EmulatedCards,
    ) -> Result<Self, Failure> {
        let pin = Pin::new(pin).map_err(|error| Failure::new("pin", error.to_string()))?;
        let mut card = Card::open(locator)?;
        if emulated == EmulatedCards::Refused && card.identity()?.emulated.is_some() {
            let message = format!(
                "the card {locator} is an emulated one, which keeps no CA key; for a trial make the issuer with --allow-emulated"
            );
            return Err(Failure::new("emulated-card", message));
        }
        let public_key = match known {
            Some(known) => known.clone(),
            None => public_key(&mut card, key)?,
        };
        Ok(Self { card, key, pin, public_key })
    }
}

fn public_key(card: &mut Card, key: KeyReference) -> Result<SubjectPublicKeyInfoOwned, Failure> {
    let metadata = card.transaction()?.key_metadata(key)?;
    if let Some(public_key) = metadata.and_then(|metadata| metadata.public_key) {
        return Ok(public_key);
    }
    match card.certificate(key)? {
        Some(der) => Ok(Certificate::from_der(der)?.public_key().clone()),
        None => Err(Failure::from(CardError::KeyNotFound(key))),
    }
}

impl Signer for SignerOnCard {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut transaction = self.card.transaction()?;
        // The last try is never spent: a CA key whose PIN is blocked is lost for the day.
        let verified = transaction.verify_pin(&self.pin, LastTry::Refuse)?;
        Ok(verified.sign(self.key, &self.public_key, scheme, digest)?)
    }
}
