//! Many cards: made in files, and held in one process.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use card_sim::Card;
use card_sim::crypto::Randomness;
use card_sim::piv::blank::{BlankCard, BlankKind};
use card_sim::piv::personality::Firmware;
use card_sim::store::file::FileStore;
use card_sim::store::{folder, image};
use sealwright_tests::measure::Row;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use super::hosts::{Signing, VERIFY};
use super::{objects, row};

/// The limit for 16 cards.
const MEGABYTES: f64 = 50.0;

pub(super) fn rows(small: bool) -> Result<Vec<Row>> {
    let world = World::empty()?;
    let mut rows = vec![memory(&world, "1", 1)?, memory(&world, "16", 16)?];
    rows.extend(made(&world, "100", 100)?);
    if !small {
        rows.extend(made(&world, "1000", 1000)?);
    }
    Ok(rows)
}

/// The most memory a process holds with so many cards, all of which have signed.
fn memory(world: &World, size: &'static str, count: usize) -> Result<Row> {
    let cards =
        (0..count).map(|number| Signing::Rsa2048.card(world.folder(), &format!("held-{count}-{number}")));
    let cards: Vec<PathBuf> = cards.collect::<Result<_>>()?;
    let run = |cards: &[PathBuf]| -> Result<f64> {
        let client = Run::new(std::env::current_exe()?).args(["client", "card", "memory"]).args(cards);
        Ok(client.ok()?.out().trim().parse()?)
    };
    let name = "memory of a process that holds cards";
    Ok(Row {
        ours: run(&cards)?,
        peer: run(&[])?,
        peer_name: "without cards",
        limit: MEGABYTES,
        ..row(name, size, "MB")
    })
}

pub(super) fn memory_client(states: &[&str]) -> Result<()> {
    let mut cards = Vec::new();
    for state in states {
        let mut card = Card::open(Path::new(state))?;
        card.power_on();
        for command in [VERIFY.to_vec(), Signing::Rsa2048.extended()?] {
            let answer = card.transmit(&command);
            ensure!(answer.ends_with(&[0x90, 0x00]), "{state} refused: {answer:02X?}");
        }
        cards.push(card);
    }
    // Linux counts in KiB (proc_pid_status(5)).
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kibibytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    println!("{}", kibibytes * 1024.0 / 1e6);
    drop(cards);
    Ok(())
}

/// Cards made in files, each with a P-256 key generated on it; beside bare files, written as durably.
fn made(world: &World, size: &'static str, count: usize) -> Result<[Row; 2]> {
    let folder = world.path(&format!("made-{count}"));
    std::fs::create_dir(&folder)?;
    let before = folder::syncs();
    let start = Instant::now();
    for number in 0..count {
        make(&folder.join(format!("{number}.card")))?;
    }
    let ours = start.elapsed();
    let syncs = folder::syncs() - before;
    let before = folder::syncs();
    let start = Instant::now();
    for number in 0..count {
        folder::write_new_file(&folder.join(format!("{number}.bare")), &[0x5A; 600])?;
    }
    let bare = start.elapsed();
    let bare_syncs = folder::syncs() - before;
    let each = |total: f64| -> Result<f64> { Ok(total / f64::from(u32::try_from(count)?)) };
    let number = |syncs: u64| -> Result<f64> { each(f64::from(u32::try_from(syncs)?)) };
    Ok([
        Row {
            ours: each(ours.as_secs_f64() * 1e3)?,
            peer: each(bare.as_secs_f64() * 1e3)?,
            peer_name: "a bare durable file",
            ..row("a card made in a file, with a P-256 key", size, "ms")
        },
        Row {
            ours: number(syncs)?,
            peer: number(bare_syncs)?,
            peer_name: "a bare durable file",
            ..row("syncs for such a card", size, "syncs")
        },
    ])
}

fn make(state: &Path) -> Result<()> {
    let image = blank(state)?;
    FileStore::create(state, &image)?;
    let mut card = Card::open(state)?;
    card.power_on();
    objects::authenticate(&mut card)?;
    let answer = card.transmit(&[0x00, 0x47, 0x00, 0x9A, 0x05, 0xAC, 0x03, 0x80, 0x01, 0x11, 0x00]);
    ensure!(answer.ends_with(&[0x90, 0x00]), "GENERATE: {answer:02X?}");
    Ok(())
}

/// The image of a blank card as it comes from the factory.
fn blank(state: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let kind = BlankKind::YubiKey5 { firmware: Firmware::V5_7, serial: None };
    let blank = BlankCard { kind, keys: BTreeMap::new(), seed: None };
    let (blank, _) = blank.manufacture(&mut Randomness::from_system()?);
    Ok(image::encode(&blank, state)?)
}
