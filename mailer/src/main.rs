//! Secure mail with the key on the card: parse the command line, run, exit.
use std::process::ExitCode;

use mailer::cli::{arguments, run};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("MAILER_LOG"))
        .with_writer(std::io::stderr)
        .init();
    ExitCode::from(arguments(std::env::args_os()).map_or_else(|exit| exit, run).code())
}
