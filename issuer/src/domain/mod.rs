//! People, cards and certificates, and their life cycle. Pure: no input, no output, no clock.
//!
//! Each life cycle is two functions: `decide` judges a command and answers an event or a refusal; `apply` records
//! an event and cannot fail. The registry keeps the events: they are the audit log, and replaying them gives the state.
//!
//! - [`cardholder`]: who may hold a card, mail addresses; [`person`]: joining, changing, leaving.
//! - [`reconciliation`]: a list of staff beside the people who are known.
//! - [`card`]: one card, from stock to its holder to its end; [`card_profile`]: what it shall be like.
//! - [`certificate`]: one certificate, from the bytes that will be signed to its revocation.
//! - [`authority`]: keys, certificates and CRLs of an authority; [`agreement`]: what holds for the registry as a whole.
//! - [`holder_pin`]: a PIN that somebody chooses.
//! - [`request`]: what somebody asks the desk to do.
//! - [`operator`]: who does something at the desk; [`role`]: which role may do what, one table; [`approval`]: what needs two.
//! - [`terms`]: what certificates are made on: what a registry remembers of a configuration.
//! - [`audit`]: the log of events and how they hold each other together; [`checkpoint`]: what is signed about it;
//!   [`checked_log`]: how far it was checked before.
//! - [`reader_class`]: who may read documents of a kind.
//! - [`unicode`]: text that people read.

pub mod agreement;
pub mod approval;
pub mod audit;
pub mod authority;
pub mod card;
pub mod card_profile;
pub mod cardholder;
pub mod certificate;
pub mod checked_log;
pub mod checkpoint;
pub mod holder_pin;
pub mod operator;
pub mod person;
pub mod reader_class;
pub mod reconciliation;
pub mod request;
pub mod role;
pub mod terms;
pub mod unicode;

pub use agreement::{Agreement, RegistryEvent};
pub use approval::{
    Act, Approval, ApprovalCommand, ApprovalEvent, ApprovalId, ApprovalRefusal, ApprovalState, GuardedAct,
    Party,
};
pub use audit::{Actor, AuditRecord, BrokenChain, ChainCheck, ChainEnd, ChainHash, LentRecord, Subject};
pub use authority::{AuthorityEvent, AuthorityHistory, Known};
pub use card::{
    Card, CardAction, CardCommand, CardEvent, CardFault, CardId, CardKey, CardRefusal, CardState,
    Consequence, Direction, Guid, InitialPin, Loss, PukStanding, ReceivedCard, StockIdentity, Tenure,
    Usability, Way,
};
pub use card_profile::{CardProfile, KeyChoice, KeyChoices, KeyOrigin};
pub use cardholder::{
    Cardholder, CardholderId, DomainName, MailAddress, MalformedField, Name, NewCardholder, StaffId,
};
pub use certificate::{
    AuthorityName, Certificate, CertificateCommand, CertificateEvent, CertificateRefusal, CertificateState,
    OnCard, Reach, ReservedCertificate, RevocationReason, SerialNumber, ToldKey, ToldKeyOrigin, is_sayable,
};
pub use checked_log::CheckedLog;
pub use checkpoint::{
    AuditKeyId, Batch, Checkpoint, CheckpointFault, MalformedCheckpoint, Notary, SignedCheckpoint,
};
pub use holder_pin::PinRefusal;
pub use operator::{Operator, OperatorEvent, OperatorId, OperatorRefusal, can_approve_each_other};
pub use person::{Person, PersonCommand, PersonEvent, PersonRefusal};
pub use reader_class::{ClassDescription, ClassName, Clearance, MemberEvent, ReaderClass};
pub use request::{
    Request, RequestCommand, RequestEvent, RequestId, RequestKind, RequestRefusal, RequestState,
};
pub use role::{Permission, Role, Roles};
pub use terms::Terms;
