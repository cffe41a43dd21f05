//! OpenSSH lists the card's keys and logs in with 9A, through OpenSC's module.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use sealwright_tests::at_reader::AtReader;
use sealwright_tests::openssl::OPENSC_MODULE;
use sealwright_tests::privilege::Root;
use sealwright_tests::sshd::Sshd;

#[test]
fn ssh_logs_in_with_the_rsa_key_in_9a() -> Result<()> {
    ssh_logs_in("RSA2048")
}

#[test]
fn ssh_logs_in_with_the_p_256_key_in_9a() -> Result<()> {
    ssh_logs_in("ECCP256")
}

#[test]
fn ssh_logs_in_with_the_p_384_key_in_9a() -> Result<()> {
    ssh_logs_in("ECCP384")
}

fn ssh_logs_in(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let bench = AtReader::yubikey(root, "5.4", "yes")?;
    bench.make_ca()?;
    for slot in ["9a", "9d"] {
        bench.make_key_and_certificate(slot, algorithm)?;
    }
    // The public key as it came out of the card, in the form of OpenSSH.
    let public = |slot: &str| {
        let run = bench.tool("ssh-keygen").args(["-i", "-m", "PKCS8", "-f", &format!("{slot}.pub")]);
        run.ok().map(|outcome| outcome.out().trim().to_owned())
    };
    let (ours, other) = (public("9a")?, public("9d")?);
    let listed = bench.tool("ssh-keygen").args(["-D", OPENSC_MODULE]).ok()?;
    for key in [&ours, &other] {
        ensure!(listed.out().contains(key.as_str()), "{key} is missing: {listed}");
    }

    let sshd = Sshd::start(root, &bench.path("sshd"))?;
    let askpass = |name: &str, pin: &str| {
        let path = bench.path(name);
        bench.write(name, format!("#!/bin/sh\necho {pin}\n"))?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).map(|()| path).context("askpass")
    };
    let (right, wrong) = (askpass("right", "123456")?, askpass("wrong", "000000")?);
    sshd.authorize(&ours)?;
    let ssh = || bench.tool("ssh");
    let done = sshd.log_in(ssh(), OPENSC_MODULE, &right, "echo it is $USER").ok()?;
    ensure!(done.out() == "it is root\n", "{done}");
    let fingerprint = bench.tool("ssh-keygen").args(["-l", "-f", "-"]).input(ours.clone()).ok()?;
    let fingerprint = fingerprint.out().split_whitespace().nth(1).context("a fingerprint")?.to_owned();
    sshd.says("Accepted publickey for root from 127.0.0.1 port")?;
    sshd.says(&fingerprint)?;

    // Not with a wrong PIN, which costs a try, and not where another key is let in.
    sshd.log_in(ssh(), OPENSC_MODULE, &wrong, "echo it is $USER").fails_with(255)?;
    let card = bench.inspect()?;
    ensure!(card.pointer("/pin/tries_left").is_some_and(|left| *left != 3), "no try was spent: {card}");
    sshd.authorize("")?;
    sshd.log_in(ssh(), OPENSC_MODULE, &right, "echo it is $USER").fails_with(255)?;
    Ok(())
}
