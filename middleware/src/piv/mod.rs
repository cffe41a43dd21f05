//! The PIV card as SP 800-73-5 describes it.
//!
//! `client` opens a card and answers what needs no PIN; `transaction` is one exclusive use of it; `pin`, `signing`,
//! `decryption` and `administration` are what a transaction can do, `extension` and `attestation` what it can with vendors' cards; `objects` are the data objects' contents. `contents` is
//! all that a card shows to anybody, kept as long as the `seal` on the card is unbroken; `metadata` is what vendors' cards
//! tell about their keys.
mod administration;
mod attestation;
mod card_key;
mod client;
mod contents;
mod data_object;
mod decryption;
pub mod error;
mod extension;
mod key_reference;
mod management_key;
mod metadata;
pub mod objects;
mod pin;
mod private_key;
mod seal;
mod signing;
mod transaction;

pub use administration::{Administration, KeyPolicies};
pub use attestation::{Attestation, AttestationError};
pub use card_key::CardKey;
pub use client::{Card, CardIdentity, EmulatedMark};
pub use contents::{CardContents, KeyEntry};
pub use data_object::DataObject;
pub use error::CardError;
pub use key_reference::{KeyAlgorithm, KeyReference, RetiredNumber};
pub use management_key::{ManagementKey, ManagementKeyAlgorithm};
pub use metadata::{KeyMetadata, KeyOrigin, PinPolicy, TouchPolicy};
pub use pin::{FreshPin, LastTry, Pin, PinStatus, Puk};
pub use private_key::PrivateKey;
pub use transaction::Transaction;
