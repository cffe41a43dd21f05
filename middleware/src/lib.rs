//! PIV client library: transports, card client, keys.
#![allow(clippy::todo, missing_docs)] // skeleton only

pub mod keys;
pub mod piv;
pub mod secret_source;
pub mod transport;

pub use keys::{Decryptor, DigestAlgorithm, FileKey, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer};
pub use piv::{
    Administration, Card, CardError, CardIdentity, CardKey, DataObject, EmulatedMark, FreshPin, KeyAlgorithm, KeyReference, LastTry,
    ManagementKey, ManagementKeyAlgorithm, Pin, PinStatus, PrivateKey, Puk, Transaction,
};
pub use transport::{Locator, ReaderStatus, list_readers};
