//! Cards that are wrong, absent, blocked, damaged or pulled: a clear word, and nothing is lost.

use std::fs;

use anyhow::Result;
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Outcome, Run};
use sealwright_tests::programs::program;
use sealwright_tests::world::{World, write_secret};

#[test]
fn a_card_pulled_in_the_middle_of_a_signature_is_named_and_nothing_is_sent() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (mut alice, card, inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    alice.locator = format!("pcsc:serial={}", card.serial.unwrap_or_default());
    alice.set_up(&world.maildir_account())?.ok()?;
    inserted.remove()?;
    pcscd.wait_until_empty(0)?;

    let pulled = pcscd.in_network(program("vpcd-card")?).args([&Pcscd::vpcd_address(0)?, "pull"]);
    let pulled = pcscd.insert_program(0, pulled.arg(&card.state).args(["87", "9C"]))?;
    let refused = alice.send(&["alice@example.org"], "plan", "the plan")?.fails_with(1)?;
    assert!(refused.err().contains("removed"), "{refused}");
    drop(pulled);
    alice.fetch()?.ok()?;
    assert!(alice.stored()?.is_empty(), "nothing was sent");

    // The other reader: pcscd overlooks a card that is back in the same one before its next look, every 400 ms.
    let _again = pcscd.insert(1, &card.state)?;
    alice.send(&["alice@example.org"], "plan", "the plan")?.ok()?;
    alice.fetch()?.ok()?;
    assert!(alice.read(1)?.ok()?.out().contains("the plan"));
    Ok(())
}

#[test]
fn no_card_and_two_cards_are_both_said_in_words() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let world = World::empty()?;
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let status = || -> Result<Outcome> {
        let card = Run::new(program("card")?).args(["status", "--card", "pcsc:"]);
        card.env("HOME", world.folder()).envs([&pcscd.environment()]).outcome()
    };
    let none = status()?.expect_code(1)?;
    assert!(none.err().contains("no card"), "{none}");
    let cards = [world.blank_card("first")?, world.blank_card("second")?];
    let first = pcscd.insert(0, &cards[0].state)?;
    status()?.expect_code(0)?;
    let _second = pcscd.insert(1, &cards[1].state)?;
    let several = status()?.expect_code(1)?;
    let named = [0, 1].iter().all(|reader| several.err().contains(&pcscd.reader_name(*reader)));
    assert!(named, "both readers are named: {several}");
    drop(first);
    Ok(())
}

#[test]
fn a_wrong_pin_costs_one_try_and_says_how_many_are_left() -> Result<()> {
    let world = World::new()?;
    let alice = world.person("alice", "p256")?;
    alice.set_up(&world.maildir_account())?.ok()?;
    let wrong = world.path("wrong-pin");
    write_secret(&wrong, "999999")?;
    let send = || -> Result<Outcome> {
        let to_self = ["send", "--to", "alice@example.org", "--subject", "x", "--body", "-"];
        alice.mailer()?.args(to_self).arg("--pin-file").arg(&wrong).input("x").outcome()
    };
    let refused = send()?.expect_code(1)?;
    assert!(refused.err().contains("wrong PIN") && refused.err().contains('2'), "{refused}");
    let refused = send()?.expect_code(1)?;
    assert!(refused.err().contains("wrong PIN") && refused.err().contains('1'), "{refused}");
    // The last try is not spent unless the user says so.
    let refused = send()?.expect_code(1)?;
    assert!(refused.err().contains("--last-try"), "{refused}");
    assert!(alice.stored()?.is_empty(), "nothing was sent");

    // Another program that spends it blocks the PIN; then everything says so.
    let blocked = alice.change_pin_from("999999")?.arg("--last-try").fails_with(1)?;
    assert!(blocked.err().contains("blocked"), "{blocked}");
    let refused = send()?.expect_code(1)?;
    assert!(refused.err().contains("blocked") && refused.err().contains("unblock"), "{refused}");
    Ok(())
}

#[test]
fn a_second_process_on_the_same_state_file_is_refused_and_the_first_goes_on() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let world = World::empty()?;
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let card = world.blank_card("alice")?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let status = |locator: &str| -> Result<Outcome> {
        let run = Run::new(program("card")?).args(["status", "--card", locator]);
        run.env("HOME", world.folder()).envs([&pcscd.environment()]).outcome()
    };
    let refused = status(&card.locator())?.expect_code(1)?;
    assert!(refused.err().contains("in use"), "{refused}");
    assert!(refused.err().contains(&card.state.display().to_string()), "{refused}");
    let run = Run::new(program("card-sim")?).arg("run").arg(&card.state).fails_with(1)?;
    assert!(run.err().contains("in use"), "{run}");
    status("pcsc:")?.expect_code(0)?;
    Ok(())
}

#[test]
fn a_truncated_state_file_is_refused_and_left_as_it_is() -> Result<()> {
    let world = World::empty()?;
    let card = world.blank_card("alice")?;
    let whole = fs::read(&card.state)?;
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&card.state, &whole[..length])?;
        for program_arguments in [("card", vec!["status", "--card"]), ("card-sim", vec!["inspect"])] {
            let (name, arguments) = program_arguments;
            let named = if name == "card" { card.locator() } else { card.state.display().to_string() };
            let run = Run::new(program(name)?).args(arguments).arg(named).env("HOME", world.folder());
            let refused = run.fails_with(1)?;
            assert!(refused.err().contains("truncated"), "{length} bytes: {refused}");
        }
        assert_eq!(fs::read(&card.state)?, &whole[..length]);
    }
    fs::write(&card.state, &whole)?;
    Run::new(program("card-sim")?).arg("inspect").arg(&card.state).ok()?;
    Ok(())
}

#[test]
fn a_card_whose_certificate_does_not_match_its_key_signs_nothing() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    alice.set_up(&world.maildir_account())?.ok()?;
    let tool = || Run::new("yubico-piv-tool").envs([&pcscd.environment()]).folder(world.folder());
    tool().args(["-a", "read-certificate", "-s", "9c", "-o", "alice-9c.pem"]).ok()?;
    inserted.remove()?;
    pcscd.wait_until_empty(0)?;

    // A card that holds Alice's certificate and another key, made by a foreign tool.
    let other = sealwright_tests::card::CardFile::yubikey(world.folder(), "other", "5.4", 77)?;
    let _inserted = pcscd.insert(0, &other.state)?;
    tool()
        .args(["-a", "set-chuid", "-a", "generate", "-s", "9c", "-A", "ECCP256", "-o", "other.pub"])
        .ok()?;
    tool().args(["-a", "import-certificate", "-s", "9c", "-i", "alice-9c.pem"]).ok()?;
    write_secret(&alice.pin_file(), "123456")?;
    alice.card("change-pin")?.arg("--already-changed").ok()?;
    let send = alice.send(&["alice@example.org"], "plan", "the plan")?.arg("--no-encrypt");
    let refused = send.fails_with(1)?;
    assert!(
        refused.err().contains("9C") && refused.err().contains("does not belong to its certificate"),
        "{refused}"
    );
    alice.fetch()?.ok()?;
    assert!(alice.stored()?.is_empty(), "nothing was sent");
    Ok(())
}
