//! Everything that reads strangers' bytes fed with changed inputs, and the whole card against a model of it.
//!
//! The corpus is `fuzz/corpus/` (one input a line, in hexadecimal digits), the transcripts and the old state files; the
//! changes are the same in each run. For long runs: `scripts/fuzz [TARGET] [--seconds N]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]

#[path = "fuzz/model.rs"]
mod model;
#[path = "fuzz/mutation.rs"]
mod mutation;
#[path = "fuzz/password.rs"]
mod password;
#[path = "fuzz/sequence.rs"]
mod sequence;
#[path = "fuzz/subject.rs"]
mod subject;
mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use card_sim::fuzz;
use card_sim::piv::state::CardState;
use card_sim::store::image;
use model::{Kind, Model};
use mutation::{Chance, mutated};
use subject::{FAULTS, Faulty, Sound};
use support::blank;

/// Inputs of a run in CI; a long run has a time instead.
const INPUTS: usize = 5000;

/// Sequences of a run in CI: each is some dozens of commands.
const SEQUENCES: usize = 40;

/// Feeds changed seeds to a target: a number of them, or as long as `FUZZ_SECONDS` says.
///
/// The first inputs are the seeds themselves, all of which must be taken: else nothing deep is reached.
fn run(target: &str, seeds: &[Vec<u8>], inputs: usize, mut feed: impl FnMut(&[u8]) -> bool) {
    assert!(!seeds.is_empty(), "{target}: no corpus");
    for seed in seeds {
        assert!(feed(seed), "{target}: a seed is not read: {seed:02X?}");
    }
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let seed = std::env::var("FUZZ_SEED").map_or(0x5EED, |text| text.parse().unwrap());
    let (started, mut chance) = (Instant::now(), Chance::new(seed));
    let (mut executions, mut accepted) = (0_usize, 0_usize);
    while seconds.map_or(executions < inputs, |limit| started.elapsed() < limit) {
        let input = mutated(&seeds[chance.below(seeds.len())], seeds, &mut chance);
        match catch_unwind(AssertUnwindSafe(|| feed(&input))) {
            Ok(took) => accepted += usize::from(took),
            Err(_) => {
                let file = std::env::temp_dir().join(format!("fuzz-{target}-{seed}-{executions}"));
                fs::write(&file, &input).unwrap();
                panic!("{target}: input {executions} of seed {seed} panics; it is in {}", file.display());
            }
        }
        executions += 1;
    }
    println!(
        "fuzz {target}: {executions} inputs in {:.0} s, {accepted} taken",
        started.elapsed().as_secs_f64()
    );
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The lines of a corpus file.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder().join(format!("fuzz/corpus/{name}.hex"))).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| hex::decode(line.replace(' ', "")).unwrap()).collect()
}

/// The files of a folder of the tests.
fn files(name: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn command_apdu() {
    run("command_apdu", &corpus("command_apdu"), 4 * INPUTS, fuzz::command_apdu);
}

#[test]
fn ber_tlv() {
    run("ber_tlv", &corpus("ber_tlv"), 4 * INPUTS, fuzz::ber_tlv);
}

#[test]
fn vpcd_frames() {
    run("vpcd_frames", &corpus("vpcd_frames"), INPUTS / 20, fuzz::vpcd_frames);
}

#[test]
fn transcript() {
    run("transcript", &files("transcripts", "apdu"), INPUTS / 5, fuzz::transcript);
}

#[test]
fn state_image() {
    let mut seeds: Vec<Vec<u8>> = ["standard", "yubikey5 5.7"]
        .iter()
        .map(|kind| image::encode(&blank(kind), Path::new("seed")).unwrap().to_vec())
        .collect();
    seeds.extend(files("state_files", "card").into_iter().filter(|file| fuzz::state_image(file)));
    run("state_image", &seeds, INPUTS / 5, fuzz::state_image);
}

#[test]
fn state_contents() {
    let contents = |kind| {
        let mut bytes = Vec::new();
        let mut hand = support::Hand::blank(kind);
        hand.authenticate();
        hand.generate(0x9A, 0x11);
        ciborium::into_writer(&blank(kind), &mut bytes).unwrap();
        bytes
    };
    let seeds: Vec<Vec<u8>> = KINDS.iter().map(|(_, name)| contents(name)).collect();
    run("state_contents", &seeds, INPUTS / 5, fuzz::state_contents);
}

const KINDS: [(Kind, &str); 3] =
    [(Kind::Standard, "standard"), (Kind::YubiKey57, "yubikey5 5.7"), (Kind::YubiKey54, "yubikey5 5.4")];

/// Whole sequences, on a card of each kind and on its model, which must agree after every command.
#[test]
fn sequence() {
    let cards: Vec<(Kind, CardState)> = KINDS.iter().map(|(kind, name)| (*kind, blank(name))).collect();
    let mut commands = 0;
    run("sequence", &corpus("sequence"), SEQUENCES, |input| {
        for (kind, state) in &cards {
            let played =
                sequence::play(input, &mut Model::of_blank(*kind, state), &mut Sound::holding(state));
            commands += played.unwrap_or_else(|what| panic!("{kind:?}: {what}; input {input:02X?}"));
        }
        true
    });
    println!("fuzz sequence: {commands} commands were answered 9000");
}

/// APDUs of any bytes, one after the other: an answer with a status word to each, and the card goes on.
#[test]
fn applet() {
    let cards = KINDS.map(|(_, name)| blank(name));
    let seeds = [corpus("command_apdu"), vec![vec![0; 4]]].concat();
    let mut hands = cards.each_ref().map(support::Hand::holding);
    run("applet", &seeds, INPUTS, |input| {
        for hand in &mut hands {
            for command in input.chunks(300) {
                let answer = hand.card.transmit(command);
                assert!(answer.len() >= 2, "{command:02X?} was answered {answer:02X?}");
            }
            hand.card.reset();
            assert!(hand.card.transmit(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8, 0]).ends_with(&[0x90, 0]));
        }
        true
    });
}

/// A model that agrees with everything would find nothing: each of these faulty cards is found.
#[test]
fn the_model_finds_every_planted_fault() {
    let (kind, state) = (Kind::YubiKey57, blank("yubikey5 5.7"));
    for fault in FAULTS {
        let seeds = corpus("sequence");
        let mut chance = Chance::new(7);
        let mut inputs = seeds.clone();
        inputs
            .extend((0..SEQUENCES).map(|_| mutated(&seeds[chance.below(seeds.len())], &seeds, &mut chance)));
        let found = inputs.iter().find_map(|input| {
            sequence::play(input, &mut Model::of_blank(kind, &state), &mut Faulty::new(&state, fault)).err()
        });
        let found = found.unwrap_or_else(|| panic!("{fault:?} was not found"));
        println!("{fault:?}: {found}");
    }
}

/// A runner that finds nothing is shown to find a planted panic.
#[test]
fn a_planted_panic_is_found() {
    let seeds = corpus("ber_tlv");
    let found = catch_unwind(|| {
        run("planted", &seeds, INPUTS, |input| {
            assert!(!(fuzz::ber_tlv(input) && input.len() == 7), "planted");
            true
        });
    });
    assert!(found.is_err());
}
