//! What needs no card: transcripts of good and bad luck, and key files exchanged with openssl.
mod file_key;
#[path = "../judge/openssl.rs"]
mod openssl;
mod transcripts;
