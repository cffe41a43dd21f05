//! A verified PIN is never left behind for another process on the same computer.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Result;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// SELECT of the PIV application, SP 800-73-5 Part 2 section 3.1.1.
const SELECT: &str = "00:A4:04:00:0B:A0:00:00:03:08:00:00:10:00:01:00";
/// GENERAL AUTHENTICATE of key 9D with P-256, key agreement with the curve's base point.
const AGREE: &str = "00:87:11:9D:47:7C:45:82:00:85:41:04:\
    6B:17:D1:F2:E1:2C:42:47:F8:BC:E6:E5:63:A4:40:F2:77:03:7D:81:2D:EB:33:A0:F4:A1:39:45:D8:98:C2:96:\
    4F:E3:42:E2:FE:1A:7F:9B:8E:E7:EB:4A:7C:0F:9E:16:2B:CE:33:57:6B:31:5E:CE:CB:B6:40:68:37:BF:51:F5:00";

#[test]
fn another_process_is_refused_key_9d_right_after_read() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    alice.set_up(&world.maildir_account())?.ok()?;
    alice.send(&["alice@example.org"], "to myself", "hello")?.ok()?;
    alice.fetch()?.ok()?;
    assert!(alice.read(1)?.ok()?.out().contains("hello"));
    assert_eq!(agree_as_a_stranger(&pcscd, &[])?, "69:82");

    // The question itself can be answered: with the PIN in the same process the card agrees.
    let verify = format!("00:20:00:80:08:{}:FF:FF", hex_bytes(&alice.pin));
    assert_eq!(agree_as_a_stranger(&pcscd, &[&verify])?, "90:00");
    // And that process, a foreign one, ended without logging out: pcscd powers the card down.
    Ok(())
}

#[test]
fn another_process_is_refused_key_9d_after_the_reader_was_killed_in_the_middle() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, card, inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    alice.set_up(&world.maildir_account())?.ok()?;
    alice.send(&["alice@example.org"], "to myself", "hello")?.ok()?;
    alice.fetch()?.ok()?;

    inserted.remove()?;
    pcscd.wait_until_empty(0)?;
    let fifo = world.path("hold");
    Run::new("mkfifo").arg(&fifo).ok()?;
    let address = Pcscd::vpcd_address(0)?;
    let holding = pcscd.in_network(program("vpcd-card")?).args([&address, "hold"]).arg(&card.state);
    let _inserted = pcscd.insert_program(0, holding.args(["87", "9D"]).arg(&fifo))?;

    // `read` has verified the PIN and waits for the card's answer when it is killed.
    let reading = alice.read(1)?.serve(&world.path("read.log"))?;
    let mut held = None;
    wait_until("the card holds GENERAL AUTHENTICATE 9D", || {
        held = File::options().write(true).custom_flags(NONBLOCKING).open(&fifo).ok();
        Ok(held.is_some())
    })?;
    reading.stop(rustix::process::Signal::KILL)?;
    drop(held);
    assert_eq!(agree_as_a_stranger(&pcscd, &[])?, "69:82");
    Ok(())
}

const NONBLOCKING: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// The status word of a key agreement by OpenSC's opensc-tool, after other commands in the same connection.
fn agree_as_a_stranger(pcscd: &Pcscd, before: &[&str]) -> Result<String> {
    let mut run =
        Run::new("opensc-tool").args(["--reader", &pcscd.reader_name(0), "--card-driver", "default"]);
    for command in [&[SELECT], before, &[AGREE]].concat() {
        run = run.args(["--send-apdu", command]);
    }
    let sent = run.envs([&pcscd.environment()]).ok()?;
    let out = sent.out();
    let last = out.lines().rfind(|line| line.starts_with("Received")).unwrap_or_default();
    let words: Vec<&str> =
        last.split(['(', ')', ',', '=', ' ']).filter_map(|word| word.strip_prefix("0x")).collect();
    Ok(words.join(":"))
}

fn hex_bytes(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
