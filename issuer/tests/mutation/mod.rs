//! Inputs changed at random, the same way each time: octets, pieces, and whole DER elements with the lengths around them put
//! right.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

/// A small generator of numbers (xorshift64*); the same seed gives the same run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }

    fn octet(&mut self) -> u8 {
        const TELLING: [u8; 12] = [0, 1, 2, 4, 5, 6, 0x30, 0x7F, 0x80, 0x81, 0xA0, 0xFF];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

/// Changes an input one to four times; `others` lend their parts.
pub(crate) fn mutated(seed: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut changed = seed.to_vec();
    for _ in 0..=chance.below(4) {
        let (at, length) = (chance.below(changed.len() + 1), chance.below(40));
        let end = (at + length).min(changed.len());
        match chance.below(8) {
            0 if at < changed.len() => changed[at] = chance.octet(),
            1 if at < changed.len() => changed[at] ^= 1 << chance.below(8),
            2 => drop(changed.drain(at..end)),
            3 => changed.insert(at, chance.octet()),
            4 => {
                let piece = changed[at..end].repeat(2 + chance.below(20));
                changed.splice(at..end, piece);
            }
            5 => {
                let other = &others[chance.below(others.len())];
                changed.truncate(at);
                changed.extend_from_slice(&other[chance.below(other.len() + 1)..]);
            }
            _ => changed = element(&changed, others, chance).unwrap_or(changed),
        }
        changed.truncate(100_000);
    }
    changed
}

/// Removes, doubles, retags or exchanges one element of DER; the lengths around it are put right.
fn element(input: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Option<Vec<u8>> {
    let (contents, end) = header(input, 0)?;
    let mut children = vec![];
    let mut at = contents;
    while at < end {
        let (_, next) = header(input, at).filter(|(_, next)| *next <= end)?;
        children.push(input[at..next].to_vec());
        at = next;
    }
    if children.is_empty() {
        return None;
    }
    let one = chance.below(children.len());
    match chance.below(6) {
        0 => drop(children.remove(one)),
        1 => children.insert(one, children[one].clone()),
        2 => children[one][0] = chance.octet(),
        3 => {
            let other = &others[chance.below(others.len())];
            let (inside, _) = header(other, 0)?;
            let (_, next) = header(other, inside).filter(|(_, next)| *next <= other.len())?;
            children.insert(one, other[inside..next].to_vec());
        }
        _ if children[one][0] & 0x20 != 0 => children[one] = element(&children[one], others, chance)?,
        _ => {
            let value: Vec<u8> = (0..chance.below(300)).map(|_| chance.octet()).collect();
            children[one] = encoded(children[one][0], &value);
        }
    }
    Some([encoded(input[0], &children.concat()), input[end..].to_vec()].concat())
}

/// Where the contents of the element at this place begin and end.
fn header(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let (contents, length) = match *input.get(at + 1)? {
        length if length < 0x80 => (at + 2, usize::from(length)),
        0x81 => (at + 3, usize::from(*input.get(at + 2)?)),
        0x82 => (at + 4, usize::from(*input.get(at + 2)?) << 8 | usize::from(*input.get(at + 3)?)),
        _ => return None,
    };
    (contents + length <= input.len()).then_some((contents, contents + length))
}

fn encoded(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let header = match contents.len() {
        ..0x80 => vec![tag, length[7]],
        0x80..0x100 => vec![tag, 0x81, length[7]],
        0x100..0x1_0000 => vec![tag, 0x82, length[6], length[7]],
        _ => vec![tag, 0x83, length[5], length[6], length[7]],
    };
    [&header, contents].concat()
}
