//! What our PKCS#11 module leaves on a card, and what it makes of what others do to the card.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::pkcs11::{Clients, module};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::wait_until;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// SELECT of the PIV application, and an empty VERIFY, which asks whether the PIN is verified (SP 800-73-5 Part 2
/// sections 3.1.1 and 3.2.1).
const SELECT: &str = "00:A4:04:00:0B:A0:00:00:03:08:00:00:10:00:01:00";
const VERIFY_STATUS: &str = "00:20:00:80";

/// A program with a session open, obeying.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(pcscd: &Pcscd) -> Result<Self> {
        let mut command = Command::new(program("pkcs11-client")?);
        command.arg(module()?).envs([pcscd.environment()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut client = Self { child, input, output };
        // What happened to a slot before the module was initialised is no event (C_WaitForSlotEvent).
        assert_eq!(client.hear()?, "ready");
        Ok(client)
    }

    fn say(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{command}")?;
        Ok(())
    }

    fn hear(&mut self) -> Result<String> {
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    fn ask(&mut self, command: &str) -> Result<String> {
        self.say(command)?;
        self.hear()
    }

    fn does(&mut self, command: &str) -> Result<()> {
        assert_eq!(self.ask(command)?, "ok", "{command}");
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(rustix::process::kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a stranger finds the PIN verified.
fn is_verified(pcscd: &Pcscd, folder: &std::path::Path) -> Result<bool> {
    let clients = Clients::new(pcscd, folder)?;
    let run =
        clients.run("opensc-tool").args(["--reader", &pcscd.reader_name(0), "--card-driver", "default"]);
    let sent = run.args(["--send-apdu", SELECT, "--send-apdu", VERIFY_STATUS]).ok()?;
    let out = sent.out();
    let last = out.lines().rev().find(|line| line.contains("SW1=")).context("no status word")?;
    assert!(last.contains("SW1=0x63") || last.contains("SW1=0x90"), "{sent}");
    Ok(last.contains("SW1=0x90"))
}

/// Alice's P-256 card in a reader.
fn alice(world: &mut World, root: Root) -> Result<(Pcscd, String, std::path::PathBuf, Inserted)> {
    let pcscd = world.pcscd(root, 2)?;
    let (alice, card, inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    Ok((pcscd, alice.pin.clone(), card.state, inserted))
}

#[test]
fn no_verified_pin_is_left_by_logout_the_last_session_s_end_finalize_or_death() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, _, _inserted) = alice(&mut world, root)?;
    let login = format!("login {pin}");
    for end in ["logout", "close", "finalize", "death"] {
        let mut client = Client::start(&pcscd)?;
        client.does("open")?;
        client.does(&login)?;
        client.does("sign 01")?;
        client.does(&format!("sign-agreed 02 {pin}"))?;
        // Not even between two uses.
        assert!(!is_verified(&pcscd, world.folder())?, "logged in, before {end}");
        client.does("sign 01")?;
        match end {
            "death" => drop(client),
            "finalize" => client.does(end)?,
            end => {
                client.does(end)?;
                // The login ended with it: 9A is not to be had.
                client.does("open")?;
                assert_eq!(client.ask("sign 01")?, "KeyHandleInvalid", "after {end}");
            }
        }
        assert!(!is_verified(&pcscd, world.folder())?, "after {end}");
    }
    Ok(())
}

#[test]
fn no_verified_pin_is_left_by_a_process_killed_while_the_card_signs() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, state, inserted) = alice(&mut world, root)?;
    inserted.remove()?;
    pcscd.wait_until_empty(0)?;
    let fifo = world.path("hold");
    sealwright_tests::process::Run::new("mkfifo").arg(&fifo).ok()?;
    let address = Pcscd::vpcd_address(0)?;
    let holding = pcscd.in_network(program("vpcd-card")?).args([&address, "hold"]).arg(&state);
    let _inserted = pcscd.insert_program(0, holding.args(["87", "9A"]).arg(&fifo))?;

    let mut client = Client::start(&pcscd)?;
    client.does("open")?;
    client.does(&format!("login {pin}"))?;
    client.say("sign 01")?;
    let mut held = None;
    wait_until("the card holds GENERAL AUTHENTICATE 9A", || {
        held = File::options().write(true).custom_flags(NONBLOCKING).open(&fifo).ok();
        Ok(held.is_some())
    })?;
    drop(client);
    drop(held);
    assert!(!is_verified(&pcscd, world.folder())?);
    Ok(())
}

/// Between two uses the transaction is kept, with the PIN verified: nobody sees it, whatever happens to the process.
#[test]
fn no_verified_pin_is_left_by_a_process_killed_between_two_signatures() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, _, _inserted) = alice(&mut world, root)?;
    for _ in 0..5 {
        let mut client = Client::start(&pcscd)?;
        client.does("open")?;
        client.does(&format!("login {pin}"))?;
        client.does("sign-on 01")?;
        // It is waited out, not disturbed.
        assert!(!is_verified(&pcscd, world.folder())?);
        drop(client);
        assert!(!is_verified(&pcscd, world.folder())?);
    }
    Ok(())
}

const NONBLOCKING: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

#[test]
fn a_pin_that_another_program_changed_ends_the_login_and_costs_one_try() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, _, _inserted) = alice(&mut world, root)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    let mut client = Client::start(&pcscd)?;
    client.does("open")?;
    client.does(&format!("login {pin}"))?;
    clients.logged_in(&pin).args(["--change-pin", "--new-pin", "27182818"]).ok()?;
    assert_eq!(client.ask("sign 01")?, "UserNotLoggedIn");
    // Not tried again.
    for _ in 0..5 {
        assert_ne!(client.ask("sign 01")?, "ok");
    }
    let slots = clients.pkcs11_tool().arg("--list-slots").ok()?;
    assert!(
        slots.out().contains("user PIN count low") && !slots.out().contains("final user PIN try"),
        "{slots}"
    );
    assert_eq!(client.ask(&format!("login {pin}"))?, "PinIncorrect");
    // The same wrong PIN again is refused without the card.
    for _ in 0..5 {
        assert_eq!(client.ask(&format!("login {pin}"))?, "PinIncorrect");
    }
    client.does("login 27182818")?;
    client.does("sign 01")?;
    Ok(())
}

#[test]
fn resets_are_survived_and_removals_are_reported() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, state, inserted) = alice(&mut world, root)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    let mut client = Client::start(&pcscd)?;
    client.does("open")?;
    client.does(&format!("login {pin}"))?;
    clients.run("opensc-tool").args(["--reader", &pcscd.reader_name(0), "--reset"]).ok()?;
    client.does("sign 01")?;

    // Somebody waits for what happens to the slots meanwhile.
    let mut waiting = Client::start(&pcscd)?;
    waiting.say("wait")?;
    inserted.remove()?;
    pcscd.wait_until_empty(0)?;
    assert_eq!(waiting.hear()?, "ok");
    assert_eq!(client.ask("sign 01")?, "DeviceRemoved");
    assert_eq!(client.ask("sign 01")?, "SessionHandleInvalid");
    assert_eq!(client.ask("open")?, "TokenNotPresent");
    waiting.say("wait")?;
    let _again = pcscd.insert(0, &state)?;
    assert_eq!(waiting.hear()?, "ok");
    client.does("open")?;
    assert_ne!(client.ask("sign 01")?, "ok", "the login went with the card");
    client.does(&format!("login {pin}"))?;
    client.does("sign 01")?;
    Ok(())
}

/// A program that kept its transaction for the next signature, and does nothing any more, holds up nobody.
#[test]
fn a_card_pulled_between_two_signatures_leaves_the_reader_to_others() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, state, inserted) = alice(&mut world, root)?;
    let mut client = Client::start(&pcscd)?;
    client.does("open")?;
    client.does(&format!("login {pin}"))?;
    let mut waiting = Client::start(&pcscd)?;
    waiting.say("wait")?;
    client.does("sign 01")?;
    // Stopped while it keeps the transaction, so that the service sees the card go first.
    client.signal(Signal::STOP)?;
    inserted.remove()?;
    assert_eq!(waiting.hear()?, "ok", "the card is gone");
    client.signal(Signal::CONT)?;
    // It asks for nothing more; others have the reader, and its next card.
    let clients = Clients::new(&pcscd, world.folder())?;
    clients.run("timeout").args(["60", "opensc-tool", "--list-readers"]).ok()?;
    let _again = pcscd.insert(0, &state)?;
    assert_eq!(client.ask("sign 01")?, "DeviceRemoved");
    client.does("open")?;
    Ok(())
}

/// A service that is updated is stopped and started under the programs that use it.
#[test]
fn a_pcsc_service_that_was_started_anew_is_found_by_the_next_call() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let (pcscd, pin, state, inserted) = alice(&mut world, root)?;
    let mut client = Client::start(&pcscd)?;
    let login = format!("login {pin}");
    for command in ["open", &login, "sign 01", "close"] {
        client.does(command)?;
    }
    inserted.remove()?;
    let sockets = pcscd.socket().parent().context("the socket lies in a folder")?.to_owned();
    drop(pcscd);
    // The next one takes the file with the number of this one for that of a process that runs.
    fs::remove_dir_all(sockets)?;
    let pcscd = world.pcscd(root, 2)?;
    let _again = pcscd.insert(0, &state)?;
    for command in ["open", &login, "sign 01"] {
        client.does(command)?;
    }
    Ok(())
}
