//! Where the lines of a shell come from.
use std::collections::VecDeque;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use super::editor::Editor;
use crate::cli::failure::ToolError;
use crate::cli::files;

/// The lines of a shell.
pub(super) enum Source {
    /// Somebody types them.
    Terminal(Box<Editor>),
    /// They are all there: a script, or what came through a pipe.
    Script { name: String, lines: VecDeque<(usize, String)>, at: usize },
}

impl Source {
    /// A script's lines; without one the terminal's, or standard input's where that is none.
    pub(super) fn open(script: Option<&Path>) -> anyhow::Result<Self> {
        if script.is_none() && std::io::stdin().is_terminal() {
            return Ok(Self::Terminal(Box::new(Editor::new()?)));
        }
        let mut text = String::new();
        let name = script.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        files::open(script)?.read_to_string(&mut text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
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
            Self::Script { lines, at, .. } => Ok(lines.pop_front().map(|(number, line)| {
                *at = number;
                line
            })),
        }
    }

    /// Whether the next line that says anything is `expect error`.
    pub(super) fn next_expects_a_failure(&self) -> bool {
        let Self::Script { lines, .. } = self else { return false };
        let mut lines = lines.iter().map(|(_, line)| line.trim());
        lines
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .is_some_and(|line| line.split_whitespace().take(2).eq(["expect", "error"]))
    }

    /// The error with the place of the line that failed.
    pub(super) fn located(&self, error: anyhow::Error) -> anyhow::Error {
        match self {
            Self::Terminal(_) => error,
            Self::Script { .. } if matches!(error.downcast_ref(), Some(ToolError::InScript { .. })) => error,
            Self::Script { name, at, .. } => {
                ToolError::InScript { name: name.clone(), line: *at, error }.into()
            }
        }
    }
}
