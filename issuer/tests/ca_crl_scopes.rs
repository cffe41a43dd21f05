//! Partitions and delta CRLs, judged by OpenSSL, pkilint, GnuTLS and NSS.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use issuer::ca::crl::name::CrlName;
use issuer::ca::crl::partition::Partitions;
use issuer::ca::crl::{CrlHeader, CrlScope, RevocationReason, RevokedCertificate};
use issuer::ca::lint::{lint_certificate, lint_crl};
use issuer::ca::profile::{Assurance, StatusServices};
use issuer::ca::{CaError, Certificate, Organization, Profile};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

const BASE_URL: &str = "http://pki.example.com";

/// A world whose certificates name one of four partitions.
fn partitioned() -> World {
    let partitions = Partitions::new(4);
    let status_services = StatusServices { partitions, ..StatusServices::default() };
    let organization = Organization { status_services, ..organization() };
    World::of(organization, TestKey::p256, Assurance::Production, today())
}

fn revoked(certificate: &Certificate, world: &World, reason: RevocationReason) -> RevokedCertificate {
    RevokedCertificate {
        serial_number: certificate.serial_number().clone(),
        revocation_date: world.now,
        reason,
        invalidity_date: None,
    }
}

fn sign(world: &mut World, number: u64, scope: &CrlScope, entries: &[RevokedCertificate]) -> Vec<u8> {
    let mut crl = Vec::new();
    let header = world.crl_header(number);
    let entries = entries.iter().map(Ok::<_, Infallible>);
    world.people.sign_scoped_crl(header, scope, entries, &mut crl).unwrap();
    assert_eq!(lint_crl(&crl).unwrap(), []);
    crl
}

fn freshest() -> CrlScope {
    CrlScope { freshest: Some(format!("{BASE_URL}/crl/delta.crl")), ..CrlScope::default() }
}

fn delta_of(base: u64) -> CrlScope {
    CrlScope { base_number: Some(base), ..CrlScope::default() }
}

/// Writes chain and CRLs, and lets openssl look at the certificate.
fn verify(world: &mut World, crls: &[Vec<u8>], certificate: &Certificate) -> Output {
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let crls: String = crls.iter().chain([&world.root_crl(1, &[])]).map(|crl| crl_pem(crl)).collect();
    write(directory.path(), "crl.pem", crls);
    let file = write(directory.path(), "leaf.pem", certificate.to_pem());
    openssl_verify(directory.path(), &file, &["-extended_crl", "-use_deltas"])
}

fn assert_accepted(output: &Output) {
    assert!(output.status.success(), "{}", text(output));
}

fn assert_refused(output: &Output, reason: &str) {
    assert!(!output.status.success() && text(output).contains(reason), "{}", text(output));
}

#[test]
fn a_delta_revokes_and_takes_back_what_its_base_says() {
    let mut world = World::new(TestKey::p256);
    let [held, lost, kept] =
        [(); 3].map(|()| world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256()));
    let hold = revoked(&held, &world, RevocationReason::CertificateHold);
    let base = sign(&mut world, 1, &freshest(), std::slice::from_ref(&hold));
    assert_refused(&verify(&mut world, std::slice::from_ref(&base), &held), "revoked");
    assert_accepted(&verify(&mut world, std::slice::from_ref(&base), &lost));

    let mut changes = vec![
        RevokedCertificate { reason: RevocationReason::RemoveFromCrl, ..hold },
        revoked(&lost, &world, RevocationReason::KeyCompromise),
    ];
    changes.sort_by(|one, other| one.serial_number.cmp(&other.serial_number));
    let delta = sign(&mut world, 2, &delta_of(1), &changes);
    let crls = [base, delta];
    assert_refused(&verify(&mut world, &crls, &lost), "revoked");
    assert_accepted(&verify(&mut world, &crls, &kept));
    assert_accepted(&verify(&mut world, &crls, &held));
}

#[test]
fn a_partition_speaks_about_the_certificates_that_name_it_and_no_others() {
    let mut world = partitioned();
    let partitions = Partitions::new(4).unwrap();
    let key = world.people.certificate().subject_key_identifier().to_vec();
    let place = |certificate: &Certificate| {
        CrlName::complete(&key, Some(partitions.of(certificate.serial_number()))).url(BASE_URL)
    };
    let lost = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    assert_eq!(lint_certificate(lost.as_der()).unwrap(), []);
    // One that names another partition.
    let other = loop {
        let other = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
        if place(&other) != place(&lost) {
            break other;
        }
    };
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "lost.pem", lost.to_pem());
    let shown = openssl(["x509", "-noout", "-text", "-in", file.to_str().unwrap()]);
    assert!(shown.contains(&place(&lost)), "{shown}");

    let scope = |certificate: &Certificate| CrlScope {
        distribution_point: Some(place(certificate)),
        ..CrlScope::default()
    };
    let entry = revoked(&lost, &world, RevocationReason::KeyCompromise);
    let crl = sign(&mut world, 1, &scope(&lost), &[entry]);
    assert_refused(&verify(&mut world, std::slice::from_ref(&crl), &lost), "revoked");
    // The partition is no answer about certificates that name another one.
    assert_refused(&verify(&mut world, std::slice::from_ref(&crl), &other), "different CRL scope");
    let others = sign(&mut world, 1, &scope(&other), &[]);
    assert_accepted(&verify(&mut world, &[crl, others], &other));
    // The complete one is an answer about all.
    let whole = world.crl(1, &[revoked(&lost, &world, RevocationReason::KeyCompromise)]);
    assert_refused(&verify(&mut world, std::slice::from_ref(&whole), &lost), "revoked");
    assert_accepted(&verify(&mut world, &[whole], &other));
}

#[test]
fn pkilint_gnutls_and_openssl_read_every_kind() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let leaf = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let entry = revoked(&leaf, &world, RevocationReason::KeyCompromise);
    let partition = CrlScope {
        distribution_point: Some(format!("{BASE_URL}/crl/00-4-1.crl")),
        keeps_expired_since: Some(world.people.certificate().not_before()),
        ..freshest()
    };
    let partition_delta = CrlScope { base_number: Some(5), freshest: None, ..partition.clone() };
    let people = directory.path().join("people.pem");
    for (scope, words) in [
        (freshest(), &["X509v3 Freshest CRL", "X509v3 CRL Number"][..]),
        (delta_of(5), &["X509v3 Delta CRL Indicator: critical"]),
        (partition, &["X509v3 Issuing Distribution Point: critical", "2.5.29.60"]),
        (partition_delta, &["Delta CRL Indicator: critical", "Issuing Distribution Point: critical"]),
    ] {
        for entries in [&[][..], std::slice::from_ref(&entry)] {
            let crl = sign(&mut world, 6, &scope, entries);
            let file = write(directory.path(), "x.crl", crl_pem(&crl));
            let file_name = file.to_str().unwrap();
            let said =
                openssl(["crl", "-text", "-noout", "-in", file_name, "-CAfile", people.to_str().unwrap()]);
            assert!(said.contains("verify OK"), "{said}");
            for word in words {
                assert!(said.contains(word), "{word} is not in {said}");
            }
            assert_pkilint_clean("lint_crl", &["-t", "CRL", "-p", "PKIX"], &file);
            let gnutls =
                Command::new("certtool").args(["--crl-info", "--infile", file_name]).output().unwrap();
            assert!(gnutls.status.success(), "{}", text(&gnutls));
            let revoked = text(&gnutls).contains(&leaf.serial_number().to_string());
            assert_eq!(revoked, !entries.is_empty(), "{}", text(&gnutls));
        }
    }
}

#[test]
fn certtool_refuses_what_a_complete_crl_revokes() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    let leaf = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    for (entries, accepted) in
        [(vec![], true), (vec![revoked(&leaf, &world, RevocationReason::KeyCompromise)], false)]
    {
        world.write_chain(directory.path(), &[]);
        let crls = [sign(&mut world, 1, &freshest(), &entries), world.root_crl(1, &[])];
        write(directory.path(), "crl.pem", crls.iter().map(|crl| crl_pem(crl)).collect::<String>());
        let chain = [&leaf, world.people.certificate()].map(Certificate::to_pem).concat();
        write(directory.path(), "leaf-chain.pem", chain);
        let verdict = Command::new("certtool")
            .current_dir(directory.path())
            .args(["--verify", "--infile", "leaf-chain.pem", "--load-ca-certificate", "root.pem"])
            .args(["--load-crl", "crl.pem", "--verify-purpose", "1.3.6.1.5.5.7.3.4"])
            .output()
            .unwrap();
        assert_eq!(verdict.status.success(), accepted, "{}", text(&verdict));
        assert_eq!(text(&verdict).contains("revoked"), !accepted, "{}", text(&verdict));
    }
}

#[test]
fn nss_refuses_what_the_crl_revokes_and_accepts_the_rest() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let [lost, kept] =
        [(); 2].map(|()| world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256()));
    let entry = revoked(&lost, &world, RevocationReason::KeyCompromise);
    let scope = CrlScope { keeps_expired_since: Some(world.people.certificate().not_before()), ..freshest() };
    write(directory.path(), "people.crl", sign(&mut world, 1, &scope, &[entry]));
    write(directory.path(), "root.crl", world.root_crl(1, &[]));
    let database = NssDatabase::new(directory.path());
    database.run("certutil", &["-A", "-n", "root", "-t", ",C,", "-a", "-i", "root.pem"]);
    database.run("certutil", &["-A", "-n", "people", "-t", ",,", "-a", "-i", "people.pem"]);
    for file in ["root.crl", "people.crl"] {
        database.run("crlutil", &["-I", "-t", "1", "-i", file]);
    }
    for (certificate, accepted) in [(&kept, true), (&lost, false)] {
        write(directory.path(), "leaf.pem", certificate.to_pem());
        // -u 4: a signer of mail.
        let verdict = Command::new("vfychain")
            .current_dir(directory.path())
            .args(["-d", &database.0, "-pp", "-g", "leaf", "-m", "crl", "-s", "failIfNoInfo", "-u", "4"])
            .args(["-a", "leaf.pem"])
            .output()
            .unwrap();
        let said = text(&verdict);
        assert_eq!(said.contains("Chain is good!"), accepted, "{said}");
        assert_eq!(said.contains("revoked"), !accepted, "{said}");
    }
}

/// An NSS database of certificates and CRLs.
struct NssDatabase(String, PathBuf);

impl NssDatabase {
    fn new(directory: &Path) -> Self {
        let database = Self(format!("sql:{}", directory.display()), directory.to_owned());
        database.run("certutil", &["-N", "--empty-password"]);
        database
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program)
            .current_dir(&self.1)
            .args(["-d", &self.0])
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{program} {arguments:?}: {}", text(&done));
    }
}

#[test]
fn only_a_delta_takes_entries_back() {
    let mut world = World::new(TestKey::p256);
    let leaf = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let removal = revoked(&leaf, &world, RevocationReason::RemoveFromCrl);
    let header: CrlHeader = world.crl_header(1);
    let refused = world.people.sign_crl(header, [Ok::<_, Infallible>(removal)], &mut Vec::new());
    assert!(matches!(refused, Err(CaError::Malformed { .. })), "{refused:?}");
}
