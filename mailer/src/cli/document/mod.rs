//! `mailer document`: official documents signed, checked, sealed to their readers.
mod files;
mod seal_options;
mod sign;
mod stamp;
pub(super) mod time;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::report::{Exit, Failure};

/// Official documents: signed on the card, stamped with the time, checked.
#[derive(Debug, Args)]
pub(super) struct Document {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Sign(sign::Sign),
    Stamp(stamp::Stamp),
    Verify(verify::Verify),
}

impl Document {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Sign(command) => command.json,
            Command::Stamp(command) => command.json,
            Command::Verify(command) => command.json,
        }
    }

    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        match self.command {
            Command::Sign(command) => command.run(home),
            Command::Stamp(command) => command.run(home),
            Command::Verify(command) => command.run(home),
        }
    }
}
