//! Every new CRL is compared with the registry and with its predecessor before anybody sees it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;

use issuer::ca::SerialNumber;
use issuer::ca::crl::name::CrlName;
use issuer::ca::crl::partition::Partitions;
use issuer::ca::crl::{CrlScope, RevocationReason, RevokedCertificate};
use issuer::publication::crl_refusal::CrlRefusal;
use issuer::publication::{Publication, PublicationError, PublishedDirectory, RegisteredRevocations, Report};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

/// The authority for people, its registry, and a directory to publish in.
struct Desk {
    world: World,
    directory: TempDir,
    revoked: Vec<RevokedCertificate>,
}

impl Desk {
    /// Eight revoked certificates, ascending.
    fn new() -> Self {
        let world = World::new(TestKey::p256);
        let revoked = (1..=8).map(|number| entry(&world, number)).collect();
        Self { world, directory: TempDir::new().unwrap(), revoked }
    }

    fn key(&self) -> Vec<u8> {
        self.world.people.certificate().subject_key_identifier().to_vec()
    }

    fn sign(&mut self, number: u64, scope: &CrlScope, entries: &[RevokedCertificate]) -> Vec<u8> {
        let mut crl = Vec::new();
        let header = self.world.crl_header(number);
        let entries = entries.iter().map(Ok::<_, Infallible>);
        self.world.people.sign_scoped_crl(header, scope, entries, &mut crl).unwrap();
        crl
    }

    fn complete(&mut self, number: u64, entries: &[RevokedCertificate]) -> Vec<u8> {
        self.sign(number, &CrlScope::default(), entries)
    }

    fn delta(&mut self, number: u64, base: u64, entries: &[RevokedCertificate]) -> Vec<u8> {
        self.sign(number, &CrlScope { base_number: Some(base), ..CrlScope::default() }, entries)
    }

    /// What the registry says of partition `index` of four, and the scope of its CRL.
    fn partition(&mut self, number: u64, index: usize) -> Vec<u8> {
        let revoked = self.revoked.clone();
        let (partition, part) = Partitions::new(4).unwrap().divide(&revoked).swap_remove(index);
        let part: Vec<_> = part.into_iter().cloned().collect();
        let url = CrlName::complete(&self.key(), Some(partition)).url("http://pki.example.com");
        self.sign(number, &CrlScope { distribution_point: Some(url), ..CrlScope::default() }, &part)
    }

    fn publish(&self, number: u64, crls: Vec<Vec<u8>>) -> Result<Report, PublicationError> {
        self.publish_judged(number, crls, BTreeMap::new())
    }

    fn publish_judged(
        &self,
        number: u64,
        crls: Vec<Vec<u8>>,
        judged: BTreeMap<CrlName, Option<&[u8]>>,
    ) -> Result<Report, PublicationError> {
        let registered = RegisteredRevocations { number, revoked: self.revoked.clone() };
        let publication = Publication {
            accepted: None,
            now: self.world.now,
            authorities: self.world.authorities(),
            certificates: Vec::new(),
            crls: crls.into_iter().map(Cow::Owned).collect(),
            registered: BTreeMap::from([(self.key(), registered)]),
            judged,
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: std::collections::BTreeMap::new(),
            overdue: Vec::new(),
            not_after: &|_, _| None,
        };
        PublishedDirectory::open(self.directory.path()).unwrap().write(&publication)
    }

    fn refusal(&self, number: u64, crls: Vec<Vec<u8>>) -> CrlRefusal {
        let before = std::fs::read(self.directory.path().join(".revision")).ok();
        let refused = self.publish(number, crls).unwrap_err();
        assert_eq!(std::fs::read(self.directory.path().join(".revision")).ok(), before);
        match refused {
            PublicationError::Crl { refusal, .. } => refusal,
            other => panic!("{other}"),
        }
    }

    fn file(&self, suffix: &str) -> Option<Vec<u8>> {
        let name = format!("crl/{}{suffix}.crl", hex::encode(self.key()));
        std::fs::read(self.directory.path().join(name)).ok()
    }
}

fn entry(world: &World, number: u8) -> RevokedCertificate {
    RevokedCertificate {
        serial_number: SerialNumber::from_bytes(&[0x40, number]).unwrap(),
        revocation_date: world.now,
        reason: RevocationReason::KeyCompromise,
        invalidity_date: None,
    }
}

#[test]
fn a_dropped_entry_is_noticed_and_named_at_every_place() {
    let mut desk = Desk::new();
    for dropped in 0..desk.revoked.len() {
        let mut entries = desk.revoked.clone();
        let serial_number = entries.remove(dropped).serial_number;
        let crl = desk.complete(1, &entries);
        assert_eq!(desk.refusal(1, vec![crl]), CrlRefusal::EntryMissing { serial_number });
    }
}

#[test]
fn what_was_judged_beside_something_else_than_is_published_is_judged_again() {
    let mut desk = Desk::new();
    let revoked = desk.revoked.clone();
    let name = CrlName::complete(&desk.key(), None);
    let published = desk.complete(7, &revoked);
    desk.publish(7, vec![published.clone()]).unwrap();
    let behind = desk.complete(6, &revoked);
    // The one before, none, and one of the same length and another last octet.
    let (mut other, before) = (published.clone(), desk.complete(5, &revoked));
    *other.last_mut().unwrap() ^= 1;
    for beside in [Some(before.as_slice()), None, Some(other.as_slice())] {
        let judged = BTreeMap::from([(name.clone(), beside)]);
        let refused = desk.publish_judged(6, vec![behind.clone()], judged).unwrap_err();
        assert!(refused.to_string().contains("number"), "{refused}");
    }
    assert_eq!(desk.file(""), Some(published.clone()));
    // Beside what is there it is not judged a second time, so that its number is believed.
    let judged = BTreeMap::from([(name, Some(published.as_slice()))]);
    desk.publish_judged(6, vec![behind.clone()], judged).unwrap();
    assert_eq!(desk.file(""), Some(behind));
}

#[test]
fn an_entry_too_many_or_another_reason_is_noticed_and_named() {
    let mut desk = Desk::new();
    for extra in [0, 9] {
        let mut entries = desk.revoked.clone();
        entries.push(entry(&desk.world, extra));
        entries.sort_by(|one, other| one.serial_number.cmp(&other.serial_number));
        let serial_number = entry(&desk.world, extra).serial_number;
        let crl = desk.complete(1, &entries);
        assert_eq!(desk.refusal(1, vec![crl]), CrlRefusal::EntryUnknown { serial_number });
    }
    let mut entries = desk.revoked.clone();
    entries[3].reason = RevocationReason::Superseded;
    let serial_number = entries[3].serial_number.clone();
    let crl = desk.complete(1, &entries);
    assert_eq!(desk.refusal(1, vec![crl]), CrlRefusal::EntryDiffers { serial_number });
}

#[test]
fn an_old_registry_is_noticed_by_what_was_published() {
    let mut desk = Desk::new();
    let revoked = desk.revoked.clone();
    let crl = desk.complete(1, &revoked);
    desk.publish(1, vec![crl]).unwrap();
    // A backup from before the last revocation: registry and CRL agree, and both are wrong.
    let lost = desk.revoked.pop().unwrap();
    let revoked = desk.revoked.clone();
    let crl = desk.complete(2, &revoked);
    let expected = CrlRefusal::EntryVanished { serial_number: lost.serial_number };
    assert_eq!(desk.refusal(2, vec![crl]), expected);
}

#[test]
fn another_number_than_the_registry_set_aside_is_refused() {
    let mut desk = Desk::new();
    let revoked = desk.revoked.clone();
    let crl = desk.complete(3, &revoked);
    let expected = CrlRefusal::WrongNumber { expected: "02".into(), found: "03".into() };
    assert_eq!(desk.refusal(2, vec![crl]), expected);
}

#[test]
fn a_delta_and_its_base_together_say_what_the_registry_says() {
    let mut desk = Desk::new();
    let [held, lost] = [desk.revoked[2].clone(), entry(&desk.world, 9)];
    let revoked = desk.revoked.clone();
    let base = desk.complete(1, &revoked);
    desk.publish(1, vec![base]).unwrap();
    // A hold is lifted, another certificate is lost; a reason is found out.
    desk.revoked.remove(2);
    desk.revoked[0].reason = RevocationReason::Superseded;
    desk.revoked.push(lost.clone());
    let removed = RevokedCertificate { reason: RevocationReason::RemoveFromCrl, ..held.clone() };
    let changes = [desk.revoked[0].clone(), removed, lost];
    for missing in 0..changes.len() {
        let mut some = changes.to_vec();
        let serial_number = some.remove(missing).serial_number;
        let delta = desk.delta(2, 1, &some);
        let expected = [
            CrlRefusal::EntryDiffers { serial_number: serial_number.clone() },
            CrlRefusal::EntryUnknown { serial_number: serial_number.clone() },
            CrlRefusal::EntryMissing { serial_number },
        ];
        assert_eq!(desk.refusal(2, vec![delta]), expected[missing]);
    }
    let delta = desk.delta(2, 1, &changes);
    desk.publish(2, vec![delta.clone()]).unwrap();
    assert_eq!(desk.file("-delta"), Some(delta));
    // A complete one without a delta ends the delta.
    desk.revoked.insert(2, held);
    let revoked = desk.revoked.clone();
    let crl = desk.complete(3, &revoked);
    desk.publish(3, vec![crl]).unwrap();
    assert_eq!(desk.file("-delta"), None);
}

#[test]
fn a_gap_between_a_delta_and_the_published_base_is_refused() {
    let mut desk = Desk::new();
    let none = desk.delta(1, 1, &[]);
    let expected = CrlRefusal::OtherBase { base: "01".into(), published: "none".into() };
    assert_eq!(desk.refusal(1, vec![none]), expected);
    let revoked = desk.revoked.clone();
    let crl = desk.complete(4, &revoked);
    desk.publish(4, vec![crl]).unwrap();
    let gap = desk.delta(6, 5, &[]);
    let expected = CrlRefusal::OtherBase { base: "05".into(), published: "04".into() };
    assert_eq!(desk.refusal(6, vec![gap]), expected);
    let follows = desk.delta(6, 4, &[]);
    desk.publish(6, vec![follows]).unwrap();
    // Who has a newer one than the base may add the delta to it too (RFC 5280 section 5.2.4 (c)).
    let newer = desk.delta(7, 3, &[]);
    desk.publish(7, vec![newer]).unwrap();
    let back = desk.delta(5, 4, &[]);
    assert!(matches!(desk.refusal(5, vec![back]), CrlRefusal::NumberDoesNotGrow { .. }));
}

#[test]
fn no_partition_stays_behind() {
    let mut desk = Desk::new();
    let all = |desk: &mut Desk, number| {
        let revoked = desk.revoked.clone();
        let mut crls = vec![desk.complete(number, &revoked)];
        crls.extend((0..4).map(|index| desk.partition(number, index)));
        crls
    };
    let crls = all(&mut desk, 1);
    desk.publish(1, crls).unwrap();
    for index in 0..4 {
        assert!(desk.file(&format!("-4-{index}")).is_some());
    }
    let mut crls = all(&mut desk, 2);
    crls.remove(3);
    let file = format!("{}-4-2.crl", hex::encode(desk.key()));
    assert_eq!(desk.refusal(2, crls), CrlRefusal::PartitionMissing { file });
    // An entry that is in the complete one and not in its partition.
    let mut crls = all(&mut desk, 2);
    let forgotten = desk.revoked.remove(0);
    let index = usize::from(Partitions::new(4).unwrap().of(&forgotten.serial_number).index());
    crls[index + 1] = desk.partition(2, index);
    desk.revoked.insert(0, forgotten.clone());
    let expected = CrlRefusal::EntryVanished { serial_number: forgotten.serial_number };
    assert_eq!(desk.refusal(2, crls), expected);
    let crls = all(&mut desk, 2);
    desk.publish(2, crls).unwrap();
}

#[test]
fn a_distribution_point_that_is_no_place_of_ours_is_refused() {
    let mut desk = Desk::new();
    let revoked = desk.revoked.clone();
    for url in ["http://pki.example.com/crl/00-4-1.crl", "http://pki.example.com/other"] {
        let scope = CrlScope { distribution_point: Some(url.into()), ..CrlScope::default() };
        let crl = desk.sign(1, &scope, &revoked);
        assert_eq!(desk.refusal(1, vec![crl]), CrlRefusal::OtherPlace(url.into()));
    }
}
