//! Signatures: through pcscd beside a stub that makes the same call of the library, and in-process beside that call
//! alone.
use std::path::Path;

use anyhow::{Context, Result, ensure};
use card_sim::Card;
use card_sim::crypto::{self, AsymmetricAlgorithm, CryptoProvider as _, Randomness, RustCrypto};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

use super::hosts::{Reader, SELECT, Signing, VERIFY};
use super::row;
use crate::{microseconds, numbers};

const ROUNDS: usize = 1000;
const FORMS: [(Signing, &str, &str); 3] = [
    (Signing::Rsa2048, "chained", "RSA-2048 signature through pcscd, chained"),
    (Signing::Rsa2048, "extended", "RSA-2048 signature through pcscd, extended"),
    (Signing::P256, "short", "P-256 signature through pcscd"),
];

pub(super) fn rows() -> Result<Vec<Row>> {
    let world = World::empty()?;
    let mut rows = match Root::or_skip("bench card")? {
        Some(root) => through_pcscd(root, &world)?,
        None => Vec::new(),
    };
    rows.push(in_process(&world, Signing::Rsa2048)?);
    rows.push(in_process(&world, Signing::P256)?);
    Ok(rows)
}

fn through_pcscd(root: Root, world: &World) -> Result<Vec<Row>> {
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let mut rows = Vec::new();
    for (signing, form, name) in FORMS {
        let state = signing.card(world.folder(), form)?;
        let ours = pcscd.insert(0, &state)?;
        let stub = pcscd.in_network(program("vpcd-card")?);
        let stub = stub.args([Pcscd::vpcd_address(1)?.as_str(), "sign", signing.word()]);
        let stub = pcscd.insert_program(1, stub)?;
        let client =
            Run::new(std::env::current_exe()?).args(["client", "card", "signatures", signing.word(), form]);
        let client = client.args([pcscd.reader_name(0), pcscd.reader_name(1)]);
        let [ours_time, stub_time] = numbers(&client.envs([&pcscd.environment()]).ok()?.out())?;
        rows.push(Row {
            ours: ours_time,
            peer: stub_time,
            peer_name: "a stub that signs",
            limit: stub_time / 0.95,
            ..row(name, "1", "us")
        });
        drop((ours, stub));
        pcscd.wait_until_empty(0)?;
        pcscd.wait_until_empty(1)?;
    }
    Ok(rows)
}

/// Signs with both cards by turns.
pub(super) fn client(algorithm: &str, form: &str, ours: &str, stub: &str) -> Result<()> {
    let signing = Signing::from_word(algorithm)?;
    let context = Reader::context()?;
    let (ours, stub) = (Reader::connect(&context, ours)?, Reader::connect(&context, stub)?);
    ours.transmit(&SELECT, Some(0x9000))?;
    ours.transmit(&VERIFY, Some(0x9000))?;
    let commands = if form == "extended" { vec![signing.extended()?] } else { signing.chained()? };
    let (ours, stub) =
        by_turns(ROUNDS, || ours.transmit_chain(&commands), || stub.transmit_chain(&commands))?;
    println!("{} {}", microseconds(ours), microseconds(stub));
    Ok(())
}

fn in_process(world: &World, signing: Signing) -> Result<Row> {
    let (algorithm, name, share) = match signing {
        Signing::Rsa2048 => (AsymmetricAlgorithm::Rsa2048, "RSA-2048 signature in-process", 0.97),
        Signing::P256 => (AsymmetricAlgorithm::P256, "P-256 signature in-process", 0.90),
    };
    let mut card = open(&signing.card(world.folder(), &format!("in-process-{}", signing.word()))?)?;
    let mut randomness = Randomness::from_system()?;
    let material = RustCrypto.generate(algorithm, &mut randomness)?;
    let key = crypto::fastest().load(&material)?;
    let (command, input) = (signing.extended()?, signing.input());
    let (ours, peer) = by_turns(
        4 * ROUNDS,
        || {
            let answer = card.transmit(&command);
            ensure!(answer.ends_with(&[0x90, 0x00]), "the card refused: {answer:02X?}");
            Ok(())
        },
        || {
            match signing {
                Signing::Rsa2048 => key.rsa_private_operation(&input, &mut randomness).map(drop)?,
                Signing::P256 => key.ecdsa_sign(&input).map(drop)?,
            }
            Ok(())
        },
    )?;
    let (ours, peer) = (microseconds(ours), microseconds(peer));
    Ok(Row { ours, peer, peer_name: "the library's call", limit: peer / share, ..row(name, "1", "us") })
}

/// A card with its PIN verified.
fn open(state: &Path) -> Result<Card> {
    let mut card = Card::open(state)?;
    card.power_on();
    let answer = card.transmit(&VERIFY);
    ensure!(answer == [0x90, 0x00], "the PIN is the factory's");
    Some(card).context("a card")
}
