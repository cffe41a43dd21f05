//! How far a log was checked before, kept where whoever holds the database alone cannot write: so that the next check begins
//! there, and still notices what was changed before it.
//!
//! ```text
//! issuer checked log
//! 4711                                 the number of the last event that was checked
//! 8f8a...86                            its hash, which stands for all before it
//! 51c0...9d                            SHA-256 of the events up to it that were relied on
//! ```

use super::audit::{ChainEnd, ChainHash};

/// A log up to an event, and what of it was relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedLog {
    /// Up to where it was checked.
    pub end: ChainEnd,
    /// What stands for the events until there that say who may be let in.
    pub relied: ChainHash,
}

const TITLE: &str = "issuer checked log";

impl CheckedLog {
    /// What stands for these events: number and hash of each, as far as `until`.
    pub fn relied(events: &[(u64, ChainHash)], until: u64) -> ChainHash {
        let counted = events.iter().filter(|(sequence, _)| *sequence <= until);
        let text: String = counted.map(|(sequence, hash)| format!("{sequence} {hash}\n")).collect();
        ChainHash::of(text.as_bytes())
    }

    /// As it is kept.
    pub fn text(&self) -> String {
        let Self { end: ChainEnd { sequence, hash }, relied } = self;
        format!("{TITLE}\n{sequence}\n{hash}\n{relied}\n")
    }

    /// Reads [`Self::text`] back; what is anything else is nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = |line: &str| ChainHash::from_bytes(&hex::decode(line).ok()?);
        let mut lines = text.lines();
        (lines.next()? == TITLE).then_some(())?;
        let sequence = lines.next()?.parse().ok()?;
        let (end, relied) = (hash(lines.next()?)?, hash(lines.next()?)?);
        lines.next().is_none().then_some(Self { end: ChainEnd { sequence, hash: end }, relied })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_nothing_else_does() {
        let events = [(3, ChainHash::of(b"three")), (9, ChainHash::of(b"nine"))];
        let end = ChainEnd { sequence: 5, hash: ChainHash::of(b"five") };
        let checked = CheckedLog { end, relied: CheckedLog::relied(&events, 5) };
        let text = checked.text();
        assert_eq!(CheckedLog::parse(&text), Some(checked));
        for other in [
            "",
            "issuer checked log\n5\n",
            text.trim_start_matches('i'),
            &text.replace('5', "x"),
            &format!("{text}\n"),
        ] {
            assert_eq!(CheckedLog::parse(other), None, "{other:?}");
        }
        assert_eq!(checked.relied, CheckedLog::relied(&events[..1], 5), "what comes later does not count");
        assert_ne!(checked.relied, CheckedLog::relied(&events, 9));
    }
}
