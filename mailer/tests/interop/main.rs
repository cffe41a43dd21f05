//! The matrix with foreign programs, both directions: what they write we read, what we write they read, and what nobody
//! should read stays closed.
//!
//! - [`openssl_signed`], [`openssl_enveloped`]: `openssl cms`, every algorithm it knows.
//! - [`cards`]: the programs as a user runs them, with RSA and P-256 cards; retired keys.
//! - [`bouncy_castle`]: Ed25519 signatures, compression, AEAD.
//! - [`composed`]: X25519 and ChaCha20-Poly1305, by Python's `asn1crypto` and `cryptography`.
//! - [`nss`], [`gnupg`]: NSS `cmsutil` and `gpgsm`: RSA PKCS #1 v1.5, AES-CBC, signatures.
//! - [`rfc4134`], [`collected_mail`]: data from outside, by `scripts/test --data DIR`.
//! - [`engine`], [`material`]: our side and the keys, for all of them.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test may fail this way"
)]
#[path = "../accounts/mod.rs"]
mod accounts;
mod bouncy_castle;
mod cards;
mod collected_mail;
mod composed;
mod engine;
mod foreign;
mod gnupg;
mod material;
mod nss;
mod openssl_enveloped;
#[path = "../openssl_pki/mod.rs"]
mod openssl_pki;
mod openssl_signed;
mod rfc4134;
#[path = "../soft_keys/mod.rs"]
mod soft_keys;

/// Whether every combination is run instead of a choice (`scripts/test --full`).
fn full() -> bool {
    std::env::var_os("SEALWRIGHT_FULL").is_some()
}

/// A file or folder of the data that is not in the repository; none, with a word, when the tests run without it.
fn outside_data(name: &str) -> Option<std::path::PathBuf> {
    let Some(folder) = std::env::var_os("SEALWRIGHT_DATA") else {
        println!("SKIPPED: no outside data; scripts/test --data DIR brings DIR/{name}");
        return None;
    };
    let path = std::path::Path::new(&folder).join(name);
    assert!(path.exists(), "{} is not there", path.display());
    Some(path)
}
