//! Bytes that are no commands, and commands that are none of this card's: the right status word each time, never a panic,
//! and nothing written or forgotten (ISO 7816-4 sections 5.1 to 5.6; SP 800-73-5 Part 2 section 3).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use card_sim::Card;
use card_sim::iso7816::Interface;
use card_sim::piv::access_rule;
use card_sim::piv::personality::Personality;
use card_sim::piv::state::CardState;
use card_sim::store::memory::MemoryStore;
use card_sim::store::{Store, StoreError, image};
use proptest::prelude::*;
use support::{Hand, KINDS, PIN, apdu, blank, tlv};
use zeroize::Zeroizing;

/// A store that counts what is written.
struct Counting(MemoryStore, Arc<AtomicUsize>);

impl Store for Counting {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.0.read()
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.replace(image)
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        self.0.make_durable()
    }
}

/// A card whose holder and administrator are verified, and the count of its writes.
struct Watched {
    hand: Hand,
    written: Arc<AtomicUsize>,
    before: usize,
}

impl Watched {
    fn new(kind: &str) -> Self {
        let state = blank(kind);
        let (mut hand, written) = counting(&state);
        hand.authenticate();
        assert_eq!(hand.verify(PIN), 0x9000);
        let before = written.load(Ordering::Relaxed);
        Self { hand, written, before }
    }

    /// What a reader gets for these bytes: the status word, without data.
    fn refused(&mut self, command: &[u8]) -> u16 {
        let answer = self.hand.card.transmit(command);
        assert_eq!(answer.len(), 2, "{command:02X?} is answered {answer:02X?}");
        u16::from_be_bytes([answer[0], answer[1]])
    }

    /// Nothing was written, and who was verified still is.
    fn is_untouched(&mut self, after: &str) {
        assert_eq!(self.written.load(Ordering::Relaxed), self.before, "{after}: something was written");
        assert_eq!(self.hand.verify(&[]), 0x9000, "{after}: the PIN is forgotten");
        let put = [tlv(0x5C, &[0x5F, 0xC1, 0x06]), tlv(0x53, &[1])].concat();
        assert_eq!(self.hand.command(0xDB, 0x3F, 0xFF, &put).1, 0x9000, "{after}: 9B is forgotten");
        self.before = self.written.load(Ordering::Relaxed);
    }
}

fn counting(state: &CardState) -> (Hand, Arc<AtomicUsize>) {
    let path = Path::new("memory");
    let written = Arc::new(AtomicUsize::new(0));
    let store = Counting(MemoryStore::new(image::encode(state, path).unwrap()), Arc::clone(&written));
    (Hand::with_card(Card::with_store(Box::new(store), path).unwrap(), state), written)
}

/// CLA (ISO 7816-4 section 5.4.1): 00, and 10 for what may be chained. Everything else says why not.
#[test]
fn every_class_has_its_status_word() {
    for kind in KINDS {
        let mut card = Watched::new(kind);
        for class in 1..=0xFF {
            let expected = match class {
                0x10 => 0x6884,
                0x04 | 0x08 | 0x0C | 0x14 | 0x18 | 0x1C => 0x6882,
                0x01..=0x1F | 0x40..=0x7F => 0x6881,
                _ => 0x6E00,
            };
            let command = [class, 0xCB, 0x3F, 0xFF, 0x05, 0x5C, 0x03, 0x5F, 0xC1, 0x02, 0x00];
            assert_eq!(card.refused(&command), expected, "{kind} {class:02X}");
        }
        card.is_untouched("foreign classes");
    }
}

/// INS: those of the tables; 6D00 for all others.
#[test]
fn every_other_instruction_is_unknown() {
    for kind in KINDS {
        let mut card = Watched::new(kind);
        let personality = blank(kind).personality;
        for instruction in 0..=0xFF {
            if access_rule::command(personality, instruction).is_none() {
                assert_eq!(
                    card.refused(&[0x00, instruction, 0x00, 0x00]),
                    0x6D00,
                    "{kind} {instruction:02X}"
                );
                assert_eq!(card.refused(&[0x00, instruction, 0x3F, 0xFF, 0x01, 0x00, 0x00]), 0x6D00);
            }
        }
        card.is_untouched("unknown instructions");
    }
}

/// Lc and Le against the bytes that came, at every boundary of their forms.
#[test]
fn lengths_that_disagree_with_the_bytes_are_6700() {
    let mut card = Watched::new("standard");
    for length in 0..4 {
        assert_eq!(card.refused(&[0x00, 0xCB, 0x3F][..length.min(3)]), 0x6700, "{length} bytes");
    }
    for instruction in [0xA4, 0xCB, 0x20, 0x24, 0x2C, 0x87, 0xDB, 0x47, 0xC0, 0xFD] {
        let header = [0x00, instruction, 0x00, 0x80];
        let mut try_body = |lc: &[u8], body: usize| {
            let command = [&header[..], lc, &vec![0x55; body]].concat();
            assert_eq!(card.refused(&command), 0x6700, "{instruction:02X}: Lc {lc:02X?}, {body} bytes");
        };
        for lc in [2, 8, 16, 127, 128, 254, 255] {
            for body in [lc - 1, lc + 2, lc + 3] {
                try_body(&[u8::try_from(lc).unwrap()], body);
            }
        }
        for lc in [1usize, 255, 256, 4096, 16_384, 65_535] {
            let [high, low] = u16::try_from(lc).unwrap().to_be_bytes();
            for body in [lc - 1, lc + 1, lc + 3] {
                // Three bytes alone are a long Le.
                if body > 0 {
                    try_body(&[0, high, low], body);
                }
            }
        }
        try_body(&[0, 0], 0);
        try_body(&[0, 0, 0], 1);
    }
    card.is_untouched("wrong lengths");
}

/// The data fields of the commands that carry templates.
fn template_commands() -> [(u8, u8, u8); 4] {
    [(0xCB, 0x3F, 0xFF), (0xDB, 0x3F, 0xFF), (0x87, 0x0C, 0x9B), (0x47, 0x00, 0x9A)]
}

/// Bombs: lengths far beyond the data, endless and reserved ones, deep nests, thousands of tiny parts, tags without end.
#[test]
fn templates_that_are_none_are_6a80() {
    let nested = (0..2000).fold(vec![], |inner: Vec<u8>, _| tlv(0x7C, &inner));
    let nested_in = |tag: u8| tlv(tag, &nested[..nested.len() - 1]);
    let tiny = |outer: u8, part: &[u8]| tlv(outer, &part.repeat(5000));
    let bombs: Vec<(&str, Vec<u8>)> = vec![
        ("a length beyond the data", vec![0x7C, 0x83, 0xFF, 0xFF, 0xFF, 0x81, 0x00]),
        ("the longest length", vec![0x53, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a length of nine bytes", vec![0x5C, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("an endless length", vec![0x7C, 0x80, 0x81, 0x00, 0x00, 0x00]),
        ("a reserved length", vec![0xAC, 0xFF, 0x80, 0x01, 0x11]),
        ("a tag without end", vec![0x1F; 300]),
        ("a tag list without end", vec![0x5C, 0x7F, 0x5F, 0xFF, 0xFF]),
        ("a deep nest", nested.clone()),
        ("a nest cut short", nested_in(0x53)),
        ("thousands of empty parts in 7C", tiny(0x7C, &[0x81, 0x00])),
        ("thousands of empty parts in AC", tiny(0xAC, &[0x80, 0x00])),
        ("thousands of tag lists", [0x5C, 0x00].repeat(5000)),
        ("nothing", vec![]),
        ("one byte", vec![0x7C]),
        ("zeros", vec![0; 4000]),
        ("ones", vec![0xFF; 4000]),
    ];
    let mut card = Watched::new("standard");
    for (instruction, p1, p2) in template_commands() {
        for (what, bomb) in &bombs {
            let status = card.refused(&apdu(instruction, p1, p2, bomb));
            assert_eq!(status, 0x6A80, "{instruction:02X}: {what}");
        }
    }
    card.is_untouched("templates that are none");
}

/// An interrupted chain has no effect, whatever interrupts it: its end alone is another command.
#[test]
fn an_interrupted_chain_has_no_effect() {
    let interruptions: [(&str, &[u8]); 9] = [
        ("reading", &[0x00, 0xCB, 0x3F, 0xFF, 0x03, 0x5C, 0x01, 0x7E, 0x00]),
        ("a status query", &[0x00, 0x20, 0x00, 0x80]),
        ("SELECT", &[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08]),
        ("a failed SELECT", &[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x09, 0x99]),
        ("GET RESPONSE", &[0x00, 0xC0, 0x00, 0x00, 0x00]),
        ("an unknown instruction", &[0x00, 0xB0, 0x00, 0x00]),
        ("a foreign class", &[0x80, 0xCB, 0x00, 0x00]),
        ("secure messaging", &[0x0C, 0xCB, 0x3F, 0xFF, 0x03, 0x5C, 0x01, 0x7E, 0x00]),
        ("no command", &[0x00, 0xDB]),
    ];
    let put = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, &[7; 20])].concat();
    let generate = vec![0xAC, 0x03, 0x80, 0x01, 0x11];
    let chains = [(0xDB, 0x3F, 0xFF, put, 0x6A80), (0x47, 0x00, 0x9A, generate, 0x6A80)];
    let mut card = Watched::new("standard");
    for (instruction, p1, p2, data, expected) in chains {
        for (what, interruption) in interruptions {
            for cut in [1, data.len() / 2, data.len() - 1] {
                let mut fragment = apdu(instruction, p1, p2, &data[..cut]);
                fragment[0] = 0x10;
                assert_eq!(card.refused(&fragment), 0x9000);
                card.hand.card.transmit(interruption);
                let end = apdu(instruction, p1, p2, &data[cut..]);
                assert_eq!(card.refused(&end), expected, "{instruction:02X} cut at {cut} by {what}");
            }
        }
    }
    card.is_untouched("interrupted chains");
    assert_eq!(card.hand.command(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x5F, 0xC1, 0x05])).1, 0x6A82);
}

/// Fragments that add up to more than any command has: 6A84, and they are forgotten.
#[test]
fn a_chain_without_end_is_refused_and_forgotten() {
    let mut card = Watched::new("standard");
    for (instruction, p1, p2) in
        [(0xDB, 0x3F, 0xFF), (0x87, 0x0C, 0x9B), (0x47, 0x00, 0x9A), (0x20, 0x00, 0x80)]
    {
        let mut fragment = apdu(instruction, p1, p2, &[0x53; 255]);
        fragment[0] = 0x10;
        let mut statuses = (0..200).map(|_| card.refused(&fragment));
        let accepted = statuses.by_ref().take_while(|status| *status == 0x9000).count();
        assert_eq!(accepted, 16_384 / 255, "{instruction:02X}");
        assert_eq!(statuses.next(), Some(0x9000), "{instruction:02X}: a new chain may begin");
        card.hand.card.transmit(&[0x00, 0xC0, 0x00, 0x00, 0x00]);
    }
    card.is_untouched("endless chains");
}

/// PINs of every length but eight, on every reference: no try is lost.
#[test]
fn pins_of_other_lengths_cost_nothing() {
    for kind in KINDS {
        let mut card = Watched::new(kind);
        for length in (1..=40).chain([255, 256, 1000]) {
            let bytes = vec![b'1'; length];
            if length != 8 {
                assert_eq!(card.refused(&apdu(0x20, 0x00, 0x80, &bytes)), 0x6A80, "{kind}: VERIFY {length}");
            }
            if length != 16 {
                for reference in [0x80, 0x81] {
                    assert_eq!(
                        card.refused(&apdu(0x24, 0x00, reference, &bytes)),
                        0x6A80,
                        "{kind}: CHANGE {length}"
                    );
                }
                assert_eq!(card.refused(&apdu(0x2C, 0x00, 0x80, &bytes)), 0x6A80, "{kind}: RESET {length}");
            }
        }
        card.is_untouched("PINs of other lengths");
    }
}

/// A command that a host might send, for the fuzzer to bend.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop::sample::select(vec![
        0xA4u8, 0xCB, 0xDB, 0x20, 0x24, 0x2C, 0x87, 0x47, 0xC0, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFD,
        0xFE, 0xFF,
    ]);
    let class = prop::sample::select(vec![0x00u8, 0x00, 0x00, 0x00, 0x10, 0x0C, 0x01, 0x80]);
    let p1 = prop::sample::select(vec![0x00u8, 0x04, 0x07, 0x0A, 0x0C, 0x11, 0x14, 0x3F, 0x9A, 0xFF]);
    let p2 = prop::sample::select(vec![
        0x00u8, 0x04, 0x80, 0x81, 0x82, 0x98, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0xF9, 0xFF,
    ]);
    let head = prop::sample::select(vec![
        vec![],
        vec![0x7C, 0x02, 0x81, 0x00],
        vec![0x7C, 0x02, 0x80, 0x00],
        vec![0x7C, 0x24, 0x82, 0x00, 0x81, 0x20],
        vec![0x7C, 0x45, 0x82, 0x00, 0x85, 0x41, 0x04],
        vec![0xAC, 0x03, 0x80, 0x01, 0x11],
        vec![0x5C, 0x03, 0x5F, 0xC1, 0x05],
        vec![0x5C, 0x03, 0x5F, 0xC1, 0x09, 0x53, 0x04],
        vec![0x5C, 0x01, 0x7E],
        vec![0x7E, 0x12, 0x4F, 0x0B],
        vec![0xA0, 0x00, 0x00, 0x03, 0x08],
        vec![0x06, 0x20],
        b"123456\xFF\xFF".to_vec(),
        b"123456\xFF\xFF654321\xFF\xFF".to_vec(),
    ]);
    let tail = prop_oneof![
        Just(vec![]),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 250..260)
    ];
    (class, instruction, p1, p2, head, tail).prop_map(|(class, instruction, p1, p2, head, tail)| {
        let mut command = apdu(instruction, p1, p2, &[head, tail].concat());
        command[0] = class;
        command
    })
}

fn status_of(answer: &[u8]) -> u16 {
    u16::from_be_bytes([answer[answer.len() - 2], answer[answer.len() - 1]])
}

fn is_in_the_table(personality: Personality, command: &[u8], status: u16) -> bool {
    match (command, access_rule::command(personality, command.get(1).copied().unwrap_or_default())) {
        ([0x00 | 0x10, _, _, _, ..], Some(rule)) => rule.may_answer(status.into()),
        ([0x00 | 0x10, _, _, _, ..], None) => matches!(status, 0x6D00 | 0x6884 | 0x6700),
        _ => matches!(status, 0x6700 | 0x6881 | 0x6882 | 0x6E00),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever comes, the answer is one that the command's table has, or says what is malformed.
    #[test]
    fn every_answer_is_in_the_table_of_its_command(
        commands in prop::collection::vec(
            prop_oneof![4 => command(), 1 => prop::collection::vec(any::<u8>(), 0..300)],
            1..40,
        ),
        kind in prop::sample::select(KINDS.to_vec()),
        interface in prop::sample::select(vec![Interface::Contact, Interface::Contactless]),
        is_administrator in any::<bool>(),
    ) {
        let state = blank(kind);
        let mut hand = Hand::holding(&state).over(interface);
        if is_administrator && interface == Interface::Contact {
            hand.authenticate();
        }
        for command in commands {
            let answer = hand.card.transmit(&command);
            prop_assert!(answer.len() >= 2, "{command:02X?}");
            let status = status_of(&answer);
            prop_assert!(
                is_in_the_table(state.personality, &command, status),
                "{kind}: {command:02X?} is answered {status:04X}"
            );
            let has_data = answer.len() > 2;
            prop_assert!(!has_data || status == 0x9000 || status >> 8 == 0x61, "{command:02X?}: data with {status:04X}");
        }
        hand.card.reset();
        prop_assert_eq!(hand.command(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]).1, 0x9000);
    }

    /// A refusal writes nothing; only a comparison that failed (63CX), or was taken back (6985), has cost a try first.
    #[test]
    fn a_refused_command_writes_nothing(
        commands in prop::collection::vec(command(), 1..60),
        kind in prop::sample::select(KINDS.to_vec()),
        is_administrator in any::<bool>(),
    ) {
        let (mut hand, written) = counting(&blank(kind));
        if is_administrator {
            hand.authenticate();
        }
        for command in commands {
            let before = written.load(Ordering::Relaxed);
            let status = status_of(&hand.card.transmit(&command));
            let may_write = matches!(status, 0x9000 | 0x6100..=0x61FF | 0x63C0..=0x63CF | 0x6985);
            let after = written.load(Ordering::Relaxed);
            prop_assert!(may_write || after == before, "{kind}: {command:02X?} is refused by {status:04X} and writes");
        }
    }

    /// Without contact nothing that comes writes anything: a stranger's reader can neither change nor block a card.
    #[test]
    fn nothing_is_written_without_contact(
        commands in prop::collection::vec(command(), 1..60),
        kind in prop::sample::select(KINDS.to_vec()),
    ) {
        let (hand, written) = counting(&blank(kind));
        let mut hand = hand.over(Interface::Contactless);
        for command in commands {
            hand.card.transmit(&command);
        }
        prop_assert_eq!(written.load(Ordering::Relaxed), 0);
    }
}
