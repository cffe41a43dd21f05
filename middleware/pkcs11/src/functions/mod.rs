//! What each function does, in safe Rust, grouped as the chapters of the standard.
pub(crate) mod decrypt;
pub(crate) mod digest;
pub(crate) mod encrypt;
pub(crate) mod general;
mod import;
pub(crate) mod key;
pub(crate) mod object;
pub(crate) mod pin_entry;
pub(crate) mod random;
pub(crate) mod session;
pub(crate) mod sign;
pub(crate) mod slot;
pub(crate) mod verify;
