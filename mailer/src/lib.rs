//! S/MIME mail with the key on the card. Map of the crate:
//!
//! - [`message`]: RFC 5322 and MIME: build, parse, canonical form; no cryptography.
//! - [`smime`]: RFC 8551 and CMS: sign, verify, encrypt, decrypt.
//! - [`keys`]: the only door to the middleware.
//! - [`trust`]: anchors, paths, revocation, verdicts.
//! - [`directory`]: where other people's certificates come from.
//! - [`transport`]: SMTP, IMAP, Maildir, outbox.
//! - [`cli`]: the commands.
pub mod cli;
pub mod clock;
pub mod config;
pub mod directory;
pub mod keys;
pub mod message;
pub mod smime;
pub mod transport;
pub mod trust;
