//! Shows commands as a user types them, with their real output: what the demo prints.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stdout};
use std::path::Path;

use anyhow::{Result, ensure};

use crate::process::{Outcome, Run};

/// More output of one command than this is cut, and the cut is shown.
const LINES: usize = 24;

/// Chapters and commands on standard output; colour on a terminal only.
#[derive(Debug)]
pub struct Show {
    colour: bool,
    folder: String,
    commands: Cell<usize>,
    chapters: Cell<usize>,
}

impl Show {
    /// Paths are shown relative to this folder.
    pub fn relative_to(folder: &Path) -> Self {
        let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            colour,
            folder: format!("{}/", folder.display()),
            commands: Cell::new(0),
            chapters: Cell::new(0),
        }
    }

    /// A title and one sentence.
    pub fn chapter(&self, title: &str, sentence: &str) {
        self.chapters.set(self.chapters.get() + 1);
        let number = self.chapters.get();
        say(&format!("\n{}\n{sentence}", self.painted("1;36", &format!("{number}. {title}"))));
    }

    /// A remark between commands.
    pub fn remark(&self, text: &str) {
        say(&self.painted("2", text));
    }

    /// Runs a command that must succeed.
    pub fn run(&self, run: Run) -> Result<Outcome> {
        self.run_expecting(0, run)
    }

    /// Runs a command that must end with this exit code; all it wrote is in the outcome's standard output.
    pub fn run_expecting(&self, code: i32, run: Run) -> Result<Outcome> {
        self.commands.set(self.commands.get() + 1);
        say(&format!("{} {}", self.painted("1;32", "$"), self.painted("1", &self.short(&run.shown()))));
        let outcome = run.merged().outcome()?;
        self.output(&outcome.out());
        if code != 0 {
            say(&self.painted("2", &format!("[exit code {code}]")));
        }
        ensure!(
            outcome.code == Some(code),
            "that should have ended with exit code {code}, not {:?}",
            outcome.code
        );
        Ok(outcome)
    }

    /// How many commands were shown.
    pub fn commands(&self) -> usize {
        self.commands.get()
    }

    fn output(&self, text: &str) {
        let short = self.short(text);
        let lines: Vec<&str> = short.trim_end().lines().collect();
        for line in lines.iter().take(LINES) {
            say(line);
        }
        if lines.len() > LINES {
            say(&self.painted("2", &format!("... {} more lines", lines.len() - LINES)));
        }
    }

    fn short(&self, text: &str) -> String {
        text.replace(&self.folder, "")
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A line on standard output; whoever closed it (`scripts/demo | head`) has seen enough.
pub fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}
