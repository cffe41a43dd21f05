//! `mailer document`: official documents signed, checked, sealed to their readers.
mod decrypt;
mod distribute;
mod encrypt;
mod evidence;
mod files;
mod issue;
mod normalise;
mod seal_options;
mod sign;
mod stamp;
mod status;
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
    Normalise(normalise::Normalise),
    Encrypt(encrypt::Encrypt),
    Decrypt(decrypt::Decrypt),
    Distribute(distribute::Distribute),
    Status(status::Status),
    Evidence(evidence::Evidence),
}

impl Document {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Sign(command) => command.json,
            Command::Stamp(command) => command.json,
            Command::Verify(command) => command.json,
            Command::Normalise(command) => command.json,
            Command::Encrypt(command) => command.json,
            Command::Decrypt(command) => command.json,
            Command::Distribute(command) => command.json,
            Command::Status(command) => command.json,
            Command::Evidence(command) => command.json,
        }
    }

    pub(super) fn run(self, home: Option<PathBuf>) -> Result<Exit, Failure> {
        match self.command {
            Command::Sign(command) => command.run(home),
            Command::Stamp(command) => command.run(home),
            Command::Verify(command) => command.run(home),
            Command::Normalise(command) => command.run(),
            Command::Encrypt(command) => command.run(home),
            Command::Decrypt(command) => command.run(home),
            Command::Distribute(command) => command.run(home),
            Command::Status(command) => command.run(home),
            Command::Evidence(command) => command.run(home),
        }
    }
}
