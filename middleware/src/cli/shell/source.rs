//! Where the lines of a shell come from.
use std::collections::VecDeque;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use super::editor::Editor;
use crate::cli::failure::ToolError;
use crate::cli::files;

/// The lines of a shell.
pub(super) enum Source {
    /// Somebody types them.
    Terminal(Box<Editor>),
    /// They come through standard input, perhaps each after the answer to the one before.
    Pipe { at: usize },
    /// They are all there.
    Script { name: String, lines: VecDeque<(usize, String)>, at: usize },
}

impl Source {
    /// A script's lines; without one the terminal's, or standard input's where that is none.
    pub(super) fn open(script: Option<&Path>) -> anyhow::Result<Self> {
        let Some(script) = script else {
            return Ok(match std::io::stdin().is_terminal() {
                true => Self::Terminal(Box::new(Editor::new()?)),
                false => Self::Pipe { at: 0 },
            });
        };
        let mut text = String::new();
        let name = script.display().to_string();
        files::open(Some(script))?
            .read_to_string(&mut text)
            .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.to_owned())).collect();
        Ok(Self::Script { name, lines, at: 0 })
    }

    pub(super) fn is_interactive(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::Terminal(editor) => editor.line(),
            Self::Pipe { at } => {
                *at += 1;
                let mut line = String::new();
                let length = std::io::stdin().lock().read_line(&mut line)?;
                Ok((length > 0).then_some(line))
            }
            Self::Script { lines, at, .. } => Ok(lines.pop_front().map(|(number, line)| {
                *at = number;
                line
            })),
        }
    }

    /// Whether the next line that says anything is `expect error`, as far as it is known yet.
    pub(super) fn next_expects_a_failure(&self) -> bool {
        let Self::Script { lines, .. } = self else { return false };
        let mut lines = lines.iter().map(|(_, line)| line.trim());
        lines
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .is_some_and(|line| line.split_whitespace().take(2).eq(["expect", "error"]))
    }

    /// The error with the place of the line that failed.
    pub(super) fn located(&self, error: anyhow::Error) -> anyhow::Error {
        let (name, line) = match self {
            Self::Terminal(_) => return error,
            _ if matches!(error.downcast_ref(), Some(ToolError::InScript { .. })) => return error,
            Self::Pipe { at } => ("standard input", *at),
            Self::Script { name, at, .. } => (name.as_str(), *at),
        };
        ToolError::InScript { name: name.to_owned(), line, error }.into()
    }
}
