//! Damaged certificates, CRLs and requests: an answer or a typed refusal, never a panic.
#![allow(clippy::unwrap_used)]

mod support;

use issuer::ca::crl::{RevocationReason, RevokedCertificate};
use issuer::ca::lint::{lint_certificate, lint_crl};
use issuer::ca::request::CertificationRequest;
use issuer::ca::{Certificate, Profile, SerialNumber, UnsignedCertificate};
use issuer::publication::crl_succession::check_succession;
use issuer::publication::{Publication, PublishedDirectory};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

/// Every truncation, and every octet changed in three ways.
fn damaged(sound: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let truncated = (0..sound.len()).map(|length| sound.iter().take(length).copied().collect());
    let changed = (0..sound.len()).flat_map(move |place| {
        [0x01, 0x80, 0xFF].map(|mask| {
            let mut octets = sound.to_vec();
            octets.iter_mut().skip(place).take(1).for_each(|octet| *octet ^= mask);
            octets
        })
    });
    truncated.chain(changed)
}

#[test]
fn damaged_certificates_are_refused_or_found_faulty() {
    let mut world = World::new(TestKey::p256);
    let certificate = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let issuer = world.people.certificate();
    for octets in damaged(certificate.as_der()) {
        let _ = lint_certificate(&octets);
        let _ = UnsignedCertificate::from_der(octets.clone());
        if let Ok(parsed) = Certificate::from_der(octets) {
            assert!(parsed.verify_issuer(issuer).is_err(), "a change that the signature does not notice");
        }
    }
}

#[test]
fn damaged_crls_are_never_published() {
    let mut world = World::new(TestKey::p256);
    let revoked = RevokedCertificate {
        serial_number: SerialNumber::random(&mut random()),
        revocation_date: world.now,
        reason: RevocationReason::KeyCompromise,
        invalidity_date: Some(world.now),
    };
    let published = world.crl(1, std::slice::from_ref(&revoked));
    let successor = world.crl(2, &[revoked]);
    let directory = TempDir::new().unwrap();
    let directory = PublishedDirectory::open(directory.path()).unwrap();
    let mut publication = Publication {
        accepted: None,
        now: world.now,
        authorities: world.authorities(),
        certificates: Vec::new(),
        crls: vec![published.clone().into()],
        judged: std::collections::BTreeMap::new(),
        registered: std::collections::BTreeMap::new(),
        bases: Vec::new(),
        further_authorities: Vec::new(),
        answers: std::collections::BTreeMap::new(),
        overdue: Vec::new(),
        not_after: &|_, _| None,
    };
    directory.write(&publication).unwrap();
    for octets in damaged(&successor) {
        let _ = lint_crl(&octets);
        let _ = check_succession(Some(&published), &octets, world.now, |_| None);
        let _ = check_succession(Some(&octets), &successor, world.now, |_| None);
        publication.crls = vec![octets.into()];
        assert!(directory.write(&publication).is_err());
    }
    publication.crls = vec![successor.into()];
    directory.write(&publication).unwrap();
}

#[test]
fn damaged_requests_prove_nothing() {
    let directory = TempDir::new().unwrap();
    let [key, file] = ["key.pem", "request.der"].map(|name| directory.path().join(name));
    let arguments =
        ["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj"];
    let rest = ["/CN=mail.example.com", "-addext", "subjectAltName=DNS:mail.example.com", "-outform", "DER"];
    let files = ["-keyout", key.to_str().unwrap(), "-out", file.to_str().unwrap()];
    openssl(arguments.into_iter().chain(rest).chain(files));
    let sound = std::fs::read(&file).unwrap();
    CertificationRequest::parse(&sound).unwrap();
    for octets in damaged(&sound) {
        assert!(CertificationRequest::parse(&octets).is_err());
    }
}
