//! Inputs changed at random, the same way each time: bytes, pieces, lines.

/// A small generator of numbers (splitmix64); the same seed gives the same run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Lengths, tags and instructions that mean something to somebody.
        const TELLING: [u8; 24] = [
            0x00, 0x01, 0x02, 0x03, 0x08, 0x10, 0x20, 0x24, 0x2C, 0x53, 0x5C, 0x7C, 0x7F, 0x80, 0x81, 0x82,
            0x83, 0x87, 0x9A, 0x9B, 0xCB, 0xDB, 0xFE, 0xFF,
        ];
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.next().to_le_bytes()[0] }
    }
}

/// Changes an input one to five times; `others` lend their parts.
pub(crate) fn mutated(seed: &[u8], others: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut changed = seed.to_vec();
    for _ in 0..=chance.below(5) {
        changed = match chance.below(8) {
            0 | 1 => with_another_byte(changed, chance),
            2 => without_a_piece(changed, chance),
            3 => with_a_piece_repeated(changed, chance),
            4 => with_bytes_put_in(changed, chance),
            5 => spliced(&changed, &others[chance.below(others.len())], chance),
            6 => with_lines_changed(&changed, chance),
            _ => {
                changed.truncate(chance.below(changed.len() + 1));
                changed
            }
        };
        // Enough for every limit, and quick.
        changed.truncate(70_000);
    }
    changed
}

fn with_another_byte(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    if !input.is_empty() {
        let at = chance.below(input.len());
        input[at] = if chance.below(3) == 0 { input[at] ^ (1 << chance.below(8)) } else { chance.byte() };
    }
    input
}

fn piece(input: &[u8], chance: &mut Chance) -> std::ops::Range<usize> {
    let start = chance.below(input.len() + 1);
    start..(start + chance.below(32)).min(input.len())
}

fn without_a_piece(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let piece = piece(&input, chance);
    input.drain(piece);
    input
}

fn with_a_piece_repeated(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let piece = piece(&input, chance);
    let repeated = input[piece.clone()].repeat(1 + chance.below(20));
    input.splice(piece, repeated);
    input
}

fn with_bytes_put_in(mut input: Vec<u8>, chance: &mut Chance) -> Vec<u8> {
    let at = chance.below(input.len() + 1);
    let bytes: Vec<u8> = (0..=chance.below(8)).map(|_| chance.byte()).collect();
    input.splice(at..at, bytes);
    input
}

fn spliced(input: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let (from, to) = (chance.below(input.len() + 1), chance.below(other.len() + 1));
    [&input[..from], &other[to..]].concat()
}

fn with_lines_changed(input: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
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
