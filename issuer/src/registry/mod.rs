//! What is stored, and how: people, cards, certificates, events, CRLs, classes of readers and the journal of personalisation.
//!
//! A registry is named by a URL. `sqlite:FILE` is one file (mode 0600, WAL, every commit synchronous); the statements
//! are in `sqlite/`, so that another database is another folder beside it with the same operations.
//!
//! Invariants: the registry holds no secret in the clear; a serial number and a CRL number are stored before they are
//! used, and never used again; every change of a card or certificate goes through the domain's `decide` and is stored
//! as its event, in one transaction.

mod error;
mod records;
mod rows;
mod sqlite;
mod url;

pub use error::RegistryError;
pub use records::{
    Authority, CardRecord, CertificateRecord, ClassChange, EmulatedCards, IssuedCrl, JournalEntry,
    JournalPhase, NewCertificate, NewStockCard, PresentedIdentity, RevokedCertificate, RevokedForCardholder,
    SearchHits,
};
pub use sqlite::Registry;
pub use url::RegistryUrl;
