//! The life of a staff card, over real mail servers: what this project is for.

use anyhow::Result;
use sealwright_tests::disk::Needle;
use sealwright_tests::mail::Account;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::world::{DOMAIN, World};

const MARKER: &str = "the-harbour-plan-of-tuesday";

#[test]
fn a_card_is_issued_mail_goes_round_the_card_is_lost_and_its_signature_is_no_longer_trusted() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "rsa2048")?);
    let servers = world.mail_servers(root)?;
    for person in [&alice, &bob] {
        person.set_up(&world.server_account(&servers, person)?)?.ok()?;
    }

    alice.send(&["bob@example.org"], "Grüße from the harbour", MARKER)?.ok()?;
    wait_until("Dovecot has the mail", || Ok(!servers.dovecot.messages("bob@example.org")?.is_empty()))?;
    bob.fetch()?.ok()?;
    let read = bob.read(1)?.ok()?;
    assert!(read.out().contains(MARKER), "{read}");
    assert!(read.text().contains("alice@example.org"), "the verdict names the signer: {read}");

    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.ok()?;
    let read = bob.read(1)?.fails_with(4)?;
    assert!(!read.out().contains(MARKER), "content of a revoked signer is shown only when asked for: {read}");
    assert!(read.err().contains("revoked") && read.err().contains("alice@example.org"), "{read}");
    let shown = bob.read(1)?.arg("--show-untrusted").fails_with(4)?;
    assert!(shown.out().contains(MARKER), "{shown}");

    let refused = bob.send(&["alice@example.org"], "answer", "nothing leaves")?.fails_with(1)?;
    assert!(refused.err().contains("alice@example.org") && refused.err().contains("revoked"), "{refused}");
    assert!(servers.dovecot.messages("alice@example.org")?.is_empty());
    Ok(())
}

#[test]
fn mail_is_nowhere_in_plaintext_on_the_wire_or_on_the_servers_disks() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    let servers = world.mail_servers(root)?;
    for person in [&alice, &bob] {
        person.set_up(&world.server_account(&servers, person)?)?.ok()?;
    }
    let attachment = world.path("plan.txt");
    std::fs::write(&attachment, format!("attached: {MARKER}\n"))?;
    alice
        .send(&["bob@example.org"], "plan", &format!("see {MARKER}\n"))?
        .arg("--attach")
        .arg(&attachment)
        .ok()?;
    wait_until("Dovecot has the mail", || Ok(!servers.dovecot.messages("bob@example.org")?.is_empty()))?;
    bob.fetch()?.ok()?;
    assert!(bob.read(1)?.ok()?.out().contains(MARKER));

    let needle = Needle::new(MARKER);
    for tap in [&servers.smtp_tap, &servers.imap_tap] {
        let seen = tap.seen();
        assert!(
            seen.windows(8).any(|part| part.eq_ignore_ascii_case(b"STARTTLS")),
            "the tap saw the session"
        );
        assert!(!needle.is_in(&seen), "plaintext on the wire");
    }
    let disks = [servers.postfix.folder(), servers.dovecot.folder()];
    for disk in disks {
        assert_eq!(needle.files_in(disk)?, Vec::<std::path::PathBuf>::new());
    }

    // The same search must find a mail that another program sends in the clear.
    let script = "import smtplib, sys
server = smtplib.SMTP('localhost', int(sys.argv[1]))
server.sendmail('x@example.org', ['bob@example.org'], 'Subject: x\\n\\n' + sys.argv[2])";
    Run::new("python3").args(["-c", script, &servers.smtp_tap.port().to_string(), MARKER]).ok()?;
    assert!(needle.is_in(&servers.smtp_tap.seen()), "the tap does not see a clear session");
    wait_until("the clear mail is found on Dovecot's disk", || {
        Ok(!needle.files_in(servers.dovecot.folder()).unwrap_or_default().is_empty())
    })
}

#[test]
fn mail_travels_over_tls_from_the_first_byte_too() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    let servers = world.mail_servers(root)?;
    let (submissions, imaps) = (servers.postfix.submissions, servers.dovecot.imaps);
    for person in [&alice, &bob] {
        let urls = [format!("smtps://127.0.0.1:{submissions}"), format!("imaps://127.0.0.1:{imaps}")];
        person.set_up(&world.account_at(urls, person)?)?.ok()?;
    }
    alice.send(&["bob@example.org"], "plan", MARKER)?.ok()?;
    wait_until("Dovecot has the mail", || Ok(!servers.dovecot.messages("bob@example.org")?.is_empty()))?;
    bob.fetch()?.ok()?;
    assert!(bob.read(1)?.ok()?.out().contains(MARKER));
    Ok(())
}

#[test]
fn certificates_and_revocations_are_found_over_http_alone() -> Result<()> {
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "rsa2048")?);
    let (server, url) = world.desk.serve(&world.path("serve.log"))?;
    for person in [&alice, &bob] {
        let account = Account::default().asking(world.desk.published(), DOMAIN, &url);
        person.set_up(&account.with("--maildir", world.path("post")))?.ok()?;
    }
    alice.send(&["bob@example.org"], "plan", MARKER)?.ok()?;
    bob.fetch()?.ok()?;
    let read = bob.read(1)?.ok()?;
    assert!(read.out().contains(MARKER) && read.err().contains("not revoked"), "{read}");

    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.ok()?;
    let read = bob.read(1)?.fails_with(4)?;
    assert!(read.err().contains("revoked") && !read.out().contains(MARKER), "{read}");
    let refused = bob.send(&["alice@example.org"], "answer", "nothing leaves")?.fails_with(1)?;
    assert!(refused.err().contains("revoked"), "{refused}");
    drop(server);
    Ok(())
}

#[test]
fn a_mail_server_whose_certificate_is_not_ours_gets_neither_password_nor_mail() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let world = World::new()?;
    let (alice, _bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    let servers = world.mail_servers_of_a_stranger(root)?;
    alice.set_up(&world.server_account(&servers, &alice)?)?.ok()?;

    let sent = alice.send(&["bob@example.org"], "plan", MARKER)?.outcome()?;
    assert_ne!(sent.code, Some(0), "{sent}");
    assert!(sent.err().contains("certificate"), "{sent}");
    let outbox = alice.mailer()?.args(["outbox", "list"]).ok()?;
    assert!(outbox.out().contains("bob@example.org"), "the mail waits: {outbox}");
    let fetched = alice.fetch()?.outcome()?;
    assert_ne!(fetched.code, Some(0), "{fetched}");
    assert!(fetched.err().contains("certificate"), "{fetched}");
    let log = servers.postfix.log();
    assert!(!log.contains("sasl_username") && !log.contains("from=<alice@"), "{log}");
    Ok(())
}

#[test]
fn a_mail_that_the_server_refuses_stays_in_the_outbox_until_the_server_takes_it() -> Result<()> {
    let Some(root) = Root::or_skip("Postfix")? else { return Ok(()) };
    let world = World::new()?;
    let (alice, _dave) = (world.person("alice", "p256")?, world.person("dave", "p256")?);
    let servers = world.mail_servers(root)?;
    alice.set_up(&world.server_account(&servers, &alice)?)?.ok()?;

    let refused = alice.send(&["dave@example.org"], "plan", MARKER)?.outcome()?;
    assert_ne!(refused.code, Some(0), "{refused}");
    assert!(refused.err().contains("550"), "the server's own words are shown: {refused}");
    let outbox = alice.mailer()?.args(["outbox", "list"]).ok()?;
    assert!(outbox.out().contains("dave@example.org"), "{outbox}");
    let needle = Needle::new(MARKER);
    assert!(needle.files_in(alice.home())?.is_empty(), "the outbox holds no plaintext");

    servers.postfix.add_mailbox(&format!("dave@{DOMAIN}"))?;
    alice.mailer()?.args(["outbox", "flush"]).ok()?;
    wait_until("Dovecot has the mail", || Ok(!servers.dovecot.messages("dave@example.org")?.is_empty()))?;
    let outbox = alice.mailer()?.args(["outbox", "list"]).ok()?;
    assert!(!outbox.out().contains("dave@example.org"), "{outbox}");
    Ok(())
}
