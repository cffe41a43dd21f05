//! `card shell`: PIV commands and bare APDUs, at a terminal, from a pipe, or from a script with expectations.
//!
//! | file | what it is |
//! |---|---|
//! | `source` | where lines come from |
//! | `editor` | the terminal: completion, and a history without secrets |
//! | `line` | what a line says |
//! | `explore` | the shell's own commands, within a transaction |
//! | `pattern` | what a script expects for an answer |
//! | `pretty` | bytes as people read them: hex, TLV, status words |
//!
//! Between lines the card is free for other programs, unless a PIN, the management key or a bare APDU has left
//! something open on it: then it is held until `logout`, `reset` or the end, and closed again at that.
mod editor;
mod explore;
mod line;
mod pattern;
mod pretty;
mod source;

use std::path::PathBuf;

use clap::{Args, Parser as _};
use middleware::secret_source::SecretSource;
use middleware::settings::Settings;
use middleware::{Card, CardError, Transaction};

use super::failure::{self, ToolError};
use super::{Cli, Command, Report, options};
use explore::{Explore, Shown};
use line::{Expectation, Line};
use source::Source;

/// What `card shell` wants to know.
#[derive(Args)]
pub(super) struct Shell {
    /// Run the lines of this file, and stop at the first that fails or is not as expected
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Where `verify` and bracketed PIN take the PIN from
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    pin_file: Option<SecretSource>,
    /// Where `authenticate` takes the management key from, in hex
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    management_key_file: Option<SecretSource>,
}

/// Where the shell's own commands take secrets from.
struct Secrets {
    pin: SecretSource,
    management_key: SecretSource,
}

/// A shell at work.
struct Session<'a> {
    source: Source,
    secrets: Secrets,
    last: Last,
    as_json: bool,
    cli: &'a Cli,
}

/// How the command before went.
#[derive(Default)]
struct Last {
    /// What it showed, for `expect`.
    shown: Shown,
    /// Its failure, until an expectation is met by it.
    failure: Option<anyhow::Error>,
    /// The failure was told already; the next line decides whether the shell goes on.
    is_told: bool,
}

/// Why a stretch of lines within one transaction ended.
enum Next {
    /// The card is free again; go on with the next line.
    Line,
    /// This line is not one of the shell's own commands.
    Tool(Vec<String>),
    /// The card must be opened anew.
    Reopen,
    Quit,
}

impl Shell {
    pub(super) fn run(&self, cli: &Cli) -> anyhow::Result<Report> {
        let source = Source::open(self.script.as_deref())?;
        let or_terminal = |source: &Option<SecretSource>| source.clone().unwrap_or(SecretSource::Terminal);
        let secrets = Secrets {
            pin: or_terminal(&self.pin_file),
            management_key: or_terminal(&self.management_key_file),
        };
        let mut session = Session { source, secrets, last: Last::default(), as_json: cli.global.json, cli };
        options::keep_pins(Settings::load()?.pin_cache());
        session.greet();
        let mut card = None;
        loop {
            // The card is opened by the first command that needs it, so that `help` works without.
            let result = session.step(&mut card);
            if let Err(error) = &result
                && matches!(error.downcast_ref(), Some(ToolError::Stopped))
            {
                return result.map(|_| Report { text: String::new(), json: serde_json::Value::Null });
            }
            match result {
                Ok(Next::Quit) => break,
                Ok(Next::Reopen) => card = None,
                Ok(Next::Line) => {}
                Ok(Next::Tool(words)) => {
                    let result = session.run_tool(&words, &mut card);
                    session.note(result);
                }
                Err(error) => {
                    if matches!(error.downcast_ref(), Some(CardError::CardRemoved)) {
                        card = None;
                    }
                    session.note(Err(error));
                }
            }
            session.settle()?;
        }
        session.settle()?;
        Ok(Report { text: String::new(), json: serde_json::Value::Null })
    }
}

impl Session<'_> {
    fn greet(&self) {
        if self.source.is_interactive() {
            println!(
                "PIV commands, bare APDUs (> 00 A4 ...), and the commands of card. help shows them; quit ends."
            );
        }
    }

    /// One line with the card free, or a stretch of lines for which it is held.
    fn step(&mut self, card: &mut Option<Card>) -> anyhow::Result<Next> {
        let Some(text) = self.next()? else { return Ok(Next::Quit) };
        match Line::parse(&text)? {
            Line::Nothing => Ok(Next::Line),
            Line::Quit => Ok(Next::Quit),
            Line::Expect(expectation) => self.check(&expectation).map(|()| Next::Line),
            Line::Tool(words) => Ok(Next::Tool(words)),
            Line::Explore(Explore::Reconnect) => Ok(Next::Reopen),
            Line::Explore(command) if command.needs_no_card() => {
                let shown = command.run_without_card()?;
                self.show(shown)?;
                Ok(Next::Line)
            }
            Line::Explore(command) => {
                let card = match card {
                    Some(card) => card,
                    None => card.insert(self.cli.global.open()?),
                };
                self.hold(card, command)
            }
        }
    }

    /// Runs a command, and those after it as long as something is open on the card.
    fn hold(&mut self, card: &mut Card, first: Explore) -> anyhow::Result<Next> {
        let mut transaction = card.transaction()?;
        if matches!(first, Explore::Reset) {
            return self.reset(transaction);
        }
        self.explore(&mut transaction, &first)?;
        while transaction.holds_security_status() {
            self.settle()?;
            let Some(text) = self.next()? else { return Ok(Next::Quit) };
            let line = match Line::parse(&text) {
                Ok(line) => line,
                Err(error) => {
                    self.note(Err(error));
                    continue;
                }
            };
            match line {
                Line::Nothing => {}
                Line::Quit => return Ok(Next::Quit),
                Line::Tool(words) => return Ok(Next::Tool(words)),
                Line::Expect(expectation) => {
                    let checked = self.check(&expectation);
                    self.note(checked);
                }
                Line::Explore(Explore::Reconnect) => return Ok(Next::Reopen),
                Line::Explore(Explore::Reset) => return self.reset(transaction),
                Line::Explore(command) => self.explore(&mut transaction, &command)?,
            }
        }
        Ok(Next::Line)
    }

    fn reset(&mut self, transaction: Transaction<'_>) -> anyhow::Result<Next> {
        transaction.reset()?;
        self.show(Shown::text("The card was reset."))?;
        Ok(Next::Line)
    }

    /// A failure that leaves the card usable is the next expectation's, or is told; any other ends the stretch.
    fn explore(&mut self, transaction: &mut Transaction<'_>, command: &Explore) -> anyhow::Result<()> {
        match command.run(transaction, &self.secrets) {
            Ok(shown) => self.show(shown),
            Err(error) if matches!(error.downcast_ref(), Some(CardError::CardRemoved)) => Err(error),
            Err(error) => {
                self.note(Err(error));
                Ok(())
            }
        }
    }

    /// A command of the tool, as if it stood on the command line.
    fn run_tool(&mut self, words: &[String], card: &mut Option<Card>) -> anyhow::Result<()> {
        let arguments = std::iter::once("card").chain(words.iter().map(String::as_str));
        let parsed = Cli::try_parse_from(arguments).map_err(|error| {
            if error.use_stderr() {
                ToolError::Usage(failure::problem(&error)).into()
            } else {
                anyhow::anyhow!(error.to_string())
            }
        });
        let parsed = match parsed {
            Ok(parsed) => parsed,
            // Help is no failure.
            Err(error) if !error.is::<ToolError>() => {
                return self.show(Shown::text(error.to_string().trim_end()));
            }
            Err(error) => return Err(error),
        };
        if matches!(parsed.command, Command::Shell(_)) {
            return Err(ToolError::ShellInShell.into());
        }
        if card.is_none() && parsed.command.needs_card() {
            *card = Some(self.cli.global.open()?);
        }
        let report = super::run_command(&parsed.command, &self.cli.global, card.as_mut());
        options::settle_pins(report.is_ok());
        let report = report?;
        self.show(Shown { text: report.text, json: report.json, answer: None })
    }

    fn show(&mut self, shown: Shown) -> anyhow::Result<()> {
        let text = if self.as_json { shown.json.to_string() } else { shown.text.clone() };
        if !text.is_empty() {
            super::print(&text)?;
        }
        self.last = Last { shown, failure: None, is_told: false };
        Ok(())
    }

    fn note(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.last.failure = Some(error);
        }
    }

    /// `expect`, `expect error` and `<` judge the command before them.
    fn check(&mut self, expectation: &Expectation) -> anyhow::Result<()> {
        match expectation {
            Expectation::Failure(word) => {
                let failure = self.last.failure.take().ok_or(ToolError::DidNotFail)?;
                self.last.is_told = false;
                let described = failure::describe(&failure, true);
                if described.contains(word.as_str()) || failure.to_string().contains(word.as_str()) {
                    return Ok(());
                }
                Err(ToolError::NotAsExpected(word.clone(), failure.to_string()).into())
            }
            Expectation::Text(word) => {
                if self.last.shown.text.contains(word.as_str()) {
                    return Ok(());
                }
                Err(ToolError::NotAsExpected(word.clone(), self.last.shown.text.clone()).into())
            }
            Expectation::Answer(pattern) => {
                let answer = self.last.shown.answer.clone().ok_or(ToolError::NoAnswer)?;
                if pattern.matches(&answer) {
                    return Ok(());
                }
                Err(ToolError::NotAsExpected(pattern.to_string(), pretty::bytes(&answer)).into())
            }
        }
    }

    /// A failure that no `expect error` takes is told; at a terminal the shell goes on, elsewhere it ends. Through a pipe
    /// nobody knows what comes next, so there it is told at once, and the next line decides.
    fn settle(&mut self) -> anyhow::Result<()> {
        if self.last.failure.is_none() || self.last.is_told || self.source.next_expects_a_failure() {
            return Ok(());
        }
        let Some(error) = self.last.failure.take() else { return Ok(()) };
        match &self.source {
            Source::Terminal(_) => {
                eprintln!("{}", failure::describe(&error, self.as_json));
                Ok(())
            }
            Source::Pipe { .. } => {
                let error = self.source.located(error);
                eprintln!("{}", failure::describe(&error, self.as_json));
                self.last.failure = Some(error);
                self.last.is_told = true;
                Ok(())
            }
            Source::Script { .. } => Err(self.source.located(error)),
        }
    }

    /// The next line; none after a failure that it does not expect.
    fn next(&mut self) -> anyhow::Result<Option<String>> {
        let next = self.source.next()?;
        let goes_on = match &next {
            Some(line) if self.last.is_told => {
                matches!(Line::parse(line), Ok(Line::Nothing | Line::Expect(Expectation::Failure(_))))
            }
            Some(_) => true,
            None => !self.last.is_told,
        };
        if goes_on { Ok(next) } else { Err(ToolError::Stopped.into()) }
    }
}
