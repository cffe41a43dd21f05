//! Plays a transcript against a card, up to the first difference.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::bench::{Bench, BenchError};
use super::likeness;
use super::line::{Event, Line, Numbered, Word};
use super::management::{ManagementKey, SecretValues, algorithm_of};
use super::masking::Hidden;
use super::matching::{Expected, matched};
use super::wording;
use crate::crypto::SymmetricAlgorithm;
use crate::piv::algorithm;

const GET_RESPONSE: u8 = 0xC0;
const GET_SERIAL: u8 = 0xF8;

/// When an answer counts as the expected one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// Byte by byte.
    Exact,
    /// Byte by byte, save what no two cards have in common: keys, signatures, challenges, serial number, CHUID,
    /// certificates. Of these the status word and the outermost tag must agree.
    Alike,
}

/// What differs, ready to be told.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the answer.
    pub line: usize,
    /// The command, in words.
    pub command: String,
    /// What the transcript says.
    pub expected: String,
    /// What the card answered, secrets hidden.
    pub got: String,
}

/// Why a transcript was not played to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// The card answered something else.
    #[error(
        "line {}: {}\n  expected: {}\n  got:      {}", .0.line, .0.command, .0.expected, .0.got
    )]
    Differs(Box<Difference>),
    /// A secret value is needed.
    #[error("line {line}: the value of [{name}] is needed; give it with --values FILE (`{name} = ...`)")]
    MissingValue {
        /// The line.
        line: usize,
        /// The name.
        name: String,
    },
    /// What was sent is not in the file.
    #[error(
        "line {line}: {count} bytes of this command are hidden; record the trace again with --trace-secrets"
    )]
    HiddenBytes {
        /// The line.
        line: usize,
        /// How many.
        count: usize,
    },
    /// Bytes were not kept, or do not fit the cipher.
    #[error("line {line}: {what}")]
    Unusable {
        /// The line.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The card or its reader does not do it.
    #[error("line {line}: {source}")]
    Bench {
        /// The line.
        line: usize,
        /// Why.
        source: BenchError,
    },
}

/// How much was played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// Commands whose answers agree.
    pub commands: usize,
    /// Of these, answers that are only alike.
    pub alike: usize,
}

/// Plays transcripts against one bench.
pub struct Player<'a> {
    bench: &'a mut dyn Bench,
    values: SecretValues,
    comparison: Comparison,
    kept: BTreeMap<String, Vec<u8>>,
    management_key: Option<ManagementKey>,
    /// The answer just given, and whether it may differ from the expected one.
    last: Option<Last>,
    played: Played,
}

/// The exchange whose answer is to be compared.
struct Last {
    command: Zeroizing<Vec<u8>>,
    answer: Zeroizing<Vec<u8>>,
    is_individual: bool,
    hidden: Hidden,
    /// How many bytes waited when the transcript was recorded.
    recorded_rest: Option<u8>,
}

impl Last {
    /// Whether its first byte is no tag: the rest of an answer, a serial number.
    fn has_no_tag(&self) -> bool {
        matches!(self.command.get(1), Some(&(GET_RESPONSE | GET_SERIAL)))
    }
}

impl<'a> Player<'a> {
    /// A player for one bench. `values` fill in the names in brackets.
    pub fn new(bench: &'a mut dyn Bench, values: SecretValues, comparison: Comparison) -> Self {
        let management_key = values.management_key();
        let played = Played::default();
        Self { bench, values, comparison, kept: BTreeMap::new(), management_key, last: None, played }
    }

    /// Plays a transcript to its end. Nothing is sent when a value is missing.
    ///
    /// # Errors
    /// See [`PlayError`].
    pub fn play(&mut self, lines: &[Numbered]) -> Result<Played, PlayError> {
        self.require_values(lines)?;
        for Numbered { number, line } in lines {
            match line {
                Line::Event(event) => self.happen(event, *number)?,
                Line::Command(words) => self.send(words, *number)?,
                Line::Answer(words) => self.compare(words, *number)?,
            }
        }
        Ok(self.played)
    }

    /// What is needed and not there is told before the card is touched.
    fn require_values(&self, lines: &[Numbered]) -> Result<(), PlayError> {
        let mut has_key = self.management_key.is_some();
        for Numbered { number, line } in lines {
            let line_number = *number;
            let words = match line {
                Line::Event(Event::Card(_)) => {
                    has_key = true;
                    continue;
                }
                Line::Event(Event::Authenticate) if !has_key => {
                    return Err(missing(line_number, "management key"));
                }
                Line::Event(_) => continue,
                Line::Command(words) | Line::Answer(words) => words,
            };
            for word in words {
                match word {
                    Word::Secret(name) if self.values.get(name).is_none() => {
                        return Err(missing(line_number, name));
                    }
                    Word::Encrypt(_) | Word::Decrypt(_) if !has_key => {
                        return Err(missing(line_number, "management key"));
                    }
                    Word::Hidden(count) if matches!(line, Line::Command(_)) => {
                        return Err(PlayError::HiddenBytes { line: line_number, count: *count });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn happen(&mut self, event: &Event, line: usize) -> Result<(), PlayError> {
        let happened = match event {
            Event::PowerOn => self.bench.power_on(),
            Event::PowerOff => self.bench.power_off(),
            Event::Reset => self.bench.reset(),
            Event::Over(interface) => self.bench.over(*interface),
            Event::Touch(comes) => self.bench.touch(*comes),
            Event::Seconds(count) => self.bench.pass(*count),
            Event::Card(kind) => self.bench.fresh_card(kind).map(|key| self.management_key = Some(key)),
            Event::Authenticate => return self.authenticate(line),
            Event::Reader(_) => Ok(()),
        };
        happened.map_err(|source| PlayError::Bench { line, source })
    }

    /// Single authentication (SP 800-73-5 Part 2 appendix A.1), with the first algorithm that the key may be for and
    /// whose challenge has the right length.
    fn authenticate(&mut self, line: usize) -> Result<(), PlayError> {
        let key = self.management_key.clone().ok_or_else(|| missing(line, "management key"))?;
        for algorithm in key.algorithms() {
            let identifier = algorithm::symmetric_identifier(algorithm);
            let asked = self.exchange(&[0x00, 0x87, identifier, 0x9B, 4, 0x7C, 2, 0x81, 0, 0], line)?;
            let Some([0x7C, _, 0x81, _, challenge @ .., 0x90, 0x00]) = asked.get(..) else { continue };
            let Some(response) = key.encrypt(algorithm, challenge) else { continue };
            let length = u8::try_from(response.len()).unwrap_or_default();
            let header = [0x00, 0x87, identifier, 0x9B, length + 4, 0x7C, length + 2, 0x82, length];
            if self.exchange(&[&header[..], &response].concat(), line)?.as_slice() == [0x90, 0x00] {
                return Ok(());
            }
        }
        Err(PlayError::Unusable { line, what: "the card does not take this management key".to_owned() })
    }

    fn exchange(&mut self, command: &[u8], line: usize) -> Result<Zeroizing<Vec<u8>>, PlayError> {
        self.bench.transmit(command).map_err(|source| PlayError::Bench { line, source })
    }

    fn send(&mut self, words: &[Word], line: usize) -> Result<(), PlayError> {
        let mut command = Zeroizing::new(Vec::with_capacity(300));
        for word in words {
            let bytes = self.bytes(word, algorithm_of(&command), line)?;
            command.extend_from_slice(&bytes);
        }
        let is_rest = command.get(1) == Some(&GET_RESPONSE);
        if is_rest {
            self.ask_for_what_is_there(&mut command);
        }
        let before = self.last.take().filter(|_| is_rest);
        let (is_individual, hidden) = match &before {
            Some(before) => (before.is_individual, Hidden { data: false, ..before.hidden }),
            None => (likeness::is_individual(&command), Hidden::of(&command)),
        };
        let answer = self.exchange(&command, line)?;
        self.follow_management_key(&command, &answer);
        self.last = Some(Last { command, answer, is_individual, hidden, recorded_rest: None });
        Ok(())
    }

    /// The rest of an answer that is only alike may have another length: whoever asked for all that waited then, asks
    /// for all that waits now.
    fn ask_for_what_is_there(&self, command: &mut [u8]) {
        if let Some(Last { answer, is_individual: true, recorded_rest: Some(recorded), .. }) = &self.last
            && self.comparison == Comparison::Alike
            && let ([.., 0x61, count], [_, _, _, _, expected]) = (answer.as_slice(), command)
            && expected == recorded
        {
            *expected = *count;
        }
    }

    /// SET MANAGEMENT KEY of a YubiKey: what the transcript encrypts from now on, it encrypts with the new key.
    fn follow_management_key(&mut self, command: &[u8], answer: &[u8]) {
        if let ([_, 0xFF, 0xFF, _, _, _, 0x9B, length, rest @ ..], [0x90, 0x00]) = (command, answer)
            && let Some(key) = rest.get(..usize::from(*length))
        {
            self.management_key = Some(ManagementKey(key.into()));
        }
    }

    fn bytes(
        &self,
        word: &Word,
        algorithm: Option<SymmetricAlgorithm>,
        line: usize,
    ) -> Result<Zeroizing<Vec<u8>>, PlayError> {
        match word {
            Word::Bytes(bytes) => Ok(Zeroizing::new(bytes.clone())),
            Word::Secret(name) => {
                let value = self.values.get(name).ok_or_else(|| missing(line, name))?;
                Ok(Zeroizing::new(value.expose().to_vec()))
            }
            Word::Kept(name) => Ok(Zeroizing::new(self.kept(name, line)?.clone())),
            Word::Encrypt(name) => self.through_cipher(name, algorithm, line, ManagementKey::encrypt),
            Word::Decrypt(name) => self.through_cipher(name, algorithm, line, ManagementKey::decrypt),
            // No block cipher gives zeros for what the card asked, save with a chance of one in 2^64.
            Word::Wrong(count) => Ok(Zeroizing::new(vec![0; *count])),
            Word::Hidden(count) => Err(PlayError::HiddenBytes { line, count: *count }),
            Word::AnyBytes | Word::AnyByte | Word::Keep(..) => {
                Err(PlayError::Unusable { line, what: "a pattern stands in a command".to_owned() })
            }
        }
    }

    fn kept(&self, name: &str, line: usize) -> Result<&Vec<u8>, PlayError> {
        let unusable = || PlayError::Unusable { line, what: format!("no bytes were kept as {name}") };
        self.kept.get(name).ok_or_else(unusable)
    }

    fn through_cipher(
        &self,
        name: &str,
        algorithm: Option<SymmetricAlgorithm>,
        line: usize,
        cipher: impl Fn(&ManagementKey, SymmetricAlgorithm, &[u8]) -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>, PlayError> {
        let key = self.management_key.as_ref().ok_or_else(|| missing(line, "management key"))?;
        let block = self.kept(name, line)?;
        let result = algorithm.and_then(|algorithm| cipher(key, algorithm, block));
        result.ok_or_else(|| PlayError::Unusable {
            line,
            what: format!("{name} or the management key does not fit the cipher that the command names"),
        })
    }

    fn compare(&mut self, words: &[Word], line: usize) -> Result<(), PlayError> {
        let Some(last) = &self.last else {
            return Err(PlayError::Unusable { line, what: "there is no answer".to_owned() });
        };
        let pattern = self.pattern(words, algorithm_of(&last.command), line)?;
        if let Some(kept) = matched(&pattern, &last.answer) {
            self.kept.extend(kept);
        } else if self.comparison == Comparison::Alike
            && last.is_individual
            && likeness::is_alike(&pattern, &last.answer, last.has_no_tag())
        {
            self.played.alike += 1;
        } else {
            return Err(PlayError::Differs(Box::new(Difference {
                line,
                command: wording::command(&last.command),
                expected: show_pattern(words),
                got: last.hidden.response_in_words(&last.answer),
            })));
        }
        if let Some(last) = &mut self.last {
            last.recorded_rest = recorded_rest(&pattern);
        }
        self.played.commands += 1;
        Ok(())
    }

    fn pattern(
        &self,
        words: &[Word],
        algorithm: Option<SymmetricAlgorithm>,
        line: usize,
    ) -> Result<Vec<Expected>, PlayError> {
        let expected = |word: &Word| {
            Ok(match word {
                Word::AnyBytes => Expected::AnyBytes,
                Word::AnyByte => Expected::Any(1),
                Word::Hidden(count) => Expected::Any(*count),
                Word::Keep(name, count) => Expected::Keep(name.clone(), *count),
                word => Expected::Bytes(self.bytes(word, algorithm, line)?),
            })
        };
        words.iter().map(expected).collect()
    }
}

/// The count of a status word 61XX at the end of a pattern.
fn recorded_rest(pattern: &[Expected]) -> Option<u8> {
    match pattern.last() {
        Some(Expected::Bytes(end)) => match end.as_slice() {
            [.., 0x61, count] => Some(*count),
            _ => None,
        },
        _ => None,
    }
}

fn missing(line: usize, name: &str) -> PlayError {
    PlayError::MissingValue { line, name: name.to_owned() }
}

/// A pattern as it is written, with its status word in words.
fn show_pattern(words: &[Word]) -> String {
    let shown: Vec<String> = words.iter().map(ToString::to_string).collect();
    let status = match words.last() {
        Some(Word::Bytes(bytes)) => wording::status_of(bytes),
        _ => None,
    };
    match status {
        Some(status) => format!("{}  ({status})", shown.join(" ")),
        None if shown.is_empty() => "nothing".to_owned(),
        None => shown.join(" "),
    }
}
