//! A trace of a foreign tool's work is played again on a card in a reader of a real pcscd.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use tempfile::TempDir;

/// Two cards and two readers: what a tool does with the first card is recorded, and played on the second one.
struct Bench {
    pcscd: Pcscd,
    folder: TempDir,
    recorded: CardFile,
    other: CardFile,
}

impl Bench {
    fn new(root: Root) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pcscd = Pcscd::start(root, folder.path(), 2)?;
        let recorded = CardFile::yubikey(folder.path(), "recorded", "5.4", 1)?;
        let other = CardFile::yubikey(folder.path(), "other", "5.4", 2)?;
        Ok(Self { pcscd, folder, recorded, other })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Records what `yubico-piv-tool` does.
    fn record(&self, trace: &str, arguments: &[&str]) -> Result<()> {
        let run = self.pcscd.in_network(program("card-sim")?).arg("run").arg(&self.recorded.state);
        let run = run.args(["--vpcd", &Pcscd::vpcd_address(0)?, "--trace"]).arg(self.path(trace));
        let inserted = self.pcscd.insert_program(0, run)?;
        let tool = Run::new("yubico-piv-tool").args(arguments).envs([&self.pcscd.environment()]);
        tool.folder(self.folder.path()).ok()?;
        inserted.remove()
    }

    fn insert_the_other(&self) -> Result<Inserted> {
        self.pcscd.insert(1, &self.other.state)
    }

    /// `card-sim replay` against the card in a reader, with this PIN.
    fn replay(&self, file: &str, against: &str, pin: &str) -> Result<Run> {
        fs::write(self.path("pin"), format!("{pin}\n"))?;
        let run = Run::new(program("card-sim")?).arg("replay").args([file, "--against", against]);
        Ok(run.args(["--pin-file", "pin"]).envs([&self.pcscd.environment()]).folder(self.folder.path()))
    }
}

#[test]
fn what_a_foreign_tool_read_plays_again_on_another_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    bench.record("trace.apdu", &["-a", "status", "-a", "verify-pin", "-P", "123456"])?;
    let trace = fs::read_to_string(bench.path("trace.apdu"))?;
    ensure!(trace.contains("[PIN]") && !trace.contains("31 32 33 34"), "{trace}");
    let card = bench.insert_the_other()?;
    let reader = format!("pcsc:{}", bench.pcscd.reader_name(1));
    let played = bench.replay("trace.apdu", &reader, "123456")?.ok()?;
    ensure!(played.out().contains("every answer as recorded"), "{played}");
    // The only card there is needs no name; a wrong PIN is the first difference.
    let differs = bench.replay("trace.apdu", "pcsc:", "999999")?.fails_with(1)?;
    ensure!(differs.err().contains("VERIFY, PIN\n  expected: 90 00  (success)"), "{differs}");
    ensure!(differs.err().contains("got:      63 C2  (2 tries left)"), "{differs}");
    card.remove()
}

#[test]
fn the_last_try_of_a_card_in_a_reader_is_kept() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    let card = bench.insert_the_other()?;
    fs::write(bench.path("verify.apdu"), "> 00 20 00 80 08 [PIN]\n< 90 00\n")?;
    for _ in 0..2 {
        bench.replay("verify.apdu", "pcsc:", "999999")?.fails_with(1)?;
    }
    // Now the card has one try left, and whether the value is right makes no difference to the question.
    for pin in ["999999", "123456"] {
        let refused = bench.replay("verify.apdu", "pcsc:", pin)?.fails_with(1)?;
        ensure!(refused.err().contains("it might spend the last try of the PIN"), "{refused}");
    }
    bench.replay("verify.apdu", "pcsc:", "123456")?.arg("--last-try").ok()?;
    card.remove()
}

#[test]
fn a_card_in_a_reader_is_changed_only_when_that_is_meant() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a namespace")? else { return Ok(()) };
    let bench = Bench::new(root)?;
    bench.record("made.apdu", &["-a", "generate", "-s", "9a", "-A", "ECCP256", "-o", "9a.pem"])?;
    let card = bench.insert_the_other()?;
    let replay =
        || Ok::<_, anyhow::Error>(bench.replay("made.apdu", "pcsc:", "123456")?.arg("--factory-values"));
    let refused = replay()?.fails_with(1)?;
    ensure!(refused.err().contains("GENERATE ASYMMETRIC KEY PAIR"), "{refused}");
    let played = replay()?.arg("--keep-changes").ok()?;
    ensure!(played.out().contains("each card's own"), "{played}");
    card.remove()?;
    let shown = Run::new(program("card-sim")?).arg("inspect").arg(&bench.other.state).ok()?.out();
    ensure!(shown.contains("Key 9A          P-256, generated"), "{shown}");
    Ok(())
}

#[test]
fn a_reader_that_is_not_there_is_told() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a namespace")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let pcscd = Pcscd::start(root, folder.path(), 2)?;
    let file = folder.path().join("t.apdu");
    fs::write(&file, "> 00 20 00 80\n< 63 C3\n")?;
    let replay = |against: &str| -> Result<String> {
        let run = Run::new(program("card-sim")?).arg("replay").arg(&file).args(["--against", against]);
        Ok(run.envs([&pcscd.environment()]).fails_with(1)?.err())
    };
    ensure!(replay("pcsc:")?.contains("no reader holds a card"), "no card");
    ensure!(replay("pcsc:Nobody")?.contains("no reader is called Nobody; there are: Yubico"), "no reader");
    ensure!(replay("pcsc:Yubico")?.contains("several readers fit"), "several");
    ensure!(replay(&format!("pcsc:{}", pcscd.reader_name(0)))?.contains("there is no card in it"), "empty");
    let run = Run::new(program("card-sim")?).arg("replay").arg(&file).args(["--against", "pcsc:"]);
    let nowhere = folder.path().join("nowhere").display().to_string();
    let told = run.env("PCSCLITE_CSOCK_NAME", nowhere).fails_with(1)?.err();
    ensure!(told.contains("is pcscd running?"), "{told}");
    Ok(())
}
