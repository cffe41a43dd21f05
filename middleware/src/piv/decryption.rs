//! Decryption and key agreement on the card (SP 800-73-5 Part 2 section 3.2.4, appendix A.5).
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::signing::{CHALLENGE, EXPONENTIATION, RESPONSE, response_value, use_error};
use super::{CardError, KeyAlgorithm, KeyReference, Transaction};
use crate::apdu::StatusWord;
use crate::keys::public_key::{is_of_small_order, point_algorithm};
use crate::keys::rsa_padding;
use crate::keys::{KeyError, RsaEncryption};

impl Transaction<'_> {
    /// Decrypts with an RSA key (9D or a retired one) whose PIN was verified in this transaction. The card does the
    /// exponentiation; the padding is taken off here, in constant time.
    ///
    /// # Errors
    /// [`KeyError::DecryptionFailed`] when OAEP does not fit or the ciphertext is not below the modulus;
    /// [`CardError::PinRequired`], [`CardError::KeyNotFound`]; [`KeyError::Unsupported`] for a ciphertext whose length
    /// is that of no RSA key of a card. PKCS #1 v1.5 padding that does not fit is no error: see [`RsaEncryption`].
    pub fn decrypt(
        &mut self,
        key: KeyReference,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let algorithm =
            [KeyAlgorithm::Rsa1024, KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096]
                .into_iter()
                .find(|algorithm| algorithm.length() == ciphertext.len())
                .ok_or_else(|| {
                    KeyError::Unsupported(format!(
                        "decrypt {} bytes with an RSA key of a card",
                        ciphertext.len()
                    ))
                })?;
        rsa_padding::check(encryption, algorithm.length())?;
        let response =
            self.general_authenticate(algorithm.to_byte(), key.to_byte(), CHALLENGE, ciphertext)?;
        match response.status {
            StatusWord::OK => {}
            StatusWord::INCORRECT_PARAMETER => return Err(KeyError::DecryptionFailed),
            status => return Err(use_error(key, status).into()),
        }
        let block = response_value(&response, RESPONSE)?;
        if block.len() != algorithm.length() {
            let what = format!("a decrypted block of {} bytes", block.len());
            return Err(CardError::MalformedAnswer(what).into());
        }
        rsa_padding::open(encryption, block)
    }

    /// Elliptic-curve Diffie-Hellman with a key (9D or a retired one) whose PIN was verified in this transaction.
    /// `peer` is an uncompressed point (65 bytes for P-256), checked to lie on the curve, or 32 bytes for X25519; the
    /// answer is the X coordinate, never zero.
    ///
    /// # Errors
    /// [`KeyError::MalformedPeerKey`], [`CardError::PinRequired`], [`CardError::KeyNotFound`].
    pub fn agree(&mut self, key: KeyReference, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let algorithm = point_algorithm(peer).ok_or(KeyError::MalformedPeerKey)?;
        if algorithm == KeyAlgorithm::X25519 && peer.try_into().is_ok_and(is_of_small_order) {
            return Err(KeyError::MalformedPeerKey);
        }
        let response = self.general_authenticate(algorithm.to_byte(), key.to_byte(), EXPONENTIATION, peer)?;
        match response.status {
            StatusWord::OK => {}
            // The point is good, so the card means the key.
            StatusWord::INCORRECT_PARAMETER => return Err(CardError::KeyNotFound(key).into()),
            status => return Err(use_error(key, status).into()),
        }
        let secret = response_value(&response, RESPONSE)?;
        if secret.len() != algorithm.length() {
            let what = format!("a shared secret of {} bytes", secret.len());
            return Err(CardError::MalformedAnswer(what).into());
        }
        // RFC 7748 section 6.1: a point of small order gives zero, whatever the key.
        if algorithm == KeyAlgorithm::X25519 && bool::from(secret.ct_eq(&[0; 32])) {
            return Err(KeyError::MalformedPeerKey);
        }
        Ok(Zeroizing::new(secret.to_vec()))
    }
}
