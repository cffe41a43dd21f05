//! An operator's card in a real reader: the session ends when the card leaves, also if it comes back at once.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, Server};
use sealwright_tests::world::World;

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

/// The desk's shell, typed into by a pipe.
struct Shell {
    server: Server,
    typed: File,
    log: PathBuf,
}

/// A desk whose administrator's card is in the first reader.
struct Office {
    world: World,
    pcscd: Pcscd,
    card: CardFile,
}

impl Office {
    fn locator(&self) -> String {
        format!("pcsc:{}", self.pcscd.reader_name(0))
    }

    fn pin(&self) -> PathBuf {
        self.world.desk.transport_pin_file(ALICE)
    }

    fn as_alice(&self, words: &[&str]) -> Result<Run> {
        let run = self.world.desk.keyed(words)?.args(["--operator", &self.locator()]);
        Ok(run.arg("--operator-pin-file").arg(self.pin()))
    }

    fn shell(&self, name: &str) -> Result<Shell> {
        let pipe = self.world.path(name);
        Run::new("mkfifo").arg(&pipe).ok()?;
        let desk = self.as_alice(&["desk"])?;
        let words = ["-c", "exec \"$@\" < \"$PIPE\"", "sh"];
        let shell = Run::new("sh").args(words).args(desk.words()).envs(&self.world.desk.readers());
        let shell = shell.env("HOME", self.world.desk.home()).env("PIPE", &pipe);
        let log = self.world.path(&format!("{name}.log"));
        let server = shell.serve(&log)?;
        // The shell's end of the pipe is there by now, or will be.
        let typed = fs::OpenOptions::new().write(true).open(&pipe)?;
        Ok(Shell { server, typed, log })
    }

    fn state_of_bob(&self) -> Result<String> {
        let shown = self.as_alice(&["--json", "show", BOB])?.ok()?;
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
        let state = shown.get("state").and_then(|state| state.as_str());
        Ok(state.context("no state")?.to_owned())
    }
}

impl Shell {
    fn line(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.typed, "{line}")?)
    }

    /// Types a command and waits for what it says.
    fn says(&mut self, line: &str, word: &str) -> Result<()> {
        self.line(line)?;
        let log = &self.log;
        self.server.wait_until(word, || Ok(fs::read_to_string(log)?.contains(word)))
    }

    /// Types a command that must end the shell, for the card has left.
    fn ends(mut self, line: &str) -> Result<()> {
        self.line(line)?;
        drop(self.typed);
        let status = self.server.end_within(Duration::from_secs(60))?;
        let said = self.server.log();
        ensure!(status.code() == Some(1) && said.contains("the session ended with it"), "{status}: {said}");
        Ok(())
    }
}

#[test]
fn an_operators_session_ends_when_the_card_leaves_its_reader() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let bob = world.blank_card("bob")?;
    world.desk.stock(&bob)?.ok()?;
    world.desk.issue(BOB, &bob.locator())?.ok()?;
    let card = world.blank_card("alice")?;
    let mut inserted = pcscd.insert(0, &card.state)?;
    let office = Office { world, pcscd, card };
    let desk = &office.world.desk;
    desk.stock(&office.card)?.ok()?;
    desk.issue(ALICE, &office.locator())?.ok()?;
    let add = desk.command(&["operator", "add", ALICE, "--role", "administrator,registrar", "--card"])?;
    add.arg(office.locator()).arg("--pin-file").arg(office.pin()).ok()?;

    // Pulled between two commands: the second is not carried out.
    let mut shell = office.shell("pulled")?;
    shell.says(&format!("find {BOB}"), "Bob Baker")?;
    inserted.remove()?;
    office.pcscd.wait_until_empty(0)?;
    shell.ends(&format!("hold {BOB}"))?;
    inserted = office.pcscd.insert(0, &office.card.state)?;
    ensure!(office.state_of_bob()? == "awaiting activation", "{}", office.state_of_bob()?);

    // Pulled and put back in between: it may have been another card meanwhile, and nobody typed its PIN again.
    let mut shell = office.shell("swapped")?;
    shell.says(&format!("find {BOB}"), "Bob Baker")?;
    inserted.remove()?;
    office.pcscd.wait_until_empty(0)?;
    let _inserted = office.pcscd.insert(0, &office.card.state)?;
    shell.ends(&format!("hold {BOB}"))?;
    ensure!(office.state_of_bob()? == "awaiting activation", "{}", office.state_of_bob()?);

    // A new session is another one.
    office.as_alice(&["hold", BOB])?.ok()?;
    let events = office.as_alice(&["--json", "report", "events"])?.ok()?.out();
    let refused = events.lines().filter(|line| line.contains("operator-refused")).count();
    ensure!(refused == 2, "{refused} refusals in the log");
    Ok(())
}
