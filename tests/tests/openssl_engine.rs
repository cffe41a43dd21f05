//! OpenSSL signs and decrypts CMS with the card's keys: libengine-pkcs11-openssl over OpenSC's module.

use anyhow::{Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::openssl::CardEngine;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;

#[test]
fn openssl_signs_and_decrypts_cms_with_rsa_keys() -> Result<()> {
    openssl_signs_and_decrypts_cms("RSA2048")
}

#[test]
fn openssl_signs_and_decrypts_cms_with_p_256_keys() -> Result<()> {
    openssl_signs_and_decrypts_cms("ECCP256")
}

#[test]
fn openssl_signs_and_decrypts_cms_with_p_384_keys() -> Result<()> {
    openssl_signs_and_decrypts_cms("ECCP384")
}

fn openssl_signs_and_decrypts_cms(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    for slot in ["9a", "9c", "9d"] {
        bench.make_key_and_certificate(slot, algorithm)?;
    }
    bench.write("letter", "The crane arrives on Tuesday.\n")?;
    let engine = CardEngine::new(&bench.path(""), bench.environment(), "123456")?;
    // OpenSC names the token by the certificate of 9A, and numbers 9A, 9C, 9D: CKA_ID 01 to 03.
    let key = |id: &str| format!("pkcs11:token=9a;id=%{id};type=private");
    let cms = |program: Run, line: &str, id: &str| {
        let run = program.env("OPENSSL_CONF", engine.configuration()).args(["cms", "-engine", "pkcs11"]);
        run.args(["-keyform", "engine", "-inkey", &key(id)]).args(line.split_whitespace())
    };

    let sign = "-sign -binary -nodetach -in letter -outform DER -out signed -signer";
    cms(bench.tool("openssl"), &format!("{sign} 9a.pem"), "01").ok()?;
    verifies(&bench, "letter")?;
    // 9C asks for the PIN before each signature; without a terminal the engine reads it from standard input.
    let asked = bench.tool("setsid").args(["--wait", "openssl"]).input("123456\n");
    cms(asked, &format!("{sign} 9c.pem"), "02").ok()?;
    verifies(&bench, "letter")?;
    let unanswered = bench.tool("setsid").args(["--wait", "openssl"]);
    ensure!(
        cms(unanswered, &format!("{sign} 9c.pem"), "02").outcome()?.code != Some(0),
        "9C signed without PIN"
    );

    bench.openssl("cms -encrypt -binary -aes-256-cbc -in letter -outform DER -out encrypted 9d.pem")?;
    let decrypt = "-decrypt -binary -inform DER -in encrypted -out decrypted -recip 9d.pem";
    cms(bench.tool("openssl"), decrypt, "03").ok()?;
    ensure!(bench.read("decrypted")? == bench.read("letter")?, "another text came out");
    Ok(())
}

fn verifies(bench: &AtReader, text: &str) -> Result<()> {
    let line = "cms -verify -inform DER -in signed -CAfile ca.pem -purpose any -binary -out verified";
    let verified = bench.openssl(line)?;
    ensure!(verified.err().contains("CMS Verification successful"), "{verified}");
    ensure!(bench.read("verified")? == bench.read(text)?, "another text was signed");
    Ok(())
}
