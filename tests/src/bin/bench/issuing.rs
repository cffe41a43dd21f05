//! Cards issued in a batch: emulated cards in files, the registry in SQLite with every commit synchronous, four certificates
//! each. What the disk was asked to hold on to is counted in a smaller batch, by strace.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use card_sim::crypto::{self, AsymmetricAlgorithm, Randomness};
use sealwright_tests::card::CardFile;
use sealwright_tests::desk::{Desk, PASSPHRASE};
use sealwright_tests::measure::Row;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;

use crate::milliseconds;
use crate::usage::{self, Usage};

/// A card with RSA keys may take as long as its four keys alone, and a ninth more: 90 % of what key generation allows.
const SHARE_OF_GENERATION: f64 = 0.9;
const COUNTED: u32 = 20;
/// Also what the page of sizes counts with.
pub(crate) const IN_REGISTRY: &str = "its person, certificates and log on SQLite";

/// P-256 by the thousand, RSA-2048 beside its key generation, and the syncs.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let (many, few) = if small { (100, 8) } else { (1000, 400) };
    let size = if small { "100" } else { "1,000" };
    let syncs = counted_syncs()?;
    let each_sync = one_sync()?;
    let batch = Batch::new(many)?;
    let used = batch.run("p256")?;
    let kept = registry_bytes(&batch.desk)? - batch.empty;
    let each = |seconds: f64, cards: u32| seconds * 1e3 / f64::from(cards);
    let row = |name, ours, peer, peer_name, limit, unit| Row {
        area: "issuer",
        name,
        size,
        ours,
        peer,
        peer_name,
        limit,
        unit,
    };
    let after_another = "as many syncs of one file, one after the other";
    let mut rows = vec![
        row(
            "a card issued in a batch, P-256",
            each(used.wall, many),
            syncs * milliseconds(each_sync),
            after_another,
            10.0,
            "ms",
        ),
        row("its CPU time", each(used.cpu, many), f64::NAN, "-", f64::INFINITY, "ms CPU"),
        row("its syncs, card and registry", syncs, f64::NAN, "-", f64::INFINITY, "syncs"),
        row(IN_REGISTRY, kept / f64::from(many), f64::NAN, "-", f64::INFINITY, "bytes"),
    ];
    // Half before and half after: how long a prime takes is chance, and what else the machine does changes.
    let batch = Batch::new(few)?;
    let before = generation_alone(few / 2)?;
    let used = batch.run("rsa2048")?;
    let alone = milliseconds(before + generation_alone(few / 2)?) / f64::from(few);
    rows.push(Row {
        size: if small { "8" } else { "400" },
        ..row(
            "a card issued in a batch, RSA-2048",
            each(used.wall, few),
            alone,
            "making its keys, and nothing else",
            alone / SHARE_OF_GENERATION,
            "ms",
        )
    });
    Ok(rows)
}

/// A desk, so many people, and a blank card in stock for each.
struct Batch {
    folder: tempfile::TempDir,
    desk: Desk,
    /// What the registry takes without people and cards, in bytes.
    empty: f64,
}

impl Batch {
    fn new(cards: u32) -> Result<Self> {
        let folder = tempfile::tempdir_in(disk()?)?;
        let desk = Desk::at(&folder.path().join("desk"))?;
        desk.init("example.org", "http://pki.example.org")?.ok()?;
        let empty = registry_bytes(&desk)?;
        let people: Vec<_> =
            (0..cards).map(|number| (name(number), format!("p{number}@example.org"))).collect();
        let people: Vec<_> = people.iter().map(|(name, mail)| (name.as_str(), mail.as_str())).collect();
        desk.import_staff(&people)?.ok()?;
        let mut list = "person,reader\n".to_owned();
        let mut serials = Vec::new();
        for number in 0..cards {
            let card =
                CardFile::yubikey(folder.path(), &format!("card{number}"), "5.7", 20_000_000 + number)?;
            serials.push((20_000_000 + number).to_string());
            writeln!(list, "p{number}@example.org,{}", card.locator())?;
        }
        fs::write(folder.path().join("batch.csv"), list)?;
        let serials: Vec<_> = serials.iter().map(String::as_str).collect();
        desk.command(&[&["stock", "add", "--serial"][..], &serials].concat())?.ok()?;
        Ok(Self { folder, desk, empty })
    }

    fn arguments(&self, algorithm: &str) -> Result<Vec<String>> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        fs::write(path("passphrase"), PASSPHRASE)?;
        let home = self.desk.home().display().to_string();
        let words = ["--home", &home, "--passphrase-file", &path("passphrase"), "batch", &path("batch.csv")];
        let more = ["--pin-folder", &path("pins"), "--algorithm", algorithm];
        Ok(words.into_iter().chain(more).map(str::to_owned).collect())
    }

    fn run(&self, algorithm: &str) -> Result<Usage> {
        let arguments = self.arguments(algorithm)?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        usage::of_program(&program("issuer")?, &arguments, |run| run)
    }
}

/// What the registry's file takes once the last program has closed it and its write-ahead log.
fn registry_bytes(desk: &Desk) -> Result<f64> {
    Ok(fs::metadata(desk.home().join("registry.db"))?.len() as f64)
}

/// A name that nobody else has.
fn name(number: u32) -> String {
    let letter = |part: u32| char::from(b'a' + u8::try_from(part % 26).unwrap_or(0));
    let word: String = (0..4).map(|place| letter(number / 26_u32.pow(place))).collect();
    format!("Person {}{word}", letter(number).to_uppercase())
}

/// Where this program lies: on a disk, where the temporary folder may be memory.
pub(crate) fn disk() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.parent().context("this program lies in no folder")?.to_owned())
}

/// How many times a card makes somebody wait for the disk.
fn counted_syncs() -> Result<f64> {
    let batch = Batch::new(COUNTED)?;
    let summary = batch.folder.path().join("syncs");
    // Debian's package strace.
    let strace = Run::new("strace").args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(&summary);
    strace.arg(program("issuer")?).args(batch.arguments("p256")?).ok()?;
    let summary = fs::read_to_string(summary)?;
    let calls = summary.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_sync = words.last().is_some_and(|word| ["fsync", "fdatasync"].contains(word));
        words.get(3)?.parse::<f64>().ok().filter(|_| is_sync)
    });
    Ok(calls.sum::<f64>() / f64::from(COUNTED))
}

/// What one costs on this disk: the median.
fn one_sync() -> Result<Duration> {
    use std::io::Write as _;
    let mut file = tempfile::tempfile_in(disk()?)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.write_all(&[7; 4096])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort();
    times.get(times.len() / 2).copied().context("100 turns have a middle")
}

/// Four RSA-2048 keys for each of so many cards, made as the card makes them, on every processor.
fn generation_alone(cards: u32) -> Result<Duration> {
    let hands = thread::available_parallelism()?.get();
    let (made, wanted) = (AtomicU32::new(0), cards * 4);
    let begin = Instant::now();
    thread::scope(|scope| {
        let hands: Vec<_> = (0..hands)
            .map(|_| {
                scope.spawn(|| {
                    let (provider, mut randomness) = (crypto::fastest(), Randomness::from_system()?);
                    while made.fetch_add(1, Ordering::Relaxed) < wanted {
                        provider.generate_loaded(AsymmetricAlgorithm::Rsa2048, &mut randomness)?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for hand in hands {
            hand.join().ok().context("a thread ended badly")??;
        }
        anyhow::Ok(())
    })?;
    Ok(begin.elapsed())
}
