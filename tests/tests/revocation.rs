//! The mailer's trust engine agrees with what the desk publishes: partitions, deltas and OCSP answers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sealwright_tests::openssl::to_pem;
use sealwright_tests::process::{Outcome, Run};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

/// A world whose CRL of people has four partitions and deltas, and whose certificates name an OCSP responder.
fn world() -> Result<World> {
    let world = World::empty()?;
    let init = world.desk.init("example.org", "http://pki.example.org")?;
    init.args(["--crl-partitions", "4", "--delta-crls", "--ocsp"]).ok()?;
    world
        .desk
        .import_staff(&[("Alice Archer", "alice@example.org"), ("Bob Baker", "bob@example.org")])?
        .ok()?;
    Ok(world)
}

/// What the mailer says of a certificate with these CRLs or OCSP answers.
fn judged(world: &World, certificate: &Path, kind: &str, statements: &[PathBuf]) -> Result<Outcome> {
    let verify = Run::new(program("mailer")?).args(["certificate", "verify"]).arg(certificate);
    let verify = verify.arg("--anchor").arg(world.desk.anchor());
    let chain = world.desk.published().join("ca-chain.pem");
    verify.arg("--intermediate").arg(chain).arg(kind).args(statements).outcome()
}

fn assert_good(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.text().contains("not revoked as of"), "{outcome}");
    Ok(())
}

fn assert_revoked(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.text().contains("the certificate was revoked"), "{outcome}");
    Ok(())
}

/// The published CRLs whose names are of this kind, and the root's, without which no path is known to be good.
fn lists(world: &World, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(world.desk.published().join("crl"))? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        let (authority, rest) = name.split_at(40);
        if wanted(rest) || is_root(world, authority)? {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_root(world: &World, authority: &str) -> Result<bool> {
    let certificate = world.desk.published().join(format!("ca/{authority}.cer"));
    let shown =
        Run::new("openssl").args(["x509", "-inform", "DER", "-noout", "-subject", "-in"]).arg(certificate);
    Ok(shown.ok()?.text().contains("Root CA"))
}

#[test]
fn a_lost_card_is_refused_by_partition_delta_and_ocsp() -> Result<()> {
    let world = world()?;
    let [_alice, _bob] = [world.person("alice", "p256")?, world.person("bob", "p256")?];
    let certificate =
        |address| world.desk.certificates_of(address)?.into_iter().next().context("a certificate");
    let [alice, bob] = [certificate("alice@example.org")?, certificate("bob@example.org")?];
    let parts = |name: &str| name.starts_with("-4-") && !name.ends_with("-delta.crl");
    let both = |name: &str| name.starts_with("-4-");
    assert_good(&judged(&world, &alice, "--crl", &lists(&world, parts)?)?)?;
    assert_good(&judged(&world, &alice, "--crl", &lists(&world, both)?)?)?;

    world.desk.revoke("alice@example.org", "key-compromise")?.ok()?;
    world.desk.publish()?.arg("--delta").ok()?;
    // The partitions are as they were; their deltas know.
    assert_good(&judged(&world, &alice, "--crl", &lists(&world, parts)?)?)?;
    assert_revoked(&judged(&world, &alice, "--crl", &lists(&world, both)?)?)?;
    assert_good(&judged(&world, &bob, "--crl", &lists(&world, both)?)?)?;

    world.desk.publish()?.ok()?;
    assert_revoked(&judged(&world, &alice, "--crl", &lists(&world, parts)?)?)?;
    let complete = lists(&world, |name| name == ".crl")?;
    assert_revoked(&judged(&world, &alice, "--crl", &complete)?)?;
    assert_good(&judged(&world, &bob, "--crl", &complete)?)?;

    let (server, url) = world.desk.serve(&world.path("serve.log"))?;
    let roots = lists(&world, |_| false)?;
    for (person, leaf, is_revoked) in [("alice", &alice, true), ("bob", &bob, false)] {
        let answer = answer(&world, person, leaf, &url)?;
        let verify = Run::new(program("mailer")?).args(["certificate", "verify"]).arg(leaf).arg("--anchor");
        let verify = verify.arg(world.desk.anchor()).arg("--intermediate");
        let verify = verify.arg(world.desk.published().join("ca-chain.pem")).arg("--crl").args(&roots);
        let outcome = verify.arg("--ocsp").arg(&answer).outcome()?;
        if is_revoked { assert_revoked(&outcome)? } else { assert_good(&outcome)? }
    }
    drop(server);
    Ok(())
}

/// The OCSP answer about a certificate, fetched by openssl.
fn answer(world: &World, person: &str, certificate: &Path, url: &str) -> Result<PathBuf> {
    let copy = world.path(&format!("{person}.cer"));
    fs::copy(certificate, &copy)?;
    let leaf = to_pem("x509", &copy)?;
    let authorities = fs::read_to_string(world.desk.published().join("ca-chain.pem"))?;
    let people = authorities.split_inclusive("-----END CERTIFICATE-----\n");
    let file = world.path(&format!("{person}.ocsp"));
    // The one that issued it is the one about whose certificates the server knows this number.
    for (number, authority) in people.enumerate() {
        let issuer = world.path(&format!("authority{number}.pem"));
        fs::write(&issuer, authority)?;
        let ask = Run::new("openssl").args(["ocsp", "-no_nonce", "-noverify", "-issuer"]).arg(&issuer);
        let ask = ask.arg("-cert").arg(&leaf).args(["-url", &format!("{url}/ocsp"), "-respout"]).arg(&file);
        if !ask.outcome()?.text().contains("unauthorized") {
            return Ok(file);
        }
    }
    anyhow::bail!("no authority of {} is known to the responder", certificate.display())
}
