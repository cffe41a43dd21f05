//! What must not be sent is not sent; what must not be trusted is not shown.

use std::fs;

use anyhow::{Context, Result};
use sealwright_tests::world::World;

#[test]
fn send_names_every_recipient_without_a_certificate_and_sends_nothing() -> Result<()> {
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    for person in [&alice, &bob] {
        person.set_up(&world.maildir_account())?.ok()?;
    }
    let to = ["bob@example.org", "carol@example.org", "dave@example.org"];
    let refused = alice.send(&to, "plan", "the plan")?.fails_with(1)?;
    for without in ["carol@example.org", "dave@example.org"] {
        assert!(refused.err().contains(without), "{refused}");
    }
    assert!(!refused.err().contains("bob@example.org"), "Bob has one: {refused}");
    bob.fetch()?.ok()?;
    assert!(bob.stored()?.is_empty(), "nothing was sent to Bob either");
    let outbox = alice.mailer()?.args(["outbox", "list"]).ok()?;
    assert!(!outbox.out().contains("bob@example.org"), "{outbox}");
    Ok(())
}

#[test]
fn a_message_changed_on_the_way_shows_nothing_of_its_content() -> Result<()> {
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    for person in [&alice, &bob] {
        person.set_up(&world.maildir_account())?.ok()?;
    }
    let body = "the plan ".repeat(400);
    alice.send(&["bob@example.org"], "plan", &body)?.ok()?;
    let sent = only_file(&world, "bob@example.org")?;
    let whole = fs::read(&sent)?;
    let opened = bob.keyed("open")?.input(whole.clone()).ok()?;
    assert!(opened.out().contains("the plan"), "{opened}");

    // One character of the ciphertext's base64, well inside the content.
    let start = whole.windows(4).position(|part| part == b"\r\n\r\n").context("a header ends")?;
    let middle = start + (whole.len() - start) * 3 / 4;
    let place = (middle..whole.len()).find(|at| whole[*at].is_ascii_lowercase()).context("a letter")?;
    let mut changed = whole;
    changed[place] = if changed[place] == b'q' { b'r' } else { b'q' };
    let refused = bob.keyed("open")?.input(changed).fails_with(4)?;
    assert!(refused.stdout.is_empty(), "{refused}");
    assert!(!refused.err().contains("the plan"), "{refused}");
    Ok(())
}

#[test]
fn mail_signed_under_an_unknown_ca_is_untrusted_and_says_whose_it_claims_to_be() -> Result<()> {
    let (ours, theirs) = (World::new()?, World::new()?);
    let bob = ours.person("bob", "p256")?;
    bob.set_up(&ours.maildir_account())?.ok()?;
    let stranger = theirs.person("alice", "p256")?;
    stranger.set_up(&theirs.maildir_account())?.ok()?;
    let forged = stranger.send(&["bob@example.org"], "plan", "trust me")?.arg("--no-encrypt").ok()?;
    let message = fs::read(only_file(&theirs, "bob@example.org")?).with_context(|| forged.to_string())?;
    let refused = bob.keyed("open")?.input(message).fails_with(4)?;
    assert!(refused.stdout.is_empty(), "{refused}");
    assert!(refused.err().contains("alice@example.org"), "{refused}");
    Ok(())
}

#[test]
fn a_malformed_row_of_staff_is_named_by_row_and_field_and_the_others_go_on() -> Result<()> {
    let world = World::new()?;
    let file = world.path("more.csv");
    fs::write(
        &file,
        "name,mail\nErin East,erin@example.org\nFred Field,not an address\n,gina@example.org\nHugo Hill,hugo@example.org\n",
    )?;
    let imported = world.desk.command(&["staff", "import"])?.arg(&file).fails_with(3)?;
    let text = imported.text();
    assert!(text.contains("row 3") && text.contains("mail"), "{imported}");
    assert!(text.contains("row 4") && text.contains("name"), "{imported}");
    let listed = world.desk.command(&["staff", "list"])?.ok()?;
    assert!(
        listed.out().contains("erin@example.org") && listed.out().contains("hugo@example.org"),
        "{listed}"
    );
    assert!(!listed.out().contains("gina@example.org"), "{listed}");
    Ok(())
}

/// The one message that waits for an address.
fn only_file(world: &World, address: &str) -> Result<std::path::PathBuf> {
    let mut files = sealwright_tests::disk::files(&world.path("post").join(address))?;
    anyhow::ensure!(files.len() == 1, "{files:?}");
    files.pop().context("one was counted")
}
