//! The `issuer` program: parse, wire, call.

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Diagnostics on request (RUST_LOG); they never contain a secret, because no secret has a `Debug`.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    ExitCode::from(issuer::desk::cli::run(std::env::args_os()).await)
}
