//! S/MIME mail with the key on the card. Map of the crate:
//!
//! - [`message`]: RFC 5322 and MIME: build, parse, canonical form; no cryptography.
//! - [`certificate`]: certificates as bytes, names, addresses and signatures; nothing is judged.
//! - [`smime`]: RFC 8551 and CMS: sign, verify, encrypt, decrypt.
//! - [`ledger`]: who was sent which document, and who has given a receipt.
//! - [`keys`]: the only door to the middleware.
//! - [`time_stamping`]: RFC 3161: time stamps asked for, read, checked.
//! - [`trust`]: anchors, paths, revocation, verdicts.
//! - [`documents`]: official documents: PDF files read, signed, checked, sealed.
//! - [`readers`]: classes of readers, and what readers are cleared for.
//! - [`directory`]: where other people's certificates come from.
//! - [`protection`]: messages protected and opened: the modules above put together.
//! - [`content`]: bytes of any length in little memory; temporary files are encrypted.
//! - [`correspondents`]: what other people's mail programs can read, remembered from their signatures.
//! - [`durable_file`]: files that are either the old or the new one.
//! - `fuzz`: plain functions for published vectors and for fuzzing.
//! - [`transport`]: SMTP, IMAP, Maildir, outbox.
//! - `web`: what the clients of HTTP keep to.
//! - [`cli`]: the commands.
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod config;
pub mod content;
pub mod correspondents;
pub mod directory;
pub mod documents;
pub mod durable_file;
#[doc(hidden)]
pub mod fuzz;
pub mod keys;
pub mod ledger;
pub mod message;
pub mod protection;
pub mod readers;
pub mod smime;
pub mod time_stamping;
pub mod transport;
pub mod trust;
mod web;
