//! What a terminal writes of the keys that are pressed: beside bars a `^C` would move everything by a line, and what was drawn
//! before would be left above.

use std::io::{IsTerminal, stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal that does not write it, until it is told or dropped.
pub struct QuietTerminal(Modes);

/// How the terminal was; none where there is none.
#[derive(Clone)]
pub struct Modes(Option<Termios>);

impl QuietTerminal {
    /// The terminal of this program, if somebody types there and `has_bars`.
    pub fn new(has_bars: bool) -> Self {
        let before = if has_bars && stdin().is_terminal() { tcgetattr(stdin()).ok() } else { None };
        if let Some(mut quiet) = before.clone() {
            quiet.local_modes.remove(LocalModes::ECHO);
            // Where that fails a line is left, and nothing else.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &quiet);
        }
        Self(Modes(before))
    }

    /// How it was, for somebody who may end the program.
    pub fn modes(&self) -> Modes {
        self.0.clone()
    }
}

impl Modes {
    /// As it was.
    pub fn restore(&self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

impl Drop for QuietTerminal {
    fn drop(&mut self) {
        self.0.restore();
    }
}
