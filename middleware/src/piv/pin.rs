//! PIN and PUK (SP 800-73-5 Part 2 sections 2.4.3 and 3.2.1 to 3.2.3).
use spki::SubjectPublicKeyInfoOwned;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::transaction::Repeat;
use super::{CardError, KeyAlgorithm, KeyReference, Transaction};
use crate::apdu::{CommandApdu, StatusWord, ber_tlv};
use crate::keys::{KeyError, RsaEncryption, SignatureScheme};

const APPLICATION_PIN: u8 = 0x80;
const PUK: u8 = 0x81;
const LENGTH: usize = 8;

/// The card holder's PIN: 6 to 8 digits, padded with FF to 8 bytes on the wire. On the heap, so that a move leaves no
/// copy behind.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pin(Box<[u8; LENGTH]>);

impl Pin {
    /// # Errors
    /// [`CardError::MalformedPin`] unless the text is 6 to 8 ASCII digits.
    pub fn new(text: &str) -> Result<Self, CardError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CardError::MalformedPin);
        }
        padded(text.as_bytes()).map(Self).ok_or(CardError::MalformedPin)
    }

    /// Whether both are the same, in constant time.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

/// The PIN unblocking key: 6 to 8 bytes, padded with FF to 8 bytes on the wire. On the heap as a [`Pin`] is.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Puk(Box<[u8; LENGTH]>);

impl Puk {
    /// # Errors
    /// [`CardError::MalformedPuk`] unless there are 6 to 8 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, CardError> {
        padded(bytes).map(Self).ok_or(CardError::MalformedPuk)
    }

    /// The 8 bytes that the card compares.
    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

fn padded(bytes: &[u8]) -> Option<Box<[u8; LENGTH]>> {
    let mut value = Box::new([0xFF; LENGTH]);
    if bytes.len() < 6 {
        return None;
    }
    value.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(value)
}

/// What the card says about its PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinStatus {
    /// Somebody has verified it; it has all its tries.
    Verified,
    /// The usual state.
    NotVerified {
        /// At least 1.
        tries_left: u8,
    },
    /// No try is left.
    Blocked,
}

/// Whether the last PIN try may be spent (`--last-try`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastTry {
    /// Refuse with [`CardError::LastPinTry`] when one try is left.
    Refuse,
    /// Use it.
    Spend,
}

impl<'card> Transaction<'card> {
    /// An empty VERIFY: asks for the PIN's state and costs nothing.
    ///
    /// # Errors
    /// Those of the line.
    pub fn pin_status(&mut self) -> Result<PinStatus, CardError> {
        let response = self.send(&CommandApdu::new("VERIFY", 0x20, 0x00, APPLICATION_PIN), Repeat::Safe)?;
        match response.status {
            StatusWord::OK => Ok(PinStatus::Verified),
            StatusWord::AUTHENTICATION_METHOD_BLOCKED => Ok(PinStatus::Blocked),
            status => match status.tries_left() {
                Some(0) => Ok(PinStatus::Blocked),
                Some(tries_left) => Ok(PinStatus::NotVerified { tries_left }),
                None => Err(CardError::Refused { command: "VERIFY", status: status.0 }),
            },
        }
    }

    /// How often a wrong PIN may be tried from the start; `None` on a card that does not tell (SP 800-73-5 has no way
    /// to ask).
    ///
    /// # Errors
    /// Those of the line.
    pub fn pin_tries_in_total(&mut self) -> Result<Option<u8>, CardError> {
        let Some(metadata) = self.metadata(APPLICATION_PIN)? else { return Ok(None) };
        // Tag 06: tries in total, tries left.
        Ok(ber_tlv::find(&metadata, 0x06)?.and_then(<[u8]>::first).copied())
    }

    /// How often a wrong PUK may still be tried; `None` on a card that does not tell (SP 800-73-5 has no way to ask).
    ///
    /// # Errors
    /// Those of the line.
    pub fn puk_tries_left(&mut self) -> Result<Option<u8>, CardError> {
        let Some(metadata) = self.metadata(PUK)? else { return Ok(None) };
        // Tag 06: tries in total, tries left.
        Ok(ber_tlv::find(&metadata, 0x06)?.and_then(<[u8]>::last).copied())
    }

    /// Verifies the PIN; asks for the tries left first and refuses the last unless told otherwise. Sent once.
    ///
    /// # Errors
    /// [`CardError::WrongPin`], [`CardError::PinBlocked`], [`CardError::LastPinTry`].
    pub fn verify_pin<'tx>(
        &'tx mut self,
        pin: &Pin,
        last_try: LastTry,
    ) -> Result<FreshPin<'tx, 'card>, CardError> {
        self.spare_the_last_try(last_try)?;
        self.pin_will_be_submitted();
        let command = CommandApdu::new("VERIFY", 0x20, 0x00, APPLICATION_PIN).with_data(pin.0.to_vec());
        let response = self.send(&command, Repeat::Never)?;
        match response.status {
            StatusWord::OK => Ok(FreshPin(self)),
            // A card may call a well-formed PIN of ours malformed only if its own rules are stricter.
            StatusWord::INCORRECT_PARAMETER => Err(CardError::MalformedPin),
            status => Err(pin_error("VERIFY", status)),
        }
    }

    /// Changes the PIN; the same care for the last try as [`Self::verify_pin`]. The new PIN is not left verified.
    ///
    /// # Errors
    /// [`CardError::WrongPin`], [`CardError::PinBlocked`], [`CardError::LastPinTry`], [`CardError::NewPinRefused`].
    pub fn change_pin(&mut self, old: &Pin, new: &Pin, last_try: LastTry) -> Result<(), CardError> {
        self.spare_the_last_try(last_try)?;
        // SP 800-73-5 Part 2 section 3.2.2: success verifies the PIN as well.
        self.pin_will_be_submitted();
        let response = self.send(&change_reference_data(APPLICATION_PIN, &old.0, &new.0), Repeat::Never)?;
        match response.status {
            StatusWord::OK => Ok(()),
            StatusWord::INCORRECT_PARAMETER | StatusWord::CONDITIONS_NOT_SATISFIED => {
                Err(CardError::NewPinRefused)
            }
            status => Err(pin_error("CHANGE REFERENCE DATA", status)),
        }
    }

    /// Changes the PUK.
    ///
    /// # Errors
    /// [`CardError::WrongPuk`], [`CardError::PukBlocked`], [`CardError::NewPinRefused`];
    /// [`CardError::Unsupported`] on a card whose PUK is the issuer's alone.
    pub fn change_puk(&mut self, old: &Puk, new: &Puk) -> Result<(), CardError> {
        let response = self.send(&change_reference_data(PUK, &old.0, &new.0), Repeat::Never)?;
        match response.status {
            StatusWord::OK => Ok(()),
            StatusWord::INCORRECT_PARAMETER | StatusWord::CONDITIONS_NOT_SATISFIED => {
                Err(CardError::NewPinRefused)
            }
            StatusWord::REFERENCED_DATA_NOT_FOUND | StatusWord::FUNCTION_NOT_SUPPORTED => {
                Err(CardError::Unsupported("change the PUK".to_owned()))
            }
            status => Err(puk_error("CHANGE REFERENCE DATA", status)),
        }
    }

    /// Sets a new PIN with the PUK and gives the PIN all its tries back (RESET RETRY COUNTER).
    ///
    /// # Errors
    /// [`CardError::WrongPuk`], [`CardError::PukBlocked`], [`CardError::NewPinRefused`].
    pub fn unblock(&mut self, puk: &Puk, new_pin: &Pin) -> Result<(), CardError> {
        let mut data = Zeroizing::new(Vec::with_capacity(2 * LENGTH));
        data.extend_from_slice(puk.0.as_slice());
        data.extend_from_slice(new_pin.0.as_slice());
        // The PIN's status stays as it was (section 3.2.3), but it is cheap not to rely on that.
        self.pin_will_be_submitted();
        let command = CommandApdu::new("RESET RETRY COUNTER", 0x2C, 0x00, APPLICATION_PIN).with_data(data);
        let response = self.send(&command, Repeat::Never)?;
        match response.status {
            StatusWord::OK => Ok(()),
            StatusWord::INCORRECT_PARAMETER | StatusWord::CONDITIONS_NOT_SATISFIED => {
                Err(CardError::NewPinRefused)
            }
            status => Err(puk_error("RESET RETRY COUNTER", status)),
        }
    }

    fn spare_the_last_try(&mut self, last_try: LastTry) -> Result<(), CardError> {
        match (self.pin_status()?, last_try) {
            (PinStatus::Blocked, _) => Err(CardError::PinBlocked),
            (PinStatus::NotVerified { tries_left: 1 }, LastTry::Refuse) => Err(CardError::LastPinTry),
            _ => Ok(()),
        }
    }
}

fn change_reference_data(reference: u8, old: &[u8; LENGTH], new: &[u8; LENGTH]) -> CommandApdu {
    let mut data = Zeroizing::new(Vec::with_capacity(2 * LENGTH));
    data.extend_from_slice(old);
    data.extend_from_slice(new);
    CommandApdu::new("CHANGE REFERENCE DATA", 0x24, 0x00, reference).with_data(data)
}

fn pin_error(command: &'static str, status: StatusWord) -> CardError {
    match status.tries_left() {
        Some(0) => CardError::PinBlocked,
        Some(tries_left) => CardError::WrongPin { tries_left },
        None if status == StatusWord::AUTHENTICATION_METHOD_BLOCKED => CardError::PinBlocked,
        None => CardError::Refused { command, status: status.0 },
    }
}

fn puk_error(command: &'static str, status: StatusWord) -> CardError {
    match status.tries_left() {
        Some(0) => CardError::PukBlocked,
        Some(tries_left) => CardError::WrongPuk { tries_left },
        None if status == StatusWord::AUTHENTICATION_METHOD_BLOCKED => CardError::PukBlocked,
        None => CardError::Refused { command, status: status.0 },
    }
}

/// Proof that VERIFY was the last command sent. It holds the transaction, so nothing can slip between; signing
/// with 9C ("PIN always", SP 800-73-5 Part 1 section 3.2.1) spends it. Dropping it keeps the PIN verified for 9A and
/// 9D until the transaction ends.
#[must_use]
pub struct FreshPin<'tx, 'card>(&'tx mut Transaction<'card>);

impl FreshPin<'_, '_> {
    /// Signs a digest with any key; `public_key` decides the algorithm and is checked against the signature.
    ///
    /// # Errors
    /// As [`Transaction::sign`].
    pub fn sign(
        self,
        key: KeyReference,
        public_key: &SubjectPublicKeyInfoOwned,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        self.0.sign_digest(key, public_key, scheme, digest)
    }

    /// As [`Transaction::use_private_key`], with 9C too.
    ///
    /// # Errors
    /// As there.
    pub fn use_private_key(
        self,
        key: KeyReference,
        algorithm: KeyAlgorithm,
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        self.0.raw_operation(key, algorithm, input)
    }

    /// As [`Transaction::decrypt`], for a key that wants the PIN before each use.
    ///
    /// # Errors
    /// As there.
    pub fn decrypt(
        self,
        key: KeyReference,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.0.decrypt(key, encryption, ciphertext)
    }

    /// As [`Transaction::agree`], for a key that wants the PIN before each use.
    ///
    /// # Errors
    /// As there.
    pub fn agree(self, key: KeyReference, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.0.agree(key, peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SP 800-73-5 Part 2 section 2.4.3.
    #[test]
    fn a_pin_is_six_to_eight_digits_padded_with_ff() {
        assert_eq!(Pin::new("123456").ok().unwrap().0.as_slice(), b"123456\xFF\xFF");
        assert_eq!(Pin::new("12345678").ok().unwrap().0.as_slice(), b"12345678");
        for text in ["", "12345", "123456789", "12345a", "１２３４５６", "123456\n"] {
            assert!(matches!(Pin::new(text), Err(CardError::MalformedPin)), "{text:?}");
        }
        assert!(matches!(Puk::new(b"12345"), Err(CardError::MalformedPuk)));
        assert!(Puk::new(b"\x00\x01\x02\x03\x04\x05\x06\x07").is_ok());
    }
}
