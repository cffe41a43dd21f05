//! The steps that turn a blank card into somebody's card.
//!
//! - [`custody`]: the master key; PUK and management key of each card.
//! - [`stock_file`]: what a manufacturer tells about a card.
//! - [`plan`]: which steps a card needs; pure.
//! - [`run`]: carries them out, step by journalled step.
//! - [`exercise`]: keys prove themselves, before they are certified and after.
//!
//! Invariants: a key proves itself before it is certified; the bytes to be signed are stored before they are signed; a
//! card counts as issued only after every key was exercised against the certificate read back; what an interrupted
//! attempt certified is revoked when the next one begins.

pub mod custody;
pub mod error;
pub mod exercise;
pub mod plan;
pub mod run;
mod secrets;
pub mod stock_file;

pub use error::PersonalizationError;

/// A certificate's serial number as the registry has it.
pub(crate) fn domain_serial(
    serial: &crate::ca::SerialNumber,
) -> Result<crate::domain::SerialNumber, crate::ca::CaError> {
    crate::domain::SerialNumber::from_bytes(serial.as_bytes())
        .ok_or(crate::ca::CaError::Unsupported("a serial number of more than 20 octets".to_owned()))
}
