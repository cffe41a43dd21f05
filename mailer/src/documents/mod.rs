//! Official documents: PDF files read, signed, checked and sealed. Map of the module:
//!
//! - [`pdf`]: ISO 32000-2 files: objects, a lazy reader, an appender; no cryptography.
//! - [`form`]: form and signature fields; [`date`]: dates; [`permission`]: what a certification allows.
//! - [`validation_data`]: certificates, CRLs and OCSP answers in the document.
//! - [`preparation`]: a document with a gap for a signature; [`mod@sign`]: the gap filled, with a time stamp; [`stamp`]:
//!   a time stamp that failed then.
//! - [`signature`]: the signatures of a document; [`changes`]: what changed since; [`mod@verify`]: all of it judged.
//! - [`seal`]: what a signature field shows: text and pictures, fonts embedded.
//! - [`sealed`]: documents encrypted to their readers, in a wrapper that every PDF reader opens.
pub mod changes;
pub mod date;
pub mod form;
pub mod pdf;
pub mod permission;
pub mod preparation;
pub mod seal;
pub mod sealed;
pub mod sign;
pub mod signature;
pub mod stamp;
pub mod validation_data;
pub mod verify;

pub use permission::Permission;
pub use sign::SignDocumentError;
