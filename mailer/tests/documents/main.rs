//! Official documents against foreign tools: pyHanko, poppler, qpdf, MuPDF and openssl judge what we sign; what others sign
//! and what attackers make is judged by us.
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]
#[path = "../accounts/mod.rs"]
mod accounts;
mod attack_files;
mod attacks;
mod commands;
mod distribution;
mod foreign;
mod judges;
mod material;
#[path = "../openssl_pki/mod.rs"]
mod openssl_pki;
mod outside_data;
mod receipts;
#[path = "../scripted_server/mod.rs"]
mod scripted_server;
mod signing;
#[path = "../time_stamp_server/mod.rs"]
mod time_stamp_server;
