//! Who may read: documents sealed to their readers, classes of readers, security labels; openssl, slapd and cards around.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail this way"
)]
#[path = "../accounts/mod.rs"]
mod accounts;
mod classes;
mod labels;
mod ldap;
mod material;
#[path = "../openssl_pki/mod.rs"]
mod openssl_pki;
mod sealing;
mod slapd;
