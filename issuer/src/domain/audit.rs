//! The audit log: every event carries the hash of the one before it.
//!
//! ```text
//! hash = SHA-256( "issuer event" LF sequence LF at LF actor LF subject LF kind LF detail LF previous LF )
//! ```
//!
//! `previous` is the hash before in lower-case hex, 64 zeros for the first event. None of the fields holds a line feed,
//! so that two different events never give the same text; anybody can compute it with `sha256sum`. `detail` is the event
//! as compact JSON, exactly as it is stored.
//!
//! A chain tells of every event that was changed, inserted, moved or taken out before its end; that its end was cut off is
//! told only by a copy of the last hash that was kept elsewhere.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::approval::ApprovalId;
use super::card::CardId;
use super::cardholder::{CardholderId, MalformedField};
use super::certificate::{AuthorityName, SerialNumber};
use super::operator::OperatorId;
use super::request::RequestId;
use super::unicode::{composed, hidden_character};

/// Who did it: 1 to 100 characters that can all be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Takes a name.
    ///
    /// # Errors
    /// Empty, too long, or with something hidden in it.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let text = composed(text.trim());
        let is_fine = (1..=100).contains(&text.chars().count()) && hidden_character(&text).is_none();
        if is_fine {
            return Ok(Self(text));
        }
        let reason = "who does it is named by 1 to 100 characters that can all be seen";
        Err(MalformedField(reason.to_owned()))
    }

    /// For what an earlier program did, which did not write down who.
    pub fn unrecorded() -> Self {
        Self("unrecorded".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whom or what an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A card.
    Card(CardId),
    /// A certificate.
    Certificate(SerialNumber),
    /// A person.
    Person(CardholderId),
    /// A request.
    Request(RequestId),
    /// What needs a second operator.
    Approval(ApprovalId),
    /// An authority.
    Authority(AuthorityName),
    /// Who does something at the desk.
    Operator(OperatorId),
    /// The registry as a whole.
    Registry,
}

impl Subject {
    /// Reads a topic back: what [`fmt::Display`] says of what is no person, card, certificate or request.
    pub fn from_topic(text: &str) -> Option<Self> {
        let number = |prefix: &str| text.strip_prefix(prefix)?.parse::<i64>().ok();
        let approval = || number("approval ").map(|id| Self::Approval(ApprovalId(id)));
        let operator = || number("operator ").map(|id| Self::Operator(OperatorId(id)));
        let authority = || AuthorityName::parse(text.strip_prefix("authority ")?).map(Self::Authority);
        if text == "registry" {
            return Some(Self::Registry);
        }
        approval().or_else(operator).or_else(authority)
    }
}

impl fmt::Display for Subject {
    /// As it stands in the hashed text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(id) => write!(f, "card {}", id.0),
            Self::Certificate(serial) => write!(f, "certificate {serial}"),
            Self::Person(id) => write!(f, "person {}", id.0),
            Self::Request(id) => write!(f, "request {}", id.0),
            Self::Approval(id) => write!(f, "approval {}", id.0),
            Self::Authority(name) => write!(f, "authority {name}"),
            Self::Operator(id) => write!(f, "operator {}", id.0),
            Self::Registry => f.write_str("registry"),
        }
    }
}

/// The hash of an event, which stands for it and everything before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What stands before the first event.
    pub const START: Self = Self([0; 32]);

    /// Takes 32 octets.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The SHA-256 of these octets.
    pub fn of(octets: &[u8]) -> Self {
        Self(Sha256::digest(octets).into())
    }

    /// A finished digest.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// How many events there are; the number of the last.
    pub sequence: u64,
    /// The hash of the last.
    pub hash: ChainHash,
}

impl ChainEnd {
    /// Of an empty chain.
    pub const START: Self = Self { sequence: 0, hash: ChainHash::START };
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// 1, 2, ... without gaps.
    pub sequence: u64,
    /// When it happened, in whole seconds.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// Whom it is about.
    pub subject: Subject,
    /// The event's name.
    pub kind: String,
    /// The event, compact JSON.
    pub detail: String,
}

impl AuditRecord {
    /// As it is lent.
    pub fn lent(&self) -> LentRecord<'_> {
        let Self { sequence, at, actor, subject, kind, detail } = self;
        let (sequence, at, subject) = (*sequence, *at, subject.clone());
        LentRecord { sequence, at, actor, subject, kind, detail }
    }

    /// The text whose hash is the event's.
    pub fn text(&self, previous: &ChainHash) -> String {
        self.lent().text(previous).to_string()
    }

    /// The hash that stands for this event after `previous`.
    pub fn hash(&self, previous: &ChainHash) -> ChainHash {
        self.lent().hash(previous)
    }
}

/// The same, of texts that lie elsewhere: there may be millions of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LentRecord<'a> {
    /// 1, 2, ... without gaps.
    pub sequence: u64,
    /// When it happened, in whole seconds.
    pub at: Timestamp,
    /// Who did it.
    pub actor: &'a str,
    /// Whom it is about.
    pub subject: Subject,
    /// The event's name.
    pub kind: &'a str,
    /// The event, compact JSON.
    pub detail: &'a str,
}

impl LentRecord<'_> {
    fn text(&self, previous: &ChainHash) -> impl fmt::Display {
        let Self { sequence, at, actor, subject, kind, detail } = self;
        fmt::from_fn(move |f| {
            write!(f, "issuer event\n{sequence}\n{at}\n{actor}\n{subject}\n{kind}\n{detail}\n{previous}\n")
        })
    }

    /// The hash that stands for this event after `previous`.
    pub fn hash(&self, previous: &ChainHash) -> ChainHash {
        let mut hashing = Hashing(Sha256::new());
        // Nothing that is written refuses, and neither does a digest.
        let _ = fmt::write(&mut hashing, format_args!("{}", self.text(previous)));
        ChainHash(hashing.0.finalize().into())
    }
}

/// Hashes what is written.
struct Hashing(Sha256);

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text);
        Ok(())
    }
}

/// What is wrong with a chain; the number is that of the first event that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenChain {
    /// A number is missing or there twice.
    #[error("event {expected} is missing: {found} follows")]
    Gap {
        /// What should come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// It does not follow the one before.
    #[error("event {0} does not follow the event before it: one of them was changed or exchanged")]
    NotLinked(u64),
    /// Its content is not what its hash says.
    #[error("event {0} was changed after it was written")]
    Changed(u64),
    /// The end is not the one that was written down.
    #[error(
        "the log ends with event {found}, and {recorded} was the last one written: its end was cut off or added to"
    )]
    WrongEnd {
        /// The last event there is.
        found: u64,
        /// The last one written.
        recorded: u64,
    },
}

/// Checks a chain event by event, in constant memory.
#[derive(Clone, Copy, Debug)]
pub struct ChainCheck(ChainEnd);

impl Default for ChainCheck {
    fn default() -> Self {
        Self(ChainEnd::START)
    }
}

impl ChainCheck {
    /// Of the events after one that is known.
    pub const fn after(end: ChainEnd) -> Self {
        Self(end)
    }

    /// Takes the next event, with the two hashes that are stored beside it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next(
        &mut self,
        record: &LentRecord<'_>,
        previous: &ChainHash,
        hash: &ChainHash,
    ) -> Result<(), BrokenChain> {
        let expected = self.0.sequence.saturating_add(1);
        if record.sequence != expected {
            return Err(BrokenChain::Gap { expected, found: record.sequence });
        }
        if *previous != self.0.hash {
            return Err(BrokenChain::NotLinked(record.sequence));
        }
        if record.hash(previous) != *hash {
            return Err(BrokenChain::Changed(record.sequence));
        }
        self.0 = ChainEnd { sequence: record.sequence, hash: *hash };
        Ok(())
    }

    /// Compares the end with the one that was written down.
    ///
    /// # Errors
    /// [`BrokenChain::WrongEnd`].
    pub fn finish(self, recorded: ChainEnd) -> Result<ChainEnd, BrokenChain> {
        if self.0 == recorded {
            return Ok(recorded);
        }
        Err(BrokenChain::WrongEnd { found: self.0.sequence, recorded: recorded.sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64) -> AuditRecord {
        AuditRecord {
            sequence,
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            actor: "alice".to_owned(),
            subject: Subject::Card(CardId(5)),
            kind: "card-received".to_owned(),
            detail: "{\"event\":\"card-received\"}".to_owned(),
        }
    }

    fn chain(length: u64) -> Vec<(AuditRecord, ChainHash, ChainHash)> {
        let mut previous = ChainHash::START;
        let mut links = Vec::new();
        for sequence in 1..=length {
            let record = record(sequence);
            let hash = record.hash(&previous);
            links.push((record, previous, hash));
            previous = hash;
        }
        links
    }

    fn check(links: &[(AuditRecord, ChainHash, ChainHash)], end: ChainEnd) -> Result<ChainEnd, BrokenChain> {
        let mut check = ChainCheck::default();
        for (record, previous, hash) in links {
            check.next(&record.lent(), previous, hash)?;
        }
        check.finish(end)
    }

    /// The format is a promise to auditors: computed with `sha256sum` from the text in this module's header.
    #[test]
    fn the_hash_is_that_of_the_documented_text() {
        let text = record(1).text(&ChainHash::START);
        assert_eq!(
            text,
            format!(
                "issuer event\n1\n2027-01-15T08:00:00Z\nalice\ncard 5\ncard-received\n{{\"event\":\"card-received\"}}\n{}\n",
                "0".repeat(64)
            )
        );
        assert_eq!(
            record(1).hash(&ChainHash::START).to_string(),
            "1e2395bcdd0e6e5850400da6d91efe174b49f54a9b6fe6a05706274e4f4526a4"
        );
    }

    #[test]
    fn what_was_changed_moved_or_cut_off_is_noticed() {
        let links = chain(4);
        let end = ChainEnd { sequence: 4, hash: links[3].2 };
        assert_eq!(check(&links, end), Ok(end));
        assert_eq!(check(&[], ChainEnd::START), Ok(ChainEnd::START));

        for changed in [
            AuditRecord { actor: "mallory".to_owned(), ..record(2) },
            AuditRecord { subject: Subject::Card(CardId(6)), ..record(2) },
            AuditRecord { detail: "{}".to_owned(), ..record(2) },
            AuditRecord { at: Timestamp::from_second(1).unwrap(), ..record(2) },
        ] {
            let mut links = links.clone();
            links[1].0 = changed.clone();
            assert_eq!(check(&links, end), Err(BrokenChain::Changed(2)));
            // Whoever computes the hash anew breaks the next link.
            links[1].2 = changed.hash(&links[1].1);
            assert_eq!(check(&links, end), Err(BrokenChain::NotLinked(3)));
        }
        let mut without = links.clone();
        without.remove(1);
        assert_eq!(check(&without, end), Err(BrokenChain::Gap { expected: 2, found: 3 }));
        assert_eq!(check(&links[..3], end), Err(BrokenChain::WrongEnd { found: 3, recorded: 4 }));
    }

    #[test]
    fn a_topic_reads_back() {
        for subject in [
            Subject::Approval(ApprovalId(3)),
            Subject::Authority(AuthorityName::People),
            Subject::Operator(OperatorId(4)),
            Subject::Registry,
        ] {
            assert_eq!(Subject::from_topic(&subject.to_string()), Some(subject));
        }
        for text in ["", "card 5", "operator x", "authority mars"] {
            assert_eq!(Subject::from_topic(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_actor_is_one_visible_line() {
        assert_eq!(Actor::new(" alice@desk-1 ").unwrap().as_str(), "alice@desk-1");
        for text in ["", "a\nb", "a\u{202E}b", &"a".repeat(101)] {
            assert!(Actor::new(text).is_err(), "{text:?}");
        }
    }
}
