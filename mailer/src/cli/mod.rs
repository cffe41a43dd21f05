//! The commands. Each file is one command: its arguments, what it does, what it prints.
//!
//! Content goes to stdout; verdicts, notes and errors to stderr. Exit codes: 0 done, 1 refused or failed, 2 usage,
//! 3 partly done, 4 not trusted.
mod algorithms;
mod asking;
mod certificate;
mod certificate_files;
mod certificate_verify;
mod classes;
mod context;
mod document;
mod fetch;
mod generate;
mod headers;
mod input;
mod labels;
mod list;
mod open;
mod outbox;
mod protect;
mod read;
mod receipts;
mod recipient_list;
pub mod report;
mod send;
mod setup;
mod signing;
mod verdict;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::report::{Exit, Failure};

/// Secure mail: signed and opened with the key on the card.
#[derive(Debug, Parser)]
#[command(name = "mailer", version, after_help = AFTER_HELP)]
pub struct Arguments {
    /// The account's folder [default: $XDG_DATA_HOME/sealwright/mailer]
    #[arg(long, global = true, value_name = "DIR", env = "MAILER_HOME")]
    home: Option<PathBuf>,
    /// Ask neither directory nor OCSP responder: what they answered before must do
    #[arg(long, global = true)]
    offline: bool,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 partly done, 4 not trusted.

Example:
  mailer send --to bob@mail.test --subject Hello --body letter.txt --attach report.pdf
  mailer fetch && mailer list && mailer read 1";

// What each does is said where it is defined, so that the help shows all of it.
#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Setup),
    Send(send::Send),
    Outbox(outbox::Outbox),
    Fetch(fetch::Fetch),
    List(list::List),
    Read(read::Read),
    Protect(protect::Protect),
    Open(open::Open),
    Certificate(certificate::Certificate),
    Document(document::Document),
    Receipts(receipts::Receipts),
    Verify(verify::Verify),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// Reads the command line. Where it makes no sense, or asks only for help, that was already told to the user.
///
/// # Errors
/// How the program ends then.
pub fn arguments(words: impl Iterator<Item = OsString>) -> Result<Arguments, Exit> {
    let words: Vec<OsString> = words.collect();
    Arguments::try_parse_from(&words).map_err(|problem| {
        if !problem.use_stderr() {
            return problem.print().map_or(Exit::Failed, |()| Exit::Done);
        }
        if words.iter().any(|word| word == "--json") {
            let text = problem.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let sentence = lines.join(" ");
            Failure::usage(sentence.strip_prefix("error: ").unwrap_or(&sentence)).print(true);
        } else {
            // Nobody may be listening.
            let _ = problem.print();
        }
        Exit::Usage
    })
}

/// Runs the command and says how it ended; everything was already told to the user.
pub fn run(arguments: Arguments) -> Exit {
    let home = arguments.home;
    if arguments.offline {
        context::go_offline();
    }
    let (json, result) = match arguments.command {
        Command::Setup(command) => (false, command.run(home)),
        Command::Send(command) => (command.json, command.run(home)),
        Command::Outbox(command) => (command.json(), command.run(home)),
        Command::Fetch(command) => (command.json, command.run(home)),
        Command::List(command) => (command.json, command.run(home)),
        Command::Read(command) => (command.json, command.run(home)),
        Command::Protect(command) => (command.json, command.run(home)),
        Command::Open(command) => (command.json, command.run(home)),
        Command::Certificate(command) => (command.json(), command.run(home)),
        Command::Document(command) => (command.json(), command.run(home)),
        Command::Receipts(command) => (command.json(), command.run(home)),
        Command::Verify(command) => (command.json, command.run(home)),
        Command::Completions(command) => (false, command.run()),
        Command::Man(command) => (false, command.run()),
    };
    result.unwrap_or_else(|failure: Failure| {
        failure.print(json);
        failure.exit
    })
}
