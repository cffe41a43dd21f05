//! Sixteen processes with four threads each use one card, which is reset and removed at random meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::pkcs11::{Clients, module};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Server;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

const PROCESSES: usize = 16;
const THREADS: usize = 4;
/// How much longer than its time a process may take: a hang is found so.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn many_programs_share_a_card_that_is_reset_and_removed() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let seconds = if std::env::var_os("SEALWRIGHT_FULL").is_some() { 600 } else { 20 };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, card, inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    let clients = Clients::new(&pcscd, world.folder())?;
    let start = |number: usize| -> Result<Server> {
        let client = program("pkcs11-client")?.display().to_string();
        let run = clients.run(&client).arg(module()?).args(["stress", &seconds.to_string()]);
        run.args([&THREADS.to_string(), &alice.pin]).serve(&clients.path(&format!("client{number}.log")))
    };
    let mut running = (0..PROCESSES).map(start).collect::<Result<Vec<_>>>()?;

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut inserted = Some(inserted);
    let mut turn = 0;
    while Instant::now() < end {
        turn += 1;
        if turn % 3 == 0 {
            inserted.take().context("the card is there")?.remove()?;
            pcscd.wait_until_empty(0)?;
            inserted = Some(put_in_again(&pcscd, &card.state)?);
        } else {
            // It may come when the card is being used or has just come: whatever it says, it has tried.
            clients.run("opensc-tool").args(["--reader", &pcscd.reader_name(0), "--reset"]).outcome()?;
        }
    }
    let mut signed = 0;
    for (number, client) in running.iter_mut().enumerate() {
        let status = client.end_within(PATIENCE).with_context(|| format!("client {number}"))?;
        let log = client.log();
        ensure!(status.success(), "client {number}: {log}");
        let words: Vec<&str> = log.split_whitespace().collect();
        let count = words.iter().position(|word| *word == "signed").and_then(|at| words.get(at + 1));
        signed += count.context("no count")?.parse::<usize>()?;
    }
    ensure!(signed > PROCESSES, "only {signed} signatures");
    // The card itself is as it was.
    clients.logged_in(&alice.pin).arg("--list-objects").ok()?;
    Ok(())
}

/// pcscd looks every 0.4 s whether a card is there. If one is pulled in the middle of a transaction whose end resets it
/// (the PIN could not be logged out), pcscd calls the reader empty at once (SCardEndTransaction: "readerState =
/// SCARD_ABSENT"), but the thread that looks does not know: where it next finds a card again it sees no change, and the
/// card stays unseen. Its log then has neither "Card Removed" nor "Card inserted". No hand is that quick; whoever sees
/// no card takes it out and puts it in again, and that helps, for nobody talks to a card that is not seen.
fn put_in_again(pcscd: &Pcscd, state: &Path) -> Result<Inserted> {
    pcscd.insert(0, state).or_else(|_| pcscd.insert(0, state))
}
