//! A key of a card behind the traits that a file key implements too.
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::{Card, CardError, KeyReference, LastTry, Pin};
use crate::keys::{Decryptor, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer};

/// A key of a card; see [`Card::key`].
pub struct CardKey<'a> {
    card: &'a mut Card,
    key: KeyReference,
    pin: &'a Pin,
    last_try: LastTry,
    public_key: SubjectPublicKeyInfoOwned,
}

impl<'a> CardKey<'a> {
    pub(super) fn new(
        card: &'a mut Card,
        key: KeyReference,
        pin: &'a Pin,
        last_try: LastTry,
        public_key: SubjectPublicKeyInfoOwned,
    ) -> Self {
        Self { card, key, pin, last_try, public_key }
    }
}

impl Signer for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut transaction = self.card.transaction()?;
        let signature = if self.key.needs_pin() {
            transaction.verify_pin(self.pin, self.last_try)?.sign(
                self.key,
                &self.public_key,
                scheme,
                digest,
            )?
        } else {
            transaction.sign(self.key, &self.public_key, scheme, digest)?
        };
        Ok(signature)
    }
}

impl Decryptor for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if ciphertext.len() != modulus_length(&self.public_key)? {
            return Err(KeyError::DecryptionFailed);
        }
        let mut transaction = self.card.transaction()?;
        if self.key.needs_pin() {
            transaction.verify_pin(self.pin, self.last_try)?.decrypt(self.key, encryption, ciphertext)
        } else {
            transaction.decrypt(self.key, encryption, ciphertext)
        }
    }
}

impl KeyAgreement for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let peers_algorithm =
            crate::keys::public_key::point_algorithm(peer).ok_or(KeyError::MalformedPeerKey)?;
        if super::KeyAlgorithm::of(&self.public_key) != Some(peers_algorithm) {
            return Err(KeyError::MalformedPeerKey);
        }
        let mut transaction = self.card.transaction()?;
        if self.key.needs_pin() {
            transaction.verify_pin(self.pin, self.last_try)?.agree(self.key, peer)
        } else {
            transaction.agree(self.key, peer)
        }
    }
}

fn modulus_length(public_key: &SubjectPublicKeyInfoOwned) -> Result<usize, KeyError> {
    super::KeyAlgorithm::of(public_key)
        .filter(|algorithm| algorithm.is_rsa())
        .map(super::KeyAlgorithm::length)
        .ok_or_else(|| CardError::Unsupported("decrypt with a key that is not RSA".to_owned()).into())
}
