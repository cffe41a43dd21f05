//! A lost card, minute by minute: from the call to the desk until correspondents write to the new card.

use std::path::PathBuf;

use anyhow::{Context, Result};
use sealwright_tests::mail::{Account, Person};
use sealwright_tests::openssl::to_pem;
use sealwright_tests::process::Run;
use sealwright_tests::world::{DOMAIN, World};

const MARKER: &str = "the-harbour-plan-of-tuesday";

/// A world whose certificates name an OCSP responder.
fn world() -> Result<World> {
    let world = World::empty()?;
    world.desk.init("example.org", "http://pki.example.org")?.arg("--ocsp").ok()?;
    let staff = [("Alice Archer", "alice@example.org"), ("Bob Baker", "bob@example.org")];
    world.desk.import_staff(&staff)?.ok()?;
    Ok(world)
}

/// The newest certificate of an address, PEM.
fn certificate(world: &World, address: &str, name: &str) -> Result<PathBuf> {
    let file = world.desk.certificates_of(address)?.into_iter().next().context("a certificate")?;
    let copy = world.path(name);
    std::fs::copy(file, &copy)?;
    to_pem("x509", &copy)
}

/// What `openssl ocsp` hears of a certificate.
fn status(world: &World, certificate: &PathBuf, url: &str) -> Result<String> {
    let chain = std::fs::read_to_string(world.desk.published().join("ca-chain.pem"))?;
    let mut said = String::new();
    for (number, authority) in chain.split_inclusive("-----END CERTIFICATE-----\n").enumerate() {
        let issuer = world.path(&format!("authority{number}.pem"));
        std::fs::write(&issuer, authority)?;
        let ask = Run::new("openssl").args(["ocsp", "-no_nonce", "-CAfile"]).arg(world.desk.anchor());
        let ask = ask.arg("-issuer").arg(&issuer).arg("-cert").arg(certificate);
        said = ask.args(["-url", &format!("{url}/ocsp")]).outcome()?.text().to_owned();
        if said.contains("good") || said.contains("revoked") {
            break;
        }
    }
    Ok(said)
}

#[test]
fn a_lost_card_is_useless_within_a_minute_and_its_successor_is_found() -> Result<()> {
    let world = world()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    let (server, url) = world.desk.serve(&world.path("serve.log"))?;
    let account = || {
        let account = Account::default().asking(world.desk.published(), DOMAIN, &url);
        account.with("--maildir", world.path("post"))
    };
    for person in [&alice, &bob] {
        person.set_up(&account())?.ok()?;
    }
    // 09:00: an ordinary morning.
    alice.send(&["bob@example.org"], "plan", MARKER)?.ok()?;
    bob.fetch()?.ok()?;
    assert!(bob.read(1)?.ok()?.out().contains(MARKER));
    let lost = certificate(&world, "alice@example.org", "lost.cer")?;
    assert!(status(&world, &lost, &url)?.contains("good"));

    // 09:05: Alice calls. One command; nothing is waited for.
    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.ok()?;
    // 09:06: the responder and the CRL say so.
    let heard = status(&world, &lost, &url)?;
    assert!(heard.contains("revoked") && heard.contains("keyCompromise"), "{heard}");
    let crl = world.desk.published().join("crl.pem");
    let verify = Run::new("openssl").args(["verify", "-crl_check_all", "-CAfile"]).arg(world.desk.anchor());
    let verify = verify.arg("-untrusted").arg(world.desk.published().join("ca-chain.pem")).arg("-CRLfile");
    let judged = verify.arg(&crl).arg(&lost).outcome()?;
    assert!(judged.text().contains("certificate revoked"), "{judged}");
    // Bob neither encrypts to the lost card nor believes what it signed.
    let refused = bob.send(&["alice@example.org"], "answer", "nothing leaves")?.fails_with(1)?;
    assert!(refused.err().contains("revoked"), "{refused}");
    let read = bob.read(1)?.fails_with(4)?;
    assert!(read.err().contains("revoked") && !read.out().contains(MARKER), "{read}");

    // 09:30: a new card at the desk.
    std::fs::remove_file(world.desk.transport_pin_file("alice@example.org"))?;
    let card = world.blank_card("alice-again")?;
    let alice: Person = world.issue("alice", &card, &card.locator(), &["--algorithm", "p256"])?;
    alice.set_up(&account())?.ok()?;
    // 09:31: Bob's program finds the new certificate by itself.
    bob.send(&["alice@example.org"], "welcome back", MARKER)?.ok()?;
    alice.fetch()?.ok()?;
    let read = alice.mailer()?.arg("list").ok()?;
    let newest = read.out().lines().count().min(9);
    let found = (1..=newest.max(1)).rev().find_map(|number| {
        let read = alice.read(number).ok()?.outcome().ok()?;
        read.out().contains(MARKER).then_some(read)
    });
    assert!(found.is_some_and(|read| read.err().contains("bob@example.org")), "{read}");
    alice.send(&["bob@example.org"], "from the new card", "all is well again")?.ok()?;
    bob.fetch()?.ok()?;
    let read = bob.read(2)?.ok()?;
    assert!(read.out().contains("all is well again") && read.err().contains("not revoked"), "{read}");
    drop(server);
    Ok(())
}
