//! The terminal of a shell: lines with completion, and a history that holds no secrets.
use std::path::PathBuf;

use clap::CommandFactory as _;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Helper};

use super::explore;
use super::line;
use crate::cli::Cli;
use middleware::KeyReference;

const PROMPT: &str = "card> ";
const LONGEST_HISTORY: usize = 1000;

/// Lines as somebody types them.
pub(super) struct Editor {
    lines: rustyline::Editor<Completion, FileHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    pub(super) fn new() -> anyhow::Result<Self> {
        let config = Config::builder().max_history_size(LONGEST_HISTORY)?.history_ignore_space(true).build();
        let mut lines = rustyline::Editor::with_config(config)?;
        lines.set_helper(Some(Completion));
        let history = history_file();
        if let Some(file) = &history {
            // None yet, or none that can be read: the history begins now.
            let _ = lines.load_history(file);
        }
        Ok(Self { lines, history })
    }

    /// The next line; `None` when the user ends the shell. Ctrl-C gives up the line alone.
    pub(super) fn line(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            match self.lines.readline(PROMPT) {
                Ok(text) => {
                    if !line::holds_a_secret(&text) {
                        self.lines.add_history_entry(text.as_str())?;
                    }
                    return Ok(Some(text));
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if let Some(file) = &self.history
            && let Err(error) = self.lines.save_history(file)
        {
            tracing::warn!(%error, file = %file.display(), "the history was not kept");
        }
    }
}

/// In the user's state, in a folder that nobody else can search.
fn history_file() -> Option<PathBuf> {
    let directories = directories::BaseDirs::new()?;
    let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    let folder = state.join("sealwright");
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(&folder).ok()?;
    Some(folder.join("shell-history"))
}

/// Completes commands, then what they take.
struct Completion;

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        text: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = text.get(..position).unwrap_or(text);
        let start = before.rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let begun = before.get(start..).unwrap_or_default();
        let first = before.get(..start).unwrap_or_default().split_whitespace().next();
        let mut candidates: Vec<String> = match first {
            None => commands(),
            Some(command) => arguments(command, begun),
        };
        candidates.retain(|candidate| candidate.to_lowercase().starts_with(&begun.to_lowercase()));
        Ok((start, candidates))
    }
}

fn commands() -> Vec<String> {
    let own = explore::COMMANDS.iter().map(|command| command.name.to_owned());
    let tool = Cli::command();
    let tool = tool.get_subcommands().map(|command| command.get_name().to_owned());
    let mut names: Vec<String> = own.chain(tool).chain(["quit".to_owned()]).collect();
    names.retain(|name| name != "shell");
    names.sort();
    names.dedup();
    names
}

fn arguments(command: &str, begun: &str) -> Vec<String> {
    if let Some(command) = explore::COMMANDS.iter().find(|own| own.name == command) {
        return match command.takes {
            explore::Takes::Key => keys(),
            explore::Takes::Object => explore::OBJECTS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            _ => Vec::new(),
        };
    }
    let tool = Cli::command();
    let Some(command) = tool.find_subcommand(command) else { return Vec::new() };
    if begun.starts_with('-') {
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        return options.map(|option| format!("--{option}")).collect();
    }
    let takes_keys =
        command.get_positionals().any(|argument| matches!(argument.get_id().as_str(), "key" | "from" | "to"));
    let values = command.get_positionals().flat_map(clap::Arg::get_possible_values);
    let mut candidates: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    if takes_keys {
        candidates.extend(keys());
    }
    candidates
}

fn keys() -> Vec<String> {
    KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()).map(|key| key.to_string()).collect()
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(text: &str) -> Vec<String> {
        let history = FileHistory::new();
        Completion.complete(text, text.len(), &Context::new(&history)).unwrap().1
    }

    #[test]
    fn commands_keys_objects_and_options_are_completed() {
        assert_eq!(completed("meta"), ["metadata"]);
        assert!(completed("").contains(&"apdu".to_owned()) && completed("").contains(&"generate".to_owned()));
        assert_eq!(completed("metadata 9"), ["9A", "9C", "9D", "9E", "90", "91", "92", "93", "94", "95"]);
        assert_eq!(completed("read chu"), ["chuid"]);
        assert_eq!(completed("configure fire"), ["firefox"]);
        assert!(completed("generate --alg").contains(&"--algorithm".to_owned()));
        assert!(completed("generate 9a").contains(&"9A".to_owned()));
        assert!(completed("nonsense x").is_empty());
    }
}
