//! Certificates as bytes, names, addresses and signatures: what smime and trust both need. Nothing is judged here.
mod clearance;
mod digest;
mod dsa;
pub(crate) mod extensions;
mod fields;
pub(crate) mod general_name;
pub(crate) mod mail_address;
pub(crate) mod names;
pub(crate) mod public_key;
pub(crate) mod rsa_pss;
pub(crate) mod signature;
pub(crate) mod time;
pub(crate) mod tlv;
mod x509;

pub use clearance::Clearance;
pub use digest::{DigestAlgorithm, RunningDigest};
pub use signature::Acceptance;
pub use x509::{Certificate, CertificateError};
pub(crate) use x509::{SMTP_UTF8_MAILBOX, timestamp};
