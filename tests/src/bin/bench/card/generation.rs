//! New RSA-2048 keys: from a warm pool, and one after the other.
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use card_sim::Card;
use card_sim::crypto::{AsymmetricAlgorithm, CryptoProvider as _, KeyPool, Randomness, RustCrypto};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

use super::{objects, row};
use crate::milliseconds;

const GENERATE: [u8; 11] = [0x00, 0x47, 0x00, 0x9A, 0x05, 0xAC, 0x03, 0x80, 0x01, 0x07, 0x00];
const SEED: &[u8] = b"bench";
const WARM_KEYS: usize = 10;
const KEYS: usize = 40;

pub(super) fn rows() -> Result<Vec<Row>> {
    let world = World::empty()?;
    Ok(vec![warm(&world)?, sustained(&world)?])
}

/// The answer of a card whose pool has a key ready, beside the library that makes one.
fn warm(world: &World) -> Result<Row> {
    let pool = Arc::new(KeyPool::start(1)?);
    let card = Card::open(&world.blank_card("warm")?.state)?.with_key_pool(Arc::clone(&pool));
    let mut card = powered(card)?;
    let mut randomness = Randomness::from_system()?;
    let mut answers = Vec::new();
    for _ in 0..WARM_KEYS {
        pool.wait_until_full();
        let start = std::time::Instant::now();
        generate(&mut card)?;
        answers.push(start.elapsed());
    }
    answers.sort();
    let ours = milliseconds(answers.get(WARM_KEYS / 2).copied().unwrap_or_default());
    let mut made = Vec::new();
    for _ in 0..WARM_KEYS {
        let start = std::time::Instant::now();
        RustCrypto.generate(AsymmetricAlgorithm::Rsa2048, &mut randomness)?;
        made.push(start.elapsed());
    }
    made.sort();
    let peer = milliseconds(made.get(WARM_KEYS / 2).copied().unwrap_or_default());
    Ok(Row { ours, peer, peer_name: "the library", ..row("RSA-2048 generation, warm pool", "1", "ms") })
}

/// Keys one after the other, without a pool. How long a key takes is chance; so a seeded card and the library draw on
/// the same random stream and make the same keys.
fn sustained(world: &World) -> Result<Row> {
    let state = world.path("sustained.card");
    let seed = hex::encode(SEED);
    Run::new(program("card-sim")?).arg("new").arg(&state).args(["--seed", &seed]).ok()?;
    let mut card = powered(Card::open(&state)?)?;
    // The first command of a generation of the state gets the stream from its beginning; that is not the one after
    // authentication, so the first key does not count.
    generate(&mut card)?;
    let mut generation = 1;
    let mut keys = Vec::new();
    let mut theirs = Vec::new();
    let (ours, peer) = by_turns(
        KEYS,
        || {
            keys.push(generate(&mut card)?);
            Ok(())
        },
        || {
            let mut randomness = Randomness::from_seed(SEED, generation);
            let material = RustCrypto.generate(AsymmetricAlgorithm::Rsa2048, &mut randomness)?;
            theirs.push(material);
            generation += 1;
            Ok(())
        },
    )?;
    for (answer, material) in keys.iter().zip(&theirs) {
        let card_sim::crypto::PublicKey::Rsa { modulus, .. } = RustCrypto.load(material)?.public_key() else {
            continue;
        };
        let is_same = answer.windows(modulus.len()).any(|window| window == modulus);
        ensure!(is_same, "the card and the library made different keys");
    }
    let (ours, peer) = (milliseconds(ours), milliseconds(peer));
    let name = "RSA-2048 generation, one after the other";
    Ok(Row { ours, peer, peer_name: "the library", limit: peer / 0.95, ..row(name, "40", "ms") })
}

fn powered(mut card: Card) -> Result<Card> {
    card.power_on();
    objects::authenticate(&mut card)?;
    Some(card).context("a card")
}

fn generate(card: &mut Card) -> Result<Vec<u8>> {
    let mut answer = card.transmit(&GENERATE);
    let [data @ .., 0x61, waiting] = answer.as_slice() else {
        anyhow::bail!("GENERATE: {answer:02X?}");
    };
    let (mut data, waiting) = (data.to_vec(), *waiting);
    answer = card.transmit(&[0x00, 0xC0, 0x00, 0x00, waiting]);
    ensure!(answer.ends_with(&[0x90, 0x00]), "GET RESPONSE: {answer:02X?}");
    data.extend(answer);
    Ok(data)
}
