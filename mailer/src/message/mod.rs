//! RFC 5322 and MIME (RFC 2045 to 2047, 2231): build, parse, canonical form. No cryptography.
//!
//! - [`address`]: mailboxes as people type them; A-label domains.
//! - [`canonical`]: CRLF line ends.
//! - [`confidentiality`]: what of a header stays readable outside an encrypted message.
//! - [`header`]: header fields with their exact bytes.
//! - [`header_protection`]: the header inside the cryptographic payload (RFC 9788), both ways.
//! - [`part`]: entities of any length: the header in memory, the body a [`crate::content::Content`].
//! - [`multipart`]: multipart bodies of any length, split without changing a byte.
//! - [`mime`]: entities in memory, and what can be wrong with a structure.
//! - [`transfer_encoding`]: bodies without their transfer encoding; [`base64`] and [`quoted_printable`] as streams.
//! - [`legacy_display`]: a hidden subject repeated in the text, for programs that protect no header.
//! - [`lookalike`]: domains that look like others.
//! - [`secured`]: the S/MIME forms of an entity (RFC 8551 section 3, RFC 1847), both ways.
//! - [`authors`]: whom a message names as its authors, beyond doubt.
//! - [`binary`]: binary parts re-encoded before line ends are made canonical.
//! - [`build`]: a draft becomes header fields and a MIME entity.
//! - [`inert`]: content that anybody may have changed, as texts and files.
//! - [`outer`]: the header that everybody sees, apart from the entity that gets protected.
//! - [`parse`]: a message becomes what a person reads: header, text, attachments.
//! - [`attachment`]: file names from strangers made safe; saving without overwriting.
//! - [`terminal_text`]: text from strangers made safe for a terminal.
pub mod address;
pub mod attachment;
pub mod authors;
pub mod base64;
pub mod binary;
pub mod build;
pub mod canonical;
pub mod confidentiality;
mod content_type_parameter;
mod flowed;
pub mod header;
pub mod header_protection;
mod html;
pub mod inert;
pub mod legacy_display;
pub mod lookalike;
pub mod mime;
pub mod multipart;
pub mod outer;
mod parameters;
pub mod parse;
pub mod part;
pub mod quoted_printable;
pub mod secured;
pub mod shown_text;
pub mod terminal_text;
pub mod transfer_encoding;

/// The largest message that mailbox commands take into memory: larger ones are refused by name. The filters (`open`, `verify`,
/// `protect`) know no limit: they stream.
pub const MAXIMUM_MESSAGE_BYTES: usize = 256 * 1024 * 1024;
