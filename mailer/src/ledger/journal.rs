//! What happened to a case: one line of JSON for each event, only ever appended.
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::message::address::Address;

/// What can happen with one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// The message for this recipient is in the outbox.
    Stored,
    /// It is being handed over: until the outcome is known, it may or may not be there.
    Attempted,
    /// The server, or the Maildir, has it.
    Submitted,
    /// It was not taken.
    NotTaken {
        /// Why.
        reason: String,
        /// Whether it is tried again.
        is_final: bool,
    },
    /// There is no certificate to encrypt to, or none that is believed.
    NoCertificate {
        /// Why.
        reason: String,
    },
    /// A good receipt came.
    Receipt(Given),
    /// A receipt came that does not count.
    ReceiptRefused {
        /// The file that was kept.
        file: String,
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        reason: String,
    },
}

/// A good receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// The file that was kept.
    pub file: String,
    /// When, by the recipient's clock.
    pub claimed: Option<Timestamp>,
    /// Before when, by a trusted time stamp.
    pub proven: Option<Timestamp>,
    /// Who signed it, in words.
    pub signer: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    recipient: String,
    #[serde(flatten)]
    event: Event,
}

/// How far the message got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Not begun.
    Pending,
    /// In the outbox.
    Stored,
    /// It was being handed over when the program ended: nobody knows.
    Uncertain,
    /// Handed over.
    Submitted(Timestamp),
    /// Not taken.
    NotTaken {
        /// Why.
        reason: String,
        /// Whether it will never be.
        is_final: bool,
    },
}

/// How it stands with one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientState {
    /// The address.
    pub address: String,
    /// How far the message got.
    pub delivery: Delivery,
    /// The receipt, if there is one.
    pub receipt: Option<Given>,
    /// Receipts that do not count: file, code, reason.
    pub refused: Vec<(String, String, String)>,
}

pub(super) fn line(recipient: &str, event: Event, at: Timestamp) -> String {
    let line = Line { at, recipient: recipient.to_owned(), event };
    let json = serde_json::to_string(&line).expect("an event has only texts and times");
    format!("{json}\n")
}

/// Goes to the end of the journal; a last line that a power cut left unfinished goes away.
pub(super) fn heal(file: &mut File) -> io::Result<()> {
    const LONGEST_LINE: u64 = 64 * 1024;
    let end = file.seek(SeekFrom::End(0))?;
    let start = end.saturating_sub(LONGEST_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|octet| *octet == b'\n').map_or(start, |at| start + at as u64 + 1);
    if whole < end {
        file.set_len(whole)?;
    }
    file.seek(SeekFrom::Start(whole)).map(drop)
}

/// A receipt that does not count, of somebody to whom the message was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrangersReceipt {
    /// Whose it says that it is; empty where even that cannot be told.
    pub from: String,
    /// The file that was kept.
    pub file: String,
    /// Why it does not count, as a stable code.
    pub code: String,
    /// Why, in words.
    pub reason: String,
}

/// Receipts that belong to nobody of the list.
pub(super) fn strangers(record: &Record, journal: &[u8]) -> Result<Vec<StrangersReceipt>, String> {
    let known: HashSet<String> = record.recipients.iter().map(|address| key(address)).collect();
    let receipts = lines(journal)?.into_iter().filter_map(|line| match line.event {
        Event::ReceiptRefused { file, code, reason } if !known.contains(&key(&line.recipient)) => {
            Some(StrangersReceipt { from: line.recipient, file, code, reason })
        }
        _ => None,
    });
    Ok(receipts.collect())
}

/// Reads the journal. A last line that a power cut left unfinished was never relied on, and is passed over.
pub(super) fn states(record: &Record, journal: &[u8]) -> Result<Vec<RecipientState>, String> {
    let mut states: Vec<RecipientState> = record
        .recipients
        .iter()
        .map(|address| RecipientState {
            address: address.clone(),
            delivery: Delivery::Pending,
            receipt: None,
            refused: Vec::new(),
        })
        .collect();
    let positions: HashMap<String, usize> =
        states.iter().enumerate().map(|(position, state)| (key(&state.address), position)).collect();
    for line in lines(journal)? {
        // Receipts from strangers belong to nobody of the list.
        let position = positions.get(&key(&line.recipient)).copied();
        if let Some(state) = position.and_then(|position| states.get_mut(position)) {
            state.apply(line.event, line.at);
        }
    }
    Ok(states)
}

fn lines(journal: &[u8]) -> Result<Vec<Line>, String> {
    let whole = journal.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
    let lines = journal.get(..whole).unwrap_or_default().split(|octet| *octet == b'\n');
    lines
        .enumerate()
        .filter(|(_, text)| !text.is_empty())
        .map(|(number, text)| {
            serde_json::from_slice(text).map_err(|error| format!("line {}: {error}", number + 1))
        })
        .collect()
}

fn key(address: &str) -> String {
    address.parse::<Address>().map_or_else(|_| address.to_owned(), |address| address.key())
}

impl RecipientState {
    fn apply(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::Stored => self.delivery = Delivery::Stored,
            Event::Attempted => self.delivery = Delivery::Uncertain,
            Event::Submitted => self.delivery = Delivery::Submitted(at),
            Event::NotTaken { reason, is_final } => self.delivery = Delivery::NotTaken { reason, is_final },
            Event::NoCertificate { reason } => {
                self.delivery = Delivery::NotTaken { reason, is_final: false };
            }
            Event::Receipt(given) => self.receipt = Some(given),
            Event::ReceiptRefused { file, code, reason } => self.refused.push((file, code, reason)),
        }
    }

    /// Whether the recipient has it.
    pub fn is_submitted(&self) -> bool {
        matches!(self.delivery, Delivery::Submitted(_))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_torn_last_line_is_passed_over_and_healed() {
        let mut file = tempfile::tempfile().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let first = line("bob@x.test", Event::Stored, at);
        file.write_all(first.as_bytes()).unwrap();
        file.write_all(b"{\"at\":\"19").unwrap();
        heal(&mut file).unwrap();
        file.write_all(line("bob@x.test", Event::Submitted, at).as_bytes()).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        let events: Vec<Line> = text
            .split(|octet| *octet == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].event, Event::Submitted);
    }
}
