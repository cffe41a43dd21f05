//! What needs no card: transcripts of good and bad luck, and key files exchanged with openssl.
// All of it is test code, helpers too.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::string_slice, clippy::unwrap_used)]

mod file_key;
#[path = "../judge/openssl.rs"]
mod openssl;
#[cfg(feature = "pkcs11-client")]
mod pkcs11_key;
mod transcripts;
mod vendor_commands;
