//! Long CRLs: indexed once, searched on the disk, renewed when the list or the index changed. The lists are openssl's.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mailer::trust::{Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation};
use openssl_pki::{Identity, Key, Pki, now, openssl};

const LARGEST: u64 = 64 * 1024 * 1024;

/// Revokes `count` certificates that never were, beside those that the database of openssl knows, and writes the list.
fn long_list(pki: &Pki, count: u32, reason: &str) -> PathBuf {
    let database = pki.path().join("People/index.txt");
    let mut text = std::fs::read_to_string(&database).unwrap();
    // In no order, as real CAs have them.
    let start = u32::try_from(text.lines().count()).unwrap();
    for number in start..start + count {
        let serial = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2 | 1 << 62;
        let _ = writeln!(text, "R\t480101000000Z\t260501000000Z{reason}\t{serial:016X}\tunknown\t/CN=x");
    }
    std::fs::write(&database, text).unwrap();
    let config = std::fs::read_to_string(pki.path().join("People.cnf")).unwrap();
    pki.write("long.cnf", config.as_bytes());
    let dates = ["-crl_lastupdate", "20260525000000Z", "-crl_nextupdate", "20260610000000Z"];
    openssl(
        pki.path(),
        &[&["ca", "-batch", "-config", "long.cnf", "-gencrl", "-out", "long.pem"], &dates[..]].concat(),
    );
    openssl(pki.path(), &["crl", "-in", "long.pem", "-outform", "DER", "-out", "long.crl"]);
    pki.path().join("long.crl")
}

struct Lists(Vec<CertificateList>, Certificate);

impl Source for Lists {
    fn issuers_at_hand(&mut self, _: &[u8]) -> Vec<Certificate> {
        vec![self.1.clone()]
    }
    fn issuers(&mut self, _: &[u8]) -> Vec<Certificate> {
        vec![self.1.clone()]
    }
    fn revocation_lists(&mut self, _: &[u8]) -> Vec<CertificateList> {
        self.0.clone()
    }
}

fn verdict(pki: &Pki, list: &CertificateList, identity: &Identity) -> String {
    let anchors = Anchors(vec![Anchor { certificate: pki.root.certificate(), domains: vec![] }]);
    let mut source = Lists(vec![pki.root.crl(), list.clone()], pki.people.certificate());
    let unknown_revocation = UnknownRevocation::Reject;
    let mut judge = Judge { anchors: &anchors, source: &mut source, at: now(), unknown_revocation };
    let outcome = judge.check_signer(&identity.certificate());
    outcome.map_or_else(|problem| problem.in_words("it"), |()| "good".to_owned())
}

#[test]
fn a_long_list_is_indexed_once_and_its_index_renewed_when_it_is_damaged_or_stale() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    pki.people.revoke("bob", &["-crl_compromise", "20260420083000Z"]);
    let path = long_list(&pki, 20_000, ",keyCompromise");
    let index = pki.path().join("cache/list.index");
    let list = CertificateList::from_file(&path, &index, LARGEST).unwrap();
    assert_eq!(list.indexed_entries(), Some(20_001));
    assert_eq!(std::fs::metadata(&index).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::metadata(&index).unwrap().len() < std::fs::metadata(&path).unwrap().len());
    assert_eq!(verdict(&pki, &list, &alice), "good");
    let revoked = verdict(&pki, &list, &bob);
    assert!(revoked.contains("(key compromise, invalid since 2026-04-20 08:30 UTC)"), "{revoked}");

    // The second time the index is only opened.
    let written = std::fs::metadata(&index).unwrap().modified().unwrap();
    CertificateList::from_file(&path, &index, LARGEST).unwrap();
    assert_eq!(std::fs::metadata(&index).unwrap().modified().unwrap(), written);

    // Every kind of damage: entries that disappear, a preamble of another list, a file cut short or emptied.
    let good = std::fs::read(&index).unwrap();
    let blocks = good.len() / 4096;
    let mut damages: Vec<Vec<u8>> = vec![Vec::new(), good[..good.len() - 1].to_vec(), good[..4096].to_vec()];
    damages.push((0..good.len()).map(|at| if at < blocks * 4096 { 0 } else { good[at] }).collect());
    let mut swapped = good.clone();
    swapped[..8192].rotate_left(4096);
    damages.push(swapped);
    for at in [good.len() - 60, good.len() - 10] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        damages.push(changed);
    }
    for damage in damages {
        std::fs::write(&index, &damage).unwrap();
        let list = CertificateList::from_file(&path, &index, LARGEST).unwrap();
        assert!(verdict(&pki, &list, &bob).contains("was revoked"));
        assert_eq!(verdict(&pki, &list, &alice), "good");
        assert_eq!(std::fs::read(&index).unwrap().len(), good.len());
    }

    // Another list in the same place.
    pki.people.revoke("alice", &[]);
    let path = long_list(&pki, 1, "");
    let list = CertificateList::from_file(&path, &index, LARGEST).unwrap();
    assert_eq!(list.indexed_entries(), Some(20_003));
    assert!(verdict(&pki, &list, &alice).contains("was revoked"));
}

#[test]
fn a_long_list_that_was_changed_or_cut_short_is_not_believed() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let path = long_list(&pki, 12_000, "");
    let good = std::fs::read(&path).unwrap();
    let index = pki.path().join("list.index");
    let mut changed = good.clone();
    let middle = good.len() / 2;
    // One digit of a date, or of a serial number.
    let at = middle + good[middle..].windows(13).position(|window| window == b"260501000000Z").unwrap();
    changed[at + 5] = b'2';
    std::fs::write(&path, &changed).unwrap();
    let list = CertificateList::from_file(&path, &index, LARGEST).unwrap();
    let words = verdict(&pki, &list, &alice);
    assert!(words.contains("the signature of the CRL of People is wrong"), "{words}");
    for wrong in [good[..middle].to_vec(), [&good[..], b"x"].concat(), vec![0x30; 300_000]] {
        std::fs::write(&path, wrong).unwrap();
        assert!(CertificateList::from_file(&path, &index, LARGEST).is_err());
    }
    std::fs::write(&path, &good).unwrap();
    assert!(CertificateList::from_file(&path, &index, 1_000).is_err());
    assert_eq!(verdict(&pki, &CertificateList::from_file(&path, &index, LARGEST).unwrap(), &alice), "good");
}
