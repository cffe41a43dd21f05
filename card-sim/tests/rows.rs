//! Every row of the standard's command tables has its heading in a transcript, and what stands below shows it. So have
//! the points at which clients disagree; what no transcript can show is a test that is named here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// SP 800-73-5 Part 2 section 3 and 4.1.6: the status words of each command, as its table lists them.
const STATUS_WORDS: [(&str, &str, &str); 9] = [
    ("SELECT", "A4", "6A82 9000"),
    ("GET DATA", "CB", "61xx 6982 6A82 9000"),
    ("VERIFY", "20", "6300 63CX 6982 6983 6A80 6A81 6A86 6A88 9000"),
    ("CHANGE REFERENCE DATA", "24", "63CX 6982 6983 6A80 6A81 6A88 9000"),
    ("RESET RETRY COUNTER", "2C", "63CX 6983 6A80 6A81 6A88 9000"),
    ("GENERAL AUTHENTICATE", "87", "61xx 6982 6A80 6A86 9000"),
    ("PUT DATA", "DB", "6982 6A81 6A84 9000"),
    ("GENERATE ASYMMETRIC KEY PAIR", "47", "61XX 6982 6A80 6A81 6A86 9000"),
    ("KEY ESTABLISHMENT", "87", "61xx 6A80 6A86 9000"),
];

/// Rows whose status word this card never answers, and why. They must not have a heading.
const NEVER_ANSWERED: [(&str, &str); 5] = [
    (
        "VERIFY: 6A81",
        "the command exists over both interfaces; what may not come over one is refused by 6982",
    ),
    ("CHANGE REFERENCE DATA: 6A81", "likewise"),
    ("KEY ESTABLISHMENT: 61xx", "there is no secure messaging yet, hence no key 04"),
    ("KEY ESTABLISHMENT: 6A80", "likewise: P1 and P2 are judged first"),
    ("KEY ESTABLISHMENT: 9000", "likewise"),
];

/// The other tables of Part 2 sections 2.5 and 3, and of Part 1 section 5: what a row is of, and its first columns. And the
/// events that change the security status, which the text of Part 2 section 3 tells one by one.
const OTHER_ROWS: [(&str, &str); 14] = [
    ("state", "Global security status|Currently selected application|Application security status"),
    (
        "command",
        "SELECT|GET DATA|VERIFY|CHANGE REFERENCE DATA|RESET RETRY COUNTER|GENERAL AUTHENTICATE|PUT DATA|\
         GENERATE ASYMMETRIC KEY PAIR",
    ),
    ("application property template", "4F|79|50|5F50|AC"),
    ("coexistent tag allocation authority template", "4F"),
    ("cryptographic algorithm identifier template", "80|06"),
    ("GET DATA data field", "5C"),
    ("dynamic authentication template", "80|81|82|85"),
    ("PUT DATA data field", "7E|7F61|5C|53"),
    ("control reference template", "80|81"),
    ("public key template", "81|82|86"),
    ("reference", "00|80|81|96|97|98"),
    ("key", "04|9A|9B|9C|9D|9E|82 to 95"),
    ("mechanism", "05|07|11|14"),
    (
        "event",
        "power-up, warm or cold reset|SELECT PIV again|SELECT unknown application|SELECT other application|\
         VERIFY succeeds|VERIFY mismatch|VERIFY refused before comparison|VERIFY P1 = FF|\
         CHANGE REFERENCE DATA succeeds|CHANGE REFERENCE DATA mismatch|RESET RETRY COUNTER succeeds|\
         RESET RETRY COUNTER mismatch|AUTHENTICATE step 1 on 9B|AUTHENTICATE step 2 on 9B fails|GET RESPONSE|\
         interrupted chain of GENERAL AUTHENTICATE",
    ),
];

/// The points of `clients_that_disagree.apdu`.
const DISAGREEMENTS: std::ops::RangeInclusive<u8> = 1..=30;

/// The points of `what_matters_most.apdu`; those that no transcript can show, with the test that does.
const WHAT_MATTERS: std::ops::RangeInclusive<u8> = 1..=9;
const SHOWN_ELSEWHERE: [(u8, &str, &str); 3] = [
    (1, "tests/tests/vpcd_pace.rs", "no_command_waits_for_a_delayed_acknowledgement"),
    (2, "tests/tests/foreign_card_tools.rs", "readers_other_than_the_named_one_are_left_alone"),
    (8, "card-sim/tests/state_file.rs", "what_a_card_was_told_is_there_in_the_next_process"),
];

#[test]
fn every_row_of_the_status_word_tables_is_shown() {
    let transcripts = Transcripts::read();
    for (command, instruction, words) in STATUS_WORDS {
        for word in words.split(' ') {
            let row = format!("{command}: {word}");
            if NEVER_ANSWERED.iter().any(|(never, _)| *never == row) {
                assert!(
                    !transcripts.sections.contains_key(&row),
                    "{row} is never answered, and yet has a heading"
                );
                continue;
            }
            let exchanges = transcripts.section(&row);
            let shows = |exchange: &&Exchange| {
                exchange.instruction() == instruction
                    && exchange.ends_with(word)
                    && (command != "KEY ESTABLISHMENT" || exchange.p2() == "04")
            };
            assert!(
                exchanges.iter().any(|exchange| shows(&exchange)),
                "{row}: no answer below it shows that"
            );
        }
    }
}

/// An exception that stops applying must go.
#[test]
fn what_is_never_answered_is_never_answered() {
    let transcripts = Transcripts::read();
    for (row, why) in NEVER_ANSWERED {
        let (command, word) = row.split_once(": ").unwrap();
        let (_, instruction, _) = STATUS_WORDS.iter().find(|(name, ..)| *name == command).unwrap();
        for exchange in transcripts.sections.values().flatten().chain(&transcripts.others) {
            let is_of_the_command = exchange.instruction() == *instruction
                && (command != "KEY ESTABLISHMENT" || exchange.p2() == "04");
            assert!(
                !(is_of_the_command && exchange.ends_with(word)),
                "{row} is said to be never answered ({why}), but here it is: {exchange:?}"
            );
        }
    }
}

#[test]
fn every_row_of_the_other_tables_is_shown() {
    let transcripts = Transcripts::read();
    for (table, rows) in OTHER_ROWS {
        for row in rows.split('|') {
            assert!(
                !transcripts.section(&format!("{table} {row}")).is_empty(),
                "{table} {row} shows nothing"
            );
        }
    }
}

#[test]
fn every_point_at_which_clients_disagree_is_shown() {
    let transcripts = Transcripts::read();
    for number in DISAGREEMENTS {
        assert!(transcripts.shows_point("clients_that_disagree", number), "point {number} is missing");
    }
}

#[test]
fn every_point_that_matters_most_is_shown_here_or_elsewhere() {
    let transcripts = Transcripts::read();
    for number in WHAT_MATTERS {
        let elsewhere = SHOWN_ELSEWHERE.iter().find(|(other, ..)| *other == number);
        match elsewhere {
            None => {
                assert!(transcripts.shows_point("what_matters_most", number), "point {number} is missing")
            }
            Some((_, file, test)) => {
                let text = fs::read_to_string(workspace().join(file)).unwrap_or_else(|_| panic!("no {file}"));
                let definition = format!("fn {test}(");
                let before = text.split(&definition).next().unwrap();
                assert!(
                    before.len() < text.len() && before.trim_end().ends_with("#[test]"),
                    "{file} has no test {test}"
                );
            }
        }
    }
}

/// A heading that no table has would be a row misspelt.
#[test]
fn there_is_no_heading_but_of_a_row() {
    let mut known = BTreeSet::new();
    for (command, _, words) in STATUS_WORDS {
        known.extend(words.split(' ').map(|word| format!("{command}: {word}")));
    }
    for (table, rows) in OTHER_ROWS {
        known.extend(rows.split('|').map(|row| format!("{table} {row}")));
    }
    for heading in Transcripts::read().sections.keys() {
        let is_a_point = heading.split(' ').next().unwrap().parse::<u8>().is_ok();
        assert!(is_a_point || known.contains(heading), "{heading:?} is no row of a table");
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A command and the answer that the transcript wants.
#[derive(Debug, Clone)]
struct Exchange {
    command: String,
    answer: String,
}

impl Exchange {
    /// INS, where the command begins with bytes.
    fn instruction(&self) -> String {
        self.command.replace(' ', "").get(2..4).unwrap_or_default().to_owned()
    }

    fn p2(&self) -> String {
        self.command.replace(' ', "").get(6..8).unwrap_or_default().to_owned()
    }

    /// Whether the answer ends in this status word, in which x or X stands for any digit.
    fn ends_with(&self, word: &str) -> bool {
        let digits = self.answer.replace(' ', "");
        let Some(status) = digits.len().checked_sub(4).and_then(|start| digits.get(start..)) else {
            return false;
        };
        status.chars().zip(word.chars()).all(|(found, wanted)| "xX".contains(wanted) || found == wanted)
    }
}

/// What stands below each heading, and what stands below none.
struct Transcripts {
    sections: BTreeMap<String, Vec<Exchange>>,
    files: BTreeMap<String, String>,
    others: Vec<Exchange>,
}

impl Transcripts {
    fn read() -> Self {
        let mut all = Self { sections: BTreeMap::new(), files: BTreeMap::new(), others: Vec::new() };
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")).unwrap() {
            let path = entry.unwrap().path();
            all.read_file(path.file_stem().unwrap().to_str().unwrap(), &fs::read_to_string(&path).unwrap());
        }
        all
    }

    fn read_file(&mut self, name: &str, text: &str) {
        let mut heading = None;
        let mut command = None;
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("##", row) => {
                    let row = row.trim().to_owned();
                    let twice = self.sections.insert(row.clone(), Vec::new());
                    assert!(twice.is_none(), "{name}.apdu: a second heading {row:?}");
                    self.files.insert(row.clone(), name.to_owned());
                    heading = Some(row);
                }
                (">", bytes) => command = Some(bytes.to_owned()),
                ("<", answer) => {
                    let command =
                        command.take().unwrap_or_else(|| panic!("{name}.apdu: an answer to nothing"));
                    let exchange = Exchange { command, answer: answer.to_owned() };
                    match &heading {
                        Some(row) => self.sections.get_mut(row).unwrap().push(exchange),
                        None => self.others.push(exchange),
                    }
                }
                _ => {}
            }
        }
    }

    fn section(&self, row: &str) -> &[Exchange] {
        self.sections.get(row).unwrap_or_else(|| panic!("no transcript has the heading {row:?}"))
    }

    /// Whether a file has a heading of this number with something below.
    fn shows_point(&self, file: &str, number: u8) -> bool {
        let begins = format!("{number} ");
        self.sections.iter().any(|(row, exchanges)| {
            row.starts_with(&begins) && self.files.get(row).unwrap() == file && !exchanges.is_empty()
        })
    }
}
