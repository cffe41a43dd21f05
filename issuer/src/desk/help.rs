//! Help in the language of whoever works there.
//!
//! English is what clap makes of the sources. Another language has messages of its own, `help-COMMAND` of a command (its words
//! with `-` between them) and `help-COMMAND--ARGUMENT`, or `help--ARGUMENT` for all that have one of that name; what nobody
//! translated stays English, and so do examples and usage errors.

use clap::builder::Resettable;
use clap::{Arg, Command};

use super::texts::Texts;

/// The words around what is told, as clap writes them at the beginning of a line.
const HEADINGS: [(&str, &str); 8] = [
    ("Usage: ", "help-word-usage"),
    ("Commands:", "help-word-commands"),
    ("Arguments:", "help-word-arguments"),
    ("Options:", "help-word-options"),
    ("Examples:", "help-word-examples"),
    ("Example:", "help-word-examples"),
    ("Possible values:", "help-word-values"),
    ("Commands of the desk. An empty line sees to the card in the reader", "help-word-desk"),
];

/// Those in the middle of one.
const NOTES: [(&str, &str); 7] = [
    ("Print help (see a summary with '-h')", "help-word-help"),
    ("Print help (see more with '--help')", "help-word-help"),
    ("Print this message or the help of the given subcommand(s)", "help-word-help"),
    ("[aliases: ", "help-note-aliases"),
    ("[alias: ", "help-note-aliases"),
    ("[possible values: ", "help-note-values"),
    ("[default: ", "help-note-default"),
];

/// The command with what is translated of it.
pub(super) fn in_words(command: Command, texts: &Texts) -> Command {
    if texts.has("help-word-usage") { commands(command, "", texts) } else { command }
}

/// Everything below a command; `path` is its words.
fn commands(command: Command, path: &str, texts: &Texts) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}-{name}") };
        command.mut_subcommand(&name, |sub| {
            commands(arguments(about(sub, &path, texts), &path, texts), &path, texts)
        })
    })
}

fn about(command: Command, path: &str, texts: &Texts) -> Command {
    match said(&format!("help-{path}"), texts) {
        Some(text) => command.about(text).long_about(Resettable::Reset),
        None => command,
    }
}

fn arguments(command: Command, path: &str, texts: &Texts) -> Command {
    command.mut_args(|argument| {
        let keys = keys_of(path, &argument);
        match keys.iter().find_map(|key| said(key, texts)) {
            Some(text) => argument.help(text).long_help(Resettable::Reset),
            None => argument,
        }
    })
}

/// Where the words for an argument may stand; `replace` takes what `issue` does.
fn keys_of(path: &str, argument: &Arg) -> Vec<String> {
    let name = argument.get_id().as_str().replace('_', "-");
    let like = if path == "replace" { "issue" } else { path };
    vec![format!("help-{path}--{name}"), format!("help-{like}--{name}"), format!("help--{name}")]
}

fn said(key: &str, texts: &Texts) -> Option<String> {
    texts.has(key).then(|| texts.say(key, &[]))
}

/// What clap wrote, with its own words in the language too.
pub(super) fn with_headings(text: &str, texts: &Texts) -> String {
    let line = |line: &str| {
        let plain = line.trim_start();
        let (indent, _) = line.split_at(line.len().saturating_sub(plain.len()));
        let heading = HEADINGS.iter().find_map(|(english, key)| Some((plain.strip_prefix(english)?, key)));
        let line = match heading {
            Some((rest, key)) => format!("{indent}{}{rest}", texts.say(key, &[])),
            None => line.to_owned(),
        };
        NOTES.iter().fold(line, |line, (english, key)| match line.contains(english) {
            true => line.replace(english, &texts.say(key, &[])),
            false => line,
        })
    };
    match texts.has("help-word-usage") {
        true => text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n",
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::desk::cli::Cli;
    use crate::desk::texts::Language;

    /// The keys of all commands below this one, and those that could be used for their arguments.
    fn keys(command: &Command, path: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut of_commands, mut of_arguments) = (BTreeSet::new(), BTreeSet::new());
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = if path.is_empty() {
                sub.get_name().to_owned()
            } else {
                format!("{path}-{}", sub.get_name())
            };
            of_commands.insert(format!("help-{path}"));
            of_arguments.extend(sub.get_arguments().flat_map(|argument| keys_of(&path, argument)));
            let (commands, arguments) = keys(sub, &path);
            of_commands.extend(commands);
            of_arguments.extend(arguments);
        }
        (of_commands, of_arguments)
    }

    #[test]
    fn every_command_of_the_shell_is_told_in_chinese_and_nothing_else_is() {
        let texts = Texts::new(Language::Chinese);
        let (mut commands, mut arguments) = keys(&crate::desk::shell::commands(), "");
        let untold: Vec<_> = commands.iter().filter(|key| !texts.has(key)).collect();
        assert!(untold.is_empty(), "{untold:?} are not in zh.ftl");
        let (more_commands, more_arguments) = keys(&Cli::command(), "");
        commands.extend(more_commands);
        arguments.extend(more_arguments);
        let stale: Vec<_> = Texts::keys(Language::Chinese)
            .filter(|key| key.starts_with("help-"))
            .filter(|key| !key.starts_with("help-word-") && !key.starts_with("help-note-"))
            .filter(|key| !commands.contains(*key) && !arguments.contains(*key))
            .collect();
        assert!(stale.is_empty(), "{stale:?} are of no command");
    }

    #[test]
    fn help_is_in_one_language() {
        let help_of = |language, words: &[&str]| {
            let texts = Texts::new(language);
            let command = in_words(crate::desk::shell::commands(), &texts);
            let error = command.no_binary_name(true).try_get_matches_from(words).unwrap_err();
            with_headings(&error.to_string(), &texts)
        };
        let english = help_of(Language::English, &["help", "issue"]);
        assert!(english.contains("Usage: issue") && english.contains("Make a card in stock"), "{english}");
        for words in [
            &["help"][..],
            &["help", "issue"],
            &["help", "batch"],
            &["issue", "-h"],
            &["help", "stock", "add"],
        ] {
            let chinese = help_of(Language::Chinese, words);
            for word in [
                "Usage:",
                "Commands:",
                "Arguments:",
                "Options:",
                "Print help",
                "[possible",
                "[alias",
                "Commands of",
            ] {
                assert!(!chinese.contains(word), "{word:?} is in: {chinese}");
            }
            assert!(chinese.contains("用法："), "{chinese}");
        }
        let issue = help_of(Language::Chinese, &["help", "issue"]);
        assert!(
            issue.contains("把一张在库的卡制作成某人的卡") && issue.contains("--pin-by-holder"),
            "{issue}"
        );
    }
}
