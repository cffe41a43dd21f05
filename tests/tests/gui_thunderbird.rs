//! Thunderbird itself, in a window that nobody sees, uses the card through our module. Only with `scripts/test --full`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sealwright_tests::desktop::{Desktop, wanted};
use sealwright_tests::disk;
use sealwright_tests::mail::Person;
use sealwright_tests::openssl::{self, CardEngine};
use sealwright_tests::ports::free_port;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::programs::folder;
use sealwright_tests::world::{MAIL_PASSWORD, World};
use serde_json::{Value, json};

const TO_ALICE: &str = "the-ferry-leaves-at-noon";
const TO_BOB: &str = "the-ferry-has-room-for-nine";

#[test]
fn thunderbird_sends_signed_and_encrypted_mail_and_reads_ours_with_the_card() -> Result<()> {
    let (true, Some(root)) = (wanted("Thunderbird"), Root::or_skip("Postfix")?) else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _alice_inserted) = world.person_at_reader(&pcscd, 0, "alice", "rsa2048")?;
    let (bob, bobs_card, bob_inserted) = world.person_at_reader(&pcscd, 1, "bob", "rsa2048")?;
    let servers = world.mail_servers(root)?;
    for person in [&alice, &bob] {
        person.set_up(&world.server_account(&servers, person)?)?.ok()?;
    }
    // Thunderbird reads neither AES-GCM nor RSA-OAEP.
    bob.send(&["alice@example.org"], "Ferry", TO_ALICE)?.args(["--cipher", "compatible"]).ok()?;
    wait_until("Dovecot has the mail", || Ok(!servers.dovecot.messages("alice@example.org")?.is_empty()))?;

    // At Alice's desk there is her card alone.
    bob_inserted.remove()?;
    pcscd.wait_until_empty(1)?;
    let desktop = Desktop::start(&world.path("desktop"))?;
    let settings = json!({
        "profile": world.path("profile"), "log": world.path("thunderbird.log"), "marionette_port": free_port()?,
        "module": folder()?.join("libmiddleware_pkcs11.so"), "pin": alice.pin, "host": "127.0.0.1",
        "imap_port": servers.imap_tap.port(), "smtp_port": servers.smtp_tap.port(),
        "address": alice.address, "name": alice.name, "password": MAIL_PASSWORD,
        "anchors": ders(&world, &world.desk.anchor())?,
        "chain": ders(&world, &world.desk.published().join("ca-chain.pem"))?,
        "people": [certificate_of(&world, &bob, "Key Encipherment")?.0],
        "signing": certificate_of(&world, &alice, "Digital Signature")?.1,
        "encryption": certificate_of(&world, &alice, "Key Encipherment")?.1,
        "correspondent": bob.address, "subject": "Re: Ferry", "body": format!("{TO_BOB}\r\n"),
        "expected": TO_ALICE, "picture": desktop.picture("thunderbird.png"),
    });
    let file = world.path("settings.json");
    sealwright_tests::world::write_secret(&file, &settings.to_string())?;
    let run = Run::new(desktop.python()?).arg("gui/thunderbird.py").arg(&file);
    let run = run.folder(Path::new(env!("CARGO_MANIFEST_DIR"))).env("HOME", world.folder());
    let seen = run.envs(&desktop.environment()).envs([&pcscd.environment()]).outcome()?;
    ensure!(seen.code == Some(0), "{seen}\n{}", fs::read_to_string(world.path("thunderbird.log"))?);
    let seen: Value = serde_json::from_slice(&seen.stdout)?;

    assert_eq!(seen["sent"], "sent", "{seen}");
    assert!(seen["shown"]["body"].as_str().is_some_and(|body| body.contains(TO_ALICE)), "{seen}");
    for (icon, state) in [("encrypted", "message-encrypted-ok"), ("signed", "message-signed-ok")] {
        assert!(seen["shown"][icon].as_str().is_some_and(|source| source.contains(state)), "{icon}: {seen}");
    }
    let _bob_inserted = pcscd.insert(1, &bobs_card.state)?;
    bob_and_openssl_read_it(&world, &bob, &pcscd.environment())
}

/// Our mailer trusts what Thunderbird sent, and OpenSSL opens and verifies it.
fn bob_and_openssl_read_it(world: &World, bob: &Person, pcscd: &(String, std::ffi::OsString)) -> Result<()> {
    wait_until("Bob has it", || Ok(bob.fetch()?.ok()?.out().contains("1 new")))?;
    let read = bob.read(1)?.ok()?;
    assert!(read.out().contains(TO_BOB) && read.err().contains("Signed by Alice Archer"), "{read}");

    let (certificate, _) = certificate_of(world, bob, "Key Encipherment")?;
    let certificate = openssl::to_pem("x509", Path::new(&certificate))?;
    let engine = CardEngine::new(world.folder(), pcscd.clone(), &bob.pin)?;
    let (opened, verified) = (world.path("opened.eml"), world.path("verified.txt"));
    let received =
        bob.stored()?.into_iter().find(|file| !file.components().any(|part| part.as_os_str() == "sent"));
    let received = received.context("Bob's mail store holds it")?;
    engine.decrypt(&bob.name, &received, &certificate, &opened).ok()?;
    openssl::verify_signed(world.desk.published(), &opened, &verified)?.ok()?;
    assert!(fs::read_to_string(verified)?.contains(TO_BOB));
    Ok(())
}

/// A person's published certificate with this key usage: its DER file, and its serial number as hex without zeros.
fn certificate_of(world: &World, person: &Person, usage: &str) -> Result<(PathBuf, String)> {
    for certificate in world.desk.certificates_of(&person.address)? {
        let shown = Run::new("openssl")
            .args(["x509", "-inform", "DER", "-noout", "-serial", "-ext", "keyUsage", "-in"])
            .arg(&certificate)
            .ok()?
            .out();
        if shown.contains(usage) {
            let serial =
                shown.lines().find_map(|line| line.strip_prefix("serial=")).context("openssl prints it")?;
            return Ok((certificate, serial.to_lowercase().trim_start_matches('0').to_owned()));
        }
    }
    anyhow::bail!(
        "{} has no certificate for {usage}: {:?}",
        person.address,
        disk::files(world.desk.published())?
    )
}

/// Every certificate of a PEM file in a DER file of its own.
fn ders(world: &World, pem: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(pem)?;
    let name = pem.file_stem().context("a PEM file has a name")?.to_string_lossy().into_owned();
    let mut files = Vec::new();
    for (number, part) in text.split_inclusive("-----END CERTIFICATE-----").enumerate() {
        let Some(begin) = part.find("-----BEGIN CERTIFICATE-----") else { continue };
        let file = world.path(&format!("{name}-{number}.der"));
        let run = Run::new("openssl").args(["x509", "-outform", "DER", "-out"]).arg(&file);
        run.input(part.get(begin..).unwrap_or_default()).ok()?;
        files.push(file);
    }
    Ok(files)
}
