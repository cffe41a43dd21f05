//! Debian's yubico-piv-tool 2.2 lives through the whole life of a card with firmware 5.4; OpenSSL judges.

use anyhow::{Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Outcome, Run};

/// Key references and the algorithms made in them: RSA and P-256 or P-384 in each of the four that people use.
const KEYS: [(&str, &str); 10] = [
    ("9a", "RSA2048"),
    ("9c", "RSA2048"),
    ("9d", "RSA2048"),
    ("9e", "RSA2048"),
    ("82", "RSA2048"),
    ("9a", "ECCP256"),
    ("9c", "ECCP384"),
    ("9d", "ECCP256"),
    ("9e", "ECCP384"),
    ("95", "ECCP256"),
];

const NEW_MANAGEMENT_KEY: &str = "--key=112233445566778801020304050607081020304050607080";

fn tool(bench: &AtReader, line: &str) -> Run {
    bench.tool("yubico-piv-tool").args(["-r", &bench.reader()]).args(line.split_whitespace())
}

fn succeeds(bench: &AtReader, line: &str, words: &str) -> Result<Outcome> {
    let outcome = tool(bench, line).ok()?;
    ensure!(outcome.text().contains(words), "{outcome}");
    Ok(outcome)
}

fn fails(bench: &AtReader, line: &str, words: &str) -> Result<()> {
    let outcome = tool(bench, line).fails_with(1)?;
    ensure!(outcome.text().contains(words), "{outcome}");
    Ok(())
}

#[test]
fn it_makes_uses_and_attests_keys_of_both_kinds_in_every_slot() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    succeeds(&bench, "-a set-chuid -a set-ccc", "")?;
    succeeds(&bench, "-a read-certificate -s f9 -o f9.pem", "")?;
    for (slot, algorithm) in KEYS {
        succeeds(
            &bench,
            &format!("-a generate -s {slot} -A {algorithm} -o key.pub"),
            "Successfully generated a new private key.",
        )?;
        bench.certify("key.pub", slot, "key.pem")?;
        succeeds(&bench, &format!("-a import-certificate -s {slot} -i key.pem"), "Successfully imported")?;
        let (verification, decryption) = if algorithm == "RSA2048" {
            ("Successful RSA verification.", "Successfully performed RSA decryption!")
        } else {
            ("Successful ECDSA verification.", "Successfully performed ECDH exchange with card.")
        };
        let test = |action: &str| format!("-a verify-pin -P 123456 -a {action} -s {slot} -i key.pem");
        succeeds(&bench, &test("test-signature"), verification)?;
        succeeds(&bench, &test("test-decipher"), decryption)?;
        succeeds(&bench, &format!("-a attest -s {slot} -o attestation.pem"), "")?;
        bench.verify_attestation("attestation.pem", "f9.pem", "key.pub")?;
        succeeds(&bench, &format!("-a read-certificate -s {slot} -o read.pem"), "")?;
        ensure!(bench.read("read.pem")? == bench.read("key.pem")?, "{slot}: another certificate came back");
    }
    let status = succeeds(&bench, "-a status", "Version:\t5.4.3")?;
    for (line, count) in [("Algorithm:\tECCP256", 3), ("Algorithm:\tECCP384", 2), ("Algorithm:\tRSA2048", 1)]
    {
        ensure!(status.out().matches(line).count() == count, "{count} times {line}: {status}");
    }
    ensure!(status.out().contains("Serial Number:\t12345678"), "{status}");
    succeeds(&bench, "-a delete-certificate -s 9e", "")?;
    fails(&bench, "-a read-certificate -s 9e", "Failed")
}

#[test]
fn it_imports_keys_that_sign_decrypt_and_cannot_be_attested() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    bench.openssl("genrsa -traditional -out rsa.key 2048")?;
    bench.openssl("ecparam -name prime256v1 -genkey -noout -out p256.key")?;
    bench.openssl("ecparam -name secp384r1 -genkey -noout -out p384.key")?;
    for (slot, name, words) in [
        ("9a", "rsa", "Successful RSA verification."),
        ("9d", "p256", "Successful ECDSA verification."),
        ("83", "p384", "Successful ECDSA verification."),
    ] {
        let policies = "--pin-policy once --touch-policy cached";
        succeeds(
            &bench,
            &format!("-a import-key -s {slot} -i {name}.key {policies}"),
            "Successfully imported",
        )?;
        bench.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"))?;
        bench.certify(&format!("{name}.pub"), name, "key.pem")?;
        let test = |action: &str| format!("-a verify-pin -P 123456 -a {action} -s {slot} -i key.pem");
        succeeds(&bench, &test("test-signature"), words)?;
        succeeds(&bench, &test("test-decipher"), "Successfully performed")?;
        fails(&bench, &format!("-a attest -s {slot}"), "Failed to attest data.")?;
    }
    fails(&bench, "-a attest -s 9c", "Failed to attest data.")?;
    let keys = bench.inspect()?["keys"].clone();
    for (number, algorithm) in [(0, "RSA-2048"), (1, "P-256"), (2, "P-384")] {
        let key = &keys[number];
        let told = [&key["algorithm"], &key["origin"], &key["pin_policy"], &key["touch_policy"]];
        ensure!(told == [algorithm, "imported", "once", "cached"], "{key}");
    }
    Ok(())
}

/// With OpenSSL 3.0 the tool's own signatures never reach a card: not with any key, not with any digest. Where a newer
/// package brings them, this fails, and the story can tell more.
#[test]
fn it_cannot_sign_certificates_itself_and_does_not_even_ask_the_card() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    for (slot, algorithm) in [("9a", "ECCP256"), ("9e", "RSA2048")] {
        succeeds(&bench, &format!("-a generate -s {slot} -A {algorithm} -o key.pub"), "Successfully")?;
        for (action, words) in [
            ("selfsign-certificate", "Failed signing certificate."),
            ("request-certificate", "Failed signing request."),
        ] {
            let before = bench.trace_after(0)?.len();
            let line = format!("-a verify-pin -P 123456 -a {action} -s {slot} -i key.pub -S /CN=own/");
            fails(&bench, &line, words)?;
            let asked = bench.trace_after(before)?;
            ensure!(asked.iter().any(|line| line.starts_with("> 00 20 00 80")), "{asked:#?}");
            ensure!(!asked.iter().any(|line| line.starts_with("> 00 87")), "it asked the card: {asked:#?}");
        }
    }
    Ok(())
}

#[test]
fn it_sets_retries_changes_every_secret_unblocks_and_resets() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    succeeds(
        &bench,
        "-a verify-pin -P 123456 -a pin-retries --pin-retries 5 --puk-retries 4",
        "Successfully changed pin retries to 5 and puk retries to 4",
    )?;
    succeeds(&bench, "-a status", "PIN tries left:\t5")?;
    succeeds(&bench, "-a change-pin -P 123456 -N 654321", "Successfully changed the pin code.")?;
    fails(&bench, "-a change-pin -P 123456 -N 111111", "now 4 tries left before blocked")?;
    succeeds(&bench, "-a change-puk -P 12345678 -N 87654321", "Successfully changed the puk code.")?;
    fails(&bench, "-a unblock-pin -P 12345678 -N 246810", "now 3 tries left before blocked")?;
    succeeds(&bench, "-a unblock-pin -P 87654321 -N 246810", "Successfully unblocked the pin code.")?;
    succeeds(&bench, "-a verify-pin -P 246810", "Successfully verified PIN.")?;

    succeeds(
        &bench,
        "-a set-mgm-key -n 112233445566778801020304050607081020304050607080",
        "Successfully set",
    )?;
    fails(&bench, "-a generate -s 9a -A ECCP256", "Failed authentication")?;
    succeeds(
        &bench,
        &format!("{NEW_MANAGEMENT_KEY} -a generate -s 9a -A ECCP256 -o 9a.pub"),
        "Successfully",
    )?;
    bench.write("object", "one that nobody knows")?;
    succeeds(&bench, &format!("{NEW_MANAGEMENT_KEY} -a write-object --id 0x5f0001 -f binary -i object"), "")?;
    succeeds(&bench, "-a read-object --id 0x5f0001 -f binary -o read", "")?;
    ensure!(bench.read("read")? == bench.read("object")?, "the object came back changed");

    // Reset: only once PIN and PUK are blocked. Then everything is the factory's, but for what attests.
    succeeds(&bench, "-a read-certificate -s f9 -o f9.pem", "")?;
    fails(&bench, "-a reset", "Reset failed, are pincodes blocked?")?;
    block(&bench, "-a verify-pin -P 000000", "Pin code blocked")?;
    fails(&bench, "-a reset", "Reset failed")?;
    block(&bench, "-a change-puk -P 00000000 -N 11111111", "The puk code is blocked")?;
    succeeds(&bench, "-a reset", "Successfully reset the application.")?;
    succeeds(&bench, "-a status", "PIN tries left:\t3")?;
    fails(&bench, "-a read-object --id 0x5f0001", "Failed fetching object.")?;
    succeeds(&bench, "-a verify-pin -P 123456 -a generate -s 9a -A ECCP256 -o 9a.pub", "Successfully")?;
    succeeds(&bench, "-a attest -s 9a -o attestation.pem", "")?;
    bench.verify_attestation("attestation.pem", "f9.pem", "9a.pub")
}

/// Repeats what is wrong until the tool says that it is blocked.
fn block(bench: &AtReader, line: &str, words: &str) -> Result<()> {
    for _ in 0..6 {
        let outcome = tool(bench, line).fails_with(1)?;
        if outcome.text().contains(words) {
            return Ok(());
        }
    }
    anyhow::bail!("{line}: not blocked after six tries")
}

#[test]
fn it_is_refused_by_a_key_that_is_not_touched() -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "no")?;
    bench.make_ca()?;
    for (slot, policy) in [("9a", "always"), ("9d", "cached"), ("9e", "never")] {
        succeeds(
            &bench,
            &format!("-a generate -s {slot} -A ECCP256 --touch-policy {policy} -o key.pub"),
            "",
        )?;
        bench.certify("key.pub", slot, "key.pem")?;
        let line = format!("-a verify-pin -P 123456 -a test-signature -s {slot} -i key.pem");
        if policy == "never" {
            succeeds(&bench, &line, "Successful ECDSA verification.")?;
        } else {
            fails(&bench, &line, "")?;
        }
    }
    Ok(())
}
