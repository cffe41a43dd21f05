//! PIV client library: everything between a program and the private keys of a card holder.
//!
//! | module | what it is |
//! |---|---|
//! | [`transport`] | where cards are: [`Locator`], readers, connections (PC/SC, in-process, replayed transcripts) |
//! | `apdu` | ISO 7816-4: command and response APDUs, chaining, status words, BER-TLV |
//! | [`piv`] | SP 800-73-5: [`Card`], [`Transaction`], PIN, signing, decryption, administration, data objects |
//! | [`keys`] | what a private key can do wherever it lives: [`Signer`], [`Decryptor`], [`KeyAgreement`]; [`FileKey`], `Pkcs11Key` |
//! | [`remote_unblock`] | a PUK sealed for one run of the holder's program, used once and changed |
//! | [`secret_source`] | where PINs and passphrases come from: `fd:N`, a file, pinentry, the terminal |
//! | [`settings`] | what the user has set: pinentry, whether PINs are kept for a while |
//! | [`pin_cache`] | PINs that were right, kept in the process's memory; off by default |
//! | [`holder_state`] | which cards have had their transport PIN changed by this user |
//! | `cli` (binary `card`) | the card holder's tool; the only part that prints |
//!
//! Arrows point inward: `cli → remote_unblock → piv → apdu → transport`, `keys → piv`. Invariants:
//!
//! - A [`Transaction`] that submitted a PIN logs it out at its end, on error and panic too; if the card refuses
//!   that, or the management key was used, the card is reset. Nothing verified is ever left behind.
//! - A PIN is never sent twice by itself, and its last try only when the caller says so ([`LastTry`]).
//! - Nothing can come between VERIFY and a signature with 9C: [`FreshPin`] borrows the transaction.
//! - Readers are shared, never held exclusively; a connection that ends leaves the card as it is.
//! - Secrets are zeroised, have no `Debug`, and reach no log: APDUs are traced by header and length only.

mod apdu;
pub mod holder_state;
pub mod keys;
pub mod pin_cache;
pub mod piv;
pub mod remote_unblock;
pub mod secret_source;
pub mod settings;
pub mod transport;

pub use keys::{
    Decryptor, DigestAlgorithm, FileKey, Hash, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer,
};
#[cfg(feature = "pkcs11-client")]
pub use keys::{Pkcs11Key, Pkcs11Uri};
pub use piv::{
    Administration, Attestation, AttestationError, Card, CardContents, CardError, CardIdentity, CardKey,
    DataObject, EmulatedMark, FreshPin, KeyAlgorithm, KeyEntry, KeyMetadata, KeyOrigin, KeyPolicies,
    KeyReference, LastTry, ManagementKey, ManagementKeyAlgorithm, Pin, PinPolicy, PinStatus, PrivateKey, Puk,
    RetiredNumber, TouchPolicy, Transaction,
};
pub use transport::{Locator, ReaderStatus, ReaderWatch, WatchEnd, WatchedReader, list_readers};
