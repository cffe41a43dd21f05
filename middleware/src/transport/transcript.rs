//! A card played from a written transcript, for tests of what a client sends and how it takes bad luck.
//!
//! ```text
//! # A wrong PIN costs one try.
//! > 00 A4 04 00 ..          a command the client must send; `..` stands for any rest
//! < 90 00                   its answer
//! > 00 20 00 80
//! ! reset                   instead of an answer: another program has reset the card
//! > 00 CB ..
//! ! removed                 instead of an answer: the card was pulled
//! * reset                   the transaction must end with a reset of the card
//! ```
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Connection, Ending, Exclusive, TransportError};

/// A connection that answers as written and fails on any other command.
pub struct Transcript {
    steps: Arc<Mutex<State>>,
    atr: Vec<u8>,
    t0: bool,
    longest_command: Option<usize>,
}

/// Tells a test what is left of a [`Transcript`] after its connection went away.
#[derive(Clone)]
pub struct Progress(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    complaints: Vec<String>,
}

enum Step {
    Command { line: usize, bytes: Vec<u8>, exact: bool },
    Answer(Vec<u8>),
    Fails(TransportError),
    EndsWithReset { line: usize },
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// Names the first line that is none of the forms above.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = VecDeque::new();
        for (number, line) in text.lines().enumerate() {
            let content = line.split('#').next().unwrap_or_default().trim();
            if !content.is_empty() {
                steps.push_back(parse_line(number + 1, content)?);
            }
        }
        Ok(Self {
            steps: Arc::new(Mutex::new(State { steps, complaints: Vec::new() })),
            atr: vec![0x3B, 0x00],
            t0: false,
            longest_command: None,
        })
    }

    /// The same card with another answer to reset.
    #[must_use]
    pub fn with_atr(mut self, atr: &[u8]) -> Self {
        self.atr = atr.to_vec();
        self
    }

    /// The same card behind a reader that speaks T=0.
    #[must_use]
    pub fn over_t0(mut self) -> Self {
        self.t0 = true;
        self
    }

    /// The same card behind a reader that says how long a command may be.
    #[must_use]
    pub fn with_longest_command(mut self, length: usize) -> Self {
        self.longest_command = Some(length);
        self
    }

    /// To look at after the client is done.
    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.steps))
    }
}

impl Progress {
    /// What the client did otherwise than written, and how many steps it left out; `Ok` when there is nothing.
    ///
    /// # Errors
    /// One line for each difference.
    pub fn finish(&self) -> Result<(), String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut complaints = state.complaints.clone();
        if !state.steps.is_empty() {
            complaints.push(format!("{} steps of the transcript were not reached", state.steps.len()));
        }
        if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
    }
}

fn parse_line(line: usize, content: &str) -> Result<Step, String> {
    let (mark, rest) = content.split_once(' ').ok_or_else(|| format!("line {line}: no content"))?;
    let rest = rest.trim();
    match (mark, rest) {
        (">", rest) => {
            let (hexadecimal, exact) = match rest.strip_suffix("..") {
                Some(prefix) => (prefix, false),
                None => (rest, true),
            };
            Ok(Step::Command { line, bytes: parse_bytes(line, hexadecimal)?, exact })
        }
        ("<", rest) => Ok(Step::Answer(parse_bytes(line, rest)?)),
        ("!", "reset") => Ok(Step::Fails(TransportError::Reset)),
        ("!", "removed") => Ok(Step::Fails(TransportError::Removed)),
        ("*", "reset") => Ok(Step::EndsWithReset { line }),
        _ => Err(format!("line {line}: {content:?} is none of >, <, ! and *")),
    }
}

fn parse_bytes(line: usize, text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    hex::decode(digits).map_err(|error| format!("line {line}: {error}"))
}

/// Header and length of a command: its data may be a PIN, and complaints end in logs.
fn described(command: &[u8]) -> String {
    let (header, rest) = command.split_at_checked(4).unwrap_or((command, &[]));
    format!("{} and {} bytes", hex::encode_upper(header), rest.len())
}

impl Connection for Transcript {
    fn reader_name(&self) -> &str {
        "transcript"
    }

    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn is_t0(&self) -> bool {
        self.t0
    }

    fn longest_command(&self) -> Option<usize> {
        self.longest_command
    }

    fn begin(&mut self) -> Result<Box<dyn Exclusive + '_>, TransportError> {
        Ok(Box::new(Line(&self.steps)))
    }
}

struct Line<'a>(&'a Mutex<State>);

impl Line<'_> {
    fn complain(state: &mut State, complaint: String) -> TransportError {
        state.complaints.push(complaint.clone());
        TransportError::Failed(complaint)
    }
}

impl Exclusive for Line<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.steps.pop_front() {
            Some(Step::Command { bytes, exact, .. })
                if (exact && command == bytes) || (!exact && command.starts_with(&bytes)) => {}
            Some(Step::Command { line, bytes, .. }) => {
                let complaint = format!(
                    "line {line}: expected {}, the client sent {}",
                    described(&bytes),
                    described(command)
                );
                return Err(Self::complain(&mut state, complaint));
            }
            _ => {
                let complaint = format!("the client sent {} unexpectedly", described(command));
                return Err(Self::complain(&mut state, complaint));
            }
        }
        match state.steps.pop_front() {
            Some(Step::Answer(answer)) => Ok(answer),
            Some(Step::Fails(error)) => Err(error),
            _ => Err(Self::complain(&mut state, "the transcript has no answer after a command".to_owned())),
        }
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = matches!(state.steps.front(), Some(Step::EndsWithReset { .. }));
        match (expected, ending) {
            (true, Ending::Reset) => {
                state.steps.pop_front();
            }
            (true, Ending::Leave) => {
                if let Some(Step::EndsWithReset { line }) = state.steps.pop_front() {
                    state.complaints.push(format!("line {line}: the transaction ended without a reset"));
                }
            }
            (false, Ending::Reset) => {
                state.complaints.push("the transaction ended with an unexpected reset".to_owned());
            }
            (false, Ending::Leave) => {}
        }
        Ok(())
    }
}
