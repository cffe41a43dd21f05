//! Where the lines of a shell come from: a terminal, or a pipe.

use std::io::{BufRead, IsTerminal};

use super::completion::Typing;
use super::editor::{Editor, Typed};
use crate::desk::failure::Failure;
use crate::desk::office::Office;
use crate::desk::{output, texts};

const PROMPT: &str = "desk> ";

/// The lines of a shell.
pub(super) enum Source {
    /// Somebody types them.
    Terminal(Editor),
    /// They come through standard input, answers among them.
    Pipe {
        /// The number of the last one.
        at: usize,
    },
}

impl Source {
    /// The terminal's, or standard input's where that is none.
    pub(super) fn open() -> Result<Self, Failure> {
        Ok(match std::io::stdin().is_terminal() {
            true => Self::Terminal(Editor::new()?),
            false => Self::Pipe { at: 0 },
        })
    }

    pub(super) const fn is_interactive(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }

    /// The next command; none at the end. Ctrl-C gives up the line alone.
    pub(super) async fn command(&mut self, office: &Office) -> Result<Option<String>, Failure> {
        loop {
            match self {
                Self::Terminal(editor) => match editor.ask(PROMPT, Typing::Command, office).await? {
                    Typed::Line(line) => return Ok(Some(line)),
                    Typed::GivenUp => {}
                    Typed::End => return Ok(None),
                },
                Self::Pipe { at } => return next_line(at),
            }
        }
    }

    /// The answer to a question; none if it is given up.
    pub(super) async fn answer(
        &mut self,
        question: &str,
        typing: Typing,
        office: &Office,
    ) -> Result<Option<String>, Failure> {
        match self {
            Self::Terminal(editor) => match editor.ask(&asked(question), typing, office).await? {
                Typed::Line(line) => Ok(Some(line.trim().to_owned())),
                Typed::GivenUp | Typed::End => Ok(None),
            },
            Self::Pipe { at } => {
                output::line(question)?;
                let line = next_line(at)?.ok_or_else(|| {
                    Failure::new("no-answer", texts::say("shell-no-answer", &[("question", question)]))
                })?;
                Ok(Some(line.trim().to_owned()))
            }
        }
    }

    /// Keeps a command that was understood.
    pub(super) async fn remember(&self, line: &str) {
        if let Self::Terminal(editor) = self {
            editor.remember(line).await;
        }
    }

    /// The failure with the place of the line that failed.
    pub(super) fn located(&self, mut failure: Failure) -> Failure {
        if let Self::Pipe { at } = self {
            let line = at.to_string();
            let said = texts::failure(&failure);
            failure.said = texts::translated("shell-line", &[("line", &line), ("message", &said)]);
            failure.message = format!("line {line}: {}", failure.message);
        }
        failure
    }
}

/// A question as it stands before its answer.
fn asked(question: &str) -> String {
    texts::say("shell-question", &[("question", question)])
}

fn next_line(at: &mut usize) -> Result<Option<String>, Failure> {
    *at = at.saturating_add(1);
    let mut line = String::new();
    let length = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new("io", format!("standard input: {error}")))?;
    Ok((length > 0).then_some(line))
}
