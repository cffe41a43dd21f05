//! Inputs changed at random, the same way each time: octets, lines, and whole ASN.1 elements with the lengths around them
//! put right, so that a change reaches what lies deep inside.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test program uses its part"
)]

/// A small generator of numbers (splitmix64); the same seed gives the same run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from(self.next() % limit).unwrap()
    }

    fn octet(&mut self) -> u8 {
        const TELLING: [u8; 16] =
            [0, 1, 2, 4, 5, 6, 0x24, 0x30, 0x31, 0x7F, 0x80, 0x81, 0x84, 0xA0, 0xFF, b'\n'];
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next().to_le_bytes()[0] }
    }
}

/// Changes an input one to five times; `others` lend their parts.
pub(crate) fn mutated(seed: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut changed = seed.to_vec();
    for _ in 0..=chance.below(5) {
        changed = match chance.below(12) {
            0 | 1 => octet(changed, chance),
            2 => removed(changed, chance),
            3 => repeated(changed, chance),
            4 => inserted(changed, chance),
            5 => spliced(&changed, &others[chance.below(others.len())], chance),
            6 => line(&changed, chance),
            7 => {
                let cut = chance.below(changed.len() + 1);
                changed.truncate(cut);
                changed
            }
            _ => element(&changed, others, chance).unwrap_or(changed),
        };
        // Enough for every limit that is a number of parts, and quick.
        changed.truncate(200_000);
    }
    changed
}

fn octet(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    if !input.is_empty() {
        let at = chance.below(input.len());
        input[at] = if chance.below(3) == 0 { input[at] ^ (1 << chance.below(8)) } else { chance.octet() };
    }
    input
}

fn range(input: &[u8], chance: &mut Chance) -> std::ops::Range<usize> {
    let start = chance.below(input.len() + 1);
    start..(start + chance.below(64)).min(input.len())
}

fn removed(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let range = range(&input, chance);
    input.drain(range);
    input
}

fn repeated(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let range = range(&input, chance);
    let piece = input[range.clone()].to_vec().repeat(1 + chance.below(40));
    input.splice(range, piece);
    input
}

fn inserted(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let at = chance.below(input.len() + 1);
    let piece: Vec<u8> = (0..=chance.below(8)).map(|_| chance.octet()).collect();
    input.splice(at..at, piece);
    input
}

fn spliced(input: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let (from, to) = (chance.below(input.len() + 1), chance.below(other.len() + 1));
    [&input[..from], &other[to..]].concat()
}

fn line(input: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = input.split_inclusive(|octet| *octet == b'\n').collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let (one, other) = (chance.below(lines.len()), chance.below(lines.len()));
    match chance.below(3) {
        0 => drop(lines.remove(one)),
        1 => lines.swap(one, other),
        _ => lines.insert(other, lines[one]),
    }
    lines.concat()
}

/// An element of DER, with the elements around it from the outside in: where each begins, where its contents begin and end.
type Around = Vec<(usize, usize, usize)>;

/// Removes, doubles, empties or exchanges one element, and puts the lengths around it right.
fn element(input: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Option<Vec<u8>> {
    let around = descend(input, chance)?;
    let (start, contents, end) = *around.last()?;
    let whole = &input[start..end];
    let put = match chance.below(6) {
        0 => Vec::new(),
        1 => [whole, whole].concat(),
        2 => whole.repeat(2 + chance.below(200)),
        3 => vec![input[start], 0],
        4 => {
            let other = &others[chance.below(others.len())];
            let lent = descend(other, chance)?;
            let (start, _, end) = *lent.last()?;
            other[start..end].to_vec()
        }
        _ => [&[chance.octet()][..], &whole[1..contents - start], &input[contents..end]].concat(),
    };
    // From the inside out: each header is written anew.
    let (mut put, mut replaced) = (put, (start, end));
    for &(start, contents, end) in around.iter().rev().skip(1) {
        let inside = [&input[contents..replaced.0], &put, &input[replaced.1..end]].concat();
        put = [&[input[start]][..], &length(inside.len()), &inside].concat();
        replaced = (start, end);
    }
    Some([&input[..replaced.0], &put, &input[replaced.1..]].concat())
}

fn descend(input: &[u8], chance: &mut Chance) -> Option<Around> {
    let mut around = Around::new();
    let (mut start, mut limit) = (0, input.len());
    loop {
        let siblings = siblings(input, start, limit);
        if siblings.is_empty() {
            return (!around.is_empty()).then_some(around);
        }
        let (start_of, contents, end) = siblings[chance.below(siblings.len())];
        around.push((start_of, contents, end));
        let is_constructed = input[start_of] & 0x20 != 0;
        // An OCTET STRING may hold DER, as in an extension.
        let may_hold = is_constructed || input[start_of] == 0x04;
        if !may_hold || chance.below(8) == 0 {
            return Some(around);
        }
        (start, limit) = (contents, end);
    }
}

fn siblings(input: &[u8], mut start: usize, limit: usize) -> Around {
    let mut found = Around::new();
    while let Some((contents, end)) = header(input, start, limit) {
        found.push((start, contents, end));
        start = end;
    }
    if start == limit { found } else { Around::new() }
}

fn header(input: &[u8], start: usize, limit: usize) -> Option<(usize, usize)> {
    let length = usize::from(*input.get(start + 1)?);
    let (contents, length) = match length {
        0..=0x7F => (start + 2, length),
        0x81..=0x84 => {
            let octets = input.get(start + 2..start + 2 + (length & 0x7F))?;
            let value = octets.iter().fold(0, |value, octet| value << 8 | usize::from(*octet));
            (start + 2 + octets.len(), value)
        }
        _ => return None,
    };
    let end = contents.checked_add(length)?;
    (start < limit && end <= limit).then_some((contents, end))
}

fn length(length: usize) -> Vec<u8> {
    if length < 0x80 {
        return vec![u8::try_from(length).unwrap()];
    }
    let octets = length.to_be_bytes();
    let octets = &octets[octets.iter().position(|octet| *octet != 0).unwrap()..];
    [&[0x80 | u8::try_from(octets.len()).unwrap()], octets].concat()
}
