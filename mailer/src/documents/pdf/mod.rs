//! PDF files (ISO 32000-2), read lazily by offset and changed only by appending. No cryptography. Map of the module:
//!
//! - [`mod@object`]: the values that a file is made of; `serialize`: as octets.
//! - `lexer`, `parser`: octets as tokens, tokens as values.
//! - `cross_reference`: where the objects are; revisions.
//! - `object_stream`, `filters`: what lies compressed in streams.
//! - `document`: the reader; `pages`: the page tree.
//! - `update`: the appender. `normalise`: a damaged file that is not signed, written anew.
//! - `error`: why a file is not read or not changed.
//!
//! **What is refused.** A file that two readers could read in two ways, because then a signature would vouch for both: an
//! object whose number is not the one that the cross-reference gives, a key twice in a dictionary, a stream that does not
//! end where its length says, offsets that need repair. `normalise` makes a sound file of a damaged one that is not signed.
//!
//! **Memory** is for the cross-reference (16 octets for each object), the object at hand and some object streams: a file is
//! never read as a whole, however long it is.
mod cross_reference;
mod document;
mod error;
mod filters;
mod lexer;
mod normalise;
pub mod object;
mod object_stream;
mod pages;
mod parser;
mod serialize;
mod update;

pub use cross_reference::{Location, RevisionMark, SectionKind};
pub use document::Document;
pub use error::PdfError;
pub use normalise::normalise;
pub use object::{Dictionary, Name, Object, Reference, Stream};
pub use pages::Pages;
pub use update::{Appended, SignatureGap, Update};
