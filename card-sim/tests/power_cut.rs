//! The power fails at every step of every command that changes the card.
//!
//! The model: a card's state is a sequence of images, one for each durable transaction. Whatever step the
//! power fails at, and whatever of the unsynced data survives, the card afterwards holds the image last
//! completed or the one being written; and no PIN or PUK try ever comes back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use card_sim::Card;
use card_sim::piv::state::CardState;
use card_sim::store::faulty::{FaultyMedium, Survival};
use card_sim::store::file::FileStore;
use card_sim::store::{Store, StoreError, image};
use support::{Hand, PIN, WRONG_PIN, apdu, blank, tlv};
use zeroize::Zeroizing;

const MEMORY_FAILURE: u16 = 0x6581;

/// The images that a card wrote: all that it began, and how many of them it completed.
#[derive(Default)]
struct Journal {
    begun: Vec<Vec<u8>>,
    completed: usize,
}

/// A store that keeps a journal of what passes through it.
struct Journaled {
    store: FileStore<FaultyMedium>,
    journal: Arc<Mutex<Journal>>,
}

impl Store for Journaled {
    fn read(&mut self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.store.read()
    }

    fn replace(&mut self, image: &[u8]) -> Result<(), StoreError> {
        self.journal.lock().unwrap().begun.push(image.to_vec());
        self.store.replace(image)?;
        self.journal.lock().unwrap().completed += 1;
        Ok(())
    }

    fn make_durable(&mut self) -> Result<(), StoreError> {
        self.store.make_durable()
    }
}

/// A card on a medium whose power can fail.
struct Bench {
    hand: Hand,
    medium: FaultyMedium,
    journal: Arc<Mutex<Journal>>,
    first: Vec<u8>,
}

impl Bench {
    fn new(kind: &str) -> Self {
        let state = blank(kind);
        let first = image::encode(&state, Path::new("faulty")).unwrap().to_vec();
        Self::on(FaultyMedium::new(&first), &state, first)
    }

    fn on(medium: FaultyMedium, state: &CardState, first: Vec<u8>) -> Self {
        let journal = Arc::<Mutex<Journal>>::default();
        let path = Path::new("faulty");
        let store = Journaled { store: FileStore::on(medium.clone(), path), journal: Arc::clone(&journal) };
        let card = Card::with_store(Box::new(store), path).unwrap();
        Self { hand: Hand::with_card(card, state), medium, journal, first }
    }

    /// The image last completed, and the one that was begun but not completed.
    fn legal_images(&self) -> Vec<Vec<u8>> {
        let journal = self.journal.lock().unwrap();
        let history = [std::slice::from_ref(&self.first), &journal.begun[..]].concat();
        history[journal.completed..].to_vec()
    }
}

fn read(medium: &FaultyMedium) -> Vec<u8> {
    FileStore::on(medium.clone(), Path::new("faulty")).read().unwrap().to_vec()
}

fn state_in(medium: &FaultyMedium) -> CardState {
    image::decode(&read(medium), Path::new("faulty")).unwrap()
}

/// A command that changes the card, and what must happen before it.
struct Scenario {
    kind: &'static str,
    name: &'static str,
    prepare: fn(&mut Hand),
    command: Vec<u8>,
    /// The answer when nothing fails.
    status: u16,
}

fn scenarios() -> Vec<Scenario> {
    let (standard, yubikey) = ("standard", "yubikey5 5.7");
    let puk = b"12345678";
    let scenario = |kind, name, prepare: fn(&mut Hand), command, status| Scenario {
        kind,
        name,
        prepare,
        command,
        status,
    };
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, &[7; 300])].concat();
    let removal = [tlv(0x5C, &[0x5F, 0xC1, 0x02]), tlv(0x53, &[])].concat();
    let key = [&[0x08, 0x9B, 0x10][..], &[7; 16]].concat();
    vec![
        scenario(standard, "right PIN", |_| (), apdu(0x20, 0, 0x80, PIN), 0x9000),
        scenario(standard, "right PIN after a wrong one", wrong_pin, apdu(0x20, 0, 0x80, PIN), 0x9000),
        scenario(standard, "wrong PIN", |_| (), apdu(0x20, 0, 0x80, WRONG_PIN), 0x63C2),
        scenario(standard, "change PIN", |_| (), pair(0x24, 0x80, PIN, b"654321\xFF\xFF"), 0x9000),
        scenario(standard, "change PIN, wrong", wrong_pin, pair(0x24, 0x80, WRONG_PIN, PIN), 0x63C1),
        scenario(
            yubikey,
            "change PIN, new one malformed",
            wrong_pin,
            pair(0x24, 0x80, PIN, &[0xFF; 8]),
            0x6985,
        ),
        scenario(yubikey, "change PUK", |_| (), pair(0x24, 0x81, puk, b"87654321"), 0x9000),
        scenario(yubikey, "change PUK, wrong", |_| (), pair(0x24, 0x81, b"00000000", b"87654321"), 0x63C2),
        scenario(yubikey, "unblock", block_pin, pair(0x2C, 0x80, puk, PIN), 0x9000),
        scenario(yubikey, "unblock, wrong PUK", block_pin, pair(0x2C, 0x80, b"00000000", PIN), 0x63C2),
        scenario(standard, "write an object", Hand::authenticate, apdu(0xDB, 0x3F, 0xFF, &object), 0x9000),
        scenario(standard, "remove an object", Hand::authenticate, apdu(0xDB, 0x3F, 0xFF, &removal), 0x9000),
        scenario(
            standard,
            "generate",
            Hand::authenticate,
            apdu(0x47, 0, 0x9A, &[0xAC, 3, 0x80, 1, 0x11]),
            0x9000,
        ),
        scenario(
            yubikey,
            "generate over a key",
            twice,
            apdu(0x47, 0, 0x9A, &[0xAC, 3, 0x80, 1, 0x11]),
            0x9000,
        ),
        scenario(yubikey, "import", Hand::authenticate, apdu(0xFE, 0x11, 0x9A, &[6, 1, 1]), 0x9000),
        scenario(yubikey, "set management key", Hand::authenticate, apdu(0xFF, 0xFF, 0xFF, &key), 0x9000),
    ]
}

fn pair(ins: u8, p2: u8, old: &[u8], new: &[u8]) -> Vec<u8> {
    apdu(ins, 0, p2, &[old, new].concat())
}

fn wrong_pin(hand: &mut Hand) {
    assert_eq!(hand.verify(WRONG_PIN), 0x63C2);
}

fn block_pin(hand: &mut Hand) {
    while hand.verify(WRONG_PIN) != 0x6983 {}
}

fn twice(hand: &mut Hand) {
    hand.generate(0x9A, 0x11);
}

#[test]
fn a_power_cut_leaves_the_old_state_or_the_new_one() {
    for scenario in scenarios() {
        let mut steps = 0;
        while !survives_cut_at(&scenario, steps) {
            steps += 1;
        }
        assert!(steps >= 5, "{}: a transaction has five steps, saw {steps}", scenario.name);
    }
}

/// Runs a scenario with the power failing at one step; says whether it ended before that step.
fn survives_cut_at(scenario: &Scenario, step: usize) -> bool {
    let name = format!("{}, {}, cut at step {step}", scenario.kind, scenario.name);
    let mut bench = Bench::new(scenario.kind);
    (scenario.prepare)(&mut bench.hand);
    bench.medium.cut_at(step);
    let (_, status) = bench.hand.send(&scenario.command);
    let is_cut = bench.medium.is_cut();
    if is_cut {
        assert!(status == MEMORY_FAILURE, "{name}: answered {status:04X}");
        assert_eq!(bench.hand.verify(PIN), MEMORY_FAILURE, "{name}: nothing works until the next power-up");
    } else {
        assert_eq!(status, scenario.status, "{name}");
    }
    let legal = bench.legal_images();
    for survival in Survival::ALL {
        let after = bench.medium.after_cut(survival);
        let found = read(&after);
        assert!(legal.contains(&found), "{name}, {survival:?}: neither the old state nor the new one");
        let state = state_in(&after);
        let mut hand = Bench::on(after, &state, found).hand;
        assert_eq!(hand.command(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]).1, 0x9000, "{name}, {survival:?}");
        for reference in state.keys.keys() {
            let p1 = 0x11;
            assert!(matches!(hand.try_key(p1, *reference, 0x81, &[1; 32]).1, 0x9000 | 0x6982), "{name}");
        }
    }
    !is_cut
}

/// Someone cuts the power at the same step of every try, and the disk forgets as much as it may.
#[test]
fn tries_never_come_back() {
    type Guess = (&'static str, fn(u8) -> Vec<u8>, fn(&CardState) -> u8);
    let guesses: [Guess; 3] = [
        (
            "VERIFY",
            |n| apdu(0x20, 0, 0x80, &[b"99999", &[b'0' + n][..], b"\xFF\xFF"].concat()),
            |s| s.pin.tries_left,
        ),
        ("CHANGE", |n| pair(0x24, 0x81, &[n; 8], b"87654321"), |s| s.puk.tries_left),
        ("RESET", |n| pair(0x2C, 0x80, &[n; 8], PIN), |s| s.puk.tries_left),
    ];
    for (name, guess, tries_left) in guesses {
        for survival in Survival::ALL {
            for step in 0..12 {
                let state = blank("yubikey5 5.7");
                let mut medium = FaultyMedium::new(&image::encode(&state, Path::new("faulty")).unwrap());
                let mut answered = 0;
                for number in 0..9 {
                    let tries_before = tries_left(&state_in(&medium));
                    let mut hand = Bench::on(medium.clone(), &state, Vec::new()).hand;
                    medium.cut_at(step);
                    let (_, status) = hand.send(&guess(number));
                    answered += u8::from(status & 0xFFF0 == 0x63C0);
                    let after = medium.after_cut(survival);
                    let tries_after = tries_left(&state_in(&after));
                    assert!(tries_after <= tries_before, "{name} {survival:?} step {step}: a try came back");
                    if status & 0xFFF0 == 0x63C0 {
                        assert_eq!(
                            tries_after + 1,
                            tries_before,
                            "{name} {survival:?} step {step}: a free guess"
                        );
                    }
                    medium = after;
                }
                assert!(answered <= 3, "{name} {survival:?} step {step}: {answered} guesses were answered");
            }
        }
    }
}

/// With the right PIN the restored counter may be lost, but never the decremented one before it.
#[test]
fn a_right_pin_whose_answer_was_cut_off_has_cost_a_try() {
    for step in 5..10 {
        let mut bench = Bench::new("standard");
        bench.medium.cut_at(step);
        assert_eq!(bench.hand.verify(PIN), MEMORY_FAILURE);
        let tries = state_in(&bench.medium.after_cut(Survival::OnlyDurable)).pin.tries_left;
        assert_eq!(tries, 2, "step {step}");
    }
}

/// A fault that passes, such as a full disk: the command is refused, and after a reset the card goes on.
#[test]
fn a_card_goes_on_after_a_passing_fault() {
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, b"new")].concat();
    for step in 0..5 {
        let mut bench = Bench::new("standard");
        bench.hand.authenticate();
        bench.medium.cut_at(step);
        assert_eq!(bench.hand.command(0xDB, 0x3F, 0xFF, &object).1, MEMORY_FAILURE);
        bench.hand.card.reset();
        assert_eq!(
            bench.hand.command(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x7E])).1,
            MEMORY_FAILURE,
            "still failing"
        );
        bench.medium.heal();
        bench.hand.card.reset();
        let (_, status) = bench.hand.command(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x5F, 0xC1, 0x05]));
        // The fifth step makes the replacement durable: it was visible already.
        assert_eq!(status, if step == 4 { 0x9000 } else { 0x6A82 }, "step {step}");
        bench.hand.authenticate();
        assert_eq!(bench.hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000, "step {step}");
    }
}

/// A replacement that was visible but not durable, because its sync failed or its process was stopped: the card goes
/// on with nothing that a power cut could still take back.
#[test]
fn what_a_card_goes_on_with_survives_a_power_cut() {
    for step in 0..5 {
        for is_opened_anew in [false, true] {
            let mut bench = Bench::new("standard");
            bench.hand.authenticate();
            bench.medium.cut_at(step);
            assert_eq!(bench.hand.command(0x47, 0, 0x9E, &[0xAC, 3, 0x80, 1, 0x11]).1, MEMORY_FAILURE);
            bench.medium.heal();
            if is_opened_anew {
                let (medium, state) = (bench.medium.clone(), state_in(&bench.medium));
                bench = Bench::on(medium, &state, Vec::new());
            } else {
                bench.hand.card.reset();
            }
            let is_usable = bench.hand.try_key(0x11, 0x9E, 0x81, &[1; 32]).1 == 0x9000;
            let name = format!("step {step}, opened anew: {is_opened_anew}");
            assert_eq!(is_usable, step == 4, "{name}: only the fifth step comes after the replacement");
            let after = state_in(&bench.medium.after_cut(Survival::OnlyDurable));
            assert_eq!(after.keys.contains_key(&0x9E), is_usable, "{name}: the key vanished");
        }
    }
}
