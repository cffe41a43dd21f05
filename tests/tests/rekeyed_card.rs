//! A card gets new keys at the desk: what was sealed to its old certificate is still read, through OpenSC's module and
//! through our mailer.

use std::fs;

use anyhow::{Context, Result};
use sealwright_tests::openssl::OPENSC_MODULE;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

const BEFORE: &str = "written before the keys were changed";
const AFTER: &str = "written after the keys were changed";

#[test]
fn a_rekeyed_card_still_decrypts_mail_to_the_old_certificate() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 1)?;
    let (alice, _card, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "rsa2048")?;
    let bob = world.person("bob", "p256")?;
    for person in [&alice, &bob] {
        person.set_up(&world.maildir_account())?.ok()?;
    }
    let old = old_certificate(&world)?;
    bob.send(&["alice@example.org"], "old", BEFORE)?.ok()?;
    alice.fetch()?.ok()?;

    let locator = format!("pcsc:{}", pcscd.reader_name(0));
    let renew = world.desk.keyed(&["renew", "alice@example.org", "--card", &locator, "--new-keys"])?;
    let renewed = renew.args(["--algorithm", "rsa2048", "--pin-file"]).arg(alice.pin_file()).ok()?;
    assert!(renewed.out().contains("lies at 82"), "{renewed}");
    world.desk.publish()?.ok()?;

    // Through our mailer: the old letter, and one to the new certificate.
    let read = alice.read(1)?.ok()?;
    assert!(read.out().contains(BEFORE), "{read}");
    bob.send(&["alice@example.org"], "new", AFTER)?.ok()?;
    alice.fetch()?.ok()?;
    let read = alice.read(2)?.ok()?;
    assert!(read.out().contains(AFTER), "{read}");

    // Through OpenSC's module: what OpenSSL sealed to the old certificate.
    let folder = world.folder();
    fs::write(folder.join("old.der"), &old)?;
    fs::write(folder.join("message"), BEFORE)?;
    let openssl = |line: &str| Run::new("openssl").args(line.split_whitespace()).folder(folder).ok();
    openssl("x509 -inform DER -in old.der -out old.pem")?;
    openssl("pkeyutl -encrypt -certin -inkey old.pem -in message -out sealed")?;
    let pin = fs::read_to_string(alice.pin_file())?;
    let opensc = || {
        let run = Run::new("pkcs11-tool").envs([&pcscd.environment()]).folder(folder);
        run.args(["--module", OPENSC_MODULE])
    };
    let objects = opensc().arg("--list-objects").ok()?;
    assert!(objects.out().contains("Retired Certificate for Key Management 1"), "{objects}");
    let decrypt = opensc().args(["--login", "--pin", pin.trim(), "--decrypt", "--id", "05"]);
    decrypt.args(["--mechanism", "RSA-PKCS", "--input-file", "sealed", "--output-file", "opened"]).ok()?;
    assert_eq!(fs::read_to_string(folder.join("opened"))?, BEFORE);
    Ok(())
}

/// The published certificate of Alice's key 9D, DER.
fn old_certificate(world: &World) -> Result<Vec<u8>> {
    for file in world.desk.certificates_of("alice@example.org")? {
        let text = Run::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&file).ok()?;
        if text.out().contains("Key Encipherment") {
            return Ok(Run::new("openssl").args(["x509", "-outform", "DER", "-in"]).arg(&file).ok()?.stdout);
        }
    }
    None.context("no certificate for encryption is published")
}
