//! Other people's programs use the card that our desk issued, through pcscd.

use std::fs;
use std::path::Path;

use anyhow::Result;
use sealwright_tests::card::CardFile;
use sealwright_tests::openssl::{CardEngine, OPENSC_MODULE, certify_public_key, verify_signed};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Outcome, Run};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

#[test]
fn opensc_lists_and_uses_an_issued_p256_card() -> Result<()> {
    opensc_lists_and_uses("p256")
}

#[test]
fn opensc_lists_and_uses_an_issued_rsa_card() -> Result<()> {
    opensc_lists_and_uses("rsa2048")
}

fn opensc_lists_and_uses(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let tool = |name: &str| Run::new(name).envs([&pcscd.environment()]).folder(world.folder());

    let atr = tool("opensc-tool").arg("--atr").ok()?;
    assert_eq!(atr.out().trim(), "3b:fd:13:00:00:81:31:fe:15:80:73:c0:21:c0:57:59:75:62:69:4b:65:79:40");
    let name = tool("opensc-tool").arg("--name").ok()?;
    assert!(name.out().contains("Personal Identity Verification Card"), "{name}");
    let dump = tool("pkcs15-tool").arg("--dump").ok()?;
    for (id, title) in
        [("01", "PIV AUTH key"), ("02", "SIGN key"), ("03", "KEY MAN key"), ("04", "CARD AUTH key")]
    {
        assert!(dump.out().contains(title), "{title} ({id}) is missing: {dump}");
    }
    assert_eq!(dump.out().matches("X.509 Certificate [").count(), 4, "{dump}");
    let piv = tool("piv-tool").args(["--serial", "--name"]).ok()?;
    assert!(!piv.text().trim().is_empty(), "{piv}");

    let pkcs11 = || tool("pkcs11-tool").args(["--module", OPENSC_MODULE]);
    let objects = pkcs11().arg("--list-objects").ok()?;
    assert_eq!(objects.out().matches("Certificate Object").count(), 4, "{objects}");
    assert_eq!(objects.out().matches("Public Key Object").count(), 4, "{objects}");
    let tested = pkcs11().args(["--login", "--pin", &alice.pin, "--test"]).ok()?;
    assert!(tested.out().contains("No errors"), "{tested}");
    for id in ["01", "02"] {
        signs_and_openssl_verifies(world.folder(), &tool, id, &alice.pin, algorithm)?;
    }
    Ok(())
}

/// OpenSC's module signs with a key of the card; OpenSSL checks with the public key of the card's certificate.
fn signs_and_openssl_verifies(
    folder: &Path,
    tool: &dyn Fn(&str) -> Run,
    id: &str,
    pin: &str,
    algorithm: &str,
) -> Result<()> {
    fs::write(folder.join("data"), "what is signed")?;
    let mechanism = if algorithm == "p256" { "ECDSA-SHA256" } else { "SHA256-RSA-PKCS" };
    let sign =
        tool("pkcs11-tool").args(["--module", OPENSC_MODULE, "--login", "--pin", pin, "--sign", "--id", id]);
    let sign = sign.args(["--mechanism", mechanism, "--signature-format", "openssl"]);
    sign.args(["--input-file", "data", "--output-file", "signature"]).ok()?;
    tool("pkcs15-tool").args(["--read-certificate", id, "--output", "signer.pem"]).ok()?;
    let key =
        Run::new("openssl").args(["x509", "-in", "signer.pem", "-noout", "-pubkey", "-out", "signer.pub"]);
    key.folder(folder).ok()?;
    let verify =
        || Run::new("openssl").args(["dgst", "-sha256", "-verify", "signer.pub", "-signature", "signature"]);
    let verified = verify().arg("data").folder(folder).ok()?;
    assert!(verified.out().contains("Verified OK"), "{verified}");
    verify().arg("signer.pem").folder(folder).fails_with(1)?;
    Ok(())
}

#[test]
fn yubico_s_tool_reads_and_uses_a_card_with_firmware_5_4() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let card = CardFile::yubikey(world.folder(), "alice", "5.4", 5_400_001)?;
    let _inserted = pcscd.insert(0, &card.state)?;
    let reader = pcscd.reader_name(0);
    let tool = || {
        Run::new("yubico-piv-tool").args(["-r", &reader]).envs([&pcscd.environment()]).folder(world.folder())
    };

    // A blank card first: the tool makes a key and stores its certificate. (Debian's 2.2.0 cannot sign a certificate
    // itself: with OpenSSL 3.0 it fails before it asks the card.)
    tool().args(["-a", "generate", "-s", "9c", "-A", "ECCP256", "-o", "9c.pub"]).ok()?;
    certify_public_key(world.folder(), "9c.pub", "9c.pem")?;
    tool()
        .args(["-a", "import-certificate", "-s", "9c", "-i", "9c.pem", "-a", "set-chuid", "-a", "set-ccc"])
        .ok()?;
    let verified = || tool().args(["-a", "verify-pin", "-P", "123456"]);
    let tested = verified().args(["-a", "test-signature", "-s", "9c", "-i", "9c.pem"]).ok()?;
    assert!(tested.text().contains("Successful ECDSA verification"), "{tested}");
    let tested = verified().args(["-a", "test-decipher", "-s", "9c", "-i", "9c.pem"]).ok()?;
    assert!(tested.text().contains("Successfully performed ECDH exchange"), "{tested}");

    // Then the same card as our desk issues it, once what it knows nothing of is gone: key and certificate.
    let locator = format!("pcsc:{reader}");
    let reset = Run::new(program("card")?).envs([&pcscd.environment()]);
    reset.args(["reset", "--card", &locator, "--yes"]).ok()?;
    let alice = world.issue("alice", &card, &locator, &["--algorithm", "rsa2048"])?;
    let status = tool().args(["-a", "status"]).ok()?;
    for slot in ["9a", "9c", "9d", "9e"] {
        assert!(status.out().contains(&format!("Slot {slot}:")), "{status}");
    }
    assert!(status.out().contains("Version:\t5.4."), "{status}");
    let tested = reads_certificate_and_tests(&tool, &alice.pin)?;
    assert!(tested.text().contains("Successful RSA verification"), "{tested}");
    Ok(())
}

fn reads_certificate_and_tests(tool: &dyn Fn() -> Run, pin: &str) -> Result<Outcome> {
    tool().args(["-a", "read-certificate", "-s", "9c", "-o", "9c.pem"]).ok()?;
    tool().args(["-a", "verify-pin", "-P", pin, "-a", "test-signature", "-s", "9c", "-i", "9c.pem"]).ok()
}

#[test]
fn openssl_decrypts_and_verifies_the_mail_with_the_same_p256_card() -> Result<()> {
    openssl_decrypts_and_verifies("p256")
}

#[test]
fn openssl_decrypts_and_verifies_the_mail_with_the_same_rsa_card() -> Result<()> {
    openssl_decrypts_and_verifies("rsa2048")
}

fn openssl_decrypts_and_verifies(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _alices) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let bobs_card = world.blank_card("bob")?;
    let bob = world.issue("bob", &bobs_card, &bobs_card.locator(), &["--algorithm", "p256"])?;
    for person in [&alice, &bob] {
        person.set_up(&world.maildir_account())?.ok()?;
    }
    let body = "read by another program\n";
    bob.send(&["alice@example.org"], "for OpenSSL", body)?.ok()?;
    alice.fetch()?.ok()?;
    let message = alice.only_stored()?;

    let engine = CardEngine::new(world.folder(), pcscd.environment(), &alice.pin)?;
    let certificate = world.path("9d.pem");
    Run::new("pkcs15-tool")
        .args(["--read-certificate", "03", "--output"])
        .arg(&certificate)
        .envs([&pcscd.environment()])
        .ok()?;
    let (signed, plain) = (world.path("signed.eml"), world.path("plain.eml"));
    engine.decrypt(&alice.name, &message, &certificate, &signed).ok()?;
    let verified = verify_signed(world.desk.published(), &signed, &plain)?.ok()?;
    assert!(verified.err().contains("CMS Verification successful"), "{verified}");
    assert!(fs::read_to_string(&plain)?.contains(body.trim()));

    // Bob's card is lost: OpenSSL, given the new CRL, no longer accepts the signature.
    world.desk.revoke("bob@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.ok()?;
    let refused = verify_signed(world.desk.published(), &signed, &plain)?.fails_with(4)?;
    assert!(refused.err().contains("certificate revoked"), "{refused}");
    Ok(())
}

#[test]
fn readers_other_than_the_named_one_are_left_alone() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd: Pcscd = world.pcscd(root, 4)?;
    let (alice, _, _alices) = world.person_at_reader(&pcscd, 1, "alice", "p256")?;
    let (bob, _, _bobs) = world.person_at_reader(&pcscd, 2, "bob", "p256")?;
    for (person, other) in [(&alice, &bob), (&bob, &alice)] {
        let shown = person.card("certificates")?.ok()?;
        assert!(shown.out().contains(&person.address) && !shown.out().contains(&other.address), "{shown}");
    }
    Ok(())
}
