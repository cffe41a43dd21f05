//! The program's commands: arguments, messages, exit codes. The rest of the crate never prints.

mod inspect;
mod key_file;
mod new;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::StoreError;

/// A PIV smart card in software.
#[derive(Parser)]
#[command(
    name = "card-sim",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 usage."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::New),
    Run(run::Run),
    Inspect(inspect::Inspect),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: card-sim completions bash > ~/.local/share/bash-completion/completions/card-sim"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(after_help = "Example: card-sim man ~/.local/share/man/man1")]
    Man {
        /// The folder; it must exist
        directory: PathBuf,
    },
}

/// Runs the command and says how it ended.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let wants_json = matches!(&arguments.command, Command::Inspect(inspect) if inspect.json);
    let result = match arguments.command {
        Command::New(new) => new.run(),
        Command::Run(run) => run.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "card-sim", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { directory } => write_manual(&directory),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, wants_json);
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn write_manual(directory: &Path) -> anyhow::Result<()> {
    clap_mangen::generate_to(Arguments::command(), directory)
        .with_context(|| format!("{}: cannot write the manual pages there", directory.display()))
}

/// Arguments that are right one by one and make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Usage {
    fn of(message: impl Into<String>) -> anyhow::Error {
        Self(message.into()).into()
    }
}

/// One line on stderr, or one JSON object with a stable `code`.
fn report(error: &anyhow::Error, as_json: bool) {
    let message = format!("{error:#}");
    if as_json {
        let code = error.downcast_ref::<StoreError>().map_or("failed", StoreError::code);
        eprintln!("{}", serde_json::json!({ "code": code, "message": message }));
    } else {
        eprintln!("card-sim: {message}");
    }
}
