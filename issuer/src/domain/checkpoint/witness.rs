//! A log beside the checkpoints of it that somebody kept elsewhere: what was put back, cut off or written anew shows,
//! also when whoever did it holds the database and every key of the desk.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Checkpoint, SignedCheckpoint};
use crate::domain::audit::{ChainEnd, ChainHash};

/// The last event that a witness has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSeen {
    /// Its number.
    pub event: u64,
    /// Its hash, hex.
    pub hash: String,
    /// When it happened.
    pub at: Timestamp,
}

impl LastSeen {
    /// That of a checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { end, at, .. } = checkpoint;
        Self { event: end.sequence, hash: end.hash.to_string(), at: *at }
    }
}

impl fmt::Display for LastSeen {
    /// On one line, as [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.event, self.hash, self.at)
    }
}

impl FromStr for LastSeen {
    type Err = super::MalformedCheckpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut words = text.split(' ');
            let (event, hash, at) = (words.next()?, words.next()?, words.next()?);
            let seen = Self { event: event.parse().ok()?, hash: hash.to_owned(), at: at.parse().ok()? };
            (super::is_digest(hash) && seen.to_string() == text).then_some(seen)
        };
        read().ok_or(super::MalformedCheckpoint)
    }
}

/// Whether the log holds together with itself and with the states beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWord {
    /// It does.
    Consistent,
    /// It does not: something was changed past the program.
    Inconsistent,
}

/// A log as it is found.
#[derive(Clone, Debug)]
pub struct FoundLog {
    /// Whose: the root certificate's key identifier, hex.
    pub log: String,
    /// Where it ends.
    pub end: ChainEnd,
    /// When its last event happened.
    pub at: Option<Timestamp>,
    /// The highest CRL number of each authority.
    pub crls: BTreeMap<String, u64>,
    /// Whether it holds together by itself.
    pub own_word: OwnWord,
}

/// How a log differs from what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discrepancy {
    /// The witness is of another issuer.
    #[error("the witness is of another issuer's log (root {witnessed}), this is the log of root {found}")]
    OtherLog {
        /// This one's root.
        found: String,
        /// The witness's.
        witnessed: String,
    },
    /// Whole, but older.
    #[error(
        "an older copy of the registry was put back: it ends with event {end}{}, and event {witnessed} was seen on {witnessed_at}; {} events are missing, with every revocation and certificate among them",
        .at.map(|at| format!(" of {at}")).unwrap_or_default(), .witnessed - .end
    )]
    Restored {
        /// The last event there is.
        end: u64,
        /// When it happened.
        at: Option<Timestamp>,
        /// The last that was seen.
        witnessed: u64,
        /// When that happened.
        witnessed_at: Timestamp,
    },
    /// Shorter, and the states know more than the log.
    #[error(
        "the end of the log was cut off: it ends with event {end}, and event {witnessed} was seen on {witnessed_at}"
    )]
    Truncated {
        /// The last event there is.
        end: u64,
        /// The last that was seen.
        witnessed: u64,
        /// When that happened.
        witnessed_at: Timestamp,
    },
    /// Another history.
    #[error(
        "the log was written anew after event {agrees_until}: event {differs_at} is not the one that was seen on {witnessed_at} (it was rewritten, or an older copy was put back and worked with)"
    )]
    Rewritten {
        /// The last event that is known to be the one that was seen.
        agrees_until: u64,
        /// The first that is known to be another.
        differs_at: u64,
        /// When the one that was seen happened.
        witnessed_at: Timestamp,
    },
    /// CRL numbers went backwards.
    #[error(
        "the highest CRL number of the authority {authority} is {found}, and {witnessed} was seen before"
    )]
    CrlNumberBehind {
        /// Whose.
        authority: String,
        /// There is.
        found: u64,
        /// There was.
        witnessed: u64,
    },
}

impl Discrepancy {
    /// A stable word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherLog { .. } => "other-log",
            Self::Restored { .. } => "restored",
            Self::Truncated { .. } => "truncated",
            Self::Rewritten { .. } => "rewritten",
            Self::CrlNumberBehind { .. } => "crl-number-behind",
        }
    }
}

/// Compares a log with what was seen of it. `hash_at` is the hash of an event of the log as it is now.
pub fn compare(
    found: &FoundLog,
    witnessed: &[SignedCheckpoint],
    hash_at: impl Fn(u64) -> Option<ChainHash>,
) -> Vec<Discrepancy> {
    let mut seen: Vec<&Checkpoint> = witnessed.iter().map(|signed| &signed.checkpoint).collect();
    if let Some(other) = seen.iter().find(|checkpoint| checkpoint.log != found.log) {
        return vec![Discrepancy::OtherLog { found: found.log.clone(), witnessed: other.log.clone() }];
    }
    seen.sort_by_key(|checkpoint| checkpoint.end.sequence);
    let mut discrepancies = Vec::new();
    let mut agrees_until = 0;
    let mut is_rewritten = false;
    for checkpoint in seen.iter().filter(|checkpoint| checkpoint.end.sequence <= found.end.sequence) {
        if hash_at(checkpoint.end.sequence) == Some(checkpoint.end.hash) {
            agrees_until = checkpoint.end.sequence;
            continue;
        }
        let (differs_at, witnessed_at) = (checkpoint.end.sequence, checkpoint.at);
        discrepancies.push(Discrepancy::Rewritten { agrees_until, differs_at, witnessed_at });
        is_rewritten = true;
        break;
    }
    if let Some(last) = seen.last().filter(|last| last.end.sequence > found.end.sequence && !is_rewritten) {
        let (end, witnessed, witnessed_at) = (found.end.sequence, last.end.sequence, last.at);
        discrepancies.push(match found.own_word {
            OwnWord::Consistent => Discrepancy::Restored { end, at: found.at, witnessed, witnessed_at },
            OwnWord::Inconsistent => Discrepancy::Truncated { end, witnessed, witnessed_at },
        });
    }
    let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
    for (authority, number) in seen.iter().flat_map(|checkpoint| &checkpoint.crls) {
        let known = highest.entry(authority).or_default();
        *known = (*known).max(*number);
    }
    for (authority, witnessed) in highest {
        let found = found.crls.get(authority).copied().unwrap_or_default();
        if found < witnessed {
            let authority = authority.to_owned();
            discrepancies.push(Discrepancy::CrlNumberBehind { authority, found, witnessed });
        }
    }
    discrepancies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::checkpoint::AuditKeyId;

    fn hash(history: u8, sequence: u64) -> ChainHash {
        ChainHash::of(&[&[history], &sequence.to_be_bytes()[..]].concat())
    }

    fn seen(history: u8, sequence: u64, crl: u64) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            log: "01".to_owned(),
            end: ChainEnd { sequence, hash: hash(history, sequence) },
            batch: ChainHash::START,
            previous: ChainHash::START,
            at: Timestamp::from_second(i64::try_from(sequence).unwrap()).unwrap(),
            crls: BTreeMap::from([("people".to_owned(), crl)]),
            key: AuditKeyId::of(b"key"),
        };
        SignedCheckpoint { checkpoint, signature: Vec::new() }
    }

    fn found(end: u64, own_word: OwnWord) -> FoundLog {
        FoundLog {
            log: "01".to_owned(),
            end: ChainEnd { sequence: end, hash: hash(1, end) },
            at: None,
            crls: BTreeMap::from([("people".to_owned(), 4)]),
            own_word,
        }
    }

    fn codes(found: &FoundLog, witness: &[SignedCheckpoint]) -> Vec<&'static str> {
        compare(found, witness, |sequence| Some(hash(1, sequence))).iter().map(Discrepancy::code).collect()
    }

    #[test]
    fn each_way_of_changing_a_log_has_its_name() {
        let witness = [seen(1, 3, 2), seen(1, 7, 4)];
        let whole = found(9, OwnWord::Consistent);
        assert!(codes(&whole, &[]).is_empty());
        assert!(codes(&whole, &witness).is_empty());
        assert_eq!(codes(&found(5, OwnWord::Consistent), &witness), ["restored"]);
        assert_eq!(codes(&found(5, OwnWord::Inconsistent), &witness), ["truncated"]);
        assert_eq!(codes(&whole, &[seen(1, 3, 2), seen(2, 7, 4)]), ["rewritten"]);
        assert_eq!(codes(&whole, &[seen(1, 7, 5)]), ["crl-number-behind"]);
        let other = FoundLog { log: "02".to_owned(), ..whole };
        assert_eq!(codes(&other, &witness), ["other-log"]);
    }

    #[test]
    fn what_was_seen_last_reads_back_and_nothing_else_does() {
        let last = LastSeen::of(&seen(1, 7, 4).checkpoint);
        let text = last.to_string();
        assert_eq!(text.parse(), Ok(last));
        for other in ["", "7", text.get(..40).unwrap(), &format!("{text} "), &text.replace("7 ", "07 ")] {
            assert!(other.parse::<LastSeen>().is_err(), "{other:?}");
        }
    }

    #[test]
    fn what_was_rewritten_is_narrowed_down_between_two_checkpoints() {
        let witness = [seen(2, 8, 4), seen(1, 3, 2), seen(1, 5, 4), seen(2, 20, 4)];
        let found = found(9, OwnWord::Consistent);
        let discrepancies = compare(&found, &witness, |sequence| Some(hash(1, sequence)));
        let [Discrepancy::Rewritten { agrees_until: 5, differs_at: 8, .. }] = discrepancies.as_slice() else {
            panic!("{discrepancies:?}")
        };
    }
}
