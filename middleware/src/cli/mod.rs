//! The card holder's tool: arguments, dispatch, and the one place that prints and picks exit codes.
//!
//! | file | commands |
//! |---|---|
//! | `list` | `card list` |
//! | `status` | `card status` |
//! | `certificates` | `card certificates` |
//! | `pin` | `card change-pin`, `card change-puk`, `card unblock` |
//! | `remote_unblock` | `card unblock --request`, with the desk far away |
//! | `generate`, `request`, `import` | a key made on the card, a request that it signs, what comes from outside |
//! | `sign`, `decrypt`, `attest` | what keys of the card do |
//! | `administration` | `card move`, `delete`, `set-retries`, `change-management-key`, `reset` |
//! | `configure` | `card configure CLIENT`: the lines for other programs |
//! | `shell` | `card shell`: PIV commands and bare APDUs, typed, piped or from a script |
//! | `options`, `files`, `signature` | what commands share: secrets, files in and out, one signature |
//! | `failure` | how an error reads: a sentence, or `--json` with a stable code |
mod administration;
mod attest;
mod certificates;
mod configure;
mod decrypt;
mod failure;
mod files;
mod generate;
mod import;
mod list;
mod options;
mod pin;
mod remote_unblock;
mod request;
mod shell;
mod sign;
mod signature;
mod status;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use middleware::{Card, CardError, KeyReference, Locator};
use tracing_subscriber::EnvFilter;

use options::PinOptions;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 4 not trusted (attest).\n\
                          CARD_LOG=middleware=trace shows which commands are sent (never their data).";

/// Look at a PIV card, change its PIN, make and use its keys
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

#[derive(Subcommand)]
enum Command {
    /// List readers and the cards in them; with --card, that card alone
    #[command(
        after_help = "Examples:\n  card list\n  card list --card sim:alice.card\n  card list --watch --json"
    )]
    List {
        /// Go on telling which readers and cards come and go, a line for each; with --json an object a line
        #[arg(long)]
        watch: bool,
    },
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
    /// Change the PUK, which unblocks the PIN
    #[command(
        after_help = "Asks for the old PUK and twice for the new one; --pin-file gives old and new, a line each.\n\n\
                      Example:\n  card change-puk"
    )]
    ChangePuk {
        #[command(flatten)]
        pin: PinOptions,
    },
    /// Set a new PIN with the PUK, after too many wrong PINs
    #[command(
        after_help = "Asks for the PUK and twice for the new PIN; --pin-file gives PUK and new PIN, a line each.\n\
                      With --request the desk has the PUK: --pin-file gives the new PIN alone.\n\n\
                      Examples:\n  card unblock\n  card unblock --request"
    )]
    Unblock {
        #[command(flatten)]
        pin: PinOptions,
        /// Ask the issuance desk, which must know who you are: shows a request, and waits ten minutes for the answer on
        /// standard input
        #[arg(long, conflicts_with = "last_try")]
        request: bool,
    },
    /// Set how many tries PIN and PUK have; the card sets both back to its factory's values with it
    #[command(after_help = "Needs the management key and the PIN. Only vendors' cards can do it.\n\n\
                      Example:\n  card set-retries 5 5")]
    SetRetries(administration::SetRetries),
    /// Make a key pair on the card and print its public half
    #[command(after_help = "Examples:\n  card generate 9A --output 9a.pub\n  \
                      card generate 9C --algorithm rsa3072 --management-key-file fd:3 3< key")]
    Generate(generate::Generate),
    /// Ask for a certificate: a request (PKCS#10) that the key on the card signs
    #[command(
        after_help = "Example:\n  card request 9C --subject 'CN=Alice Archer,O=Example' --mail alice@example.org --output alice.csr"
    )]
    Request(request::Request),
    /// Write a certificate, a private key, or both, from a PEM file into the card
    #[command(
        after_help = "A private key can only be written into vendors' cards; a certificate into any.\n\n\
                      Examples:\n  card import 9C alice.pem\n  card import 82 old-key.pem --passphrase-file fd:3 3< passphrase"
    )]
    Import(import::Import),
    /// Sign a file with a key of the card; the signature is bare, as openssl dgst writes and checks it
    #[command(after_help = "Example:\n  card sign 9C notice.pdf --output notice.sig\n  \
                      openssl dgst -sha256 -verify 9c.pub -signature notice.sig notice.pdf")]
    Sign(sign::Sign),
    /// Decrypt an RSA ciphertext, or agree on a secret, with a key of the card
    #[command(after_help = "Examples:\n  card decrypt 9D key.enc --output key\n  \
                      card decrypt 9D key.enc --oaep sha256 --output key\n  card decrypt 82 --peer ephemeral.pub --output secret")]
    Decrypt(decrypt::Decrypt),
    /// Let the card prove that it made a key itself; prints the proof and the certificates above it
    #[command(
        after_help = "Ends with exit code 4 if the chain does not lead to a root given. Only vendors' cards attest.\n\n\
                      Example:\n  card attest 9A --root makers-root.pem"
    )]
    Attest(attest::Attest),
    /// Move a key and its certificate to another key reference
    #[command(after_help = "Only vendors' cards can do it.\n\nExample:\n  card move 9D 82")]
    Move(administration::Move),
    /// Delete a key and its certificate
    #[command(after_help = "Only vendors' cards delete keys; any card deletes certificates.\n\n\
                      Examples:\n  card delete 82\n  card delete 9A --certificate-only")]
    Delete(administration::Delete),
    /// Change the management key, with which keys and certificates are written
    #[command(
        after_help = "Only vendors' cards can do it.\n\nExample:\n  card change-management-key --algorithm aes256"
    )]
    ChangeManagementKey(administration::ChangeManagementKey),
    /// Make the card blank: every key and certificate is gone, PIN and PUK are the factory's
    #[command(
        after_help = "Blocks PIN and PUK first, for only then the card allows it. Only vendors' cards can do it.\n\n\
                      Example:\n  card reset"
    )]
    Reset(administration::Reset),
    /// Print what other programs need to use the card, and what will be seen there
    #[command(after_help = "Examples:\n  card configure firefox\n  \
                      card configure p11-kit > ~/.config/pkcs11/modules/sealwright.module")]
    Configure(configure::Configure),
    /// Look into the card: PIV commands, bare APDUs, and all commands of card, typed, piped or from a script
    #[command(
        after_help = "A script stops at the first command that fails, or that is not as it expects:\n  \
                      > 00 20 00 80            a bare APDU\n  \
                      < 63 C3                  its answer; ?? is any byte, .. any bytes\n  \
                      read chuid\n  \
                      expect 34 (16)           what the command before has shown\n  \
                      read printed-information\n  \
                      expect error pin-required\n\n\
                      Examples:\n  card shell\n  card shell --script check.txt --pin-file fd:3 3< pin\n  echo objects | card shell"
    )]
    Shell(shell::Shell),
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
        let text = match (cli.global.json, report.json) {
            (true, serde_json::Value::Null) => String::new(),
            (true, json) => format!("{json:#}"),
            (false, _) => report.text,
        };
        if text.is_empty() { Ok(()) } else { print(&text) }
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !failure::was_told(&error) {
                eprintln!("{}", failure::describe(&error, cli.global.json));
            }
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

/// One line or more on standard output. Whoever has stopped to read it wants no more.
fn print(text: &str) -> anyhow::Result<()> {
    let mut output = text.to_owned();
    if !output.ends_with('\n') {
        output.push('\n');
    }
    match std::io::stdout().lock().write_all(output.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(anyhow::anyhow!("standard output cannot be written: {error}")),
        Ok(()) => Ok(()),
    }
}

fn run(cli: &Cli) -> anyhow::Result<Report> {
    match &cli.command {
        Command::Shell(shell) => shell.run(cli),
        command if command.needs_card() => {
            let watches = matches!(command, Command::List { .. }) && cli.global.card == Locator::OnlyPresent;
            let mut card = if watches { None } else { Some(cli.global.open()?) };
            run_command(command, &cli.global, card.as_mut())
        }
        command => run_command(command, &cli.global, None),
    }
}

impl Command {
    fn needs_card(&self) -> bool {
        !matches!(
            self,
            Self::List { watch: true }
                | Self::Configure(_)
                | Self::Completions { .. }
                | Self::Man { .. }
                | Self::Shell(_)
        )
    }
}

/// One command; `card` is there for every command that needs it.
fn run_command(command: &Command, global: &Global, card: Option<&mut Card>) -> anyhow::Result<Report> {
    match (command, card) {
        (Command::List { watch: true }, _) => list::watch(global.json),
        (Command::List { .. }, None) => list::run(),
        (Command::List { .. }, Some(card)) => list::run_for(&global.card, card),
        (Command::Configure(command), _) => command.run(),
        (Command::Completions { shell }, _) => completions(*shell),
        (Command::Man { directory }, _) => {
            clap_mangen::generate_to(Cli::command(), directory)
                .map_err(|error| anyhow::anyhow!("{}: {error}", directory.display()))?;
            Ok(generated(format!("Manual pages written to {}", directory.display())))
        }
        (command, Some(card)) => run_with_card(command, global.json, card),
        (_, None) => Err(CardError::NoCard.into()),
    }
}

fn run_with_card(command: &Command, as_json: bool, card: &mut Card) -> anyhow::Result<Report> {
    match command {
        Command::Status => status::run(card),
        Command::Certificates { key, pem } => certificates::run(card, *key, *pem),
        Command::ChangePin { already_changed: true, .. } => pin::record_change(card),
        Command::ChangePin { pin, .. } => pin::change(card, &pin.source(), pin.last_try()),
        Command::ChangePuk { pin } => pin::change_puk(card, &pin.source(), pin.last_try()),
        Command::Unblock { pin, request: true } => remote_unblock::run(card, &pin.source(), as_json),
        Command::Unblock { pin, .. } => pin::unblock(card, &pin.source(), pin.last_try()),
        Command::SetRetries(command) => command.run(card),
        Command::Generate(command) => command.run(card),
        Command::Request(command) => command.run(card),
        Command::Import(command) => command.run(card),
        Command::Sign(command) => command.run(card, as_json),
        Command::Decrypt(command) => command.run(card, as_json),
        Command::Attest(command) => command.run(card),
        Command::Move(command) => command.run(card),
        Command::Delete(command) => command.run(card),
        Command::ChangeManagementKey(command) => command.run(card),
        Command::Reset(command) => command.run(card),
        Command::List { .. }
        | Command::Configure(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Shell(_) => Err(failure::ToolError::ShellInShell.into()),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<Report> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "card", &mut script);
    Ok(generated(String::from_utf8(script)?))
}

fn generated(text: String) -> Report {
    let json = serde_json::Value::String(text.clone());
    Report { text, json }
}
