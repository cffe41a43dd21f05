//! The crate `yubikey` 0.8, an independent client in Rust, manages and uses a card with firmware 5.4; OpenSSL judges.
//!
//! PC/SC finds its daemon by an environment variable, so that each test runs itself once more as the client.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::privilege::Root;
use yubikey::piv::{self, AlgorithmId, ManagementSlotId, Origin, RetiredSlotId, SlotId};
use yubikey::{Certificate, Error, MgmKey, PinPolicy, TouchPolicy, YubiKey};

/// The folder in which the client works.
const CLIENT: &str = "SEALWRIGHT_CLIENT_FOLDER";

/// Runs `client` in another process that reaches the card, and says whether this is that process.
fn as_client(bench: &AtReader, test: &str) -> Result<()> {
    let this = std::env::current_exe()?;
    let run = bench.tool(this).args(["--exact", test, "--nocapture"]).env(CLIENT, bench.path(""));
    let done = run.ok()?;
    ensure!(done.out().contains("1 passed"), "{done}");
    Ok(())
}

const SLOTS: [(&str, SlotId, AlgorithmId); 6] = [
    ("9a", SlotId::Authentication, AlgorithmId::Rsa2048),
    ("9c", SlotId::Signature, AlgorithmId::EccP256),
    ("9d", SlotId::KeyManagement, AlgorithmId::Rsa2048),
    ("9e", SlotId::CardAuthentication, AlgorithmId::EccP384),
    ("82", SlotId::Retired(RetiredSlotId::R1), AlgorithmId::EccP256),
    ("95", SlotId::Retired(RetiredSlotId::R20), AlgorithmId::EccP384),
];

#[test]
fn it_makes_attests_and_uses_keys() -> Result<()> {
    if let Some(folder) = std::env::var_os(CLIENT) {
        return makes_attests_and_uses_keys(Path::new(&folder));
    }
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.write("data", "what is signed")?;
    for digest in ["sha256", "sha384"] {
        bench.openssl(&format!("dgst -{digest} -binary -out data.{digest} data"))?;
    }
    as_client(&bench, "it_makes_attests_and_uses_keys")?;

    bench.openssl("x509 -inform DER -in f9.der -out f9.pem")?;
    for (slot, _, algorithm) in SLOTS {
        bench.openssl(&format!("x509 -inform DER -in {slot}.att -out attestation.pem"))?;
        let attested = bench.openssl("x509 -in attestation.pem -noout -pubkey")?;
        bench.write("attested.pub", attested.stdout)?;
        bench.verify_attestation("attestation.pem", "f9.pem", "attested.pub")?;
        let digest = if algorithm == AlgorithmId::EccP384 { "sha384" } else { "sha256" };
        let line = format!("dgst -{digest} -verify attested.pub -signature {slot}.signature data");
        let verified = bench.openssl(&line)?;
        ensure!(verified.out().contains("Verified OK"), "{slot}: {verified}");
    }
    Ok(())
}

fn makes_attests_and_uses_keys(folder: &Path) -> Result<()> {
    let mut card = YubiKey::open()?;
    ensure!(card.version().to_string() == "5.4.3" && card.serial().0 == 12_345_678, "another card");
    card.chuid()?;
    card.cccid()?;
    let keys: Vec<_> = card.piv_keys()?.iter().map(piv::Key::slot).collect();
    ensure!(keys == [SlotId::Attestation], "a blank card has certificates: {keys:?}");
    card.authenticate(MgmKey::default())?;
    let read = |name: &str| std::fs::read(folder.join(name)).with_context(|| name.to_owned());
    for (name, slot, algorithm) in SLOTS {
        ensure!(piv::metadata(&mut card, slot).is_err(), "{name} has a key already");
        ensure!(piv::attest(&mut card, slot).is_err(), "{name} is attested without a key");
        let (pin, touch) = (PinPolicy::Once, TouchPolicy::Cached);
        let public_key = piv::generate(&mut card, slot, algorithm, pin, touch)?;
        let told = piv::metadata(&mut card, slot)?;
        ensure!(told.public == Some(public_key), "{name}: two public keys");
        ensure!(told.policy == Some((pin, touch)) && told.origin == Some(Origin::Generated), "{told:?}");
        std::fs::write(folder.join(format!("{name}.att")), &**piv::attest(&mut card, slot)?)?;
    }
    ensure!(sign(&mut card, &read("data.sha256")?, SLOTS[0]).is_err(), "9A signed without PIN");
    card.verify_pin(b"123456")?;
    for key @ (name, _, algorithm) in SLOTS {
        let digest = if algorithm == AlgorithmId::EccP384 { "data.sha384" } else { "data.sha256" };
        std::fs::write(folder.join(format!("{name}.signature")), sign(&mut card, &read(digest)?, key)?)?;
    }
    // Raw RSA both ways: what the card makes of a block comes back by the public exponent only, so decrypting what it
    // signed is not the block; the length is.
    let block = padded(&read("data.sha256")?);
    let decrypted = piv::decrypt_data(&mut card, &block, AlgorithmId::Rsa2048, SlotId::KeyManagement)?;
    ensure!(decrypted.len() == block.len(), "{} bytes came out", decrypted.len());
    let f9 = Certificate::read(&mut card, SlotId::Attestation)?;
    ensure!(f9.subject().contains("card-sim PIV attestation of card 12345678"), "{}", f9.subject());
    std::fs::write(folder.join("f9.der"), der(&mut card)?)?;
    Ok(())
}

/// The certificate of F9 as it lies in the object 5FFF01: `70 82 LLLL certificate 71 01 00 FE 00`.
fn der(card: &mut YubiKey) -> Result<Vec<u8>> {
    let object = card.fetch_object(0x5F_FF01)?;
    let certificate = object.get(4..object.len() - 5).context("a certificate object")?;
    Ok(certificate.to_vec())
}

fn sign(card: &mut YubiKey, digest: &[u8], key: (&str, SlotId, AlgorithmId)) -> Result<Vec<u8>> {
    let (_, slot, algorithm) = key;
    let input = if algorithm == AlgorithmId::Rsa2048 { padded(digest) } else { digest.to_vec() };
    Ok(piv::sign_data(card, &input, algorithm, slot)?.to_vec())
}

/// EMSA-PKCS1-v1_5 of a SHA-256 digest for 2048 bits (RFC 8017 section 9.2).
fn padded(digest: &[u8]) -> Vec<u8> {
    let info = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
        0x04, 0x20,
    ];
    let fill = vec![0xFF; 256 - 3 - info.len() - digest.len()];
    [&[0x00, 0x01], &fill[..], &[0x00], &info, digest].concat()
}

#[test]
fn it_changes_every_secret_and_resets() -> Result<()> {
    if std::env::var_os(CLIENT).is_some() {
        return changes_every_secret_and_resets();
    }
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    let guid = bench.inspect()?.pointer("/guid").cloned().context("a GUID")?;
    as_client(&bench, "it_changes_every_secret_and_resets")?;
    let card = bench.inspect()?;
    let is = |pointer: &str, value: serde_json::Value| card.pointer(pointer) == Some(&value);
    ensure!(is("/pin/tries", 3.into()) && is("/pin/tries_left", 3.into()), "{card}");
    ensure!(is("/management_key_algorithm", "3DES".into()), "{card}");
    ensure!(!is("/guid", guid) && is("/keys/0/reference", "F9".into()), "{card}");
    Ok(())
}

fn changes_every_secret_and_resets() -> Result<()> {
    let mut card = YubiKey::open()?;
    ensure!(card.get_pin_retries()? == 3, "another number of tries");
    ensure!(card.verify_pin(b"000000") == Err(Error::WrongPin { tries: 2 }), "a wrong PIN is not told");
    card.verify_pin(b"123456")?;
    ensure!(card.set_pin_retries(5, 4).is_err(), "without management key");
    card.authenticate(MgmKey::default())?;
    card.set_pin_retries(5, 4)?;
    ensure!(card.get_pin_retries()? == 5, "the tries were not set");
    card.change_pin(b"123456", b"654321")?;
    card.change_puk(b"12345678", b"87654321")?;
    card.unblock_pin(b"87654321", b"246810")?;
    card.verify_pin(b"246810")?;

    let key = MgmKey::generate();
    key.set_manual(&mut card, false)?;
    ensure!(card.authenticate(MgmKey::default()).is_err(), "the old management key still counts");
    card.authenticate(key)?;
    let told = piv::metadata(&mut card, SlotId::Management(ManagementSlotId::Management))?;
    ensure!(told.default == Some(false), "{told:?}");
    let slot = SlotId::Authentication;
    piv::generate(&mut card, slot, AlgorithmId::EccP256, PinPolicy::Default, TouchPolicy::Default)?;

    ensure!(card.reset_device().is_err(), "reset with PIN and PUK in use");
    // Five tries and four.
    for _ in 0..5 {
        ensure!(card.verify_pin(b"000000").is_err(), "a wrong PIN is right");
        ensure!(card.change_puk(b"00000000", b"11111111").is_err(), "a wrong PUK is right");
    }
    ensure!(card.verify_pin(b"246810").is_err(), "the PIN is not blocked");
    card.reset_device()?;
    card.verify_pin(b"123456")?;
    card.authenticate(MgmKey::default())?;
    ensure!(piv::metadata(&mut card, slot).is_err(), "the key survived");
    Ok(())
}
