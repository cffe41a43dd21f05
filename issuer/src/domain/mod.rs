//! People, cards and certificates, and their life cycle. Pure: no input, no output, no clock.
//!
//! Each life cycle is two functions: `decide` judges a command and answers an event or a refusal; `apply` records
//! an event and cannot fail. The registry keeps the events: they are the audit log, and replaying them gives the state.
//!
//! - [`cardholder`]: who may hold a card, mail addresses.
//! - [`card`]: one card, from stock to its holder to its end.
//! - [`certificate`]: one certificate, from the bytes that will be signed to its revocation.
//! - [`reader_class`]: who may read documents of a kind.
//! - [`unicode`]: text that people read.

pub mod card;
pub mod cardholder;
pub mod certificate;
pub mod reader_class;
pub mod unicode;

pub use card::{
    Card, CardCommand, CardEvent, CardFault, CardId, CardKey, CardRefusal, CardState, Guid, StockIdentity,
};
pub use cardholder::{
    Cardholder, CardholderId, DomainName, MailAddress, MalformedField, Name, NewCardholder, StaffId,
};
pub use certificate::{
    AuthorityName, Certificate, CertificateCommand, CertificateEvent, CertificateRefusal, CertificateState,
    RevocationReason, SerialNumber, is_sayable,
};
pub use reader_class::{ClassDescription, ClassName, Clearance, ReaderClass};
