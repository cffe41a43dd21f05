//! Certificate revocation lists, judged by OpenSSL and pkilint.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::convert::Infallible;

use issuer::ca::crl::{CrlHeader, RevocationReason, RevokedCertificate};
use issuer::ca::lint::lint_crl;
use issuer::ca::{CaError, Profile, SerialNumber};
use jiff::{SignedDuration, Timestamp};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

/// One entry for each reason, every second one with an invalidity date.
fn revoked(now: Timestamp) -> Vec<RevokedCertificate> {
    let entry = |(number, reason): (usize, RevocationReason)| RevokedCertificate {
        serial_number: SerialNumber::random(&mut random()),
        revocation_date: now,
        reason,
        invalidity_date: (number % 2 == 1).then(|| now - SignedDuration::from_hours(48)),
    };
    RevocationReason::ALL.into_iter().enumerate().map(entry).collect()
}

fn described(crl: &[u8]) -> String {
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "crl.der", crl);
    openssl(["crl", "-inform", "DER", "-noout", "-text", "-in", file.to_str().unwrap()])
}

#[test]
fn openssl_and_pkilint_accept_full_and_empty_lists_of_every_kind_of_key() {
    let directory = TempDir::new().unwrap();
    for new_key in [TestKey::p256, TestKey::p384, TestKey::rsa2048] {
        let mut world = World::new(new_key);
        world.write_chain(directory.path(), &[]);
        let entries = revoked(world.now);
        let people = directory.path().join("people.pem");
        for revoked in [&[][..], &entries[..1], &entries] {
            let crl = world.crl(1, revoked);
            assert_eq!(lint_crl(&crl).unwrap(), []);
            let file = write(directory.path(), "people.crl", crl_pem(&crl));
            assert_eq!(lint_crl(crl_pem(&crl).as_bytes()).unwrap(), []);
            let arguments =
                ["crl", "-noout", "-in", file.to_str().unwrap(), "-CAfile", people.to_str().unwrap()];
            assert!(openssl(arguments).contains("verify OK"));
            assert_pkilint_clean("lint_crl", &["-t", "CRL", "-p", "PKIX"], &file);
        }
        let file = write(directory.path(), "root.crl", crl_pem(&world.root_crl(1, &[])));
        assert_pkilint_clean("lint_crl", &["-t", "ARL", "-p", "PKIX"], &file);
    }
}

#[test]
fn pkilint_finds_a_planted_fault_in_a_crl() {
    let mut world = World::new(TestKey::p256);
    let mut crl = world.crl(1, &[]);
    // The year of nextUpdate, the second UTCTime, becomes 1990: a list that was stale before it was made.
    let mut times =
        crl.windows(2).enumerate().filter(|(_, octets)| *octets == [0x17, 0x0D]).map(|(place, _)| place);
    let year = times.nth(1).unwrap() + 2;
    crl[year..year + 2].copy_from_slice(b"90");
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "bad.crl", crl_pem(&crl));
    let output = pkilint("lint_crl", &["-t", "CRL", "-p", "PKIX"], &file);
    assert!(!output.status.success(), "{}", text(&output));
    assert!(lint_crl(&crl).unwrap().iter().any(|finding| finding.rule == "crl-times"));
}

#[test]
fn openssl_reads_number_reasons_and_dates() {
    let mut world = World::new(TestKey::p256);
    let entries = revoked(world.now);
    let text = described(&world.crl(0x1234, &entries));
    assert!(text.contains("Version 2 (0x1)"), "{text}");
    assert!(text.contains("X509v3 CRL Number: \n                4660"), "{text}");
    let authority = hex::encode_upper(world.people.certificate().subject_key_identifier());
    let authority: Vec<&str> =
        (0..20).map(|octet| authority.get(2 * octet..2 * octet + 2).unwrap()).collect();
    assert!(text.contains(&authority.join(":")), "{text}");
    for reason in [
        "Key Compromise",
        "CA Compromise",
        "Affiliation Changed",
        "Superseded",
        "Cessation Of Operation",
        "Certificate Hold",
        "Privilege Withdrawn",
    ] {
        assert_eq!(text.matches(reason).count(), 1, "{reason}: {text}");
    }
    assert_eq!(text.matches("Invalidity Date").count(), 4, "{text}");
    assert!(!text.contains("Unspecified") && !text.contains(": critical"), "{text}");
    for entry in &entries {
        assert!(text.contains(&entry.serial_number.to_string().to_uppercase()), "{text}");
    }
    assert!(described(&world.crl(1, &[])).contains("No Revoked Certificates."));
}

#[test]
fn a_revoked_certificate_is_refused_by_openssl_and_another_is_not() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    let lost = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let kept = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let entry = RevokedCertificate {
        serial_number: lost.serial_number().clone(),
        revocation_date: world.now,
        reason: RevocationReason::KeyCompromise,
        invalidity_date: None,
    };
    world.write_chain(directory.path(), &[entry]);
    let lost = write(directory.path(), "lost.pem", lost.to_pem());
    let kept = write(directory.path(), "kept.pem", kept.to_pem());
    let refused = openssl_verify(directory.path(), &lost, &[]);
    assert!(
        !refused.status.success() && text(&refused).contains("certificate revoked"),
        "{}",
        text(&refused)
    );
    let accepted = openssl_verify(directory.path(), &kept, &[]);
    assert!(accepted.status.success(), "{}", text(&accepted));
}

#[test]
fn dates_from_2050_on_are_generalized_times() {
    let mut world = World::new(TestKey::p256);
    let last = "2049-12-31T23:59:59Z".parse::<Timestamp>().unwrap();
    let first = "2050-01-01T00:00:00Z".parse::<Timestamp>().unwrap();
    let mut entries = revoked(last);
    entries.truncate(1);
    entries[0].revocation_date = first;
    let header = CrlHeader { number: 1, this_update: last, next_update: first };
    let crl = sign_crl(&mut world.people, header, &entries);
    let position = |octets: &[u8]| crl.windows(octets.len()).position(|window| window == octets);
    assert!(position(b"\x17\x0D491231235959Z").is_some());
    assert!(position(b"\x18\x0F20500101000000Z").is_some());
    assert!(position(b"500101000000Z\x18").is_none());
    assert_eq!(lint_crl(&crl).unwrap(), []);
    assert!(described(&crl).contains("Next Update: Jan  1 00:00:00 2050 GMT"));
}

#[test]
fn entries_twice_out_of_order_or_unreadable_make_no_crl() {
    let mut world = World::new(TestKey::p256);
    let entry = |octets: &[u8]| RevokedCertificate {
        serial_number: SerialNumber::from_bytes(octets).unwrap(),
        revocation_date: world.now,
        reason: RevocationReason::Superseded,
        invalidity_date: None,
    };
    let header = world.crl_header(1);
    for pair in [[entry(&[5]), entry(&[5])], [entry(&[1, 0]), entry(&[0xFF])]] {
        let entries = pair.into_iter().map(Ok::<_, Infallible>);
        let refused = world.people.sign_crl(header, entries, &mut Vec::new());
        assert!(matches!(refused, Err(CaError::RevokedTwice(_))), "{refused:?}");
    }
    let broken = [Err::<RevokedCertificate, _>("the registry went away")];
    let refused = world.people.sign_crl(header, broken, &mut Vec::new());
    assert!(matches!(refused, Err(CaError::Entries(_))), "{refused:?}");
}

#[test]
fn a_full_disk_is_reported() {
    let mut world = World::new(TestKey::p256);
    let header = world.crl_header(1);
    let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let refused = world.people.sign_crl(
        header,
        std::iter::empty::<Result<RevokedCertificate, Infallible>>(),
        &mut full,
    );
    assert!(matches!(refused, Err(CaError::Io(_))), "{refused:?}");
}

#[test]
fn an_issuing_authority_can_be_revoked_by_its_root() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    world.write_chain(directory.path(), &[]);
    let revoked = RevokedCertificate {
        serial_number: world.people.certificate().serial_number().clone(),
        revocation_date: world.now,
        reason: RevocationReason::CaCompromise,
        invalidity_date: None,
    };
    let crls = [world.crl(1, &[]), world.root_crl(2, &[revoked])].map(|crl| crl_pem(&crl)).concat();
    write(directory.path(), "crl.pem", crls);
    let leaf = world.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let leaf = write(directory.path(), "leaf.pem", leaf.to_pem());
    let refused = openssl_verify(directory.path(), &leaf, &[]);
    assert!(!refused.status.success() && text(&refused).contains("revoked"), "{}", text(&refused));
}
