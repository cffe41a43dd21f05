//! The PIV card as SP 800-73-5 describes it.
use spki::SubjectPublicKeyInfoOwned;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::keys::{Decryptor, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer};
use crate::transport::Locator;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyReference {
    /// 9A
    Authentication,
    /// 9C, PIN always
    DigitalSignature,
    /// 9D
    KeyManagement,
    /// 9E, no PIN
    CardAuthentication,
    /// 82 to 95 as 1 to 20
    Retired(RetiredNumber),
}

/// 1 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RetiredNumber(u8);

impl RetiredNumber {
    pub fn new(_number: u8) -> Option<Self> {
        todo!()
    }
}

impl KeyReference {
    /// The P2 byte: 0x9A, 0x9C, 0x9D, 0x9E or 0x82..=0x95.
    pub fn to_byte(self) -> u8 {
        todo!()
    }
    pub fn from_byte(_byte: u8) -> Option<Self> {
        todo!()
    }
    /// The data object that holds the certificate of this key.
    pub fn certificate_object(self) -> DataObject {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    Rsa2048,
    P256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagementKeyAlgorithm {
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ManagementKey {
    #[zeroize(skip)]
    algorithm: ManagementKeyAlgorithm,
    bytes: Vec<u8>,
}

impl ManagementKey {
    /// Checks the length for the algorithm (24, 16, 24, 32 bytes).
    pub fn new(_algorithm: ManagementKeyAlgorithm, _bytes: &[u8]) -> Result<Self, CardError> {
        todo!()
    }
    pub fn algorithm(&self) -> ManagementKeyAlgorithm {
        self.algorithm
    }
    /// 0102030405060708 three times, of the given algorithm (3DES or AES-192).
    pub fn factory_default(_algorithm: ManagementKeyAlgorithm) -> Self {
        todo!()
    }
}

/// 6 to 8 digits, padded with FF to 8 bytes on the wire.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Pin(Vec<u8>);
impl Pin {
    pub fn new(_text: &str) -> Result<Self, CardError> {
        todo!()
    }
}

/// 6 to 8 bytes, padded with FF.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Puk(Vec<u8>);
impl Puk {
    pub fn new(_bytes: &[u8]) -> Result<Self, CardError> {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinStatus {
    Verified,
    NotVerified { tries_left: u8 },
    Blocked,
}

/// Whether the last PIN try may be spent (`--last-try`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastTry {
    Refuse,
    Spend,
}

/// A data object by its BER tag, SP 800-73-5 Part 1 table 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataObject(u32);
impl DataObject {
    pub const CARD_CAPABILITY_CONTAINER: Self = Self(0x5F_C107);
    pub const CHUID: Self = Self(0x5F_C102);
    pub const DISCOVERY: Self = Self(0x7E);
    pub const KEY_HISTORY: Self = Self(0x5F_C10C);
    pub const PRINTED_INFORMATION: Self = Self(0x5F_C109);
    pub const SECURITY_OBJECT: Self = Self(0x5F_C106);
    /// What every emulated card of this project shows: `53 L { 80 L "card-sim" [81 01 flags] }`, read-only.
    /// Flag bit 0: made from a seed; bit 1: snapshotted or cloned.
    pub const EMULATED_MARK: Self = Self(0x5F_FF53);
    pub const fn from_tag(tag: u32) -> Self {
        Self(tag)
    }
    pub const fn tag(self) -> u32 {
        self.0
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    #[error("no card found; insert one, or name it with --card")]
    NoCard,
    #[error("several cards are present ({}); name one with --card", .0.join(", "))]
    SeveralCards(Vec<String>),
    #[error("the card was removed; nothing was changed by the interrupted command unless said otherwise")]
    CardRemoved,
    #[error("wrong PIN, {tries_left} tries left")]
    WrongPin { tries_left: u8 },
    #[error("wrong PUK, {tries_left} tries left")]
    WrongPuk { tries_left: u8 },
    #[error("the PIN is blocked; unblock it with the PUK: card unblock")]
    PinBlocked,
    #[error("the PUK is blocked; the issuance desk must replace the card")]
    PukBlocked,
    #[error("this is the last PIN try; repeat with --last-try to spend it")]
    LastPinTry,
    #[error("a PIN is 6 to 8 digits")]
    MalformedPin,
    #[error("data object {0:?} is not on the card")]
    ObjectNotFound(DataObject),
    #[error("there is no key {0:?} on the card")]
    KeyNotFound(KeyReference),
    #[error("the card cannot do this: {0}")]
    Unsupported(String),
    #[error("management key refused")]
    WrongManagementKey,
    #[error("PIN not verified")]
    PinRequired,
    #[error("{0}")]
    StateFile(String),
    #[error("the card answered {status:04X} to {command}")]
    Refused { command: &'static str, status: u16 },
    #[error("the card sent a malformed answer: {0}")]
    MalformedAnswer(String),
    #[error("bad locator: {0}")]
    BadLocator(String),
    #[error("PC/SC: {0}")]
    Transport(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardIdentity {
    /// From the CHUID, tag 34; absent on a blank card without CHUID.
    pub guid: Option<[u8; 16]>,
    /// Vendor serial number, where the card has one.
    pub serial: Option<u32>,
    /// Vendor firmware version, where the card has one (its presence means the `yubikey5` command set).
    pub version: Option<(u8, u8, u8)>,
    pub emulated: Option<EmulatedMark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatedMark {
    pub seeded: bool,
    pub cloned: bool,
}

/// A private key on its way into a card (import). No `Debug`, zeroised on drop.
pub struct PrivateKey {
    _private: (),
}

/// An open connection to one PIV card.
pub struct Card {
    _private: (),
}

impl Card {
    /// Connects (shared) and selects PIV; does not change anything on the card.
    pub fn open(_locator: &Locator) -> Result<Self, CardError> {
        todo!()
    }
    pub fn reader_name(&self) -> &str {
        todo!()
    }
    pub fn atr(&self) -> &[u8] {
        todo!()
    }
    pub fn identity(&mut self) -> Result<CardIdentity, CardError> {
        todo!()
    }
    /// One exclusive use of the card. Dropping it logs the PIN out (VERIFY P1=FF; if refused, a reset), on error and panic too.
    pub fn transaction(&mut self) -> Result<Transaction<'_>, CardError> {
        todo!()
    }
    /// DER certificate of a key, unpacked if compressed; `None` where the card holds none.
    pub fn certificate(&mut self, _key: KeyReference) -> Result<Option<Vec<u8>>, CardError> {
        todo!()
    }
    /// Every key reference that has a certificate (9A 9C 9D 9E, then retired), with the DER certificate.
    pub fn certificates(&mut self) -> Result<Vec<(KeyReference, Vec<u8>)>, CardError> {
        todo!()
    }
    /// A key of the card as a [`Signer`], [`Decryptor`] or [`KeyAgreement`]; each use is one transaction of its own that verifies
    /// `pin` just before the operation and logs it out after. The public key is the certificate's.
    pub fn key<'a>(&'a mut self, _key: KeyReference, _pin: &'a Pin, _last_try: LastTry) -> Result<CardKey<'a>, CardError> {
        todo!()
    }
}

pub struct Transaction<'card> {
    _card: &'card mut Card,
}

impl<'card> Transaction<'card> {
    /// Contents of `53`, or of the whole answer for `DISCOVERY`.
    pub fn read_object(&mut self, _object: DataObject) -> Result<Zeroizing<Vec<u8>>, CardError> {
        todo!()
    }
    pub fn pin_status(&mut self) -> Result<PinStatus, CardError> {
        todo!()
    }
    pub fn puk_tries_left(&mut self) -> Result<Option<u8>, CardError> {
        todo!()
    }
    /// Verifies the PIN; asks for the tries left first and refuses the last unless told otherwise.
    pub fn verify_pin<'tx>(&'tx mut self, _pin: &Pin, _last_try: LastTry) -> Result<FreshPin<'tx, 'card>, CardError> {
        todo!()
    }
    pub fn change_pin(&mut self, _old: &Pin, _new: &Pin, _last_try: LastTry) -> Result<(), CardError> {
        todo!()
    }
    pub fn change_puk(&mut self, _old: &Puk, _new: &Puk) -> Result<(), CardError> {
        todo!()
    }
    pub fn unblock(&mut self, _puk: &Puk, _new_pin: &Pin) -> Result<(), CardError> {
        todo!()
    }
    /// Signs with any key; `public_key` decides the algorithm. 9C is refused here unless the PIN is fresh: use [`FreshPin::sign`].
    pub fn sign(
        &mut self,
        _key: KeyReference,
        _public_key: &SubjectPublicKeyInfoOwned,
        _scheme: SignatureScheme,
        _digest: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        todo!()
    }
    pub fn decrypt(
        &mut self,
        _key: KeyReference,
        _encryption: RsaEncryption,
        _ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
    pub fn agree(&mut self, _key: KeyReference, _peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
    /// Mutual authentication with the management key (SP 800-73-5 Part 2 section 3.2.4 and appendix A).
    pub fn authenticate<'tx>(&'tx mut self, _key: &ManagementKey) -> Result<Administration<'tx, 'card>, CardError> {
        todo!()
    }
    /// The algorithm of key 9B: from metadata where the card has it, else by asking for a challenge with each.
    pub fn management_key_algorithm(&mut self) -> Result<ManagementKeyAlgorithm, CardError> {
        todo!()
    }
}

/// Proof that VERIFY was the last command sent.
#[must_use]
pub struct FreshPin<'tx, 'card>(&'tx mut Transaction<'card>);

impl FreshPin<'_, '_> {
    pub fn sign(
        self,
        _key: KeyReference,
        _public_key: &SubjectPublicKeyInfoOwned,
        _scheme: SignatureScheme,
        _digest: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        todo!()
    }
}

/// Proof that the management key was accepted in this transaction.
#[must_use]
pub struct Administration<'tx, 'card>(&'tx mut Transaction<'card>);

impl<'card> Administration<'_, 'card> {
    pub fn generate(&mut self, _key: KeyReference, _algorithm: KeyAlgorithm) -> Result<SubjectPublicKeyInfoOwned, CardError> {
        todo!()
    }
    /// Vendor command FE; refused by name on a card that has none.
    pub fn import(&mut self, _key: KeyReference, _private_key: &PrivateKey) -> Result<(), CardError> {
        todo!()
    }
    /// `contents` goes inside `53`.
    pub fn write_object(&mut self, _object: DataObject, _contents: &[u8]) -> Result<(), CardError> {
        todo!()
    }
    pub fn write_certificate(&mut self, _key: KeyReference, _certificate: &[u8]) -> Result<(), CardError> {
        todo!()
    }
    pub fn set_management_key(&mut self, _new: &ManagementKey) -> Result<(), CardError> {
        todo!()
    }
    /// The transaction underneath, for PIN, signature and read-back while 9B stays authenticated.
    pub fn transaction(&mut self) -> &mut Transaction<'card> {
        todo!()
    }
}

/// See [`Card::key`].
pub struct CardKey<'a> {
    _card: &'a mut Card,
}
impl Signer for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn sign(&mut self, _scheme: SignatureScheme, _digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        todo!()
    }
}
impl Decryptor for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn decrypt(&mut self, _encryption: RsaEncryption, _ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
}
impl KeyAgreement for CardKey<'_> {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        todo!()
    }
    fn agree(&mut self, _peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        todo!()
    }
}

/// Objects of the data model that the desk writes.
pub mod objects {
    /// Card holder unique identifier, SP 800-73-5 Part 1 section 3.1.2; contents of `53` without issuer signature (3E empty).
    pub struct Chuid {
        pub guid: [u8; 16],
        /// `YYYYMMDD`
        pub expiration: [u8; 8],
    }
    impl Chuid {
        /// FASC-N of a non-federal issuer: agency 9999, so that hosts take the GUID as identity.
        pub fn to_bytes(&self) -> Vec<u8> {
            todo!()
        }
        pub fn from_bytes(_bytes: &[u8]) -> Result<Self, super::CardError> {
            todo!()
        }
    }
    /// Card capability container, Part 1 section 3.1.1; `random` fills the card identifier.
    pub fn capability_container(_random: &[u8; 14]) -> Vec<u8> {
        todo!()
    }
}
