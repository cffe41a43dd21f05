//! The card holder's tool: arguments, dispatch, and the one place that prints and picks exit codes.
//!
//! | file | commands |
//! |---|---|
//! | `list` | `card list` |
//! | `status` | `card status` |
//! | `certificates` | `card certificates` |
//! | `pin` | `card change-pin`, `card unblock` |
//! | `failure` | how an error reads: a sentence, or `--json` with a stable code |
mod certificates;
mod failure;
mod list;
mod pin;
mod status;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use middleware::secret_source::SecretSource;
use middleware::{Card, CardError, KeyReference, LastTry, Locator};
use tracing_subscriber::EnvFilter;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.\n\
                          CARD_LOG=middleware=trace shows which commands are sent (never their data).";

/// Look at a PIV card, change its PIN, unblock it
///
/// Works with any PIV card (SP 800-73), YubiKeys included.
#[derive(Parser)]
#[command(name = "card", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args)]
struct Global {
    /// The card: pcsc: (the only one present), pcsc:READER NAME, pcsc:serial=NUMBER or GUID, sim:FILE
    #[arg(long, global = true, value_name = "LOCATOR", default_value = "pcsc:")]
    card: Locator,
    /// Print JSON; errors too, on stderr, with a stable code
    #[arg(long, global = true)]
    json: bool,
}

impl Global {
    fn open(&self) -> Result<Card, CardError> {
        Card::open(&self.card)
    }
}

/// Where the PIN comes from and how many tries it may cost.
#[derive(Args)]
struct PinOptions {
    /// Read the PINs from fd:N or a file, one a line, instead of asking at the terminal
    #[arg(long, value_name = "fd:N|PATH")]
    pin_file: Option<SecretSource>,
    /// Spend the last try if only one is left
    #[arg(long)]
    last_try: bool,
}

impl PinOptions {
    fn source(&self) -> SecretSource {
        self.pin_file.clone().unwrap_or(SecretSource::Terminal)
    }

    fn last_try(&self) -> LastTry {
        if self.last_try { LastTry::Spend } else { LastTry::Refuse }
    }
}

#[derive(Subcommand)]
enum Command {
    /// List readers and the cards in them; with --card, that card alone
    #[command(after_help = "Examples:\n  card list\n  card list --card sim:alice.card")]
    List,
    /// Show who a card is, its PIN and PUK tries and its keys
    #[command(after_help = "Example:\n  card status --card pcsc:serial=12345678")]
    Status,
    /// Show the certificates on a card
    #[command(after_help = "Examples:\n  card certificates\n  card certificates 9C --pem > signature.pem")]
    Certificates {
        /// Only this key: 9A, 9C, 9D, 9E or 82 to 95
        key: Option<KeyReference>,
        /// Print the certificates themselves, in PEM
        #[arg(long, conflicts_with = "json")]
        pem: bool,
    },
    /// Change the PIN, and record that this card no longer has its transport PIN
    #[command(
        after_help = "Asks for the old PIN and twice for the new one; --pin-file gives old and new, a line each.\n\
                      Mail is signed only with cards whose PIN was changed, or said to be changed.\n\n\
                      Examples:\n  card change-pin\n  card change-pin --pin-file fd:3 3< pins\n  card change-pin --already-changed"
    )]
    ChangePin {
        #[command(flatten)]
        pin: PinOptions,
        /// Only record that the PIN was changed elsewhere; nothing is sent to the card
        #[arg(long, conflicts_with_all = ["pin_file", "last_try"])]
        already_changed: bool,
    },
    /// Set a new PIN with the PUK, after too many wrong PINs
    #[command(
        after_help = "Asks for the PUK and twice for the new PIN; --pin-file gives PUK and new PIN, a line each.\n\n\
                      Example:\n  card unblock"
    )]
    Unblock {
        #[command(flatten)]
        pin: PinOptions,
    },
    /// Print shell completions
    #[command(
        after_help = "Example:\n  card completions bash > ~/.local/share/bash-completion/completions/card"
    )]
    Completions {
        /// The shell to complete in
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(after_help = "Example:\n  card man ~/.local/share/man/man1")]
    Man {
        /// The directory, which must exist
        directory: PathBuf,
    },
}

/// What a command has to say, for people and for programs.
struct Report {
    text: String,
    json: serde_json::Value,
}

/// Runs the command line and says how it went.
pub(crate) fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("CARD_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") => {
            eprintln!("{}", failure::describe_usage(&error));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let printed = run(&cli).and_then(|report| {
        let mut output = if cli.global.json { format!("{:#}\n", report.json) } else { report.text };
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        match std::io::stdout().lock().write_all(output.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(anyhow::anyhow!("standard output cannot be written: {error}")),
            Ok(()) => Ok(()),
        }
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", failure::describe(&error, cli.global.json));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Report> {
    match &cli.command {
        Command::List => match &cli.global.card {
            Locator::OnlyPresent => list::run(),
            locator => list::run_for(locator, &mut cli.global.open()?),
        },
        Command::Status => status::run(&mut cli.global.open()?),
        Command::Certificates { key, pem } => certificates::run(&mut cli.global.open()?, *key, *pem),
        Command::ChangePin { already_changed: true, .. } => pin::record_change(&mut cli.global.open()?),
        Command::ChangePin { pin, .. } => pin::change(&mut cli.global.open()?, &pin.source(), pin.last_try()),
        Command::Unblock { pin } => pin::unblock(&mut cli.global.open()?, &pin.source(), pin.last_try()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "card", &mut script);
            Ok(generated(String::from_utf8(script)?))
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Cli::command(), directory)
                .map_err(|error| anyhow::anyhow!("{}: {error}", directory.display()))?;
            Ok(generated(format!("Manual pages written to {}", directory.display())))
        }
    }
}

fn generated(text: String) -> Report {
    let json = serde_json::Value::String(text.clone());
    Report { text, json }
}
