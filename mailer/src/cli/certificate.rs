//! `mailer certificate`: certificates by themselves, without any message.
use std::path::PathBuf;

use clap::Subcommand;

use super::certificate_verify::Verify;
use super::report::{Exit, Failure};

/// Certificates by themselves, without any message.
#[derive(Debug, clap::Args)]
pub(super) struct Certificate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

impl Certificate {
    pub(super) fn json(&self) -> bool {
        let Command::Verify(verify) = &self.command;
        verify.json
    }

    /// Needs no account.
    pub(super) fn run(self, _home: Option<PathBuf>) -> Result<Exit, Failure> {
        let Command::Verify(verify) = self.command;
        verify.run()
    }
}
