//! The difference between two byte strings: what a change of state adds to the journal.
//!
//! ```text
//! patch = hunk ...           each: 4 bytes kept, 4 removed, 4 inserted, all counts big-endian; then the inserted bytes
//! ```
//!
//! What follows the last hunk is kept.

use zeroize::Zeroizing;

/// How far a change that keeps the length may reach before it is looked for as an insertion or removal.
const REACH: usize = 64;
/// Equal bytes that end a change; fewer cost less as part of it than a hunk of their own.
const ANCHOR: usize = 16;
const COUNTS: usize = 12;

/// What makes `new` of `old`. A state's changes are few and small: most of a patch is one or two hunks.
pub(super) fn diff(old: &[u8], new: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut patch = Patch::default();
    let (mut old, mut new) = (old, new);
    loop {
        let kept = common_prefix(old, new);
        (old, new) = (from(old, kept), from(new, kept));
        patch.keep(kept);
        if old.is_empty() && new.is_empty() {
            return patch.bytes;
        }
        let Some(changed) = length_of_change(old, new) else { break };
        patch.replace(changed, new.get(..changed).unwrap_or_default());
        (old, new) = (from(old, changed), from(new, changed));
    }
    let shorter = old.len().min(new.len());
    let tail = old.iter().rev().zip(new.iter().rev()).take(shorter).take_while(|(a, b)| a == b).count();
    patch.replace(old.len() - tail, new.get(..new.len() - tail).unwrap_or_default());
    patch.bytes
}

/// Applies a patch; `None` when it was made for something else.
pub(super) fn apply(old: &[u8], patch: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // Room for everything, so that growing leaves no copies in freed memory.
    let mut new = Zeroizing::new(Vec::with_capacity(old.len() + patch.len()));
    let (mut old, mut patch) = (old, patch);
    while !patch.is_empty() {
        let (counts, rest) = patch.split_at_checked(COUNTS)?;
        let count = |at: usize| {
            let bytes = counts.get(at..at + 4)?;
            usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
        };
        let (kept, behind) = old.split_at_checked(count(0)?)?;
        let (_, behind) = behind.split_at_checked(count(4)?)?;
        let (inserted, rest) = rest.split_at_checked(count(8)?)?;
        new.extend_from_slice(kept);
        new.extend_from_slice(inserted);
        (old, patch) = (behind, rest);
    }
    new.extend_from_slice(old);
    Some(new)
}

#[derive(Default)]
struct Patch {
    bytes: Zeroizing<Vec<u8>>,
    kept: usize,
}

impl Patch {
    fn keep(&mut self, count: usize) {
        self.kept += count;
    }

    fn replace(&mut self, removed: usize, inserted: &[u8]) {
        let mut grown = Zeroizing::new(Vec::with_capacity(self.bytes.len() + COUNTS + inserted.len()));
        grown.extend_from_slice(&self.bytes);
        for count in [self.kept, removed, inserted.len()] {
            grown.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        }
        grown.extend_from_slice(inserted);
        self.bytes = grown;
        self.kept = 0;
    }
}

/// The length of a change that lies between equal bytes, if it ends within reach.
fn length_of_change(old: &[u8], new: &[u8]) -> Option<usize> {
    let reach = REACH.min(old.len()).min(new.len());
    (1..=reach).find(|length| match (from(old, *length), from(new, *length)) {
        ([], []) => true,
        (old, new) => old.get(..ANCHOR).is_some_and(|anchor| new.get(..ANCHOR) == Some(anchor)),
    })
}

fn common_prefix(old: &[u8], new: &[u8]) -> usize {
    const BLOCK: usize = 256;
    let blocks =
        old.chunks_exact(BLOCK).zip(new.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    blocks + from(old, blocks).iter().zip(from(new, blocks)).take_while(|(a, b)| a == b).count()
}

fn from(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        (0..2000_u32).flat_map(|n| (n * n * 31).to_be_bytes()).collect()
    }

    #[test]
    fn a_counter_and_an_object_take_two_small_hunks() {
        let old = sample();
        let mut new = old.clone();
        new[10] ^= 1;
        new.splice(5000..5000, [7; 100]);
        let patch = diff(&old, &new);
        assert!(patch.len() < 100 + 3 * COUNTS + ANCHOR, "{}", patch.len());
        assert_eq!(*apply(&old, &patch).unwrap(), new);
        let back = diff(&new, &old);
        assert!(back.len() < 3 * COUNTS + ANCHOR, "{}", back.len());
        assert_eq!(*apply(&new, &back).unwrap(), old);
    }

    #[test]
    fn nothing_changed_is_an_empty_patch() {
        assert!(diff(&sample(), &sample()).is_empty());
        assert_eq!(*apply(&sample(), &[]).unwrap(), sample());
    }

    /// Few values, so that equal stretches are common.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0..3_u8, 0..600)
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_of_the_old(old in bytes(), new in bytes()) {
            prop_assert_eq!(&*apply(&old, &diff(&old, &new)).unwrap(), &new);
        }

        #[test]
        fn a_patch_makes_an_edited_one(old in bytes(), at in 0..600_usize, removed in 0..50_usize, added in bytes()) {
            let at = at.min(old.len());
            let end = (at + removed).min(old.len());
            let mut new = old.clone();
            new.splice(at..end, added);
            prop_assert_eq!(&*apply(&old, &diff(&old, &new)).unwrap(), &new);
        }

        #[test]
        fn no_bytes_make_it_panic(old in bytes(), patch in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = apply(&old, &patch);
        }
    }
}
