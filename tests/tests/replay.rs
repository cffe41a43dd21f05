//! A trace of a foreign tool's work is played again on a card in a reader of a real pcscd.

use std::fs;

use anyhow::{Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;

#[test]
fn what_a_foreign_tool_did_with_one_card_plays_again_on_another() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a namespace")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let pcscd = Pcscd::start(root, folder, 2)?;
    let recorded = CardFile::yubikey(folder, "recorded", "5.4", 1)?;
    let other = CardFile::yubikey(folder, "other", "5.4", 2)?;
    let trace = folder.join("trace.apdu");
    let run = pcscd.in_network(program("card-sim")?).arg("run").arg(&recorded.state);
    let run = run.args(["--vpcd", &Pcscd::vpcd_address(0)?, "--trace"]).arg(&trace);
    let inserted = pcscd.insert_program(0, run)?;
    let tool = |arguments: &[&str]| {
        Run::new("yubico-piv-tool").args(arguments).envs([&pcscd.environment()]).folder(folder).ok()
    };
    tool(&["-a", "status", "-a", "verify-pin", "-P", "123456"])?;
    inserted.remove()?;
    let reads = fs::read_to_string(&trace)?;
    ensure!(reads.contains("[PIN]") && !reads.contains("31 32 33 34"), "{reads}");

    let card = pcscd.insert(1, &other.state)?;
    let reader = format!("pcsc:{}", pcscd.reader_name(1));
    let pin = folder.join("pin");
    fs::write(&pin, "123456\n")?;
    let replay = |file: &std::path::Path, against: &str| -> Result<Run> {
        let run = Run::new(program("card-sim")?).arg("replay").arg(file).args(["--against", against]);
        Ok(run.arg("--pin-file").arg(&pin).envs([&pcscd.environment()]))
    };
    let played = replay(&trace, &reader)?.ok()?;
    ensure!(played.out().contains("every answer as recorded"), "{played}");
    // The only card there is needs no name; a wrong PIN is the first difference.
    fs::write(&pin, "999999\n")?;
    let differs = replay(&trace, "pcsc:")?.fails_with(1)?;
    ensure!(differs.err().contains("VERIFY, PIN\n  expected: 90 00  (success)"), "{differs}");
    ensure!(differs.err().contains("got:      63 C2  (2 tries left)"), "{differs}");
    let verify = folder.join("verify.apdu");
    fs::write(&verify, "> 00 20 00 80 08 [PIN]\n< 90 00\n")?;
    replay(&verify, "pcsc:")?.fails_with(1)?;
    // Now the card has one try left, and whether the value is right makes no difference to the question.
    for value in ["999999\n", "123456\n"] {
        fs::write(&pin, value)?;
        let refused = replay(&verify, "pcsc:")?.fails_with(1)?;
        ensure!(refused.err().contains("it might spend the last try of the PIN"), "{refused}");
    }
    replay(&verify, "pcsc:")?.arg("--last-try").ok()?;
    card.remove()?;

    let run = pcscd.in_network(program("card-sim")?).arg("run").arg(&recorded.state);
    let made = folder.join("made.apdu");
    let run = run.args(["--vpcd", &Pcscd::vpcd_address(0)?, "--trace"]).arg(&made);
    let inserted = pcscd.insert_program(0, run)?;
    tool(&["-a", "generate", "-s", "9a", "-A", "ECCP256", "-o", "9a.pem"])?;
    inserted.remove()?;
    let card = pcscd.insert(1, &other.state)?;
    let refused = replay(&made, "pcsc:")?.arg("--factory-values").fails_with(1)?;
    ensure!(refused.err().contains("GENERATE ASYMMETRIC KEY PAIR"), "{refused}");
    let played = replay(&made, "pcsc:")?.args(["--factory-values", "--keep-changes"]).ok()?;
    ensure!(played.out().contains("each card's own"), "{played}");
    card.remove()?;
    let shown = Run::new(program("card-sim")?).arg("inspect").arg(&other.state).ok()?.out();
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
