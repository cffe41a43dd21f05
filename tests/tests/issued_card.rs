//! A card as it leaves the desk, looked at with the tools that its holder's computer may have: they tell what is on it, and
//! find nothing to complain about.

use std::path::Path;

use anyhow::{Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

/// The desk's card for Alice, in the first reader.
fn issued(root: Root, card: impl FnOnce(&Path) -> Result<CardFile>) -> Result<(World, Pcscd, Inserted)> {
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = card(world.folder())?;
    let inserted = pcscd.insert(0, &card.state)?;
    world.hand_out("alice", &card, &format!("pcsc:{}", pcscd.reader_name(0)), &[])?;
    Ok((world, pcscd, inserted))
}

/// What OpenSC says of a data object that is not on the card.
const NOT_THERE: &str = "Data object read failed: File not found";

fn tool(world: &World, pcscd: &Pcscd, program: impl AsRef<std::ffi::OsStr>) -> Run {
    Run::new(program).envs([&pcscd.environment()]).env("HOME", world.folder()).folder(world.folder())
}

fn has_no_complaint(text: &str) -> Result<()> {
    let said = text.to_lowercase();
    for complaint in
        ["warning", "error", "fail", "unable", "invalid", "unsupported", "traceback", "default pin"]
    {
        ensure!(!said.contains(complaint), "{complaint:?}: {text}");
    }
    Ok(())
}

#[test]
fn ykman_tells_what_is_on_an_issued_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let (world, pcscd, _inserted) =
        issued(root, |folder| CardFile::yubikey(folder, "alice", "5.7", 5_700_042))?;
    let ykman = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/ykman");
    let told = tool(&world, &pcscd, ykman).args(["-r", &pcscd.reader_name(0), "piv", "info"]).ok()?;
    for words in ["PIV version:              5.7.2", "PIN tries remaining:      3/3", "CHUID:", "CCC:"] {
        ensure!(told.out().contains(words), "{words:?} is missing: {told}");
    }
    for slot in ["9A (AUTHENTICATION)", "9C (SIGNATURE)", "9D (KEY_MANAGEMENT)", "9E (CARD_AUTH)"] {
        ensure!(told.out().contains(&format!("Slot {slot}")), "{slot:?} is missing: {told}");
    }
    ensure!(told.out().matches("Private key type: ECCP256").count() == 4, "{told}");
    ensure!(told.out().matches("Subject DN:").count() == 4, "{told}");
    has_no_complaint(&told.text())
}

#[test]
fn opensc_dumps_an_issued_card_without_vendor_commands() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let (world, pcscd, _inserted) = issued(root, |folder| CardFile::standard(folder, "alice"))?;
    let dump = tool(&world, &pcscd, "pkcs15-tool").arg("--dump").ok()?;
    for title in ["PIV AUTH key", "SIGN key", "KEY MAN key", "CARD AUTH key"] {
        ensure!(dump.out().contains(&format!("Private EC Key [{title}]")), "{title:?} is missing: {dump}");
    }
    ensure!(dump.out().matches("X.509 Certificate [").count() == 4, "{dump}");
    // The objects that the desk signs are there for whoever asks for them.
    for object in ["Card Holder Unique Identifier", "Security Object", "Card Capability Container"] {
        ensure!(dump.out().contains(object), "{object:?} is missing: {dump}");
    }
    // It looks for two more, which a card need not have: an unsigned CHUID (not in SP 800-73-5 any more), iris images.
    let text = dump.text();
    ensure!(text.matches(NOT_THERE).count() == 2, "{dump}");
    has_no_complaint(&text.replace(NOT_THERE, ""))
}
