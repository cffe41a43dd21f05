//! The lines of a transcript and their words.

use std::collections::BTreeSet;

use crate::iso7816::Interface;

/// A line with its number in the file, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbered {
    /// The number.
    pub number: usize,
    /// The line.
    pub line: Line,
}

/// A line that is more than a comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// `@ ...`
    Event(Event),
    /// `> ...`
    Command(Vec<Word>),
    /// `< ...`
    Answer(Vec<Word>),
}

/// What happens to the card besides commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The card gets power.
    PowerOn,
    /// The card loses power.
    PowerOff,
    /// A warm reset.
    Reset,
    /// Single authentication with the management key.
    Authenticate,
    /// The card is moved to a reader of this interface.
    Over(Interface),
    /// Whether the finger comes from now on when a key waits for it.
    Touch(bool),
    /// So many seconds pass.
    Seconds(u32),
    /// A fresh blank card of this kind.
    Card(String),
    /// What follows passed at this reader.
    Reader(String),
}

/// One word of a command or of an answer's pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Bytes kept earlier.
    Kept(String),
    /// Kept bytes, encrypted with the management key.
    Encrypt(String),
    /// Kept bytes, decrypted with the management key.
    Decrypt(String),
    /// A secret value that is not in the file, by its name.
    Secret(String),
    /// So many bytes that are not the right ones.
    Wrong(usize),
    /// So many bytes that the transcript does not show.
    Hidden(usize),
    /// `..`: any bytes; only in answers.
    AnyBytes,
    /// `??`: any one byte; only in answers.
    AnyByte,
    /// `name=N`: N bytes to keep; only in answers.
    Keep(String, usize),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => {
                let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                f.write_str(&digits.join(" "))
            }
            Self::Kept(name) => f.write_str(name),
            Self::Encrypt(name) => write!(f, "encrypt({name})"),
            Self::Decrypt(name) => write!(f, "decrypt({name})"),
            Self::Secret(name) => write!(f, "[{name}]"),
            Self::Wrong(count) => write!(f, "[{count} wrong bytes]"),
            Self::Hidden(count) => write!(f, "[{count} bytes hidden]"),
            Self::AnyBytes => f.write_str(".."),
            Self::AnyByte => f.write_str("??"),
            Self::Keep(name, count) => write!(f, "{name}={count}"),
        }
    }
}

/// A line that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {number}: {what}")]
pub struct Malformed {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub what: String,
}

/// More than any APDU has: a kept or hidden length above it is a mistake.
const LONGEST: usize = 70_000;

/// Words in a line, bytes that follow each other being one.
const MOST_WORDS: usize = 256;

/// Reads a transcript. Every command is followed by its answer.
///
/// # Errors
/// The first line that means nothing, or stands where it cannot.
pub fn parse(text: &str) -> Result<Vec<Numbered>, Malformed> {
    let mut lines: Vec<Numbered> = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let malformed = |what: String| Malformed { number, what };
        let Some(line) = parse_line(text).map_err(malformed)? else { continue };
        let waits = matches!(lines.last(), Some(Numbered { line: Line::Command(_), .. }));
        match (&line, waits) {
            (Line::Answer(_), false) => {
                return Err(malformed("an answer without a command before it".into()));
            }
            (Line::Answer(_), true) | (_, false) => lines.push(Numbered { number, line }),
            (_, true) => return Err(malformed("the command before it has no answer".into())),
        }
    }
    match lines.last() {
        Some(Numbered { number, line: Line::Command(_) }) => {
            Err(Malformed { number: *number, what: "the last command has no answer".into() })
        }
        _ => Ok(lines),
    }
}

/// The lines of one reader's card, of a trace that several cards may share.
///
/// # Errors
/// The readers of the trace, when it does not have this one, or several and none is chosen.
pub fn at_reader(lines: Vec<Numbered>, reader: Option<&str>) -> Result<Vec<Numbered>, Vec<String>> {
    let name_in = |line: &Line| match line {
        Line::Event(Event::Reader(name)) => Some(name.clone()),
        _ => None,
    };
    let readers: BTreeSet<String> = lines.iter().filter_map(|numbered| name_in(&numbered.line)).collect();
    let is_there = match reader {
        Some(name) => readers.contains(name),
        None => readers.len() <= 1,
    };
    if !is_there {
        return Err(readers.into_iter().collect());
    }
    let mut current = None;
    let mut chosen = Vec::new();
    for numbered in lines {
        current = name_in(&numbered.line).or(current);
        if reader.is_none() || current.as_deref() == reader {
            chosen.push(numbered);
        }
    }
    Ok(chosen)
}

fn parse_line(text: &str) -> Result<Option<Line>, String> {
    let text = text.split('#').next().unwrap_or_default().trim();
    let mut characters = text.chars();
    let kind = characters.next();
    let rest = characters.as_str();
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return Err("a line begins with > < @ or # and a space".into());
    }
    match kind {
        None => Ok(None),
        Some('@') => parse_event(rest.trim()).map(Line::Event).map(Some),
        Some('>') => {
            let words = parse_words(rest)?;
            match words.iter().find(|word| matches!(word, Word::AnyBytes | Word::AnyByte | Word::Keep(..))) {
                Some(_) => Err("a command cannot hold .. ?? or name=N".into()),
                None => Ok(Some(Line::Command(words))),
            }
        }
        Some('<') => parse_words(rest).map(Line::Answer).map(Some),
        Some(_) => Err("a line begins with > < @ or # and a space".into()),
    }
}

fn parse_event(text: &str) -> Result<Event, String> {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match (first, rest.trim()) {
        ("power", "on") => Ok(Event::PowerOn),
        ("power", "off") => Ok(Event::PowerOff),
        ("reset", "") => Ok(Event::Reset),
        ("contact", "") => Ok(Event::Over(Interface::Contact)),
        ("contactless", "") => Ok(Event::Over(Interface::Contactless)),
        ("touch", "yes") => Ok(Event::Touch(true)),
        ("touch", "no") => Ok(Event::Touch(false)),
        ("seconds", count) => {
            count.parse().map(Event::Seconds).map_err(|_| format!("{count} is no number of seconds"))
        }
        ("authenticate", "") => Ok(Event::Authenticate),
        ("card", kind) if !kind.is_empty() => Ok(Event::Card(kind.to_owned())),
        ("reader", name) if !name.is_empty() => Ok(Event::Reader(name.to_owned())),
        _ => Err(format!("no such event: {text}")),
    }
}

fn parse_words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('[') {
            Some(inside) => {
                let (inside, after) = inside.split_once(']').ok_or("a [ without its ]")?;
                (parse_bracket(inside.trim())?, after)
            }
            None => {
                let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                (parse_word(word)?, after)
            }
        };
        match (words.last_mut(), word) {
            (Some(Word::Bytes(before)), Word::Bytes(bytes)) => before.extend(bytes),
            (_, word) => words.push(word),
        }
        if words.len() > MOST_WORDS {
            return Err(format!("more than {MOST_WORDS} words"));
        }
        rest = after.trim_start();
    }
    Ok(words)
}

fn parse_bracket(inside: &str) -> Result<Word, String> {
    let (count, what) = inside.split_once(' ').unwrap_or((inside, ""));
    match (count.parse::<usize>(), what) {
        (Ok(count), "bytes hidden") if count <= LONGEST => Ok(Word::Hidden(count)),
        (Ok(count), "wrong bytes") if count <= LONGEST => Ok(Word::Wrong(count)),
        _ if inside.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            Ok(Word::Secret(inside.to_owned()))
        }
        _ => Err(format!("[{inside}] means nothing")),
    }
}

fn parse_word(word: &str) -> Result<Word, String> {
    if let Ok(bytes) = hex::decode(word) {
        return Ok(Word::Bytes(bytes));
    }
    if word == ".." {
        return Ok(Word::AnyBytes);
    }
    if word == "??" {
        return Ok(Word::AnyByte);
    }
    if let Some((name, count)) = word.split_once('=') {
        let count = count.parse().ok().filter(|count| *count <= LONGEST);
        let count = count.ok_or_else(|| format!("{word}: a number of bytes follows ="))?;
        return name_of(name).map(|name| Word::Keep(name, count));
    }
    match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some(("encrypt", name)) => name_of(name).map(Word::Encrypt),
        Some(("decrypt", name)) => name_of(name).map(Word::Decrypt),
        Some((other, _)) => Err(format!("no such function: {other}")),
        None => name_of(word).map(Word::Kept),
    }
}

/// A name of kept bytes: letters, digits, - and _, and no hexadecimal number.
fn name_of(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|each| each.is_ascii_alphanumeric() || "-_".contains(each))
        && hex::decode(text).is_err();
    if is_name { Ok(text.to_owned()) } else { Err(format!("{text} is neither bytes nor a name")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_word_is_read() {
        let lines = parse(
            "# comment\n\n@ card yubikey5 5.7  # fresh\n> 00 2000 80 08 [PIN 2] name encrypt(name) [16 wrong bytes] # VERIFY\n\
             < .. ?? name=4 [3 bytes hidden] 90 00\n@ reader a b",
        )
        .unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(lines[0].line, Line::Event(Event::Card("yubikey5 5.7".into())));
        let Line::Command(words) = &lines[1].line else { panic!() };
        assert_eq!(
            words[1..],
            [
                Word::Secret("PIN 2".into()),
                Word::Kept("name".into()),
                Word::Encrypt("name".into()),
                Word::Wrong(16)
            ]
        );
        let Line::Answer(words) = &lines[2].line else { panic!() };
        assert_eq!(
            words[..4],
            [Word::AnyBytes, Word::AnyByte, Word::Keep("name".into(), 4), Word::Hidden(3)]
        );
        assert_eq!(lines[3].line, Line::Event(Event::Reader("a b".into())));
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        for (text, expected) in [
            ("\nx 00", "line 2: a line begins"),
            (">00 20\n< 90 00", "line 1: a line begins"),
            ("< 90 00", "line 1: an answer without"),
            ("> 00\n> 00\n< 90 00", "line 2: the command before it"),
            ("> 00\n@ reset\n< 90 00", "line 2: the command before it"),
            ("> 00", "line 1: the last command"),
            ("@ melt", "line 1: no such event: melt"),
            ("@ touch perhaps", "line 1: no such event: touch perhaps"),
            ("@ seconds -1", "line 1: -1 is no number"),
            ("> 00 ..\n<", "line 1: a command cannot hold"),
            ("> 00 [PIN\n<", "line 1: a [ without"),
            ("> 00 [16 left shoes]\n<", "line 1: [16 left shoes]"),
            ("> 00 hash(x)\n<", "line 1: no such function: hash"),
            ("> 0\n<", "line 1: 0 is neither"),
            ("> 00\n< name=many", "line 2: name=many"),
            ("> 00\n< name=99999999999", "line 2: name="),
        ] {
            let told = fault(text);
            assert!(told.starts_with(expected), "{text:?}: {told}");
        }
    }
}
