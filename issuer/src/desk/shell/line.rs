//! What a typed line says.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use middleware::Locator;

use crate::desk::actions::{About, Action, TABLE};
use crate::desk::cli::said;
use crate::desk::failure::Failure;
use crate::desk::output::Format;
use crate::desk::{help, texts};

/// Commands of the desk. An empty line sees to the card in the reader.
#[derive(Parser, Debug)]
#[command(name = "desk", no_binary_name = true, disable_version_flag = true, disable_help_flag = true)]
struct Typed {
    #[command(subcommand)]
    said: Said,
}

/// A command.
#[derive(Subcommand, Debug)]
pub(super) enum Said {
    #[command(flatten)]
    Action(Action),
    /// See to the card in a reader, as an empty line does; a locator names another place to look from now on
    #[command(after_help = "Example:\n  card pcsc:")]
    Card {
        /// pcsc:, pcsc:READER, pcsc:serial=N or sim:FILE
        #[arg(value_name = "LOCATOR")]
        locator: Option<Locator>,
    },
    /// Say what can be undone of a card, and how; and do it, if that is wanted
    #[command(after_help = "Example:\n  undo alice@example.org")]
    Undo {
        /// The card, as for show; otherwise the one in the reader
        #[arg(value_name = "CARD")]
        card: Option<String>,
    },
    /// Forget the passphrase and log the operator out; both are asked for again when they are needed
    #[command(after_help = "Example:\n  lock")]
    Lock,
    /// End the shell
    #[command(visible_alias = "exit", after_help = "Example:\n  quit")]
    Quit,
}

/// What parsing came to.
pub(super) enum Parsed {
    /// A command.
    Said(Said),
    /// Help that was asked for.
    Help(String),
    /// The first argument is missing; of this kind, and it belongs after so many words.
    Missing(Wanted, usize),
}

/// A first argument that the shell can find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A card: the one in the reader.
    Card,
    /// A person: asked for.
    Person,
}

/// The words of a line, quoted as in a shell.
pub(super) fn words(line: &str) -> Result<Vec<String>, Failure> {
    shlex::split(line).ok_or_else(|| Failure::usage("a quotation mark has no second"))
}

/// Every command, as clap has it: for help and completion.
pub(in crate::desk) fn commands() -> clap::Command {
    let mut command = Typed::command();
    command.build();
    command
}

/// Reads a command. `place` is where the shell looks for cards, for actions that must have one.
pub(super) fn parse(mut words: Vec<String>, place: &Locator) -> Result<Parsed, Failure> {
    let error = match Typed::try_parse_from(&words) {
        Ok(typed) => return Ok(Parsed::Said(typed.said)),
        Err(error) if !error.use_stderr() => return Ok(Parsed::Help(help_for(&words, &error))),
        Err(error) => error,
    };
    let takes_card = takes(&words, "card") && !words.iter().any(|word| is_option(word, "--card"));
    if !takes_card || error.kind() != ErrorKind::MissingRequiredArgument {
        return missing(&words, &error).ok_or_else(|| Failure::usage(said(&error)));
    }
    words.extend(["--card".to_owned(), place.to_string()]);
    match Typed::try_parse_from(&words) {
        Ok(typed) => Ok(Parsed::Said(typed.said)),
        Err(again) => missing(&words, &again).ok_or_else(|| Failure::usage(said(&error))),
    }
}

/// Help that was asked for, in the language of whoever works there.
fn help_for(words: &[String], english: &clap::Error) -> String {
    let texts = texts::of(Format::Text);
    let told = help::in_words(Typed::command(), texts).try_get_matches_from(words);
    let text = told.map_or_else(|told| told.to_string(), |_| english.to_string());
    help::with_headings(&text, texts)
}

/// Whether the action that the words begin with has this option.
pub(super) fn takes(words: &[String], option: &str) -> bool {
    let root = commands();
    let command = action(&root, words);
    command.is_some_and(|command| command.get_arguments().any(|known| known.get_long() == Some(option)))
}

fn is_option(word: &str, option: &str) -> bool {
    word.split('=').next() == Some(option)
}

fn action<'c>(root: &'c clap::Command, words: &[String]) -> Option<&'c clap::Command> {
    let length = about(words)?.name.split(' ').count();
    words.iter().take(length).try_fold(root, |command, word| command.find_subcommand(word))
}

/// The action that the words begin with.
pub(super) fn about(words: &[String]) -> Option<&'static About> {
    TABLE.iter().find(|about| {
        let mut given = words.iter();
        about.name.split(' ').all(|word| given.next().is_some_and(|given| given == word))
    })
}

/// Whether it is the first positional argument that is missing, and nothing was given in its place.
fn missing(words: &[String], error: &clap::Error) -> Option<Parsed> {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let length = about(words)?.name.split(' ').count();
    if words.get(length).is_some_and(|word| !word.starts_with('-')) {
        return None;
    }
    let root = commands();
    let command = action(&root, words)?;
    let first = command.get_positionals().next()?;
    let name = first.get_value_names()?.first()?.as_str();
    let wanted = match name {
        "CARD" => Wanted::Card,
        "PERSON" | "PERSON|SERIAL" => Wanted::Person,
        _ => return None,
    };
    Some(Parsed::Missing(wanted, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Failure> {
        parse(words(line).unwrap(), &Locator::OnlyPresent)
    }

    #[test]
    fn the_commands_are_consistent_and_have_examples() {
        Typed::command().debug_assert();
        for command in commands().get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
        }
    }

    #[test]
    fn an_action_that_needs_a_card_gets_the_one_in_the_reader() {
        let Ok(Parsed::Said(Said::Action(Action::Issue(_)))) = parsed("issue alice@example.org") else {
            panic!("issue was not understood");
        };
        assert!(matches!(parsed("stock add"), Ok(Parsed::Said(_))));
        assert!(matches!(parsed("stock add --serial 1 2"), Ok(Parsed::Said(_))));
        // A card that is not at the desk comes back on paper; an answer to a distant holder needs none.
        assert!(matches!(parsed("stock return serial=1"), Ok(Parsed::Said(_))));
        assert!(matches!(parsed("unblock alice@example.org"), Ok(Parsed::Said(_))));
    }

    #[test]
    fn what_is_missing_first_is_found_out() {
        assert!(matches!(parsed("hold"), Ok(Parsed::Missing(Wanted::Card, 1))));
        assert!(matches!(parsed("stock return"), Ok(Parsed::Missing(Wanted::Card, 2))));
        assert!(matches!(parsed("issue"), Ok(Parsed::Missing(Wanted::Person, 1))));
        assert!(matches!(parsed("unblock"), Ok(Parsed::Missing(Wanted::Card, 1))));
        assert!(matches!(parsed("revoke --reason superseded"), Ok(Parsed::Missing(Wanted::Person, 1))));
        assert_eq!(parsed("mark alice").err().map(|failure| failure.code), Some("usage"));
        assert_eq!(parsed("nonsense").err().map(|failure| failure.code), Some("usage"));
        assert!(words("hold 'alice").is_err());
    }

    #[test]
    fn help_is_no_failure() {
        for line in ["help", "help issue", "help stock add"] {
            assert!(matches!(parsed(line), Ok(Parsed::Help(_))), "{line}");
        }
    }
}
