//! Long data by every way there is, and bytes that are no commands (ISO 7816-4 sections 5.1 and 5.3).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use card_sim::piv::blank::add_global_pin;
use proptest::prelude::*;
use support::{Hand, KINDS, PIN, apdu, blank, tlv};

fn tag_list() -> Vec<u8> {
    tlv(0x5C, &[0x5F, 0xC1, 0x05])
}

/// Sends a command in fragments of at most `size` bytes.
fn send_chained(hand: &mut Hand, ins: u8, p1: u8, p2: u8, data: &[u8], size: usize) -> (Vec<u8>, u16) {
    let (last, others) =
        data.chunks(size).collect::<Vec<_>>().split_last().map(|(a, b)| (*a, b.to_vec())).unwrap();
    for fragment in others {
        let mut command = apdu(ins, p1, p2, fragment);
        command[0] = 0x10;
        let (answer, status) = hand.send(&command);
        if status != 0x9000 {
            return (answer, status);
        }
        assert!(answer.is_empty());
    }
    hand.command(ins, p1, p2, last)
}

#[test]
fn an_object_of_any_size_comes_back_by_any_way() {
    for kind in KINDS {
        for size in [1, 127, 128, 255, 256, 257, 1900, 3000, 3063] {
            let contents: Vec<u8> = (0..=250).cycle().take(size).collect();
            let object = [tag_list(), tlv(0x53, &contents)].concat();
            let mut hand = Hand::blank(kind);
            hand.authenticate();
            assert_eq!(send_chained(&mut hand, 0xDB, 0x3F, 0xFF, &object, 255).1, 0x9000, "{kind} {size}");
            let short = hand.succeed(0xCB, 0x3F, 0xFF, &tag_list());
            assert_eq!(short, tlv(0x53, &contents), "{kind} {size}");
            // The same again, all at once.
            let mut hand = Hand::blank(kind);
            hand.authenticate();
            assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000, "{kind} {size}");
            let answer = hand.card.transmit(&[0, 0xCB, 0x3F, 0xFF, 0, 0, 5, 0x5C, 3, 0x5F, 0xC1, 5, 0, 0]);
            assert_eq!(answer, [&short[..], &[0x90, 0x00]].concat(), "{kind} {size}");
        }
    }
}

#[test]
fn an_object_larger_than_its_place_is_refused_and_the_old_one_stays() {
    for (kind, capacity) in [("yubikey5 5.7", 3063), ("standard", 13_000)] {
        let mut hand = Hand::blank(kind);
        hand.authenticate();
        let object = |size: usize| [tag_list(), tlv(0x53, &vec![1; size])].concat();
        assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object(capacity)).1, 0x9000);
        assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object(capacity + 1)).1, 0x6A84);
        assert_eq!(send_chained(&mut hand, 0xDB, 0x3F, 0xFF, &object(20_000), 255).1, 0x6A84);
        assert_eq!(hand.succeed(0xCB, 0x3F, 0xFF, &tag_list()).len(), capacity + 4);
    }
}

/// A YubiKey takes 65,536 tags and has one memory for all of them.
#[test]
fn a_yubikey_that_is_full_takes_no_more_until_something_is_removed() {
    let mut hand = Hand::blank("yubikey5 5.7");
    hand.authenticate();
    let mut put = |index: u8, size: usize| {
        let object = [tlv(0x5C, &[0x5F, 0x00, index]), tlv(0x53, &vec![1; size])].concat();
        hand.command(0xDB, 0x3F, 0xFF, &object).1
    };
    let accepted = (0..=255).take_while(|index| put(*index, 3063) == 0x9000).count();
    assert!((16..=21).contains(&accepted), "{accepted} objects");
    let next = u8::try_from(accepted).unwrap();
    assert_eq!(put(next, 3063), 0x6A84);
    assert_eq!(put(0, 3063), 0x9000, "an object is replaced in its own place");
    assert_eq!(put(1, 0), 0x9000);
    assert_eq!(put(next, 3063), 0x9000);
    assert_eq!(put(1, 3063), 0x6A84);
}

/// The largest object of SP 800-73-5 Part 1 table 8 is the facial image, 12 710 bytes.
#[test]
fn the_largest_object_of_the_standard_fits() {
    let mut hand = Hand::blank("standard");
    hand.authenticate();
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x08]), tlv(0x53, &[1; 12_710])].concat();
    assert_eq!(send_chained(&mut hand, 0xDB, 0x3F, 0xFF, &object, 200).1, 0x9000);
    assert_eq!(hand.verify(PIN), 0x9000);
    assert_eq!(hand.succeed(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x5F, 0xC1, 0x08])).len(), 12_714);
}

#[test]
fn what_waits_is_announced_in_61xx() {
    let mut hand = Hand::blank("standard");
    hand.authenticate();
    let object = [tag_list(), tlv(0x53, &[1; 700])].concat();
    assert_eq!(hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000);
    let read = [0, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, 0x5F, 0xC1, 5, 0];
    let more = [0, 0xC0, 0, 0, 0];
    let ends = |answer: Vec<u8>| (answer.len() - 2, [answer[answer.len() - 2], answer[answer.len() - 1]]);
    // 704 bytes: 256 at once, then "256 or more" as 00, then 192.
    assert_eq!(ends(hand.card.transmit(&read)), (256, [0x61, 0x00]));
    assert_eq!(ends(hand.card.transmit(&more)), (256, [0x61, 0xC0]));
    assert_eq!(ends(hand.card.transmit(&more)), (192, [0x90, 0x00]));
    assert_eq!(hand.card.transmit(&more), [0x6A, 0x80]);
}

/// A command that a host might send, for the fuzzer to bend.
fn plausible_command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop::sample::select(vec![
        0xA4u8, 0xCB, 0xDB, 0x20, 0x24, 0x2C, 0x87, 0x47, 0xC0, 0xFD, 0xF7, 0xFE, 0xFF, 0x1D,
    ]);
    let class = prop::sample::select(vec![0x00u8, 0x00, 0x00, 0x10, 0x0C]);
    let p1 = prop::sample::select(vec![0x00u8, 0x04, 0x07, 0x0A, 0x0C, 0x11, 0x3F, 0xFF]);
    let p2 = prop::sample::select(vec![0x00u8, 0x80, 0x81, 0x82, 0x9A, 0x9B, 0x9C, 0x9D, 0xFF]);
    let head = prop::sample::select(vec![
        vec![],
        vec![0x7C, 0x02, 0x81, 0x00],
        vec![0x7C, 0x26, 0x80, 0x10],
        vec![0xAC, 0x03, 0x80, 0x01, 0x11],
        vec![0x5C, 0x03, 0x5F, 0xC1, 0x05, 0x53, 0x04],
        vec![0x06, 0x01, 0x01],
        b"123456\xFF\xFF".to_vec(),
    ]);
    let tail = prop::collection::vec(any::<u8>(), 0..40);
    (class, instruction, p1, p2, head, tail).prop_map(|(class, instruction, p1, p2, head, tail)| {
        let mut command = apdu(instruction, p1, p2, &[head, tail].concat());
        command[0] = class;
        command
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sequence_of_bytes_is_answered(
        commands in prop::collection::vec(
            prop_oneof![3 => plausible_command(), 1 => prop::collection::vec(any::<u8>(), 0..300)],
            1..40,
        ),
        kind in prop::sample::select(KINDS.to_vec()),
        begins_as_administrator in any::<bool>(),
    ) {
        let mut hand = Hand::blank(kind);
        if begins_as_administrator {
            hand.authenticate();
        }
        for command in commands {
            let answer = hand.card.transmit(&command);
            prop_assert!(answer.len() >= 2, "{command:02X?}");
        }
        hand.card.reset();
        prop_assert_eq!(hand.command(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]).1, 0x9000);
    }

    #[test]
    fn fragments_of_any_size_make_the_same_command(size in 1usize..256, length in 1usize..1000) {
        let object = [tag_list(), tlv(0x53, &vec![7; length])].concat();
        let mut hand = Hand::blank("standard");
        hand.authenticate();
        prop_assert_eq!(send_chained(&mut hand, 0xDB, 0x3F, 0xFF, &object, size.min(255)).1, 0x9000);
        prop_assert_eq!(hand.succeed(0xCB, 0x3F, 0xFF, &tag_list()), tlv(0x53, &vec![7; length]));
    }
}

/// SP 800-73-5 Part 2 section 2.4.2: the Global PIN's indicator is global. No card that `new` makes has both a Global PIN
/// and another application, so this one is put together by hand.
#[test]
fn a_verified_global_pin_outlives_the_selection_of_another_application() {
    let mut state = blank("yubikey5 5.7");
    add_global_pin(&mut state);
    let mut hand = Hand::holding(&state);
    assert_eq!(hand.command(0x20, 0x00, 0x00, PIN).1, 0x9000);
    assert_eq!(hand.verify(PIN), 0x9000);
    hand.succeed(0xA4, 0x04, 0x00, &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17]);
    hand.succeed(0xA4, 0x04, 0x00, &[0xA0, 0x00, 0x00, 0x03, 0x08]);
    assert_eq!(hand.command(0x20, 0x00, 0x00, &[]).1, 0x9000, "the Global PIN's");
    assert_eq!(hand.verify(&[]), 0x63C3, "the application PIN's");
    let printed_information = tlv(0x5C, &[0x5F, 0xC1, 0x09]);
    assert_eq!(hand.command(0xCB, 0x3F, 0xFF, &printed_information).1, 0x6A82, "it opens what needs the PIN");
    hand.card.reset();
    assert_eq!(hand.command(0x20, 0x00, 0x00, &[]).1, 0x63C3, "a reset ends it");
}

/// The same seed, state and commands give the same card, whoever runs it.
#[test]
fn a_seeded_card_is_repeatable() {
    for kind in KINDS {
        let run = || {
            let mut hand = Hand::blank(kind);
            let first = hand.generate(0x9A, 0x11);
            hand.card.reset();
            let second = hand.generate(0x9C, 0x11);
            assert_ne!(first, second);
            (first, second)
        };
        assert_eq!(run(), run());
    }
}
