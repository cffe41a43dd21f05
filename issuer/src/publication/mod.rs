//! Certificates and CRLs for everybody: as files, and over HTTP (RFC 4387).
//!
//! - [`layout`]: where things lie; [`directory`]: what is checked before it is written; `store`: atomic files.
//! - [`class_list`]: the signed list of classes of readers.
//! - [`crl_succession`]: a CRL is compared with its predecessor before it replaces it.
//! - [`mod@serve`]: the HTTP server; it reads the published directory and nothing else: no CA key, no registry.

pub mod class_list;
pub mod crl_succession;
pub mod directory;
pub mod error;
pub mod layout;
pub mod serve;
pub(crate) mod store;

pub use directory::{Publication, PublishedDirectory, Report};
pub use error::PublicationError;
pub use serve::serve;
