//! The PIV card as SP 800-73-5 describes it.
//!
//! `client` opens a card and answers what needs no PIN; `transaction` is one exclusive use of it; `pin`, `signing`,
//! `decryption` and `administration` are what a transaction can do; `objects` are the data objects' contents.
mod administration;
mod card_key;
mod client;
mod data_object;
mod decryption;
pub mod error;
mod key_reference;
pub mod objects;
mod pin;
mod private_key;
mod signing;
mod transaction;

pub use administration::{Administration, ManagementKey, ManagementKeyAlgorithm};
pub use card_key::CardKey;
pub use client::{Card, CardIdentity, EmulatedMark};
pub use data_object::DataObject;
pub use error::CardError;
pub use key_reference::{KeyAlgorithm, KeyReference, RetiredNumber};
pub use pin::{FreshPin, LastTry, Pin, PinStatus, Puk};
pub use private_key::PrivateKey;
pub use transaction::Transaction;
