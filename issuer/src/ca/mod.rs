//! The certification authority: what is certified, checked, signed and revoked. No files, no clock, no
//! registry.
//!
//! The way of a certificate: a key proves itself ([`possession`], [`request`]), a [`profile`] and the key
//! become an [`certificate::UnsignedCertificate`] ([`authority::Authority::prepare`]), [`lint`] turns that
//! into a [`lint::LintedCertificate`], and [`authority::Authority::sign`] spends it. Revocations leave
//! through [`crl`] and [`ocsp`]. What services sign leaves as [`signed_data`].

pub(crate) mod algorithm;
pub mod authority;
pub mod certificate;
pub mod crl;
pub mod error;
pub mod lint;
pub mod mail_address;
pub mod ocsp;
pub mod possession;
pub mod profile;
pub mod request;
pub mod serial_number;
pub mod signed_data;
#[cfg(test)]
#[path = "../../tests/support/test_key.rs"]
pub(crate) mod test_key;

pub use authority::Authority;
pub use certificate::{Certificate, UnsignedCertificate};
pub use error::CaError;
pub use lint::LintedCertificate;
pub use mail_address::MailAddress;
pub use possession::ProvenKey;
pub use profile::{Organization, Profile};
pub use serial_number::SerialNumber;
