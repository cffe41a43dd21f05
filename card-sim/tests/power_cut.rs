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
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
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

/// How a change is written: appended to the journal, as a new snapshot, or each way in turn.
const LIMITS: [u64; 3] = [u64::MAX, 0, 1];

impl Bench {
    fn new(kind: &str, limit: u64) -> Self {
        let state = blank(kind);
        let first = image::encode(&state, Path::new("faulty")).unwrap().to_vec();
        Self::on(FaultyMedium::new(&first), &state, first, limit)
    }

    fn on(medium: FaultyMedium, state: &CardState, first: Vec<u8>, limit: u64) -> Self {
        let journal = Arc::<Mutex<Journal>>::default();
        let path = Path::new("faulty");
        let store = FileStore::on(medium.clone(), path).with_journal_limit(limit);
        let store = Journaled { store, journal: Arc::clone(&journal) };
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

/// The image in a copy of the medium: a store that is closed sets its file in order.
fn read(medium: &FaultyMedium) -> Vec<u8> {
    let copy = medium.after_cut(Survival::Everything);
    FileStore::on(copy, Path::new("faulty")).read().unwrap().to_vec()
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
        scenario(yubikey, "set PIN retries", pin_and_management_key, apdu(0xFA, 5, 5, &[]), 0x9000),
        scenario(yubikey, "reset", block_both, apdu(0xFB, 0, 0, &[]), 0x9000),
        scenario(yubikey, "move a key", twice, apdu(0xF6, 0x82, 0x9A, &[]), 0x9000),
        scenario(yubikey, "delete a key", twice, apdu(0xF6, 0xFF, 0x9A, &[]), 0x9000),
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

fn pin_and_management_key(hand: &mut Hand) {
    hand.authenticate();
    assert_eq!(hand.verify(PIN), 0x9000);
}

fn block_both(hand: &mut Hand) {
    hand.generate(0x9A, 0x11);
    block_pin(hand);
    while hand.send(&pair(0x2C, 0x80, &[0xFF; 8], &[0xFF; 8])).1 != 0x6983 {}
}

fn twice(hand: &mut Hand) {
    hand.generate(0x9A, 0x11);
}

#[test]
fn a_power_cut_leaves_the_old_state_or_the_new_one() {
    for scenario in scenarios() {
        for (limit, fewest) in LIMITS.into_iter().zip([2, 5, 2]) {
            let mut steps = 0;
            while !survives_cut_at(&scenario, limit, steps) {
                steps += 1;
            }
            assert!(steps >= fewest, "{}, limit {limit}: saw {steps} steps", scenario.name);
        }
    }
}

/// Runs a scenario with the power failing at one step; says whether it ended before that step.
fn survives_cut_at(scenario: &Scenario, limit: u64, step: usize) -> bool {
    let name = format!("{}, {}, limit {limit}, cut at step {step}", scenario.kind, scenario.name);
    let mut bench = Bench::new(scenario.kind, limit);
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
    for survival in Survival::ALL.into_iter().chain((0..2).map(Survival::AnyPart)) {
        let after = bench.medium.after_cut(survival);
        let found = read(&after);
        assert!(legal.contains(&found), "{name}, {survival:?}: neither the old state nor the new one");
        let state = state_in(&after);
        let mut hand = Bench::on(after, &state, found, limit).hand;
        assert_eq!(hand.command(0xA4, 4, 0, &[0xA0, 0, 0, 3, 8]).1, 0x9000, "{name}, {survival:?}");
        // The attestation key answers to ATTEST alone.
        for reference in state.keys.keys().filter(|reference| **reference != 0xF9) {
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
        // Two changes and the first step after them: of two steps each with a journal, of five as snapshots.
        let ways = [(u64::MAX, 5), (0, 11)];
        for (survival, (limit, steps)) in Survival::ALL.iter().flat_map(|case| ways.map(|way| (*case, way))) {
            for step in 0..steps {
                let state = blank("yubikey5 5.7");
                let mut medium = FaultyMedium::new(&image::encode(&state, Path::new("faulty")).unwrap());
                let mut answered = 0;
                for number in 0..5 {
                    let tries_before = tries_left(&state_in(&medium));
                    let mut hand = Bench::on(medium.clone(), &state, Vec::new(), limit).hand;
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
    // With a journal a change has two steps, as a snapshot five.
    let second_change = [(u64::MAX, 2), (u64::MAX, 3)].into_iter().chain((5..10).map(|step| (0, step)));
    for (limit, step) in second_change {
        let mut bench = Bench::new("standard", limit);
        bench.medium.cut_at(step);
        assert_eq!(bench.hand.verify(PIN), MEMORY_FAILURE);
        let tries = state_in(&bench.medium.after_cut(Survival::OnlyDurable)).pin.tries_left;
        assert_eq!(tries, 2, "step {step}");
    }
}

/// The steps of one change, by journal limit, and whether the change is visible when the step fails: only the last one,
/// which makes it durable, comes after that.
const STEPS: [(u64, usize, bool); 7] = [
    (u64::MAX, 0, false),
    (u64::MAX, 1, true),
    (0, 0, false),
    (0, 1, false),
    (0, 2, false),
    (0, 3, false),
    (0, 4, true),
];

/// A fault that passes, such as a full disk: the command is refused, and after a reset the card goes on.
#[test]
fn a_card_goes_on_after_a_passing_fault() {
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, b"new")].concat();
    for (limit, step, is_visible) in STEPS {
        let mut bench = Bench::new("standard", limit);
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
        assert_eq!(status, if is_visible { 0x9000 } else { 0x6A82 }, "limit {limit}, step {step}");
        bench.hand.authenticate();
        assert_eq!(bench.hand.command(0xDB, 0x3F, 0xFF, &object).1, 0x9000, "step {step}");
    }
}

/// A replacement that was visible but not durable, because its sync failed or its process was stopped: the card goes
/// on with nothing that a power cut could still take back.
#[test]
fn what_a_card_goes_on_with_survives_a_power_cut() {
    for (limit, step, is_visible) in STEPS {
        for is_opened_anew in [false, true] {
            let mut bench = Bench::new("standard", limit);
            bench.hand.authenticate();
            bench.medium.cut_at(step);
            assert_eq!(bench.hand.command(0x47, 0, 0x9E, &[0xAC, 3, 0x80, 1, 0x11]).1, MEMORY_FAILURE);
            bench.medium.heal();
            if is_opened_anew {
                let (medium, state) = (bench.medium.clone(), state_in(&bench.medium));
                bench = Bench::on(medium, &state, Vec::new(), limit);
            } else {
                bench.hand.card.reset();
            }
            let is_usable = bench.hand.try_key(0x11, 0x9E, 0x81, &[1; 32]).1 == 0x9000;
            let name = format!("limit {limit}, step {step}, opened anew: {is_opened_anew}");
            assert_eq!(is_usable, is_visible, "{name}");
            let after = state_in(&bench.medium.after_cut(Survival::OnlyDurable));
            assert_eq!(after.keys.contains_key(&0x9E), is_usable, "{name}: the key vanished");
        }
    }
}

/// How many syncs a command costs: one for each change, none for what changes nothing.
#[test]
fn a_change_is_one_sync() {
    let object = [tlv(0x5C, &[0x5F, 0xC1, 0x05]), tlv(0x53, &[7; 3000])].concat();
    let mut bench = Bench::new("standard", u64::MAX);
    bench.hand.authenticate();
    let mut syncs_of = |command: &[u8], status| {
        let before = bench.medium.syncs();
        assert_eq!(bench.hand.send(command).1, status);
        bench.medium.syncs() - before
    };
    assert_eq!(syncs_of(&apdu(0x20, 0, 0x80, WRONG_PIN), 0x63C2), 1);
    assert_eq!(syncs_of(&apdu(0x20, 0, 0x80, PIN), 0x9000), 2, "a try spent, and given back");
    assert_eq!(syncs_of(&apdu(0xDB, 0x3F, 0xFF, &object), 0x9000), 1);
    assert_eq!(syncs_of(&apdu(0x47, 0, 0x9E, &[0xAC, 3, 0x80, 1, 0x11]), 0x9000), 1);
    assert_eq!(syncs_of(&apdu(0xCB, 0x3F, 0xFF, &tlv(0x5C, &[0x7E])), 0x9000), 0);
    let signature = [&[0x7C, 36, 0x82, 0, 0x81, 32][..], &[7; 32]].concat();
    assert_eq!(syncs_of(&apdu(0x87, 0x11, 0x9E, &signature), 0x9000), 0);
}

/// The journal grows no longer than its limit, whatever is written, and the file that is left is a snapshot alone.
#[test]
fn a_journal_ends_in_a_snapshot() {
    let mut bench = Bench::new("standard", 1000);
    let mut longest = 0;
    for _ in 0..200 {
        assert_eq!(bench.hand.verify(PIN), 0x9000);
        longest = longest.max(bench.medium.content().len());
    }
    let length = read(&bench.medium).len();
    assert!(
        (length + 500..length + 1500).contains(&longest),
        "{longest} bytes, {length} without the journal"
    );
    let Bench { hand, medium, .. } = bench;
    drop(hand);
    assert_eq!(medium.content(), read(&medium));
}

/// A command of a random sequence.
#[derive(Clone, Copy, Debug)]
enum Act {
    Verify(bool),
    ChangePin(bool),
    Unblock(bool),
    Write(u8, u16),
    Generate,
    Reset,
}

impl Act {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            3 => any::<bool>().prop_map(Self::Verify),
            1 => any::<bool>().prop_map(Self::ChangePin),
            1 => any::<bool>().prop_map(Self::Unblock),
            3 => (1..6_u8, 0..2000_u16).prop_map(|(object, length)| Self::Write(object, length)),
            1 => Just(Self::Generate),
            1 => Just(Self::Reset),
        ]
    }

    fn run(self, hand: &mut Hand) -> u16 {
        let pin = |right| if right { PIN } else { WRONG_PIN };
        let puk = |right| if right { b"12345678" } else { b"00000000" };
        let command = match self {
            Self::Verify(right) => apdu(0x20, 0, 0x80, pin(right)),
            Self::ChangePin(right) => pair(0x24, 0x80, pin(right), PIN),
            Self::Unblock(right) => pair(0x2C, 0x80, puk(right), PIN),
            Self::Write(object, length) => {
                let content = vec![object; usize::from(length)];
                let tag = [0x5F, 0xFF, 0x10 + object];
                apdu(0xDB, 0x3F, 0xFF, &[tlv(0x5C, &tag), tlv(0x53, &content)].concat())
            }
            Self::Generate => apdu(0x47, 0, 0x9E, &[0xAC, 3, 0x80, 1, 0x11]),
            Self::Reset => {
                hand.card.reset();
                return 0x9000;
            }
        };
        hand.send(&command).1
    }
}

/// Life of a card in a world of power cuts: after each, it holds the state before the cut change or the one after it,
/// and a try that was spent is spent.
fn live(acts: &[Act], limit: u64, cuts: &[(usize, Survival)]) -> Result<usize, TestCaseError> {
    let mut bench = Bench::new("yubikey5 5.7", limit);
    bench.hand.authenticate();
    let (mut acts, mut survived) = (acts.iter(), 0);
    for (step, survival) in cuts {
        bench.medium.cut_at(*step);
        for act in acts.by_ref() {
            let before = bench.legal_images();
            let status = act.run(&mut bench.hand);
            prop_assert_eq!(bench.medium.is_cut(), status == MEMORY_FAILURE);
            if bench.medium.is_cut() {
                break;
            }
            prop_assert!(bench.legal_images().len() == 1 && before.len() == 1);
        }
        let after = bench.medium.after_cut(*survival);
        let found = read(&after);
        prop_assert!(bench.legal_images().contains(&found), "neither the old state nor the new one");
        let state = state_in(&after);
        survived += usize::from(bench.medium.is_cut());
        bench = Bench::on(after, &state, found, limit);
        bench.hand.authenticate();
    }
    Ok(survived)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_a_card_does_a_power_cut_leaves_a_whole_state(
        acts in proptest::collection::vec(Act::any(), 1..40),
        limit in prop_oneof![Just(0), Just(1), 100..5000_u64, Just(u64::MAX)],
        cuts in proptest::collection::vec((0..30_usize, any::<u64>().prop_map(Survival::AnyPart)), 1..6),
    ) {
        live(&acts, limit, &cuts)?;
    }
}

/// The model is not vacuous: sequences like those above do meet power cuts.
#[test]
fn cuts_happen() {
    let acts = [Act::Verify(true), Act::Write(1, 100), Act::Verify(false)].repeat(10);
    let cuts: Vec<_> = (0..6).map(|step| (step, Survival::AnyPart(7))).collect();
    assert_eq!(live(&acts, u64::MAX, &cuts).unwrap(), 6);
}

/// What is left, whatever survives.
fn survivors(medium: &FaultyMedium) -> impl Iterator<Item = (Survival, FaultyMedium)> {
    let cases = Survival::ALL.into_iter().chain((0..8).map(Survival::AnyPart));
    cases.map(|survival| (survival, medium.after_cut(survival)))
}

#[test]
fn a_power_cut_while_a_card_is_closed_changes_nothing() {
    for step in 0..6 {
        let mut bench = Bench::new("standard", u64::MAX);
        assert_eq!(bench.hand.verify(WRONG_PIN), 0x63C2);
        let image = read(&bench.medium);
        bench.medium.cut_at(step);
        let Bench { hand, medium, .. } = bench;
        drop(hand);
        assert_eq!(medium.is_cut(), step < 5, "a snapshot has five steps");
        for (survival, after) in survivors(&medium) {
            assert_eq!(read(&after), image, "step {step}, {survival:?}");
        }
    }
}

/// The power fails in a change, and again while the card is opened and sets its file in order.
#[test]
fn a_power_cut_while_a_torn_file_is_set_in_order_changes_nothing() {
    let path = Path::new("faulty");
    for step in 0..6 {
        let mut bench = Bench::new("standard", u64::MAX);
        assert_eq!(bench.hand.verify(WRONG_PIN), 0x63C2);
        bench.medium.cut_at(0);
        assert_eq!(bench.hand.verify(WRONG_PIN), MEMORY_FAILURE);
        let torn = bench.medium.after_cut(Survival::Everything);
        let image = read(&torn);
        assert!(torn.content().len() > image.len());
        torn.cut_at(step);
        let opened = Card::with_store(Box::new(FileStore::on(torn.clone(), path)), path);
        assert_eq!(opened.is_ok(), step >= 5, "step {step}");
        for (survival, after) in survivors(&torn) {
            assert_eq!(read(&after), image, "step {step}, {survival:?}");
            assert!(Card::with_store(Box::new(FileStore::on(after, path)), path).is_ok());
        }
    }
}
