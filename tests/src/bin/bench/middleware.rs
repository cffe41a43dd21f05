//! The library that speaks to cards.
use anyhow::Result;
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::microseconds;

/// All certificates of an issued card, listed by a program through pcscd.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench middleware")? else { return Ok(Vec::new()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    let (ours, peer) = by_turns(
        20,
        || alice.card("certificates")?.ok().map(drop),
        || Run::new("pkcs15-tool").arg("--list-certificates").envs([&pcscd.environment()]).ok().map(drop),
    )?;
    let (ours, peer) = (microseconds(ours) / 1000.0, microseconds(peer) / 1000.0);
    Ok(vec![Row {
        area: "middleware",
        name: "list the certificates of a card",
        size: "-",
        ours,
        peer,
        peer_name: "pkcs15-tool",
        limit: peer,
        unit: "ms",
    }])
}
