//! OpenSC's tools, Debian's 0.23, use the card with every algorithm they know.

use anyhow::{Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::openssl::OPENSC_MODULE;
use sealwright_tests::pkcs11_tool::{Pkcs11Tool, PublicKey};
use sealwright_tests::privilege::Root;

/// OpenSC numbers 9A, 9C, 9D, 9E and 82: CKA_ID 01 to 05.
const IDS: [(&str, &str); 5] = [("01", "9a"), ("02", "9c"), ("03", "9d"), ("04", "9e"), ("05", "82")];

#[test]
fn it_signs_decrypts_and_derives_with_rsa_2048() -> Result<()> {
    it_signs_decrypts_and_derives("5.4", "RSA2048")
}

#[test]
fn it_signs_decrypts_and_derives_with_rsa_3072() -> Result<()> {
    it_signs_decrypts_and_derives("5.7", "RSA3072")
}

#[test]
fn it_signs_decrypts_and_derives_with_p_256() -> Result<()> {
    it_signs_decrypts_and_derives("5.7", "ECCP256")
}

#[test]
fn it_signs_decrypts_and_derives_with_p_384() -> Result<()> {
    it_signs_decrypts_and_derives("5.4", "ECCP384")
}

fn it_signs_decrypts_and_derives(firmware: &str, algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, firmware, "yes")?;
    bench.make_ca()?;
    for (_, slot) in IDS {
        bench.make_key_and_certificate(slot, algorithm)?;
    }
    let tool = Pkcs11Tool { bench: &bench, module: OPENSC_MODULE };
    let objects = tool.run("--list-objects").ok()?;
    ensure!(objects.out().matches("Certificate Object").count() == IDS.len(), "{objects}");
    ensure!(objects.out().matches("Public Key Object").count() == IDS.len(), "{objects}");
    for (id, slot) in IDS {
        let key = PublicKey { file: &format!("{slot}.pub"), algorithm };
        // The key management keys decrypt and agree, the others sign; that is what the standard has them for.
        if matches!(slot, "9d" | "82") {
            tool.decrypts_or_derives(id, key)?;
        } else {
            tool.signs(id, key)?;
        }
    }
    tool.tests_clean()?;
    let told = bench.tool("pkcs15-tool").arg("--list-keys").ok()?;
    ensure!(told.out().matches("Private ").count() == IDS.len(), "{told}");
    let pin = bench.tool("pkcs15-tool").args(["--verify-pin", "--auth-id", "01", "--pin", "123456"]).ok()?;
    ensure!(!pin.text().contains("failed"), "{pin}");
    Ok(())
}

#[test]
fn a_pin_is_changed_and_unblocked_by_its_tools() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    bench.make_ca()?;
    bench.make_key_and_certificate("9a", "ECCP256")?;
    let tool = Pkcs11Tool { bench: &bench, module: OPENSC_MODULE };
    tool.run("--login --pin 123456 --change-pin --new-pin 654321").ok()?;
    for left in [2, 1, 0] {
        tool.run("--login --pin 000000 --list-objects").fails_with(1)?;
        ensure!(bench.inspect()?["pin"]["tries_left"] == left, "{}", bench.inspect()?["pin"]);
    }
    let unblock = ["--unblock-pin", "--auth-id", "01", "--puk", "12345678", "--new-pin", "246810"];
    bench.tool("pkcs15-tool").args(unblock).ok()?;
    tool.run("--login --pin 246810 --list-objects").ok()?;
    Ok(())
}
