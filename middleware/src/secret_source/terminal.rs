//! A question at the terminal whose answer is not shown; whatever ends it, the terminal shows again what is typed.
use std::fs::File;
use std::io::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Where the question is asked.
const TERMINAL: &str = "/dev/tty";

/// The signals that end a program by default.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

static WATCH: Mutex<Watch> = Mutex::new(Watch { is_running: false, asked_at: None });

struct Watch {
    /// Whether a thread waits for signals. It does so to the end of the program: a handler cannot be taken back, and
    /// the signals must go on ending the program.
    is_running: bool,
    /// The terminal and how it was before the question.
    asked_at: Option<(File, Termios)>,
}

/// Asks, and waits for a line.
///
/// # Errors
/// Those of the terminal; [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) when nothing was typed but Ctrl-D.
pub(super) fn ask(prompt: &str) -> Result<String> {
    let question = Question::begin()?;
    let answer = rpassword::prompt_password(prompt);
    drop(question);
    if answer.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted) {
        // Ctrl-C was typed, and the thread that waits for signals is about to end the program.
        loop {
            std::thread::park();
        }
    }
    answer
}

/// Until it is dropped nothing typed is shown, and a signal that ends the program restores the terminal first.
struct Question;

impl Question {
    fn begin() -> Result<Self> {
        let terminal = File::open(TERMINAL)?;
        let attributes = tcgetattr(&terminal)?;
        let mut watch = lock();
        if !watch.is_running {
            let signals = Signals::new(ENDING)?;
            std::thread::Builder::new().name("signals".to_owned()).spawn(move || end_on(signals))?;
            watch.is_running = true;
        }
        // Before the question is shown: who types the moment it appears must not be shown either.
        let mut silent = attributes.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        watch.asked_at = Some((terminal, attributes));
        Ok(Self)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        restore();
    }
}

fn end_on(mut signals: Signals) {
    for signal in signals.forever() {
        let was_asked = restore();
        if was_asked || !is_minded(signal) {
            // Ends the program, by the signal, as if nobody had waited for it.
            let _ = emulate_default_handler(signal);
        }
    }
}

/// Answers whether a question was open.
fn restore() -> bool {
    let asked_at = lock().asked_at.take();
    if let Some((terminal, attributes)) = &asked_at {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(terminal, OptionalActions::Now, attributes);
    }
    asked_at.is_some()
}

/// Signals that somebody in the program minds now, as often as somebody does.
static MINDED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// As long as it lives these signals end the program only while a question is open: whoever has it hears them, and decides.
#[must_use]
#[derive(Debug)]
pub struct Minded(Vec<i32>);

impl Minded {
    /// Minds these signals from now on.
    pub fn new(signals: &[i32]) -> Self {
        minded().extend(signals);
        Self(signals.to_vec())
    }
}

impl Drop for Minded {
    fn drop(&mut self) {
        let mut minded = minded();
        for signal in &self.0 {
            if let Some(place) = minded.iter().position(|minded| minded == signal) {
                minded.swap_remove(place);
            }
        }
    }
}

fn is_minded(signal: i32) -> bool {
    minded().contains(&signal)
}

fn minded() -> MutexGuard<'static, Vec<i32>> {
    MINDED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGUSR1;

    use super::*;

    #[test]
    fn a_signal_is_minded_as_long_as_anybody_does() {
        assert!(!is_minded(SIGUSR1));
        let outer = Minded::new(&[SIGUSR1, SIGTERM]);
        drop(Minded::new(&[SIGUSR1]));
        assert!(is_minded(SIGUSR1) && is_minded(SIGTERM));
        drop(outer);
        assert!(!is_minded(SIGUSR1) && !is_minded(SIGTERM));
    }
}
