//! `card-sim run --touch`: who touches a card when one of its keys waits for it.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::piv::touch::{AlwaysTouches, Finger, NeverTouches};

/// How long a key waits: about as long as a YubiKey. The reader waits with it, and nothing tells it to be patient.
const PATIENCE: Duration = Duration::from_secs(15);

/// The values of `--touch`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Touch {
    /// Touched at once
    Yes,
    /// Never touched: refused at once
    No,
    /// Ask here: Enter touches, and after 15 seconds without it the card refuses
    Ask,
}

/// Where people are asked, one question at a time, and press Enter.
pub(super) struct Terminal {
    state: Mutex<State>,
    changed: Condvar,
    patience: Duration,
}

#[derive(Default)]
struct State {
    /// How often Enter was pressed.
    presses: u64,
    is_asking: bool,
    /// Nobody will press it again.
    is_closed: bool,
}

impl Touch {
    /// The finger for one card.
    pub(super) fn finger(self, terminal: &Arc<Terminal>, card: &Path) -> Box<dyn Finger> {
        match self {
            Self::Yes => Box::new(AlwaysTouches),
            Self::No => Box::new(NeverTouches),
            Self::Ask => Box::new(AskedPerson {
                terminal: Arc::clone(terminal),
                card: card.display().to_string(),
                since: Instant::now(),
            }),
        }
    }
}

impl Terminal {
    /// A terminal that nobody reads yet.
    pub(super) fn new() -> Arc<Self> {
        Self::with_patience(PATIENCE)
    }

    fn with_patience(patience: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), patience })
    }

    /// Counts the lines of an input from now on.
    pub(super) fn listen(self: &Arc<Self>, input: impl Read + Send + 'static) {
        let terminal = Arc::clone(self);
        thread::spawn(move || {
            for _ in BufReader::new(input).split(b'\n').map_while(Result::ok) {
                terminal.change(|state| state.presses += 1);
            }
            terminal.close();
        });
    }

    /// Ends the question that is open, and all later ones.
    pub(super) fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    /// Asks, and says whether Enter was pressed after that and in time.
    fn ask(&self, question: &str) -> bool {
        let end = Instant::now() + self.patience;
        let mut state = self.wait_while(self.lock(), end, |state| state.is_asking);
        if state.is_asking || state.is_closed {
            return false;
        }
        state.is_asking = true;
        self.changed.notify_all();
        let before = state.presses;
        say(question);
        let mut state = self.wait_while(state, end, |state| state.presses == before);
        state.is_asking = false;
        self.changed.notify_all();
        state.presses != before
    }

    /// Waits as long as the condition holds, the terminal is open and there is time.
    fn wait_while<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        end: Instant,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let time = end.saturating_duration_since(Instant::now());
        let waited =
            self.changed.wait_timeout_while(state, time, |state| condition(state) && !state.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A person at the terminal, and this computer's clock.
struct AskedPerson {
    terminal: Arc<Terminal>,
    card: String,
    since: Instant,
}

impl Finger for AskedPerson {
    fn touches(&mut self, key_reference: u8) -> bool {
        let (card, seconds) = (&self.card, self.terminal.patience.as_secs());
        let question =
            format!("{card}: key {key_reference:02X} waits for touch; press Enter within {seconds} seconds");
        let is_touched = self.terminal.ask(&question);
        if !is_touched {
            say(&format!("{card}: key {key_reference:02X} was not touched"));
        }
        is_touched
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "card-sim: {text}");
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// An input whose lines come when a test sends them.
    struct Lines(Receiver<()>);

    impl Read for Lines {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.recv() {
                Ok(()) => {
                    buffer[0] = b'\n';
                    Ok(1)
                }
                Err(_) => Ok(0),
            }
        }
    }

    fn terminal(patience: Duration) -> (Arc<Terminal>, Sender<()>) {
        let (sender, receiver) = channel();
        let terminal = Terminal::with_patience(patience);
        terminal.listen(Lines(receiver));
        (terminal, sender)
    }

    /// Asks in another thread, and waits until the question is open.
    fn asked(terminal: &Arc<Terminal>) -> thread::JoinHandle<bool> {
        let asking = Arc::clone(terminal);
        let handle = thread::spawn(move || asking.ask("?"));
        let open = terminal.changed.wait_while(terminal.lock(), |state| !state.is_asking);
        drop(open);
        handle
    }

    #[test]
    fn enter_touches_and_only_after_the_question() {
        let (terminal, enter) = terminal(Duration::ZERO);
        enter.send(()).unwrap();
        let pressed = terminal.changed.wait_while(terminal.lock(), |state| state.presses == 0);
        drop(pressed);
        assert!(!terminal.ask("?"), "that was before the question, and there is no time");
    }

    #[test]
    fn an_open_question_is_answered_by_enter() {
        let (terminal, enter) = terminal(LONG);
        let answer = asked(&terminal);
        enter.send(()).unwrap();
        assert!(answer.join().unwrap());
    }

    #[test]
    fn nobody_is_waited_for_once_the_input_has_ended() {
        let (terminal, enter) = terminal(LONG);
        let answer = asked(&terminal);
        drop(enter);
        assert!(!answer.join().unwrap());
        assert!(!terminal.ask("?"));
    }

    #[test]
    fn closing_ends_the_question() {
        let (terminal, _enter) = terminal(LONG);
        let answer = asked(&terminal);
        terminal.close();
        assert!(!answer.join().unwrap());
    }
}
