//! Secure mail with the key on the card: parse the command line, run, exit.
use std::process::ExitCode;

use clap::Parser;
use mailer::cli::{Arguments, run};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("MAILER_LOG"))
        .with_writer(std::io::stderr)
        .init();
    ExitCode::from(run(Arguments::parse()).code())
}
