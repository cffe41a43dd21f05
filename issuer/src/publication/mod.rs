//! Certificates and CRLs for everybody: as files, and over HTTP (RFC 4387).
//!
//! - [`layout`]: where things lie; [`directory`]: what is checked before it is written; `store`: atomic files;
//!   `revision`: which publication that was, and what is in it; `file_digest`: whether a file is what it says.
//! - [`class_list`]: the signed list of classes of readers.
//! - [`crl_succession`] and [`crl_contents`]: a CRL is compared with its predecessor and with the registry before it
//!   replaces it; [`crl_refusal`]: why it does not; `revocation_lists`: all of an authority together.
//! - [`ocsp_answers`]: prepared OCSP answers; `prepared_answer`: one; [`ocsp_on_demand`]: those that are signed when they are asked for.
//! - [`life`]: when the successor of a CRL or an OCSP answer is overdue.
//! - [`standing`]: what a reader learns from a published directory.
//! - [`ldap`]: the same in an LDAP directory; [`retry`]: when a target that was not reached is tried again.
//! - [`mod@serve`]: the HTTP server; it reads the published directory and nothing else: no CA key, no registry; at most
//!   the key of an OCSP responder.

pub mod class_list;
pub mod crl_contents;
pub mod crl_refusal;
pub mod crl_succession;
pub mod directory;
pub mod error;
mod file_digest;
pub mod layout;
pub mod ldap;
pub mod life;
pub mod ocsp_answers;
pub mod ocsp_on_demand;
mod prepared_answer;
pub mod retry;
mod revision;
mod revocation_lists;
pub mod serve;
pub mod standing;
pub(crate) mod store;

pub use crl_contents::RegisteredRevocations;
pub use directory::{Publication, PublishedDirectory, Report, check_lists};
pub use error::PublicationError;
pub use ocsp_answers::NewAnswers;
pub use ocsp_on_demand::OnDemand;
pub use serve::{Below, MAX_AGE, Memory, MemoryError, RateLimit, Service, serve};
