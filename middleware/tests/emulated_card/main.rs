//! The whole client against the emulated card, in both personalities; openssl is the judge of its cryptography.
// All of it is test code, helpers too.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::unwrap_used)]

mod administration;
mod card_commands;
mod card_tool;
mod contents;
mod keys;
mod left_behind;
mod objects;
#[path = "../judge/openssl.rs"]
mod openssl;
mod pin;
mod pinentry;
mod published_vectors;
mod remote_unblock;
mod shell;
mod support;
