//! Certificates as bytes, names, addresses and signatures: what smime and trust both need. Nothing is judged here.
pub(crate) mod mail_address;
pub(crate) mod names;
pub(crate) mod signature;
pub(crate) mod tlv;
mod x509;

pub use signature::DigestAlgorithm;
pub(crate) use x509::timestamp;
pub use x509::{Certificate, CertificateError};
