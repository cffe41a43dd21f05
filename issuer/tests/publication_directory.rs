//! The published directory: its layout, what is refused, and that nobody ever finds half of anything.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use issuer::ca::crl::{CrlHeader, RevocationReason, RevokedCertificate};
use issuer::ca::profile::{Assurance, Validity};
use issuer::ca::{Certificate, Profile, SerialNumber};
use issuer::publication::crl_succession::CrlRefusal;
use issuer::publication::{Publication, PublicationError, PublishedDirectory, Report};
use jiff::{SignedDuration, Timestamp};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

struct Office {
    world: World,
    certificates: Vec<Certificate>,
    directory: TempDir,
}

impl Office {
    /// Alice with both mail certificates, Jürgen with one; nobody revoked.
    fn new() -> Self {
        let mut world = World::new(TestKey::p256);
        let profiles = [
            Profile::DigitalSignature(alice()),
            Profile::KeyManagement(alice()),
            Profile::DigitalSignature(holder("Jürgen", "Jürgen@bücher.example.com")),
        ];
        let certificates =
            profiles.iter().map(|profile| world.certify(profile, &mut TestKey::p256())).collect();
        Self { world, certificates, directory: TempDir::new().unwrap() }
    }

    fn crls(&mut self, number: u64, revoked: &[RevokedCertificate]) -> Vec<Vec<u8>> {
        let world = &mut self.world;
        vec![world.root_crl(number, &[]), world.crl(number, revoked), world.servers_crl(number)]
    }

    fn publish(&self, crls: Vec<Vec<u8>>) -> Result<Report, PublicationError> {
        self.publish_at(self.world.now, crls)
    }

    fn publish_at(&self, now: Timestamp, crls: Vec<Vec<u8>>) -> Result<Report, PublicationError> {
        let ends: BTreeMap<String, Timestamp> = self
            .certificates
            .iter()
            .map(|certificate| (certificate.serial_number().to_string(), certificate.not_after()))
            .collect();
        let publication = Publication {
            accepted: None,
            now,
            authorities: self.world.authorities(),
            certificates: self.certificates.clone(),
            crls: crls.into_iter().map(Cow::Owned).collect(),
            registered: BTreeMap::new(),
            judged: BTreeMap::new(),
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: std::collections::BTreeMap::new(),
            overdue: Vec::new(),
            not_after: &|_, serial_number: &SerialNumber| ends.get(&serial_number.to_string()).copied(),
        };
        PublishedDirectory::open(self.directory.path()).unwrap().write(&publication)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.directory.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.directory.path()).unwrap().to_owned();
                    files.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

fn entry(certificate: &Certificate, now: Timestamp) -> RevokedCertificate {
    RevokedCertificate {
        serial_number: certificate.serial_number().clone(),
        revocation_date: now,
        reason: RevocationReason::KeyCompromise,
        invalidity_date: None,
    }
}

#[test]
fn everything_lies_where_it_should_and_openssl_can_use_it() {
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    let report = office.publish(crls).unwrap();
    let serial_numbers: Vec<String> =
        office.certificates.iter().map(|certificate| certificate.serial_number().to_string()).collect();
    let key = |certificate: &Certificate| hex::encode(certificate.subject_key_identifier());
    let mut expected = vec![
        ".lock".to_owned(),
        ".revision".to_owned(),
        "anchor.pem".to_owned(),
        "ca-chain.pem".to_owned(),
        "crl.pem".to_owned(),
        format!("certificates/by-email/alice@example.com/{}.cer", serial_numbers[0]),
        format!("certificates/by-email/alice@example.com/{}.cer", serial_numbers[1]),
        format!("certificates/by-email/j%C3%BCrgen@xn--bcher-kva.example.com/{}.cer", serial_numbers[2]),
    ];
    for authority in office.world.authorities() {
        expected.push(format!("ca/{}.cer", key(&authority)));
        expected.push(format!("crl/{}.crl", key(&authority)));
    }
    expected.sort();
    let mut found: Vec<String> = office.files().keys().map(|path| path.display().to_string()).collect();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(report, Report { written: expected.len() - 2, unchanged: 0, ..Report::default() });

    let leaf = office.path(expected.iter().find(|name| name.contains("alice")).unwrap());
    let leaf_pem = office.path("leaf.pem");
    openssl(["x509", "-inform", "DER", "-in", leaf.to_str().unwrap(), "-out", leaf_pem.to_str().unwrap()]);
    let [anchor, chain, crls] = ["anchor.pem", "ca-chain.pem", "crl.pem"].map(|name| office.path(name));
    let arguments = ["verify", "-x509_strict", "-crl_check_all", "-CAfile"];
    let files =
        [anchor.to_str().unwrap(), "-untrusted", chain.to_str().unwrap(), "-CRLfile", crls.to_str().unwrap()];
    openssl(arguments.into_iter().chain(files).chain([leaf_pem.to_str().unwrap()]));
}

#[test]
fn a_second_publication_of_the_same_changes_nothing() {
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    office.publish(crls.clone()).unwrap();
    let before = office.files();
    let report = office.publish(crls).unwrap();
    assert_eq!((report.written, report.removed), (0, 0));
    assert_eq!(office.files(), before);
}

#[cfg(unix)]
#[test]
fn published_files_are_readable_by_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    office.publish(crls).unwrap();
    let mode = std::fs::metadata(office.path("anchor.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_revoked_certificate_stays_published_until_it_expires_and_strangers_stay_for_ever() {
    let mut office = Office::new();
    let now = office.world.now;
    let crls = office.crls(1, &[]);
    office.publish(crls).unwrap();
    let revoked = [entry(&office.certificates[0], now)];
    let crls = office.crls(2, &revoked);
    office.publish(crls).unwrap();
    let own =
        format!("certificates/by-email/alice@example.com/{}.cer", office.certificates[0].serial_number());
    assert!(office.path(&own).exists());

    let mut other = World::new(TestKey::p256);
    let stranger = other.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256());
    let strange = format!("certificates/by-email/alice@example.com/{}.cer", stranger.serial_number());
    std::fs::write(office.path(&strange), stranger.as_der()).unwrap();

    let later = office.certificates[0].not_after() + SignedDuration::from_secs(1);
    let report = office.publish_at(later, Vec::new()).unwrap();
    assert_eq!(report.removed, 3);
    assert!(!office.path(&own).exists());
    assert!(office.path(&strange).exists());
    let folders = std::fs::read_dir(office.path("certificates/by-email")).unwrap().count();
    assert_eq!(folders, 1, "the folder of whoever has no certificate any more goes too");
}

#[test]
fn the_number_of_a_crl_must_grow() {
    let mut office = Office::new();
    let crls = office.crls(0x0100, &[]);
    office.publish(crls).unwrap();
    let before = office.files();
    for number in [0x0100, 0xFF] {
        let revoked = [entry(&office.certificates[0], office.world.now)];
        let crls = office.crls(number, &revoked);
        let refused = office.publish(crls);
        let Err(PublicationError::Crl { refusal: CrlRefusal::NumberDoesNotGrow { old, .. }, .. }) = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!(old, "0100");
        assert_eq!(office.files(), before, "a refusal changes nothing");
    }
}

#[test]
fn no_revocation_vanishes_before_its_certificate_has_been_expired_for_one_crl() {
    let mut office = Office::new();
    let now = office.world.now;
    let revoked = [entry(&office.certificates[0], now)];
    let crls = office.crls(1, &revoked);
    office.publish(crls).unwrap();
    let vanished = |refused: Result<Report, PublicationError>| {
        matches!(refused, Err(PublicationError::Crl { refusal: CrlRefusal::EntryVanished { .. }, .. }))
    };
    let crls = office.crls(2, &[]);
    assert!(vanished(office.publish(crls)));

    // The first CRL after the expiry must still have it, the second need not.
    let after = office.certificates[0].not_after() + SignedDuration::from_hours(1);
    office.world.now = after;
    let empty = office.crls(2, &[]);
    assert!(vanished(office.publish_at(after, empty)));
    let full = office.crls(3, &revoked);
    office.publish_at(after, full).unwrap();
    let empty = office.crls(4, &[]);
    office.publish_at(after, empty).unwrap();

    // What nobody knows the end of stays.
    let unknown =
        RevokedCertificate { serial_number: SerialNumber::random(&mut random()), ..revoked[0].clone() };
    let crls = office.crls(5, &[unknown]);
    office.publish_at(after, crls).unwrap();
    let crls = office.crls(6, &[]);
    assert!(vanished(office.publish_at(after, crls)));
}

#[test]
fn a_stale_an_early_and_a_backdated_crl_are_refused() {
    let mut office = Office::new();
    let now = office.world.now;
    let crls = office.crls(1, &[]);
    office.publish(crls).unwrap();
    let hour = SignedDuration::from_hours(1);
    let at = |this_update, next_update| CrlHeader { number: 2, this_update, next_update };
    for (header, expected) in [
        (at(now - hour, now), "expired"),
        (at(now + hour, now + hour + hour), "in the future; set the clock right"),
        (at(now - hour, now + hour), &format!("before the published one of {now}; set the clock right")),
    ] {
        let crl = sign_crl(&mut office.world.people, header, &[]);
        let refused = office.publish(vec![crl]).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[test]
fn a_crl_of_a_stranger_or_with_a_spoilt_signature_is_refused() {
    let mut office = Office::new();
    let mut other = World::new(TestKey::p256);
    let refused = office.publish(vec![other.crl(1, &[])]).unwrap_err();
    assert!(matches!(refused, PublicationError::Malformed(_)), "{refused}");
    let mut crl = office.world.crl(1, &[]);
    *crl.last_mut().unwrap() ^= 1;
    let refused = office.publish(vec![crl]).unwrap_err();
    assert!(refused.to_string().contains("signature"), "{refused}");
    for garbage in [Vec::new(), b"hello".to_vec()] {
        assert!(matches!(office.publish(vec![garbage]), Err(PublicationError::Malformed(_))));
    }
}

#[test]
fn a_certificate_or_authority_that_is_not_ours_is_refused() {
    let mut office = Office::new();
    let mut other = World::new(TestKey::p256);
    office.certificates.push(other.certify(&Profile::DigitalSignature(alice()), &mut TestKey::p256()));
    let crls = office.crls(1, &[]);
    let refused = office.publish(crls).unwrap_err();
    assert!(matches!(refused, PublicationError::Malformed(_)), "{refused}");
    assert_eq!(office.files().len(), 1, "only the lock: {:?}", office.files().keys());

    let directory = PublishedDirectory::open(office.directory.path()).unwrap();
    for authorities in [vec![office.world.people.certificate().clone()], office.certificates[..1].to_vec()] {
        let publication = Publication {
            accepted: None,
            now: office.world.now,
            authorities,
            certificates: Vec::new(),
            crls: Vec::new(),
            registered: BTreeMap::new(),
            judged: BTreeMap::new(),
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: std::collections::BTreeMap::new(),
            overdue: Vec::new(),
            not_after: &|_, _| None,
        };
        assert!(matches!(directory.write(&publication), Err(PublicationError::Malformed(_))));
    }
}

#[test]
fn a_damaged_published_crl_is_replaced_and_named() {
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    office.publish(crls).unwrap();
    let name = format!("crl/{}.crl", hex::encode(office.world.people.certificate().subject_key_identifier()));
    let good = std::fs::read(office.path(&name)).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (number, damaged) in [(2, Vec::new()), (3, flipped)] {
        std::fs::write(office.path(&name), damaged).unwrap();
        let crls = office.crls(number, &[]);
        assert_eq!(office.publish(crls.clone()).unwrap().replaced, [PathBuf::from(&name)]);
        assert_eq!(std::fs::read(office.path(&name)).unwrap(), crls[1]);
        assert!(office.publish(crls).unwrap().replaced.is_empty());
    }
}

#[test]
fn a_killed_publication_is_completed_by_the_next() {
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    office.publish(crls.clone()).unwrap();
    let complete = office.files();
    let crl = format!("crl/{}.crl", hex::encode(office.world.people.certificate().subject_key_identifier()));
    for missing in [".revision", "crl.pem", &crl] {
        std::fs::remove_file(office.path(missing)).unwrap();
    }
    std::fs::write(office.path("crl/.unfinished-abc"), b"half").unwrap();
    std::fs::write(office.path("certificates/by-email/alice@example.com/.unfinished-x"), b"ha").unwrap();
    let report = office.publish(crls).unwrap();
    assert_eq!(report.written, 2);
    assert_eq!(office.files(), complete);
}

#[test]
fn two_publishers_do_not_meet() {
    let mut office = Office::new();
    let crls = office.crls(1, &[]);
    let lock = std::fs::File::create(office.path(".lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(office.publish(crls.clone()), Err(PublicationError::InUse(_))));
    drop(lock);
    office.publish(crls).unwrap();
}

#[test]
fn a_reader_finds_a_whole_crl_at_every_moment() {
    let mut office = Office::new();
    let now = office.world.now;
    let crls = office.crls(1, &[]);
    office.publish(crls).unwrap();
    let name = format!("crl/{}.crl", hex::encode(office.world.people.certificate().subject_key_identifier()));
    let path = office.path(name);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let crl = std::fs::read(&path).unwrap();
                assert_eq!(issuer::ca::lint::lint_crl(&crl).unwrap(), []);
                reads += 1;
            }
            reads
        });
        let mut revoked = Vec::new();
        for number in 2..20 {
            let validity = Validity::for_days(now, 30);
            let profile = Profile::DigitalSignature(alice());
            let certificate = office
                .world
                .try_certify(&profile, Assurance::Production, &mut TestKey::p256(), validity)
                .unwrap();
            revoked.push(entry(&certificate, now));
            let crls = office.crls(number, &revoked);
            office.publish(crls).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}
