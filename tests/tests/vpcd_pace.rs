//! Debian's vpcd sends a command in two pieces, and the second waits until the first is acknowledged: a card that lets
//! its system delay acknowledgements needs 44 ms for each command. The kernel counts the delayed ones.

use anyhow::{Context, Result};
use sealwright_tests::card::CardFile;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

const COMMANDS: usize = 200;

#[test]
fn no_command_waits_for_a_delayed_acknowledgement() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::standard(world.folder(), "paced")?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let before = delayed_acknowledgements(&pcscd)?;
    let asked = (0..COMMANDS).flat_map(|_| ["--send-apdu", "00:CB:3F:FF:03:5C:01:7E:00"]);
    let answers = Run::new("opensc-tool").envs([&pcscd.environment()]).args(asked).ok()?;
    assert_eq!(answers.out().matches("SW1=0x90, SW2=0x00").count(), COMMANDS, "{answers}");
    let delayed = delayed_acknowledgements(&pcscd)? - before;
    // The reader's own questions between commands may meet one.
    assert!(delayed < COMMANDS / 10, "{delayed} acknowledgements were delayed in {COMMANDS} commands");
    Ok(())
}

/// `TcpExt: DelayedACKs` of the network namespace, in which nothing but the readers talk.
fn delayed_acknowledgements(pcscd: &Pcscd) -> Result<usize> {
    let counters = pcscd.in_network("cat").arg("/proc/self/net/netstat").ok()?.out();
    let mut rows = counters.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = rows.next().zip(rows.next()).context("the kernel counts nothing")?;
    let (_, value) = names
        .split(' ')
        .zip(values.split(' '))
        .find(|(name, _)| *name == "DelayedACKs")
        .context("the kernel does not count delayed acknowledgements")?;
    Ok(value.parse()?)
}
