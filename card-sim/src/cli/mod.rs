//! The program's commands: arguments, messages, exit codes. The rest of the crate never prints.

mod inspect;
mod key_file;
mod new;
mod passphrase;
mod replay;
mod run;
mod touch;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::StoreError;
use crate::transcript::PlayError;

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
    Replay(replay::Replay),
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

/// Parses the program's own arguments, runs the command and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            report_as_json("usage", &first_paragraph(&error));
            ExitCode::from(2)
        }
        Err(error) => error.exit(),
    }
}

/// Runs the command and says how it ended.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let wants_json = match &arguments.command {
        Command::Inspect(inspect) => inspect.json,
        Command::Replay(replay) => replay.json,
        _ => false,
    };
    let result = match arguments.command {
        Command::New(new) => new.run(),
        Command::Run(run) => run.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Replay(replay) => replay.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "card-sim", &mut script);
            print(&script)
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

/// Writes to standard output. A reader that went away is not an error.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
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

/// One line on stderr: a sentence, or `{"error":{"code","message"}}` with a stable code.
fn report(error: &anyhow::Error, as_json: bool) {
    let message = sentence(error);
    if as_json {
        let code = match error.downcast_ref::<StoreError>() {
            Some(error) => error.code(),
            None if error.is::<Usage>() => "usage",
            None if matches!(error.downcast_ref(), Some(PlayError::Differs(_))) => "differs",
            None => "failed",
        };
        report_as_json(code, &message);
    } else {
        eprintln!("card-sim: {message}");
    }
}

fn report_as_json(code: &str, message: &str) {
    eprintln!("{}", serde_json::json!({ "error": { "code": code, "message": message } }));
}

/// The error and its causes, each of them once: some tell their cause themselves.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.is_empty() {
        true => cause,
        false if told.contains(&cause) => told,
        false => format!("{told}: {cause}"),
    })
}

/// What clap says before it explains the usage.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let problem = text.split("\n\n").next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    problem.split_whitespace().collect::<Vec<_>>().join(" ")
}
