//! Yubico's PKCS#11 module, Debian's 2.2, signs, decrypts and agrees with the card's keys through pkcs11-tool.

use anyhow::{Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::pkcs11_tool::{Pkcs11Tool, PublicKey, YKCS11_MODULE};
use sealwright_tests::privilege::Root;

/// CKA_ID, key reference and algorithm: 1 to 4 are 9A, 9C, 9D, 9E, 5 on are 82 on.
const KEYS: [(&str, &str, &str); 5] = [
    ("01", "9a", "RSA2048"),
    ("02", "9c", "ECCP256"),
    ("03", "9d", "RSA2048"),
    ("04", "9e", "ECCP384"),
    ("05", "82", "ECCP256"),
];

#[test]
fn it_signs_decrypts_and_derives() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    for (_, slot, algorithm) in KEYS {
        bench.make_key_and_certificate(slot, algorithm)?;
    }
    let tool = Pkcs11Tool { bench: &bench, module: YKCS11_MODULE };
    let listed = tool.run("--list-slots").ok()?;
    ensure!(listed.out().contains("YubiKey PIV #12345678"), "{listed}");
    for (id, slot, algorithm) in KEYS {
        let key = PublicKey { file: &format!("{slot}.pub"), algorithm };
        tool.signs(id, key)?;
        tool.decrypts_or_derives(id, key)?;
    }
    tool.tests_clean()
}

#[test]
fn it_lists_certificates_and_attestations_without_a_pin() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    bench.make_key_and_certificate("9a", "ECCP256")?;
    let tool = Pkcs11Tool { bench: &bench, module: YKCS11_MODULE };
    let objects = tool.run("--list-objects").ok()?;
    // Its own certificate, the attestation of the key, and the certificate of F9.
    ensure!(objects.out().matches("Certificate Object").count() == 3, "{objects}");
    ensure!(objects.out().contains("DN: CN=YubiKey PIV Attestation 9a"), "{objects}");
    ensure!(objects.out().contains("CN=card-sim PIV attestation of card 12345678"), "{objects}");
    Ok(())
}
