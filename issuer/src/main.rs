//! The `issuer` program: parse, wire, call.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, setrlimit};
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    forbid_core_dumps();
    // Diagnostics on request (RUST_LOG); they never contain a secret, because no secret has a `Debug`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    ExitCode::from(issuer::desk::cli::run(std::env::args_os()).await)
}

/// Keeps passphrases, PINs and keys that are in use out of files. Linux takes a limit of one octet as a word to hand
/// nothing to a program that collects core dumps either, for which other limits do not count (fs/coredump.c, core(5)).
fn forbid_core_dumps() {
    // Lowering a limit is allowed to everybody (setrlimit(2)).
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) });
}
