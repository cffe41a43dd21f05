//! What is stored, and how: people, cards, certificates, requests, events, CRLs, classes of readers, the outbox of
//! publication and the journal of personalisation.
//!
//! A registry is named by a URL. `sqlite:FILE` is one file (mode 0600, WAL, every commit synchronous); `postgres://...` is
//! a database that several desks share. The statements are the same on both; `sqlite` and `postgres` hold what is
//! particular, `database` how a change is made, `writers` how several share a commit, `publication_turn` how desks publish one
//! after the other, `adoption` what a registry of before is given.
//!
//! Invariants: the registry holds no secret in the clear; a serial number and a CRL number are stored before they are
//! used, and never used again; every change of a person, card, certificate or request goes through the domain's `decide`
//! and is stored as its event, in one transaction; each event carries the hash of the one before it. A state is stored
//! beside its events, so that nothing is replayed to be shown; [`Registry::verify_log`] compares the two.

mod adoption;
mod approvals;
mod audit;
mod authority_keys;
mod backup;
mod cards;
mod certificates;
mod checkpoints;
mod classes;
mod configuration;
mod crls;
mod crls_due;
mod database;
mod error;
mod evidence;
mod expiring;
mod former_cards;
mod journal;
mod key_origins;
mod operations;
mod operators;
mod outbox;
mod people;
#[cfg(feature = "postgres")]
mod postgres;
mod publication_turn;
mod records;
mod remote_unblock;
mod renewals;
mod reports;
mod requests;
mod revocations;
mod rows;
mod search;
mod sqlite;
mod url;
mod verification;
mod witnesses;
mod writers;

pub use approvals::{ApprovalRecord, Approved};
pub use audit::LogEntry;
pub use authority_keys::{AuthorityKey, CrossDirection, NewAuthorityKey};
pub use backup::{BackupRow, BackupValue};
pub use checkpoints::{AuditKey, CheckpointVerifier};
pub use crls_due::CrlDue;
pub use database::{Registry, Share};
pub use error::RegistryError;
pub use evidence::ProvenEvent;
pub use expiring::Expiring;
pub use former_cards::FormerCard;
pub use journal::{AttemptProgress, DoneStep, Ending};
pub use key_origins::{AttestationRecord, KeyOriginRecord, PublicKeyHash};
pub use operations::{Operation, OperationKind};
pub use outbox::{Due, OutboxItem, OutboxSubject, PublicationTarget};
pub use publication_turn::PublicationTurn;
pub use records::{
    Authority, CardRecord, CertificateRecord, ClassChange, EmulatedCards, IssuedCrl, JournalEntry,
    JournalLine, JournalPhase, NewCertificate, NewStockCard, PresentedIdentity, RequestRecord,
    RevokedCertificate, RevokedForCardholder, SearchHits, SignedCrls, Standing,
};
pub use remote_unblock::RequestNonce;
pub use reports::Page;
pub use search::SearchFor;
pub use url::{PostgresUrl, RegistryUrl, UnsupportedRegistryUrl};
pub use verification::exempt::NOT_COMPARED;
pub use verification::{
    AuthorityChange, CheckedAuthority, CrlSource, Difference, LogVerdict, SignedList, ToldStanding,
};
pub use witnesses::WitnessChange;
