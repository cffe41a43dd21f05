//! `issuer desk`: a card is inserted and the operator led through, or commands are typed.
//!
//! | file | what it is |
//! |---|---|
//! | `source` | where lines come from: the terminal, or a pipe |
//! | `editor` | the terminal: completion, and a history without secrets |
//! | `completion` | what a begun word can become |
//! | `line` | what a line says: an action of [`super::actions`], or one of the shell's own commands |
//! | `wait` | waiting for a card |
//! | `recognise` | what lies in the reader, and what can be done with it |
//! | `lead` | questions and answers, card by card |
//! | `undo` | what can be undone, and how |
//!
//! The passphrase is asked for when it is first needed, kept in memory that is wiped, and forgotten with `lock`, when it was wrong,
//! and at the end. Through a pipe a command that fails ends the shell with its exit status; answers are lines of the same pipe.

mod completion;
mod editor;
mod lead;
mod line;
mod recognise;
mod source;
mod undo;
mod wait;

use clap::Args;
use middleware::Locator;
use middleware::secret_source::Minded;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(test)]
pub(super) use self::line::commands;
use self::line::{Parsed, Said, Wanted};
use self::source::Source;
use super::actions::Action;
use super::ca::due;
use super::failure::{Failure, Status};
use super::office::{Office, Surroundings};
use super::output::{self, Format};
use super::{texts, which_card};
use crate::domain::Permission;

/// What the shell is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Where cards are put: any reader, unless named: pcsc:READER, pcsc:serial=N or sim:FILE
    #[arg(long, value_name = "LOCATOR", default_value = "pcsc:")]
    card: Locator,
}

/// A shell at work.
struct Session {
    office: Office,
    source: Source,
    /// Where cards are looked for.
    place: Locator,
    format: Format,
}

/// What comes after a command.
enum Next {
    Line(Status),
    Quit,
}

/// Runs the shell to its end.
///
/// # Errors
/// The home cannot be opened; through a pipe, the first failure.
pub async fn run(
    surroundings: &Surroundings,
    arguments: Arguments,
    format: Format,
) -> Result<Status, Failure> {
    // Whoever works here is let in before anything of the registry is shown; each action asks for its own permission.
    let mut office = surroundings.open_for(Permission::Read).await?;
    office.keep_passphrase();
    let mut session = Session { office, source: Source::open()?, place: arguments.card, format };
    session.serve().await
}

/// Hears Ctrl-C as long as it lives; otherwise that ends the program.
struct Interrupts {
    signal: Signal,
    _minded: Minded,
}

impl Interrupts {
    async fn recv(&mut self) {
        self.signal.recv().await;
    }
}

/// Hears Ctrl-C from now on.
fn interrupts() -> Result<Interrupts, Failure> {
    let kind = SignalKind::interrupt();
    let signal = signal(kind).map_err(|error| Failure::new("signal", error.to_string()))?;
    Ok(Interrupts { signal, _minded: Minded::new(&[kind.as_raw_value()]) })
}

impl Session {
    async fn serve(&mut self) -> Result<Status, Failure> {
        if self.source.is_interactive() {
            let organization = self.office.config.organization.name.clone();
            output::line(&texts::say("shell-greeting", &[("organization", &organization)]))?;
            due::tell(&self.office).await?;
        }
        let mut status = Status::Done;
        while let Some(line) = self.source.command(&self.office).await? {
            match self.obey(&line).await {
                Ok(Next::Quit) => break,
                Ok(Next::Line(Status::Done)) => {}
                Ok(Next::Line(other)) => status = other,
                Err(failure) if self.source.is_interactive() => self.tell(&failure),
                Err(failure) => return Err(self.source.located(failure)),
            }
        }
        // At a terminal everything was told when it happened.
        Ok(if self.source.is_interactive() { Status::Done } else { status })
    }

    fn tell(&self, failure: &Failure) {
        output::progress(&texts::failure(failure));
    }

    /// One line: a command, or nothing, which is the card in the reader.
    async fn obey(&mut self, line: &str) -> Result<Next, Failure> {
        if line.trim_start().starts_with('#') {
            return Ok(Next::Line(Status::Done));
        }
        let words = line::words(line)?;
        if words.is_empty() {
            return self.lead().await.map(Next::Line);
        }
        let said = match self.understood(words).await? {
            Parsed::Said(said) => said,
            Parsed::Help(text) => {
                output::line(text.trim_end())?;
                return Ok(Next::Line(Status::Done));
            }
            Parsed::Missing(..) => return Ok(Next::Line(Status::Failed)),
        };
        self.source.remember(line.trim()).await;
        match said {
            Said::Action(action) => self.act(action).await.map(Next::Line),
            Said::Card { locator } => {
                if let Some(locator) = locator {
                    self.place = locator;
                }
                self.lead().await.map(Next::Line)
            }
            Said::Undo { card } => self.undo(card.as_deref()).await.map(Next::Line),
            Said::Lock => {
                self.office.forget_passphrase();
                self.office.guard.log_out();
                output::line(&texts::say("shell-locked", &[]))?;
                Ok(Next::Line(Status::Done))
            }
            Said::Quit => Ok(Next::Quit),
        }
    }

    /// Reads a command; a card or a person that is not named is the one in the reader, or asked for.
    async fn understood(&mut self, mut words: Vec<String>) -> Result<Parsed, Failure> {
        let parsed = line::parse(words.clone(), &self.place)?;
        let Parsed::Missing(wanted, position) = parsed else { return Ok(parsed) };
        let found = match wanted {
            Wanted::Card => Some(self.card_in_reader().await?),
            Wanted::Person => self.ask_person().await?,
        };
        let Some(found) = found else { return Ok(parsed) };
        words.insert(position.min(words.len()), found);
        line::parse(words, &self.place)
    }

    /// The card in the reader, as an argument.
    async fn card_in_reader(&mut self) -> Result<String, Failure> {
        let (name, seen) = recognise::look(&self.office, &self.place).await?;
        match seen {
            recognise::Seen::Known { record, .. } => Ok(which_card::argument(&record)),
            other => Err(Failure::new("unknown-card", other.described(&name).join("\n"))),
        }
    }

    /// Carries an action out. Ctrl-C ends it where it stands: what was under way is journalled. A batch minds it itself, and
    /// tells what it came to.
    async fn act(&mut self, action: Action) -> Result<Status, Failure> {
        let outcome = if self.source.is_interactive() && !matches!(action, Action::Batch(_)) {
            let mut interrupts = interrupts()?;
            tokio::select! {
                // What has ended by then says how.
                biased;
                outcome = action.carry_out(&mut self.office, self.format) => outcome,
                _ = interrupts.recv() => Err(Failure::new("interrupted", texts::say("shell-interrupted", &[]))),
            }
        } else {
            action.carry_out(&mut self.office, self.format).await
        };
        match outcome.as_ref().err().map(|failure| failure.code) {
            Some("wrong-passphrase") => self.office.forget_passphrase(),
            // With the card back, the next command lets its operator in again.
            Some("operator-card-gone") => self.office.guard.log_out(),
            _ => {}
        }
        outcome
    }
}
