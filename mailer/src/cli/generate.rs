//! `mailer completions` and `mailer man`: generated from the commands themselves.
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;
use super::report::{Exit, Failure, print_bytes};

/// Writes the completions of a shell to stdout.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mailer completions bash > ~/.local/share/bash-completion/completions/mailer"
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "mailer", &mut script);
        print_bytes(&script)?;
        Ok(Exit::Done)
    }
}

/// Writes manual pages into a folder.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mailer man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder; it must exist
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        clap_mangen::generate_to(Arguments::command(), &self.folder)
            .map_err(|problem| Failure::file(&self.folder, &problem))?;
        Ok(Exit::Done)
    }
}
