//! What each function does, in safe Rust, grouped as the chapters of the standard.
pub(crate) mod general;
pub(crate) mod slot;
