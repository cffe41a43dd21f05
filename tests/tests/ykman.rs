//! Yubico's current tool, `ykman piv` (PyPI), on a card with firmware 5.7; OpenSSL judges.

use anyhow::{Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Outcome, Run};

const MANAGEMENT_KEY: &str = "-m 010203040506070801020304050607080102030405060708";

/// Its names of algorithms, quick ones; RSA-4096 takes seconds to make.
const ALGORITHMS: [&str; 6] = ["ECCP256", "ECCP384", "ED25519", "X25519", "RSA2048", "RSA3072"];

fn ykman(bench: &AtReader, line: &str) -> Run {
    bench.ykman().args(line.split_whitespace())
}

fn succeeds(bench: &AtReader, line: &str, words: &str) -> Result<Outcome> {
    let outcome = ykman(bench, line).ok()?;
    ensure!(outcome.text().contains(words), "{words:?} is missing: {outcome}");
    Ok(outcome)
}

fn fails(bench: &AtReader, line: &str, words: &str) -> Result<()> {
    let outcome = ykman(bench, line).fails_with(1)?;
    ensure!(outcome.text().contains(words), "{words:?} is missing: {outcome}");
    Ok(())
}

fn is_full() -> bool {
    std::env::var_os("SEALWRIGHT_FULL").is_some()
}

#[test]
fn it_takes_the_card_for_a_yubikey_and_knows_its_state() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    let told = succeeds(&bench, "info", "Firmware version: 5.7.2")?;
    ensure!(told.out().contains("Serial number: 12345678"), "{told}");
    ensure!(told.out().contains("PIV         \tEnabled"), "{told}");
    let told = succeeds(&bench, "piv info", "PIV version:              5.7.2")?;
    for words in [
        "PIN tries remaining:      3/3",
        "PUK tries remaining:      3/3",
        "Management key algorithm: AES192",
        "Using default PIN!",
        "Using default PUK!",
        "Using default Management key!",
    ] {
        ensure!(told.text().contains(words), "{words}: {told}");
    }
    Ok(())
}

#[test]
fn it_makes_attests_moves_and_deletes_keys_of_every_algorithm() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    succeeds(&bench, "piv certificates export f9 f9.pem", "")?;
    let slow: &[&str] = if is_full() { &["RSA4096"] } else { &[] };
    for algorithm in ALGORITHMS.iter().chain(slow) {
        let policies = "--pin-policy once --touch-policy cached";
        let line = format!("piv keys generate {MANAGEMENT_KEY} -a {algorithm} {policies} 9a key.pub");
        succeeds(&bench, &line, "Private key generated")?;
        succeeds(&bench, "piv keys attest 9a attestation.pem", "")?;
        bench.verify_attestation("attestation.pem", "f9.pem", "key.pub")?;
        let told = succeeds(&bench, "piv keys info 9a", algorithm)?;
        for words in ["GENERATED", "PIN required for use:   ONCE", "Touch required for use: CACHED"] {
            ensure!(told.out().contains(words), "{words}: {told}");
        }
        // To a retired place, with all that is known of it; then away. One algorithm is enough for every day.
        if *algorithm != "ECCP256" && !is_full() {
            continue;
        }
        succeeds(&bench, &format!("piv keys move {MANAGEMENT_KEY} 9a 95"), "Key moved")?;
        fails(&bench, "piv keys info 9a", "No key stored")?;
        let moved = succeeds(&bench, "piv keys info 95", algorithm)?;
        ensure!(moved.out().lines().skip(1).eq(told.out().lines().skip(1)), "{told}{moved}");
        succeeds(&bench, "piv keys export 95 moved.pub", "")?;
        ensure!(bench.read("moved.pub")? == bench.read("key.pub")?, "another key arrived");
        succeeds(&bench, &format!("piv keys delete {MANAGEMENT_KEY} 95"), "deleted")?;
        fails(&bench, "piv keys info 95", "No key stored")?;
    }
    fails(&bench, &format!("piv keys delete {MANAGEMENT_KEY} 95"), "No key stored")?;
    succeeds(&bench, &format!("piv keys generate {MANAGEMENT_KEY} -a ECCP256 9a a.pub"), "")?;
    succeeds(&bench, &format!("piv keys generate {MANAGEMENT_KEY} -a ECCP256 9c c.pub"), "")?;
    fails(&bench, &format!("piv keys move {MANAGEMENT_KEY} 9a 9c"), "")
}

#[test]
fn it_imports_keys_of_every_algorithm() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    let key =
        |algorithm: &str, options: &str| (algorithm.to_owned(), format!("genpkey {options} -out key.pem"));
    let rsa =
        |bits: u32| key(&format!("RSA{bits}"), &format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}"));
    for (algorithm, line) in [
        key("ECCP256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
        key("ECCP384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
        key("ED25519", "-algorithm ED25519"),
        key("X25519", "-algorithm X25519"),
        rsa(2048),
        rsa(3072),
        rsa(4096),
    ] {
        bench.openssl(&line)?;
        bench.openssl("pkey -in key.pem -pubout -out key.pub")?;
        succeeds(&bench, &format!("piv keys import {MANAGEMENT_KEY} 9d key.pem"), "")?;
        let told = succeeds(&bench, "piv keys info 9d", &algorithm)?;
        ensure!(told.out().contains("IMPORTED"), "{told}");
        succeeds(&bench, "piv keys export 9d read.pub", "")?;
        ensure!(bench.read("read.pub")? == bench.read("key.pub")?, "{algorithm}: another key came back");
        fails(&bench, "piv keys attest 9d attestation.pem", "")?;
    }
    Ok(())
}

#[test]
fn its_certificates_and_requests_are_signed_by_the_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    bench.make_ca()?;
    for algorithm in ["ECCP256", "ECCP384", "ED25519", "RSA2048", "RSA3072"] {
        succeeds(&bench, &format!("piv keys generate {MANAGEMENT_KEY} -a {algorithm} 9c key.pub"), "")?;
        // 9C wants the PIN before each signature.
        let signing = format!("-P 123456 -s CN={algorithm} 9c key.pub");
        succeeds(&bench, &format!("piv certificates generate {MANAGEMENT_KEY} {signing}"), "")?;
        succeeds(&bench, "piv certificates export 9c own.pem", "")?;
        bench.openssl("verify -check_ss_sig -CAfile own.pem own.pem")?;
        succeeds(&bench, &format!("piv certificates request {signing} own.csr"), "")?;
        bench.openssl("req -in own.csr -verify -noout")?;
        // The organisation's certificate takes the place of the card's own.
        bench.certify("key.pub", algorithm, "issued.pem")?;
        // The tool compares key and certificate by a signature, which it cannot make with Ed25519.
        let verify = if algorithm == "ED25519" { "" } else { "--verify -P 123456" };
        succeeds(&bench, &format!("piv certificates import {verify} {MANAGEMENT_KEY} 9c issued.pem"), "")?;
        succeeds(&bench, "piv certificates export 9c read.pem", "")?;
        ensure!(bench.read("read.pem")? == bench.read("issued.pem")?, "another certificate came back");
    }
    let told = succeeds(&bench, "piv info", "CN=throw-away")?;
    ensure!(told.out().contains("RSA3072"), "{told}");
    succeeds(&bench, &format!("piv certificates delete {MANAGEMENT_KEY} 9c"), "")?;
    fails(&bench, "piv certificates export 9c read.pem", "No certificate found.")
}

#[test]
fn it_changes_every_secret_sets_retries_unblocks_and_resets() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    let set = format!("piv access set-retries {MANAGEMENT_KEY} -P 123456 -f 5 4");
    succeeds(&bench, &set, "")?;
    succeeds(&bench, "piv info", "PIN tries remaining:      5/5")?;
    succeeds(&bench, "piv access change-pin -P 123456 -n 654321", "New PIN set.")?;
    fails(&bench, "piv access change-pin -P 123456 -n 111111", "4 tries left")?;
    succeeds(&bench, "piv access change-puk -p 12345678 -n 87654321", "New PUK set.")?;
    succeeds(&bench, "piv access unblock-pin -p 87654321 -n 246810", "")?;
    fails(&bench, "piv access unblock-pin -p 12345678 -n 246810", "3 tries left")?;

    // Management keys of every algorithm, then one that the tool makes up and keeps on the card behind the PIN.
    let mut current = MANAGEMENT_KEY.to_owned();
    for (algorithm, key) in [
        ("TDES", "0102030405060708a1a2a3a4a5a6a7a80102030405060708"),
        ("AES128", "00112233445566778899aabbccddeeff"),
        ("AES192", "00112233445566778899aabbccddeeff0011223344556677"),
        ("AES256", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    ] {
        let line = format!("piv access change-management-key {current} -a {algorithm} -n {key} -f");
        succeeds(&bench, &line, "New management key set.")?;
        succeeds(&bench, "piv info", &format!("Management key algorithm: {algorithm}"))?;
        current = format!("-m {key}");
    }
    fails(&bench, &format!("piv keys generate {MANAGEMENT_KEY} 9a -"), "")?;
    let line = format!("piv access change-management-key {current} -P 246810 -a AES256 -g --protect --touch");
    succeeds(&bench, &line, "")?;
    succeeds(&bench, "piv keys generate -P 246810 -a ECCP256 9a key.pub", "")?;
    let told = succeeds(&bench, "piv info", "Management key is stored on the YubiKey, protected by PIN.")?;
    ensure!(told.out().contains("Management key algorithm: AES256"), "{told}");

    succeeds(&bench, "piv reset -f", "Reset complete")?;
    let told = succeeds(&bench, "piv info", "PIN tries remaining:      3/3")?;
    ensure!(told.text().contains("Using default Management key!"), "{told}");
    fails(&bench, "piv keys info 9a", "No key stored")?;
    succeeds(&bench, &format!("piv keys generate {MANAGEMENT_KEY} -a ECCP256 9a key.pub"), "")?;
    succeeds(&bench, "piv keys attest 9a attestation.pem", "")?;
    succeeds(&bench, "piv certificates export f9 f9.pem", "")?;
    bench.verify_attestation("attestation.pem", "f9.pem", "key.pub")
}

#[test]
fn it_reads_and_writes_objects() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.7", "yes")?;
    bench.write("object", [7; 3000])?;
    succeeds(&bench, &format!("piv objects import {MANAGEMENT_KEY} 0x5f0001 object"), "")?;
    succeeds(&bench, "piv objects export 0x5f0001 read", "")?;
    ensure!(bench.read("read")? == bench.read("object")?, "the object came back changed");
    succeeds(&bench, &format!("piv objects generate {MANAGEMENT_KEY} CHUID"), "")?;
    succeeds(&bench, &format!("piv objects generate {MANAGEMENT_KEY} CCC"), "")?;
    // Behind the PIN, also when it is not there.
    fails(&bench, "piv objects export PRINTED read", "")?;
    fails(&bench, &format!("piv objects import {MANAGEMENT_KEY} 0x7e object"), "")
}

#[test]
fn on_firmware_5_4_it_offers_what_that_has() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    succeeds(&bench, "piv info", "Management key algorithm: TDES")?;
    let generate = |algorithm: &str| format!("piv keys generate {MANAGEMENT_KEY} -a {algorithm} 9a key.pub");
    for algorithm in ["RSA2048", "ECCP256", "ECCP384"] {
        succeeds(&bench, &generate(algorithm), "")?;
    }
    for algorithm in ["RSA3072", "RSA4096", "ED25519", "X25519"] {
        fails(&bench, &generate(algorithm), "5.7")?;
    }
    fails(&bench, &format!("piv keys move {MANAGEMENT_KEY} 9a 82"), "5.7")?;
    succeeds(&bench, "piv keys attest 9a attestation.pem", "")?;
    succeeds(&bench, "piv certificates export f9 f9.pem", "")?;
    bench.verify_attestation("attestation.pem", "f9.pem", "key.pub")
}
