//! Everything the desk signs, judged by OpenSSL and pkilint.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sealwright_tests::openssl::{self, to_pem};
use sealwright_tests::process::{Run, path};
use sealwright_tests::world::World;

#[test]
fn openssl_and_pkilint_accept_every_certificate_of_a_p256_card() -> Result<()> {
    every_certificate_is_accepted("p256")
}

#[test]
fn openssl_and_pkilint_accept_every_certificate_of_an_rsa_card() -> Result<()> {
    every_certificate_is_accepted("rsa2048")
}

fn every_certificate_is_accepted(algorithm: &str) -> Result<()> {
    let world = World::new()?;
    let alice = world.person("alice", algorithm)?;
    let published = world.desk.published();
    for (key, number) in [("9A", 1), ("9C", 2), ("9D", 3), ("9E", 4)] {
        let certificate = exported(&world, &alice, key)?;
        // OpenSSL 3.0 wants keyEncipherment for smimeencrypt; an EC key management key has keyAgreement alone.
        let purpose = match (key, algorithm) {
            ("9C", _) => Some("smimesign"),
            ("9D", "rsa2048") => Some("smimeencrypt"),
            ("9A", _) => Some("sslclient"),
            _ => None,
        };
        openssl::verify(published, &certificate, purpose)?
            .expect_code(0)
            .with_context(|| format!("key {number}"))?;
        lint(&["lint_pkix_cert", "lint"], &certificate)?;
        if matches!(key, "9C" | "9D") {
            lint(&["lint_cabf_smime_cert", "lint", "-d"], &certificate)?;
        }
    }
    Ok(())
}

#[test]
fn openssl_and_pkilint_accept_the_ca_certificates_and_every_crl_before_and_after_a_revocation() -> Result<()>
{
    let world = World::new()?;
    let alice = world.person("alice", "p256")?;
    let certificate = exported(&world, &alice, "9C")?;
    judge_authorities(&world)?;
    openssl::verify(world.desk.published(), &certificate, Some("smimesign"))?.expect_code(0)?;

    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.ok()?;
    judge_authorities(&world)?;
    let refused = openssl::verify(world.desk.published(), &certificate, Some("smimesign"))?.expect_code(2)?;
    assert!(refused.text().contains("certificate revoked"), "{refused}");
    Ok(())
}

fn judge_authorities(world: &World) -> Result<()> {
    let published = world.desk.published();
    for certificate in below(&published.join("ca"), "cer")? {
        let pem = to_pem("x509", &certificate)?;
        openssl::verify(published, &pem, None)?.expect_code(0)?;
        lint(&["lint_pkix_cert", "lint"], &pem)?;
    }
    let crls = below(&published.join("crl"), "crl")?;
    ensure!(crls.len() == 3, "root and two issuing CAs: {crls:?}");
    for crl in crls {
        lint(&["lint_crl", "lint", "-t", "CRL", "-p", "PKIX"], &to_pem("crl", &crl)?)?;
    }
    Ok(())
}

#[test]
fn pkilint_as_we_call_it_does_find_a_fault() -> Result<()> {
    let world = World::new()?;
    let (_, certificate) = openssl::stranger_certificate(world.folder(), "stranger", "example.org")?;
    let smime = ["lint_cabf_smime_cert", "lint", "-t", "INDIVIDUAL-MULTIPURPOSE"];
    assert!(lint(&smime, &certificate).is_err(), "a TLS certificate is no S/MIME certificate");
    Ok(())
}

#[test]
fn the_certificate_of_a_mail_server_is_for_servers_and_comes_from_an_issuing_ca_of_its_own() -> Result<()> {
    let world = World::new()?;
    let (certify, tls) = world.desk.certify_server("post.example.org")?;
    certify.ok()?;
    world.desk.publish()?.ok()?;
    openssl::verify(world.desk.published(), &tls.certificate, Some("sslserver"))?.expect_code(0)?;
    openssl::verify(world.desk.published(), &tls.certificate, Some("smimesign"))?.expect_code(2)?;
    let alice = world.person("alice", "p256")?;
    let issuer = |certificate: &Path| -> Result<String> {
        Ok(Run::new("openssl").args(["x509", "-noout", "-issuer", "-in"]).arg(certificate).ok()?.out())
    };
    assert_ne!(issuer(&tls.certificate)?, issuer(&exported(&world, &alice, "9C")?)?);
    let alone = world.path("server-alone.pem");
    Run::new("openssl").args(["x509", "-in"]).arg(&tls.certificate).arg("-out").arg(&alone).ok()?;
    lint(&["lint_pkix_cert", "lint"], &alone)
}

/// A certificate as the card shows it, PEM.
fn exported(world: &World, person: &sealwright_tests::mail::Person, key: &str) -> Result<PathBuf> {
    let file = world.path(&format!("{key}.pem"));
    let exported = person.card("certificates")?.args([key, "--pem"]).ok()?;
    std::fs::write(&file, exported.stdout)?;
    Ok(file)
}

/// Nothing at WARNING or above, or an error with the findings.
fn lint(command: &[&str], file: &Path) -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin");
    let (program, arguments) = command.split_first().context("a linter and its arguments")?;
    let mut linter = Run::new(format!("{folder}/{program}")).env("PATH", path());
    linter = linter.args(arguments).args(["-s", "WARNING"]).arg(file);
    linter.ok().context("scripts/setup installs pkilint into .venv")?;
    Ok(())
}

fn below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = sealwright_tests::disk::files(folder)?;
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    Ok(files)
}
