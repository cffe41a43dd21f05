//! The desk: a card issued.
use std::path::Path;

use anyhow::{Context, Result};
use sealwright_tests::card::CardFile;
use sealwright_tests::measure::Row;
use sealwright_tests::openssl::certify_public_key;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::microseconds;

/// One card with four P-256 keys through pcscd, beside Yubico's tool that makes four keys and certificates by itself.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench issuer")? else { return Ok(Vec::new()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let mut issued = Vec::new();
    for (round, name) in ["alice", "bob", "carol", "dave"].into_iter().enumerate() {
        let card = world.blank_card(name)?;
        world.desk.stock(&card)?.ok()?;
        let ours = pcscd.insert(0, &card.state)?;
        let folder = world.path(&format!("peer{round}"));
        std::fs::create_dir_all(&folder)?;
        let peers = CardFile::yubikey(&folder, "peer", "5.4", 5_400_000 + u32::try_from(round)?)?;
        let theirs = pcscd.insert(1, &peers.state)?;
        let locator = format!("pcsc:{}", pcscd.reader_name(0));
        let address = format!("{name}@example.org");
        let issue = world.desk.issue(&address, &locator)?.args(["--algorithm", "p256"]);
        let mut issue = Some(issue);
        let once = sealwright_tests::measure::once_each(
            || issue.take().context("issued once")?.ok().map(drop),
            || peer_issues(&pcscd, &folder),
        )?;
        issued.push(once);
        drop((ours, theirs));
        pcscd.wait_until_empty(0)?;
        pcscd.wait_until_empty(1)?;
    }
    let (ours, peer) = sealwright_tests::measure::medians(issued);
    Ok(vec![Row {
        area: "issuer",
        name: "issue a card with four P-256 keys",
        size: "-",
        ours: microseconds(ours) / 1000.0,
        peer: microseconds(peer) / 1000.0,
        peer_name: "yubico-piv-tool and openssl",
        limit: 1000.0,
        unit: "ms",
    }])
}

/// Generate, certify and store for each of the four keys, then CHUID and CCC.
fn peer_issues(pcscd: &Pcscd, folder: &Path) -> Result<()> {
    let reader = pcscd.reader_name(1);
    let tool =
        || Run::new("yubico-piv-tool").args(["-r", &reader]).envs([&pcscd.environment()]).folder(folder);
    for slot in ["9a", "9c", "9d", "9e"] {
        tool().args(["-a", "generate", "-s", slot, "-A", "ECCP256", "-o", "key.pub"]).ok()?;
        certify_public_key(folder, "key.pub", "key.pem")?;
        tool().args(["-a", "import-certificate", "-s", slot, "-i", "key.pem"]).ok()?;
    }
    tool().args(["-a", "set-chuid", "-a", "set-ccc"]).ok()?;
    Ok(())
}
