//! PDF files (ISO 32000-2), read lazily by offset and changed only by appending.
//!
//! - [`mod@object`]: the values that a file is made of; `serialize`: as octets.
pub mod object;
mod serialize;

pub use object::{Dictionary, Name, Object, Reference, Stream};
