//! Certificates as bytes, names, addresses and signatures: what smime and trust both need. Nothing is judged here.
mod digest;
mod dsa;
pub(crate) mod mail_address;
pub(crate) mod names;
pub(crate) mod public_key;
pub(crate) mod rsa_pss;
pub(crate) mod signature;
pub(crate) mod tlv;
mod x509;

pub use digest::{DigestAlgorithm, RunningDigest};
pub use signature::Acceptance;
pub(crate) use x509::timestamp;
pub use x509::{Certificate, CertificateError};
