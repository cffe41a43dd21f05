//! The desk's shell at real readers: it waits for a card in any of them, and takes up what is put in.
#![allow(clippy::indexing_slicing, reason = "a test may fail this way")]

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::desk::Desk;
use sealwright_tests::pcscd::Inserted;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;
use serde_json::Value;

const TERMINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../issuer/tests/desk_shell/at_terminal.py");

#[test]
fn the_desk_waits_for_a_card_in_any_reader() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let mut desk = Desk::at(&world.path("desk"))?;
    desk.use_readers(pcscd.environment());
    desk.init("example.org", "http://pki.example.org")?.ok()?;
    desk.import_staff(&[("Alice Archer", "alice@example.org")])?.ok()?;
    let first = CardFile::yubikey(world.folder(), "first", "5.7", 11_111_111)?;
    let second = CardFile::yubikey(world.folder(), "second", "5.7", 22_222_222)?;

    let shown = world.path("shown");
    let desk = || -> Result<Run> {
        let run = Run::new("python3").env("TERM", "dumb").env("HOME", world.folder());
        Ok(run.env("SHOWN", &shown).envs(&desk.readers()))
    };
    let home = world.path("desk/home");

    // A card is put into the second reader while the desk waits, and taken into stock.
    let talk =
        [("desk> ", "\\r"), ("22222222 is blank", "1\\r"), ("in stock since", "\\r"), ("desk> ", "quit\\r")];
    let in_second = thread::scope(|scope| -> Result<Inserted> {
        let operator = scope.spawn(|| typed(desk()?, &home, &talk));
        wait_until("the desk waits", || Ok(seen(&shown)?.contains("(Ctrl-C: no card)")))?;
        let inserted = pcscd.insert(1, &second.state)?;
        operator.join().ok().context("the operator's thread ended badly")??;
        Ok(inserted)
    })?;

    // There is one in each: the desk asks which.
    let in_first = pcscd.insert(0, &first.state)?;
    let which = [
        ("desk> ", "\\r"),
        ("more than one reader", "1\\r"),
        ("11111111 is blank", "\\r"),
        ("desk> ", "quit\\r"),
    ];
    typed(desk()?, &home, &which)?;

    // Nobody inserts one: Ctrl-C ends the wait alone.
    drop((in_first, in_second));
    pcscd.wait_until_empty(0)?;
    pcscd.wait_until_empty(1)?;
    let nobody = [
        ("desk> ", "\\r"),
        ("(Ctrl-C: no card)", "\\x03"),
        ("desk> ", "find 22222222\\r"),
        ("in stock", "quit\\r"),
    ];
    typed(desk()?, &home, &nobody)
}

/// An operator at a terminal, who types each second text when the first is shown.
fn typed(run: Run, home: &Path, talk: &[(&str, &str)]) -> Result<()> {
    let run = run.arg(TERMINAL).args(talk.iter().flat_map(|(shown, typed)| [*shown, *typed]));
    let end = run.arg("--").arg(program("issuer")?).arg("--home").arg(home).arg("desk").ok()?;
    let end: Value = serde_json::from_str(&end.out())?;
    ensure!(end["status"] == 0, "{end}");
    Ok(())
}

/// What the terminal has shown so far.
fn seen(file: &Path) -> Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        text => Ok(text?),
    }
}
