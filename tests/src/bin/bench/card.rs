//! Cards: the way of an APDU.
use std::ffi::CString;

use anyhow::{Result, ensure};
use pcsc::{Protocols, Scope, ShareMode};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

use crate::{microseconds, numbers};

/// Any AID prefix selects PIV; VERIFY without data asks for the tries left.
const ASK_FOR_TRIES: [u8; 4] = [0x00, 0x20, 0x00, 0x80];

/// A short APDU through pcscd and vpcd: our card beside one that answers 90 00 to everything.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench card")? else { return Ok(Vec::new()) };
    let world = World::empty()?;
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let _ours = pcscd.insert(0, &world.blank_card("ours")?.state)?;
    let empty = pcscd.in_network(program("vpcd-card")?).args([&Pcscd::vpcd_address(1)?, "empty"]);
    let _peer = pcscd.insert_program(1, empty)?;
    let client = Run::new(std::env::current_exe()?).args(["client", "card"]).envs([&pcscd.environment()]);
    let measured = client.args([pcscd.reader_name(0), pcscd.reader_name(1)]).ok()?.out();
    let [ours, peer] = numbers(&measured)?;
    Ok(vec![Row {
        area: "card",
        name: "short APDU through pcscd and vpcd",
        size: "4 B",
        ours,
        peer,
        peer_name: "an empty card",
        limit: 1.3 * peer,
        unit: "us",
    }])
}

/// What the client process does: the same APDU to both readers by turns.
pub(crate) fn short_apdus(ours: &str, peer: &str) -> Result<()> {
    let context = pcsc::Context::establish(Scope::User)?;
    let connect = |reader: &str| -> Result<pcsc::Card> {
        Ok(context.connect(&CString::new(reader)?, ShareMode::Shared, Protocols::ANY)?)
    };
    let (ours, peer) = (connect(ours)?, connect(peer)?);
    let ask = |card: &pcsc::Card| -> Result<()> {
        let mut buffer = [0; 258];
        let answer = card.transmit(&ASK_FOR_TRIES, &mut buffer)?;
        ensure!(answer.len() == 2, "a status word was expected, not {answer:02X?}");
        Ok(())
    };
    let (ours, peer) = by_turns(2000, || ask(&ours), || ask(&peer))?;
    println!("{} {}", microseconds(ours), microseconds(peer));
    Ok(())
}
