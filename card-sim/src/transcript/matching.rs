//! Whether an answer is what a transcript says.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

/// A word of a pattern, its insertions filled in.
pub(super) enum Expected {
    Bytes(Zeroizing<Vec<u8>>),
    AnyBytes,
    Any(usize),
    Keep(String, usize),
}

/// Bytes that were kept, by name.
pub(super) type Kept = Vec<(String, Vec<u8>)>;

/// The kept bytes, if the pattern matches all of the answer.
pub(super) fn matched(pattern: &[Expected], answer: &[u8]) -> Option<Kept> {
    let mut matching = Matching { pattern, answer, failed: BTreeSet::new() };
    let mut kept = matching.from(0, 0)?;
    kept.reverse();
    Some(kept)
}

struct Matching<'a> {
    pattern: &'a [Expected],
    answer: &'a [u8],
    /// Words and places that were tried in vain: with several `..` they come again and again.
    failed: BTreeSet<(usize, usize)>,
}

impl Matching<'_> {
    /// Matches the words from `word` with the bytes from `at`; what is kept, last first.
    fn from(&mut self, word: usize, at: usize) -> Option<Kept> {
        if self.failed.contains(&(word, at)) {
            return None;
        }
        let result = self.attempt(word, at);
        if result.is_none() {
            self.failed.insert((word, at));
        }
        result
    }

    fn attempt(&mut self, word: usize, at: usize) -> Option<Kept> {
        let rest = self.answer.get(at..)?;
        match self.pattern.get(word) {
            None => rest.is_empty().then(Vec::new),
            Some(Expected::Bytes(bytes)) if rest.starts_with(bytes) => self.from(word + 1, at + bytes.len()),
            Some(Expected::Bytes(_)) => None,
            Some(Expected::Any(count)) => self.from(word + 1, at + count),
            Some(Expected::AnyBytes) => (at..=self.answer.len()).find_map(|at| self.from(word + 1, at)),
            Some(Expected::Keep(name, count)) => {
                let value = rest.get(..*count)?.to_vec();
                let name = name.clone();
                let mut kept = self.from(word + 1, at + count)?;
                kept.push((name, value));
                Some(kept)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: &[u8]) -> Expected {
        Expected::Bytes(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn words_match_and_keep() {
        let pattern = [bytes(&[1]), Expected::AnyBytes, Expected::Keep("x".into(), 2), bytes(&[0x90, 0])];
        assert_eq!(matched(&pattern, &[1, 2, 3, 0x90, 0]), Some(vec![("x".into(), vec![2, 3])]));
        assert_eq!(matched(&pattern, &[1, 7, 7, 2, 3, 0x90, 0]), Some(vec![("x".into(), vec![2, 3])]));
        assert_eq!(matched(&pattern, &[1, 2, 0x90, 0]), None);
        assert_eq!(matched(&[Expected::Any(2)], &[5, 6]), Some(vec![]));
        assert_eq!(matched(&[Expected::Any(2)], &[5]), None);
        assert_eq!(matched(&[], &[]), Some(vec![]));
    }

    #[test]
    fn many_gaps_take_no_time() {
        let mut pattern: Vec<Expected> = (0..20).flat_map(|_| [Expected::AnyBytes, bytes(&[0])]).collect();
        pattern.push(bytes(&[1]));
        assert_eq!(matched(&pattern, &[0; 200]), None);
    }
}
